//! A server, asked by a requester over a lane in memory.

use std::path::PathBuf;
use std::time::Duration;

use fs::{AccessTime, Existing};
use model::{DeviceNumber, Kind, Timestamp};
use tempfile::TempDir;
use wire::{
    Answer, Capacity, Features, Fetched, Hello, LaneEnd, LaneNumber, Link, LinkText, List, Name,
    Opening, Outcome, PageEnd, Patience, Requester, Responder, Room, SessionId, Span, System, Text,
    Wants, Work,
};

use super::*;

/// What is served, and what is not.
mod terms;
/// Files that are fetched together.
mod together;

const LANE: LaneNumber = LaneNumber::FIRST;
const NOW: Duration = Duration::ZERO;
const EVERYTHING: Wants = Wants::all();

/// Hands pieces to a responder.
struct ToResponder<'a> {
    responder: &'a mut Responder,
    ticket: Ticket,
}

impl Respond for ToResponder<'_> {
    fn respond(&mut self, piece: Piece, end: End) -> Result<Delivery, RespondError> {
        self.responder.respond(self.ticket, piece, end)
    }
}

/// A requester, a lane, a responder and a server, and the tree that is served.
struct Session {
    requester: Requester,
    near: Link,
    far: Link,
    responder: Responder,
    server: Server,
    scratch: TempDir,
    here: Dir,
}

impl Session {
    fn new(terms: impl FnOnce(Box<[u8]>) -> Terms) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let top: Box<[u8]> = scratch.path().as_os_str().as_bytes().into();
        let capacity = Capacity::default();
        let hello = Hello {
            version: Text::new("test"),
            system: System::HERE,
            features: Features::empty(),
            capacity,
        };
        let opening = Opening { session: SessionId([7; 16]), lane: LANE };
        let link = |end| Link::new(end, &hello, Patience::default(), NOW);
        let mut session = Self {
            requester: Requester::new(capacity, u64::MAX),
            near: link(LaneEnd::Opener(opening)),
            far: link(LaneEnd::FirstAcceptor),
            responder: Responder::new(capacity),
            server: Server::new(terms(top)),
            here: Dir::open_operator(scratch.path()).unwrap(),
            scratch,
        };
        session.requester.lane_added(LANE).unwrap();
        session.responder.lane_added(LANE).unwrap();
        session
    }

    /// Terms on which the tree is served and all may be asked.
    fn trusting() -> Self {
        Self::new(|_| Terms::trusting())
    }

    /// Asks, and lets all happen that follows.
    fn exchange(&mut self, request: Request) -> (Handle, Outcome) {
        let id = self.requester.start(request).unwrap();
        self.requests_arrive();
        self.serve();
        self.responses_arrive();
        let (answered, outcome) = self.requester.poll_answer().expect("what is asked is answered");
        assert_eq!(answered, id);
        (Handle(id), outcome)
    }

    fn ask(&mut self, request: Request) -> Outcome {
        self.exchange(request).1
    }

    /// Asks for something to be opened.
    fn open(&mut self, request: Request) -> Result<Handle, IoFault> {
        let (handle, outcome) = self.exchange(request);
        outcome.map(|_| handle)
    }

    fn requests_arrive(&mut self) {
        while let Some(outgoing) =
            self.near.poll_transmit().or_else(|| self.requester.poll_transmit(LANE))
        {
            self.far.receive(&outgoing.parts().concat(), NOW).unwrap();
            while let Some(frame) = self.far.poll_frame() {
                self.responder.handle_frame(LANE, &frame).unwrap();
            }
        }
    }

    fn serve(&mut self) {
        while let Some(work) = self.responder.poll_work() {
            match work {
                Work::Run(ticket, request) => {
                    let mut respond = ToResponder { responder: &mut self.responder, ticket };
                    self.server.run(ticket, request, &mut respond);
                }
                Work::Drop(handle) => self.server.drop_handle(handle),
                Work::Cancel(ticket) => self.server.cancel(ticket),
                Work::CloseLane(_) => {}
            }
        }
    }

    fn responses_arrive(&mut self) {
        while let Some(outgoing) =
            self.far.poll_transmit().or_else(|| self.responder.poll_transmit(LANE))
        {
            self.near.receive(&outgoing.parts().concat(), NOW).unwrap();
            while let Some(frame) = self.near.poll_frame() {
                self.requester.handle_frame(LANE, frame).unwrap();
            }
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.scratch.path().join(below)
    }

    fn root(&mut self) -> Handle {
        let path = self.path("");
        self.open(root_at(&path)).unwrap()
    }

    fn child(&mut self, dir: Handle, name: &str) -> Result<Handle, IoFault> {
        self.open(child(dir, name, Follow::Never))
    }

    fn file(&mut self, dir: Handle, name: &str) -> Handle {
        self.open(Request::OpenFile { file: file_at(dir, name, Follow::Never) }).unwrap()
    }

    fn refusal(&mut self, request: Request) -> FaultKind {
        self.ask(request).unwrap_err().kind
    }
}

fn root_at(path: &Path) -> Request {
    let path = OperatorPath::new(path.as_os_str().as_bytes()).unwrap();
    Request::OpenRoot { path, access: Access::Read }
}

fn named(dir: Handle, name: impl AsRef<[u8]>) -> Named {
    Named { dir, name: Name::new(name).unwrap() }
}

fn file_at(dir: Handle, name: &str, follow: Follow) -> FileAt {
    FileAt { at: named(dir, name), follow, atime: wire::AccessTime::Keep }
}

fn child(dir: Handle, name: &str, follow: Follow) -> Request {
    let atime = wire::AccessTime::Update;
    Request::OpenChild { at: named(dir, name), access: Access::Read, follow, atime }
}

fn look(dir: Handle, name: &str, follow: Follow) -> Request {
    let room = Room::new(1 << 20).unwrap();
    Request::Look { at: Place::Named(named(dir, name)), follow, wants: EVERYTHING, room }
}

fn fetch(dir: Handle, name: &str, room: u32) -> Request {
    let (file, room) = (file_at(dir, name, Follow::Never), Room::new(room).unwrap());
    Request::Fetch { file, wants: EVERYTHING, room }
}

fn write(dir: &Dir, name: &str, content: &[u8]) -> File {
    let file = dir.create_file(name.as_bytes(), 0o644).unwrap();
    file.write_all_at(content, 0).unwrap();
    file
}

fn make_dir(dir: &Dir, name: &str) -> Dir {
    dir.make_dir(name.as_bytes(), 0o755).unwrap();
    dir.open_child(name.as_bytes(), AccessTime::Update).unwrap()
}

/// Metadata but for what may change by itself: the space that is allocated, and when a link was read.
fn settled(metadata: Metadata) -> Metadata {
    let is_link = metadata.kind == Kind::Symlink;
    let atime = if is_link { Timestamp::default() } else { metadata.atime };
    Metadata { allocated_blocks: 0, atime, ..metadata }
}

fn sum(content: &[u8]) -> wire::ContentSum {
    wire::ContentSum(*blake3::hash(content).as_bytes())
}

fn whole(pieces: &[wire::Content]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.iter().copied()).collect()
}

#[test]
fn a_directory_is_listed_response_by_response() {
    let mut session = Session::trusting();
    let mut expected: Vec<String> = (0..5000).map(|number| format!("n{number:060}")).collect();
    for name in &expected {
        write(&session.here, name, b"12");
    }
    session.here.make_symlink(b"no\xffwhere", b"link").unwrap();
    expected.insert(0, "link".to_owned());
    let dir = session.root();
    for wants in [Wants::empty(), Wants::METADATA, EVERYTHING] {
        let (mut names, mut after, mut responses) = (Vec::new(), None, 0);
        loop {
            let room = Room::new(100_000).unwrap();
            let answer = session.ask(Request::List { dir, wants, after, room }).unwrap();
            let Answer::Listed { entries, end } = answer else { panic!("{answer:?}") };
            for entry in &entries {
                assert_eq!(entry.seen.is_some(), !wants.is_empty());
                let Some(seen) = &entry.seen else { continue };
                let seen = seen.as_ref().unwrap();
                let now = session.here.stat(entry.name.as_bytes()).unwrap();
                assert_eq!(settled(seen.metadata), settled(now));
                let is_link = wants.contains(Wants::LINK) && seen.metadata.kind == Kind::Symlink;
                let text = is_link.then(|| Ok(LinkText::new(b"no\xffwhere").unwrap()));
                assert_eq!(seen.link, text);
            }
            after = entries.last().map(|entry| entry.name.clone());
            names.extend(entries.into_iter().map(|entry| entry.name));
            responses += 1;
            if end != PageEnd::More {
                assert_eq!(end, PageEnd::Complete);
                break;
            }
        }
        assert!(names.iter().map(Name::as_bytes).eq(expected.iter().map(String::as_bytes)));
        assert!(responses > 1);
    }
}

#[test]
fn files_are_fetched_read_and_summed() {
    let mut session = Session::trusting();
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let size = bytes.len() as u64;
    write(&session.here, "file", &bytes);
    write(&session.here, "empty", b"");
    let dir = session.root();
    for (name, room, expected) in [
        ("file", 800_000, Some(&bytes[..])),
        ("file", 799_999, None),
        ("empty", 0, Some(&bytes[..0])),
    ] {
        let answer = session.ask(fetch(dir, name, room)).unwrap();
        let Answer::Fetched(Fetched { before, pieces, after }) = answer else {
            panic!("{answer:?}")
        };
        let now = session.here.stat(name.as_bytes()).unwrap();
        assert_eq!(settled(before.seen.metadata), settled(now));
        let after = after.map(|after| (settled(after.metadata), after.sum));
        let as_read = expected.map(|content| (settled(now), sum(content)));
        assert_eq!(after, as_read, "{name} {room}");
        assert!(whole(&pieces) == expected.unwrap_or_default(), "{name} {room}");
    }
    let file = session.file(dir, "file");
    for (range, end) in [(0..size, None), (5..700_001, None), (size - 1..size + 1, Some(size))] {
        let span = Span::new(range.clone()).unwrap();
        let answer = session.ask(Request::Read { file, span }).unwrap();
        let Answer::Read(read) = answer else { panic!("{answer:?}") };
        let content: Vec<u8> =
            read.pieces.iter().flat_map(|(_, content)| content.iter().copied()).collect();
        let range =
            usize::try_from(range.start).unwrap()..usize::try_from(range.end.min(size)).unwrap();
        assert!(content == bytes[range] && read.file_end == end);
        assert_eq!(read.sum, sum(&content));
        let of = wire::ContentOf::Open(file);
        let hash = Request::Hash { of, algorithm: wire::Algorithm::Blake3, seed: 0, span };
        let Answer::Digest(digest) = session.ask(hash).unwrap() else { panic!("no digest") };
        assert_eq!(digest.as_bytes(), blake3::hash(&content).as_bytes());
    }
    let behind = Span::new(size + 5..size + 9).unwrap();
    let answer = session.ask(Request::Read { file, span: behind }).unwrap();
    let Answer::Read(read) = answer else { panic!("{answer:?}") };
    assert!(read.pieces.is_empty() && read.file_end == Some(size + 5));
    assert_eq!(session.ask(Request::Measure { file }), Ok(Answer::Size(size)));
}

#[test]
fn extents_are_told_a_few_at_a_time() {
    const HOLE: u64 = 1 << 20;
    let mut session = Session::trusting();
    let file = write(&session.here, "file", b"");
    for number in [1, 3, 5] {
        file.write_all_at(&[1; 4096], number * HOLE).unwrap();
    }
    file.set_len(8 * HOLE).unwrap();
    let expected: Vec<_> = file.data_extents(0..8 * HOLE).map(Result::unwrap).collect();
    let dir = session.root();
    let file = session.file(dir, "file");
    let (mut told, mut from) = (Vec::new(), 0);
    while from < 8 * HOLE {
        let (span, room) = (Span::new(from..8 * HOLE).unwrap(), Room::new(20).unwrap());
        let answer = session.ask(Request::FindExtents { file, span, room }).unwrap();
        let Answer::Extents { data, known_to, .. } = answer else { panic!("{answer:?}") };
        assert!(data.len() <= 1);
        told.extend(data);
        from = known_to;
    }
    assert_eq!(told, expected);
}

#[test]
fn attributes_come_with_an_entry_however_long_they_are() {
    let mut session = Session::trusting();
    let file = write(&session.here, "file", b"");
    let below = make_dir(&session.here, "below");
    session.here.make_symlink(b"file", b"link").unwrap();
    fs::xattr::set((&file).into(), b"user.a", b"1").unwrap();
    let acl = fs::Acl::from_mode(0o750);
    fs::acl::write((&below).into(), fs::acl::Which::Default, Some(&acl)).unwrap();
    let dir = session.root();
    let mut names = vec![&b"user.a"[..]];
    for long in [&b"user.b"[..], b"user.c"] {
        for follow in [Follow::Never, Follow::Links] {
            let name = if follow == Follow::Links { "link" } else { "file" };
            let Answer::Seen(entry) = session.ask(look(dir, name, follow)).unwrap() else {
                panic!("nothing was seen")
            };
            let told = entry.attributes().map(|one| one.name.as_bytes());
            let mut told: Vec<_> = told.filter(|name| name.starts_with(b"user.")).collect();
            told.sort_unstable();
            assert_eq!(told, names);
        }
        // What the file system refuses is not told.
        if fs::xattr::set((&file).into(), long, &vec![7; 20_000]).is_ok() {
            names.push(long);
        }
    }
    let Answer::Seen(entry) = session.ask(look(dir, "below", Follow::Never)).unwrap() else {
        panic!("nothing was seen")
    };
    let acls = entry.seen.acls.unwrap().unwrap();
    assert_eq!(acls.default.unwrap().as_bytes(), acl.to_bytes());
    assert_eq!(acls.access, None);
}

#[test]
fn an_error_arrives_as_the_kernel_gave_it() {
    let mut session = Session::trusting();
    write(&session.here, "file", b"");
    session.here.make_symlink(b"file", b"link").unwrap();
    let dir = session.root();
    let file = session.file(dir, "file");
    for (request, kind) in [
        (root_at(&session.path("none")), FaultKind::NotFound),
        (root_at(&session.path("file")), FaultKind::NotADirectory),
        (child(dir, "none", Follow::Never), FaultKind::NotFound),
        (child(dir, "link", Follow::Links), FaultKind::NotADirectory),
        (look(dir, "none", Follow::Links), FaultKind::NotFound),
        (fetch(dir, "none", 0), FaultKind::NotFound),
        (Request::CheckSearch { dir: file }, FaultKind::WrongHandle),
        (Request::Measure { file: dir }, FaultKind::WrongHandle),
    ] {
        assert_eq!(session.refusal(request.clone()), kind, "{request:?}");
    }
    let missing = session.ask(look(dir, "none", Follow::Never)).unwrap_err();
    assert_eq!(missing.errno, session.here.stat(b"none").unwrap_err().raw_os_error());
}

#[test]
fn the_way_up_is_the_way_down_and_ends_at_the_root() {
    let mut session = Session::trusting();
    let below = make_dir(&session.here, "below");
    make_dir(&below, "deep");
    let elsewhere = make_dir(&session.here, "elsewhere");
    let dir = session.root();
    let mut at = dir;
    for name in ["below", "deep"] {
        at = session.child(at, name).unwrap();
    }
    let (deep, mut up) = (at, at);
    for _ in 0..2 {
        up = session.open(Request::OpenParent { dir: up }).unwrap();
    }
    let (wants, room) = (Wants::METADATA, Room::new(0).unwrap());
    let top = Request::Look { at: Place::Itself(up), follow: Follow::Never, wants, room };
    let Answer::Seen(top) = session.ask(top).unwrap() else { panic!("nothing was seen") };
    assert!(top.seen.metadata.is_same_inode(&session.here.metadata().unwrap()));
    assert_eq!(session.refusal(Request::OpenParent { dir: up }), FaultKind::NotServed);
    below.rename(b"deep", &elsewhere, b"deep", Existing::Refuse).unwrap();
    assert_eq!(session.refusal(Request::OpenParent { dir: deep }), FaultKind::NotServed);
}

#[test]
fn only_the_file_that_was_expected_is_removed() {
    let mut session = Session::trusting();
    write(&session.here, "file", b"old");
    let dir = session.root();
    let now = session.here.stat(b"file").unwrap();
    let expected = Expected { dev: now.dev, ino: now.ino, size: now.size, mtime: now.mtime };
    let remove = |expected| Request::Remove { at: named(dir, "file"), expected };
    let other = Expected { size: 4, ..expected };
    assert_eq!(session.refusal(remove(other)), FaultKind::Changed);
    assert_eq!(session.ask(remove(expected)), Ok(Answer::Done));
    session.here.stat(b"file").unwrap_err();
    assert_eq!(session.refusal(remove(expected)), FaultKind::NotFound);
}

#[test]
fn what_is_closed_is_dropped_and_special_files_are_not_read() {
    let mut session = Session::trusting();
    session.here.make_node(b"fifo", Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
    let dir = session.root();
    let Answer::Fetched(fetched) = session.ask(fetch(dir, "fifo", 4096)).unwrap() else {
        panic!("nothing was fetched")
    };
    assert_eq!((fetched.before.seen.metadata.kind, fetched.after), (Kind::Fifo, None));
    let again = session.open(Request::Reopen { dir }).unwrap();
    assert_eq!(session.server.handle_count(), 2);
    let handles = List::new(vec![dir, again]).unwrap();
    assert_eq!(session.ask(Request::Close { handles }), Ok(Answer::Done));
    assert_eq!(session.server.handle_count(), 0);
}

/// The old file that signatures are of, in blocks of 1000 bytes.
fn old_file() -> Vec<u8> {
    (0..50_000_u32).flat_map(u32::to_le_bytes).collect()
}

const SEED: wire::DeltaSeed = wire::DeltaSeed([3; 32]);

fn signature(range: std::ops::Range<u64>) -> wire::Signature {
    let old = old_file();
    let read = |offset: u64, buffer: &mut [u8]| {
        buffer.copy_from_slice(&old[usize::try_from(offset).unwrap()..][..buffer.len()]);
        Ok(())
    };
    let shape = delta::Shape::new(1000, 8).unwrap();
    let signature = Signature::new(&delta::Seed::from(SEED.0), shape, range, read).unwrap();
    let mut bytes = Vec::new();
    signature.encode(&mut bytes);
    wire::Signature::new(bytes).unwrap()
}

fn sign(range: std::ops::Range<u64>) -> Request {
    Request::Sign { signature: signature(range) }
}

fn delta(file: Handle, span: std::ops::Range<u64>, signatures: &[Handle], room: u32) -> Request {
    let signatures = List::new(signatures.to_vec()).unwrap();
    let basis = Basis { signatures, seed: SEED, update: wire::Update::Apart };
    Request::Delta { file, span: Span::new(span).unwrap(), basis, room: Room::new(room).unwrap() }
}

/// What operations make of the old file, from this place on. Their sum is of that.
fn made(outcome: Outcome, start: u64) -> Vec<u8> {
    let Answer::Operations { pieces, sum: told } = outcome.unwrap() else { panic!("other answer") };
    let made = applied(&pieces, start);
    assert_eq!(told, sum(&made));
    made
}

fn applied(pieces: &[wire::Content], start: u64) -> Vec<u8> {
    let (old, mut made, mut decoder) = (old_file(), Vec::new(), delta::Decoder::new(start));
    for piece in pieces {
        for operation in decoder.decode(piece) {
            match operation.unwrap() {
                delta::Operation::Copy { offset, length } => {
                    let start = usize::try_from(offset).unwrap();
                    made.extend_from_slice(&old[start..][..usize::try_from(length).unwrap()]);
                }
                delta::Operation::Literal(bytes) => made.extend_from_slice(bytes),
            }
        }
    }
    made
}

#[test]
fn operations_make_the_file_of_an_old_one_however_little_room_there_is() {
    let mut session = Session::trusting();
    let new = [&old_file()[..70_500], &[7; 9000], &old_file()[71_000..]].concat();
    write(&session.here, "file", &new);
    let root = session.root();
    let file = session.file(root, "file");
    let signed = [sign(0..100_000), sign(100_000..200_000)].map(|sign| session.open(sign).unwrap());
    let whole = session.ask(delta(file, 0..1 << 40, &signed, 1 << 20));
    assert!(matches!(&whole, Ok(Answer::Operations { pieces, .. }) if pieces[0].len() < 10_600));
    assert!(made(whole, 0) == new);
    assert!(made(session.ask(delta(file, 0..1 << 40, &[], 1 << 20)), 0) == new);
    for room in [120, 500, 9000] {
        let mut made_until = 60_000;
        while made_until < 90_000 {
            let next =
                made(session.ask(delta(file, made_until..90_000, &signed, room)), made_until);
            let start = usize::try_from(made_until).unwrap();
            assert!(!next.is_empty() && new[start..].starts_with(&next));
            made_until += next.len() as u64;
        }
    }
    let end = new.len() as u64;
    let needed = FaultKind::NoRoom { needed_bytes: 21 };
    assert_eq!(session.refusal(delta(file, 0..1, &signed, 20)), needed);
    assert_eq!(session.refusal(delta(file, end..end + 1, &signed, 1000)), FaultKind::UnexpectedEof);
}

#[test]
fn a_small_file_is_renewed_by_one_request() {
    let mut session = Session::trusting();
    let new = [&old_file()[..70_500], &[7; 9000], &old_file()[71_000..]].concat();
    write(&session.here, "file", &new);
    write(&session.here, "empty", b"");
    session.here.make_symlink(b"file", b"link").unwrap();
    let dir = session.root();
    let old = || wire::OldFile { signature: signature(0..200_000), seed: SEED };
    let renew = |name: &str, old, room| {
        let Request::Fetch { file, wants, room } = fetch(dir, name, room) else { unreachable!() };
        Request::Renew { file, wants, old, room }
    };
    for (name, content) in [("file", &new[..]), ("empty", b"")] {
        let answer = session.ask(renew(name, old(), 300_000)).unwrap();
        let Answer::Renewed(Fetched { before, pieces, after }) = answer else {
            panic!("{answer:?}")
        };
        let now = session.here.stat(name.as_bytes()).unwrap();
        assert_eq!(settled(before.seen.metadata), settled(now));
        let after = after.unwrap();
        assert_eq!((settled(after.metadata), after.sum), (settled(now), sum(content)));
        assert!(applied(&pieces, 0) == content);
        assert!(whole(&pieces).len() < 10_600);
    }
    // What has more content than there is room for, or is no file, is only looked at.
    for (name, room) in [("file", 200_000), ("link", 300_000)] {
        let answer = session.ask(renew(name, old(), room)).unwrap();
        let Answer::Renewed(fetched) = answer else { panic!("{answer:?}") };
        assert!(fetched.pieces.is_empty() && fetched.after.is_none(), "{name}");
    }
    let unsound =
        wire::OldFile { signature: wire::Signature::new(b"\x02unsound").unwrap(), ..old() };
    assert_eq!(session.refusal(renew("file", unsound, 300_000)), FaultKind::InvalidInput);
}

#[test]
fn what_is_no_signature_or_does_not_fit_together_is_refused() {
    let mut session = Session::trusting();
    write(&session.here, "file", b"content");
    let root = session.root();
    let file = session.file(root, "file");
    let unsound = Request::Sign { signature: wire::Signature::new(b"\x01unsound").unwrap() };
    assert_eq!(session.refusal(unsound), FaultKind::InvalidInput);
    let first = session.open(sign(0..100_000)).unwrap();
    let third = session.open(sign(150_000..200_000)).unwrap();
    let gap = delta(file, 0..7, &[first, third], 1000);
    assert_eq!(session.refusal(gap), FaultKind::InvalidInput);
    assert_eq!(session.refusal(delta(root, 0..7, &[first], 1000)), FaultKind::WrongHandle);
    assert_eq!(session.refusal(delta(file, 0..7, &[file], 1000)), FaultKind::WrongHandle);
}
