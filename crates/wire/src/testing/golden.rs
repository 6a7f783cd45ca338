//! Messages byte for byte. A change here is a change of the protocol: it needs a new revision, and
//! docs/protocol.md must tell it.

use model::{DeviceNumber, Kind, Metadata, Timestamp};

use crate::bounded::{
    AttributeName, AttributeValue, BlockMap, Chunks, Digest, Digests, EventBytes, LinkText, List,
    Name, OutcomeBytes, OwnerName, ProgressBytes, Text, WorkPiece,
};
use crate::codec::{Codec, decode, encode};
use crate::control::{Failure, FailureKind, Message, Task};
use crate::direct::{DirectEnd, DirectLoss, DirectMeeting, DirectOffer, DirectTalk, DirectWish};
use crate::fuzzing::one_of_each;
use crate::greeting::{REVISION, SessionId};
use crate::image::{BlocksTold, DigestRun, Ground, OpenedImage};
use crate::io_fault::{FaultKind, IoFault};
use crate::lane_talk::{
    AddressFamily, Fingerprint, LaneCount, LaneKind, LaneOffer, LaneRefusal, LaneTalk, LaneWanted,
    Pass, PortRange,
};
use crate::request::Span;
use crate::response::{After, ContentSum, FetchedFile, Mount, Reply};
use crate::seen::{Acls, Attribute, Attributes, Entry, PageBuilder, PageEnd, Seen};

/// Each message as a line, so that a difference shows which one it is.
#[track_caller]
fn check<T: Codec + PartialEq + std::fmt::Debug>(messages: &[T], expected: &str) {
    let lines: Vec<String> =
        messages.iter().map(|message| encode(message).escape_ascii().to_string()).collect();
    assert_eq!(lines.join("\n"), expected.trim(), "the protocol has changed");
    for message in messages {
        assert_eq!(decode::<T>(&encode(message)).as_ref(), Ok(message));
    }
}

fn metadata() -> Metadata {
    Metadata {
        kind: Kind::File,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        size: 300,
        mtime: Timestamp { secs: 1_700_000_000, nanos: 5 },
        atime: Timestamp { secs: -1, nanos: 0 },
        rdev: DeviceNumber { major: 8, minor: 1 },
        dev: 2049,
        ino: 12,
        nlink: 1,
        allocated_blocks: 8,
    }
}

fn fault() -> IoFault {
    IoFault { kind: FaultKind::NotFound, errno: Some(2), text: Text::new("gone") }
}

fn seen() -> Box<Seen> {
    let value = || AttributeValue::new("v").expect("it is short");
    let name = AttributeName::new("user.a").expect("it is short");
    let attributes = Attributes::new(vec![Attribute { name, value: value() }]);
    Box::new(Seen {
        metadata: metadata(),
        link: Some(Ok(LinkText::new("to").expect("it is short"))),
        attributes: Some(Ok(attributes.expect("they are few"))),
        acls: Some(Ok(Acls { access: Some(value()), default: None })),
    })
}

fn replies() -> Vec<Reply> {
    let mut page = PageBuilder::default();
    let name = |name| Name::new(name).expect("it is one component");
    for entry in [
        Entry { name: name("a"), kind: Some(Kind::Fifo), seen: None },
        Entry { name: name("b"), kind: None, seen: Some(Err(fault())) },
        Entry { name: name("c"), kind: None, seen: Some(Ok(seen())) },
    ] {
        page.push(entry, 10_000).expect("they are few");
    }
    let span = Span::new(4096..8192).expect("it is a range");
    vec![
        Reply::Done,
        Reply::Opened(metadata()),
        Reply::Seen(seen()),
        Reply::Attributes(Attributes::default()),
        Reply::Page { page: page.take(), end: PageEnd::Incomplete(fault()) },
        Reply::FileEnds(300),
        Reply::After(After { metadata: metadata(), sum: ContentSum([b's'; 32]) }),
        Reply::Extents { data: List::new(vec![span]).expect("they are few"), known_to: 10_000 },
        Reply::Digest(Digest::new("12345678").expect("it is short")),
        Reply::Mount(Mount { id: Some(7), is_root: Some(true) }),
        Reply::Size(1 << 40),
        Reply::Fault(IoFault::new(FaultKind::NoRoom { needed_bytes: 5 }, "long")),
        Reply::OwnerName(Some(OwnerName::new("root").expect("it is short"))),
        Reply::OwnerName(None),
        Reply::Sum(ContentSum([b's'; 32])),
        Reply::Files {
            files: List::new(vec![
                None,
                Some(FetchedFile { before: seen(), bytes: 300, after: None }),
                Some(FetchedFile { before: seen(), bytes: 5, after: Some(metadata()) }),
            ])
            .expect("they are few"),
            sum: ContentSum([b's'; 32]),
        },
        Reply::OpenedImage(Box::new(OpenedImage {
            changed_at: Timestamp { secs: 7, nanos: 9 },
            metadata: metadata(),
            bytes: 1 << 30,
            is_rotational: true,
            mounted_at: Some(Text::new("/mnt")),
            kernel: Some([b'k'; 32]),
            ground: Ground::Device { major: 8, minor: 1 },
            grounds: List::new(vec![Ground::File { dev: 2049, ino: 12 }]).expect("it is one"),
            shown: None,
        })),
        Reply::Digests(
            List::new(vec![
                DigestRun::Zeros(300),
                DigestRun::Digests(Digests::new("12345678").expect("they are few")),
            ])
            .expect("they are few"),
        ),
        Reply::Blocks(BlocksTold {
            filled: BlockMap::new([5]).expect("they are few"),
            sum: ContentSum([b's'; 32]),
        }),
        Reply::Chunks(Chunks::new("1234567").expect("they are few")),
    ]
}

fn direct_talks() -> Vec<Message> {
    let offer = || DirectOffer {
        fingerprint: Fingerprint([b'f'; 32]),
        addresses: List::new(vec![Text::new("::1")]).expect("they are few"),
        port: Some(50_000),
    };
    [
        DirectTalk::Prepare(DirectWish {
            kind: LaneKind::Tcp,
            listens: true,
            ports: PortRange::Within { first: 50_000, last: 50_100 },
            family: Some(AddressFamily::V4),
        }),
        DirectTalk::Ready(offer()),
        DirectTalk::Meet(Box::new(DirectMeeting {
            offer: offer(),
            names: List::new(vec![Text::new("web1")]).expect("they are few"),
            connects_after_ms: Some(500),
            peer: Text::new("the agent on web1"),
            silence_secs: 30,
            count: LaneCount::Fixed(4),
            mixes_kinds: true,
            tells: false,
        })),
        DirectTalk::Met,
        DirectTalk::Refusal(Text::new("no")),
        DirectTalk::Over(DirectEnd {
            sent_bytes: 7,
            received_bytes: 300,
            loss: Some(DirectLoss::Cut),
            text: Text::new("gone"),
        }),
    ]
    .map(Message::Direct)
    .into()
}

fn messages() -> Vec<Message> {
    let fingerprint = Fingerprint([b'f'; 32]);
    vec![
        Message::Begin { task: Task::ServeSource, work_bytes: 3 },
        Message::Work(WorkPiece::new("job").expect("it is short")),
        Message::Event(EventBytes::new("event").expect("it is short")),
        Message::EventCredit(1000),
        Message::Progress(ProgressBytes::new("half").expect("it is short")),
        Message::Cancel,
        Message::Ended(OutcomeBytes::new("ok").expect("it is short")),
        Message::Lanes(LaneTalk::Offer(LaneOffer {
            kind: LaneKind::Tcp,
            session: SessionId([b's'; 16]),
            fingerprint,
            addresses: List::new(vec![Text::new("::1")]).expect("they are few"),
            ports: List::new(vec![50_000]).expect("they are few"),
            count: LaneCount::Auto,
        })),
        Message::Lanes(LaneTalk::Wanted(LaneWanted {
            kind: LaneKind::Quic,
            fingerprint,
            ports: PortRange::Within { first: 50_000, last: 50_100 },
            family: Some(AddressFamily::V6),
            count: LaneCount::Fixed(8),
        })),
        Message::Lanes(LaneTalk::Count { kind: LaneKind::Quic, lanes: 4 }),
        Message::Lanes(LaneTalk::Refusal(LaneRefusal {
            kind: LaneKind::Tcp,
            text: Text::new("no"),
        })),
        Message::Lanes(LaneTalk::Hampered(LaneKind::Tcp)),
        Message::Lanes(LaneTalk::Logins(LaneCount::Fixed(3))),
        Message::Lanes(LaneTalk::Door(Pass([b'p'; 48]))),
        Message::Failure(Failure { kind: FailureKind::Refused, text: Text::new("no") }),
        Message::Bye,
    ]
}

#[test]
fn requests_of_this_revision() {
    assert_eq!(REVISION, 8, "a new revision: look at all of this");
    check(&one_of_each(), include_str!("golden/requests.txt"));
}

#[test]
fn replies_of_this_revision() {
    check(&replies(), include_str!("golden/replies.txt"));
}

#[test]
fn control_messages_of_this_revision() {
    let all = [messages(), direct_talks()].concat();
    check(&all, include_str!("golden/control.txt"));
}
