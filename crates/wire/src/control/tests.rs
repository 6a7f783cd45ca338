//! Two sides that keep the order of a run, and such that do not.

use std::num::NonZeroU64;

use super::{Control, ControlError, Failure, FailureKind, Message, Role, Task, Told};
use crate::bounded::{EventBytes, OutcomeBytes, ProgressBytes, Text, WorkPiece};
use crate::codec::encode;
use crate::direct::{DirectTalk, DirectWish};
use crate::frame::tests::frames;
use crate::frame::{Frame, FrameKind, Header};
use crate::lane::LaneNumber;
use crate::lane_talk::{Fingerprint, LaneCount, LaneKind, LaneTalk, LaneWanted, PortRange};
use crate::limits;
use crate::violation::Violation;

fn pair() -> (Control, Control) {
    (Control::new(Role::Controller), Control::new(Role::Agent))
}

/// Two that have begun.
fn working() -> (Control, Control) {
    let (mut controller, mut agent) = pair();
    controller.begin(Task::RunDestination, b"job").expect("it is new");
    pass(&mut controller, &mut agent).expect("it is sound");
    assert_eq!(agent.poll_told(), Some(Told::Begin(Task::RunDestination, b"job".to_vec())));
    (controller, agent)
}

fn frame(message: &Message) -> Frame {
    Frame { header: Header::plain(FrameKind::Control), body: encode(message) }
}

fn give(to: &mut Control, message: &Message) -> Result<(), Violation> {
    to.handle_frame(LaneNumber::FIRST, &frame(message))
}

/// Gives all that one side has to say to the other; tells how many messages there were.
fn pass(from: &mut Control, to: &mut Control) -> Result<usize, Violation> {
    let mut count = 0;
    while let Some(outgoing) = from.poll_transmit() {
        let bytes = outgoing.parts().concat();
        for frame in frames(&bytes, &[1000])? {
            to.handle_frame(LaneNumber::FIRST, &frame)?;
            count += 1;
        }
    }
    Ok(count)
}

fn event(length: usize) -> EventBytes {
    EventBytes::new(vec![1; length]).expect("it is in range")
}

fn outcome() -> OutcomeBytes {
    OutcomeBytes::new("ok").expect("it is in range")
}

fn progress(number: u8) -> ProgressBytes {
    ProgressBytes::new([number]).expect("it is in range")
}

#[test]
fn a_run_is_begun_told_of_and_ended() {
    let (mut controller, mut agent) = working();
    agent.event(event(3)).expect("there is room");
    agent.ended(outcome()).expect("it works");
    agent.bye();
    pass(&mut agent, &mut controller).expect("it is sound");
    let told: Vec<_> = std::iter::from_fn(|| controller.poll_told()).collect();
    assert_eq!(told, [Told::Event(event(3)), Told::Ended(outcome()), Told::Bye]);
}

#[test]
fn a_job_of_any_size_arrives_whole() {
    for length in [0, 1, limits::WORK_PIECE_BYTES, limits::WORK_PIECE_BYTES * 2 + 1] {
        let (mut controller, mut agent) = pair();
        let work = vec![7; length];
        controller.begin(Task::ServeSource, &work).expect("it is new");
        pass(&mut controller, &mut agent).expect("it is sound");
        assert_eq!(agent.poll_told(), Some(Told::Begin(Task::ServeSource, work)));
    }
}

#[test]
fn what_cannot_come_ends_the_session() {
    let work = || Message::Work(WorkPiece::new("xxx").expect("it is in range"));
    let begin = |work_bytes| Message::Begin { task: Task::ServeSource, work_bytes };
    let event = Message::Event(event(1));
    // To an agent that knows nothing, one that works, a controller that waits, one that has begun.
    for (message, may_come) in [
        (begin(3), [true, false, false, false]),
        (begin(limits::WORK_BYTES), [true, false, false, false]),
        (begin(limits::WORK_BYTES + 1), [false; 4]),
        (begin(1 << 63), [false; 4]),
        (work(), [false; 4]),
        (event, [false, false, false, true]),
        (Message::Progress(progress(1)), [false, false, false, true]),
        (Message::Ended(outcome()), [false, false, false, true]),
        (Message::Cancel, [false, true, false, false]),
        (Message::EventCredit(1), [false; 4]),
        (Message::Pace(1), [false, true, false, false]),
        (Message::Bye, [true; 4]),
    ] {
        let ((waiting, new), (begun, busy)) = (pair(), working());
        let came = [new, busy, waiting, begun].map(|mut to| give(&mut to, &message).is_ok());
        assert_eq!(came, may_come, "{message:?}");
    }
}

#[test]
fn of_several_paces_the_newest_counts_and_none_before_the_job() {
    let (mut controller, mut agent) = pair();
    let pace = |bytes_per_sec| NonZeroU64::new(bytes_per_sec);
    controller.pace(pace(1)).expect_err("nothing was begun");
    controller.begin(Task::ServeSource, b"job").expect("it is new");
    for bytes_per_sec in [7, 8, 9] {
        controller.pace(pace(bytes_per_sec)).expect("it works");
    }
    pass(&mut controller, &mut agent).expect("it is sound");
    let told: Vec<_> = std::iter::from_fn(|| agent.poll_told()).collect();
    assert_eq!(told, [Told::Begin(Task::ServeSource, b"job".to_vec()), Told::Pace(pace(9))]);
    controller.pace(None).expect("it works");
    pass(&mut controller, &mut agent).expect("it is sound");
    assert_eq!((agent.poll_told(), agent.poll_told()), (Some(Told::Pace(None)), None));
}

#[test]
fn a_job_longer_than_announced_ends_the_session() {
    let (_, mut agent) = pair();
    give(&mut agent, &Message::Begin { task: Task::ServeSource, work_bytes: 5 }).expect("sound");
    let piece = Message::Work(WorkPiece::new("abc").expect("it is in range"));
    give(&mut agent, &piece).expect("it is within");
    assert!(give(&mut agent, &piece).is_err());
}

#[test]
fn nothing_comes_after_the_end_nor_on_another_lane() {
    let (mut controller, _) = working();
    give(&mut controller, &Message::Bye).expect("it may come at any time");
    assert!(give(&mut controller, &Message::Bye).is_err());
    let (mut controller, _) = working();
    let elsewhere = controller.handle_frame(LaneNumber(1), &frame(&Message::Bye));
    assert!(matches!(elsewhere, Err(Violation::ControlOrder(_))));
    let header = Header::plain(FrameKind::Void);
    let other = controller.handle_frame(LaneNumber::FIRST, &Frame { header, body: Vec::new() });
    assert_eq!(other, Err(Violation::WrongSide(FrameKind::Void)));
}

#[test]
fn each_side_says_only_what_it_may() {
    let (mut controller, mut agent) = pair();
    assert_eq!(agent.begin(Task::ServeSource, b""), Err(ControlError::Order));
    assert_eq!(agent.event(event(1)), Err(ControlError::Order));
    assert_eq!(controller.cancel(), Err(ControlError::Order));
    let too_long = vec![0; usize::try_from(limits::WORK_BYTES).expect("it fits") + 1];
    assert_eq!(controller.begin(Task::ServeSource, &too_long), Err(ControlError::TooLong));
    controller.begin(Task::ServeSource, b"").expect("it is new");
    assert_eq!(controller.begin(Task::ServeSource, b""), Err(ControlError::Order));
    assert_eq!(controller.ended(outcome()), Err(ControlError::Order));
}

#[test]
fn events_wait_for_a_controller_that_takes_none_and_none_is_lost() {
    let (mut controller, mut agent) = working();
    let (mut sent, mut taken) = (0, 0);
    for round in 0..50 {
        while agent.event(event(10_000)).is_ok() {
            sent += 1;
        }
        assert_eq!(agent.event(event(10_000)), Err(ControlError::NoRoom));
        pass(&mut agent, &mut controller).expect("it is within the credit");
        for _ in 0..(round % 7) * 10 {
            taken += usize::from(controller.poll_told().is_some());
        }
        pass(&mut controller, &mut agent).expect("it is sound");
        let held = (sent - taken) as u64 * 10_064;
        assert!(held <= limits::EVENT_WINDOW_BYTES, "{held} bytes are held");
    }
    taken += std::iter::from_fn(|| controller.poll_told()).count();
    assert_eq!(sent, taken);
    assert!(sent > 500);
}

#[test]
fn more_events_than_there_is_room_for_end_the_session() {
    let (mut controller, _) = working();
    let message = Message::Event(event(0));
    let count = limits::EVENT_WINDOW_BYTES / 64;
    for _ in 0..count {
        give(&mut controller, &message).expect("there is room");
    }
    assert_eq!(give(&mut controller, &message), Err(Violation::OverEventCredit));
}

#[test]
fn only_the_newest_progress_is_told() {
    let (mut controller, mut agent) = working();
    for number in 0..100 {
        agent.progress(progress(number)).expect("it works");
    }
    assert_eq!(pass(&mut agent, &mut controller), Ok(1));
    assert_eq!(controller.poll_told(), Some(Told::Progress(progress(99))));
    for number in 0..100 {
        give(&mut controller, &Message::Progress(progress(number))).expect("it may come");
    }
    assert_eq!(controller.poll_told(), Some(Told::Progress(progress(99))));
    assert_eq!(controller.poll_told(), None);
    agent.progress(progress(1)).expect("it works");
    agent.ended(outcome()).expect("it works");
    assert_eq!(pass(&mut agent, &mut controller), Ok(1), "after the outcome nobody asks");
}

#[test]
fn a_cancellation_is_told_once_and_may_cross_the_outcome() {
    let (mut controller, mut agent) = working();
    controller.cancel().expect("it works");
    controller.cancel().expect("it works");
    agent.ended(outcome()).expect("it works");
    pass(&mut controller, &mut agent).expect("they have crossed");
    assert_eq!(agent.poll_told(), None);
    let (mut controller, mut agent) = working();
    for _ in 0..3 {
        controller.cancel().expect("it works");
        pass(&mut controller, &mut agent).expect("it is sound");
    }
    assert_eq!(agent.poll_told(), Some(Told::Cancel));
    assert_eq!(agent.poll_told(), None);
}

#[test]
fn talk_of_lanes_goes_both_ways_and_ends_somewhere() {
    let (mut controller, mut agent) = pair();
    let kind = LaneKind::Tcp;
    let (fingerprint, ports, count) = (Fingerprint([1; 32]), PortRange::Any, LaneCount::Auto);
    let wanted = LaneWanted { kind, fingerprint, ports, family: None, count };
    let wanted = LaneTalk::Wanted(wanted);
    controller.talk_of_lanes(wanted.clone());
    let three = LaneTalk::Count { kind, lanes: 3 };
    agent.talk_of_lanes(three.clone());
    pass(&mut controller, &mut agent).expect("it is sound");
    pass(&mut agent, &mut controller).expect("it is sound");
    assert_eq!(agent.poll_lane_talk(), Some(wanted.clone()));
    assert_eq!((agent.poll_lane_talk(), agent.poll_told()), (None, None));
    assert_eq!(controller.poll_lane_talk(), Some(three));
    let message = Message::Lanes(wanted);
    for _ in 1..limits::LANE_TALKS {
        give(&mut controller, &message).expect("it is within the limit");
    }
    let refused = give(&mut controller, &message);
    assert_eq!(refused, Err(Violation::TooManyLaneTalks(limits::LANE_TALKS)));
}

#[test]
fn a_failure_says_why_and_is_the_last_word() {
    let (mut controller, mut agent) = working();
    let failure = Failure { kind: FailureKind::Refused, text: Text::new("no such root") };
    agent.fail(failure.clone());
    pass(&mut agent, &mut controller).expect("it is sound");
    assert_eq!(controller.poll_told(), Some(Told::Failure(failure)));
    assert!(give(&mut controller, &Message::Bye).is_err());
}

#[test]
fn of_a_direct_session_each_side_tells_its_part_and_not_for_ever() {
    let (mut controller, mut agent) = pair();
    let no = || DirectTalk::Refusal(Text::new("no"));
    assert_eq!(controller.talk_of_direct(DirectTalk::Met), Err(ControlError::Order));
    let wish =
        DirectWish { kind: LaneKind::Tcp, listens: true, ports: PortRange::Any, family: None };
    let prepare = DirectTalk::Prepare(wish);
    assert_eq!(agent.talk_of_direct(prepare.clone()), Err(ControlError::Order));
    // Before the job, and apart from what else is told.
    controller.talk_of_direct(prepare.clone()).expect("it is its part");
    controller.begin(Task::RunDestination, b"job").expect("it is new");
    pass(&mut controller, &mut agent).expect("it is sound");
    assert_eq!(agent.poll_direct_talk(), Some(prepare.clone()));
    assert_eq!(agent.poll_direct_talk(), None);
    assert!(matches!(agent.poll_told(), Some(Told::Begin(..))));
    for talk in [DirectTalk::Met, no()] {
        agent.talk_of_direct(talk.clone()).expect("it is its part");
        pass(&mut agent, &mut controller).expect("it is sound");
        assert_eq!(controller.poll_direct_talk(), Some(talk));
    }
    for (to, told) in [(&mut agent, DirectTalk::Met), (&mut controller, prepare)] {
        let refused = give(to, &Message::Direct(told));
        assert!(matches!(refused, Err(Violation::ControlOrder(_))));
    }
    for _ in 1..limits::DIRECT_TALKS {
        give(&mut agent, &Message::Direct(no())).expect("it is within the limit");
    }
    let refused = give(&mut agent, &Message::Direct(no()));
    assert_eq!(refused, Err(Violation::TooManyDirectTalks(limits::DIRECT_TALKS)));
}

#[test]
fn who_takes_but_short_jobs_takes_no_piece_of_a_longer_one() {
    for (most, work_bytes, is_taken) in
        [(0, 0, true), (0, 1, false), (9, 9, true), (9, 10, false), (u64::MAX, u64::MAX, false)]
    {
        let mut agent = Control::new(Role::Agent).with_most_work(most);
        let begin = Message::Begin { task: Task::ServeSource, work_bytes };
        let told = agent.handle_frame(LaneNumber::FIRST, &frame(&begin));
        assert_eq!(told.is_ok(), is_taken, "{work_bytes} of {most}");
    }
}
