//! A lister of a tree in memory, and proof that the suite sees what is wrong with one.

use std::sync::atomic::{AtomicU64, Ordering};

use model::{Cause, Fault, Inode, Kind, Side, Verb};
use parking_lot::Mutex;

use super::tree::is_below;
use super::{Node, Spoil, Stage, Tree};
use crate::amount::Amount;
use crate::lister::{Below, Found, Links, Lister, Refused, Root, TellError};

/// How many entries a part tells.
pub(crate) const PART_ENTRIES: usize = 7;

/// A tree in memory.
pub(crate) struct Memory {
    tree: Tree,
    asked: AtomicU64,
    spoilt: Mutex<Option<Vec<u8>>>,
    tells_sums: bool,
    /// A directory of which only the first part can be told.
    torn: Option<Vec<u8>>,
    wrong: Wrong,
}

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    LosesOne,
    TellsTwice,
    Invents,
    CountsShort,
    CountsAllShort,
    SwapsLinks,
    ForgetsTheRest,
}

impl Memory {
    /// Tells what is in a tree.
    pub(crate) fn new(tree: Tree) -> Self {
        Self::with(tree, Wrong::Nothing)
    }

    /// The same, of whose directories nobody knows a sum.
    pub(crate) fn without_sums(tree: Tree) -> Self {
        Self { tells_sums: false, ..Self::new(tree) }
    }

    /// The same, where of a directory no more can be told than its first entries.
    pub(crate) fn torn(tree: Tree, directory: &[u8]) -> Self {
        Self { torn: Some(directory.to_vec()), ..Self::without_sums(tree) }
    }

    fn with(tree: Tree, wrong: Wrong) -> Self {
        let (asked, spoilt) = (AtomicU64::new(0), Mutex::new(None));
        Self { tree, asked, spoilt, tells_sums: true, torn: None, wrong }
    }

    fn known(&self, directory: &[u8]) -> Amount {
        let below = self.tree.iter().filter(|(path, _)| is_below(path, directory));
        let amount = below.map(|(_, node)| Amount::of_one(node.bytes)).sum::<Amount>();
        amount + Amount::of_one(0)
    }

    fn links(&self, node: &Node) -> Option<Links> {
        let group = node.group?;
        let count = self.tree.names_of(group);
        let ino = if self.wrong == Wrong::SwapsLinks { 1 } else { u64::from(group) };
        (count > 1).then_some(Links { inode: Inode { dev: 1, ino }, count })
    }

    fn below(&self, path: &[u8], node: &Node) -> Below<(Vec<u8>, usize)> {
        let part = (path.to_vec(), 0);
        match node.kind {
            Kind::Directory if self.wrong == Wrong::CountsShort => {
                Below::Known(Amount::of_one(0), part)
            }
            // Some are known and some are not, as it may be.
            Kind::Directory if self.tells_sums && path.len().is_multiple_of(2) => {
                Below::Known(self.known(path), part)
            }
            Kind::Directory => Below::Unknown(part),
            _ => Below::Nothing,
        }
    }
}

impl Lister for Memory {
    /// A directory, and how many of its entries were told.
    type Part = (Vec<u8>, usize);

    fn root(&self) -> Result<Root<Self::Part>, Refused> {
        let short = u64::from(self.wrong == Wrong::CountsAllShort);
        let all = self.known(b"");
        let total = Some(Amount { entries: all.entries - short, ..all });
        Ok(Root { part: (Vec::new(), 0), total })
    }

    fn tell(
        &self,
        (directory, from): Self::Part,
        hear: &mut dyn FnMut(Found<'_, Self::Part>),
    ) -> Result<Vec<Self::Part>, TellError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.spoilt.lock().as_ref() == Some(&directory) {
            let (path, cause) = (self.full_path(&directory).into(), Cause::Vanished);
            let (side, verb) = (Side::Source, Verb::OpenDirectory);
            return Err(TellError::Fault(Fault { side, verb, path, cause }));
        }
        let start = if directory.is_empty() { 0 } else { directory.len() + 1 };
        let children = self
            .tree
            .iter()
            .filter(|(path, _)| is_below(path, &directory) && !path[start..].contains(&b'/'));
        let children: Vec<_> = children.collect();
        let part = children.iter().skip(from).take(PART_ENTRIES);
        for (index, (path, node)) in part.enumerate() {
            let times = match self.wrong {
                Wrong::LosesOne if index == 2 => 0,
                Wrong::TellsTwice if index == 2 => 2,
                _ => 1,
            };
            for _ in 0..times {
                let (name, Node { kind, bytes, .. }) = (&path[start..], **node);
                let (links, below) = (self.links(node), self.below(path, node));
                hear(Found { name, kind, bytes, links, below });
            }
        }
        if self.wrong == Wrong::Invents && from == 0 {
            let (name, kind, bytes) = (&b"invented"[..], Kind::File, 0);
            hear(Found { name, kind, bytes, links: None, below: Below::Nothing });
        }
        if self.torn.as_ref() == Some(&directory) {
            let (path, cause) = (self.full_path(&directory).into(), Cause::Refused("torn".into()));
            return Err(TellError::Fault(Fault {
                side: Side::Source,
                verb: Verb::List,
                path,
                cause,
            }));
        }
        let further = from..children.len();
        let further = further.step_by(PART_ENTRIES).skip(1).map(|from| (directory.clone(), from));
        let is_first = from == 0 && self.wrong != Wrong::ForgetsTheRest;
        Ok(if is_first { further.collect() } else { Vec::new() })
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn full_path(&self, path: &[u8]) -> Vec<u8> {
        [b"memory:", path].concat()
    }
}

impl Stage for Memory {
    type Lister = Self;

    fn set(tree: &Tree) -> Self {
        Self::new(tree.clone())
    }

    fn lister(&self) -> &Self {
        self
    }

    fn person_path(&self, path: &[u8]) -> Vec<u8> {
        self.full_path(path)
    }

    fn spoil(&self, path: &[u8], _: Spoil) -> bool {
        *self.spoilt.lock() = Some(path.to_vec());
        true
    }
}

super::conforms! { conformance, crate::conformance::memory::Memory }

mod tests {
    use std::panic;

    use super::super::walk::{Order, Walk};
    use super::super::{all_of_it_is_the_sum_of_what_is_told, check};
    use super::{Memory, Node, Stage, Tree, Wrong};

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for number in 0..20_u8 {
            let node = Node { group: Some(number / 2), ..Node::file(100) };
            assert!(tree.add(format!("a/{number}").as_bytes(), node));
            assert!(tree.add(format!("bc/{number}/x").as_bytes(), Node::file(5)));
        }
        tree
    }

    fn is_seen(wrong: Wrong) -> bool {
        let memory = Memory::with(tree(), wrong);
        let check =
            || check::<Memory>(&tree(), &Walk::new(&memory, Order::Oldest).run(1).told, &[]);
        panic::catch_unwind(panic::AssertUnwindSafe(check)).is_err()
    }

    #[test]
    fn the_suite_sees_what_is_wrong() {
        assert!(!is_seen(Wrong::Nothing));
        for wrong in [
            Wrong::LosesOne,
            Wrong::TellsTwice,
            Wrong::Invents,
            Wrong::CountsShort,
            Wrong::SwapsLinks,
            Wrong::ForgetsTheRest,
        ] {
            assert!(is_seen(wrong), "{wrong:?}");
        }
    }

    /// One that is wrong about all of it.
    struct Short(Memory);

    impl Stage for Short {
        type Lister = Memory;

        fn set(tree: &Tree) -> Self {
            Self(Memory::with(tree.clone(), Wrong::CountsAllShort))
        }

        fn lister(&self) -> &Memory {
            &self.0
        }

        fn person_path(&self, path: &[u8]) -> Vec<u8> {
            self.0.person_path(path)
        }
    }

    #[test]
    #[should_panic(expected = "Some(Amount")]
    fn the_suite_sees_that_all_is_less_than_its_parts() {
        all_of_it_is_the_sum_of_what_is_told::<Short>();
    }
}
