//! Values of every type that travels, for tests.

use model::{DeviceNumber, Kind, Metadata, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bounded::{
    AttributeName, AttributeValue, BlockMap, Chunks, Digest, Digests, EventBytes, LinkText, List,
    Name, OperatorPath, OutcomeBytes, OwnerName, ProgressBytes, Signature, Text, WorkPiece,
};
use crate::control::{Failure, FailureKind, Message, Task};
use crate::direct::{DirectEnd, DirectLoss, DirectMeeting, DirectOffer, DirectTalk, DirectWish};
use crate::frame::RequestId;
use crate::greeting::SessionId;
use crate::image::{BlocksTold, Cut, DigestRun, Grain, Ground, OpenedImage, PieceHash, Pieces};
use crate::io_fault::{FaultKind, IoFault, KINDS_OF_IO};
use crate::lane_talk::{
    AddressFamily, Fingerprint, LaneCount, LaneKind, LaneOffer, LaneRefusal, LaneTalk, LaneWanted,
    Pass, PortRange,
};
use crate::limits::PASS_BYTES;
use crate::request::{
    Access, AccessTime, Algorithm, Basis, ContentOf, DeltaSeed, Expected, FileAt, Follow, Handle,
    Named, OldFile, Owner, Place, Request, Room, Span, Update,
};
use crate::response::{After, ContentSum, FetchedFile, Mount, Reply};
use crate::seen::{Acls, Attribute, Attributes, Entry, Page, PageBuilder, PageEnd, Seen, Wants};

mod golden;

mod round_trips;

fn bytes<T: std::fmt::Debug, E: std::fmt::Debug>(
    range: std::ops::Range<usize>,
    new: fn(Vec<u8>) -> Result<T, E>,
) -> impl Strategy<Value = T> {
    vec(1_u8.., range).prop_map(move |bytes| new(bytes).expect("it keeps the rules"))
}

fn list<T: std::fmt::Debug, const LIMIT: usize>(
    element: impl Strategy<Value = T>,
) -> impl Strategy<Value = List<T, LIMIT>> {
    vec(element, 0..5).prop_map(|elements| List::new(elements).expect("they are few"))
}

fn text<const LIMIT: usize>() -> impl Strategy<Value = Text<LIMIT>> {
    ".{0,20}".prop_map(|text| Text::new(&text))
}

pub(crate) fn name() -> impl Strategy<Value = Name> {
    "[^/\0.]{1,20}".prop_map(|name| Name::new(name).expect("it is one component"))
}

fn handle() -> impl Strategy<Value = Handle> {
    (1..u64::MAX).prop_map(|id| Handle(RequestId(id)))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::File,
        Kind::Directory,
        Kind::Symlink,
        Kind::CharDevice,
        Kind::BlockDevice,
        Kind::Fifo,
        Kind::Socket,
    ])
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Timestamp { secs, nanos })
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..1000, 0..=i64::MAX.unsigned_abs()]
}

pub(crate) fn metadata() -> impl Strategy<Value = Metadata> {
    let device = (any::<u32>(), any::<u32>());
    let device = device.prop_map(|(major, minor)| DeviceNumber { major, minor });
    (
        (kind(), 0_u32..=0o7777, any::<u32>(), any::<u32>(), offset(), timestamp(), timestamp()),
        (device, any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>()),
    )
        .prop_map(|((kind, mode, uid, gid, size, mtime, atime), rest)| {
            let (rdev, dev, ino, nlink, allocated_blocks) = rest;
            Metadata {
                kind,
                mode,
                uid,
                gid,
                size,
                mtime,
                atime,
                rdev,
                dev,
                ino,
                nlink,
                allocated_blocks,
            }
        })
}

pub(crate) fn fault() -> impl Strategy<Value = IoFault> {
    let of_protocol = any::<u64>().prop_flat_map(|needed_bytes| {
        prop::sample::select(vec![
            FaultKind::Other,
            FaultKind::NoHandle,
            FaultKind::WrongHandle,
            FaultKind::NoRoom { needed_bytes },
            FaultKind::Cancelled,
            FaultKind::NotServed,
            FaultKind::Changed,
        ])
    });
    let kind = prop_oneof![of_protocol, prop::sample::select(KINDS_OF_IO)];
    (kind, any::<Option<i32>>(), text()).prop_map(|(kind, errno, text)| IoFault {
        kind,
        errno,
        text,
    })
}

fn attributes<const BYTES: usize>() -> impl Strategy<Value = Attributes<BYTES>> {
    let value = || bytes(0..40, AttributeValue::new);
    let attribute = (bytes(1..40, AttributeName::new), value());
    let attribute = attribute.prop_map(|(name, value)| Attribute { name, value });
    vec(attribute, 0..4).prop_map(|attributes| Attributes::new(attributes).expect("they are few"))
}

pub(crate) fn seen() -> impl Strategy<Value = Seen> {
    let value = || prop::option::of(bytes(0..40, AttributeValue::new));
    let acls = (value(), value()).prop_map(|(access, default)| Acls { access, default });
    let link = prop::result::maybe_err(bytes(1..100, LinkText::new), fault());
    let attributes = prop::result::maybe_err(attributes(), fault());
    let acls = prop::result::maybe_err(acls, fault());
    (metadata(), prop::option::of(link), prop::option::of(attributes), prop::option::of(acls))
        .prop_map(|(metadata, link, attributes, acls)| Seen { metadata, link, attributes, acls })
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let seen = prop::result::maybe_err(seen().prop_map(Box::new), fault());
    (name(), prop::option::of(kind()), prop::option::of(seen))
        .prop_map(|(name, kind, seen)| Entry { name, kind, seen })
}

fn page() -> impl Strategy<Value = Page> {
    vec(entry(), 0..6).prop_map(|mut entries| {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|a, b| a.name == b.name);
        let mut builder = PageBuilder::default();
        for entry in entries {
            builder.push(entry, 100_000).expect("they are few");
        }
        builder.take()
    })
}

pub(crate) fn span() -> impl Strategy<Value = Span> {
    (0_u64..1 << 62, 1_u64..1 << 62)
        .prop_map(|(start, length)| Span::new(start..start + length).expect("it is in range"))
}

fn room<const LEAST: u32>() -> impl Strategy<Value = Room<LEAST>> {
    (LEAST..1_000_000).prop_map(|bytes| Room::new(bytes).expect("it is in range"))
}

fn follow() -> impl Strategy<Value = Follow> {
    prop::sample::select(vec![Follow::Never, Follow::Links, Follow::OwnLinks])
}

fn atime() -> impl Strategy<Value = AccessTime> {
    prop::sample::select(vec![AccessTime::Update, AccessTime::Keep])
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::Read, Access::Search])
}

fn wants() -> impl Strategy<Value = Wants> {
    (0..=Wants::all().bits()).prop_map(Wants::from_bits_truncate)
}

fn named() -> impl Strategy<Value = Named> {
    (handle(), name()).prop_map(|(dir, name)| Named { dir, name })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![handle().prop_map(Place::Itself), named().prop_map(Place::Named)]
}

fn file_at() -> impl Strategy<Value = FileAt> {
    (named(), follow(), atime()).prop_map(|(at, follow, atime)| FileAt { at, follow, atime })
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(vec![
        Algorithm::Blake3,
        Algorithm::Xxh128,
        Algorithm::Xxh3,
        Algorithm::Xxh64,
        Algorithm::Md5,
        Algorithm::Md4,
        Algorithm::Sha1,
    ])
}

fn basis() -> impl Strategy<Value = Basis> {
    let seed = any::<[u8; 32]>().prop_map(DeltaSeed);
    let update = prop::sample::select(vec![Update::Apart, Update::InPlace]);
    (list(handle()), seed, update).prop_map(|(signatures, seed, update)| Basis {
        signatures,
        seed,
        update,
    })
}

fn old_file() -> impl Strategy<Value = OldFile> {
    let seed = any::<[u8; 32]>().prop_map(DeltaSeed);
    (bytes(0..90, Signature::new), seed).prop_map(|(signature, seed)| OldFile { signature, seed })
}

fn sum() -> impl Strategy<Value = ContentSum> {
    any::<[u8; 32]>().prop_map(ContentSum)
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let content_of =
        prop_oneof![handle().prop_map(ContentOf::Open), file_at().prop_map(ContentOf::Named)];
    let expected = (any::<u64>(), any::<u64>(), any::<u64>(), timestamp());
    let expected = expected.prop_map(|(dev, ino, size, mtime)| Expected { dev, ino, size, mtime });
    prop_oneof![
        (bytes(1..60, OperatorPath::new), access())
            .prop_map(|(path, access)| Request::OpenRoot { path, access }),
        (named(), access(), follow(), atime()).prop_map(|(at, access, follow, atime)| {
            Request::OpenChild { at, access, follow, atime }
        }),
        handle().prop_map(|dir| Request::OpenParent { dir }),
        handle().prop_map(|dir| Request::Reopen { dir }),
        (handle(), wants(), prop::option::of(name()), room())
            .prop_map(|(dir, wants, after, room)| Request::List { dir, wants, after, room }),
        (place(), follow(), wants(), room()).prop_map(|(at, follow, wants, room)| Request::Look {
            at,
            follow,
            wants,
            room
        }),
        handle().prop_map(|dir| Request::CheckSearch { dir }),
        place().prop_map(|at| Request::LookAtMount { at }),
        file_at().prop_map(|file| Request::OpenFile { file }),
        (file_at(), wants(), room()).prop_map(|(file, wants, room)| Request::Fetch {
            file,
            wants,
            room
        }),
        (handle(), span()).prop_map(|(file, span)| Request::Read { file, span }),
        (handle(), span(), room()).prop_map(|(file, span, room)| Request::FindExtents {
            file,
            span,
            room
        }),
        (content_of, algorithm(), any::<u64>(), span()).prop_map(|(of, algorithm, seed, span)| {
            Request::Hash { of, algorithm, seed, span }
        }),
        (handle(), span(), basis(), room()).prop_map(|(file, span, basis, room)| Request::Delta {
            file,
            span,
            basis,
            room
        }),
        (handle(), wants(), room()).prop_map(|(file, wants, room)| Request::LookAtFile {
            file,
            wants,
            room
        }),
        handle().prop_map(|file| Request::Measure { file }),
        (named(), expected).prop_map(|(at, expected)| Request::Remove { at, expected }),
        list(handle()).prop_map(|handles| Request::Close { handles }),
        any::<u32>().prop_map(|uid| Request::OwnerName { of: Owner::User(uid) }),
        any::<u32>().prop_map(|gid| Request::OwnerName { of: Owner::Group(gid) }),
        bytes(0..90, Signature::new).prop_map(|signature| Request::Sign { signature }),
        (file_at(), wants(), old_file(), room())
            .prop_map(|(file, wants, old, room)| Request::Renew { file, wants, old, room }),
        (handle(), list(name()), atime(), wants(), room()).prop_map(
            |(dir, names, atime, wants, room)| Request::FetchSome {
                dir,
                names,
                atime,
                wants,
                room
            }
        ),
        bytes(1..60, OperatorPath::new).prop_map(|path| Request::OpenImage { path }),
        (handle(), list(span()), pieces()).prop_map(|(file, spans, pieces)| Request::Digests {
            file,
            spans,
            pieces
        }),
        (handle(), list(span())).prop_map(|(file, spans)| Request::ReadBlocks { file, spans }),
        (handle(), span(), any::<([u8; 32], u64)>()).prop_map(
            |(file, span, (seed, longest_bytes))| {
                let cut = Cut { seed: DeltaSeed(seed), longest_bytes };
                Request::Chunks { file, span, cut }
            }
        ),
    ]
}

fn pieces() -> impl Strategy<Value = Pieces> {
    let grain = prop::sample::select(vec![Grain::Unit, Grain::Part, Grain::Block]);
    let hash = prop::option::of(any::<[u8; 32]>()).prop_map(|seed| match seed {
        Some(seed) => PieceHash::Xxh3(DeltaSeed(seed)),
        None => PieceHash::Blake3,
    });
    (grain, hash, any::<u64>()).prop_map(|(grain, hash, image_bytes)| Pieces {
        grain,
        hash,
        image_bytes,
    })
}

fn ground() -> impl Strategy<Value = Ground> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(major, minor)| Ground::Device { major, minor }),
        any::<(u64, u64)>().prop_map(|(dev, ino)| Ground::File { dev, ino }),
    ]
}

fn opened_image() -> impl Strategy<Value = OpenedImage> {
    let grounds = (any::<Option<[u8; 32]>>(), ground(), list(ground()), prop::option::of(ground()));
    let bytes = 0..=i64::MAX.unsigned_abs();
    let rest = (metadata(), bytes, any::<bool>(), prop::option::of(text()), grounds);
    rest.prop_map(|(metadata, bytes, is_rotational, mounted_at, grounds)| {
        let (kernel, ground, grounds, shown) = grounds;
        OpenedImage {
            metadata,
            changed_at: metadata.mtime,
            bytes,
            is_rotational,
            mounted_at,
            kernel,
            ground,
            grounds,
            shown,
        }
    })
}

fn digest_run() -> impl Strategy<Value = DigestRun> {
    prop_oneof![
        any::<u64>().prop_map(DigestRun::Zeros),
        bytes(1..90, Digests::new).prop_map(DigestRun::Digests),
    ]
}

fn fetched_file() -> impl Strategy<Value = FetchedFile> {
    let bytes = 0..=i64::MAX.unsigned_abs();
    (seen(), bytes, prop::option::of(metadata())).prop_map(|(before, bytes, after)| FetchedFile {
        before: Box::new(before),
        bytes,
        after,
    })
}

pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    let end = prop_oneof![
        Just(PageEnd::More),
        Just(PageEnd::Complete),
        fault().prop_map(PageEnd::Incomplete)
    ];
    let mount = (any::<Option<u64>>(), any::<Option<bool>>());
    prop_oneof![
        Just(Reply::Done),
        metadata().prop_map(Reply::Opened),
        seen().prop_map(|seen| Reply::Seen(Box::new(seen))),
        attributes().prop_map(Reply::Attributes),
        (page(), end).prop_map(|(page, end)| Reply::Page { page, end }),
        any::<u64>().prop_map(Reply::FileEnds),
        (metadata(), sum()).prop_map(|(metadata, sum)| Reply::After(After { metadata, sum })),
        (list(span()), any::<u64>()).prop_map(|(data, known_to)| Reply::Extents { data, known_to }),
        bytes(1..64, Digest::new).prop_map(Reply::Digest),
        mount.prop_map(|(id, is_root)| Reply::Mount(Mount { id, is_root })),
        any::<u64>().prop_map(Reply::Size),
        fault().prop_map(Reply::Fault),
        prop::option::of(bytes(1..40, OwnerName::new)).prop_map(Reply::OwnerName),
        sum().prop_map(Reply::Sum),
        (list(prop::option::of(fetched_file())), sum())
            .prop_map(|(files, sum)| Reply::Files { files, sum }),
        opened_image().prop_map(|image| Reply::OpenedImage(Box::new(image))),
        list(digest_run()).prop_map(Reply::Digests),
        (bytes(0..90, BlockMap::new), sum())
            .prop_map(|(filled, sum)| Reply::Blocks(BlocksTold { filled, sum })),
        bytes(1..90, Chunks::new).prop_map(Reply::Chunks),
    ]
}

fn port_range() -> impl Strategy<Value = PortRange> {
    any::<Option<(u16, u16)>>().prop_map(|range| match range {
        Some((first, last)) => PortRange::Within { first, last },
        None => PortRange::Any,
    })
}

fn family() -> impl Strategy<Value = Option<AddressFamily>> {
    prop::sample::select(vec![None, Some(AddressFamily::V4), Some(AddressFamily::V6)])
}

fn direct_offer() -> impl Strategy<Value = DirectOffer> {
    (any::<[u8; 32]>(), list(text()), any::<Option<u16>>()).prop_map(
        |(fingerprint, addresses, port)| DirectOffer {
            fingerprint: Fingerprint(fingerprint),
            addresses,
            port,
        },
    )
}

fn direct_talk() -> impl Strategy<Value = DirectTalk> {
    let kind = prop::sample::select(vec![LaneKind::Tcp, LaneKind::Quic, LaneKind::Ssh]);
    let wish = (kind, any::<bool>(), port_range(), family());
    let wish =
        wish.prop_map(|(kind, listens, ports, family)| DirectWish { kind, listens, ports, family });
    let numbers = any::<(Option<u64>, u64, Option<u16>, bool, bool)>();
    let meeting = (direct_offer(), list(text()), text(), numbers).prop_map(
        |(offer, names, peer, numbers)| {
            let (connects_after_ms, silence_secs, count, mixes_kinds, tells) = numbers;
            let count = count.map_or(LaneCount::Auto, LaneCount::Fixed);
            DirectTalk::Meet(Box::new(DirectMeeting {
                offer,
                names,
                connects_after_ms,
                peer,
                silence_secs,
                count,
                mixes_kinds,
                tells,
            }))
        },
    );
    let loss = prop::sample::select(vec![
        None,
        Some(DirectLoss::Cut),
        Some(DirectLoss::Silent),
        Some(DirectLoss::Failed),
    ]);
    let end = (any::<(u64, u64)>(), loss, text());
    let end = end.prop_map(|((sent_bytes, received_bytes), loss, text)| DirectEnd {
        sent_bytes,
        received_bytes,
        loss,
        text,
    });
    prop_oneof![
        wish.prop_map(DirectTalk::Prepare),
        direct_offer().prop_map(DirectTalk::Ready),
        meeting,
        Just(DirectTalk::Met),
        text().prop_map(DirectTalk::Refusal),
        end.prop_map(DirectTalk::Over),
    ]
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let kind = || prop::sample::select(vec![LaneKind::Tcp, LaneKind::Quic, LaneKind::Ssh]);
    let fingerprint = || any::<[u8; 32]>().prop_map(Fingerprint);
    let session = any::<[u8; 16]>().prop_map(SessionId);
    let port = any::<u16>;
    let count =
        || prop::option::of(port()).prop_map(|n| n.map_or(LaneCount::Auto, LaneCount::Fixed));
    let offer = (kind(), session, fingerprint(), list(text()), list(port()), count()).prop_map(
        |(kind, session, fingerprint, addresses, ports, count)| {
            LaneTalk::Offer(LaneOffer { kind, session, fingerprint, addresses, ports, count })
        },
    );
    let wanted = (kind(), fingerprint(), port_range(), family(), count());
    let wanted = wanted.prop_map(|(kind, fingerprint, ports, family, count)| {
        LaneTalk::Wanted(LaneWanted { kind, fingerprint, ports, family, count })
    });
    let refusal = (kind(), text());
    let refusal = refusal.prop_map(|(kind, text)| LaneTalk::Refusal(LaneRefusal { kind, text }));
    let number = (kind(), port()).prop_map(|(kind, lanes)| LaneTalk::Count { kind, lanes });
    let hampered = kind().prop_map(LaneTalk::Hampered);
    let logins = count().prop_map(LaneTalk::Logins);
    let door = vec(any::<u8>(), PASS_BYTES)
        .prop_map(|bytes| LaneTalk::Door(Pass(bytes.try_into().expect("they are as many"))));
    let talk = prop_oneof![offer, wanted, number, refusal, hampered, logins, door];
    let task = prop::sample::select(vec![
        Task::ServeSource,
        Task::RunDestination,
        Task::ServeImage,
        Task::BringImage,
    ]);
    let why = prop::sample::select(vec![
        FailureKind::Violation,
        FailureKind::Refused,
        FailureKind::Internal,
    ]);
    prop_oneof![
        (task, any::<u64>()).prop_map(|(task, work_bytes)| Message::Begin { task, work_bytes }),
        bytes(1..90, WorkPiece::new).prop_map(Message::Work),
        bytes(0..90, EventBytes::new).prop_map(Message::Event),
        any::<u64>().prop_map(Message::EventCredit),
        bytes(0..90, ProgressBytes::new).prop_map(Message::Progress),
        Just(Message::Cancel),
        bytes(0..90, OutcomeBytes::new).prop_map(Message::Ended),
        talk.prop_map(Message::Lanes),
        any::<u64>().prop_map(Message::Pace),
        (why, text()).prop_map(|(kind, text)| Message::Failure(Failure { kind, text })),
        Just(Message::Bye),
        direct_talk().prop_map(Message::Direct),
    ]
}
