//! Brings events into rsync's order, whatever the workers did first.
//!
//! rsync speaks of a tree depth first: a directory, its files sorted, then its sub-directories
//! sorted. Workers finish in any order, so each piece of work writes into a *segment* of its own;
//! segments hang in a tree in the order of speech, and an event is handed on when everything that
//! comes before it is closed. The scheduler runs work in nearly that order, so that little waits
//! here. When nobody listens to items the log holds nothing at all.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use model::{Event, Item, RelPath, Sink};
use parking_lot::Mutex;

/// Handle of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentId(u32);

/// What is to be handed on. Kept small: with `-H` a tree may wait here for its last file.
enum Piece {
    Item(Box<Item>),
    Other(Box<Event>),
    Child(SegmentId),
}

impl Piece {
    fn new(event: Event) -> Self {
        match event {
            Event::Item(item) => Self::Item(item),
            other => Self::Other(Box::new(other)),
        }
    }
}

/// Pieces in order; without any, no more than a pointer.
#[derive(Default)]
#[expect(clippy::box_collection, reason = "most segments are empty, and there may be many")]
struct Pieces(Option<Box<VecDeque<Piece>>>);

impl Pieces {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn push(&mut self, piece: Piece) {
        let pieces = self.0.get_or_insert_with(|| Box::new(VecDeque::with_capacity(1)));
        pieces.push_back(piece);
    }

    /// The child that comes next, or takes the event that does.
    fn next(&mut self) -> Option<Next> {
        let pieces = self.0.as_mut()?;
        if let Some(Piece::Child(child)) = pieces.front() {
            return Some(Next::Child(*child));
        }
        let first = pieces.pop_front();
        if pieces.is_empty() {
            self.0 = None;
        }
        match first? {
            Piece::Item(item) => Some(Next::Event(Event::Item(item))),
            Piece::Other(event) => Some(Next::Event(*event)),
            Piece::Child(child) => Some(Next::Child(child)),
        }
    }

    /// Drops the child that came next.
    fn drop_first(&mut self) {
        if let Some(pieces) = &mut self.0 {
            pieces.pop_front();
            if pieces.is_empty() {
                self.0 = None;
            }
        }
    }
}

enum Next {
    Event(Event),
    Child(SegmentId),
}

struct Segment {
    /// The root is its own parent.
    parent: SegmentId,
    closed: bool,
    /// Everything before this segment has been handed on: its events need not wait.
    is_front: bool,
    pieces: Pieces,
}

impl Segment {
    fn new(parent: SegmentId, is_front: bool) -> Self {
        Self { parent, closed: false, is_front, pieces: Pieces::default() }
    }
}

#[derive(Default)]
struct Segments {
    slots: Vec<Segment>,
    free: Vec<SegmentId>,
}

/// Orders events. Shared by all workers.
pub(crate) struct OrderedLog {
    /// Who hears them in the end.
    sink: Arc<dyn Sink>,
    segments: Option<Mutex<Segments>>,
}

impl OrderedLog {
    /// The root of the tree of segments.
    pub(crate) const ROOT: SegmentId = SegmentId(0);

    /// A log that orders items, or one that only passes messages on.
    pub(crate) fn new(orders_items: bool, sink: Arc<dyn Sink>) -> Self {
        let root = Segment::new(Self::ROOT, true);
        let segments = Segments { slots: vec![root], free: Vec::new() };
        Self { sink, segments: orders_items.then(|| Mutex::new(segments)) }
    }

    /// Opens a segment that comes after all that `parent` holds so far.
    pub(crate) fn open(&self, parent: SegmentId) -> SegmentId {
        let Some(segments) = &self.segments else { return parent };
        segments.lock().open(parent)
    }

    /// Adds an event to the end of a segment.
    pub(crate) fn push(&self, segment: SegmentId, event: Event) {
        let Some(segments) = &self.segments else { return self.sink.accept(event) };
        let mut segments = segments.lock();
        let slot = &mut segments.slots[segment.0 as usize];
        if slot.is_front && slot.pieces.is_empty() {
            self.sink.accept(event);
        } else {
            slot.pieces.push(Piece::new(event));
        }
    }

    /// Says that nothing more comes into a segment.
    pub(crate) fn close(&self, segment: SegmentId) {
        let Some(segments) = &self.segments else { return };
        segments.lock().close(segment, &*self.sink);
    }

    /// Who hears them in the end.
    pub(crate) fn sink(&self) -> &Arc<dyn Sink> {
        &self.sink
    }

    /// Hands on what waits for nothing.
    pub(crate) fn tell_at_once(&self, event: Event) {
        self.sink.accept(event);
    }
}

impl Segments {
    fn open(&mut self, parent: SegmentId) -> SegmentId {
        let parent_slot = &self.slots[parent.0 as usize];
        let is_front = parent_slot.is_front && parent_slot.pieces.is_empty();
        let segment = Segment::new(parent, is_front);
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.0 as usize] = segment;
            id
        } else {
            self.slots.push(segment);
            SegmentId(u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 open segments"))
        };
        self.slots[parent.0 as usize].pieces.push(Piece::Child(id));
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
            match slot.pieces.next() {
                Some(Next::Event(event)) => sink.accept(event),
                Some(Next::Child(child)) => at = child,
                None if !slot.closed || at == OrderedLog::ROOT => return,
                None => {
                    let parent = slot.parent;
                    self.free.push(at);
                    self.slots[parent.0 as usize].pieces.drop_first();
                    at = parent;
                }
            }
        }
    }
}

/// A name in one directory, which sorts as in rsync: directories after everything else, and compared
/// as if their names ended in a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) is_directory: bool,
}

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.is_directory.cmp(&other.is_directory).then_with(|| {
            if self.is_directory {
                self.bytes.iter().chain(b"/").cmp(other.bytes.iter().chain(b"/"))
            } else {
                self.bytes.cmp(other.bytes)
            }
        })
    }
}

impl PartialOrd for Name<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares two entries that are not directories by their whole paths, in the order of speech.
pub(crate) fn compare_paths(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (left_name, left_rest) = split_component(left);
        let (right_name, right_rest) = split_component(right);
        match (left_name.cmp(&right_name), left_rest, right_rest) {
            (Ordering::Equal, Some(left_rest), Some(right_rest)) => {
                (left, right) = (left_rest, right_rest);
            }
            (ordering, ..) => return ordering,
        }
    }
}

/// Where an entry that is no directory stands in the order of speech.
#[derive(PartialEq, Eq)]
pub(crate) struct Place(RelPath);

impl Place {
    pub(crate) fn new(dir: &RelPath, name: &[u8]) -> Self {
        Self(dir.child(name))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_paths(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The first name of a path, and what lies below it.
fn split_component(path: &[u8]) -> (Name<'_>, Option<&[u8]>) {
    match memchr::memchr(b'/', path) {
        Some(at) => (Name { bytes: &path[..at], is_directory: true }, Some(&path[at + 1..])),
        None => (Name { bytes: path, is_directory: false }, None),
    }
}

#[cfg(test)]
mod tests;
