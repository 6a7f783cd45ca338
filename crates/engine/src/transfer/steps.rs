//! What is left to do of a big file that many workers make of an old one.
//!
//! Before a range can be asked for, the source must have the signatures of a window around it. So the
//! work goes by sections of ranges: first all pieces that a section needs are signed, then its ranges are
//! brought over, each by whoever comes; the last to end one phase begins the next. No more signatures
//! are kept than a section needs, however long the file is.

use std::ops::Range;

use delta::{Part, Plan};
use parking_lot::Mutex;

/// Ranges of one section: with the windows at its ends, it needs twice as many pieces.
const SECTION_PARTS: u64 = 32;

/// What one worker does at a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Sign a piece of the old file.
    Sign(u64),
    /// Bring a range of the new file over.
    Patch(Part),
}

/// The steps of one file, taken by many.
pub(super) struct Steps {
    plan: Plan,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// What of the phase is left.
    left: Range<u64>,
    /// Where the next section begins.
    next_part: u64,
    /// Pieces before this one were signed.
    signed_to: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Signing,
    Patching,
}

impl Steps {
    /// All of a file.
    pub(super) fn of(plan: Plan) -> Self {
        let state = State { phase: Phase::Patching, left: 0..0, next_part: 0, signed_to: 0 };
        let steps = Self { plan, state: Mutex::new(state) };
        steps.begin_next_phase();
        steps
    }

    /// The next step of the phase.
    pub(super) fn take(&self) -> Option<Step> {
        let mut state = self.state.lock();
        let number = state.left.next()?;
        Some(match state.phase {
            Phase::Signing => Step::Sign(number),
            Phase::Patching => Step::Patch(self.plan.part(number)),
        })
    }

    /// Begins the next phase when all steps of this one are done: says how many steps it has, and which
    /// is the first piece that is still needed. `None` at the end.
    pub(super) fn begin_next_phase(&self) -> Option<(u64, u64)> {
        let mut state = self.state.lock();
        let first_part = match state.phase {
            Phase::Signing => {
                let first = state.next_part;
                let end = (first + SECTION_PARTS).min(self.plan.part_count());
                (state.phase, state.left, state.next_part) = (Phase::Patching, first..end, end);
                first
            }
            Phase::Patching => {
                let first = state.next_part;
                let last = (first + SECTION_PARTS).min(self.plan.part_count()).checked_sub(1)?;
                if last < first {
                    return None;
                }
                let end = self.plan.part(last).pieces.end;
                state.left = state.signed_to.max(self.plan.part(first).pieces.start)..end;
                (state.phase, state.signed_to) = (Phase::Signing, end.max(state.signed_to));
                first
            }
        };
        let left = state.left.end.saturating_sub(state.left.start);
        Some((left, self.plan.part(first_part).pieces.start))
    }

    /// Leaves nothing to take, now or later.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.left = 0..0;
        state.next_part = self.plan.part_count();
        state.phase = Phase::Patching;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use delta::{Plan, Shape, Update};

    use super::{Step, Steps};

    /// Goes through all steps; checks that each range comes once, in order, when its pieces are signed,
    /// and says how many signatures were kept at most.
    fn check(old_bytes: u64, new_bytes: u64) -> usize {
        let plan = Plan::new(Shape::new(1, 4).unwrap(), old_bytes, new_bytes, Update::Apart);
        let steps = Steps::of(plan);
        let (mut kept, mut most, mut parts) = (BTreeSet::new(), 0, 0);
        loop {
            while let Some(step) = steps.take() {
                match step {
                    Step::Sign(piece) => assert!(kept.insert(piece), "signed twice"),
                    Step::Patch(part) => {
                        assert_eq!(part, plan.part(parts));
                        assert!(part.pieces.clone().all(|piece| kept.contains(&piece)));
                        parts += 1;
                    }
                }
                most = most.max(kept.len());
            }
            let Some((_, needed_from)) = steps.begin_next_phase() else { break };
            kept = kept.split_off(&needed_from);
        }
        assert_eq!(parts, plan.part_count());
        most
    }

    #[test]
    fn each_range_comes_once_when_its_pieces_are_signed() {
        const RANGE: u64 = 1024;
        assert_eq!(check(10 * RANGE, 10 * RANGE), 10);
        assert_eq!(check(10 * RANGE, 100 * RANGE + 1), 10);
        assert!(check(1000 * RANGE, 1000 * RANGE) <= 64);
        assert!(check(1000 * RANGE, 77) <= 32);
        assert_eq!(check(0, 100 * RANGE), 0);
    }

    #[test]
    fn when_it_is_stopped_nothing_is_left() {
        let plan = Plan::new(Shape::new(1, 4).unwrap(), 1 << 20, 1 << 20, Update::Apart);
        let steps = Steps::of(plan);
        assert_eq!(steps.take(), Some(Step::Sign(0)));
        steps.stop();
        assert_eq!(steps.take(), None);
        assert_eq!(steps.begin_next_phase(), None);
        assert_eq!(steps.take(), None);
    }
}
