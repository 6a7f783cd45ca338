//! Brings a destination into the state of its sources: from an `Invocation` to an exit code.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use engine::{RemoteSource, Stop, Surroundings};
use filter::Rules;
use fs::outlet::Outlet;
use model::{Event, Gauges, Job, Message, Sink, Summary, Topic};
use net::Session;
use net::lane::Hangup;
use net::shell::Process;
use report::settings::OutputStyle;
use report::{Closing, Ended, Endings, Reporter, Severity, Statistics, Traffic};
use sched::Cancel;
use wire::Hello;

use super::far::Far;
use super::signals::Watch;
use crate::cli::{Invocation, Refusal, Remote};
use crate::exit_code::{Ending, Exit};

/// Runs it to its end; `umask` is what the process was started with and has cleared.
pub(crate) fn run(invocation: Invocation, umask: u32) -> Exit {
    let Invocation { mut job, remote, rules, mut report, log_file, warnings } = invocation;
    for warning in &warnings {
        warn(warning);
    }
    let cancel = Cancel::new();
    let reaction = Reaction::default();
    let ready = prepare(remote.as_ref(), &cancel, &reaction, &mut job, &rules);
    let (watch, far) = match ready {
        Ok(ready) => ready,
        Err(refusal) => {
            reaction.becomes(AtSignal::Nothing);
            super::refuse(&refusal, report.style == OutputStyle::Json);
            return refusal.exit;
        }
    };
    let volume = report.volume;
    if far.is_some() {
        report.run.sources = job.sources.iter().map(|source| source.path.clone()).collect();
    }
    let gauges = Arc::new(Gauges::default());
    let (stdout, stderr) = (outlet(io::stdout(), &cancel), outlet(io::stderr(), &cancel));
    let log = log_file.as_deref().and_then(open_log);
    let reporter = Arc::new(Reporter::new(report, stdout, stderr, log, Arc::clone(&gauges)));
    let sink: Arc<dyn Sink> = Arc::clone(&reporter) as Arc<dyn Sink>;
    let around = Surroundings { sink, gauges, cancel, umask };
    let (ending, summary) = match &far {
        Some(far) => far.run(&job, rules, &around, volume),
        None => bring_over(&job, rules, &SourceAt::Here, &around),
    };
    reaction.becomes(AtSignal::Nothing);
    drop(around);
    let ending = match ending {
        Ending::Complete if watch.saw_one() => Ending::Interrupted,
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
    let traffic = far.as_ref().map(|far| {
        let net::Traffic { sent_bytes, received_bytes } = far.session().traffic();
        Traffic { sent_bytes, received_bytes }
    });
    let endings = Endings { run: ended(exit), unseen: ended(unseen), statistics, traffic };
    if reporter.finish(&summary, endings) == endings.run { exit } else { unseen }
}

/// What a signal does to the session with another host.
///
/// The session is not held: it ends, and its remote shell, when who made it lets go of it.
#[derive(Default)]
enum AtSignal {
    /// There is none.
    #[default]
    Nothing,
    /// There is none yet: its remote shell is ended, which may wait for a password.
    EndShell(Process),
    /// Its agent has told nothing yet that would be lost.
    HangUp(Weak<Session>),
    /// Its agent is asked to stop, if it is there to hear that.
    Cancel(Weak<Session>),
}

impl AtSignal {
    fn act(&self) {
        match self {
            Self::Nothing => {}
            Self::EndShell(process) => process.hang_up(),
            Self::HangUp(session) => {
                if let Some(session) = session.upgrade() {
                    session.hang_up();
                }
            }
            Self::Cancel(session) => {
                let Some(session) = session.upgrade() else { return };
                if session.is_greeted() {
                    // One that has ended needs not be stopped.
                    session.cancel().ok();
                } else {
                    session.hang_up();
                }
            }
        }
    }
}

/// What a signal does at the moment.
#[derive(Clone, Default)]
struct Reaction(Arc<Mutex<AtSignal>>);

impl Reaction {
    /// From now on. What a signal does already is done before this returns: a remote shell is not left
    /// behind since the process that was about to end it has ended.
    fn becomes(&self, next: AtSignal) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn act(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).act();
    }
}

/// Heeds signals, reaches the other host, if there is one, and finds the sources there.
fn prepare(
    remote: Option<&Remote>,
    cancel: &Cancel,
    reaction: &Reaction,
    job: &mut Job,
    rules: &Rules,
) -> Result<(Watch, Option<Far>), Refusal> {
    let stop = {
        let (cancel, reaction) = (cancel.clone(), reaction.clone());
        move || {
            cancel.cancel();
            reaction.act();
        }
    };
    let watch = Watch::start(stop).map_err(|error| {
        let sentence = format!("watch for signals: {error}");
        Refusal { exit: Exit::FileIo, sentence }
    })?;
    let Some(remote) = remote else { return Ok((watch, None)) };
    let begun = |shell: &Process| {
        reaction.becomes(AtSignal::EndShell(shell.clone()));
        if cancel.is_cancelled() {
            shell.hang_up();
        }
    };
    let found = Far::reach(remote, &watch, &begun).and_then(|mut far| {
        if let Some(session) = far.source_session() {
            reaction.becomes(AtSignal::HangUp(Arc::downgrade(session)));
        }
        far.find(job, rules)?;
        Ok(far)
    });
    if watch.saw_one() {
        let sentence = "stopped before anything was done".to_owned();
        return Err(Refusal { exit: Exit::Interrupted, sentence });
    }
    let far = found?;
    reaction.becomes(AtSignal::Cancel(Arc::downgrade(far.session())));
    Ok((watch, Some(far)))
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
fn outlet(stream: impl AsFd + Send + 'static, cancel: &Cancel) -> Box<dyn Write + Send> {
    let cancel = cancel.clone();
    Box::new(Outlet::new(stream, move || cancel.is_cancelled()))
}

/// The one place where the engine is called.
pub(super) fn bring_over(
    job: &Job,
    rules: Rules,
    source: &SourceAt,
    around: &Surroundings,
) -> (Ending, Summary) {
    let rules = Arc::new(rules);
    let outcome = match source {
        SourceAt::Here => engine::run(job, &rules, around),
        SourceAt::There(source) => engine::run_from(source, job, &rules, around),
    };
    match outcome {
        Ok(outcome) => {
            let ending = match outcome.stopped {
                Some(Stop::Fatal(_)) => Ending::Error(Exit::FileIo),
                Some(Stop::Unprepared(message)) => {
                    tell(around, &message);
                    Ending::Error(Exit::FileIo)
                }
                Some(Stop::SourceLost(message)) => {
                    tell(around, &message);
                    Ending::Error(Exit::Stream)
                }
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
