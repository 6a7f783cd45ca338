//! Two agents that meet within one process, strangers, and agents that do not meet.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use parking_lot::Mutex;
use wire::{AddressFamily, LaneCount, PortRange};

use super::*;

/// Longer than any of this takes where all is well.
const PATIENCE: Duration = Duration::from_secs(60);

fn ready(kind: LaneKind, listens: bool) -> (Ready, DirectOffer) {
    let family = Some(AddressFamily::V4);
    let wish = DirectWish { kind, listens, ports: PortRange::Any, family };
    let told = "127.0.0.1 1 127.0.0.1 22";
    Ready::new(wish, Whereabouts::Connection(Some(told.into()))).unwrap()
}

fn meeting(offer: &DirectOffer, connects_after_ms: Option<u64>) -> DirectMeeting {
    DirectMeeting {
        offer: offer.clone(),
        names: List::default(),
        connects_after_ms,
        peer: Text::new("the other"),
        silence_secs: 30,
        count: LaneCount::Auto,
        mixes_kinds: true,
        tells: true,
    }
}

/// Takes the first lane, and says something there at once: over QUIC nobody hears of it before that.
fn take_first() -> Take<Lane> {
    let first = Mutex::new(true);
    Arc::new(move |mut lane, _| {
        lane.writer.write_all(b"hello").and_then(|()| lane.writer.flush()).ok()?;
        std::mem::take(&mut *first.lock()).then_some(lane)
    })
}

fn may_come() -> Other {
    Other::MayCome
}

/// Both of them meet, as what they have said is told to them.
fn meet([one, two]: [(Ready, DirectMeeting); 2], limit: Duration) -> [Result<Lane, String>; 2] {
    thread::scope(|scope| {
        let one = scope.spawn(move || one.0.meet(&one.1, limit, may_come, &take_first()));
        let two = two.0.meet(&two.1, limit, may_come, &take_first());
        [one.join().unwrap(), two]
    })
}

#[track_caller]
fn check_connected(lanes: [Result<Lane, String>; 2]) {
    let mut lanes = lanes.map(Result::unwrap);
    for lane in &mut lanes {
        let mut heard = [0; 5];
        lane.reader.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[test]
fn two_meet_whichever_of_them_connects() {
    for kind in [LaneKind::Tcp, LaneKind::Quic] {
        for connects in [[true, false], [false, true]] {
            let (one, offer_of_one) = ready(kind, connects[1]);
            let (two, offer_of_two) = ready(kind, connects[0]);
            let after = connects.map(|connects| connects.then_some(0));
            let met =
                [(one, meeting(&offer_of_two, after[0])), (two, meeting(&offer_of_one, after[1]))];
            check_connected(meet(met, PATIENCE));
        }
    }
}

#[test]
fn where_one_way_is_closed_the_other_one_is_taken() {
    let (one, offer_of_one) = ready(LaneKind::Tcp, true);
    let (two, offer_of_two) = ready(LaneKind::Tcp, true);
    // Nobody is at that address.
    let elsewhere = List::new(vec![Text::new("0.0.0.0")]).unwrap();
    let closed = DirectOffer { addresses: elsewhere, ..offer_of_two };
    let met = [(one, meeting(&closed, Some(0))), (two, meeting(&offer_of_one, Some(50)))];
    check_connected(meet(met, PATIENCE));
}

#[test]
fn strangers_get_nothing_and_are_in_nobodys_way() {
    let (one, offer_of_one) = ready(LaneKind::Tcp, false);
    let (two, offer_of_two) = ready(LaneKind::Tcp, true);
    let at = (Ipv4Addr::LOCALHOST, offer_of_two.port.unwrap());
    // One that says nothing, one that says what makes no sense, and one with a key of its own.
    let silent = TcpStream::connect(at).unwrap();
    let mut odd = TcpStream::connect(at).unwrap();
    odd.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let (stranger, _) = ready(LaneKind::Tcp, false);
    let met = meeting(&offer_of_two, Some(0));
    let stranger = thread::Builder::new().spawn(move || {
        let lane: Take<()> = Arc::new(|mut lane, _| {
            // Its handshake may be done before the other side has looked at its key.
            lane.writer.write_all(b"let me in").ok()?;
            lane.writer.flush().ok()?;
            lane.reader.read(&mut [0]).ok().filter(|count| *count > 0).map(drop)
        });
        stranger.meet(&met, PATIENCE, may_come, &lane)
    });
    let stranger = stranger.unwrap();
    let met = [(one, meeting(&offer_of_two, Some(200))), (two, meeting(&offer_of_one, None))];
    check_connected(meet(met, PATIENCE));
    stranger.join().unwrap().unwrap_err();
    drop((silent, odd));
}

#[test]
fn who_is_not_the_one_that_was_told_of_is_not_met_and_nobody_listens_any_more() {
    let (one, offer_of_one) = ready(LaneKind::Tcp, false);
    let (two, offer_of_two) = ready(LaneKind::Tcp, true);
    let (_, offer_of_other) = ready(LaneKind::Tcp, false);
    let wrong = |offer: &DirectOffer| DirectOffer {
        fingerprint: offer_of_other.fingerprint,
        ..offer.clone()
    };
    let at = (Ipv4Addr::LOCALHOST, offer_of_two.port.unwrap());
    let met = [
        (one, meeting(&wrong(&offer_of_two), Some(0))),
        (two, meeting(&wrong(&offer_of_one), None)),
    ];
    let [one, two] = meet(met, Duration::from_secs(1));
    assert!(one.is_err() && two.is_err());
    TcpListener::bind(at).unwrap();
}

#[test]
fn what_leads_nowhere_ends_at_once_and_says_why() {
    let (one, _) = ready(LaneKind::Tcp, false);
    let (_, gone) = ready(LaneKind::Tcp, true);
    let why = one.meet(&meeting(&gone, Some(0)), PATIENCE, may_come, &take_first()).err().unwrap();
    assert!(why.starts_with("connect to 127.0.0.1:"), "{why}");
    let nowhere = DirectOffer { addresses: List::default(), ..gone };
    let (one, _) = ready(LaneKind::Tcp, false);
    let why = one.meet(&meeting(&nowhere, Some(0)), PATIENCE, may_come, &take_first());
    assert_eq!(why.err().unwrap(), "no address of the other host is known");
    for other in [Other::HasGivenUp, Other::IsGone] {
        let (one, _) = ready(LaneKind::Tcp, true);
        let why = one.meet(&meeting(&nowhere, Some(0)), PATIENCE, || other, &take_first());
        assert_eq!(why.err().unwrap(), "the other host did not connect");
    }
}

/// What the other one says could be anything.
#[test]
fn an_agent_that_is_not_reached_by_loopback_is_not_led_there() {
    let wish =
        DirectWish { kind: LaneKind::Tcp, listens: false, ports: PortRange::Any, family: None };
    let (_, offer) = ready(LaneKind::Tcp, true);
    let names = List::new(vec![Text::new("127.0.0.1"), Text::new("::1")]).unwrap();
    let met = DirectMeeting { names, ..meeting(&offer, Some(0)) };
    for told in ["192.0.2.1 1 198.51.100.7 22", ""] {
        let (one, _) = Ready::new(wish, Whereabouts::Connection(Some(told.into()))).unwrap();
        let why = one.meet(&met, PATIENCE, may_come, &take_first()).err().unwrap();
        assert_eq!(why, "no address of the other host is known", "{told}");
    }
}

#[test]
fn who_does_not_come_to_the_point_holds_no_port() {
    let (one, offer_of_one) = ready(LaneKind::Tcp, false);
    let (two, offer_of_two) = ready(LaneKind::Tcp, true);
    let (come, has_come) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let (come, may_go) = (Mutex::new(come), Mutex::new(may_go));
    // It is known who that is, and not yet what it wants.
    let take: Take<()> = Arc::new(move |_, _| {
        come.lock().send(()).ok();
        may_go.lock().recv().ok()
    });
    let met = meeting(&offer_of_two, Some(0));
    let come = move || one.meet(&met, PATIENCE, may_come, &take_first());
    let other = thread::Builder::new().spawn(come).unwrap();
    let until_here = || if has_come.try_recv().is_ok() { Other::IsGone } else { Other::MayCome };
    two.meet(&meeting(&offer_of_one, None), PATIENCE, until_here, &take).unwrap_err();
    let port = offer_of_two.port.unwrap();
    let ports = PortRange::Within { first: port, last: port };
    Listener::bind(LaneKind::Tcp, ports, Some(Family::V4)).unwrap();
    drop(go);
    // It came up for the other one, which says the first word.
    drop(other.join().unwrap());
}
