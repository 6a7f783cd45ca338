//! The other hosts of a job: an agent is started on each, told what to do, and heard to the end. What is told
//! and what is done is the job's (`FarJob`).
//!
//! Where both sides lie on other hosts, the agent of the destination asks that of the source. Where the two do
//! not reach each other it asks here, and what it asks is asked of the agent of the source.

use std::error::Error;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use engine::serve::Server;
use engine::{RemoteSource, Surroundings};
use errand::{Asks, Found, NotFound, TooLong, Totals};
use model::settings::Method;
use net::further::{Plan, Whereabouts, Wish};
use net::session::Cause;
use net::shell::Process;
use net::{Over, Relay, Session, Traffic};
use report::settings::Volume;
use sched::Cancel;
use wire::{DirectEnd, DirectLoss, FailureKind, Serve, Task, Violation};

use super::pace::Limit;
use super::stops::Stops;
use super::sync::{source_of, tell};
use super::talk::Talk;
use super::typed;
use crate::cli::{FarSide, Refusal, Remote};
use crate::exit_code::{Ending, Exit};

/// How long a remote shell has to say by its exit status why the connection ended.
const TO_SAY_WHY: Duration = Duration::from_secs(2);

/// How long a run that was stopped waits for the agent of the source to take the last word.
const TO_SAY_BYE: Duration = Duration::from_millis(500);

/// How long the agent of the destination may say nothing after it was told to stop.
const TO_ANSWER: Duration = Duration::from_secs(3);

/// How long it may take to end, whatever it says.
const TO_STOP: Duration = Duration::from_secs(10);

/// How much later the loss of an agent may be noticed here than by another agent.
const TO_NOTICE: Duration = Duration::from_millis(640);

/// Requests that wait at the same time for the other of two hosts: what hides the way there.
const RELAYED_AT_ONCE: usize = 64;

/// Who starts agents.
mod caller;
/// Agents that are made known to each other.
mod direct;
/// Images.
mod image;
/// Trees.
mod tree;

use self::caller::Caller;
use self::direct::Introduction;
pub(super) use self::image::FarImage;
pub(super) use self::tree::FarTree;

/// A job of which other hosts do a part.
pub(super) trait FarJob: Clone {
    /// Its totals, which an agent may tell.
    type Summary: Default + Totals;
    /// What an agent is started for that serves the source.
    const SERVE: Task;
    /// What an agent is started for that has the destination.
    const BRING: Task;

    /// What an agent is told that serves the source.
    fn service(&self, asks: Asks) -> Result<Vec<u8>, TooLong>;

    /// The sources, as typed.
    fn sources(&self) -> Vec<&Path>;

    /// Takes over what they stand for.
    fn take_found(&mut self, found: Found) -> Result<(), Refusal>;

    /// What an agent is told that has the destination, and the directory that relative paths of the source
    /// begin from.
    fn work(&self, source_directory: &[u8]) -> Result<Vec<u8>, TooLong>;

    /// Serves a source that lies here.
    fn server(&self) -> Server;

    /// How content is compressed.
    fn compression(&self) -> Option<Method>;

    /// Does it here, with a source that is served elsewhere.
    fn bring_over(&self, source: RemoteSource, around: &Surroundings) -> (Ending, Self::Summary);
}

/// The agent of a job.
pub(super) struct Far {
    side: FarSide,
    session: Arc<Session>,
    shell: Process,
    lanes: Plan,
    whereabouts: Whereabouts,
    stops: Arc<Stops>,
    /// How the host is called.
    host: String,
    /// How long a lane may be silent, if the user has said so.
    silence: Option<Duration>,
    /// What became of what went from host to host.
    direct: Mutex<Option<DirectEnd>>,
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
            || matches!(self.direct_loss(), Some(DirectLoss::Cut | DirectLoss::Silent))
    }

    /// What went to the destination and came from it.
    pub(super) fn traffic(&self) -> Traffic {
        let mut traffic = self.session.traffic();
        if let Some(end) = &*self.direct.lock().unwrap_or_else(PoisonError::into_inner) {
            traffic.sent_bytes = traffic.sent_bytes.saturating_add(end.received_bytes);
            traffic.received_bytes = traffic.received_bytes.saturating_add(end.sent_bytes);
        }
        traffic
    }

    /// How the two agents have lost each other, if they have.
    fn direct_loss(&self) -> Option<DirectLoss> {
        let end = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        end.as_ref().and_then(|end| end.loss)
    }

    /// Has the agent of the source look up what was typed of it, and puts that into the job.
    pub(super) fn find<J: FarJob>(&mut self, job: &mut J) -> Result<(), Refusal> {
        let (source, asks) = match &self.source {
            Some(source) => (&**source, Asks::AnotherHost),
            None if self.side == FarSide::Source => (&*self, Asks::Controller),
            None => {
                self.source_directory = working_directory();
                return Ok(());
            }
        };
        let found = source.ask_what_is_there(job, asks)?;
        check_found(&job.sources(), &found.sources)?;
        self.source_directory.clone_from(&found.directory);
        job.take_found(found)
    }

    fn ask_what_is_there<J: FarJob>(&self, job: &J, asks: Asks) -> Result<Found, Refusal> {
        let service = job
            .service(asks)
            .map_err(|too_long| refused(Exit::Unsupported, &too_long.to_string()))?;
        let lost = |error: &dyn Error| refused(self.exit(), &error.to_string());
        self.session.begin(J::SERVE, &service).map_err(|error| lost(&error))?;
        let found = Found::hear(&Talk(Arc::clone(&self.session))).map_err(|error| lost(&error))?;
        // It is the agent's, and so stays on its line.
        found.map_err(|NotFound { kind, sentence }| {
            refused(Exit::from(kind), &sentence.replace('\n', "\\n"))
        })
    }

    /// Does the job, which is the agent's where the destination lies there, and else is done here with
    /// the source that it serves.
    pub(super) fn run<J: FarJob>(
        &self,
        job: &J,
        around: &Surroundings,
        (volume, limit): (Volume, &Limit),
    ) -> (Ending, J::Summary) {
        let notices = Notices::new(around, volume);
        // Whoever serves the source sends what there is to send.
        match self.source_session() {
            Some(session) => limit.tell(session),
            None => limit.hold_back(&self.session, &around.cancel),
        }
        let done = match self.side {
            FarSide::Destination => self.push(job, around, &notices),
            FarSide::Source => self.pull(job, around, &notices),
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

    fn push<J: FarJob>(
        &self,
        job: &J,
        around: &Surroundings,
        notices: &Arc<Notices>,
    ) -> (Ending, J::Summary) {
        let server: Arc<dyn Serve> = match &self.source {
            Some(source) => Arc::new(Relay::new(source.session.asker())),
            None => Arc::new(job.server()),
        };
        self.session.compress(job.compression());
        self.session.serve(server);
        let introduction =
            self.source.as_deref().and_then(|source| Introduction::begin(source, self, notices));
        let work = match job.work(&self.source_directory) {
            Ok(work) => work,
            Err(too_long @ TooLong) => {
                tell(around, &too_long.to_string());
                return (Ending::Error(Exit::Unsupported), J::Summary::default());
            }
        };
        if let Err(error) = self.session.begin(J::BRING, &work) {
            return (self.ending_of(|| self.exit(), &error, around), J::Summary::default());
        }
        if around.cancel.is_cancelled() {
            // A signal came before there was something to stop.
            self.session.cancel().ok();
        }
        self.leave_when_nobody_answers(around.cancel.clone());
        let guard = self.source.as_ref().and_then(|source| source.end_with(&self.session));
        let is_done = AtomicBool::new(false);
        let ended = thread::scope(|scope| {
            match introduction {
                Some(introduction) => introduction.go_on_within(scope, &is_done),
                None => self.widen_all(notices),
            }
            let ended = self.follow(around);
            is_done.store(true, Ordering::Relaxed);
            ended
        });
        let ended = self.with_direct_end(ended, around);
        if let Some(source) = &self.source {
            source.session.bye();
        }
        // A panic in there has been reported by its hook.
        drop(guard.map(thread::JoinHandle::join));
        ended
    }

    /// Where there are two other hosts, with both.
    fn widen_all(&self, notices: &Arc<Notices>) {
        if let Some(source) = &self.source {
            source.widen(notices);
        }
        self.widen(notices);
    }

    /// What there is to be said where two agents have lost each other.
    fn with_direct_end<S>(
        &self,
        (ending, summary): (Ending, S),
        around: &Surroundings,
    ) -> (Ending, S) {
        let end = self.direct.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((end, source)) = end.as_ref().zip(self.source.as_deref()) else {
            return (ending, summary);
        };
        let Some(exit) = direct::exit_of(end).filter(|_| ending == Ending::Error(Exit::Stream))
        else {
            return (ending, summary);
        };
        // An agent that is gone is known by this session, too, which may take a moment longer.
        let until = Instant::now() + TO_NOTICE;
        while source.session.over().is_none() && Instant::now() < until {
            thread::sleep(TO_NOTICE / 32);
        }
        let ending = match source.session.over() {
            Some(over) => self.ending_of(|| source.exit_of(&over), &over, around),
            None => {
                self.ending_of(|| exit, &direct::Lost { end, source, destination: self }, around)
            }
        };
        (ending, summary)
    }

    /// Hears the agent of the destination to the end.
    fn follow<S: Default + Totals>(&self, around: &Surroundings) -> (Ending, S) {
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
                (ending, S::default())
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

    fn pull<J: FarJob>(
        &self,
        job: &J,
        around: &Surroundings,
        notices: &Arc<Notices>,
    ) -> (Ending, J::Summary) {
        self.widen(notices);
        let listener = self.stop_when_over(around.cancel.clone());
        self.ask_no_more_when_stopped(around.cancel.clone());
        let source = match self.session.greeted() {
            Ok(hello) => {
                let source = source_of(&self.session, &hello, self.source_directory.clone());
                RemoteSource { is_pulled: true, ..source }
            }
            Err(over) => {
                let ending = self.ending_of(|| self.exit_of(&over), &over, around);
                return (ending, J::Summary::default());
            }
        };
        let (ending, summary) = job.bring_over(source, around);
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
        why: &dyn fmt::Display,
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

    /// A job that ends by an error does not wait for what is still on its way.
    fn ask_no_more_when_stopped(&self, cancel: Cancel) {
        let session = Arc::downgrade(&self.session);
        let wait = move || {
            while cancel.sleep(Duration::MAX).is_ok() {}
            if let Some(session) = session.upgrade() {
                session.ask_no_more();
            }
        };
        // Without it what is on its way is waited for.
        thread::Builder::new().name("hurry".to_owned()).spawn(wait).ok();
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

/// Whether what was found is what was typed: who tells it is not believed.
fn check_found(sources: &[&Path], found: &[Vec<Box<[u8]>>]) -> Result<(), Refusal> {
    let mut typed = sources.iter().map(|source| source.as_os_str().as_bytes()).zip(found);
    let wrong = typed.find(|(typed, paths)| !typed::may_stand_for(typed, paths));
    if let Some((typed, paths)) = wrong {
        let (typed, paths) = (typed.escape_ascii(), paths.iter().take(3));
        let shown: Vec<_> = paths.map(|path| format!("\"{}\"", path.escape_ascii())).collect();
        let shown = shown.join(", ");
        let sentence =
            format!("the source says that \"{typed}\" is {shown}, which was not asked for");
        return Err(refused(Exit::Protocol, &sentence));
    }
    if sources.len() != found.len() {
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

    /// Whether anything is told.
    fn is_heard(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
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

fn refused(exit: Exit, sentence: &str) -> Refusal {
    Refusal { exit, sentence: sentence.to_owned() }
}

fn exit_of_shell(code: Option<i32>) -> Exit {
    match code {
        Some(255) => Exit::NoLogin,
        Some(127) => Exit::NoAgent,
        _ => Exit::Stream,
    }
}
