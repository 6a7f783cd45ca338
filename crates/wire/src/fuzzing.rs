//! Everything that decodes, in one call: whatever the bytes are, each function returns.
//!
//! They stand for one lane each, in one direction, whose greeting is over (except where it is what is
//! looked at), and tell how many frames they took before the end or the first rule that was broken.

use std::time::Duration;

use model::settings::Method;

use crate::bounded::{List, Name, OperatorPath, Signature, Text};
use crate::control::{Control, Role, Task};
use crate::frame::{Content, Decoder, Flags, Frame, FrameKind, Header, RequestId};
use crate::greeting::{Capacity, Features, Hello, SessionId, System};
use crate::image::{Cut, Grain, PieceHash, Pieces};
use crate::io_fault::{FaultKind, IoFault};
use crate::lane::{LaneEnd, LaneNumber, Link, Patience};
use crate::limits::WINDOW_DEFAULT_BYTES;
use crate::packing::{Packer, Packing, Unpacker};
use crate::request::{
    Access, AccessTime, Algorithm, Basis, ContentOf, DeltaSeed, Expected, FileAt, Follow, Handle,
    Named, OldFile, Owner, Place, Request, Room, Span, Update,
};
use crate::requester::Requester;
use crate::responder::{End, Responder, Work};
use crate::response::{Arrived, Piece, Reply};
use crate::seen::Wants;
use crate::violation::Violation;

/// A lane from its first byte on.
pub fn lane(bytes: &[u8]) -> Result<usize, Violation> {
    let hello = Hello {
        version: Text::new("0.1.0"),
        system: System::HERE,
        features: Features::empty(),
        capacity: Capacity::default(),
    };
    let end = LaneEnd::Acceptor(SessionId([7; 16]));
    let mut link = Link::new(end, &hello, Patience::default(), Duration::ZERO);
    link.receive(bytes, Duration::ZERO)?;
    link.ended()?;
    Ok(std::iter::from_fn(|| link.poll_frame()).count())
}

/// Frames of requests, to a responder that answers what it can without a file system.
pub fn to_responder(bytes: &[u8]) -> Result<usize, Violation> {
    let mut responder = Responder::new(Capacity::default());
    responder.lane_added(LaneNumber::FIRST)?;
    each_frame(bytes, |frame| {
        responder.handle_frame(LaneNumber::FIRST, &frame)?;
        while let Some(work) = responder.poll_work() {
            if let Work::Run(ticket, request) = work {
                let reply = match request.opens() {
                    Some(_) => Reply::Opened(model::Metadata::unknown(model::Kind::Directory)),
                    None => Reply::Done,
                };
                // What this does not answer goes on being asked.
                let _answered = responder.respond(ticket, reply, End::Last);
            }
        }
        while responder.poll_transmit(LaneNumber::FIRST).is_some() {}
        Ok(())
    })
}

/// The same to one that answers late, by a fault for each third: what waits for a handle goes on, or ends.
pub fn to_late_responder(bytes: &[u8]) -> Result<usize, Violation> {
    let mut responder = Responder::new(Capacity::default());
    responder.lane_added(LaneNumber::FIRST)?;
    let mut asked = Vec::new();
    let taken = each_frame(bytes, |frame| responder.handle_frame(LaneNumber::FIRST, &frame));
    loop {
        asked.extend(std::iter::from_fn(|| responder.poll_work()));
        let Some(work) = asked.pop() else { return taken };
        if let Work::Run(ticket, request) = work {
            let reply = match request.opens() {
                Some(_) if ticket.id.0 % 3 > 0 => {
                    Reply::Opened(model::Metadata::unknown(model::Kind::Directory))
                }
                _ => Reply::Fault(IoFault::new(FaultKind::NotFound, "none")),
            };
            let _answered = responder.respond(ticket, reply, End::Last);
        }
        while responder.poll_transmit(LaneNumber::FIRST).is_some() {}
    }
}

/// Frames of responses, to a requester that has asked each request once, numbered from 1.
pub fn to_requester(bytes: &[u8]) -> Result<usize, Violation> {
    let mut requester = Requester::new(Capacity::default(), WINDOW_DEFAULT_BYTES);
    requester.lane_added(LaneNumber::FIRST)?;
    for request in one_of_each() {
        let started = requester.start(request);
        debug_assert!(started.is_ok(), "all of them fit");
    }
    each_frame(bytes, |frame| {
        requester.handle_frame(LaneNumber::FIRST, frame)?;
        while requester.poll_answer().is_some() {}
        Ok(())
    })
}

/// A compressed body: of LZ4 if the first byte is odd, and else of zstd. Tells how long it was before.
pub fn packed(bytes: &[u8]) -> Result<usize, Violation> {
    let (method, body) = bytes.split_first().unwrap_or((&0, bytes));
    let flags = if method & 1 == 1 { Flags::LZ4 } else { Flags::ZSTD };
    let header = Header { id: RequestId(1), flags, ..Header::plain(FrameKind::Data) };
    let frame = Frame { header, body: body.to_vec() };
    Unpacker::default().unpack(frame).map(|frame| frame.body.len())
}

/// Content that is compressed by each method and comes out as it was.
///
/// # Panics
///
/// Where it does not.
pub fn packed_and_unpacked(bytes: &[u8]) -> Result<(), Violation> {
    let Ok(content) = Content::new(bytes.to_vec()) else { return Ok(()) };
    for method in [Method::Zstd { level: 1 }, Method::Lz4] {
        let mut packer = Packer::default();
        packer.set(Packing { taken: Features::HERE, content: Some(method) });
        let piece = Piece::Data { offset: 7, content: content.clone() };
        let header = Header { id: RequestId(1), ..Header::plain(FrameKind::Data) };
        let (outgoing, _) = packer.pack(piece.clone(), true).into_outgoing(header);
        each_frame(&outgoing.parts().concat(), |frame| {
            let arrived = Arrived::decode(frame, &mut Unpacker::default())?;
            assert!(arrived.piece == piece, "{method:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// Frames of control messages, to an agent.
pub fn to_agent(bytes: &[u8]) -> Result<usize, Violation> {
    to_control(&mut Control::new(Role::Agent), bytes)
}

/// Frames of control messages, to a controller that has begun some work.
pub fn to_controller(bytes: &[u8]) -> Result<usize, Violation> {
    let mut control = Control::new(Role::Controller);
    let begun = control.begin(Task::ServeSource, b"work");
    debug_assert!(begun.is_ok(), "a new controller can begin");
    to_control(&mut control, bytes)
}

fn to_control(control: &mut Control, bytes: &[u8]) -> Result<usize, Violation> {
    each_frame(bytes, |frame| {
        control.handle_frame(LaneNumber::FIRST, &frame)?;
        while control.poll_told().is_some() {}
        while control.poll_direct_talk().is_some() {}
        while control.poll_transmit().is_some() {}
        Ok(())
    })
}

fn each_frame(
    mut bytes: &[u8],
    mut take: impl FnMut(Frame) -> Result<(), Violation>,
) -> Result<usize, Violation> {
    let mut decoder = Decoder::default();
    let mut count = 0;
    while !bytes.is_empty() {
        if let Some(frame) = decoder.feed(&mut bytes)? {
            take(frame)?;
            count += 1;
        }
    }
    Ok(count)
}

/// One request of each kind: 1 opens the directory and 2 the file that the others name.
pub(crate) fn one_of_each() -> Vec<Request> {
    let (dir, file) = (Handle(RequestId(1)), Handle(RequestId(2)));
    let name = Name::new("name").expect("it is one component");
    let path = OperatorPath::new("/srv").expect("it is a path");
    let signature = Signature::new("").expect("it is short");
    let span = Span::new(0..100).expect("it is not empty");
    let at = Named { dir, name };
    let named = FileAt { at: at.clone(), follow: Follow::Never, atime: AccessTime::Keep };
    let (room, follow, wants) = (Room::new(10_000), Follow::Never, Wants::all());
    let room = room.expect("it is not too much");
    let list_room = Room::new(10_000).expect("it is enough");
    let (access, atime) = (Access::Read, AccessTime::Update);
    let mtime = model::Timestamp { secs: -1, nanos: 5 };
    let (algorithm, seed) = (Algorithm::Xxh128, 0);
    let of = ContentOf::Named(named.clone());
    // A signature would have to be open already.
    let (signatures, seed_of_sums) = (List::default(), DeltaSeed([7; 32]));
    let basis = Basis { signatures, seed: seed_of_sums, update: Update::InPlace };
    let names = ["a", "b"].map(|name| Name::new(name).expect("it is one component"));
    let names = List::new(names.into()).expect("they are few");
    let image = OperatorPath::new("/dev/sda").expect("it is a path");
    let spans = List::new(vec![span]).expect("it is one");
    let hash = PieceHash::Xxh3(seed_of_sums);
    let pieces = Pieces { grain: Grain::Block, hash, image_bytes: 100 };
    vec![
        Request::OpenRoot { path, access },
        Request::OpenFile { file: named.clone() },
        Request::OpenChild { at: at.clone(), access, follow, atime },
        Request::OpenParent { dir },
        Request::Reopen { dir },
        Request::List { dir, wants, after: None, room: list_room },
        Request::Look { at: Place::Named(at.clone()), follow, wants, room },
        Request::CheckSearch { dir },
        Request::LookAtMount { at: Place::Itself(dir) },
        Request::Fetch { file: named.clone(), wants, room },
        Request::Read { file, span },
        Request::FindExtents { file, span, room },
        Request::Hash { of: ContentOf::Open(file), algorithm, seed, span },
        Request::Hash { of, algorithm: Algorithm::Blake3, seed, span },
        Request::Delta { file, span, basis, room },
        Request::LookAtFile { file, wants, room },
        Request::Measure { file },
        Request::Remove { at, expected: Expected { dev: 1, ino: 2, size: 3, mtime } },
        Request::Close { handles: List::new(vec![dir, file]).expect("they are few") },
        Request::OwnerName { of: Owner::User(1000) },
        Request::OwnerName { of: Owner::Group(100) },
        Request::Sign { signature: signature.clone() },
        Request::Renew { file: named, wants, old: OldFile { signature, seed: seed_of_sums }, room },
        Request::FetchSome { dir, names, atime, wants, room },
        Request::OpenImage { path: image },
        Request::Digests { file, spans: spans.clone(), pieces },
        Request::ReadBlocks { file, spans },
        Request::Chunks { file, span, cut: Cut { seed: seed_of_sums, longest_bytes: 1 << 30 } },
    ]
}

#[cfg(test)]
mod tests;
