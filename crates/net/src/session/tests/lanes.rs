//! Lanes that come, stall and die.

use std::collections::VecDeque;

use super::super::lanes::LaneState;
use super::super::state::State;
use super::*;

#[test]
fn a_lane_that_dies_loses_nothing() {
    let both = Both::in_memory(|_| {});
    let (mut near, far) = memory::pair().unwrap();
    let scissors = Scissors::at(&mut near);
    both.requester.add_lane(near, Some(LaneNumber(1))).unwrap();
    both.responder.add_lane(far, None).unwrap();
    while both.requester.lane_count() < 2 || both.responder.lane_count() < 2 {
        thread::yield_now();
    }
    both.serve.gate.set(true);
    let carried = || {
        let second = |state: &mut State| state.lanes.values().nth(1).map(LaneState::carried_bytes);
        both.requester.shared.change(second)
    };
    let before = carried();
    let read = both.read_by(64, || {
        // Some are asked for on it, and not answered while the gate is closed.
        while carried() == before {
            thread::yield_now();
        }
        scissors.hang_up();
        while both.requester.lane_count() > 1 {
            thread::yield_now();
        }
        both.serve.gate.set(false);
    });
    assert_eq!(read, vec![Ok(()); 64]);
    assert!(both.serve.attempt.load(Ordering::Relaxed) > 0, "nothing was on the lane");
    assert_eq!(both.requester.over(), None);
}

#[test]
fn lanes_come_and_go_and_all_is_answered_that_is_still_wanted() {
    const LENGTHS: [u64; 3] = [700, 30_000, 200_000];
    let both = Both::in_memory(|setup| setup.window_bytes = 1_000_000);
    let (ask, file) = (both.requester.asker(), both.file());
    let ask = &*ask;
    let read = |start, length| Request::Read { file, span: span(start, length) };
    let work = |asker: u64| {
        for (turn, length) in (0..60).zip(LENGTHS.into_iter().cycle()) {
            let start = asker * 1_000_000 + turn * 1000;
            if turn % 7 == 3 {
                ask.abandon(ask.start(read(start, length)).unwrap());
            } else {
                check(ask.ask(read(start, length)).unwrap(), start, length);
            }
        }
    };
    thread::scope(|scope| {
        let askers: Vec<_> = (0..16).map(|asker| scope.spawn(move || work(asker))).collect();
        let is_over = || askers.iter().all(thread::ScopedJoinHandle::is_finished);
        let mut alive = VecDeque::new();
        for number in 1.. {
            let (mut near, far) = memory::pair().unwrap();
            alive.push_back(Scissors::at(&mut near));
            both.requester.add_lane(near, Some(LaneNumber(number))).unwrap();
            both.responder.add_lane(far, None).unwrap();
            let runs = both.serve.runs.load(Ordering::Relaxed);
            while both.serve.runs.load(Ordering::Relaxed) < runs + 5 && !is_over() {
                thread::yield_now();
            }
            if alive.len() > 3 {
                alive.pop_front().expect("there are four").hang_up();
            }
            if is_over() {
                break;
            }
        }
    });
    assert_eq!((both.requester.over(), both.responder.over()), (None, None));
    assert!(both.serve.attempt.load(Ordering::Relaxed) > 0, "nothing was lost");
}

/// Two ends of a lane; what the far one says comes through while the valve is open.
fn with_valve(valve: &Arc<Gate>) -> (Lane, Lane) {
    let (near, inner_near) = memory::pair().unwrap();
    let (far, inner_far) = memory::pair().unwrap();
    let near_end = (inner_near.reader, inner_far.writer, inner_far.hangup, Arc::default());
    let far_end = (inner_far.reader, inner_near.writer, inner_near.hangup, Arc::clone(valve));
    for (mut from, mut to, hangup, valve) in [near_end, far_end] {
        let carry = move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                valve.pass();
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            hangup.hang_up();
        };
        thread::Builder::new().spawn(carry).unwrap();
    }
    (near, far)
}

#[test]
fn a_lane_that_stalls_does_not_stall_the_others() {
    // It shall not be given up meanwhile.
    let both = Both::in_memory(|setup| setup.patience.silence = Duration::from_secs(3600));
    let valve = Arc::new(Gate::default());
    let (near, far) = with_valve(&valve);
    both.requester.add_lane(near, Some(LaneNumber(1))).unwrap();
    both.responder.add_lane(far, None).unwrap();
    while both.requester.lane_count() < 2 || both.responder.lane_count() < 2 {
        thread::yield_now();
    }
    let (ask, file) = (both.requester.asker(), both.file());
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        // The lane is full of answers to these before it stalls.
        let length = 1_300_000;
        let read = |at: u64| Request::Read { file, span: span(at * 1000, length) };
        valve.set(true);
        let ids: Vec<_> = (0..20).map(|at| ask.start(read(at)).unwrap()).collect();
        for _ in 0..8 {
            scope.spawn(|| {
                for turn in 0..40 {
                    read_at(&*ask, file, turn * 1000).unwrap();
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Some wait for what is on it, and the rest goes on.
        while answered.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        valve.set(false);
        for (at, id) in (0..20).zip(ids) {
            check(ask.wait(id).unwrap(), at * 1000, length);
        }
    });
}

#[test]
fn a_lane_of_another_session_harms_nobody() {
    let both = Both::in_memory(|_| {});
    let (near, far) = memory::pair().unwrap();
    let stranger = Session::open(near, setup("nobody")).unwrap();
    both.responder.add_lane(far, None).unwrap();
    assert!(matches!(stranger.hear().unwrap_err().cause, Cause::Lost(_) | Cause::Broken(_)));
    read_at(&*both.requester.asker(), both.file(), 3).unwrap();
    assert_eq!(both.responder.lane_count(), 1);
}

/// Neither says anything nor ends, until it is hung up.
#[derive(Clone, Default)]
struct Idle(Arc<Gate>);

impl Read for Idle {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.pass();
        Ok(0)
    }
}

impl Hangup for Idle {
    fn hang_up(&self) {
        self.0.set(false);
    }
}

#[test]
fn lanes_end_somewhere() {
    let both = Both::in_memory(|_| {});
    let refused = (1..).find_map(|number| {
        let idle = Idle::default();
        idle.0.set(true);
        let (reader, writer) = (Box::new(idle.clone()), Box::new(io::sink()));
        let (kind, hangup) = (LaneKind::Memory, Box::new(idle));
        let lane =
            Lane { kind, losses: None, packets: None, round_trip: None, reader, writer, hangup };
        let added = both.requester.add_lane(lane, Some(LaneNumber(number)));
        added.err().map(|_| usize::from(number))
    });
    assert_eq!(refused, Some(wire::limits::LANES), "the first lane is one of them");
    read_at(&*both.requester.asker(), both.file(), 3).unwrap();
}
