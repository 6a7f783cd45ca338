//! The seams between a session, which has lanes, and those who ask and answer through it.

use crate::answer::{Answer, Outcome};
use crate::frame::RequestId;
use crate::io_fault::IoFault;
use crate::request::{Handle, Request};
use crate::requester::StartError;
use crate::responder::{Delivery, End, RespondError, Ticket};
use crate::response::Piece;

/// Why there is no answer to what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The other side could not do it.
    #[error(transparent)]
    Fault(#[from] IoFault),
    /// It cannot be asked.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The session is over, for this reason, and answers nothing more.
    #[error("{0}")]
    Over(Box<str>),
}

/// Where requests are asked, by as many threads as like to.
pub trait Ask: Send + Sync {
    /// Asks, and does not wait for the answer; waits for room to ask. Each number that comes back is
    /// given to [`wait`](Self::wait) or [`abandon`](Self::abandon) once, in any order.
    ///
    /// Where the responder holds as many handles as it can, this waits for those that are being
    /// closed, and fails with [`StartError::TooManyHandles`] if there are none: close some, then.
    fn start(&self, request: Request) -> Result<RequestId, AskError>;

    /// Waits for an answer.
    fn wait(&self, id: RequestId) -> Result<Answer, AskError>;

    /// The answer is not wanted any more; what it opens is closed.
    fn abandon(&self, id: RequestId);

    /// Closes what is open, once nothing that was asked of it is under way.
    fn close(&self, handle: Handle);

    /// Asks and waits.
    fn ask(&self, request: Request) -> Result<Answer, AskError> {
        self.start(request).and_then(|id| self.wait(id))
    }
}

/// What a request came to, for who waits for it.
pub fn settled(outcome: Outcome) -> Result<Answer, AskError> {
    outcome.map_err(AskError::Fault)
}

/// Where the pieces of one response go.
pub trait Respond {
    /// Hands in the next piece; waits while much is queued.
    fn respond(&mut self, piece: Piece, end: End) -> Result<Delivery, RespondError>;

    /// What follows is known to be compressed already.
    fn leave_as_is(&mut self) {}
}

/// Runs requests, on as many threads as call it.
pub trait Serve: Send + Sync {
    /// Runs a request, whose handle is open, and hands in all of its response.
    ///
    /// What the request opens, or gives to be kept, is kept before the piece that says so is handed
    /// in: from then on it may be used, and be dropped. If that piece is stale, it goes again.
    fn run(&self, ticket: Ticket, request: Request, respond: &mut dyn Respond);

    /// Nobody waits for a response any more: it is to come to its end. The request may not have been
    /// begun, or be over.
    fn cancel(&self, ticket: Ticket);

    /// Drops what a handle stands for. Whoever takes up work does this before it takes up more: the
    /// same handle may be opened anew.
    fn drop_handle(&self, handle: Handle);
}
