//! The loop of one worker thread, and what all workers of a run share.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_deque::Worker as Deque;
use parking_lot::Mutex;

use crate::cancel::Cancel;
use crate::counters::Counters;
use crate::crew::{Crew, Wake};
use crate::meter::Meter;
use crate::queue::{Found, Origin, Queues};
use crate::task::{Context, Task};

/// What all workers of a run share.
pub(crate) struct Shared<T> {
    pub(crate) queues: Queues<T>,
    pub(crate) crew: Crew,
    pub(crate) counters: Arc<Counters>,
    pub(crate) cancel: Cancel,
    pub(crate) panic: Mutex<Option<String>>,
}

/// Works until no task is left. The thread must have been counted as searching.
pub(crate) fn work<T: Task>(
    shared: &Shared<T>,
    deque: &Deque<T>,
    meter: Option<&Meter>,
    index: usize,
) {
    let cx = Context { shared, deque, meter, index };
    let mut worker =
        Worker { cx, role: Role::Searching, victim: index + 1, score: Score::default() };
    while worker.step() == Step::Again {}
    worker.score.add_to(&shared.counters);
}

struct Worker<'a, T: Task> {
    cx: Context<'a, T>,
    role: Role,
    victim: usize,
    score: Score,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Busy,
    Searching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Again,
    End,
}

impl<T: Task> Worker<'_, T> {
    fn step(&mut self) -> Step {
        let active = self.cx.active_workers();
        if self.cx.index >= active {
            self.search();
            return self.park();
        }
        let found = self.cx.shared.queues.take_near(self.cx.deque, active).or_else(|| {
            self.search();
            self.cx.shared.queues.take_far(self.cx.index, &mut self.victim)
        });
        let Some(found) = found else { return self.park() };
        if self.role == Role::Searching {
            self.role = Role::Busy;
            self.cx.shared.crew.end_search(|| self.cx.shared.queues.has_work());
        }
        self.execute(found);
        Step::Again
    }

    fn search(&mut self) {
        if self.role == Role::Busy {
            self.role = Role::Searching;
            self.cx.shared.crew.begin_search();
        }
    }

    fn park(&mut self) -> Step {
        let wake = self.cx.shared.crew.park(self.cx.index, || self.cx.shared.queues.has_work());
        match wake {
            Wake::Search => Step::Again,
            Wake::Close => Step::End,
        }
    }

    fn execute(&mut self, found: Found<T>) {
        let Found { task, origin } = found;
        let cx = &self.cx;
        let cancelled = cx.cancelled();
        // Unwind safety: what a task shares with others is its own concern, and the run is over.
        let outcome =
            catch_unwind(AssertUnwindSafe(
                || {
                    if cancelled { task.abandon(cx) } else { task.run(cx) }
                },
            ));
        if let Err(payload) = outcome {
            cx.shared.report_panic(payload);
        }
        if origin == Origin::Long {
            cx.shared.queues.long_done();
        }
        self.score.abandoned += u64::from(cancelled);
        self.score.tasks += u64::from(!cancelled);
        if cx.shared.counters.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            cx.shared.crew.close();
        }
    }
}

impl<T> Shared<T> {
    fn report_panic(&self, payload: Box<dyn Any + Send>) {
        let message = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        // Its drop may panic too, and outside of a task that would end the worker.
        std::mem::forget(payload);
        self.panic.lock().get_or_insert(message);
        self.cancel.cancel();
    }
}

/// What one worker counts for itself, so that counting costs no shared write.
#[derive(Debug, Default)]
struct Score {
    tasks: u64,
    abandoned: u64,
}

impl Score {
    fn add_to(&self, counters: &Counters) {
        let finished = &counters.finished;
        finished.tasks.fetch_add(self.tasks, Ordering::Relaxed);
        finished.abandoned.fetch_add(self.abandoned, Ordering::Relaxed);
    }
}
