//! Brings an image into the state of another: from an `Invocation` to an exit code.

use std::io;
use std::sync::Arc;

use engine::Surroundings;
use engine::blocks::{self, BlocksError};
use model::blocks::BlocksJob;
use model::{Cause, Event, Fault, Gauges, Message, Sink, Topic, Verb};
use report::settings::{Effect, OutputStyle, Progress, RunFacts, Volume};
use report::{Endings, Reporter, Statistics};
use sched::Cancel;

use super::pace::{Limit, Timetable};
use super::stops::Stops;
use super::sync::{ended, outlet, tell};
use crate::cli::blocks::{Blocks, Invocation};
use crate::cli::{self, Refusal};
use crate::exit_code::Exit;

/// Does what was asked for; `umask` is what the process was started with and has cleared.
pub(crate) fn run(asked: Blocks, umask: u32) -> Exit {
    match asked {
        Blocks::Tell(text) => cli::tell(&text),
        Blocks::Undo { job, is_quiet } => {
            undo(&job, if is_quiet { Volume::Quiet } else { Volume::Normal })
        }
        Blocks::Sync(invocation) => sync(*invocation, umask),
    }
}

fn sync(invocation: Invocation, umask: u32) -> Exit {
    let Invocation { job, is_delta, bwlimit, is_quiet, is_json, is_live } = invocation;
    let cancel = Cancel::new();
    let stops = match Stops::at_signals(&cancel) {
        Ok(stops) => stops,
        Err(error) => {
            let sentence = format!("watch for signals: {error}");
            let refusal = Refusal { exit: Exit::FileIo, sentence };
            super::refuse(&refusal, is_json);
            return refusal.exit;
        }
    };
    let settings = report::settings::Settings {
        style: if is_json { OutputStyle::Json } else { OutputStyle::Rsync },
        volume: if is_quiet { Volume::Quiet } else { Volume::Normal },
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
    let around = Surroundings { sink, gauges, cancel, rate: limit.here(), umask };
    let timetable = {
        let around = around.clone();
        Timetable::keep(bwlimit, &limit, move |sentence| tell(&around, sentence))
    };
    let bring = if is_delta { blocks::apply_delta } else { blocks::run };
    let (summary, outcome) = bring(&job, &around);
    let exit = match &outcome {
        Ok(()) => Exit::Success,
        Err(BlocksError::Stopped) if stops.is_stopped() => Exit::Interrupted,
        Err(error) => {
            complain(&around, error);
            exit_of(error)
        }
    };
    drop((timetable, around));
    // The engine has ended, so nobody else holds the reporter.
    let Some(reporter) = Arc::into_inner(reporter) else { return Exit::Internal };
    let unseen = if exit == Exit::Success { Exit::FileIo } else { exit };
    let endings = Endings {
        run: ended(exit),
        unseen: ended(unseen),
        statistics: Statistics::Shown,
        traffic: None,
    };
    let told = reporter.finish_blocks(summary.as_ref(), endings);
    if told == endings.run { exit } else { unseen }
}

fn complain(around: &Surroundings, error: &BlocksError) {
    match error {
        BlocksError::Fault(fault) => around.sink.accept(Event::Fault(fault.clone())),
        BlocksError::Internal(what) => {
            tell(around, &format!("a bug of lanesync ended the run: {what}"));
        }
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
        BlocksError::Stopped => Exit::Interrupted,
        BlocksError::Internal(_) => Exit::Internal,
    }
}

fn undo(job: &BlocksJob, volume: Volume) -> Exit {
    let refused = |exit, sentence| {
        let refusal = Refusal { exit, sentence };
        super::refuse(&refusal, false);
        refusal.exit
    };
    let undone = match blocks::apply_undo(job) {
        Ok(undone) => undone,
        Err(error) => return refused(exit_of(&error), error.to_string()),
    };
    let done = if job.settings.dry_run { "would be" } else { "are" };
    let mut told = format!("{} bytes {done} as they were\n", undone.restored_bytes);
    if let Some(why) = undone.stays_marked {
        told.push_str(&format!("{why}\n"));
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
