//! The way through all parts, as somebody who cuts a tree goes it.

use std::collections::BTreeMap;
use std::thread;

use model::{Fault, Kind};
use parking_lot::{Condvar, Mutex};

use super::assert_sound;
use crate::amount::Amount;
use crate::lister::{Below, Found, Links, Lister, TellError};

/// Which of the parts that are known is asked for next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// The one that was told last.
    Newest,
    /// The one that was told first.
    Oldest,
    /// Any, by this seed.
    Any(u64),
}

/// What was told of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) kind: Kind,
    pub(super) bytes: u64,
    pub(super) links: Option<Links>,
    /// What lies below it, itself included, where that was told.
    pub(super) known: Option<Amount>,
}

/// What came of a walk.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) told: BTreeMap<Vec<u8>, Told>,
    pub(super) faults: Vec<Fault>,
}

/// A walk through all that a lister tells.
pub(super) struct Walk<'a, L: Lister> {
    lister: &'a L,
    open: Mutex<Open<L::Part>>,
    changed: Condvar,
}

struct Open<P> {
    order: Order,
    /// Parts, and the directories that they are of.
    parts: Vec<(P, Vec<u8>)>,
    /// How many are being told.
    busy: usize,
    /// One that was told panicked: nobody waits for it.
    is_broken: bool,
    asked: u64,
    ended: Ended,
}

impl<P> Open<P> {
    fn next(&mut self) -> Option<(P, Vec<u8>)> {
        let count = self.parts.len();
        if count == 0 {
            return None;
        }
        let index = match &mut self.order {
            Order::Newest => count - 1,
            Order::Oldest => 0,
            Order::Any(seed) => {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                usize::try_from(*seed >> 33).unwrap() % count
            }
        };
        self.busy += 1;
        Some(self.parts.remove(index))
    }
}

impl<'a, L: Lister> Walk<'a, L> {
    /// Begins at the root.
    pub(super) fn new(lister: &'a L, order: Order) -> Self {
        let parts = vec![(lister.root().unwrap().part, Vec::new())];
        let (busy, is_broken, asked, ended) = (0, false, lister.asked(), Ended::default());
        let open = Mutex::new(Open { order, parts, busy, is_broken, asked, ended });
        Self { lister, open, changed: Condvar::new() }
    }

    /// Walks to the end, in so many threads.
    pub(super) fn run(self, threads: usize) -> Ended {
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.go(|_| ()));
            }
            self.go(|_| ());
        });
        self.open.into_inner().ended
    }

    /// Walks to the end, and says before each part which directory it is of.
    pub(super) fn run_with(self, before: impl FnMut(&[u8])) -> Ended {
        self.go(before);
        self.open.into_inner().ended
    }

    fn go(&self, mut before: impl FnMut(&[u8])) {
        while let Some((part, path)) = self.take() {
            let ends = Busy(self);
            before(&path);
            self.tell(part, &path);
            drop(ends);
        }
    }

    /// `None` when nothing is left.
    fn take(&self) -> Option<(L::Part, Vec<u8>)> {
        let mut open = self.open.lock();
        loop {
            if open.is_broken {
                return None;
            }
            match open.next() {
                None if open.busy > 0 => self.changed.wait(&mut open),
                next => return next,
            }
        }
    }

    fn tell(&self, part: L::Part, path: &[u8]) {
        let mut heard = Vec::new();
        let result = self.lister.tell(part, &mut |found| heard.push(own(found)));
        let mut open = self.open.lock();
        let asked = self.lister.asked();
        assert!(asked >= open.asked, "what was asked is not unasked");
        open.asked = asked;
        for (name, told, below) in heard {
            let path = if path.is_empty() { name } else { [path, b"/", &name].concat() };
            let before = open.ended.told.insert(path.clone(), told);
            assert!(before.is_none(), "{} was told twice", path.escape_ascii());
            open.parts.extend(below.map(|part| (part, path)));
        }
        match result {
            Ok(further) => open.parts.extend(further.into_iter().map(|part| (part, path.to_vec()))),
            Err(TellError::Fault(fault)) => open.ended.faults.push(fault),
            Err(TellError::Over(refused)) => panic!("{refused}"),
        }
    }
}

fn own<P>(found: Found<'_, P>) -> (Vec<u8>, Told, Option<P>) {
    let Found { name, kind, bytes, links, below } = found;
    assert_sound(name);
    let (known, part) = match below {
        Below::Nothing | Below::LeftOut => (None, None),
        Below::Unknown(part) => (None, Some(part)),
        Below::Known(amount, part) => (Some(amount), Some(part)),
    };
    assert!(part.is_none() || kind == Kind::Directory, "only a directory holds something");
    (name.to_vec(), Told { kind, bytes, links, known }, part)
}

/// Somebody tells a part.
struct Busy<'a, 'b, L: Lister>(&'a Walk<'b, L>);

impl<L: Lister> Drop for Busy<'_, '_, L> {
    fn drop(&mut self) {
        let mut open = self.0.open.lock();
        open.busy -= 1;
        open.is_broken |= thread::panicking();
        self.0.changed.notify_all();
    }
}
