//! Workers that take an image stretch by stretch, until none is left or one of them fails.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use model::blocks::BlocksSettings;
use parking_lot::Mutex;
use sched::{Cancel, Context, End, Workers};

use super::BlocksError;

/// What a worker takes at a time: enough that questions for holes do not matter, little enough that all
/// workers end together.
const STRETCH_BYTES: u64 = 16 << 20;

/// Readers at most, where nobody says how many: more do not make a disk faster.
const READERS_MAX: usize = 4;

struct Stretches<F> {
    stretch_bytes: u64,
    /// Where the next one begins, and the last one ends.
    next: AtomicU64,
    end: u64,
    /// Why it ends early.
    error: Mutex<Option<BlocksError>>,
    cancel: Cancel,
    step: F,
}

/// A worker.
struct Task<F>(Arc<Stretches<F>>);

impl<F> sched::Task for Task<F>
where
    F: Fn(Range<u64>) -> Result<(), BlocksError> + Send + Sync + 'static,
{
    fn run(self, cx: &Context<'_, Self>) {
        let all = &self.0;
        let start = all.next.fetch_add(all.stretch_bytes, Ordering::Relaxed);
        if start >= all.end || cx.cancelled() {
            return;
        }
        match (all.step)(start..all.end.min(start + all.stretch_bytes)) {
            Ok(()) => cx.spawn(self),
            Err(error) => all.fail(error),
        }
    }
}

impl<F> Stretches<F> {
    /// The first error counts: the others may have come of it. Who was only stopped by it may be here before.
    fn fail(&self, error: BlocksError) {
        let mut first = self.error.lock();
        if matches!(*first, None | Some(BlocksError::Stopped)) {
            *first = Some(error);
        }
        drop(first);
        self.cancel.cancel();
    }
}

/// Takes all stretches of what is so long; each begins where a unit does.
pub(super) fn each(
    end: u64,
    readers: NonZeroUsize,
    cancel: &Cancel,
    step: impl Fn(Range<u64>) -> Result<(), BlocksError> + Send + Sync + 'static,
) -> Result<(), BlocksError> {
    each_of(end, (STRETCH_BYTES, readers), cancel, step)
}

/// The same with stretches of another length.
pub(super) fn each_of(
    end: u64,
    (stretch_bytes, readers): (u64, NonZeroUsize),
    cancel: &Cancel,
    step: impl Fn(Range<u64>) -> Result<(), BlocksError> + Send + Sync + 'static,
) -> Result<(), BlocksError> {
    let (next, error, cancel) = (AtomicU64::new(0), Mutex::new(None), cancel.clone());
    let all = Arc::new(Stretches { stretch_bytes, next, end, error, cancel: cancel.clone(), step });
    let settings =
        sched::Settings { workers: Workers::Fixed(readers), ..sched::Settings::default() };
    let seeds = (0..readers.get()).map(|_| Task(Arc::clone(&all)));
    let outcome = sched::run(&settings, &cancel, seeds);
    if let Some(error) = all.error.lock().take() {
        return Err(error);
    }
    match outcome.end {
        End::Done => Ok(()),
        End::Cancelled => Err(BlocksError::Stopped),
        End::Panicked(message) => Err(BlocksError::Internal(message)),
    }
}

/// How many read at once, of disks that have heads or none.
pub(super) fn readers(settings: &BlocksSettings, has_head: bool) -> NonZeroUsize {
    let asked = settings.readers.and_then(|count| NonZeroUsize::new(count.into()));
    asked.unwrap_or_else(|| {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let fit = if has_head { 1 } else { cores.min(READERS_MAX) };
        NonZeroUsize::new(fit).unwrap_or(NonZeroUsize::MIN)
    })
}
