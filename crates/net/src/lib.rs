//! Lanes to another host, how an agent is started there, and the session with it.
//!
//! A lane moves bytes and knows no messages; those are made by `wire`, whose machines a session runs
//! over lanes. What is told about the other host comes from the user's command line; what the other
//! host says is not trusted: each line and each wait has an end.

/// An ordered byte pipe to a peer.
pub mod lane;

/// Pipes that can be hung up.
pub mod pipe;

/// Both ends of a lane within one process, for tests.
pub mod memory;

/// Who and where: `user@host` as rsync's users write it.
pub mod target;

/// The remote shell: ssh, or what stands in for it.
pub mod shell;

/// An agent started through the remote shell, sent there first if need be.
pub mod bootstrap;

/// Lanes beside the first: TCP with TLS, and QUIC.
pub mod further;

/// Two agents that meet.
pub mod direct;

/// How fast bytes go out.
pub mod pace;

/// What two processes have to do with each other, over all their lanes.
pub mod session;

/// Requests of one session, asked in another.
pub mod relay;

pub use bootstrap::{Agent, BootstrapError, Program};
pub use lane::{Lane, LaneKind};
pub use pace::Pace;
pub use relay::Relay;
pub use session::{Over, Session, Setup, TellError, Traffic};
pub use shell::{RemoteShell, ShellError};
pub use target::{Target, TargetError};
