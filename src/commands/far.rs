//! The other host of a job: an agent is started there, told what to do, and heard to the end.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use engine::serve::{Server, Terms};
use engine::{RemoteSource, Surroundings};
use errand::{Follows, Service, TooLong, Work};
use filter::Rules;
use model::settings::Traverse;
use model::{Job, Summary};
use net::further::{Plan, Whereabouts, Wish};
use net::session::Cause;
use net::shell::Process;
use net::{Agent, BootstrapError, Over, Program, Session, Setup};
use report::settings::Volume;
use sched::Cancel;
use wire::{FailureKind, Follow, Hello, Patience, Task, Violation};

use super::agent::hash;
use super::sync::{SourceAt, bring_over, tell};
use super::talk::Talk;
use crate::cli::{FarSide, Refusal, Remote};
use crate::exit_code::{Ending, Exit};

/// How long a remote shell has to say by its exit status why the connection ended.
const TO_SAY_WHY: Duration = Duration::from_secs(2);

/// A lane that has nothing to say says so this often while the other side waits.
const SIGNS_OF_LIFE: u32 = 3;

/// The agent of a job.
pub(super) struct Far {
    side: FarSide,
    session: Arc<Session>,
    shell: Process,
    lanes: Plan,
    whereabouts: Whereabouts,
}

impl Far {
    /// Starts an agent, and a session with it.
    pub(super) fn reach(remote: &Remote) -> Result<Self, Refusal> {
        let agent = agent(remote)?;
        // The remote shell inherits the umask, and what it starts, where it is a stand-in for ssh.
        let start = || agent.start(&remote.shell, &remote.there.target);
        let (lane, shell) = fs::process::with_umask_of_start(start).map_err(|error| Refusal {
            exit: exit_of_start(&error),
            sentence: error.to_string(),
        })?;
        let peer = format!("the agent on {}", remote.there.target.shown());
        let mut setup = Setup::new(env!("CARGO_PKG_VERSION"), &peer);
        setup.patience = patience(remote);
        let session = Session::open(lane, setup)
            .map_err(|error| refused(Exit::Unstarted, &format!("begin a session: {error}")))?;
        let login = (remote.shell.clone(), remote.there.target.clone());
        Ok(Self {
            side: remote.there.side,
            session: Arc::new(session),
            shell,
            lanes: remote.lanes.clone(),
            whereabouts: Whereabouts::Login { shell: login.0, target: login.1 },
        })
    }

    /// What a signal asks to stop.
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Does the job, which is the agent's where the destination lies there, and else is done here with
    /// the source that it serves.
    pub(super) fn run(
        &self,
        job: &Job,
        rules: Rules,
        around: &Surroundings,
        volume: Volume,
    ) -> (Ending, Summary) {
        let (task, work) = match self.side {
            FarSide::Destination => {
                (Task::RunDestination, Work::to_bytes(job, &rules, SystemTime::now()))
            }
            FarSide::Source => (Task::ServeSource, service(job, &rules).to_bytes()),
        };
        if self.side == FarSide::Destination {
            self.session.serve(Arc::new(Server::new(Terms::for_job(job, &rules))));
        }
        let work = match work {
            Ok(work) => work,
            Err(too_long @ TooLong) => return fail(around, Exit::Unsupported, &too_long),
        };
        if let Err(error) = self.session.begin(task, &work) {
            return fail(around, self.exit(), &error);
        }
        if around.cancel.is_cancelled() {
            // A signal came before there was something to stop.
            self.session.cancel().ok();
        }
        let notices = Notices::new(around, volume);
        self.widen(&notices);
        let done = match self.side {
            FarSide::Destination => self.push(around),
            FarSide::Source => self.pull(job, rules, around),
        };
        notices.close();
        done
    }

    /// Lanes come up while the job begins. Where none can, it is done without.
    fn widen(&self, notices: &Arc<Notices>) {
        if self.lanes.wish == Wish::None {
            return;
        }
        let told = Arc::clone(notices);
        let notice = Box::new(move |sentence: &str| told.tell(sentence));
        let widened =
            self.session.widen(Some(self.lanes.clone()), self.whereabouts.clone(), notice);
        if let Err(error) = widened {
            notices.tell(&format!("no lane could be made beside ssh: {error}"));
        }
    }

    fn push(&self, around: &Surroundings) -> (Ending, Summary) {
        let talk = Talk(Arc::clone(&self.session));
        match errand::follow(&talk, &*around.sink, &around.gauges) {
            Ok(outcome) => {
                self.session.bye();
                (outcome.ending.into(), outcome.summary)
            }
            // After a signal the user does not wait for a host that does not answer.
            Err(_) if around.cancel.is_cancelled() => (Ending::Interrupted, Summary::default()),
            Err(lost) => fail(around, self.exit(), &lost),
        }
    }

    fn pull(&self, job: &Job, rules: Rules, around: &Surroundings) -> (Ending, Summary) {
        let listener = self.stop_when_over(around.cancel.clone());
        let source = match self.session.greeted() {
            Ok(Hello { system, .. }) => RemoteSource { ask: self.session.asker(), system },
            Err(over) => return fail(around, self.exit_of(&over), &over),
        };
        let (ending, summary) = bring_over(job, rules, &SourceAt::There(source), around);
        let over = self.session.over();
        self.session.bye();
        // A panic in there has been reported by its hook.
        drop(listener.map(thread::JoinHandle::join));
        match over {
            Some(over) => {
                tell(around, &over.to_string());
                (Ending::Error(self.exit_of(&over)), summary)
            }
            None => (ending, summary),
        }
    }

    /// Nothing more is to be had from a source whose session is over. Where the system has no thread to
    /// give, each question is answered by that all the same.
    fn stop_when_over(&self, cancel: Cancel) -> Option<thread::JoinHandle<()>> {
        let session = Arc::clone(&self.session);
        let wait = move || {
            while let Ok(Some(_)) = session.hear() {}
            cancel.cancel();
        };
        thread::Builder::new().name("agent".to_owned()).spawn(wait).ok()
    }

    fn exit(&self) -> Exit {
        self.session.over().map_or(Exit::Stream, |over| self.exit_of(&over))
    }

    fn exit_of(&self, over: &Over) -> Exit {
        match &over.cause {
            Cause::Broken(Violation::Silent(_) | Violation::NoGreeting(_)) => Exit::Silence,
            Cause::Broken(Violation::Revision { .. } | Violation::Noise(_)) => Exit::Protocol,
            Cause::Failed(failure) if failure.kind == FailureKind::Refused => Exit::Unsupported,
            Cause::Broken(Violation::Mute) | Cause::Lost(_) => {
                let status = self.shell.wait(TO_SAY_WHY);
                exit_of_shell(status.and_then(|status| status.code()))
            }
            _ => Exit::Stream,
        }
    }
}

/// What the session has to say while a job is done, and not longer: the report ends with it.
struct Notices(Mutex<Option<Surroundings>>);

impl Notices {
    fn new(around: &Surroundings, volume: Volume) -> Arc<Self> {
        Arc::new(Self(Mutex::new((volume != Volume::Quiet).then(|| around.clone()))))
    }

    fn tell(&self, sentence: &str) {
        if let Some(around) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            tell(around, sentence);
        }
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The terms as the agent is told them: it works for who asks, so that it is told from where that begins
/// and not each name.
fn service(job: &Job, rules: &Rules) -> Service {
    let Terms { roots, follows, removes_files, .. } = Terms::for_job(job, rules);
    let Traverse { relative, files_from, .. } = &job.settings.traverse;
    let follows = match follows {
        // Names that are picked one by one may be those of links.
        _ if *relative || files_from.is_some() => Follows::All,
        Follow::Never => Follows::None,
        Follow::OwnLinks => Follows::Own,
        Follow::Links => Follows::All,
    };
    let roots = roots.map(|roots| roots.into_keys().collect()).unwrap_or_default();
    Service { roots, follows, removes_files }
}

/// Ends a run of which nothing is known.
fn fail(around: &Surroundings, exit: Exit, why: &dyn Error) -> (Ending, Summary) {
    tell(around, &why.to_string());
    (Ending::Error(exit), Summary::default())
}

/// What is started, and from where it comes.
fn agent(remote: &Remote) -> Result<Agent, Refusal> {
    let may_send = remote.may_upload && remote.agent_path.is_none();
    let program = may_send.then(own_program).transpose()?;
    Ok(Agent {
        path: remote.agent_path.clone(),
        revision: wire::REVISION.to_string(),
        program,
        as_root: remote.as_root,
    })
}

fn own_program() -> Result<Program, Refusal> {
    let bytes = fs::process::read_own_program()
        .map_err(|error| refused(Exit::FileIo, &format!("read the own program: {error}")))?;
    Ok(Program { hash: hash(&bytes), bytes, system: fs::process::system() })
}

/// `--contimeout` and `--timeout`. The agent has patience of its own.
fn patience(remote: &Remote) -> Patience {
    let mut patience = Patience::default();
    if let Some(greeting) = remote.patience_at_start {
        patience.greeting = greeting;
    }
    if let Some(silence) = remote.patience {
        patience.silence = silence;
        patience.keepalive = patience.keepalive.min(silence / SIGNS_OF_LIFE);
    }
    patience
}

fn refused(exit: Exit, sentence: &str) -> Refusal {
    Refusal { exit, sentence: sentence.to_owned() }
}

/// rsync's codes: that of the remote shell, where it has one to say.
fn exit_of_start(error: &BootstrapError) -> Exit {
    match error {
        BootstrapError::Start { .. } => Exit::Unstarted,
        BootstrapError::Ended { status, .. } => {
            exit_of_shell(status.as_ref().and_then(std::process::ExitStatus::code))
        }
        BootstrapError::Noise { .. } => Exit::Protocol,
        BootstrapError::NotInstalled { .. } => Exit::NoAgent,
        BootstrapError::OtherSystem { .. } => Exit::Unsupported,
        BootstrapError::Upload { .. } => Exit::FileIo,
        BootstrapError::Stream { .. } => Exit::Stream,
    }
}

fn exit_of_shell(code: Option<i32>) -> Exit {
    match code {
        Some(255) => Exit::NoLogin,
        Some(127) => Exit::NoAgent,
        _ => Exit::Stream,
    }
}
