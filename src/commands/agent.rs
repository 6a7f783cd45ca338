//! Works for a lanesync on another host, which starts it through a remote shell.
//!
//! Nobody types this: the standard streams are those of a session. Before one begins, whoever starts it
//! asks two things, of an installed program and of one that was sent: whether they would understand each
//! other, and whether it arrived whole.
//!
//! An agent does what the one who started it asks for, tells all of it through the session, and ends
//! with it: without a controller it has no reason to live.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use engine::Surroundings;
use engine::serve::{Server, Terms};
use errand::{Around, Asks, Found, ImageService, NotFound, Outcome, Post, Service, Work};
use model::blocks::BlocksJob;
use model::settings::{Compression, Ids};
use model::{Destination, Job, Summary};
use net::Session;
use net::further::Whereabouts;
use sched::Cancel;
use wire::{FailureKind, Task, Told};

use super::blocks;
use super::direct::{self, Asked, Offered};
use super::pace::{self, unlimited};
use super::signals::Watch;
use super::sync::{SourceAt, bring_over, tell};
use super::talk::{Talk, setup};
use super::typed;
use crate::cli::{self, Marked, Refusal};
use crate::exit_code::{Ending, Exit};

/// How long an agent waits for a sign of life: longer than its controller does, whose user may stop it
/// for a while (Ctrl-Z) and let it go on. Where the connection ends, the agent does, at once.
const SILENCE: Duration = Duration::from_secs(120);

/// What tells an agent to wait as long as its user said.
const SILENCE_WORD: &str = "--silence=";

/// What tells it the directory that the login began in.
const DIRECTORY_WORD: &str = "--directory";

/// How long work that was stopped may take to end when nobody is there any more to be told.
const TO_END_ALONE: Duration = Duration::from_secs(4);

/// Does what the words behind `lanesync agent` say; `umask` is what the process was started with.
pub(crate) fn run(words: &[OsString], umask: u32) -> Exit {
    let typed: Vec<_> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let done = match typed.as_slice() {
        ["--revision"] => return cli::tell(&format!("{}\n", wire::REVISION)),
        ["--hash"] => match fs::process::read_own_program() {
            Ok(program) => return cli::tell(&format!("{}\n", hash(&program))),
            Err(error) => Err(refused(Exit::FileIo, &format!("read the own program: {error}"))),
        },
        ["--lane"] | ["--lane", DIRECTORY_WORD, _] => net::further::knock()
            .map(|()| Exit::Success)
            .map_err(|error| refused(Exit::Stream, &format!("join another one: {error}"))),
        _ => begin(words).and_then(|silence| work(silence, umask)),
    };
    done.unwrap_or_else(|refusal| {
        cli::complain(&refusal);
        refusal.exit
    })
}

/// Heeds what a session is begun with; says how long to wait for a sign of life.
fn begin(words: &[OsString]) -> Result<Duration, Refusal> {
    let mut silence = SILENCE;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == DIRECTORY_WORD
            && let Some(directory) = words.next()
        {
            go_to(Path::new(directory))?;
        } else if let Some(secs) = word.to_str().and_then(|word| word.strip_prefix(SILENCE_WORD)) {
            let secs = secs
                .parse()
                .ok()
                .filter(|secs| *secs > 0)
                .ok_or_else(|| Refusal::usage("agent: --silence is a number of seconds"))?;
            silence = Duration::from_secs(secs);
        } else {
            return Err(Refusal::usage(
                "agent is started by lanesync on another host and takes no arguments; a path is \
                 written ./agent",
            ));
        }
    }
    Ok(silence)
}

/// Relative paths are of where the login began, and the agent may be started elsewhere.
fn go_to(directory: &Path) -> Result<(), Refusal> {
    fs::process::go_to(directory).map_err(|error| {
        refused(Exit::FileIo, &format!("go to \"{}\": {error}", directory.display()))
    })
}

/// By what a program that was sent is known (BLAKE3, in hexadecimal).
pub(super) fn hash(program: &[u8]) -> String {
    blake3::hash(program).to_hex().to_string()
}

fn refused(exit: Exit, what: &str) -> Refusal {
    Refusal { exit, sentence: format!("agent: {what}") }
}

/// Begins a session on the standard streams, and does what it is told.
fn work(silence: Duration, umask: u32) -> Result<Exit, Refusal> {
    let mut setup = setup("the controller");
    setup.patience = setup.patience.with_silence(silence);
    let session = net::pipe::stdio().and_then(|lane| Session::accept(lane, setup));
    let session = session.map_err(|error| refused(Exit::Stream, &format!("begin: {error}")))?;
    let session = Arc::new(session);
    match session.hear() {
        Ok(Some(Told::Begin(Task::RunDestination, work))) => {
            widen(&session);
            Ok(run_destination(&session, &work, umask))
        }
        Ok(Some(Told::Begin(Task::ServeSource, service))) => {
            widen(&session);
            Ok(serve_source(&session, &service))
        }
        Ok(Some(Told::Begin(Task::BringImage, work))) => {
            widen(&session);
            Ok(bring_image(&session, &work, umask))
        }
        Ok(Some(Told::Begin(Task::ServeImage, service))) => {
            widen(&session);
            Ok(serve_image(&session, &service))
        }
        Ok(None) => Ok(Exit::Success),
        Ok(Some(_)) => Err(refused(Exit::Stream, "nothing was begun")),
        Err(over) => Err(refused(Exit::Stream, &over.to_string())),
    }
}

/// Further lanes are made as the controller asks for them. It knows by itself if there are none.
fn widen(session: &Session) {
    let whereabouts = Whereabouts::Connection(connection());
    session.widen(None, whereabouts, Box::new(|_| {})).ok();
}

/// What sshd(8) tells of the connection of the controller.
pub(super) fn connection() -> Option<OsString> {
    std::env::var_os("SSH_CONNECTION")
}

fn run_destination(session: &Arc<Session>, work: &[u8], umask: u32) -> Exit {
    let post: Arc<dyn Post> = Arc::new(Talk(Arc::clone(session)));
    let run = |mut work: Work, around: Around| {
        let around = surroundings(session, around, umask);
        look_up_owners(&mut work.job, &around);
        work.job.settings.write.state_dir = cli::state_dir(&cli::Process { umask });
        let (ending, summary) = match (look_up_paths(&mut work), session.greeted()) {
            (Ok(()), Ok(hello)) => {
                let asked = Asked::find(session, Task::ServeSource, &around);
                let source = asked.source(session, &hello, work.besides.source_directory);
                let (rules, source) = (Arc::new(work.rules), SourceAt::There(source));
                let done = bring_over(&work.job, &rules, &source, &around);
                asked.end(session, &around);
                done
            }
            (Err(refusal), _) => {
                tell(&around, &refusal.sentence);
                (Ending::Error(refusal.exit), Summary::default())
            }
            // Nobody is there to be told.
            (_, Err(_)) => (Ending::Error(Exit::Stream), Summary::default()),
        };
        Outcome { ending: ending.into(), summary }
    };
    // Whatever went wrong has been told, unless nobody is there.
    if errand::serve(&post, work, run).is_ok() { Exit::Success } else { Exit::Stream }
}

/// What a run has around it that ends with its session.
fn surroundings(session: &Arc<Session>, around: Around, umask: u32) -> Surroundings {
    let Around { sink, gauges, cancel } = around;
    end_with(session, &cancel);
    // A host that is shut down says so by a signal. Without a thread to hear it the run goes on.
    let stop = {
        let cancel = cancel.clone();
        move || cancel.cancel()
    };
    Watch::default().start(stop).ok();
    Surroundings { sink, gauges, cancel, rate: unlimited(), umask }
}

fn bring_image(session: &Arc<Session>, work: &[u8], umask: u32) -> Exit {
    let post: Arc<dyn Post> = Arc::new(Talk(Arc::clone(session)));
    let run = |mut job: BlocksJob, around: Around| {
        let around = surroundings(session, around, umask);
        let looked_up = look_up_image_paths(&mut job);
        job.settings.state_dir = cli::state_dir(&cli::Process { umask });
        let (ending, summary) = match (looked_up, session.greeted()) {
            (Ok(()), Ok(hello)) => {
                let asked = Asked::find(session, Task::ServeImage, &around);
                let source = asked.source(session, &hello, Box::default());
                let done = blocks::bring_over(&job, Some(&source), &around);
                asked.end(session, &around);
                done
            }
            (Err(refusal), _) => {
                tell(&around, &refusal.sentence);
                (Ending::Error(refusal.exit), None)
            }
            // Nobody is there to be told.
            (_, Err(_)) => (Ending::Error(Exit::Stream), None),
        };
        Outcome { ending: ending.into(), summary }
    };
    // Whatever went wrong has been told, unless nobody is there.
    if errand::serve(&post, work, run).is_ok() { Exit::Success } else { Exit::Stream }
}

fn look_up_image_paths(job: &mut BlocksJob) -> Result<(), Refusal> {
    for path in [Some(&mut job.target), job.settings.undo.as_mut()].into_iter().flatten() {
        let found = typed::expand_one(path.as_os_str().as_bytes())?;
        *path = OsStr::from_bytes(&found).into();
    }
    Ok(())
}

/// What was typed of this host becomes what it stands for.
fn look_up_paths(work: &mut Work) -> Result<(), Refusal> {
    if let Some(Destination { path }) = &mut work.job.destination {
        let found = typed::expand_one(path.as_os_str().as_bytes())?;
        *path = OsStr::from_bytes(&found).into();
    }
    if let Some(list) = &work.besides.list {
        let names = typed::names_of(&typed::read_list(list)?, list, Marked::Names)?;
        work.job.settings.traverse.files_from = Some(names);
    }
    Ok(())
}

/// Names behind the colon of `--usermap` and kin are of this host.
fn look_up_owners(job: &mut Job, around: &Surroundings) {
    let Ids { users, groups, .. } = &mut job.settings.preserve.ids;
    let users = users.look_up(fs::names::uid_of).into_iter().map(|name| ("--usermap", name));
    let groups = groups.look_up(fs::names::gid_of).into_iter().map(|name| ("--groupmap", name));
    for (option, name) in users.chain(groups) {
        let name = name.escape_ascii();
        let sentence = format!(
            "{option}: the name \"{name}\" is not known at the destination, so its rule is left out"
        );
        tell(around, &sentence);
    }
}

fn serve_source(session: &Arc<Session>, service: &[u8]) -> Exit {
    let Service { mut job, rules, list, asks } = match Service::from_bytes(service) {
        Ok(service) => service,
        Err(malformed) => {
            session.fail(FailureKind::Refused, &malformed.to_string());
            return Exit::Stream;
        }
    };
    end_when_over(session);
    let found = typed::find(&mut job, list.as_ref());
    if let (Ok(Found { list: Some(contents), .. }), Some(list)) = (&found, &list) {
        // Who asks reads the same, and tells what is wrong with it.
        job.settings.traverse.files_from =
            Some(typed::names_of(contents, list, Marked::Comments).unwrap_or_default());
    }
    let terms = match asks {
        Asks::Controller => Terms::for_all_below(&job, &rules),
        Asks::AnotherHost => Terms::for_job(&job, &rules),
        Asks::AnotherHostByItsList => Terms::for_far_list(&job, &rules),
    };
    let compression = job.settings.compression.as_ref();
    serve(session, found, compression, (Task::ServeSource, terms))
}

/// Serves the image that was typed, or says why there is none.
fn serve_image(session: &Arc<Session>, service: &[u8]) -> Exit {
    let ImageService { source, compression } = match ImageService::from_bytes(service) {
        Ok(service) => service,
        Err(malformed) => {
            session.fail(FailureKind::Refused, &malformed.to_string());
            return Exit::Stream;
        }
    };
    end_when_over(session);
    let found = typed::expand_one(&source);
    let image = found.as_deref().unwrap_or(&source);
    let skipped = compression.as_ref().map(|it| it.skipped.clone());
    let terms = Terms::for_image(Path::new(OsStr::from_bytes(image)), skipped);
    let found = found.map(|path| typed::found(vec![vec![path.into()]], None));
    serve(session, found, compression.as_ref(), (Task::ServeImage, terms))
}

/// Tells what was found, and serves it until the session is over.
fn serve(
    session: &Arc<Session>,
    found: Result<Found, Refusal>,
    compression: Option<&Compression>,
    (task, terms): (Task, Terms),
) -> Exit {
    let found =
        found.map_err(|Refusal { exit, sentence }| NotFound { kind: exit.into(), sentence });
    if Found::tell(&Talk(Arc::clone(session)), &found).is_err() {
        return Exit::Stream;
    }
    session.compress(compression.map(|it| it.method));
    // What is served is the session's business, until it is over. Before it is known how fast, nothing is.
    let mut terms = Some(terms);
    let pace = pace::Told::new();
    pace.add(session);
    loop {
        match session.hear() {
            Ok(Some(Told::Pace(rate))) => {
                pace.set(rate);
                if let Some(terms) = terms.take() {
                    session.serve(Arc::new(Server::new(terms.clone())));
                    let method = compression.map(|it| it.method);
                    direct::offer(
                        session,
                        task,
                        Offered { terms, method, pace: Arc::clone(&pace) },
                    );
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return Exit::Success,
            Err(_) => return Exit::Stream,
        }
    }
}

/// Ends the process when its session is over and its work, which is to stop then, does not end by itself.
fn end_with(session: &Arc<Session>, cancel: &Cancel) {
    let (session, cancel) = (Arc::clone(session), cancel.clone());
    guard(move || {
        while cancel.sleep(Duration::MAX).is_ok() {}
        // What is still to come may be on its way from a host that does not answer.
        session.ask_no_more();
        end_after(&session);
    });
}

/// The same where nothing stops the work, as looking up what was typed.
fn end_when_over(session: &Arc<Session>) {
    let session = Arc::clone(session);
    guard(move || end_after(&session));
}

/// Without a thread to give, the system has other troubles than this process.
fn guard(watch: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name("guard".to_owned()).spawn(watch).ok();
}

/// Work may hang for ever, as where a file server is gone, or nobody writes to a pipe.
fn end_after(session: &Session) {
    while session.over().is_none() {
        thread::sleep(TO_END_ALONE / 16);
    }
    thread::sleep(TO_END_ALONE);
    #[expect(clippy::exit, reason = "no destructor of a thread that hangs would run")]
    std::process::exit(Exit::Stream.code().into());
}
