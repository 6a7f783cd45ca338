//! A run from its seeds to its end.
//!
//! The calling thread is the conductor: it starts worker threads when the crew asks for them, feeds
//! the tuner, and sleeps otherwise. Tasks run on the workers only, unless no thread at all can be
//! had; then the conductor is the one worker.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, Builder, Scope};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use crate::cancel::Cancel;
use crate::counters::Counters;
use crate::crew::{Call, Crew};
use crate::meter::{Meter, Tally};
use crate::queue::Queues;
use crate::task::Task;
use crate::tuner::{Tick, Tuner};
use crate::worker::{Shared, work};

/// How often the tuner looks: 10 ms, a fifth of its shortest window, so that a window is not cut
/// much too long.
const TICK: Duration = Duration::from_millis(10);

/// Enough for a task that calls into the kernel and hashes; only touched pages cost memory.
const DEFAULT_STACK_BYTES: usize = 1 << 20;

/// How many workers a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// At most so many, and the tuner rests. With one, tasks run in a fixed order.
    Fixed(NonZeroUsize),
    /// As many as the storage and the cores can use, found while it runs.
    Auto {
        /// So many to begin with, or one a core, if that is more: what a run of a moment has, since to find
        /// out takes longer.
        first: NonZeroUsize,
        /// Never fewer than so many, and as many to begin with: where operations wait for another host
        /// and not for storage, what they take says nothing of a queue that fewer would shorten.
        least: NonZeroUsize,
        /// Never more than so many.
        ceiling: NonZeroUsize,
    },
}

impl Default for Workers {
    /// As many as pay off, up to 256: where 64 server slots at 2 ms each are saturated with room to
    /// spare.
    fn default() -> Self {
        Self::Auto {
            first: NonZeroUsize::MIN,
            least: NonZeroUsize::MIN,
            ceiling: NonZeroUsize::MIN.saturating_add(255),
        }
    }
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many workers.
    pub workers: Workers,
    /// The stack of each worker thread.
    pub stack_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { workers: Workers::default(), stack_bytes: DEFAULT_STACK_BYTES }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All tasks were run.
    Done,
    /// The token was pulled; tasks that were still queued were abandoned.
    Cancelled,
    /// A task panicked, which pulled the token. The first message.
    Panicked(String),
}

/// What a run tells when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a panic of a task is reported here and nowhere else"]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Tasks that were run.
    pub tasks: u64,
    /// Tasks that were queued when the run was cancelled.
    pub abandoned: u64,
    /// Threads that were started.
    pub peak_workers: usize,
    /// How many workers were allowed at the end: what the tuner found.
    pub active_workers: usize,
}

/// Runs `seeds` and all that they spawn, and returns when no task is left. Seeds are taken oldest
/// first. After a cancellation, running tasks end as they like and queued ones are abandoned.
pub fn run<T: Task>(
    settings: &Settings,
    cancel: &Cancel,
    seeds: impl IntoIterator<Item = T>,
) -> Outcome {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (ceiling, tuning) = match settings.workers {
        Workers::Fixed(count) => (count.get(), None),
        Workers::Auto { first, least, ceiling } => {
            let tuner = Tuner::new(cores, ceiling.get()).with_at_least(least.get());
            let tuner = tuner.beginning_with(first.get());
            (ceiling.get(), Some(Tuning::new(tuner)))
        }
    };
    let start = tuning.as_ref().map_or(ceiling, |tuning| tuning.tuner.limit());
    let shared = prepare(Arc::new(Counters::default()), ceiling, start, cancel, seeds);
    conduct(&shared, settings.stack_bytes, tuning);
    outcome(&shared)
}

fn prepare<T>(
    counters: Arc<Counters>,
    ceiling: usize,
    start: usize,
    cancel: &Cancel,
    seeds: impl IntoIterator<Item = T>,
) -> Shared<T> {
    let shared = Shared {
        queues: Queues::new(ceiling),
        crew: Crew::new(ceiling, start, Arc::clone(&counters)),
        counters,
        cancel: cancel.clone(),
        panic: Mutex::new(None),
    };
    let mut count = 0;
    for seed in seeds {
        shared.queues.seeds.push(seed);
        count += 1;
    }
    shared.counters.outstanding.store(count, Ordering::Release);
    if count == 0 {
        shared.crew.close();
    }
    shared
}

fn conduct<T: Task>(shared: &Shared<T>, stack_bytes: usize, mut tuning: Option<Tuning>) {
    thread::scope(|scope| {
        shared.crew.announce();
        let mut running = 0;
        loop {
            match shared.crew.conduct(running, tuning.as_ref().map(|_| TICK)) {
                Call::Close => break,
                Call::Tick => tuning.iter_mut().for_each(|tuning| tuning.tick(shared)),
                Call::Start(wanted) => {
                    let meters = tuning.as_mut().map(|tuning| &mut tuning.meters);
                    let launch = Launch { scope, shared, stack_bytes };
                    running = launch.start(running, wanted, meters);
                }
            }
        }
    });
}

struct Launch<'scope, 'env, T> {
    scope: &'scope Scope<'scope, 'env>,
    shared: &'scope Shared<T>,
    stack_bytes: usize,
}

impl<T: Task> Launch<'_, '_, T> {
    /// Returns how many run now: fewer than wanted if the system refuses.
    fn start(
        &self,
        running: usize,
        wanted: usize,
        mut meters: Option<&mut Vec<Arc<Meter>>>,
    ) -> usize {
        for index in running..wanted {
            let meter = meters.as_mut().map(|meters| {
                meters.push(Arc::default());
                Arc::clone(&meters[meters.len() - 1])
            });
            if !self.spawn(index, meter) {
                // The conductor takes the first one's place.
                self.shared.crew.give_up_starting(index.max(1));
                if index == 0 {
                    work(self.shared, &self.shared.queues.join(0), None, 0);
                }
                return index.max(1);
            }
        }
        wanted
    }

    fn spawn(&self, index: usize, meter: Option<Arc<Meter>>) -> bool {
        let shared = self.shared;
        // Before the thread runs, so that no task is ever where nobody looks.
        let deque = shared.queues.join(index);
        Builder::new()
            .name(format!("worker-{index}"))
            .stack_size(self.stack_bytes)
            .spawn_scoped(self.scope, move || work(shared, &deque, meter.as_deref(), index))
            .is_ok()
    }
}

/// The tuner with its clocks and its sources.
struct Tuning {
    tuner: Tuner,
    begun: Instant,
    meters: Vec<Arc<Meter>>,
}

impl Tuning {
    fn new(tuner: Tuner) -> Self {
        Self { tuner, begun: Instant::now(), meters: Vec::new() }
    }

    fn tick<T>(&mut self, shared: &Shared<T>) {
        let mut tally = Tally::default();
        for meter in &self.meters {
            meter.drain_into(&mut tally);
        }
        let tick = Tick {
            now: self.begun.elapsed(),
            cpu: process_cpu_time(),
            busy: shared.counters.busy.load(Ordering::Relaxed),
            tally,
        };
        let before = self.tuner.limit();
        let limit = self.tuner.observe(&tick);
        if limit != before {
            shared.crew.set_limit(limit, || shared.queues.has_work());
        }
    }
}

fn process_cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn outcome<T>(shared: &Shared<T>) -> Outcome {
    let counters = &shared.counters;
    let finished = &counters.finished;
    let end = match shared.panic.lock().take() {
        Some(message) => End::Panicked(message),
        None if shared.cancel.is_cancelled() => End::Cancelled,
        None => End::Done,
    };
    Outcome {
        end,
        tasks: finished.tasks.load(Ordering::Relaxed),
        abandoned: finished.abandoned.load(Ordering::Relaxed),
        peak_workers: counters.started.load(Ordering::Relaxed),
        active_workers: counters.active.load(Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests;
