//! Tasks, workers, budgets and cancellation; knows no files.
//!
//! A run is a tree of tasks. Each worker thread has a stack of tasks of its own and repeats
//!
//! ```text
//! loop {
//!     task = the oldest long task, if fewer than half of the workers run one
//!         or the newest task of my own stack             (depth first: memory stays bounded)
//!         or the oldest seed
//!         or the oldest task of another worker's stack   (breadth: far from where it works)
//!         or the oldest long task, since nothing else is left
//!         or sleep until somebody spawns
//!     task.run(cx)                                       (may spawn further tasks)
//! }
//! ```
//!
//! until no task is left anywhere. A task never waits for another one: what comes after it is
//! spawned as a task by whichever part ends last. So the tasks that exist at once are bounded by
//! depth times workers, and the order on one worker is that of a plain recursive program.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use sched::{Cancel, Context, End, Settings, Task, Workers};
//!
//! static LEAVES: AtomicU64 = AtomicU64::new(0);
//! struct Split(u32);
//!
//! impl Task for Split {
//!     fn run(self, cx: &Context<'_, Self>) {
//!         if self.0 == 0 {
//!             LEAVES.fetch_add(1, Ordering::Relaxed);
//!         } else {
//!             cx.spawn(Split(self.0 - 1));
//!             cx.spawn(Split(self.0 - 1));
//!         }
//!     }
//! }
//!
//! let four = NonZeroUsize::new(4).expect("four is not zero");
//! let settings = Settings { workers: Workers::Fixed(four), ..Settings::default() };
//! let outcome = sched::run(&settings, &Cancel::new(), [Split(10)]);
//! assert_eq!(outcome.end, End::Done);
//! assert_eq!(LEAVES.load(Ordering::Relaxed), 1024);
//! ```
//!
//! How many workers are worth having is found while it runs, from the latencies that tasks report
//! by [`Context::sample`]; the rule is told where it is written, in `tuner.rs`.
//!
//! What tasks share is counted by a [`Budget`], such as open files, or paced by a [`RateLimit`] (bytes
//! per second). Take them in one order everywhere, what is counted before what is paced. Every wait in
//! here ends at once when the run's [`Cancel`] is pulled.

mod bell;
mod budget;
mod cancel;
mod counters;
mod crew;
mod meter;
mod queue;
mod rate;
mod run;
mod task;
mod tuner;
mod worker;

pub use budget::{Budget, Permit};
pub use cancel::{Cancel, Cancelled};
pub use meter::Class;
pub use rate::RateLimit;
pub use run::{End, Outcome, Settings, Workers, run};
pub use task::{Context, Task};
