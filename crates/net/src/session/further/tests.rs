//! Two sides of a session on this host that agree on lanes, or do not.

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use parking_lot::Mutex;
use wire::{AskError, PortRange, Task};

use super::super::lanes::{LaneKey, Loss};
use super::super::tests::{Both, read_at};
use super::*;
use crate::further::{Decision, Lossy, Segments};
use crate::shell::{Family, RemoteShell};
use crate::target::Target;

const PATIENCE: Duration = Duration::from_secs(60);

/// The other host is known by its address, or by nothing.
fn login(host: &str) -> Whereabouts {
    let shell = RemoteShell::parse(b"rsh").unwrap();
    let target = Target::parse(host.as_bytes()).unwrap();
    Whereabouts::Login { shell, target, agent: Arc::default() }
}

fn connection(told: &str) -> Whereabouts {
    Whereabouts::Connection(Some(told.into()))
}

const LOCAL: &str = "127.0.0.1 1 127.0.0.1 22";

fn plan(opener: Opener, lanes: u16) -> Plan {
    let count = LaneCount::Fixed(lanes);
    Plan { opener, count, family: Some(Family::V4), ..Plan::default() }
}

/// Has a session widened, and hears what the user is told.
fn widened(
    task: Task,
    plan: Plan,
    controller: Whereabouts,
    agent: Whereabouts,
) -> (Both, Receiver<String>) {
    let both = Both::over(crate::memory::pair().unwrap(), task);
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let (at_controller, at_agent) = match task {
        Task::ServeSource | Task::ServeImage => (&both.requester, &both.responder),
        Task::RunDestination | Task::BringImage => (&both.responder, &both.requester),
    };
    at_agent.widen(None, agent, Box::new(|_| {})).unwrap();
    let notice = move |sentence: &str| drop(tell.lock().send(sentence.to_owned()));
    at_controller.widen(Some(plan), controller, Box::new(notice)).unwrap();
    (both, told)
}

fn wait_for_lanes(both: &Both, lanes: usize) {
    while both.requester.lane_count() != lanes || both.responder.lane_count() != lanes {
        thread::yield_now();
    }
}

/// Bytes that the first lane, and that all others, have carried.
fn carried(both: &Both) -> (u64, u64) {
    let sample = both.requester.shared.change(|state| state.sample(Duration::ZERO));
    (sample.first_bytes, sample.further_bytes)
}

#[test]
fn lanes_come_up_from_either_side_and_carry_what_is_asked() {
    for task in [Task::ServeSource, Task::RunDestination] {
        for opener in [Opener::Here, Opener::There] {
            let (both, _) = widened(task, plan(opener, 3), login("127.0.0.1"), connection(LOCAL));
            wait_for_lanes(&both, 4);
            let (ask, file) = (both.requester.asker(), both.file());
            let before = carried(&both);
            for turn in 0..100 {
                read_at(&*ask, file, turn * 1000).unwrap();
            }
            let after = carried(&both);
            assert_eq!(after.0, before.0, "{task:?} {opener:?}: the first lane was used");
            assert!(after.1 >= before.1 + 70_000, "{task:?} {opener:?}");
        }
    }
}

#[test]
fn where_one_side_cannot_connect_the_other_does() {
    // The controller knows nothing of the agent's host, and the agent only who has logged in.
    let (task, plan) = (Task::ServeSource, plan(Opener::Auto, 2));
    let (both, _) = widened(task, plan, login("h"), connection("127.0.0.1 1 UNKNOWN 22"));
    wait_for_lanes(&both, 3);
}

#[test]
fn where_none_can_the_user_is_told_once_and_the_job_goes_on() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ports = PortRange::Within { first: port, last: port };
    // For UDP the port is free.
    let plan = Plan { ports, wish: Wish::Tcp, ..plan(Opener::Auto, 2) };
    let (both, told) = widened(Task::ServeSource, plan, login("127.0.0.1"), connection(LOCAL));
    let sentence = told.recv_timeout(PATIENCE).unwrap();
    assert!(sentence.starts_with("no lane could be made beside ssh"), "{sentence}");
    assert!(sentence.contains("the other host: ") && sentence.contains("listen here: "));
    read_at(&*both.requester.asker(), both.file(), 5).unwrap();
    drop(both);
    assert!(told.try_recv().is_err(), "it was told twice");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a remote shell leaves a trace in a folder")]
fn nobody_but_the_user_has_a_controller_log_in() {
    let folder = tempfile::tempdir().unwrap();
    let called = folder.path().join("called");
    let shell = format!("touch {}", called.display());
    let whereabouts = Whereabouts::Login {
        shell: RemoteShell::parse(shell.as_bytes()).unwrap(),
        target: Target::parse(b"127.0.0.1").unwrap(),
        agent: Arc::default(),
    };
    let auto = Plan { count: LaneCount::Auto, ..plan(Opener::Here, 0) };
    let (both, told) =
        widened(Task::RunDestination, auto, whereabouts, Whereabouts::Connection(None));
    wait_for_lanes(&both, 5);
    // The agent asks for logins, and then for something else, twice: all is done by turns.
    let count = |kind, lanes| {
        both.requester.shared.change(|state| {
            state.control.talk_of_lanes(LaneTalk::Count { kind, lanes });
        });
    };
    count(LaneKind::Ssh, 3);
    for lanes in [6, 8] {
        count(LaneKind::Tcp, lanes);
        while both.responder.lane_count() < usize::from(lanes) + 1 {
            thread::yield_now();
        }
    }
    assert!(!called.exists());
    drop(both);
    assert!(told.try_recv().is_err());
}

#[test]
fn where_nothing_is_known_of_the_other_host_nobody_is_bothered_who_did_not_ask() {
    for is_asked in [false, true] {
        let plan = Plan { is_asked, ..plan(Opener::Here, 2) };
        let (both, told) =
            widened(Task::ServeSource, plan, login("h"), Whereabouts::Connection(None));
        if is_asked {
            assert!(told.recv_timeout(PATIENCE).unwrap().contains("no address"));
        } else {
            while both.requester.shared.change(|state| state.further.switch.is_some()) {
                thread::yield_now();
            }
            assert!(told.try_recv().is_err());
        }
    }
}

/// Breaks one of the further lanes, as a wire does that is cut.
fn break_one(both: &Both) {
    let shared = &both.requester.shared;
    let key = shared.change(|state| {
        let mut further = state
            .lanes
            .iter()
            .filter(|(key, lane)| **key != LaneKey::FIRST && lane.usable().is_some());
        further.next().map(|(key, _)| *key)
    });
    let cut = io::Error::other("cut on purpose");
    shared.lose(key.expect("there is one"), Loss::Unreadable(cut));
}

#[test]
fn a_lane_that_breaks_is_told_of_and_another_takes_its_place() {
    let plan = plan(Opener::Here, 2);
    let (both, told) = widened(Task::ServeSource, plan, login("127.0.0.1"), connection(LOCAL));
    wait_for_lanes(&both, 3);
    both.serve.gate.set(true);
    let read = both.read_by(64, || {
        break_one(&both);
        both.serve.gate.set(false);
    });
    assert_eq!(read, vec![Ok::<(), AskError>(()); 64]);
    assert!(both.serve.attempt.load(Ordering::Relaxed) > 0, "nothing was on the lane");
    let sentence = told.recv_timeout(PATIENCE).unwrap();
    assert!(sentence.contains("cut on purpose"), "{sentence}");
    wait_for_lanes(&both, 3);
}

#[test]
fn a_network_that_breaks_each_lane_is_left_alone_in_the_end() {
    let plan = plan(Opener::Here, 1);
    let (both, told) = widened(Task::ServeSource, plan, login("127.0.0.1"), connection(LOCAL));
    for _ in 0..LOSSES_MAX {
        wait_for_lanes(&both, 2);
        break_one(&both);
        told.recv_timeout(PATIENCE).unwrap();
    }
    wait_for_lanes(&both, 1);
    assert_eq!(both.requester.shared.change(|state| state.lacking_lanes(LaneKind::Tcp, 1)), 0);
    read_at(&*both.requester.asker(), both.file(), 5).unwrap();
}

#[test]
fn lanes_that_are_not_wanted_any_more_are_given_back_without_a_word() {
    let plan = plan(Opener::Here, 4);
    let (both, told) = widened(Task::ServeSource, plan, login("127.0.0.1"), connection(LOCAL));
    wait_for_lanes(&both, 5);
    let fewer = Decision { kind: LaneKind::Tcp, lanes: 1, beside: 0, uses_first: false };
    both.requester.shared.change(|state| state.apply(fewer));
    // The tuner wants them back.
    wait_for_lanes(&both, 5);
    assert!(told.try_recv().is_err());
    assert_eq!(both.requester.over(), None);
}

fn lanes_of(both: &Both, kind: LaneKind) -> u16 {
    both.requester.shared.change(|state| state.usable_lanes(kind))
}

/// Of a hundred packets one is lost.
struct Hundredth;

impl Lossy for Hundredth {
    fn segments(&self) -> Option<Segments> {
        let (round_trip, least_round_trip) = (1000, 1000);
        Some(Segments { sent: 10_000, resent: 100, round_trip, least_round_trip })
    }
}

/// Lanes over TCP, and a responder that finds that they suffer from losses.
fn hampered(task: Task, opener: Opener) -> (Both, Receiver<String>) {
    let plan = Plan { opener, family: Some(Family::V4), ..Plan::default() };
    let (both, told) = widened(task, plan, login("127.0.0.1"), connection(LOCAL));
    wait_for_lanes(&both, 5);
    assert_eq!((lanes_of(&both, LaneKind::Tcp), lanes_of(&both, LaneKind::Quic)), (4, 0));
    both.responder.shared.change(|state| {
        let further = state.lanes.iter_mut().filter(|(key, _)| **key != LaneKey::FIRST);
        further.for_each(|(_, lane)| lane.losses = Some(Arc::new(Hundredth)));
    });
    (both, told)
}

/// Looks now and then: it takes some windows of the tuner.
fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Two who read as fast as they can, until it is enough.
fn read_until(both: &Both, is_enough: impl Fn() -> bool + Sync) {
    let (ask, file) = (both.requester.asker(), both.file());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_enough() {
                    read_at(&*ask, file, 7).unwrap();
                }
            });
        }
    });
}

#[test]
fn lanes_over_quic_take_the_place_of_those_that_suffer_from_losses() {
    for (task, opener) in [(Task::ServeSource, Opener::Here), (Task::RunDestination, Opener::There)]
    {
        let (both, told) = hampered(task, opener);
        // Nothing comes at all over TCP.
        both.serve.gate.set(true);
        let read = both.read_by(64, || {
            wait_until(|| lanes_of(&both, LaneKind::Quic) > 0);
            assert!(lanes_of(&both, LaneKind::Tcp) >= 4, "they stay until that is decided");
            both.serve.gate.set(false);
        });
        assert_eq!(read, vec![Ok::<(), AskError>(()); 64]);
        read_until(&both, || lanes_of(&both, LaneKind::Tcp) == 0);
        assert!(lanes_of(&both, LaneKind::Quic) > 0, "{task:?} {opener:?}");
        read_at(&*both.requester.asker(), both.file(), 9).unwrap();
        assert!(told.try_recv().is_err(), "there is nothing that the user has to know");
    }
}

#[test]
fn lanes_over_quic_that_do_no_better_are_given_back() {
    let (both, told) = hampered(Task::RunDestination, Opener::Here);
    let is_tried = || lanes_of(&both, LaneKind::Quic) > 0;
    read_until(&both, is_tried);
    thread::scope(|scope| {
        scope.spawn(|| read_until(&both, || !is_tried()));
        while is_tried() {
            for is_closed in [true, false] {
                both.serve.gate.set(is_closed);
                thread::sleep(Duration::from_millis(if is_closed { 50 } else { 1 }));
            }
        }
    });
    assert!(lanes_of(&both, LaneKind::Tcp) >= 4);
    assert!(told.try_recv().is_err());
}

/// The agent of a source, and the one of a destination that it has met, which says what it likes.
struct Met {
    both: Both,
    /// Where nobody has any business.
    private: TcpListener,
}

impl Met {
    /// Who connected to this side, which is known by another address than that of the loopback device.
    fn new(bounds: Bounds) -> Self {
        let both = Both::over(crate::memory::pair().unwrap(), Task::ServeSource);
        let connection = Some("192.0.2.1 1 198.51.100.7 22".into());
        both.responder.widen_within(bounds, Whereabouts::Met { peer: None, connection }).unwrap();
        let private = TcpListener::bind("127.0.0.1:0").unwrap();
        private.set_nonblocking(true).unwrap();
        Self { both, private }
    }

    fn hear(&self) -> LaneTalk {
        loop {
            let talk = self.both.requester.shared.change(|state| state.control.poll_lane_talk());
            match talk {
                Some(talk) => return talk,
                None => thread::yield_now(),
            }
        }
    }

    fn say(&self, talk: LaneTalk) {
        self.both.requester.shared.change(|state| state.control.talk_of_lanes(talk));
    }

    fn offer(&self, kind: LaneKind, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| Text::new(address)).collect();
        self.say(offer(kind, addresses, self.private.local_addr().unwrap().port()));
    }

    #[track_caller]
    fn check_refusal(&self, kind: LaneKind) {
        let text = Text::new(IN_VAIN);
        assert_eq!(self.hear(), LaneTalk::Refusal(LaneRefusal { kind, text }));
    }
}

fn offer(
    kind: LaneKind,
    addresses: Vec<Text<{ wire::limits::ADDRESS_BYTES }>>,
    port: u16,
) -> LaneTalk {
    LaneTalk::Offer(LaneOffer {
        kind,
        session: wire::SessionId([7; 16]),
        fingerprint: Identity::new().unwrap().fingerprint(),
        addresses: List::new(addresses).unwrap(),
        ports: List::new(vec![port]).unwrap(),
        count: LaneCount::Fixed(1),
    })
}

fn wanted(kind: LaneKind) -> LaneTalk {
    LaneTalk::Wanted(LaneWanted {
        kind,
        fingerprint: Identity::new().unwrap().fingerprint(),
        ports: PortRange::Any,
        family: None,
        count: LaneCount::Fixed(1),
    })
}

fn bounds(wish: Wish) -> Bounds {
    Bounds { wish, listens: true, connects: true, ports: PortRange::Any, family: None }
}

#[test]
fn who_was_met_leads_nobody_to_the_loopback_device_nor_to_many_places() {
    let met = Met::new(bounds(Wish::Tcp));
    for _ in 0..VAIN_OFFERS {
        met.offer(LaneKind::Tcp, &["127.0.0.1", "::1", "::ffff:127.0.0.1"]);
        assert!(matches!(met.hear(), LaneTalk::Wanted(_)));
        met.check_refusal(LaneKind::Tcp);
    }
    met.offer(LaneKind::Tcp, &[]);
    met.check_refusal(LaneKind::Tcp);
    met.private.accept().unwrap_err();
}

#[test]
fn who_was_met_has_no_more_than_the_controller_asked_for() {
    let met = Met::new(Bounds { listens: false, connects: false, ..bounds(Wish::Auto) });
    for kind in [LaneKind::Tcp, LaneKind::Quic] {
        met.say(wanted(kind));
        met.check_refusal(kind);
        met.offer(kind, &[]);
        met.check_refusal(kind);
    }
    let port = met.private.local_addr().unwrap().port();
    let ports = PortRange::Within { first: port, last: port };
    let family = Some(Family::V4);
    let met = Met::new(Bounds { ports, family, ..bounds(Wish::Quic) });
    met.say(wanted(LaneKind::Tcp));
    met.check_refusal(LaneKind::Tcp);
    met.say(LaneTalk::Logins(LaneCount::Fixed(2)));
    met.check_refusal(LaneKind::Ssh);
    // It is free for UDP.
    met.say(wanted(LaneKind::Quic));
    let LaneTalk::Offer(offer) = met.hear() else { panic!("nobody listens") };
    assert_eq!((offer.kind, offer.ports.as_slice()), (LaneKind::Quic, &[port][..]));
}

#[test]
fn who_has_a_plan_is_led_nowhere_by_an_offer_that_was_not_asked_for() {
    let told = Plan { count: LaneCount::Auto, ..plan(Opener::Here, 0) };
    let (both, _) = widened(Task::RunDestination, told, login("127.0.0.1"), connection(LOCAL));
    wait_for_lanes(&both, 5);
    let private = TcpListener::bind("127.0.0.1:0").unwrap();
    private.set_nonblocking(true).unwrap();
    let port = private.local_addr().unwrap().port();
    let say = |talk| both.requester.shared.change(|state| state.control.talk_of_lanes(talk));
    say(offer(LaneKind::Tcp, vec![Text::new("127.0.0.1")], port));
    // All is done by turns.
    say(LaneTalk::Count { kind: LaneKind::Tcp, lanes: 8 });
    while both.responder.lane_count() < 9 {
        thread::yield_now();
    }
    private.accept().unwrap_err();
}
