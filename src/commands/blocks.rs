//! Brings an image into the state of another: from an `Invocation` to an exit code.

use std::io;
use std::sync::Arc;

use engine::blocks::{self, BlocksError};
use engine::{RemoteSource, Surroundings};
use model::blocks::{BlocksJob, BlocksSummary};
use model::{Cause, Event, Fault, Gauges, Message, Sink, Summary, Topic, Verb};
use report::settings::{Effect, OutputStyle, Progress, RunFacts, Volume};
use report::{Endings, Reporter, Statistics};
use sched::Cancel;

use super::again::Work;
use super::far::FarImage;
use super::pace::{Limit, Timetable, unlimited};
use super::sync::{ended, outlet, prepare, tell, traffic_of};
use crate::cli::blocks::{Blocks, Invocation};
use crate::cli::{self, Refusal};
use crate::exit_code::{Ending, Exit};

/// Does what was asked for; `umask` is what the process was started with and has cleared.
pub(crate) fn run(asked: Blocks, umask: u32) -> Exit {
    match asked {
        Blocks::Tell(text) => cli::tell(&text),
        Blocks::Undo { job, is_quiet } => {
            undo(job, if is_quiet { Volume::Quiet } else { Volume::Normal }, umask)
        }
        Blocks::Sync(invocation) => sync(*invocation, umask),
    }
}

fn sync(invocation: Invocation, umask: u32) -> Exit {
    let Invocation { job, is_delta, remote, bwlimit, is_quiet, is_json, is_live } = invocation;
    let cancel = Cancel::new();
    let typed = FarImage(job);
    let (stops, ready) = match prepare(&typed, remote.as_ref(), &cancel) {
        Ok(ready) => ready,
        Err(refusal) => {
            super::refuse(&refusal, is_json);
            return refusal.exit;
        }
    };
    let FarImage(job) = &typed;
    let volume = if is_quiet { Volume::Quiet } else { Volume::Normal };
    let settings = report::settings::Settings {
        style: if is_json { OutputStyle::Json } else { OutputStyle::Rsync },
        volume,
        progress: if is_live { Progress::Live } else { Progress::Off },
        run: RunFacts {
            sources: vec![job.source.clone()],
            destination: Some(job.target.clone()),
            effect: if job.settings.dry_run { Effect::DryRun } else { Effect::Real },
            version: env!("CARGO_PKG_VERSION"),
            ..RunFacts::default()
        },
        ..report::settings::Settings::default()
    };
    let gauges = Arc::new(Gauges::default());
    let (stdout, stderr) = (outlet(io::stdout(), &cancel), outlet(io::stderr(), &cancel));
    let reporter = Arc::new(Reporter::new(settings, stdout, stderr, None, Arc::clone(&gauges)));
    let sink: Arc<dyn Sink> = Arc::clone(&reporter) as Arc<dyn Sink>;
    let limit = Limit::new(&bwlimit);
    let rate = if ready.is_some() { unlimited() } else { limit.here() };
    let around = Surroundings { sink, gauges, cancel, rate, umask };
    let timetable = {
        let around = around.clone();
        Timetable::keep(bwlimit, &limit, move |sentence| tell(&around, sentence))
    };
    let (ending, summary, far) = if let Some((ready, remote)) = ready.zip(remote.as_ref()) {
        let work = Work { remote, typed: &typed, limit: &limit, volume };
        let (ending, summary, far) = work.run(ready, &around, &stops);
        (ending, summary, Some(far))
    } else {
        let bring = if is_delta { blocks::apply_delta } else { blocks::run };
        let (summary, outcome) = bring(job, &around);
        (ending_of(&outcome, &around), summary, None)
    };
    drop((timetable, around));
    let exit = match ending {
        Ending::Complete if stops.is_stopped() => Exit::Interrupted,
        ending => Exit::of_run(ending, &Summary::default()),
    };
    // The engine has ended, so nobody else holds the reporter.
    let Some(reporter) = Arc::into_inner(reporter) else { return Exit::Internal };
    let unseen = if exit == Exit::Success { Exit::FileIo } else { exit };
    let endings = Endings {
        run: ended(exit),
        unseen: ended(unseen),
        statistics: Statistics::Shown,
        traffic: far.as_ref().map(traffic_of),
    };
    let told = reporter.finish_blocks(summary.as_ref(), endings);
    if told == endings.run { exit } else { unseen }
}

/// Brings an image over whose source lies here, or is served by another host. Why it ends is told.
pub(super) fn bring_over(
    job: &BlocksJob,
    source: Option<&RemoteSource>,
    around: &Surroundings,
) -> (Ending, Option<BlocksSummary>) {
    let (summary, outcome) = match source {
        None => blocks::run(job, around),
        Some(source) => blocks::run_from(source, job, around),
    };
    (ending_of(&outcome, around), summary)
}

/// How a job has ended; if not well, that is told.
fn ending_of(outcome: &Result<(), BlocksError>, around: &Surroundings) -> Ending {
    match outcome {
        Ok(()) => Ending::Complete,
        Err(BlocksError::Stopped) => Ending::Interrupted,
        Err(error) => {
            complain(around, error);
            Ending::Error(exit_of(error))
        }
    }
}

fn complain(around: &Surroundings, error: &BlocksError) {
    match error {
        BlocksError::Fault(fault) => around.sink.accept(Event::Fault(fault.clone())),
        BlocksError::Internal(what) => {
            tell(around, &format!("a bug of lanesync ended the run: {what}"));
        }
        // Who holds the session tells why it is over.
        BlocksError::SourceLost(_) => {}
        BlocksError::Refused(_) | BlocksError::Stopped => {
            let text = format!("lanesync: {error}").into_bytes().into();
            around.sink.accept(Event::Message(Message { topic: Topic::Warning, text }));
        }
    }
}

fn exit_of(error: &BlocksError) -> Exit {
    match error {
        BlocksError::Fault(Fault {
            cause: Cause::ChangedDuringCopy | Cause::VerificationFailed,
            ..
        }) => Exit::Partial,
        BlocksError::Refused(_) | BlocksError::Fault(Fault { verb: Verb::Open, .. }) => {
            Exit::FileSelection
        }
        BlocksError::Fault(_) => Exit::FileIo,
        BlocksError::SourceLost(_) => Exit::Stream,
        BlocksError::Stopped => Exit::Interrupted,
        BlocksError::Internal(_) => Exit::Internal,
    }
}

fn undo(job: BlocksJob, volume: Volume, umask: u32) -> Exit {
    let refused = |exit, sentence| {
        let refusal = Refusal { exit, sentence };
        super::refuse(&refusal, false);
        refusal.exit
    };
    let cancel = Cancel::new();
    let typed = FarImage(job);
    let _stops = match prepare(&typed, None, &cancel) {
        Ok((stops, _)) => stops,
        Err(refusal) => return refused(refusal.exit, refusal.sentence),
    };
    let FarImage(job) = &typed;
    let gauges = Arc::new(Gauges::default());
    let (stdout, stderr) = (outlet(io::stdout(), &cancel), outlet(io::stderr(), &cancel));
    let settings = report::settings::Settings { volume, ..report::settings::Settings::default() };
    let sink = Arc::new(Reporter::new(settings, stdout, stderr, None, Arc::clone(&gauges)));
    let around = Surroundings { sink, gauges, cancel, rate: unlimited(), umask };
    let undone = match blocks::apply_undo(job, &around) {
        Ok(undone) => undone,
        Err(error) => return refused(exit_of(&error), error.to_string()),
    };
    let done = if job.settings.dry_run { "would be" } else { "are" };
    let mut told = format!("{} bytes {done} as they were\n", undone.restored_bytes);
    if let Some(line) = undone.stays_marked {
        told.push_str(&line);
        told.push('\n');
    }
    let exit = if volume == Volume::Quiet { Exit::Success } else { cli::tell(&told) };
    if undone.was_complete {
        return exit;
    }
    let file = job.source.display();
    refused(
        Exit::Partial,
        format!(
            "\"{file}\" has no end: the run that wrote it was cut off, or it is not all of it; what it has kept \
             {done} back. If another run has gone on since, its changes are not"
        ),
    )
}
