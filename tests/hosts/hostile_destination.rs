//! A destination that asks for what the job is not about, and gets nothing of it.
//!
//! As in `hostile`, the test speaks for it by hand.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wire::{
    Access, AccessTime, Answer, Capacity, Control, Expected, FaultKind, Features, FileAt, Follow,
    Handle, Hello, LaneEnd, LaneNumber, Link, Name, Named, OperatorPath, Outcome, Owner, Patience,
    Place, Request, Requester, Role, Room, System, Text, Told, Topic, Wants,
};

use super::{Hosts, LANESYNC, check};

const BY_HAND: &str = "sh -c 'cat in & exec cat >out' by-hand";
const LANE: LaneNumber = LaneNumber::FIRST;
const NOW: Duration = Duration::ZERO;

/// The agent of a destination.
struct Peer {
    says: File,
    hears: File,
    link: Link,
    control: Control,
    requester: Requester,
}

impl Peer {
    /// Answers a push that has begun.
    fn of(hosts: &Hosts, words: &[&str]) -> (Child, Self) {
        let made = Command::new("mkfifo").args(["in", "out"]).current_dir(hosts.path()).status();
        assert!(made.unwrap().success());
        let run = Command::new(LANESYNC)
            .args(["-a", "-e", BY_HAND, "--agent-path=none"])
            .args(words)
            .args(["s/", "h:d"])
            .current_dir(hosts.path())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = OpenOptions::new().write(true).open(hosts.path().join("in")).unwrap();
        let hears = File::open(hosts.path().join("out")).unwrap();
        let hello = Hello {
            version: Text::new("0.1.0"),
            system: System::HERE,
            features: Features::empty(),
            capacity: Capacity::default(),
        };
        let link = Link::new(LaneEnd::FirstAcceptor, &hello, Patience::default(), NOW);
        let mut requester = Requester::new(Capacity::default(), 1 << 24);
        requester.lane_added(LANE).unwrap();
        let mut peer = Self { says, hears, link, control: Control::new(Role::Agent), requester };
        peer.hear_until(|peer| matches!(peer.control.poll_told(), Some(Told::Begin(..))));
        (run, peer)
    }

    /// Says what there is to say and hears what comes, until something is there.
    fn hear_until(&mut self, mut is_there: impl FnMut(&mut Self) -> bool) {
        let mut bytes = vec![0; 1 << 16];
        loop {
            while let Some(outgoing) = self
                .link
                .poll_transmit()
                .or_else(|| self.control.poll_transmit())
                .or_else(|| self.requester.poll_transmit(LANE))
            {
                self.says.write_all(&outgoing.parts().concat()).unwrap();
            }
            if is_there(self) {
                return;
            }
            let count = self.hears.read(&mut bytes).unwrap();
            assert!(count > 0, "it was hung up");
            self.link.receive(&bytes[..count], NOW).unwrap();
            while let Some(frame) = self.link.poll_frame() {
                if frame.header.kind.topic() == Some(Topic::Control) {
                    self.control.handle_frame(LANE, &frame).unwrap();
                } else {
                    self.requester.handle_frame(LANE, frame).unwrap();
                }
            }
        }
    }

    fn ask(&mut self, request: Request) -> (Handle, Outcome) {
        let id = self.requester.start(request).unwrap();
        let mut answer = None;
        self.hear_until(|peer| {
            answer = peer.requester.poll_answer();
            answer.is_some()
        });
        (Handle(id), answer.expect("it was waited for").1)
    }

    /// The root of the job.
    fn root(&mut self) -> Handle {
        let (root, opened) = self.ask(root("s/"));
        assert!(matches!(opened, Ok(Answer::Opened(_))), "{opened:?}");
        root
    }

    #[track_caller]
    fn check_refused(&mut self, request: Request) {
        let shown = format!("{request:?}");
        let outcome = self.ask(request).1;
        let kind = outcome.as_ref().err().map(|fault| fault.kind);
        assert_eq!(kind, Some(FaultKind::NotServed), "{shown}: {outcome:?}");
    }
}

fn root(path: &str) -> Request {
    Request::OpenRoot { path: OperatorPath::new(path).unwrap(), access: Access::Search }
}

fn named(dir: Handle, name: &str) -> Named {
    Named { dir, name: Name::new(name).unwrap() }
}

fn look(dir: Handle, name: &str) -> Request {
    let (wants, room) = (Wants::METADATA, Room::new(9000).unwrap());
    Request::Look { at: Place::Named(named(dir, name)), follow: Follow::Never, wants, room }
}

fn fetch(dir: Handle, name: &str, follow: Follow) -> Request {
    let file = FileAt { at: named(dir, name), follow, atime: AccessTime::Keep };
    Request::Fetch { file, wants: Wants::METADATA, room: Room::new(9000).unwrap() }
}

#[test]
fn it_is_served_what_the_job_is_about_and_nothing_else() {
    let hosts = Hosts::new();
    fs::write(hosts.path().join("secret"), "secret").unwrap();
    fs::write(hosts.path().join("s/x.key"), "secret").unwrap();
    symlink("../secret", hosts.path().join("s/out")).unwrap();
    fs::write(hosts.path().join("rules"), "- z").unwrap();
    symlink("../rules", hosts.path().join("s/.rsync-filter")).unwrap();
    let (mut run, mut peer) = Peer::of(&hosts, &["--exclude=*.key", "--filter=: .rsync-filter"]);
    let above = hosts.path().to_str().unwrap().to_owned();
    for path in ["/", "/etc", ".", "s", "s/..", "s/a", "s/../old", &above] {
        peer.check_refused(root(path));
    }
    let s = peer.root();
    let expected = Expected { dev: 0, ino: 0, size: 0, mtime: model::Timestamp::default() };
    let atime = AccessTime::Keep;
    for request in [
        Request::OpenParent { dir: s },
        look(s, "x.key"),
        fetch(s, "x.key", Follow::Never),
        fetch(s, "out", Follow::Links),
        fetch(s, "out", Follow::OwnLinks),
        Request::OpenChild {
            at: named(s, "out"),
            access: Access::Read,
            follow: Follow::Links,
            atime,
        },
        Request::Remove { at: named(s, "f"), expected },
        Request::OwnerName { of: Owner::User(54_321) },
    ] {
        peer.check_refused(request);
    }
    // A link is no way out, whatever it is called.
    let rules = peer.ask(fetch(s, ".rsync-filter", Follow::OwnLinks)).1.unwrap_err();
    assert_eq!(rules.kind, FaultKind::PermissionDenied);
    // What the job is about is there.
    let fetched = peer.ask(fetch(s, "f", Follow::Never)).1;
    assert!(matches!(fetched, Ok(Answer::Fetched(_))), "{fetched:?}");
    drop(peer);
    assert!(!run.wait().unwrap().success());
    assert!(hosts.path().join("s/f").exists());
}

#[test]
fn names_that_lead_elsewhere_end_the_run() {
    for name in [*b"../x", *b"/etc", *b"a\0bc", *b"a/bc"] {
        let hosts = Hosts::new();
        let (run, mut peer) = Peer::of(&hosts, &[]);
        let s = peer.root();
        peer.requester.start(look(s, "NAME")).unwrap();
        let outgoing = peer.requester.poll_transmit(LANE).unwrap().parts().concat();
        let at = outgoing.windows(4).position(|bytes| bytes == b"NAME").unwrap();
        let lie = [&outgoing[..at], &name, &outgoing[at + 4..]].concat();
        peer.says.write_all(&lie).unwrap();
        drop(peer);
        check(&run.wait_with_output().unwrap(), 12, "malformed body");
    }
}
