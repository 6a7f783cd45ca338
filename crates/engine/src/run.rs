//! What all tasks of one run share: settings, counters, limits, and what has gone wrong so far.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use model::{
    Event, Fault, Gauges, Interest, Job, Message, Settings, Side, Sink, Summary, Topic, Verdict,
};
use parking_lot::Mutex;
use sched::{Cancel, RateLimit};

use self::budgets::Budgets;
use self::destination::Destination;
use self::ending::Ending;
use self::progress::Progress;
use crate::delete::permission::Permission;
use crate::descriptors::Descriptors;
use crate::destination::Opened;
use crate::endpoint::Endpoint;
use crate::error::SetupError;
use crate::hard_links::HardLinks;
use crate::identity::Identity;
use crate::order::{OrderedLog, SegmentId};
use crate::pass::{Pass, Turn};
use crate::prune::KnownFull;
use crate::scratch::Scratches;
use crate::transfer::in_work::InWork;
use crate::transfer::partial::Waiting;

/// What the tasks of a run share out among them.
mod budgets;
/// The destination of a run.
pub(crate) mod destination;
/// Whether a run ends before all is done.
mod ending;
/// How far a run is.
mod progress;

pub(crate) use budgets::{OpenLevels, PatchTurn};
pub use ending::Stop;

/// Shared by all tasks of one run.
pub(crate) struct Run {
    pub(crate) settings: Settings,
    /// In rsync it would be the destination that tells of entries, and not the source.
    pub(crate) tells_at_destination: bool,
    pub(crate) progress: Progress,
    pub(crate) ending: Ending,
    pass: Mutex<Pass>,
    pub(crate) identity: Identity,
    pub(crate) log: OrderedLog,
    pub(crate) links: HardLinks,
    pub(crate) budgets: Budgets,
    pub(crate) destination: Destination,
    pub(crate) deletion: Permission,
    /// Faults of the destination that the passes before the transfer have told of: it meets most of
    /// them again.
    told_early: Mutex<HashSet<Fault>>,
    /// Complete files that are put into place when the tree has been gone through.
    pub(crate) later: Mutex<Vec<Waiting>>,
    /// Files that are being written in place.
    pub(crate) in_work: InWork,
    /// What is known of directories before they are entered (`-m`).
    pub(crate) known_full: KnownFull,
    pub(crate) scratches: Scratches,
}

/// The outside of a run: who listens and who may stop it.
#[derive(Clone)]
pub struct Surroundings {
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// Live counters for a progress display.
    pub gauges: Arc<Gauges>,
    /// Stops the run.
    pub cancel: Cancel,
    /// How fast content may be copied.
    pub rate: Arc<RateLimit>,
    /// The mode bits that new entries do not get; the kernel takes none off any more.
    pub umask: u32,
}

/// How much a run may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Workers at most.
    pub(crate) workers: usize,
    /// What may be open at once.
    pub(crate) descriptors: Descriptors,
}

impl Run {
    pub(crate) fn new(
        job: &Job,
        around: &Surroundings,
        endpoint: &Endpoint,
        opened: Option<&Opened>,
        limits: Limits,
    ) -> Result<Self, SetupError> {
        let mut settings = job.settings.clone();
        settings.dry_run |= settings.traverse.list_only;
        // A list knows no destination.
        settings.compare.existing_only &= !settings.traverse.list_only;
        Ok(Self {
            progress: Progress::new(&around.gauges),
            ending: Ending::new(around.cancel.clone()),
            pass: Mutex::new(Pass::Whole),
            identity: Identity::new(&settings.preserve, around.umask, endpoint.owners()),
            log: OrderedLog::new(settings.interest > Interest::Faults, Arc::clone(&around.sink)),
            links: HardLinks::default(),
            budgets: Budgets::new(
                Arc::clone(&around.rate),
                limits.descriptors,
                around.cancel.clone(),
            ),
            destination: Destination::new(job, &settings, opened)?,
            deletion: Permission::new(settings.delete.ignore_errors),
            told_early: Mutex::default(),
            later: Mutex::default(),
            in_work: InWork::default(),
            known_full: KnownFull::default(),
            scratches: Scratches::new(limits.workers),
            tells_at_destination: endpoint.is_pulled() || settings.traverse.list_only,
            settings,
        })
    }

    /// The pass over the tree that is under way.
    pub(crate) fn pass(&self) -> Pass {
        *self.pass.lock()
    }

    /// Begins a pass.
    pub(crate) fn begin_pass(&self, pass: Pass, turn: Turn) {
        *self.pass.lock() = pass;
        self.progress.begin_pass(turn, pass.transfers());
    }

    /// True where device nodes are made.
    pub(crate) fn makes_devices(&self) -> bool {
        self.settings.preserve.devices && self.identity.may_make_devices()
    }

    /// True when big files may be copied by several workers at once.
    pub(crate) fn may_copy_in_ranges(&self) -> bool {
        self.settings.write.staging == model::settings::Staging::Staged
    }

    /// True when a complete file gets its name at once, from the directory that it will be in.
    pub(crate) fn publishes_at_once(&self) -> bool {
        self.destination.temp_dir.is_none() && !self.settings.write.delay_updates
    }

    /// The outside of a part of the run that has workers of its own: what ends the run ends it, and not the
    /// other way.
    pub(crate) fn part(&self) -> Surroundings {
        Surroundings {
            sink: Arc::clone(self.log.sink()),
            gauges: Arc::clone(&self.progress.gauges),
            cancel: self.ending.token.child(),
            rate: Arc::clone(self.budgets.rate()),
            umask: self.identity.umask,
        }
    }

    /// Waits for as long as the rate limit asks, counts the bytes, and ends a copy that is
    /// cancelled.
    pub(crate) fn pace(&self, bytes: u64) -> io::Result<()> {
        let waited = self.budgets.wait_for_rate(bytes);
        Gauges::add(&self.progress.gauges.transferred_bytes, bytes);
        Gauges::add(&self.progress.gauges.done_bytes, bytes);
        waited
    }

    /// Counts bytes of a file in work that nobody sends.
    pub(crate) fn note_kept(&self, bytes: u64) {
        Gauges::add(&self.progress.gauges.done_bytes, bytes);
    }

    /// Tells of a path that failed, once in all passes; ends the run when nothing more can be
    /// written.
    pub(crate) fn fault(&self, totals: &mut Summary, fault: Fault) {
        if fault.side == Side::Source && !self.pass().transfers() {
            // The pass that transfers tells of it; here it only keeps deletions back.
            self.deletion.note_fault(&fault);
            if !fault.is_vanished() {
                self.deletion.keep_untold(fault);
            }
            return;
        }
        let is_new = if self.pass().transfers() {
            !self.told_early.lock().contains(&fault)
        } else {
            self.told_early.lock().insert(fault.clone())
        };
        if is_new {
            self.tell_fault(totals, fault);
        }
    }

    /// The same, whatever the passes have met so far. What ended since the run is being stopped, as all
    /// that is asked of a host that is lost, is no fault of its path.
    pub(crate) fn tell_fault(&self, totals: &mut Summary, fault: Fault) {
        if fault.is_interruption() && self.ending.has_begun() {
            return;
        }
        if fault.is_vanished() {
            totals.vanished += 1;
        } else {
            totals.faults += 1;
        }
        if fault.is_fatal() {
            self.ending.begin(Stop::Fatal(fault.clone()));
        }
        self.log.tell_at_once(Event::Fault(fault));
    }

    /// Tells that part of the source could not be read: nothing is deleted any more.
    pub(crate) fn source_fault(&self, totals: &mut Summary, fault: Fault) {
        if !fault.is_vanished() {
            self.deletion.note_source_fault();
        }
        self.fault(totals, fault);
    }

    /// True when items of this verdict are wanted.
    pub(crate) fn wants(&self, verdict: Verdict, significant: bool) -> bool {
        let interest = self.settings.interest;
        match verdict {
            Verdict::Equal => {
                interest >= if significant { Interest::Changes } else { Interest::Unchanged }
            }
            Verdict::Excluded | Verdict::Skipped => interest >= Interest::Everything,
            _ => interest >= Interest::Changes,
        }
    }

    /// True when messages on this topic are wanted.
    pub(crate) fn says(&self, topic: Topic) -> bool {
        self.settings.topics.contains(topic)
    }

    /// Tells something that is not an entry's verdict, in its place and where somebody listens.
    pub(crate) fn say(&self, segment: SegmentId, topic: Topic, text: impl FnOnce() -> Vec<u8>) {
        if self.says(topic) {
            let text = text().into();
            self.log.push(segment, Event::Message(Message { topic, text }));
        }
    }
}

/// Joins a root as it is shown with a path below it.
pub(crate) fn join(root: &[u8], below: &[u8]) -> Box<[u8]> {
    match (root, below) {
        (_, b".") => root.into(),
        (b"" | b".", _) => below.into(),
        _ if root.ends_with(b"/") => [root, below].concat().into(),
        _ => [root, b"/", below].concat().into(),
    }
}
