//! A mover of trees that are none: what a test may give a coordinator.

use std::sync::{Arc, Mutex};

use fleet::amount::Amount;
use fleet::line::Span;
use sched::Cancel;

use crate::lines::{self, ListLine};
use crate::mover::conformance::{Bench, Tree, promises};
use crate::mover::{End, EntryVerdict, Fate, Hear, Mover, Outcome, Try, Unfit, Work};

/// Both ends.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    ends: Arc<Mutex<(Tree, Tree)>>,
}

impl Mover for Memory {
    fn prepare(&self, _: &Cancel) -> Result<(), Unfit> {
        Ok(())
    }

    fn run(&self, attempt: &Try<'_>, hear: &dyn Hear, cancel: &Cancel) -> Outcome {
        let moved = Amount::default();
        let mut outcome =
            Outcome { end: End::Stopped, moved, failed: Vec::new(), deleted: 0, code: None };
        if cancel.is_cancelled() {
            return outcome;
        }
        hear.is_up();
        let (source, there) = &mut *self.ends.lock().unwrap();
        outcome.end = End::Done;
        outcome.code = Some(0);
        match attempt.work {
            Work::Bucket { lines, amount, .. } => {
                for line in lines::read(lines) {
                    let ListLine { span, path, .. } = line.unwrap();
                    match span {
                        Span::Alone => {}
                        Span::Entry | Span::Bare => bring(source, there, path, hear, &mut outcome),
                        Span::Whole => {
                            let below = [path, b"/"].concat();
                            let is_meant =
                                |it: &[u8]| path.is_empty() || it == path || it.starts_with(&below);
                            let meant: Vec<_> =
                                source.keys().filter(|it| is_meant(it)).cloned().collect();
                            for path in meant {
                                bring(source, there, &path, hear, &mut outcome);
                            }
                        }
                    }
                }
                if outcome.end == End::Done {
                    hear.progress(amount);
                }
            }
            Work::Directories { .. } => {}
            Work::Delete => there.retain(|path, _| {
                let stays = source.contains_key(path);
                if !stays {
                    outcome.deleted += 1;
                    hear.entry(&EntryVerdict { path, fate: Fate::Deleted });
                }
                stays
            }),
        }
        outcome
    }

    fn shown(&self, _: &Try<'_>) -> String {
        "memory".to_owned()
    }
}

fn bring(source: &Tree, there: &mut Tree, path: &[u8], hear: &dyn Hear, outcome: &mut Outcome) {
    if path.is_empty() {
        return;
    }
    let Some(content) = source.get(path) else {
        hear.entry(&EntryVerdict { path, fate: Fate::Vanished });
        outcome.end = End::Vanished;
        return;
    };
    put_above(there, path);
    if there.get(path) != Some(content) {
        there.insert(path.to_vec(), content.clone());
        let bytes = content.as_ref().map_or(0, Vec::len) as u64;
        outcome.moved += Amount::of_one(bytes);
        hear.entry(&EntryVerdict { path, fate: Fate::Moved { item: b">f", bytes } });
    }
}

/// Puts the directories above a path.
fn put_above(tree: &mut Tree, path: &[u8]) {
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        tree.insert(path[..at].to_vec(), None);
    }
}

impl Bench for Memory {
    fn put(&self, path: &[u8], content: Option<&[u8]>) {
        let (source, _) = &mut *self.ends.lock().unwrap();
        put_above(source, path);
        source.insert(path.to_vec(), content.map(<[u8]>::to_vec));
    }

    fn remove(&self, path: &[u8]) {
        self.ends.lock().unwrap().0.remove(path);
    }

    fn put_there(&self, path: &[u8], content: &[u8]) {
        let (_, there) = &mut *self.ends.lock().unwrap();
        put_above(there, path);
        there.insert(path.to_vec(), Some(content.to_vec()));
    }

    fn there(&self) -> Tree {
        self.ends.lock().unwrap().1.clone()
    }

    fn mover(&self) -> Box<dyn Mover> {
        Box::new(self.clone())
    }
}

promises!(memory, Memory::default());
