//! Peers that are none, or none that keeps the rules.

use super::*;

/// The far end of a lane whose near end is a session's, by hand.
struct ByHand {
    lane: Lane,
    link: Link,
}

impl ByHand {
    fn greet(patience: Patience) -> (Session, Self) {
        let (session, by_hand) = Self::greet_one_that_waits(patience);
        session.begin(Task::ServeSource, b"").unwrap();
        (session, by_hand)
    }

    /// The same with a session that has begun nothing.
    fn greet_one_that_waits(patience: Patience) -> (Session, Self) {
        let (near, mut lane) = memory::pair().unwrap();
        let session =
            Session::open(near, Setup { patience, ..setup("the agent on web1") }).unwrap();
        let hello = setup("").hello;
        let mut link =
            Link::new(LaneEnd::FirstAcceptor, &hello, Patience::default(), Duration::ZERO);
        let greeting = link.poll_transmit().expect("there is a greeting");
        lane.writer.write_all(&greeting.parts().concat()).unwrap();
        (session, Self { lane, link })
    }

    fn say(&mut self, bytes: &[u8]) {
        self.lane.writer.write_all(bytes).unwrap();
    }

    /// All frames until the session hangs up.
    fn listen(mut self) -> Vec<Frame> {
        let mut bytes = Vec::new();
        self.lane.reader.read_to_end(&mut bytes).unwrap();
        self.link.receive(&bytes, Duration::ZERO).unwrap();
        std::iter::from_fn(|| self.link.poll_frame()).collect()
    }
}

#[test]
fn a_peer_that_breaks_a_rule_is_told_which() {
    let (session, mut peer) = ByHand::greet(Patience::default());
    let ask = session.asker();
    thread::scope(|scope| {
        let waits = scope.spawn(|| ask.ask(open_root()));
        peer.say(&[0, 0, 0, 0, 99]);
        peer.say(&[0; 11]);
        // And goes on as if nothing had happened.
        peer.say(&vec![0; 100_000]);
        let over = waits.join().unwrap().unwrap_err();
        let sentence = "source: hear from the agent on web1: there is no frame of kind 99";
        assert_eq!(over, AskError::Over(sentence.into()));
    });
    let mut control = Control::new(Role::Agent);
    for frame in peer.listen().iter().filter(|it| it.header.kind == wire::FrameKind::Control) {
        control.handle_frame(LaneNumber::FIRST, frame).unwrap();
    }
    assert!(matches!(control.poll_told(), Some(Told::Begin(..))));
    let text = Text::new("there is no frame of kind 99");
    let failure = Failure { kind: FailureKind::Violation, text };
    assert_eq!(control.poll_told(), Some(Told::Failure(failure)));
}

#[test]
fn answers_to_what_was_not_asked_end_the_session() {
    let (session, mut peer) = ByHand::greet(Patience::default());
    // A response of kind 32 to request 7, which says Done.
    peer.say(&[1, 0, 0, 0, 32, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    let over = session.hear().unwrap_err();
    assert_eq!(over.cause, Cause::Broken(Violation::Unasked(RequestId(7))));
}

#[test]
fn a_controller_that_has_begun_nothing_is_asked_nothing() {
    let (session, mut peer) = ByHand::greet_one_that_waits(Patience::default());
    let mut requester = wire::Requester::new(Capacity::default(), u64::MAX);
    requester.lane_added(LaneNumber::FIRST).unwrap();
    requester.start(open_root()).unwrap();
    let asked = requester.poll_transmit(LaneNumber::FIRST).unwrap();
    peer.say(&asked.parts().concat());
    let over = session.hear().unwrap_err();
    assert_eq!(over.cause, Cause::Broken(Violation::WrongSide(wire::FrameKind::Request)));
}

#[test]
fn a_peer_that_is_silent_is_given_up() {
    let silence = Duration::from_millis(50);
    let (session, _peer) = ByHand::greet(Patience { silence, ..Patience::default() });
    let over = session.hear().unwrap_err();
    assert_eq!(over.cause, Cause::Broken(Violation::Silent(silence)));
}

#[test]
fn a_peer_that_takes_nothing_any_more_is_given_up() {
    // Long enough that who waits for it in vain could be taken for one who was stopped.
    let silence = Duration::from_millis(1500);
    let patience =
        Patience { silence, keepalive: Duration::from_millis(10), ..Patience::default() };
    let (session, _peer) = ByHand::greet_one_that_waits(patience);
    session.begin(Task::ServeSource, &vec![0; 4_000_000]).unwrap();
    let over = session.hear().unwrap_err();
    assert_eq!(over.cause, Cause::Broken(Violation::Silent(silence)));
}

#[test]
fn who_has_nothing_to_say_says_so() {
    let keepalive = Duration::from_millis(1);
    let (_session, mut peer) = ByHand::greet(Patience { keepalive, ..Patience::default() });
    let frame = [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (mut heard, mut byte) = (Vec::new(), [0]);
    while !heard.ends_with(&frame) {
        peer.lane.reader.read_exact(&mut byte).unwrap();
        heard.extend(byte);
    }
}

#[test]
fn a_login_shell_that_talks_is_quoted() {
    let (near, mut far) = memory::pair().unwrap();
    let session = Session::open(near, setup("the agent on web1")).unwrap();
    far.writer.write_all(b"Welcome to web1!\n").unwrap();
    let over = session.greeted().unwrap_err();
    assert!(over.to_string().contains("printed \"Welcome to web1!\""), "{over}");
}

#[test]
fn a_peer_that_never_speaks_is_said_to_be_none() {
    let (near, far) = memory::pair().unwrap();
    let session = Session::open(near, setup("the agent on web1")).unwrap();
    far.hangup.hang_up();
    assert_eq!(session.hear().unwrap_err().cause, Cause::Broken(Violation::Mute));
}
