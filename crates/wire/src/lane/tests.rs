//! Two ends of a lane, with time made up.

use std::time::Duration;

use super::{LaneEnd, LaneNumber, Link, Patience};
use crate::frame::{FrameKind, Header, Outgoing, RequestId};
use crate::greeting::tests::hello;
use crate::greeting::{Opening, SessionId};
use crate::violation::Violation;

const SESSION: SessionId = SessionId([1; 16]);

fn at(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn link(end: LaneEnd) -> Link {
    Link::new(end, &hello(), Patience::default(), at(0))
}

fn opener(lane: u16) -> LaneEnd {
    LaneEnd::Opener(Opening { session: SESSION, lane: LaneNumber(lane) })
}

/// Gives all that one end has to send to the other.
fn pass(from: &mut Link, to: &mut Link, now: Duration) -> Result<(), Violation> {
    while let Some(outgoing) = from.poll_transmit() {
        from.transmitted(now);
        to.receive(&outgoing.parts().concat(), now)?;
    }
    Ok(())
}

#[test]
fn two_ends_agree_on_session_and_number() {
    for (ours, theirs) in
        [(opener(0), LaneEnd::FirstAcceptor), (opener(5), LaneEnd::Acceptor(SESSION))]
    {
        let (mut near, mut far) = (link(ours), link(theirs));
        assert_eq!(far.opening(), None);
        pass(&mut near, &mut far, at(0)).expect("it is sound");
        pass(&mut far, &mut near, at(0)).expect("it is sound");
        assert_eq!(near.opening(), far.opening());
        assert_eq!(LaneEnd::Opener(far.opening().expect("it is known")), ours);
        assert_eq!(near.peer(), Some(&hello()));
        assert_eq!(far.peer(), Some(&hello()));
    }
}

#[test]
fn lanes_of_others_are_refused() {
    let other = LaneEnd::Opener(Opening { session: SessionId([2; 16]), lane: LaneNumber(5) });
    for (from, to, number) in [
        (other, LaneEnd::Acceptor(SESSION), 5),
        (opener(0), LaneEnd::Acceptor(SESSION), 0),
        (opener(1), LaneEnd::FirstAcceptor, 1),
        (opener(1), opener(2), 1),
        (LaneEnd::FirstAcceptor, LaneEnd::FirstAcceptor, 0),
    ] {
        let refused = pass(&mut link(from), &mut link(to), at(0));
        assert_eq!(refused, Err(Violation::ForeignLane(LaneNumber(number))));
    }
}

#[test]
fn an_early_end_is_told_apart_from_a_late_one() {
    let mut near = link(opener(0));
    assert_eq!(near.ended(), Err(Violation::Mute));
    near.receive(b"sh: 1: not found", at(0)).expect("there may be more");
    assert_eq!(near.ended(), Err(Violation::Noise("sh: 1: not found".to_owned())));
    let mut near = link(opener(0));
    pass(&mut link(LaneEnd::FirstAcceptor), &mut near, at(0)).expect("it is sound");
    assert_eq!(near.ended(), Ok(()));
}

#[test]
fn a_side_that_does_not_greet_is_not_waited_for() {
    let patience = Patience::default();
    let mut near = link(opener(0));
    let _greeting = near.poll_transmit();
    assert_eq!(near.tick(patience.greeting.saturating_sub(at(1))), Ok(()));
    let due = near.tick(patience.greeting);
    assert_eq!(due, Err(Violation::NoGreeting(patience.greeting)));
    near.receive(b"Password:", at(1)).expect("there may be more");
    let due = near.tick(patience.greeting);
    assert_eq!(due, Err(Violation::Noise("Password:".to_owned())));
}

#[test]
fn an_idle_lane_stays_alive_and_a_silent_one_does_not() {
    let (mut near, mut far) = (link(opener(0)), link(LaneEnd::FirstAcceptor));
    pass(&mut near, &mut far, at(0)).expect("it is sound");
    pass(&mut far, &mut near, at(0)).expect("it is sound");
    let mut now = at(0);
    for _ in 0..100 {
        now = near.deadline().min(far.deadline());
        near.tick(now).expect("the other side speaks");
        far.tick(now).expect("the other side speaks");
        pass(&mut near, &mut far, now).expect("it is sound");
        pass(&mut far, &mut near, now).expect("it is sound");
        assert!(near.poll_frame().is_none(), "a keepalive is for nobody");
    }
    assert_eq!(now, at(500));
    let silence = Patience::default().silence;
    while near.deadline() < now + silence {
        near.tick(near.deadline()).expect("it is not due");
        let _keepalive = near.poll_transmit();
    }
    assert_eq!(near.tick(now + silence), Err(Violation::Silent(silence)));
}

#[test]
fn a_lane_whose_keepalives_do_not_get_out_is_due_no_more_often() {
    let (mut near, mut far) = (link(opener(0)), link(LaneEnd::FirstAcceptor));
    pass(&mut near, &mut far, at(0)).expect("it is sound");
    pass(&mut far, &mut near, at(0)).expect("it is sound");
    let Patience { silence, keepalive, .. } = Patience::default();
    let mut now = at(0);
    while near.deadline() < silence {
        assert_eq!(near.deadline(), now + keepalive);
        now = near.deadline();
        near.tick(now).expect("it is not due");
    }
    assert_eq!(near.tick(silence), Err(Violation::Silent(silence)));
}

#[test]
fn who_did_not_listen_for_a_while_takes_nobody_for_silent() {
    let (mut near, mut far) = (link(opener(0)), link(LaneEnd::FirstAcceptor));
    pass(&mut near, &mut far, at(0)).expect("it is sound");
    pass(&mut far, &mut near, at(0)).expect("it is sound");
    let silence = Patience::default().silence;
    let later = at(0) + silence * 10;
    near.resume(later);
    near.tick(later).expect("it listens only now");
    assert_eq!(near.tick(later + silence), Err(Violation::Silent(silence)));
}

#[test]
fn frames_that_come_with_the_greeting_are_not_lost() {
    let mut near = link(opener(0));
    let greeting = link(LaneEnd::FirstAcceptor).poll_transmit().expect("it greets");
    let header = Header { id: RequestId(1), ..Header::plain(FrameKind::Response) };
    let frame = Outgoing::frame(header, b"body");
    let bytes = [greeting.parts().concat(), frame.parts().concat()].concat();
    near.receive(&bytes, at(0)).expect("it is sound");
    assert_eq!(near.poll_frame().expect("it is there").body, b"body");
}
