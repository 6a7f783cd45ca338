//! Brings events into rsync's order, whatever the workers did first.
//!
//! rsync speaks of a tree depth first: a directory, its files sorted, then its sub-directories
//! sorted. Workers finish in any order, so each piece of work writes into a *segment* of its own;
//! segments hang in a tree in the order of speech, and an event is handed on when everything that
//! comes before it is closed. The scheduler runs work in nearly that order, so that little waits
//! here. When nobody listens to items the log holds nothing at all.

use std::collections::VecDeque;

use model::{Event, Sink};
use parking_lot::Mutex;

/// Handle of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentId(u32);

enum Piece {
    Event(Event),
    Child(SegmentId),
}

#[derive(Default)]
struct Segment {
    parent: Option<SegmentId>,
    pieces: VecDeque<Piece>,
    closed: bool,
    /// Everything before this segment has been handed on: its events need not wait.
    is_front: bool,
}

#[derive(Default)]
struct Segments {
    slots: Vec<Segment>,
    free: Vec<SegmentId>,
}

/// Orders events. Shared by all workers.
pub(crate) struct OrderedLog {
    segments: Option<Mutex<Segments>>,
}

impl OrderedLog {
    /// The root of the tree of segments.
    pub(crate) const ROOT: SegmentId = SegmentId(0);

    /// A log that orders items, or one that only passes messages on.
    pub(crate) fn new(orders_items: bool) -> Self {
        let root = Segment { is_front: true, ..Segment::default() };
        let segments = Segments { slots: vec![root], free: Vec::new() };
        Self { segments: orders_items.then(|| Mutex::new(segments)) }
    }

    /// Opens a segment that comes after all that `parent` holds so far.
    pub(crate) fn open(&self, parent: SegmentId) -> SegmentId {
        let Some(segments) = &self.segments else { return parent };
        segments.lock().open(parent)
    }

    /// Adds an event to the end of a segment.
    pub(crate) fn push(&self, segment: SegmentId, event: Event, sink: &dyn Sink) {
        let Some(segments) = &self.segments else { return sink.accept(event) };
        let mut segments = segments.lock();
        let slot = &mut segments.slots[segment.0 as usize];
        if slot.is_front && slot.pieces.is_empty() {
            sink.accept(event);
        } else {
            slot.pieces.push_back(Piece::Event(event));
        }
    }

    /// Says that nothing more comes into a segment.
    pub(crate) fn close(&self, segment: SegmentId, sink: &dyn Sink) {
        let Some(segments) = &self.segments else { return };
        segments.lock().close(segment, sink);
    }
}

impl Segments {
    fn open(&mut self, parent: SegmentId) -> SegmentId {
        let parent_slot = &self.slots[parent.0 as usize];
        let is_front = parent_slot.is_front && parent_slot.pieces.is_empty();
        let segment = Segment { parent: Some(parent), is_front, ..Segment::default() };
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.0 as usize] = segment;
            id
        } else {
            self.slots.push(segment);
            SegmentId(u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 open segments"))
        };
        self.slots[parent.0 as usize].pieces.push_back(Piece::Child(id));
        id
    }

    fn close(&mut self, segment: SegmentId, sink: &dyn Sink) {
        let slot = &mut self.slots[segment.0 as usize];
        slot.closed = true;
        if slot.is_front {
            self.hand_on(segment, sink);
        }
    }

    /// Hands on everything that need not wait any more, beginning at the front segment `at`.
    fn hand_on(&mut self, mut at: SegmentId, sink: &dyn Sink) {
        loop {
            let slot = &mut self.slots[at.0 as usize];
            slot.is_front = true;
            match slot.pieces.front() {
                Some(Piece::Event(_)) => {
                    if let Some(Piece::Event(event)) = slot.pieces.pop_front() {
                        sink.accept(event);
                    }
                }
                Some(Piece::Child(child)) => at = *child,
                None if !slot.closed => return,
                None => {
                    let Some(parent) = slot.parent else { return };
                    self.slots[at.0 as usize] = Segment::default();
                    self.free.push(at);
                    self.slots[parent.0 as usize].pieces.pop_front();
                    at = parent;
                }
            }
        }
    }
}

/// Compares two entries of one directory as rsync sorts them: directories after everything else,
/// and compared as if their names ended in a slash.
pub(crate) fn compare_names(
    (left, left_is_directory): (&[u8], bool),
    (right, right_is_directory): (&[u8], bool),
) -> std::cmp::Ordering {
    left_is_directory.cmp(&right_is_directory).then_with(|| {
        if left_is_directory {
            let left = left.iter().chain(b"/");
            left.cmp(right.iter().chain(b"/"))
        } else {
            left.cmp(right)
        }
    })
}

/// Compares two entries that are not directories by their whole paths, in the order of speech.
pub(crate) fn compare_paths(left: &[u8], right: &[u8]) -> std::cmp::Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (left_name, left_rest) = split_component(left);
        let (right_name, right_rest) = split_component(right);
        let ordering =
            compare_names((left_name, left_rest.is_some()), (right_name, right_rest.is_some()));
        match (ordering, left_rest, right_rest) {
            (std::cmp::Ordering::Equal, Some(left_rest), Some(right_rest)) => {
                (left, right) = (left_rest, right_rest);
            }
            _ => return ordering,
        }
    }
}

fn split_component(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'/', path) {
        Some(at) => (&path[..at], Some(&path[at + 1..])),
        None => (path, None),
    }
}

#[cfg(test)]
mod tests;
