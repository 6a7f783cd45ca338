//! The handles of a requester: what they were opened by, who uses them, and when they can be closed.

use std::collections::{BTreeSet, HashMap};

use crate::frame::RequestId;
use crate::lane::LaneNumber;
use crate::request::{Handle, HandleKind, Request};

#[derive(Debug, Default)]
pub(super) struct Handles {
    states: HashMap<Handle, State>,
    /// Those that nobody uses any more.
    closable: BTreeSet<Handle>,
    /// How many are to be closed, or are being closed.
    closing: usize,
    /// How many are signatures.
    signatures: usize,
}

#[derive(Debug)]
struct State {
    kind: HandleKind,
    stage: Stage,
    /// Requests that name it and are not answered.
    users: u32,
    is_closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The request to open it waits, or is out on a lane.
    Asked(Option<LaneNumber>),
    Open,
    Failed,
}

impl Handles {
    /// Handles that the responder may hold.
    pub(super) fn count(&self) -> usize {
        self.states.len()
    }

    pub(super) fn can_use(&self, handle: Handle) -> bool {
        let state = self.states.get(&handle);
        state.is_some_and(|state| !state.is_closing && state.stage != Stage::Failed)
    }

    /// Whether it is known to be open.
    pub(super) fn is_open(&self, handle: Handle) -> bool {
        let state = self.states.get(&handle);
        state.is_some_and(|state| !state.is_closing && state.stage == Stage::Open)
    }

    /// A request is asked.
    pub(super) fn asked(&mut self, id: RequestId, request: &Request) {
        if let Some(kind) = request.opens() {
            let state = State { kind, stage: Stage::Asked(None), users: 0, is_closing: false };
            self.states.insert(Handle(id), state);
            self.signatures += usize::from(kind == HandleKind::Signature);
        }
        for handle in request.handles() {
            if let Some(state) = self.states.get_mut(&handle) {
                state.users += 1;
            }
        }
    }

    /// The lane to which requests are bound that name a handle which is not known to be open: there
    /// they come behind the request that opens it.
    pub(super) fn lane(&self, handle: Handle) -> Option<LaneNumber> {
        match self.states.get(&handle)?.stage {
            Stage::Asked(lane) => lane,
            Stage::Open | Stage::Failed => None,
        }
    }

    /// A request is out, perhaps not for the first time.
    pub(super) fn sent(&mut self, id: RequestId, lane: LaneNumber) {
        if let Some(state) = self.states.get_mut(&Handle(id)) {
            state.stage = Stage::Asked(Some(lane));
        }
    }

    /// A request is answered or given up.
    pub(super) fn answered(&mut self, id: RequestId, request: &Request, is_open: bool) {
        if request.opens().is_some() {
            if let Some(state) = self.states.get_mut(&Handle(id)) {
                state.stage = if is_open { Stage::Open } else { Stage::Failed };
            }
            self.review(Handle(id));
        }
        for handle in request.handles() {
            if let Some(state) = self.states.get_mut(&handle) {
                state.users -= 1;
            }
            self.review(handle);
        }
        if let Request::Close { handles } = request {
            for handle in handles.as_slice() {
                self.remove(*handle);
            }
        }
    }

    pub(super) fn close(&mut self, handle: Handle) {
        if let Some(state) = self.states.get_mut(&handle)
            && !state.is_closing
        {
            state.is_closing = true;
            self.closing += 1;
        }
        self.review(handle);
    }

    fn remove(&mut self, handle: Handle) {
        let Some(state) = self.states.remove(&handle) else { return };
        self.closing -= usize::from(state.is_closing);
        self.signatures -= usize::from(state.kind == HandleKind::Signature);
    }

    pub(super) fn signatures(&self) -> usize {
        self.signatures
    }

    /// Whether some will be free without anybody's doing.
    pub(super) fn is_closing(&self) -> bool {
        self.closing > 0
    }

    /// Whether a handle has come to its end.
    fn review(&mut self, handle: Handle) {
        let Some(state) = self.states.get(&handle).filter(|state| state.users == 0) else { return };
        match state.stage {
            Stage::Failed => self.remove(handle),
            Stage::Open if state.is_closing => {
                self.closable.insert(handle);
            }
            Stage::Open | Stage::Asked(_) => {}
        }
    }

    pub(super) fn has_closable(&self) -> bool {
        !self.closable.is_empty()
    }

    /// Up to `limit` handles that are to be closed, if there are any.
    pub(super) fn take_closable(&mut self, limit: usize) -> Option<Vec<Handle>> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(handle) = self.closable.pop_first() else { break };
            taken.push(handle);
        }
        (!taken.is_empty()).then_some(taken)
    }
}
