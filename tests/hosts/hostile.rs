//! A host that lies: what it says is refused, and nothing is touched that the job is not about.
//!
//! The remote shell passes on what the test says by hand, so the peer keeps as many rules as it likes.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use errand::{Found, NotFound, Over, Post};
use model::{Kind, Metadata};
use wire::{
    After, Capacity, Content, ContentSum, Control, End, Entry, EventBytes, Failure, Features,
    FrameKind, Hello, LaneEnd, LaneNumber, Link, Name, OutcomeBytes, Outgoing, PageBuilder,
    PageEnd, Patience, Piece, Place, ProgressBytes, Reply, Request, Responder, Role, Seen, System,
    Text, Ticket, Told, Topic, Work,
};

use super::{Hosts, LANESYNC, check};

/// Passes on what somebody says through named pipes.
const BY_HAND: &str = "sh -c 'cat in & exec cat >out' by-hand";

/// What the peer does with a request.
pub(super) enum Says {
    /// Keeps the rules.
    Reply(Reply),
    /// The same by more than one piece.
    Pieces(Vec<Piece>),
    /// Sends these bytes.
    Bytes(Vec<u8>),
}

/// What a peer makes of a request that it tells lies about.
pub(super) type Answer<'a> = Box<dyn Fn(Ticket) -> Vec<u8> + 'a>;

/// The agent of a source, by hand.
pub(super) struct Peer {
    says: File,
    hears: File,
    link: Link,
    control: Control,
    responder: Responder,
    /// What it says that the source is, or why there is none.
    pub(super) source: Result<&'static str, &'static str>,
}

/// Keeps events for a peer that tells them itself.
#[derive(Default)]
struct Events(Mutex<Vec<EventBytes>>);

impl Post for Events {
    fn told(&self) -> Result<Told, Over> {
        Err(Over("nobody tells anything".into()))
    }

    fn cancel(&self) {}

    fn event(&self, event: EventBytes) -> Result<(), Over> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }

    fn progress(&self, _: ProgressBytes) {}

    fn ended(&self, _: OutcomeBytes) -> Result<(), Over> {
        Ok(())
    }

    fn bye(&self) {}

    fn fail(&self, _: Failure) {}
}

const NOW: Duration = Duration::ZERO;

impl Peer {
    pub(super) fn new(hosts: &Hosts) -> Self {
        let says = OpenOptions::new().write(true).open(hosts.path().join("in")).unwrap();
        let hears = File::open(hosts.path().join("out")).unwrap();
        let hello = Hello {
            version: Text::new("0.1.0"),
            system: System::HERE,
            features: Features::empty(),
            capacity: Capacity::default(),
        };
        let link = Link::new(LaneEnd::FirstAcceptor, &hello, Patience::default(), NOW);
        let mut responder = Responder::new(Capacity::default());
        responder.lane_added(LaneNumber::FIRST).unwrap();
        Self { says, hears, link, control: Control::new(Role::Agent), responder, source: Ok("s/") }
    }

    /// Says something, unless nobody listens any more.
    fn say(&mut self, bytes: &[u8]) {
        self.says.write_all(bytes).ok();
    }

    fn say_all(&mut self) {
        while let Some(outgoing) = self.next_to_say() {
            let bytes = outgoing.parts().concat();
            self.say(&bytes);
        }
    }

    fn next_to_say(&mut self) -> Option<Outgoing> {
        let greeting = self.link.poll_transmit();
        let control = greeting.or_else(|| self.control.poll_transmit());
        control.or_else(|| self.responder.poll_transmit(LaneNumber::FIRST))
    }

    /// Serves until it is hung up.
    pub(super) fn serve(mut self, answer: impl Fn(Ticket, &Request) -> Says) {
        self.say_all();
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count) = self.hears.read(&mut bytes)
            && count > 0
        {
            self.link.receive(&bytes[..count], NOW).unwrap();
            while let Some(frame) = self.link.poll_frame() {
                if frame.header.kind.topic() == Some(Topic::Control) {
                    self.control.handle_frame(LaneNumber::FIRST, &frame).unwrap();
                } else {
                    self.responder.handle_frame(LaneNumber::FIRST, &frame).unwrap();
                }
            }
            while let Some(told) = self.control.poll_told() {
                if let Told::Begin(..) = told {
                    self.tell_found();
                }
            }
            while let Some(work) = self.responder.poll_work() {
                if let Work::Run(ticket, request) = work {
                    match answer(ticket, &request) {
                        Says::Reply(reply) => {
                            self.responder.respond(ticket, Piece::from(reply), End::Last).unwrap();
                        }
                        Says::Pieces(mut pieces) => {
                            let last = pieces.pop().unwrap();
                            for piece in pieces {
                                self.responder.respond(ticket, piece, End::More).unwrap();
                            }
                            self.responder.respond(ticket, last, End::Last).unwrap();
                        }
                        Says::Bytes(bytes) => self.say(&bytes),
                    }
                }
            }
            self.say_all();
        }
    }

    fn tell_found(&mut self) {
        let told = |source: &str| Found {
            directory: b"/home"[..].into(),
            sources: vec![vec![source.as_bytes().into()]],
            list: None,
        };
        let refused = |sentence: &str| NotFound {
            kind: errand::ErrorKind::Usage,
            sentence: sentence.to_owned(),
        };
        let found = self.source.map(told).map_err(refused);
        let events = Events::default();
        Found::tell(&events, &found).unwrap();
        for event in events.0.into_inner().unwrap() {
            self.control.event(event).unwrap();
        }
    }
}

/// Pulls from such a peer.
fn pull(hosts: &Hosts, words: &[&str], answer: impl Fn(Ticket, &Request) -> Says) -> Output {
    let run = start_pull(hosts, words);
    Peer::new(hosts).serve(answer);
    run.wait_with_output().unwrap()
}

fn start_pull(hosts: &Hosts, words: &[&str]) -> Child {
    start(hosts, &[&["-a"], words, &["h:s/", "d"]].concat())
}

/// Starts a run whose other host is such a peer.
pub(super) fn start(hosts: &Hosts, words: &[&str]) -> Child {
    let made = Command::new("mkfifo").args(["in", "out"]).current_dir(hosts.path()).status();
    assert!(made.unwrap().success());
    Command::new(LANESYNC)
        .args(words)
        .args(["-e", BY_HAND, "--agent-path=none"])
        .current_dir(hosts.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A response in one frame, of any body.
pub(super) fn frame(kind: FrameKind, ticket: Ticket, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend([kind as u8, 1]);
    bytes.extend(ticket.attempt.to_le_bytes());
    bytes.extend(ticket.id.0.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A page of a listing with files of these names, whatever they are.
fn page(ticket: Ticket, names: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![4, u8::try_from(names.len()).unwrap()];
    for name in names {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend_from_slice(name);
        // It seems to be a file, and nothing more is told of it.
        body.extend([1, 1, 0]);
    }
    body.push(1);
    frame(FrameKind::Response, ticket, &body)
}

/// A directory that is there, and whatever else is asked is not.
fn plain(request: &Request) -> Says {
    let directory = Metadata { nlink: 2, ino: 7, ..Metadata::unknown(Kind::Directory) };
    Says::Reply(match request {
        Request::OpenRoot { .. } => Reply::Opened(Metadata { mode: 0o755, ..directory }),
        Request::Look { at: Place::Itself(_), .. } => Reply::Seen(Box::new(Seen {
            metadata: Metadata { mode: 0o755, ..directory },
            link: None,
            attributes: None,
            acls: None,
        })),
        Request::CheckSearch { .. } | Request::Close { .. } => Reply::Done,
        _ => Reply::Fault(wire::IoFault::new(wire::FaultKind::NotFound, "none")),
    })
}

/// Nothing but the destination was touched.
#[track_caller]
fn check_untouched(hosts: &Hosts) {
    let entries = fs::read_dir(hosts.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !["s", "old", "in", "out", "d"].contains(&name.as_str()));
    assert_eq!(names, [""; 0]);
}

#[test]
fn a_source_that_was_not_typed_ends_the_run() {
    for source in ["/evil/", "s", "./s/", "s/./", "s/../s/"] {
        let hosts = Hosts::new();
        fs::create_dir(hosts.path().join("d")).unwrap();
        fs::write(hosts.path().join("d/kept"), "").unwrap();
        let run = start_pull(&hosts, &["--delete"]);
        Peer { source: Ok(source), ..Peer::new(&hosts) }.serve(|_, request| plain(request));
        let output = run.wait_with_output().unwrap();
        check(&output, 2, "which was not asked for");
        assert!(hosts.path().join("d/kept").exists());
        check_untouched(&hosts);
    }
}

#[test]
fn what_a_host_says_does_nothing_to_the_terminal() {
    let hosts = Hosts::new();
    let run = start_pull(&hosts, &[]);
    let source = Err("\x1b]0;title\x07 and \u{9b}2J\nlanesync: another line");
    Peer { source, ..Peer::new(&hosts) }.serve(|_, request| plain(request));
    let output = run.wait_with_output().unwrap();
    check(&output, 1, "\\u{1b}]0;title\\u{7} and \\u{9b}2J\\nlanesync: another line\n");
    check_untouched(&hosts);
}

#[test]
fn names_that_lead_elsewhere_end_the_run() {
    for name in [&b"../x"[..], b"/x", b"..", b".", b"x\0y", b"x/y", b""] {
        let hosts = Hosts::new();
        let output = pull(&hosts, &[], |ticket, request| match request {
            Request::List { .. } => Says::Bytes(page(ticket, &[name])),
            request => plain(request),
        });
        check(&output, 12, "source: hear from the agent on h: malformed body");
        check_untouched(&hosts);
    }
}

#[test]
fn names_that_come_twice_or_out_of_order_end_the_run() {
    for names in [[&b"x"[..], b"x"], [b"y", b"x"]] {
        let hosts = Hosts::new();
        let output = pull(&hosts, &[], |ticket, request| match request {
            Request::List { .. } => Says::Bytes(page(ticket, &names)),
            request => plain(request),
        });
        check(&output, 12, "has names out of order");
        check_untouched(&hosts);
    }
}

#[test]
fn what_was_not_asked_for_ends_the_run() {
    let data = [&[0; 8][..], b"content"].concat();
    let unasked = |ticket: Ticket| Ticket { id: wire::RequestId(ticket.id.0 + 1000), ..ticket };
    let answers: [(&str, Answer<'_>); 4] = [
        ("which was not asked", Box::new(|at| frame(FrameKind::Data, unasked(at), &data))),
        ("a response to request", Box::new(|at| frame(FrameKind::Data, at, &data))),
        (
            "a frame of 4294967295 bytes",
            Box::new(|at| [&[0xff; 4], &frame(FrameKind::Data, at, &data)[4..]].concat()),
        ),
        // Opened, a file of 2^63 bytes.
        (
            "an offset in a file",
            Box::new(|at| {
                let size = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
                let times = [0; 4];
                let rest = [0; 6];
                let body = [&[1, 1, 0, 0, 0][..], &size, &times, &rest].concat();
                frame(FrameKind::Response, at, &body)
            }),
        ),
    ];
    for (says, answer) in answers {
        let hosts = Hosts::new();
        let output = pull(&hosts, &[], |ticket, request| match request {
            Request::List { .. } | Request::OpenFile { .. } => Says::Bytes(answer(ticket)),
            request => plain(request),
        });
        check(&output, 12, says);
        check_untouched(&hosts);
    }
}

#[test]
fn a_response_without_end_is_stopped() {
    let hosts = Hosts::new();
    let output = pull(&hosts, &[], |ticket, request| match request {
        Request::List { .. } => {
            // More pages than there is room for, none of them the last.
            let mut bytes = Vec::new();
            for number in 0..20_000_u32 {
                let name = format!("{number:06}{}", "x".repeat(100));
                let mut body = vec![4, 1, u8::try_from(name.len()).unwrap()];
                body.extend_from_slice(name.as_bytes());
                body.extend([1, 1, 0, 0]);
                let mut frame = frame(FrameKind::Response, ticket, &body);
                frame[5] = 0;
                bytes.extend(frame);
            }
            Says::Bytes(bytes)
        }
        request => plain(request),
    });
    check(&output, 12, "above its credit");
    check_untouched(&hosts);
}

#[test]
fn a_host_that_says_nothing_more_is_given_up() {
    let hosts = Hosts::new();
    let output = pull(&hosts, &["--timeout=1"], |_, request| match request {
        Request::List { .. } => Says::Bytes(Vec::new()),
        request => plain(request),
    });
    check(&output, 30, "nothing came on the lane for 1 s");
    check_untouched(&hosts);
}

#[test]
fn content_that_is_not_what_was_read_makes_no_file() {
    const CONTENT: &[u8] = b"what was read at the source";
    for (wrong_times, code, says) in [
        (1, 0, "answers that came damaged and were asked for again: 1"),
        (
            usize::MAX,
            23,
            "destination: verify \"d/x\": the copy is not what was read at the source; run again",
        ),
    ] {
        let hosts = Hosts::new();
        fs::create_dir(hosts.path().join("d")).unwrap();
        fs::write(hosts.path().join("d/x"), "what was there").unwrap();
        let left = Cell::new(wrong_times);
        let metadata = Metadata {
            mode: 0o644,
            size: CONTENT.len() as u64,
            nlink: 1,
            ino: 8,
            ..Metadata::unknown(Kind::File)
        };
        let output = pull(&hosts, &[], |_, request| match request {
            Request::List { .. } => {
                let mut page = PageBuilder::default();
                let seen = Some(Ok(Box::new(Seen::bare(metadata))));
                let name = Name::new("x").unwrap();
                page.push(Entry { name, kind: Some(Kind::File), seen }, 10_000).unwrap();
                Says::Reply(Reply::Page { page: page.take(), end: PageEnd::Complete })
            }
            Request::Fetch { .. } => {
                let mut bytes = CONTENT.to_vec();
                if left.get() > 0 {
                    left.set(left.get() - 1);
                    bytes[3] ^= 0x20;
                }
                let sum = ContentSum(*blake3::hash(CONTENT).as_bytes());
                Says::Pieces(vec![
                    Reply::Seen(Box::new(Seen::bare(metadata))).into(),
                    Piece::Data { offset: 0, content: Content::new(bytes).unwrap() },
                    Reply::After(After { metadata, sum }).into(),
                ])
            }
            request => plain(request),
        });
        check(&output, code, says);
        let kept = if code == 0 { CONTENT } else { b"what was there" };
        assert_eq!(fs::read(hosts.path().join("d/x")).unwrap(), kept);
        assert_eq!(fs::read_dir(hosts.path().join("d")).unwrap().count(), 1);
        check_untouched(&hosts);
    }
}

#[test]
fn what_is_written_goes_through_no_link_whatever_the_source_says() {
    let hosts = Hosts::new();
    fs::create_dir(hosts.path().join("d")).unwrap();
    symlink("../old", hosts.path().join("d/x")).unwrap();
    let output = pull(&hosts, &[], |ticket, request| match request {
        Request::List { dir, .. } if dir.0.0 == 1 => {
            // x, a directory.
            let body = [4, 1, 1, b'x', 1, 2, 0, 1];
            Says::Bytes(frame(FrameKind::Response, ticket, &body))
        }
        Request::List { .. } => Says::Bytes(page(ticket, &[b"evil"])),
        Request::OpenChild { .. } => {
            Says::Reply(Reply::Opened(Metadata { ino: 8, ..Metadata::unknown(Kind::Directory) }))
        }
        request => plain(request),
    });
    // What it says of the file makes no sense, and that is told.
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(fs::read_dir(hosts.path().join("old")).unwrap().count(), 2);
    check_untouched(&hosts);
}
