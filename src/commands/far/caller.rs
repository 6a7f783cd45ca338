//! Starts agents on other hosts, and a session with each.

use std::sync::{Arc, Mutex};

use net::further::Whereabouts;
use net::shell::Process;
use net::{Agent, BootstrapError, Program, Session, Target};
use wire::{Hello, Patience};

use super::{Far, RELAYED_AT_ONCE, exit_of_shell, refused};
use crate::cli::{FarSide, Refusal, Remote};
use crate::commands::agent::hash;
use crate::commands::stops::Stops;
use crate::commands::talk::setup;
use crate::exit_code::Exit;

/// Who starts agents.
pub(super) struct Caller<'a> {
    pub(super) remote: &'a Remote,
    pub(super) stops: &'a Arc<Stops>,
    pub(super) begun: &'a dyn Fn(&Process),
}

impl Caller<'_> {
    /// Starts an agent, which is told what the host is that its requests go to if that is another, and how
    /// much that takes.
    pub(super) fn start(
        &self,
        host: &Target,
        side: FarSide,
        served: Option<&Hello>,
    ) -> Result<Far, Refusal> {
        let Remote { shell, lanes, .. } = self.remote;
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
            stops: Arc::clone(self.stops),
            host: host.shown(),
            silence: self.remote.patience,
            direct: Mutex::default(),
            source_directory: Box::default(),
            source: None,
        })
    }
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
