//! The agent's half: it hears what to do, and tells what happens.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use model::{Begun, Event, FileGauge, FileReading, Gauges, Sink};
use parking_lot::Mutex;
use sched::Cancel;
use wire::{EventBytes, Failure, FailureKind, Text, Told};

use crate::outcome::{self, Outcome};
use crate::post::{Over, Post};
use crate::progress::Progress;
use crate::telling::{self, FileNumber, Telling};
use crate::{Errand, Malformed};

/// As often as a display looks.
const TELL_PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What a run of the agent has around it.
#[derive(Clone)]
pub struct Around {
    /// Where its events go.
    pub sink: Arc<dyn Sink>,
    /// Where it counts.
    pub gauges: Arc<Gauges>,
    /// Stops it: the controller asks for it, or is gone.
    pub cancel: Cancel,
}

/// Why an agent told no outcome.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The job is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The system has no thread for who listens.
    #[error("listen to the controller: {0}")]
    Listen(io::Error),
    /// The run panicked: a bug of ours.
    #[error("a bug of lanesync ended the run")]
    Panicked,
    /// Nobody listens any more.
    #[error(transparent)]
    Over(#[from] Over),
}

/// Runs an errand, as the controller asked for by `work`, and tells how it ended. Comes back
/// when the session is over, whether `run` came to an end of its own or the controller is gone.
pub fn serve<E: Errand>(
    post: &Arc<dyn Post>,
    work: &[u8],
    run: impl FnOnce(E, Around) -> Outcome<E::Summary>,
) -> Result<(), Refused> {
    let done = begin_and_run(post, work, run);
    let failed = match &done {
        Err(Refused::Malformed(why)) => Some((FailureKind::Refused, why.to_string())),
        Err(why @ (Refused::Listen(_) | Refused::Panicked)) => {
            Some((FailureKind::Internal, why.to_string()))
        }
        Ok(()) | Err(Refused::Over(_)) => None,
    };
    if let Some((kind, text)) = failed {
        post.fail(Failure { kind, text: Text::new(&text) });
    }
    done
}

fn begin_and_run<E: Errand>(
    post: &Arc<dyn Post>,
    work: &[u8],
    run: impl FnOnce(E, Around) -> Outcome<E::Summary>,
) -> Result<(), Refused> {
    let work = E::from_bytes(work, SystemTime::now())?;
    let cancel = Cancel::new();
    let gauges = Arc::new(Gauges::default());
    let teller = Arc::new(Teller {
        post: Arc::clone(post),
        gauges: Arc::clone(&gauges),
        cancel: cancel.clone(),
        shows_files: work.shows_files(),
        has_told: Mutex::new(false),
        files: Mutex::default(),
    });
    let is_told = Arc::new(AtomicBool::new(false));
    let listener = listen(Arc::clone(post), cancel.clone(), Arc::clone(&is_told));
    let listener = listener.map_err(Refused::Listen)?;
    let ticker = Ticker::start(Arc::clone(&teller));
    let around = Around { sink: teller, gauges: Arc::clone(&gauges), cancel };
    // The controller is told, whatever else this process does about it.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(work, around)));
    drop(ticker);
    let outcome = outcome.map_err(|_| Refused::Panicked)?;
    post.ended(outcome::to_bytes(&(outcome, gauges.read())))?;
    is_told.store(true, Ordering::Relaxed);
    // At once: were the controller to say so first, its user would wait a round trip for the answer.
    post.bye();
    // A panic in there has been reported by its hook, and the session is over all the same.
    drop(listener.join());
    Ok(())
}

/// Heeds the controller until the session is over. A run that nobody hears of any more is stopped; one
/// whose outcome `is_told` has come to its end, and what is told may still be on its way.
fn listen(
    post: Arc<dyn Post>,
    cancel: Cancel,
    is_told: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    let heed = move || {
        loop {
            match post.told() {
                Ok(Told::Cancel) => cancel.cancel(),
                Ok(Told::Bye | Told::Failure(_)) | Err(_) => break,
                Ok(_) => {}
            }
        }
        if !is_told.load(Ordering::Relaxed) {
            cancel.cancel();
        }
    };
    thread::Builder::new().name("controller".to_owned()).spawn(heed)
}

/// Tells events to the controller, in the order in which they come.
struct Teller {
    post: Arc<dyn Post>,
    gauges: Arc<Gauges>,
    cancel: Cancel,
    /// The controller shows each long file as it goes on.
    shows_files: bool,
    /// Whether anything was told. Held while an event waits for room, so that none overtakes another.
    has_told: Mutex<bool>,
    files: Mutex<Files>,
}

/// The long files in work.
#[derive(Default)]
struct Files {
    begun: FileNumber,
    in_work: Vec<(FileNumber, Arc<FileGauge>)>,
}

/// As many short tellings as go with one event.
const TOGETHER: usize = 64;

impl Teller {
    fn telling(&self, event: Event) -> Telling {
        match event {
            Event::Begun(begun) => {
                let Begun { item, gauge } = *begun;
                let (number, reading) = self.files.lock().begin(gauge);
                Telling::Begun { number, reading, item: Box::new(item) }
            }
            Event::Item(item) => Telling::Item(item),
            Event::Line(item) => Telling::Line(item),
            Event::Settled(item) => Telling::Settled(item),
            Event::Fault(fault) => Telling::Fault(fault),
            Event::Message(message) => Telling::Message(message),
        }
    }

    fn progress(&self) -> Progress {
        Progress::new(self.gauges.read(), self.files.lock().readings())
    }

    /// Waits for room. When there is nobody to hear it the run has no point any more.
    fn post(&self, event: Option<EventBytes>) {
        if event.is_some_and(|event| self.post.event(event).is_err()) {
            self.cancel.cancel();
        }
    }
}

impl Sink for Teller {
    fn accept(&self, event: Event) {
        let mut has_told = self.has_told.lock();
        let mut before = self.files.lock().take_over();
        // The first lines of some outputs, and those of each file with --progress, have totals in them.
        if self.shows_files || !*has_told {
            before.push(Telling::Gauges(self.gauges.read()));
        }
        *has_told = true;
        while before.len() > TOGETHER {
            let rest = before.split_off(TOGETHER);
            let last = before.pop().expect("it is longer than this");
            self.post(telling::to_bytes(&before, last));
            before = rest;
        }
        self.post(telling::to_bytes(&before, self.telling(event)));
    }
}

impl Files {
    fn begin(&mut self, gauge: Arc<FileGauge>) -> (FileNumber, FileReading) {
        let (number, reading) = (self.begun, gauge.read());
        self.begun += 1;
        if !reading.is_finished() {
            self.in_work.push((number, gauge));
        }
        (number, reading)
    }

    fn readings(&self) -> Vec<(FileNumber, FileReading)> {
        self.in_work.iter().map(|(number, gauge)| (*number, gauge.read())).collect()
    }

    /// Lets go of the files that are not in work any more: finished, or given up by all others.
    fn take_over(&mut self) -> Vec<Telling> {
        let is_over = |file: &mut (FileNumber, Arc<FileGauge>)| {
            file.1.is_finished() || Arc::strong_count(&file.1) == 1
        };
        let over = self.in_work.extract_if(.., is_over);
        over.map(|(number, gauge)| Telling::Over { number, reading: gauge.read() }).collect()
    }
}

/// Tells progress until it is dropped.
struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// `None` where the system has no thread to give: a run without progress is better than none.
    fn start(teller: Arc<Teller>) -> Option<Self> {
        let (stop, stopped) = mpsc::channel();
        let tell = move || {
            while stopped.recv_timeout(TELL_PROGRESS_EVERY) == Err(RecvTimeoutError::Timeout) {
                teller.post.progress(teller.progress().to_bytes());
            }
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(tell).ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported by its hook.
            drop(thread.join());
        }
    }
}
