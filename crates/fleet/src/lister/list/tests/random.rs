//! Lists of random trees.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use model::Kind;
use sched::Cancel;

use super::super::{Ends, Form, List, Reading, Unit};
use super::PATHS;
use crate::conformance::tree::is_below;
use crate::conformance::{Node, Stage, Tree, conforms};
use crate::lister::{Covers, Lister};

/// How lists are written.
trait Written: Send + Sync + Debug + 'static {
    const FORM: Form;
    const ENDS: Ends = Ends::Newline;

    /// A line without its path. A directory comes with all that lies in it.
    fn before_path(node: &Node, below_bytes: u64) -> String;
}

macro_rules! written {
    ($name:ident, $form:expr, $ends:expr, $before:expr) => {
        #[derive(Debug)]
        pub(super) struct $name;

        impl Written for $name {
            const FORM: Form = $form;
            const ENDS: Ends = $ends;

            fn before_path(node: &Node, below_bytes: u64) -> String {
                let before: fn(&Node, u64) -> String = $before;
                before(node, below_bytes)
            }
        }
    };
}

/// What a directory itself has, as tools tell it.
fn own_bytes(node: &Node) -> u64 {
    if node.kind == Kind::Directory { 4096 } else { node.bytes }
}

written! { Paths, Form::Paths, Ends::Newline, |_, _| String::new() }
written! { Paths0, Form::Paths, Ends::Nul, |_, _| String::new() }
written! { Sizes, Form::Sizes, Ends::Newline, |node, _| format!("{} ", own_bytes(node)) }
written! { Sizes0, Form::Sizes, Ends::Nul, |node, _| format!("{}\t", own_bytes(node)) }
written! { Fpart, Form::Fpart, Ends::Newline, |node, _| format!("3\t{}\t", own_bytes(node)) }
written! { Du, Form::Du(Unit::Bytes), Ends::Newline,
|node, below_bytes| format!("{}\t", own_bytes(node) + below_bytes) }

/// A list of a tree.
pub(super) struct Made<W> {
    list: List,
    _written: std::marker::PhantomData<W>,
}

/// Numbers without order, the same for each tree.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// A tree as a list: lines in no order, some of them twice, paths written in every way. Directories that
/// have something in them may have no line.
fn text<W: Written>(tree: &Tree) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    tree.iter().for_each(|(path, _)| path.hash(&mut hasher));
    let mut numbers = Numbers(hasher.finish());
    let end = if W::ENDS == Ends::Nul { 0 } else { b'\n' };
    let entries: BTreeMap<&[u8], &Node> = tree.iter().collect();
    let mut lines = vec![Vec::new()];
    let is_du = matches!(W::FORM, Form::Du(_));
    for (path, node) in &entries {
        let alike = entries.range(*path..).take_while(|(other, _)| other.starts_with(path));
        let below: Vec<_> = alike.filter(|(other, _)| is_below(other, path)).collect();
        let is_parent = !below.is_empty();
        if is_parent && !is_du && numbers.next(2) == 0 {
            continue;
        }
        let below_bytes =
            if is_du { below.iter().map(|(_, node)| own_bytes(node)).sum() } else { 0 };
        for _ in 0..=usize::from(numbers.next(8) == 0) {
            let mut line = W::before_path(node, below_bytes).into_bytes();
            line.extend([&b""[..], b"./", b"/src/", b".//./"][numbers.next(4)]);
            line.extend(*path);
            let must_be_told = node.kind == Kind::Directory && !is_parent;
            if must_be_told || is_parent && numbers.next(2) == 0 {
                line.push(b'/');
            }
            lines.push(line);
        }
    }
    for index in 1..lines.len() {
        lines.swap(index, numbers.next(index + 1));
    }
    lines.join(&end)
}

impl<W: Written> Stage for Made<W> {
    type Lister = List;

    const COVERS: Covers = Covers::Told;
    const TELLS_LINKS: bool = false;

    fn set(tree: &Tree) -> Self {
        let reading = Reading { form: W::FORM, ends: W::ENDS, absolute: &[b"/src"], ..PATHS };
        let text = text::<W>(tree);
        let list = List::read("a list", &mut &text[..], &reading, &Cancel::new()).unwrap();
        Self { list, _written: std::marker::PhantomData }
    }

    fn lister(&self) -> &List {
        &self.list
    }

    fn person_path(&self, path: &[u8]) -> Vec<u8> {
        if path.is_empty() { b"/src".to_vec() } else { [b"/src/", path].concat() }
    }

    fn admits(name: &[u8], _: &Node) -> bool {
        W::ENDS == Ends::Nul || !name.contains(&b'\n')
    }

    fn expected(node: &Node) -> (Kind, u64) {
        let kind = if node.kind == Kind::Directory { Kind::Directory } else { Kind::File };
        (kind, if W::FORM == Form::Paths { 0 } else { node.bytes })
    }
}

conforms! { paths, crate::lister::list::tests::random::Made<crate::lister::list::tests::random::Paths> }
conforms! { paths0, crate::lister::list::tests::random::Made<crate::lister::list::tests::random::Paths0> }
conforms! { sizes, crate::lister::list::tests::random::Made<crate::lister::list::tests::random::Sizes> }
conforms! { sizes0, crate::lister::list::tests::random::Made<crate::lister::list::tests::random::Sizes0> }
conforms! { fpart, crate::lister::list::tests::random::Made<crate::lister::list::tests::random::Fpart> }
conforms! { du, crate::lister::list::tests::random::Made<crate::lister::list::tests::random::Du> }

#[test]
fn a_wide_directory_comes_in_parts_that_hold_all_of_it() {
    let mut tree = Tree::default();
    // Parts begin at children and at nothing below one.
    for number in 0..20_000 {
        assert!(tree.add(format!("{number:05}").as_bytes(), Node::file(1)));
        for below in ["x/y", "x/z", "z"] {
            assert!(tree.add(format!("{number:05}d/{below}").as_bytes(), Node::file(1)));
        }
    }
    let made = Made::<Sizes>::set(&tree);
    let mut told = Vec::new();
    let mut open = vec![made.list.root().unwrap().part];
    let mut asked = 0;
    let mut most_at_once = 0;
    while let Some(part) = open.pop() {
        let before = told.len();
        open.extend(made.list.tell(part, &mut |found| told.push(found.name.to_vec())).unwrap());
        asked += 1;
        most_at_once = most_at_once.max(told.len() - before);
    }
    assert!(most_at_once <= 1024 && asked >= 40 && made.list.asked() == asked);
    let count = told.len();
    told.sort();
    told.dedup();
    assert_eq!((told.len(), count), (40_000, 40_000));
}
