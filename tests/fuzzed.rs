//! Whatever a peer sends, each machine that reads it returns: sound bytes and what becomes of them by
//! accident or malice, for as many inputs as asked for.
//!
//! The same entry points are the targets of `fuzz/`, where an engine looks for inputs by itself.
//! `FUZZ_INPUTS=1000000` gives more to each of them, `FUZZ_SECONDS=600` as many as that time allows;
//! `FUZZ_BASE=7` begins elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests stop at the first fault and tell how much they did"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, UNIX_EPOCH};

use delta::{Encoder, Operation, Seed, Shape, Signature};
use errand::{Asks, Besides, ImageService, List, Service, Work as Errand};
use filter::{RuleOptions, Rules};
use model::blocks::{BlocksJob, BlocksSettings};
use model::settings::Method;
use model::{Destination, Job, Kind, Metadata, Settings, Source};
use wire::{
    Access, AccessTime, BlockMap, BlocksTold, Capacity, Content, ContentSum, Control, Cut,
    DeltaSeed, DigestRun, DirectMeeting, DirectOffer, DirectTalk, DirectWish, End, EventBytes,
    Features, FetchedFile, FileAt, Fingerprint, Follow, Grain, Ground, Handle, Hello, LaneCount,
    LaneEnd, LaneKind, LaneNumber, Link, Name, Named, OpenedImage, Opening, OperatorPath, Outgoing,
    Packed, Packer, Packing, Patience, Piece, PieceHash, Pieces, Place, PortRange, Reply, Request,
    RequestId, Requester, Responder, Role, Room, Seen, SessionId, Span, System, Task, Text, Wants,
    Work,
};

const LANE: LaneNumber = LaneNumber::FIRST;

/// Random numbers that are the same each time (xorshift64*).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        // Numbers at the edges break more than others.
        let odd = [0, 1, 0x7f, 0x80, 0xff];
        if self.below(2) == 0 { odd[self.below(odd.len())] } else { self.next().to_le_bytes()[3] }
    }
}

/// What becomes of sound bytes.
fn mutated(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    const LONGEST_BYTES: usize = 4096;
    let mut bytes = match rng.below(16) {
        0 => (0..rng.below(200)).map(|_| rng.byte()).collect(),
        _ => corpus[rng.below(corpus.len())].clone(),
    };
    for _ in 0..rng.below(6) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.byte()),
            2 => {
                let other = &corpus[rng.below(corpus.len())];
                let from = rng.below(other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            _ if at < bytes.len() => bytes[at] = rng.byte(),
            _ => {}
        }
    }
    bytes.truncate(LONGEST_BYTES);
    bytes
}

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Gives many inputs to an entry point; panics with the first that makes it panic.
fn check(name: &str, corpus: &[Vec<u8>], enter: impl Fn(&[u8])) {
    let limit = number_from_env("FUZZ_SECONDS").map(Duration::from_secs);
    let inputs = number_from_env("FUZZ_INPUTS").unwrap_or(20_000);
    let mut rng = Rng(number_from_env("FUZZ_BASE").unwrap_or(1).max(1));
    for bytes in corpus {
        enter(bytes);
    }
    let begun = Instant::now();
    let goes_on = |number| limit.map_or_else(|| number < inputs, |limit| begun.elapsed() < limit);
    let mut number: u64 = 0;
    while goes_on(number) {
        let bytes = mutated(&mut rng, corpus);
        let entered = catch_unwind(AssertUnwindSafe(|| enter(&bytes)));
        assert!(entered.is_ok(), "{name}, input {number}: {}", bytes.escape_ascii());
        number += 1;
    }
    println!("{name}: {number} inputs in {} s", begun.elapsed().as_secs());
}

fn bytes_of(sent: impl FnMut() -> Option<Outgoing>) -> Vec<u8> {
    std::iter::from_fn(sent).flat_map(|outgoing| outgoing.parts().concat()).collect()
}

/// Requests of several kinds, as they are sent.
fn requests() -> Vec<Request> {
    let dir = Handle(RequestId(1));
    let at = || Named { dir, name: Name::new("name").unwrap() };
    let file_at = || FileAt { at: at(), follow: Follow::Never, atime: AccessTime::Keep };
    let file = Handle(RequestId(2));
    let spans = wire::List::new(vec![Span::new(0..10_000).unwrap()]).unwrap();
    let hash = PieceHash::Xxh3(DeltaSeed([7; 32]));
    let pieces = Pieces { grain: Grain::Block, hash, image_bytes: 10_000 };
    let room = || Room::new(10_000).unwrap();
    vec![
        Request::OpenRoot { path: OperatorPath::new("/srv").unwrap(), access: Access::Read },
        Request::OpenFile { file: file_at() },
        Request::List { dir, wants: Wants::all(), after: None, room: Room::new(10_000).unwrap() },
        Request::Look {
            at: Place::Named(at()),
            follow: Follow::Never,
            wants: Wants::all(),
            room: room(),
        },
        Request::Fetch { file: file_at(), wants: Wants::all(), room: room() },
        Request::FetchSome {
            dir,
            names: wire::List::new(vec![Name::new("a").unwrap(), Name::new("b").unwrap()]).unwrap(),
            atime: AccessTime::Keep,
            wants: Wants::all(),
            room: room(),
        },
        Request::Read { file, span: Span::new(0..10_000).unwrap() },
        Request::CheckSearch { dir },
        Request::OpenImage { path: OperatorPath::new("/dev/sda").unwrap() },
        Request::Digests { file, spans: spans.clone(), pieces },
        Request::ReadBlocks { file, spans },
        Request::Chunks {
            file,
            span: Span::new(0..10_000).unwrap(),
            cut: Cut { seed: DeltaSeed([3; 32]), longest_bytes: 10_000 },
        },
    ]
}

fn opened_image(metadata: Metadata) -> OpenedImage {
    let ground = Ground::Device { major: 8, minor: 0 };
    OpenedImage {
        metadata,
        changed_at: metadata.mtime,
        bytes: 10_000,
        is_rotational: true,
        mounted_at: Some(Text::new("/mnt")),
        kernel: Some([7; 32]),
        ground,
        grounds: wire::List::new(vec![ground]).unwrap(),
        shown: None,
    }
}

fn requester() -> Requester {
    let mut requester = Requester::new(Capacity::default(), u64::MAX);
    requester.lane_added(LANE).unwrap();
    for request in requests() {
        requester.start(request).unwrap();
    }
    requester
}

fn log() -> Vec<u8> {
    (0..50).flat_map(|line| format!("line {line}: all is well\n").into_bytes()).collect()
}

/// A piece of content, compressed.
fn packed(offset: u64, method: Method) -> Packed {
    let mut packer = Packer::default();
    packer.set(Packing { taken: Features::HERE, content: Some(method) });
    packer.pack(Piece::Data { offset, content: Content::new(log()).unwrap() }, true)
}

/// Frames of requests, and of responses to them.
fn exchanged() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut requester = requester();
    let asked: Vec<Outgoing> = std::iter::from_fn(|| requester.poll_transmit(LANE)).collect();
    let asked: Vec<_> = asked.iter().map(|outgoing| outgoing.parts().concat()).collect();
    let mut responder = Responder::new(Capacity::default());
    responder.lane_added(LANE).unwrap();
    let hello = hello();
    let mut link = Link::new(LaneEnd::FirstAcceptor, &hello, Patience::default(), Duration::ZERO);
    link.receive(&greeting(), Duration::ZERO).unwrap();
    link.receive(&asked.concat(), Duration::ZERO).unwrap();
    while let Some(frame) = link.poll_frame() {
        responder.handle_frame(LANE, &frame).unwrap();
    }
    let metadata = Metadata::unknown(Kind::Directory);
    while let Some(work) = responder.poll_work() {
        if let Work::Run(ticket, request) = work {
            if let Request::Read { .. } = request {
                for (offset, method) in [(0, Method::Zstd { level: 3 }), (5000, Method::Lz4)] {
                    responder.respond(ticket, packed(offset, method), End::More).unwrap();
                }
            }
            if let Request::FetchSome { .. } = request {
                let before = Box::new(Seen::bare(metadata));
                let file = FetchedFile { before, bytes: 10, after: None };
                let files = wire::List::new(vec![None, Some(file)]).unwrap();
                let told = Reply::Files { files, sum: ContentSum::default() };
                responder.respond(ticket, told, End::More).unwrap();
                let content = Content::new(vec![7; 10]).unwrap();
                let data = Piece::Data { offset: 0, content };
                responder.respond(ticket, data, End::Last).unwrap();
                continue;
            }
            if let Request::ReadBlocks { .. } = request {
                let filled = BlockMap::new([0b010]).unwrap();
                let told = Reply::Blocks(BlocksTold { filled, sum: ContentSum::default() });
                responder.respond(ticket, told, End::More).unwrap();
                let content = Content::new(vec![7; 4096]).unwrap();
                let data = Piece::Data { offset: 0, content };
                responder.respond(ticket, data, End::Last).unwrap();
                continue;
            }
            let reply = match request {
                Request::OpenImage { .. } => Reply::OpenedImage(Box::new(opened_image(metadata))),
                Request::Digests { .. } => {
                    let digests = wire::Digests::new(vec![7; 16]).unwrap();
                    let runs = vec![DigestRun::Zeros(1), DigestRun::Digests(digests)];
                    Reply::Digests(wire::List::new(runs).unwrap())
                }
                Request::Chunks { .. } => Reply::Chunks(wire::Chunks::new([7; 20]).unwrap()),
                _ if request.opens().is_some() => Reply::Opened(metadata),
                Request::Look { .. } => Reply::Seen(Box::new(Seen::bare(metadata))),
                Request::CheckSearch { .. } => Reply::Done,
                _ => Reply::Fault(wire::IoFault::new(wire::FaultKind::NotFound, "none")),
            };
            responder.respond(ticket, reply, End::Last).unwrap();
        }
    }
    let answered: Vec<Outgoing> = std::iter::from_fn(|| responder.poll_transmit(LANE)).collect();
    let answered = answered.iter().map(|outgoing| outgoing.parts().concat()).collect();
    (asked, answered)
}

fn hello() -> Hello {
    Hello {
        version: Text::new("0.1.0"),
        system: System::HERE,
        features: Features::empty(),
        capacity: Capacity::default(),
    }
}

fn greeting() -> Vec<u8> {
    let opening = Opening { session: SessionId([7; 16]), lane: LANE };
    let end = LaneEnd::Opener(opening);
    let mut link = Link::new(end, &hello(), Patience::default(), Duration::ZERO);
    bytes_of(|| link.poll_transmit())
}

fn job() -> (Job, Rules) {
    let mut rules = Rules::new(RuleOptions::default());
    for rule in ["- *.o", ": .merge", "P /kept", "+ d/"] {
        rules.push(rule.as_bytes(), &mut |_| Ok(Vec::new())).unwrap();
    }
    let mut settings = Settings::default();
    settings.traverse.files_from = Some(vec![b"a/b"[..].into(), b"c"[..].into()]);
    let job = Job {
        sources: vec![Source { path: "s/".into() }, Source { path: "t".into() }],
        destination: Some(Destination { path: "d".into() }),
        settings,
    };
    (job, rules)
}

fn image_job() -> BlocksJob {
    let changed = Some(vec![0..10, 4096..8192]);
    let settings = BlocksSettings { changed, undo: Some("u".into()), ..BlocksSettings::default() };
    BlocksJob { source: "s".into(), target: "t".into(), settings }
}

fn all_and_together(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let together = frames.concat();
    frames.into_iter().chain([together]).collect()
}

#[test]
fn whatever_a_requester_sends_a_responder_returns() {
    let (asked, _) = exchanged();
    let corpus = all_and_together(asked);
    check("to_responder", &corpus, |bytes| drop(wire::fuzzing::to_responder(bytes)));
    check("to_late_responder", &corpus, |bytes| drop(wire::fuzzing::to_late_responder(bytes)));
    let lanes: Vec<_> = corpus.iter().map(|frames| [greeting(), frames.clone()].concat()).collect();
    check("lane", &lanes, |bytes| drop(wire::fuzzing::lane(bytes)));
}

#[test]
fn whatever_a_responder_sends_a_requester_returns() {
    let (_, answered) = exchanged();
    let corpus = all_and_together(answered);
    check("to_requester", &corpus, |bytes| drop(wire::fuzzing::to_requester(bytes)));
}

#[test]
fn whatever_is_compressed_it_is_unpacked_as_it_was_or_refused() {
    const HEADER_BYTES: usize = 16;
    let (_, answered) = exchanged();
    let is_packed = |frame: &Vec<u8>| frame[5] & 0b110 > 0;
    let packed: Vec<_> = answered.into_iter().filter(is_packed).collect();
    assert_eq!(packed.len(), 2, "one of zstd, one of LZ4");
    let bodies = packed.iter().map(|frame| {
        let is_lz4 = frame[5] >> 2 & 1;
        [&[is_lz4], &frame[HEADER_BYTES..]].concat()
    });
    check("packed", &bodies.collect::<Vec<_>>(), |bytes| drop(wire::fuzzing::packed(bytes)));
    let contents = [log(), vec![7; 3000], (0..=255).collect(), log()[..300].repeat(4)];
    check("packed_and_unpacked", &contents, |bytes| {
        wire::fuzzing::packed_and_unpacked(bytes).unwrap();
    });
}

#[test]
fn whatever_is_said_on_the_control_lane_both_sides_return() {
    let mut controller = Control::new(Role::Controller);
    let offer = DirectOffer {
        fingerprint: Fingerprint([7; 32]),
        addresses: wire::List::new(vec![Text::new("192.0.2.1")]).unwrap(),
        port: Some(50_000),
    };
    let wish = DirectWish {
        kind: LaneKind::Tcp,
        listens: true,
        ports: PortRange::Within { first: 1, last: 9 },
        family: None,
    };
    controller.talk_of_direct(DirectTalk::Prepare(wish)).unwrap();
    controller.begin(Task::RunDestination, &[7; 500]).unwrap();
    let meeting = DirectMeeting {
        offer: offer.clone(),
        names: wire::List::new(vec![Text::new("web1")]).unwrap(),
        connects_after_ms: Some(500),
        peer: Text::new("the agent on web1"),
        silence_secs: 30,
        count: LaneCount::Auto,
        mixes_kinds: true,
        tells: true,
    };
    controller.talk_of_direct(DirectTalk::Meet(Box::new(meeting))).unwrap();
    let begun: Vec<Outgoing> = std::iter::from_fn(|| controller.poll_transmit()).collect();
    let begun: Vec<_> = begun.iter().map(|outgoing| outgoing.parts().concat()).collect();
    check("to_agent", &all_and_together(begun.clone()), |bytes| {
        drop(wire::fuzzing::to_agent(bytes));
    });
    let mut agent = Control::new(Role::Agent);
    let mut link = Link::new(LaneEnd::FirstAcceptor, &hello(), Patience::default(), Duration::ZERO);
    link.receive(&[greeting(), begun.concat()].concat(), Duration::ZERO).unwrap();
    while let Some(frame) = link.poll_frame() {
        agent.handle_frame(LANE, &frame).unwrap();
    }
    while agent.poll_told().is_some() {}
    while agent.poll_direct_talk().is_some() {}
    agent.talk_of_direct(DirectTalk::Ready(offer)).unwrap();
    agent.talk_of_direct(DirectTalk::Met).unwrap();
    agent.event(EventBytes::new(vec![1; 40]).unwrap()).unwrap();
    let (loss, text) = (Some(wire::DirectLoss::Cut), Text::new("gone"));
    let end = wire::DirectEnd { sent_bytes: 1, received_bytes: 300, loss, text };
    agent.talk_of_direct(DirectTalk::Over(end)).unwrap();
    agent.progress(wire::ProgressBytes::new(vec![2; 40]).unwrap()).unwrap();
    agent.ended(wire::OutcomeBytes::new(vec![3; 40]).unwrap()).unwrap();
    let told = vec![bytes_of(|| agent.poll_transmit())];
    check("to_controller", &told, |bytes| drop(wire::fuzzing::to_controller(bytes)));
}

#[test]
fn whatever_stands_in_a_job_it_is_read_or_refused() {
    let (job, rules) = job();
    let list = List { path: b"~/list"[..].into(), from0: true };
    let besides = Besides { source_directory: b"/home"[..].into(), list: Some(list.clone()) };
    let corpus = [
        Errand::to_bytes(&job, &rules, &besides, UNIX_EPOCH).unwrap(),
        Service::to_bytes(&job, &rules, Some(&list), Asks::AnotherHost).unwrap(),
        errand::image_to_bytes(&image_job()).unwrap(),
        ImageService { source: b"~/image"[..].into(), compression: None }.to_bytes().unwrap(),
    ];
    check("from_controller", &corpus, errand::fuzzing::from_controller);
}

#[test]
fn whatever_an_agent_tells_it_is_heard_or_refused() {
    let corpus = [vec![3, 1, 2, 3, 5, 0, 0, 0, 0, 0], vec![0; 200], vec![0xff; 64]];
    check("from_agent", &corpus, errand::fuzzing::from_agent);
    let found = [vec![0, 1, 0, 0, 0, b'/', 1, 0, 0, 0, 1, 0, 0, 0, b'a', 0], vec![1, 0, 0]];
    check("from_source", &found, errand::fuzzing::from_source);
}

#[test]
fn whatever_a_peer_tells_of_a_file_it_is_read_or_refused() {
    let content: Vec<u8> = (0..700_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let (seed, shape) = (Seed::from([7; 32]), Shape::new(100, 16).unwrap());
    let read_at = |at: u64, buffer: &mut [u8]| {
        let at = usize::try_from(at).unwrap();
        buffer.copy_from_slice(&content[at..at + buffer.len()]);
        Ok(())
    };
    let mut signature = Vec::new();
    Signature::new(&seed, shape, 0..700, read_at).unwrap().encode(&mut signature);
    let (mut operations, mut encoder) = (Vec::new(), Encoder::new(0));
    for operation in [
        Operation::Copy { offset: 300, length: 200 },
        Operation::Literal(b"new"),
        Operation::Copy { offset: 0, length: 100 },
    ] {
        encoder.encode(operation, &mut operations);
    }
    check("from_peer", &[signature, operations], delta::fuzzing::from_peer);
}
