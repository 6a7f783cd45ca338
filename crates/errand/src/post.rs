//! The seam between the two halves and a session, which has lanes and credit.

use wire::{EventBytes, Failure, OutcomeBytes, ProgressBytes, Told};

/// The session is over, for this reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Over(pub Box<str>);

/// One end of the talk between controller and agent. May be used by several threads at once.
///
/// Nothing in here waits for longer than the session lives.
pub trait Post: Send + Sync {
    /// Waits for what the other side tells next. What was told before the session ended comes before
    /// the end of it.
    fn told(&self) -> Result<Told, Over>;

    /// As controller: asks the agent to stop. It still tells how it ended.
    fn cancel(&self);

    /// As agent: tells what happened; waits until the controller has room for it.
    fn event(&self, event: EventBytes) -> Result<(), Over>;

    /// As agent: tells how far it is. Only the newest counts, and none is waited for.
    fn progress(&self, progress: ProgressBytes);

    /// As agent: tells how the work ended. Nothing is told after it.
    fn ended(&self, outcome: OutcomeBytes) -> Result<(), Over>;

    /// Ends the session when all is told; comes back when the other side has taken it, or is gone.
    fn bye(&self);

    /// Tells why this side ends the session.
    fn fail(&self, failure: Failure);
}
