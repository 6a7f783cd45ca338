//! The controller's half: it hears what happens at the agent, as if it happened here.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Begun, Event, FileGauge, FileReading, Gauges, Sink};
use wire::{EventBytes, OutcomeBytes, ProgressBytes, Told};

use crate::Malformed;
use crate::outcome::{self, Outcome, Totals};
use crate::post::{Over, Post};
use crate::progress::Progress;
use crate::telling::{self, FileNumber, Telling};

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The agent told something that makes no sense.
    #[error("the agent told what cannot be: {0}")]
    Malformed(#[from] Malformed),
    /// The agent says why it cannot go on.
    #[error("the agent gave up: {0}")]
    Failed(String),
    /// The agent ended the session without an outcome.
    #[error("the agent ended without telling how its work ended")]
    Mute,
    /// The session is over.
    #[error(transparent)]
    Over(#[from] Over),
}

/// Hears an agent to the end of its work: hands events to `sink` and shows progress by `gauges`.
///
/// Only an outcome that was told is one: whatever else ends the session is an error, whatever was heard
/// before.
pub fn follow<S: Totals>(
    post: &dyn Post,
    sink: &dyn Sink,
    gauges: &Gauges,
) -> Result<Outcome<S>, Lost> {
    let mut hearing = Hearing { sink, gauges, files: VecDeque::new() };
    loop {
        match post.told()? {
            Told::Event(event) => hearing.event(&event)?,
            Told::Progress(progress) => hearing.progress(&progress)?,
            Told::Ended(outcome) => return Ok(hearing.outcome(&outcome)?),
            Told::Failure(failure) => return Err(Lost::Failed(failure.text.as_str().to_owned())),
            Told::Bye => return Err(Lost::Mute),
            // That is what an agent is told.
            Told::Begin(..) | Told::Cancel | Told::Pace(_) => {}
        }
    }
}

/// More long files are never in work at once; of one that a hostile agent begins beyond, the gauge of
/// the oldest stands still.
const FILES_MAX: usize = model::settings::WORKERS_MAX;

struct Hearing<'a> {
    sink: &'a dyn Sink,
    gauges: &'a Gauges,
    /// The long files in work, in the order of their numbers.
    files: VecDeque<(FileNumber, Arc<FileGauge>)>,
}

impl Hearing<'_> {
    fn event(&mut self, event: &EventBytes) -> Result<(), Malformed> {
        for telling in telling::from_bytes(event) {
            self.telling(telling?)?;
        }
        Ok(())
    }

    fn telling(&mut self, telling: Telling) -> Result<(), Malformed> {
        let event = match telling {
            Telling::Begun { number, reading, item } => {
                let gauge = self.begin(number, &reading)?;
                Event::Begun(Box::new(Begun { item: *item, gauge }))
            }
            Telling::Item(item) => Event::Item(item),
            Telling::Line(item) => Event::Line(item),
            Telling::Settled(item) => Event::Settled(item),
            Telling::Fault(fault) => Event::Fault(fault),
            Telling::Message(message) => Event::Message(message),
            Telling::Gauges(reading) => {
                self.gauges.show(&reading);
                return Ok(());
            }
            Telling::Over { number, reading } => {
                if let Some(gauge) = self.file(number).and_then(|at| self.files.remove(at)) {
                    gauge.1.show(&reading);
                }
                return Ok(());
            }
        };
        self.sink.accept(event);
        Ok(())
    }

    fn begin(
        &mut self,
        number: FileNumber,
        reading: &FileReading,
    ) -> Result<Arc<FileGauge>, Malformed> {
        if self.files.back().is_some_and(|(last, _)| *last >= number) {
            return Err(Malformed::new("event", &"a file is begun that was begun before"));
        }
        let gauge = Arc::new(FileGauge::showing(reading));
        if !reading.is_finished() {
            if self.files.len() == FILES_MAX {
                self.files.pop_front();
            }
            self.files.push_back((number, Arc::clone(&gauge)));
        }
        Ok(gauge)
    }

    fn file(&self, number: FileNumber) -> Option<usize> {
        self.files.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    fn progress(&self, progress: &ProgressBytes) -> Result<(), Malformed> {
        let Progress { run, files } = Progress::from_bytes(progress)?;
        self.gauges.show(&run);
        for (number, reading) in files {
            // Progress overtakes events: a file may not be begun yet, or be over.
            if let Some(at) = self.file(number) {
                self.files[at].1.show(&reading);
            }
        }
        Ok(())
    }

    fn outcome<S: Totals>(&self, outcome: &OutcomeBytes) -> Result<Outcome<S>, Malformed> {
        let (outcome, gauges) = outcome::from_bytes(outcome)?;
        self.gauges.show(&gauges);
        Ok(outcome)
    }
}

pub(crate) mod fuzzing {
    use std::collections::VecDeque;

    use model::blocks::BlocksSummary;
    use model::{Event, Gauges, Sink, Summary};
    use wire::{EventBytes, OutcomeBytes, ProgressBytes};

    use super::Hearing;

    struct Deaf;

    impl Sink for Deaf {
        fn accept(&self, _: Event) {}
    }

    /// Bytes that an agent tells. Events are cut where a byte says how long the next one is.
    pub fn from_agent(bytes: &[u8]) {
        let gauges = Gauges::default();
        let mut hearing = Hearing { sink: &Deaf, gauges: &gauges, files: VecDeque::new() };
        let mut rest = bytes;
        while let Some((length, behind)) = rest.split_first() {
            let (event, behind) = behind.split_at(behind.len().min((*length).into()));
            rest = behind;
            let heard = EventBytes::new(event).map(|event| hearing.event(&event));
            if !matches!(heard, Ok(Ok(()))) {
                break;
            }
        }
        if let Ok(progress) = ProgressBytes::new(bytes) {
            hearing.progress(&progress).ok();
        }
        if let Ok(outcome) = OutcomeBytes::new(bytes) {
            hearing.outcome::<Summary>(&outcome).ok();
            hearing.outcome::<Option<BlocksSummary>>(&outcome).ok();
        }
    }
}

#[cfg(test)]
mod tests;
