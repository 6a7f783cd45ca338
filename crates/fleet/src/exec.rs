//! A command for each bucket, many at a time.
//!
//! The command is the user's own text, run by `sh` in the directory that the user is in. Nothing is put
//! into that text: what a bucket is stands in the environment, so a name in a path is never taken for a
//! part of a command. There it goes by the names that hooks of fpart know, too.
//!
//! Each command leads a process group of its own. A signal of the terminal does not reach it, and when
//! the run is cancelled all that it has started is ended with it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::path::{self, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal};
use sched::{Cancel, Cancelled};

use crate::amount::Amount;
use crate::line::Recursion;
use crate::process::{Group, Streams, signal};

/// How many buckets wait for a command at most: names only, so that whoever fills them is not held up by
/// a command that takes long.
const WAITING_MAX: usize = 256;

/// How long a command has to end when it was asked to.
const TO_END: Duration = Duration::from_secs(5);

/// How often what does not end is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A bucket that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The file that a mover is given.
    pub file: PathBuf,
    /// Its number.
    pub number: u64,
    /// What is in it.
    pub amount: Amount,
    /// Whether its mover is to go down into directories.
    pub recursion: Recursion,
}

impl Bucket {
    /// What its command finds in the environment.
    fn environment(&self) -> [(&'static str, OsString); 10] {
        let number = OsString::from(self.number.to_string());
        let bytes = OsString::from(self.amount.bytes.to_string());
        let entries = OsString::from(self.amount.entries.to_string());
        // A command may go elsewhere before it opens the file; with fpart it may as well.
        let file = path::absolute(&self.file).unwrap_or_else(|_| self.file.clone());
        let file = file.into_os_string();
        [
            ("LANESYNC_BUCKET_FILE", file.clone()),
            ("LANESYNC_BUCKET_NUMBER", number.clone()),
            ("LANESYNC_BUCKET_BYTES", bytes.clone()),
            ("LANESYNC_BUCKET_ENTRIES", entries.clone()),
            ("LANESYNC_BUCKET_RECURSIVE", self.recursion.option().into()),
            // The one of fpart's two kinds of hooks that is called when a file is complete.
            ("FPART_HOOKTYPE", OsString::from("post-part")),
            ("FPART_PARTFILENAME", file),
            ("FPART_PARTNUMBER", number),
            ("FPART_PARTSIZE", bytes),
            ("FPART_PARTNUMFILES", entries),
        ]
    }
}

/// What became of the command of a bucket.
#[derive(Debug)]
pub enum End {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It was ended, since the run was cancelled.
    Stopped,
    /// It was ended, since it asked something at the terminal, which several cannot do at once.
    Asked,
    /// It could not be started.
    NotStarted(io::Error),
    /// Nobody tried to start it, since the run was cancelled.
    NotRun,
}

impl End {
    /// Whether the command did its work.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Ended(status) if status.success())
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(status) => write!(formatter, "the command ended with {status}"),
            Self::Stopped => formatter.write_str("the command was stopped with the run"),
            Self::Asked => formatter.write_str(
                "the command wants to ask something at the terminal and was stopped; give it what it \
                 asks for in another way",
            ),
            Self::NotStarted(error) => write!(formatter, "the command cannot be started: {error}"),
            Self::NotRun => formatter.write_str("the command was not run"),
        }
    }
}

/// What became of all commands. Each bucket that was handed over is in one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// How many did their work.
    pub succeeded: u64,
    /// How many failed, or could not be started.
    pub failed: u64,
    /// How many were stopped with the run.
    pub stopped: u64,
    /// The numbers of the buckets whose commands were not run.
    pub not_run: Vec<u64>,
}

impl Outcomes {
    /// Whether all of them did their work.
    pub fn are_all_well(&self) -> bool {
        self.failed == 0 && self.stopped == 0 && self.not_run.is_empty()
    }

    fn count(&mut self, bucket: &Bucket, end: &End) {
        match end {
            End::Ended(status) if status.success() => self.succeeded += 1,
            End::Ended(_) | End::Asked | End::NotStarted(_) => self.failed += 1,
            End::Stopped => self.stopped += 1,
            End::NotRun => self.not_run.push(bucket.number),
        }
    }
}

type Hear = Box<dyn FnMut(&Bucket, &End) + Send>;

/// Commands for buckets. Who drops it before [`finish`](Self::finish) stops those that run.
#[derive(Debug)]
pub struct Commands {
    shared: Arc<Shared>,
    jobs: NonZeroUsize,
    workers: Mutex<Vec<JoinHandle<()>>>,
    watch: Option<JoinHandle<()>>,
}

impl Commands {
    /// Gets ready to run `command` for each bucket, at most `jobs` at a time, with these `streams`, which are
    /// no pipes. `filling` is pulled when whoever fills buckets is to wait for nothing any more. `hear` is told what became of
    /// each, in any order, one after the other.
    ///
    /// Fails when no thread can be started.
    pub fn start(
        command: OsString,
        jobs: NonZeroUsize,
        streams: Streams,
        cancel: &Cancel,
        filling: &Cancel,
        hear: impl FnMut(&Bucket, &End) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            command,
            streams,
            cancel: cancel.child(),
            filling: filling.clone(),
            state: Mutex::new(State::default()),
            news: Condvar::new(),
            told: Mutex::new((Outcomes::default(), Box::new(hear))),
        });
        let watched = Arc::clone(&shared);
        let watch = thread::Builder::new().name("ending".to_owned()).spawn(move || watched.watch());
        let watch = Some(watch?);
        Ok(Self { shared, jobs, workers: Mutex::default(), watch })
    }

    /// Runs the command for a bucket as soon as fewer than `jobs` run. Waits while too many buckets wait, unless
    /// no more are filled.
    ///
    /// Fails when the run was cancelled: then it is not run, as was told.
    pub fn hand_over(&self, bucket: Bucket) -> Result<(), Cancelled> {
        let mut state = self.shared.state.lock();
        let is_over = || self.shared.cancel.is_cancelled() || self.shared.filling.is_cancelled();
        while state.waiting.len() >= WAITING_MAX && !is_over() {
            // Whoever pulls the other token rings no bell of these.
            self.shared.news.wait_for(&mut state, BETWEEN_LOOKS);
        }
        if self.shared.cancel.is_cancelled() {
            drop(state);
            self.shared.tell(&bucket, &End::NotRun);
            return Err(Cancelled);
        }
        state.waiting.push_back(bucket);
        let is_worker_needed = state.idle < state.waiting.len();
        drop(state);
        if is_worker_needed {
            self.add_worker();
        }
        self.shared.news.notify_all();
        Ok(())
    }

    fn add_worker(&self) {
        let mut workers = self.workers.lock();
        if workers.len() < self.jobs.get() {
            let shared = Arc::clone(&self.shared);
            let worker = thread::Builder::new().name("command".to_owned());
            match worker.spawn(move || shared.work()) {
                Ok(worker) => workers.push(worker),
                Err(error) if workers.is_empty() => {
                    // Nobody else would ever look at what waits.
                    let kind = error.kind();
                    for bucket in self.shared.take_waiting() {
                        self.shared.tell(&bucket, &End::NotStarted(kind.into()));
                    }
                }
                // Those that are there do it.
                Err(_) => {}
            }
        }
    }

    /// No more buckets come: waits until all commands have ended.
    pub fn finish(mut self) -> Outcomes {
        self.end();
        mem::take(&mut self.shared.told.lock().0)
    }

    fn end(&mut self) {
        self.shared.state.lock().is_all = true;
        self.shared.news.notify_all();
        let threads = mem::take(self.workers.get_mut()).into_iter();
        let joined = threads.map(JoinHandle::join).fold(Ok(()), Result::and);
        // It has nothing more to do, and hears this way that it may end.
        self.shared.cancel.cancel();
        let watched = self.watch.take().map_or(Ok(()), JoinHandle::join);
        for bucket in self.shared.take_waiting() {
            self.shared.tell(&bucket, &End::NotRun);
        }
        if !thread::panicking()
            && let Err(panic) = joined.and(watched)
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        if self.watch.is_some() {
            self.shared.cancel.cancel();
            self.end();
        }
    }
}

struct Shared {
    command: OsString,
    streams: Streams,
    /// Pulled with the run, and at the end.
    cancel: Cancel,
    /// Pulled when nobody is to wait any more until fewer buckets wait.
    filling: Cancel,
    state: Mutex<State>,
    /// Rung for all, whatever changes in the state.
    news: Condvar,
    told: Mutex<(Outcomes, Hear)>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("command", &self.command).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Bucket>,
    /// Workers that wait for a bucket.
    idle: usize,
    /// Workers that have one.
    busy: usize,
    /// No more buckets come.
    is_all: bool,
    /// The leaders that nobody has waited for: no other process has their numbers.
    running: Vec<Pid>,
    /// Until when what runs has time to end.
    until: Option<Instant>,
}

impl State {
    fn signal_all(&self, which: Signal) {
        for group in &self.running {
            signal(*group, which);
        }
    }
}

impl Shared {
    fn tell(&self, bucket: &Bucket, end: &End) {
        let (outcomes, hear) = &mut *self.told.lock();
        outcomes.count(bucket, end);
        hear(bucket, end);
    }

    fn take_waiting(&self) -> VecDeque<Bucket> {
        mem::take(&mut self.state.lock().waiting)
    }

    /// Runs commands as long as there are buckets.
    fn work(&self) {
        while let Some(bucket) = self.next() {
            let _busy = Busy(self);
            let end = self.run(&bucket);
            self.tell(&bucket, &end);
        }
    }

    fn next(&self) -> Option<Bucket> {
        let mut state = self.state.lock();
        loop {
            if self.cancel.is_cancelled() {
                return None;
            }
            if let Some(bucket) = state.waiting.pop_front() {
                state.busy += 1;
                self.news.notify_all();
                return Some(bucket);
            }
            if state.is_all {
                return None;
            }
            state.idle += 1;
            self.news.wait(&mut state);
            state.idle -= 1;
        }
    }

    fn run(&self, bucket: &Bucket) -> End {
        let argv = [OsStr::new("/bin/sh"), OsStr::new("-c"), &self.command];
        let running = match Group::start(&argv, bucket.environment(), self.streams) {
            Ok(running) => running,
            Err(error) => return End::NotStarted(error),
        };
        let group = running.leader();
        let mut state = self.state.lock();
        state.running.push(group);
        // Else whoever cancels finds it in the list.
        if self.cancel.is_cancelled() {
            signal(group, Signal::TERM);
        }
        drop(state);
        let is_asking = running.wait_for_end();
        let mut state = self.state.lock();
        state.running.retain(|other| *other != group);
        let until = state.until;
        drop(state);
        let status = running.reap();
        let was_cancelled = self.cancel.is_cancelled();
        if was_cancelled {
            end_group(group, until.unwrap_or_else(|| Instant::now() + TO_END));
        }
        match status {
            Err(error) => End::NotStarted(error),
            Ok(status) if status.success() => End::Ended(status),
            Ok(_) if was_cancelled => End::Stopped,
            Ok(_) if is_asking => End::Asked,
            Ok(status) => End::Ended(status),
        }
    }

    /// Waits until the run is cancelled, or over, and ends what runs then.
    fn watch(&self) {
        self.cancel.sleep(Duration::MAX).ok();
        let mut state = self.state.lock();
        let until = Instant::now() + TO_END;
        state.until = Some(until);
        state.signal_all(Signal::TERM);
        self.news.notify_all();
        while state.busy > 0 && !self.news.wait_until(&mut state, until).timed_out() {}
        while state.busy > 0 {
            state.signal_all(Signal::KILL);
            self.news.wait_for(&mut state, BETWEEN_LOOKS);
        }
    }
}

/// A worker that has a bucket, until it is dropped.
struct Busy<'a>(&'a Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state.lock().busy -= 1;
        self.0.news.notify_all();
    }
}

/// Waits until nobody is left in a group whose leader has ended.
fn end_group(group: Pid, until: Instant) {
    while rustix::process::test_kill_process_group(group).is_ok() {
        if Instant::now() >= until {
            return signal(group, Signal::KILL);
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

#[cfg(test)]
mod tests;
