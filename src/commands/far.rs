//! The other hosts of a job: an agent is started on each, told what to do, and heard to the end.
//!
//! Where both sides lie on other hosts, the agent of the destination asks here, and what it asks is asked
//! of the agent of the source.

use std::error::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use engine::serve::{Server, Terms};
use engine::{RemoteSource, Surroundings};
use errand::{Asks, Besides, Found, List, NotFound, Service, TooLong, Work};
use filter::Rules;
use model::{Job, Source, Summary};
use net::further::{Plan, Whereabouts, Wish};
use net::session::Cause;
use net::shell::Process;
use net::{Agent, BootstrapError, Over, Program, Relay, Session, Target};
use report::settings::Volume;
use sched::Cancel;
use wire::{FailureKind, Hello, Patience, Serve, Task, Violation};

use super::agent::hash;
use super::pace::Limit;
use super::stops::Stops;
use super::sync::{SourceAt, bring_over, source_of, tell};
use super::talk::{Talk, setup};
use super::typed;
use crate::cli::{FarList, FarSide, Refusal, Remote};
use crate::exit_code::{Ending, Exit};

/// How long a remote shell has to say by its exit status why the connection ended.
const TO_SAY_WHY: Duration = Duration::from_secs(2);

/// How long a run that was stopped waits for the agent of the source to take the last word.
const TO_SAY_BYE: Duration = Duration::from_millis(500);

/// How long the agent of the destination may say nothing after it was told to stop.
const TO_ANSWER: Duration = Duration::from_secs(3);

/// How long it may take to end, whatever it says.
const TO_STOP: Duration = Duration::from_secs(10);

/// Requests that wait at the same time for the other of two hosts: what hides the way there.
const RELAYED_AT_ONCE: usize = 64;

/// The agent of a job.
pub(super) struct Far {
    side: FarSide,
    session: Arc<Session>,
    shell: Process,
    lanes: Plan,
    whereabouts: Whereabouts,
    list: Option<FarList>,
    stops: Arc<Stops>,
    /// Where relative paths of the source begin, once that is known.
    source_directory: Box<[u8]>,
    /// The agent of the source, where this one is that of the destination.
    source: Option<Box<Self>>,
}

impl Far {
    /// Starts the agents, and a session with each. `begun` gets each remote shell before it is waited for.
    pub(super) fn reach(
        remote: &Remote,
        stops: &Arc<Stops>,
        begun: &dyn Fn(&Process),
    ) -> Result<Self, Refusal> {
        let there = &remote.there;
        let caller = Caller { remote, stops, begun };
        let Some(host) = &there.source else {
            return caller.start(&there.target, there.side, None);
        };
        let named = |side: FarSide| {
            move |refusal: Refusal| Refusal {
                sentence: format!("{side}: {}", refusal.sentence),
                ..refusal
            }
        };
        let source = caller.start(host, FarSide::Source, None).map_err(named(FarSide::Source))?;
        let served = source
            .session
            .greeted()
            .map_err(|over| refused(source.exit_of(&over), &over.to_string()))
            .map_err(named(FarSide::Source))?;
        let far = caller
            .start(&there.target, there.side, Some(&served))
            .map_err(named(FarSide::Destination))?;
        Ok(Self { source: Some(Box::new(source)), ..far })
    }

    /// Waits until the agent that does the job, or serves it, has said that it is there.
    pub(super) fn hear_greeting(&self) -> Result<(), Refusal> {
        match self.session.greeted() {
            Ok(_) => Ok(()),
            Err(over) => Err(refused(self.exit_of(&over), &over.to_string())),
        }
    }

    /// What a signal asks to stop, once the sources are found.
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The session with the agent of the source, if it lies on another host.
    pub(super) fn source_session(&self) -> Option<&Arc<Session>> {
        match &self.source {
            Some(source) => Some(&source.session),
            None => (self.side == FarSide::Source).then_some(&self.session),
        }
    }

    /// A session ended before the job did, and nobody ended it.
    pub(super) fn was_lost(&self) -> bool {
        let is_silence = |violation: &Violation| {
            matches!(violation, Violation::Silent(_) | Violation::Mute | Violation::NoGreeting(_))
        };
        let is_loss = |over: Over| match over.cause {
            Cause::Broken(violation) => is_silence(&violation),
            cause => matches!(cause, Cause::Lost(_) | Cause::Unsendable(_)),
        };
        let mut sessions = [Some(&self.session), self.source_session()].into_iter().flatten();
        sessions.any(|session| session.over().is_some_and(is_loss))
    }

    /// Has the agent of the source look up what was typed of it, and puts that into the job.
    pub(super) fn find(&mut self, job: &mut Job, rules: &Rules) -> Result<(), Refusal> {
        let far_list = self.list.clone();
        let list = far_list.as_ref().filter(|far| far.side == FarSide::Source).map(|far| &far.list);
        let (source, asks) = match &self.source {
            Some(source) if far_list.is_some() && list.is_none() => {
                (&**source, Asks::AnotherHostByItsList)
            }
            Some(source) => (&**source, Asks::AnotherHost),
            None if self.side == FarSide::Source => (&*self, Asks::Controller),
            None => {
                self.source_directory = working_directory();
                return Ok(());
            }
        };
        let Found { directory, sources, list: contents } =
            source.ask_what_is_there(job, rules, list, asks)?;
        check_found(job, &sources)?;
        job.sources = typed::sources_at(&sources);
        if let Some(list) = list {
            let lacks = || refused(Exit::Protocol, "the source was asked for a list and told none");
            let names = typed::names_told(&contents.ok_or_else(lacks)?, list)?;
            job.settings.traverse.files_from = Some(names);
        }
        self.source_directory = directory;
        Ok(())
    }

    fn ask_what_is_there(
        &self,
        job: &Job,
        rules: &Rules,
        list: Option<&List>,
        asks: Asks,
    ) -> Result<Found, Refusal> {
        let mut asked = job.clone();
        // No business of that host.
        asked.destination = None;
        if asks != Asks::AnotherHost
            && let Some(names) = &mut asked.settings.traverse.files_from
        {
            names.clear();
        }
        let service = Service::to_bytes(&asked, rules, list, asks)
            .map_err(|too_long| refused(Exit::Unsupported, &too_long.to_string()))?;
        let lost = |error: &dyn Error| refused(self.exit(), &error.to_string());
        self.session.begin(Task::ServeSource, &service).map_err(|error| lost(&error))?;
        let found = Found::hear(&Talk(Arc::clone(&self.session))).map_err(|error| lost(&error))?;
        // It is the agent's, and so stays on its line.
        found.map_err(|NotFound { kind, sentence }| {
            refused(Exit::from(kind), &sentence.replace('\n', "\\n"))
        })
    }

    /// Does the job, which is the agent's where the destination lies there, and else is done here with
    /// the source that it serves.
    pub(super) fn run(
        &self,
        job: &Job,
        rules: &Arc<Rules>,
        around: &Surroundings,
        (volume, limit): (Volume, &Limit),
    ) -> (Ending, Summary) {
        let notices = Notices::new(around, volume);
        // Whoever serves the source sends what there is to send.
        match self.source_session() {
            Some(session) => limit.tell(session),
            None => limit.hold_back(&self.session, &around.cancel),
        }
        let done = match self.side {
            FarSide::Destination => self.push(job, rules, around, &notices),
            FarSide::Source => self.pull(job, rules, around, &notices),
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

    fn push(
        &self,
        job: &Job,
        rules: &Rules,
        around: &Surroundings,
        notices: &Arc<Notices>,
    ) -> (Ending, Summary) {
        let list = self.list.as_ref().filter(|far| far.side == FarSide::Destination);
        let server: Arc<dyn Serve> = match &self.source {
            Some(source) => Arc::new(Relay::new(source.session.asker())),
            // What is in its list is known to that host alone.
            None if list.is_some() => Arc::new(Server::new(Terms::for_far_list(job, rules))),
            None => Arc::new(Server::new(Terms::for_job(job, rules))),
        };
        self.session.compress(job.settings.compression.as_ref().map(|it| it.method));
        self.session.serve(server);
        let besides = Besides {
            source_directory: self.source_directory.clone(),
            list: list.map(|far| far.list.clone()),
        };
        let work = match Work::to_bytes(job, rules, &besides, SystemTime::now()) {
            Ok(work) => work,
            Err(too_long @ TooLong) => return fail(around, Exit::Unsupported, &too_long),
        };
        if let Err(error) = self.session.begin(Task::RunDestination, &work) {
            return (self.ending_of(|| self.exit(), &error, around), Summary::default());
        }
        if around.cancel.is_cancelled() {
            // A signal came before there was something to stop.
            self.session.cancel().ok();
        }
        if let Some(source) = &self.source {
            source.widen(notices);
        }
        self.widen(notices);
        self.leave_when_nobody_answers(around.cancel.clone());
        let guard = self.source.as_ref().and_then(|source| source.end_with(&self.session));
        let ended = self.follow(around);
        if let Some(source) = &self.source {
            source.session.bye();
        }
        // A panic in there has been reported by its hook.
        drop(guard.map(thread::JoinHandle::join));
        ended
    }

    /// Hears the agent of the destination to the end.
    fn follow(&self, around: &Surroundings) -> (Ending, Summary) {
        let talk = Talk(Arc::clone(&self.session));
        match errand::follow(&talk, &*around.sink, &around.gauges) {
            Ok(outcome) => {
                self.session.bye();
                (outcome.ending.into(), outcome.summary)
            }
            Err(lost) => {
                let source = self.source.as_ref().and_then(|it| Some((it, it.session.over()?)));
                let ending = match &source {
                    // That is why the other one was given up.
                    Some((source, over)) => self.ending_of(|| source.exit_of(over), over, around),
                    None => self.ending_of(|| self.exit(), &lost, around),
                };
                (ending, Summary::default())
            }
        }
    }

    /// When this session ends first, the other one has nothing to go on with.
    fn end_with(&self, other: &Arc<Session>) -> Option<thread::JoinHandle<()>> {
        let (session, other) = (Arc::clone(&self.session), Arc::clone(other));
        let wait = move || {
            let why = loop {
                match session.hear() {
                    Ok(Some(_)) => {}
                    Ok(None) => break "the agent of the source has ended".to_owned(),
                    Err(over) => break over.to_string(),
                }
            };
            if other.over().is_none() {
                other.fail(FailureKind::Internal, &why);
            }
        };
        thread::Builder::new().name("source".to_owned()).spawn(wait).ok()
    }

    fn pull(
        &self,
        job: &Job,
        rules: &Arc<Rules>,
        around: &Surroundings,
        notices: &Arc<Notices>,
    ) -> (Ending, Summary) {
        self.widen(notices);
        let listener = self.stop_when_over(around.cancel.clone());
        let source = match self.session.greeted() {
            Ok(hello) => {
                let source = source_of(&self.session, &hello, self.source_directory.clone());
                RemoteSource { is_pulled: true, ..source }
            }
            Err(over) => {
                let ending = self.ending_of(|| self.exit_of(&over), &over, around);
                return (ending, Summary::default());
            }
        };
        let (ending, summary) = bring_over(job, rules, &SourceAt::There(source), around);
        let over = self.session.over();
        if around.cancel.is_cancelled() {
            self.session.leave(TO_SAY_BYE);
        } else {
            self.session.bye();
        }
        // A panic in there has been reported by its hook.
        drop(listener.map(thread::JoinHandle::join));
        match over {
            Some(over) => (self.ending_of(|| self.exit_of(&over), &over, around), summary),
            None => (ending, summary),
        }
    }

    /// How a run ends whose session did not last. After a signal the user does not wait for a host that
    /// does not answer, and is not told of it either.
    fn ending_of(
        &self,
        exit: impl FnOnce() -> Exit,
        why: &dyn Error,
        around: &Surroundings,
    ) -> Ending {
        // The same signal may reach this process while the remote shell ends by it.
        let exit = if self.stops.is_stopped() { Exit::Interrupted } else { exit() };
        if self.stops.is_stopped() {
            return Ending::Interrupted;
        }
        tell(around, &why.to_string());
        Ending::Error(exit)
    }

    /// After a signal the agent ends its work and says so. If not even a sign of life comes, or it does not
    /// end, for which it may not have heard of it, the user does not wait for it.
    fn leave_when_nobody_answers(&self, cancel: Cancel) {
        let session = Arc::downgrade(&self.session);
        let wait = move || {
            while cancel.sleep(Duration::MAX).is_ok() {}
            let until = Instant::now() + TO_STOP;
            let mut heard = None;
            while let Some(session) = session.upgrade().filter(|session| session.over().is_none()) {
                let received = session.traffic().received_bytes;
                let is_silent = heard.replace(received) == Some(received);
                if is_silent || Instant::now() >= until {
                    return session.hang_up();
                }
                drop(session);
                thread::sleep(TO_ANSWER);
            }
        };
        // Without it the session waits as long as for any silence.
        thread::Builder::new().name("patience".to_owned()).spawn(wait).ok();
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
                match exit_of_shell(status.and_then(|status| status.code())) {
                    Exit::NoLogin if self.session.is_greeted() => Exit::CutOff,
                    exit => exit,
                }
            }
            _ => Exit::Stream,
        }
    }
}

/// Who starts agents.
struct Caller<'a> {
    remote: &'a Remote,
    stops: &'a Arc<Stops>,
    begun: &'a dyn Fn(&Process),
}

impl Caller<'_> {
    /// Starts an agent, which is told what the host is that its requests go to if that is another, and how
    /// much that takes.
    fn start(&self, host: &Target, side: FarSide, served: Option<&Hello>) -> Result<Far, Refusal> {
        let Remote { shell, lanes, list, .. } = self.remote;
        let agent = agent(self.remote)?;
        // The remote shell inherits the umask, and what it starts, where it is a stand-in for ssh.
        let start = || agent.start(shell, host, self.begun);
        let (lane, process) = fs::process::with_umask_of_start(start).map_err(|error| Refusal {
            exit: exit_of_start(&error),
            sentence: error.to_string(),
        })?;
        let peer = format!("the agent on {}", host.shown());
        let mut setup = setup(&peer);
        setup.patience = patience(self.remote);
        if let Some(served) = served {
            let (here, there) = (&mut setup.hello.capacity, served.capacity.clamped());
            here.handles = here.handles.min(there.handles);
            here.requests = here.requests.min(there.requests);
            setup.hello.system = served.system;
            setup.servers = RELAYED_AT_ONCE;
        }
        let session = Session::open(lane, setup)
            .map_err(|error| refused(Exit::Unstarted, &format!("begin a session: {error}")))?;
        Ok(Far {
            side,
            session: Arc::new(session),
            shell: process,
            lanes: lanes.clone(),
            whereabouts: Whereabouts::Login {
                shell: shell.clone(),
                target: host.clone(),
                agent: Arc::new(agent.once_sent()),
            },
            list: list.clone(),
            stops: Arc::clone(self.stops),
            source_directory: Box::default(),
            source: None,
        })
    }
}

/// Whether what was found is what was typed: who tells it is not believed.
fn check_found(job: &Job, found: &[Vec<Box<[u8]>>]) -> Result<(), Refusal> {
    let as_typed = |source: &Source| source.path.as_os_str().as_bytes().to_vec();
    let mut typed = job.sources.iter().map(as_typed).zip(found);
    let wrong = typed.find(|(typed, paths)| !typed::may_stand_for(typed, paths));
    if let Some((typed, paths)) = wrong {
        let (typed, paths) = (typed.escape_ascii(), paths.iter().take(3));
        let shown: Vec<_> = paths.map(|path| format!("\"{}\"", path.escape_ascii())).collect();
        let shown = shown.join(", ");
        let sentence =
            format!("the source says that \"{typed}\" is {shown}, which was not asked for");
        return Err(refused(Exit::Protocol, &sentence));
    }
    if job.sources.len() != found.len() {
        return Err(refused(Exit::Protocol, "the source tells of more or less than was asked for"));
    }
    Ok(())
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

/// Where relative paths of this host begin.
fn working_directory() -> Box<[u8]> {
    fs::below::absolute(Path::new(".")).into_os_string().into_encoded_bytes().into()
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
    // One that is cut off is not to be there for long beside the next.
    let as_we_do = || remote.reconnect.map(|_| Patience::default().silence);
    Ok(Agent {
        path: remote.agent_path.clone(),
        revision: wire::REVISION.to_string(),
        program,
        as_root: remote.as_root,
        silence: remote.patience.or_else(as_we_do),
        start: remote.patience_at_start,
    })
}

fn own_program() -> Result<Program, Refusal> {
    let bytes = fs::process::read_own_program()
        .map_err(|error| refused(Exit::FileIo, &format!("read the own program: {error}")))?;
    Ok(Program { hash: hash(&bytes), bytes, system: fs::process::system() })
}

/// `--contimeout` and `--timeout`.
fn patience(remote: &Remote) -> Patience {
    let mut patience = Patience::default();
    if let Some(greeting) = remote.patience_at_start {
        patience.greeting = greeting;
    }
    if let Some(silence) = remote.patience {
        patience = patience.with_silence(silence);
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
        BootstrapError::Late { .. } => Exit::Silence,
        BootstrapError::Noise { .. } => Exit::Protocol,
        BootstrapError::NotInstalled { .. } => Exit::NoAgent,
        BootstrapError::OtherSystem { .. } => Exit::Unsupported,
        BootstrapError::Upload { .. } => Exit::FileIo,
        BootstrapError::Stream { .. } | BootstrapError::NotReached { .. } => Exit::Stream,
    }
}

fn exit_of_shell(code: Option<i32>) -> Exit {
    match code {
        Some(255) => Exit::NoLogin,
        Some(127) => Exit::NoAgent,
        _ => Exit::Stream,
    }
}
