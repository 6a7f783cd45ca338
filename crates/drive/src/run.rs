//! Conducts a run: gives the coordinator a clock, slots, a journal and a disk.
//!
//! One thread owns the coordinator, the lists and the journal, and hears of all that happens through one
//! channel: of buckets that were cut, of movers that have begun, ended or told how far they are. A thread for
//! each slot waits for its next lease, and one cuts. Nobody else writes anything.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fleet::amount::Amount;
use parking_lot::Mutex;
use sched::Cancel;

use crate::bucket::{Lease, StationId};
use crate::cutter::CutBucket;
use crate::journal::record::{CutEnd, Part, Record};
use crate::journal::{Dated, Journal};
use crate::lists::{ListAt, ListError, Lists};
use crate::mover::{End, EntryVerdict, Hear, Mover, Outcome, Stream, Try, Unfit, Work};
use crate::parting;
use crate::state::{
    Command, Coordinator, Event, GivenWork, Millis, Reading, StopWhy, Told, Totals,
};
use crate::store::Store;

/// So long a record waits for a sync at most.
const UNSYNCED_FOR: Duration = Duration::from_millis(500);

/// How often it is looked how far movers are, and whether somebody wants the run to end.
const BEAT: Duration = Duration::from_millis(200);

/// Buckets that were cut and wait to be written down. The cutter waits when there are more.
const CUT_AHEAD: usize = 64;

/// The exit code of a run that a bug has ended.
const INTERNAL: u8 = 14;

/// Who hears of what happens in a run.
pub trait Watch: Send + Sync {
    /// What somebody may want to know.
    fn told(&self, told: &Told);

    /// A lease begins, by what a person would type.
    fn given(&self, lease: Lease, shown: &str);

    /// What became of an entry.
    fn entry(&self, lease: Lease, verdict: &EntryVerdict<'_>);

    /// A line of what a mover says.
    fn line(&self, lease: Lease, stream: Stream, text: &[u8]);

    /// How far the run is.
    fn reading(&self, reading: &Reading);

    /// The working folder takes nothing more.
    fn unwritten(&self, error: &io::Error);

    /// What was written there cannot be read.
    fn unread(&self, error: &ListError);
}

/// What a cutter gives its buckets to. It fails when nobody takes them any more, which ends the cutting.
pub type Take<'a> = dyn FnMut(CutBucket) -> Result<(), NobodyTakes> + Send + 'a;

/// The run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes buckets any more")]
pub struct NobodyTakes;

/// What a cutter has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Lines of the directories that are in more than one bucket.
    pub split: Vec<u8>,
    /// Whether all of the source was listed, without a fault.
    pub is_whole: bool,
}

/// What is kept of a run.
#[derive(Debug)]
pub struct Kept<S> {
    /// The lines of all buckets.
    pub lists: Lists<S>,
    /// What was done.
    pub journal: Journal<S>,
}

/// What a run is conducted with.
pub struct Run<'a, S> {
    /// What is known of it so far.
    pub coordinator: Coordinator,
    /// Where that is kept.
    pub kept: Kept<S>,
    /// Who moves.
    pub mover: &'a dyn Mover,
    /// So many at once.
    pub slots: u32,
    /// Whether hard links are kept: then all names of a file stay in one bucket, whatever fails.
    pub keeps_links: bool,
    /// Who hears of it.
    pub watch: &'a dyn Watch,
    /// Ends it early.
    pub cancel: &'a Cancel,
}

/// What the cutter and the slots have to say.
enum News {
    Cut(CutBucket),
    CutEnded(Result<Cut, u8>),
    Up(Lease),
    Ended(Lease, Outcome),
}

/// What a slot is given.
struct Given {
    lease: Lease,
    tries: u16,
    work: OwnWork,
    stop: Cancel,
}

enum OwnWork {
    Bucket(Part, Vec<u8>),
    Directories(Vec<u8>),
    Delete,
}

impl<S: Store> Run<'_, S> {
    /// Conducts it to its end. `cut` cuts the source, and ends early when its buckets are not taken or its token
    /// is pulled; what it fails with is the exit code of the run. Without it, all was cut before.
    ///
    /// What has been done is in the journal, whatever happens.
    pub fn conduct<C>(self, cut: Option<C>) -> Totals
    where
        C: FnOnce(&mut Take<'_>, &Cancel) -> Result<Cut, u8> + Send,
    {
        let Self { coordinator, kept, mover, slots, keeps_links, watch, cancel } = self;
        let progress = Mutex::new(HashMap::new());
        let (send, news) = mpsc::sync_channel(CUT_AHEAD);
        let stop_cutting = cancel.child();
        thread::scope(|scope| {
            let slots = (0..slots.max(1)).map(|_| {
                let (give, given) = mpsc::channel();
                let (send, progress) = (send.clone(), &progress);
                scope.spawn(move || Slot { mover, watch, progress, send }.serve(&given));
                give
            });
            let slots: Vec<Sender<Given>> = slots.collect();
            if let Some(cut) = cut {
                let (send, stop) = (send.clone(), &stop_cutting);
                scope.spawn(move || {
                    let mut take = |bucket| send.send(News::Cut(bucket)).map_err(|_| NobodyTakes);
                    let ended = catch_unwind(AssertUnwindSafe(|| cut(&mut take, stop)));
                    let ended = ended.unwrap_or(Err(INTERNAL));
                    // Nobody hears it where the run has ended before.
                    send.send(News::CutEnded(ended)).ok();
                });
            }
            drop(send);
            let free = (0..slots.len()).rev().collect();
            let mut desk = Desk {
                coordinator,
                kept,
                keeps_links,
                watch,
                cancel,
                slots,
                free,
                given: HashMap::new(),
                began: Instant::now(),
                unsynced_since: None,
                is_stopped: false,
                progress: &progress,
            };
            let totals = desk.work(&news);
            // Who still wants to say something must not wait for somebody to hear it.
            drop(news);
            stop_cutting.cancel();
            totals
        })
    }
}

/// A slot: does what it is given, one after the other.
struct Slot<'a> {
    mover: &'a dyn Mover,
    watch: &'a dyn Watch,
    progress: &'a Mutex<HashMap<Lease, Amount>>,
    send: SyncSender<News>,
}

impl Slot<'_> {
    fn serve(&self, given: &Receiver<Given>) {
        for Given { lease, tries, work, stop } in given {
            let work = match &work {
                OwnWork::Bucket(part, lines) => {
                    Work::Bucket { lines, class: part.class, amount: part.amount }
                }
                OwnWork::Directories(lines) => Work::Directories { lines },
                OwnWork::Delete => Work::Delete,
            };
            let attempt = Try { work, lease, tries };
            self.watch.given(lease, &self.mover.shown(&attempt));
            let ear = Ear { slot: self, lease };
            let run = AssertUnwindSafe(|| self.mover.run(&attempt, &ear, &stop));
            // Who waits for the lease would wait for ever.
            let outcome = catch_unwind(run).unwrap_or_else(|_| {
                let sentence = "a bug of lanesync ended a mover; please report it".to_owned();
                let end = End::Hopeless(Unfit { code: INTERNAL, sentence });
                let moved = Amount::default();
                Outcome { end, moved, failed: Vec::new(), deleted: 0, code: None }
            });
            self.progress.lock().remove(&lease);
            if self.send.send(News::Ended(lease, outcome)).is_err() {
                return;
            }
        }
    }
}

/// Hears a mover.
struct Ear<'a> {
    slot: &'a Slot<'a>,
    lease: Lease,
}

impl Hear for Ear<'_> {
    fn is_up(&self) {
        // Nobody is there any more only when nothing matters any more.
        self.slot.send.send(News::Up(self.lease)).ok();
    }

    fn progress(&self, done: Amount) {
        self.slot.progress.lock().insert(self.lease, done);
    }

    fn entry(&self, verdict: &EntryVerdict<'_>) {
        self.slot.watch.entry(self.lease, verdict);
    }

    fn line(&self, stream: Stream, text: &[u8]) {
        self.slot.watch.line(self.lease, stream, text);
    }
}

/// Where all comes together.
struct Desk<'a, S> {
    coordinator: Coordinator,
    kept: Kept<S>,
    keeps_links: bool,
    watch: &'a dyn Watch,
    cancel: &'a Cancel,
    slots: Vec<Sender<Given>>,
    free: Vec<usize>,
    given: HashMap<Lease, (usize, Cancel)>,
    began: Instant,
    unsynced_since: Option<Instant>,
    is_stopped: bool,
    progress: &'a Mutex<HashMap<Lease, Amount>>,
}

/// The one station that there is: this process.
const HERE: StationId = StationId(0);

impl<S: Store> Desk<'_, S> {
    fn work(&mut self, news: &Receiver<News>) -> Totals {
        let slots = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let mut end = self.hear(Event::StationUp { station: HERE, slots });
        loop {
            if let Some(totals) = end {
                self.flush(true);
                self.slots.clear();
                return totals;
            }
            end = match news.recv_timeout(self.patience()) {
                Ok(news) => self.take(news),
                Err(RecvTimeoutError::Timeout) => self.hear(Event::Tick),
                // Slots and cutter hold it as long as this loop runs.
                Err(RecvTimeoutError::Disconnected) => {
                    self.hear(Event::Stop(StopWhy::Fault(INTERNAL)))
                }
            };
            end = end.or_else(|| self.look());
        }
    }

    /// Until something is to be done though nothing happens.
    fn patience(&self) -> Duration {
        let Millis(now) = self.now();
        let wake = self.coordinator.wake_at().map(|Millis(at)| at.saturating_sub(now));
        wake.map_or(BEAT, |millis| Duration::from_millis(millis).min(BEAT))
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// What is looked at from time to time.
    fn look(&mut self) -> Option<Totals> {
        if self.cancel.is_cancelled() && !self.is_stopped {
            self.is_stopped = true;
            return self.hear(Event::Stop(StopWhy::Signal));
        }
        let running: Vec<(Lease, Amount)> =
            self.progress.lock().iter().map(|(lease, done)| (*lease, *done)).collect();
        let end = if running.is_empty() { None } else { self.hear(Event::Beat(running)) };
        self.watch.reading(&self.coordinator.reading());
        self.flush(false);
        end
    }

    fn take(&mut self, news: News) -> Option<Totals> {
        match news {
            News::Cut(CutBucket { class, amount, lines }) => match self.kept.lists.append(&lines) {
                Ok(at) => self.hear(Event::Cut(Part { class, amount, at })),
                Err(error) => self.lost(&error),
            },
            News::CutEnded(Ok(Cut { split, is_whole })) => match self.kept.lists.append(&split) {
                Ok(split) => self.hear(Event::CutEnded(CutEnd { split, is_whole })),
                Err(error) => self.lost(&error),
            },
            News::CutEnded(Err(code)) => self.hear(Event::Stop(StopWhy::Fault(code))),
            News::Up(lease) => self.hear(Event::Up(lease)),
            News::Ended(lease, outcome) => {
                if let Some((slot, _)) = self.given.remove(&lease) {
                    self.free.push(slot);
                }
                self.hear(Event::Ended { lease, outcome })
            }
        }
    }

    /// The working folder takes nothing more.
    fn lost(&mut self, error: &io::Error) -> Option<Totals> {
        self.watch.unwritten(error);
        self.hear(Event::JournalFull)
    }

    /// Tells the coordinator what has happened, and does what it says; what follows from that, too.
    fn hear(&mut self, event: Event) -> Option<Totals> {
        let mut events = vec![event];
        let mut commands = Vec::new();
        let mut end = None;
        while let Some(event) = events.pop() {
            let now = self.now();
            self.coordinator.on(now, event, &mut commands);
            for command in commands.drain(..) {
                match command {
                    Command::End(totals) => end = Some(totals),
                    command => events.extend(self.obey(command)),
                }
            }
        }
        end
    }

    /// Does it; gives what has happened by that.
    fn obey(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Record(record) => self.record(record),
            Command::Give { lease, tries, work, .. } => self.give(lease, tries, work),
            Command::Take { lease, .. } => {
                if let Some((_, stop)) = self.given.get(&lease) {
                    stop.cancel();
                }
                None
            }
            Command::Part { bucket, .. } if self.keeps_links => {
                Some(Event::Parted { bucket, into: Vec::new() })
            }
            Command::Part { bucket, at, class, by } => {
                match parting::part(&mut self.kept.lists, at, class, &by) {
                    Ok(into) => Some(Event::Parted { bucket, into }),
                    Err(error) => Some(self.cannot_read(&error)),
                }
            }
            Command::Tell(told) => {
                self.watch.told(&told);
                None
            }
            Command::End(_) => None,
        }
    }

    fn record(&mut self, record: Record) -> Option<Event> {
        // What comes after these is worth nothing without them, or nothing comes.
        let is_urgent = matches!(
            record,
            Record::Begin(_)
                | Record::Incarnation { .. }
                | Record::CutEnded(_)
                | Record::Over { .. }
        );
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.unsynced_since.get_or_insert_with(Instant::now);
        if let Err(error) = self.kept.journal.put(&Dated { at: at.as_secs(), record }) {
            self.watch.unwritten(&error);
            return Some(Event::JournalFull);
        }
        self.flush(is_urgent).then_some(Event::JournalFull)
    }

    /// Syncs lists and journal, if it is time; says whether they cannot be written.
    fn flush(&mut self, is_urgent: bool) -> bool {
        let is_late = self.unsynced_since.is_some_and(|since| since.elapsed() >= UNSYNCED_FOR);
        let is_much = self.kept.journal.unsynced() >= Journal::<S>::UNSYNCED_MAX;
        if !(is_urgent || is_late || is_much) {
            return false;
        }
        self.unsynced_since = None;
        let synced = self.kept.lists.sync().and_then(|()| self.kept.journal.flush());
        synced.inspect_err(|error| self.watch.unwritten(error)).is_err()
    }

    fn lines(&self, at: ListAt) -> Result<Vec<u8>, ListError> {
        let mut lines = Vec::new();
        self.kept.lists.read(at, &mut lines)?;
        Ok(lines)
    }

    /// What was written cannot be read again, so nobody knows what is to be moved.
    fn cannot_read(&self, error: &ListError) -> Event {
        self.watch.unread(error);
        Event::Stop(StopWhy::Fault(11))
    }

    fn give(&mut self, lease: Lease, tries: u16, work: GivenWork) -> Option<Event> {
        let own = match work {
            GivenWork::Bucket(part) => {
                self.lines(part.at).map(|lines| OwnWork::Bucket(part, lines))
            }
            GivenWork::Directories(at) => self.lines(at).map(OwnWork::Directories),
            GivenWork::Delete => Ok(OwnWork::Delete),
        };
        let work = match own {
            Ok(work) => work,
            Err(error) => return Some(self.cannot_read(&error)),
        };
        let slot = self.free.pop()?;
        let stop = self.cancel.child();
        self.given.insert(lease, (slot, stop.clone()));
        // A slot hears until it is let go.
        self.slots[slot].send(Given { lease, tries, work, stop }).ok();
        None
    }
}

#[cfg(test)]
mod tests;
