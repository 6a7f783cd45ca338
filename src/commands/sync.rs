//! Brings a destination into the state of its sources: from an `Invocation` to an exit code.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use engine::{RemoteSource, Stop, Surroundings};
use filter::Rules;
use fs::outlet::Outlet;
use model::{Event, Gauges, Job, Message, Sink, Summary, Topic};
use net::Session;
use report::settings::OutputStyle;
use report::{Closing, Ended, Endings, Reporter, Severity, Statistics, Traffic};
use sched::Cancel;
use wire::Hello;

use super::again::{self, Ready, Work};
use super::far::{Far, FarJob, FarTree};
use super::pace::{Limit, Timetable, unlimited};
use super::stops::{Now, Stops};
use crate::cli::{self, Invocation, Refusal, Remote};
use crate::exit_code::{Ending, Exit};

/// Runs it to its end; `umask` is what the process was started with and has cleared.
pub(crate) fn run(invocation: Invocation, umask: u32) -> Exit {
    let Invocation { mut job, remote, bwlimit, rules, mut report, log_file, warnings } = invocation;
    for warning in &warnings {
        warn(warning);
    }
    job.settings.write.state_dir = cli::state_dir(&cli::Process { umask });
    let cancel = Cancel::new();
    let rules = Arc::new(rules);
    let list = remote.as_ref().and_then(|remote| remote.list.clone());
    let typed = FarTree { job, rules, list };
    let ready = prepare(&typed, remote.as_ref(), &cancel);
    let (stops, ready) = match ready {
        Ok(ready) => ready,
        Err(refusal) => {
            super::refuse(&refusal, report.style == OutputStyle::Json);
            return refusal.exit;
        }
    };
    let volume = report.volume;
    if let Some(Ready { job, .. }) = &ready {
        report.run.sources = job.job.sources.iter().map(|source| source.path.clone()).collect();
    }
    let gauges = Arc::new(Gauges::default());
    let (stdout, stderr) = (outlet(io::stdout(), &cancel), outlet(io::stderr(), &cancel));
    let log = log_file.as_deref().and_then(open_log);
    let reporter = Arc::new(Reporter::new(report, stdout, stderr, log, Arc::clone(&gauges)));
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
        let (ending, summary) = bring_over(&typed.job, &typed.rules, &SourceAt::Here, &around);
        (ending, summary, None)
    };
    drop((timetable, around));
    let ending = match ending {
        Ending::Complete if stops.is_stopped() => Ending::Interrupted,
        ending => ending,
    };
    let exit = Exit::of_run(ending, &summary);
    // The engine has ended, so nobody else holds the reporter.
    let Some(reporter) = Arc::into_inner(reporter) else { return Exit::Internal };
    // What could not be said is no reason to hide that something else went wrong.
    let unseen = if exit == Exit::Success { Exit::FileIo } else { exit };
    let statistics = match ending {
        Ending::Error(_) => Statistics::Withheld,
        Ending::Complete | Ending::Interrupted | Ending::TimeIsOver => Statistics::Shown,
    };
    let traffic = far.as_ref().map(traffic_of);
    let endings = Endings { run: ended(exit), unseen: ended(unseen), statistics, traffic };
    if reporter.finish(&summary, endings) == endings.run { exit } else { unseen }
}

/// Heeds signals, and reaches the other host, if there is one.
pub(super) fn prepare<J: FarJob>(
    job: &J,
    remote: Option<&Remote>,
    cancel: &Cancel,
) -> Result<(Arc<Stops>, Option<Ready<J>>), Refusal> {
    let stops = Stops::at_signals(cancel).map_err(|error| {
        let sentence = format!("watch for signals: {error}");
        Refusal { exit: Exit::FileIo, sentence }
    })?;
    let ready = remote.map(|remote| again::reach(remote, job, &stops)).transpose();
    if ready.is_err() {
        stops.enter(Now::Nothing);
    }
    Ok((stops, ready?))
}

/// What went to the other host and came from there.
pub(super) fn traffic_of(far: &Far) -> Traffic {
    let net::Traffic { sent_bytes, received_bytes } = far.traffic();
    Traffic { sent_bytes, received_bytes }
}

/// Where the source of a run lies.
pub(super) enum SourceAt {
    /// On this host.
    Here,
    /// On another, where it is asked for.
    There(RemoteSource),
}

/// The source that a session's other side serves, which has said this of itself, and whose relative
/// paths begin from this directory.
pub(super) fn source_of(session: &Session, peer: &Hello, directory: Box<[u8]>) -> RemoteSource {
    let capacity = session.capacity(peer);
    RemoteSource {
        ask: session.asker(),
        system: peer.system,
        directory,
        capacity,
        is_pulled: false,
    }
}

/// A stream on which a run that is stopped does not wait for a reader.
pub(super) fn outlet(stream: impl AsFd + Send + 'static, cancel: &Cancel) -> Box<dyn Write + Send> {
    let cancel = cancel.clone();
    Box::new(Outlet::new(stream, move || cancel.is_cancelled()))
}

/// The one place where the engine is called.
pub(super) fn bring_over(
    job: &Job,
    rules: &Arc<Rules>,
    source: &SourceAt,
    around: &Surroundings,
) -> (Ending, Summary) {
    let outcome = match source {
        SourceAt::Here => engine::run(job, rules, around),
        SourceAt::There(source) => engine::run_from(source, job, rules, around),
    };
    match outcome {
        Ok(outcome) => {
            let ending = match outcome.stopped {
                Some(Stop::Fatal(_)) => Ending::Error(Exit::FileIo),
                Some(Stop::Unprepared(message)) => {
                    tell(around, &message);
                    Ending::Error(Exit::FileIo)
                }
                // Who holds the session tells why it is over.
                Some(Stop::SourceLost(_)) => Ending::Error(Exit::Stream),
                Some(Stop::TimeIsUp) => Ending::TimeIsOver,
                Some(Stop::Internal(message)) => {
                    tell(around, &format!("a bug of lanesync ended the run: {message}"));
                    Ending::Error(Exit::Internal)
                }
                None if outcome.cancelled => Ending::Interrupted,
                None => Ending::Complete,
            };
            (ending, outcome.summary)
        }
        Err(error) => {
            tell(around, &error.to_string());
            let exit = match &error {
                error if error.is_usage() => Exit::Usage,
                error if error.is_file_io() => Exit::FileIo,
                _ => Exit::FileSelection,
            };
            (Ending::Error(exit), Summary::default())
        }
    }
}

/// A log that cannot be written is no reason not to copy: rsync goes on, too.
fn open_log(name: &Path) -> Option<Box<dyn Write + Send>> {
    match fs::operator::append(name) {
        Ok(file) => Some(Box::new(file)),
        Err(error) => {
            let name = name.display();
            warn(&format!("--log-file: open \"{name}\": {error}; the run goes on without it"));
            None
        }
    }
}

/// To standard error, the log and the records of `--json`, beside whatever is drawn there.
pub(super) fn tell(around: &Surroundings, sentence: &str) {
    let text = format!("lanesync: {sentence}").into_bytes().into();
    around.sink.accept(Event::Message(Message { topic: Topic::Warning, text }));
}

/// To standard error, before there is a report.
fn warn(sentence: &str) {
    writeln!(io::stderr(), "lanesync: {sentence}").ok();
}

/// How a run ended, for the report.
pub(super) fn ended(exit: Exit) -> Ended {
    let severity = if exit == Exit::Vanished { Severity::Warning } else { Severity::Error };
    let closing = (exit != Exit::Success).then(|| Closing { severity, sentence: exit.sentence() });
    Ended { exit_code: exit.code(), closing }
}
