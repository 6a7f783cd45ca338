//! Requests of this side.

use wire::{
    Answer, Ask, AskError, FaultKind, Handle, HandleKind, IoFault, Request, RequestId, StartError,
};

use super::state::{Part, Shared, State};

impl Ask for Shared {
    fn start(&self, request: Request) -> Result<RequestId, AskError> {
        let mut request = Some(request);
        self.wait_until(|state, me| {
            state.starters.forget(me);
            if let Some(refusal) = state.refusal() {
                return Some(Err(refusal));
            }
            let State { requester, starters, .. } = state;
            let requester = requester.as_mut();
            match requester.as_ref().zip(request.as_ref()).map(|(it, request)| it.check(request)) {
                // Until the other side says what it takes there is no room.
                None | Some(Err(StartError::Full)) => {
                    starters.room.push_back(me.clone());
                    None
                }
                Some(Err(StartError::TooManyHandles))
                    if requester.as_ref().is_some_and(|it| it.is_closing_handles()) =>
                {
                    let opens = request.as_ref().and_then(Request::opens);
                    let starters = match opens {
                        Some(HandleKind::Signature) => &mut starters.signatures,
                        _ => &mut starters.handles,
                    };
                    starters.push_back(me.clone());
                    None
                }
                Some(checked) => {
                    let started = checked.and_then(|()| {
                        let asked = requester.zip(request.take());
                        asked.map_or(Err(StartError::Full), |(it, request)| it.start(request))
                    });
                    Some(started.map_err(AskError::Start))
                }
            }
        })
    }

    fn wait(&self, id: RequestId) -> Result<Answer, AskError> {
        self.wait_until(|state, me| {
            let outcome = state.requester.as_mut().and_then(|it| it.take_answer(id));
            if let Some(outcome) = outcome {
                return Some(wire::settled(outcome));
            }
            if let Some(refusal) = state.refusal() {
                return Some(Err(refusal));
            }
            let waiter = state.waiters.get(&id);
            let is_anothers = waiter.is_some_and(|waiter| waiter.id() != me.id());
            if is_anothers || !state.requester.as_ref().is_some_and(|it| it.is_asked(id)) {
                let text = "the answer was taken, or is waited for, by somebody else";
                return Some(Err(IoFault::new(FaultKind::Other, text).into()));
            }
            state.waiters.insert(id, me.clone());
            None
        })
    }

    fn abandon(&self, id: RequestId) {
        self.change(|state| {
            if let Some(requester) = &mut state.requester {
                requester.cancel(id);
            }
        });
    }

    fn close(&self, handle: Handle) {
        self.change(|state| {
            if let Some(requester) = &mut state.requester {
                requester.close(handle);
            }
        });
    }
}

impl State {
    /// Why nothing can be asked any more.
    fn refusal(&self) -> Option<AskError> {
        if let Some(over) = &self.over {
            return Some(AskError::Over(over.to_string().into()));
        }
        if self.asks_no_more {
            return Some(AskError::Over("the run was stopped".into()));
        }
        let text = "this side of the session answers, and does not ask";
        (self.part() == Some(Part::Responder)).then(|| AskError::Over(text.into()))
    }
}
