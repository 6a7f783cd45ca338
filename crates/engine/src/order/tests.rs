//! What `order` promises, held to it.

use std::cmp::Ordering;
use std::sync::Arc;

use model::{Event, Message, Sink, Topic};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{Name, OrderedLog, Piece, Segment, SegmentId, compare_paths};

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Sink for Heard {
    fn accept(&self, event: Event) {
        if let Event::Message(message) = event {
            self.0.lock().push(String::from_utf8(message.text.into()).unwrap());
        }
    }
}

fn log() -> (OrderedLog, Arc<Heard>) {
    let heard = Arc::<Heard>::default();
    (OrderedLog::new(true, heard.clone()), heard)
}

fn say(text: &str) -> Event {
    Event::Message(Message { topic: Topic::Notice, text: text.as_bytes().into() })
}

#[test]
fn later_segments_wait_for_earlier_ones() {
    let (log, heard) = log();
    let first = log.open(OrderedLog::ROOT);
    let second = log.open(OrderedLog::ROOT);
    log.push(second, say("2"));
    log.close(second);
    assert!(heard.0.lock().is_empty());
    log.push(first, say("1"));
    assert_eq!(*heard.0.lock(), ["1"]);
    log.close(first);
    assert_eq!(*heard.0.lock(), ["1", "2"]);
}

#[test]
fn directories_come_last_and_sort_with_their_slash() {
    let file = |name: &'static str| Name { bytes: name.as_bytes(), is_directory: false };
    let directory = |name| Name { is_directory: true, ..file(name) };
    assert!(file("z") < directory("a"));
    assert!(directory("foo") > directory("foo-bar"));
    assert!(file("foo") < file("foo-bar"));
    assert_eq!(compare_paths(b"a/z", b"b"), Ordering::Greater);
    assert_eq!(compare_paths(b"a/b/c", b"a/b/d"), Ordering::Less);
    assert_eq!(compare_paths(b"a/z", b"a/b/a"), Ordering::Less);
}

#[test]
fn what_waits_is_small() {
    assert_eq!((size_of::<Segment>(), size_of::<Piece>()), (16, 16));
}

proptest! {
    #[test]
    fn any_order_of_work_gives_the_order_of_speech(
        parents in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        order in prop::collection::vec(any::<prop::sample::Index>(), 20),
    ) {
        let (log, heard) = log();
        let mut segments = vec![OrderedLog::ROOT];
        let mut children: Vec<Vec<usize>> = vec![vec![]];
        for parent in &parents {
            let parent = parent.index(segments.len());
            children[parent].push(segments.len());
            children.push(vec![]);
            segments.push(log.open(segments[parent]));
        }
        let mut expected = Vec::new();
        speak(&children, 0, &mut expected);
        let mut waiting: Vec<(usize, SegmentId)> = segments.into_iter().enumerate().collect();
        let mut next = order.iter().cycle();
        while !waiting.is_empty() {
            let at = next.next().unwrap().index(waiting.len());
            let (number, segment) = waiting.swap_remove(at);
            log.push(segment, say(&number.to_string()));
            log.close(segment);
        }
        prop_assert_eq!(heard.0.lock().clone(), expected);
    }
}

/// Each segment's own event comes after its children's, which were opened before it spoke.
fn speak(children: &[Vec<usize>], at: usize, spoken: &mut Vec<String>) {
    for &child in &children[at] {
        speak(children, child, spoken);
    }
    spoken.push(at.to_string());
}
