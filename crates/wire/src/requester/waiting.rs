//! Requests that are not sent.

use std::collections::BTreeSet;

use crate::frame::RequestId;

/// The smallest number goes first, so what is asked again goes before the rest. Content that no lane has
/// room for does not hold up what is told of entries.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    content: BTreeSet<RequestId>,
    rest: BTreeSet<RequestId>,
}

impl Waiting {
    pub(super) fn insert(&mut self, id: RequestId, is_content: bool) {
        if is_content { &mut self.content } else { &mut self.rest }.insert(id);
    }

    pub(super) fn remove(&mut self, id: RequestId) {
        let _is_content = self.content.remove(&id) || self.rest.remove(&id);
    }

    pub(super) fn contains(&self, id: RequestId) -> bool {
        self.content.contains(&id) || self.rest.contains(&id)
    }

    pub(super) fn first(&self) -> Option<RequestId> {
        let heads = [self.content.first(), self.rest.first()];
        heads.into_iter().flatten().min().copied()
    }

    /// The first one that is not for content.
    pub(super) fn first_of_rest(&self) -> Option<RequestId> {
        self.rest.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.content.len() + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.content.is_empty() && self.rest.is_empty()
    }
}
