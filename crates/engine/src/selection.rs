//! From source arguments to what is picked below the transfer root.
//!
//! rsync's rules for arguments live here and nowhere else (rsync(1), "trailing slash", `-R`,
//! `--files-from`, `--no-implied-dirs`): `dir/` gives its content, `dir` itself; `-R` keeps the
//! whole path, `/./` cuts it. The result is a tree of picked names; everything below a picked
//! directory is found by listing it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use filter::Rules;
use model::settings::{Depth, Traverse};
use model::{Inode, Job, Kind, Metadata};

use self::foresight::foresee;
use self::place::{Base, Place};
use self::wishes::Wishes;
use crate::delete::missing::MissingName;
use crate::endpoint::{Directory, Endpoint, SourceDir};
use crate::error::SetupError;
use crate::node::{Content, Handle};
use crate::run::join;

/// What arguments and listed lines ask for, by their text.
pub(crate) mod asked;
/// Looking up before it is wanted.
pub(crate) mod foresight;
/// The directories that names are looked up from.
pub(crate) mod place;
/// What options and rules want of the arguments.
mod wishes;

/// A directory of the source side that the user named.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) handle: Handle<SourceDir>,
    pub(crate) place: Place,
    pub(crate) metadata: Metadata,
    pub(crate) content: Content,
    /// Number of the source argument that named it first.
    pub(crate) source: u32,
    /// The directory itself is in the transfer, not only what is in it.
    pub(crate) is_sent: bool,
}

impl Root {
    /// Its directory, opened for as long as the caller holds it unless it is open anyway.
    pub(crate) fn dir(&self) -> io::Result<SourceDir> {
        if let Some(dir) = self.handle.if_open() {
            return Ok(dir);
        }
        let dir = self.place.open()?;
        self.handle.check(&dir)?;
        Ok(dir)
    }
}

/// How a picked name came to be picked.
///
/// Of several reasons the last of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It was named and is no directory. A link that was is one only where something leads through it,
    /// and then it was not named as that.
    /// Test: `a_named_link_that_leads_on_is_not_given_whole`.
    NoDirectory,
    /// It leads to a named one and is otherwise left alone (`--no-implied-dirs`).
    Path,
    /// It leads to a named one and brings its attributes; a link counts as its directory.
    Implied,
    /// It was named, as a directory.
    Named,
}

impl Reason {
    /// That of the directories that lead to a named entry.
    pub(crate) fn on_the_way(traverse: &Traverse) -> Self {
        if traverse.implied_dirs { Self::Implied } else { Self::Path }
    }

    /// True of what is there for what lies behind it.
    pub(crate) fn leads_on(self) -> bool {
        matches!(self, Self::Implied | Self::Path)
    }
}

/// A picked name in one root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InRoot {
    pub(crate) root: u16,
    pub(crate) content: Content,
    pub(crate) reason: Reason,
    /// It was written with a trailing slash: a link stands for the directory behind it.
    pub(crate) is_slashed: bool,
}

/// A picked name.
#[derive(Debug)]
pub(crate) struct Pick {
    pub(crate) name: Box<[u8]>,
    /// The roots that have it, in the order of the arguments.
    pub(crate) roots: Vec<InRoot>,
    pub(crate) below: Option<Arc<Picked>>,
}

impl Pick {
    /// What of it is picked in a root; `None` for a root that does not have it.
    pub(crate) fn in_root(&self, root: u16) -> Option<InRoot> {
        self.roots.iter().find(|of| of.root == root).copied()
    }

    /// What is picked in it, if nothing else in it is asked for.
    pub(crate) fn alone_below(&self) -> Option<&Picked> {
        let is_all = self.roots.iter().all(|in_root| in_root.content == Content::Picked);
        self.below.as_deref().filter(|_| is_all)
    }
}

/// The picked names of one directory.
#[derive(Debug, Default)]
pub(crate) struct Picked {
    pub(crate) names: Vec<Pick>,
}

/// An argument that cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// As it was typed.
    pub(crate) typed: Box<[u8]>,
    /// What it would be called at the destination.
    pub(crate) name: Box<[u8]>,
    pub(crate) error: io::Error,
}

/// An argument that a filter rule is about.
#[derive(Debug)]
pub(crate) struct Filtered {
    /// What it would be called at the destination.
    pub(crate) name: Box<[u8]>,
    pub(crate) kind: Kind,
    pub(crate) ruling: Ruling,
}

/// What a rule says of an argument.
#[derive(Debug)]
pub(crate) struct Ruling {
    pub(crate) hides: bool,
    /// The pattern as it was written.
    pub(crate) pattern: Box<[u8]>,
    /// The rule and where it stands.
    pub(crate) rule: String,
}

/// What the arguments say.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) roots: Vec<Root>,
    pub(crate) picked: Picked,
    /// Arguments that cannot be read.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Names whose source argument does not exist and that go at the destination.
    pub(crate) missing: Vec<MissingName>,
    /// Directories on the way to a missing name, missing themselves.
    pub(crate) vanished: Vec<Box<[u8]>>,
    /// Directories that are left out since nothing asks for directories.
    pub(crate) skipped: Vec<Box<[u8]>>,
    /// Arguments that a filter rule is about.
    pub(crate) filtered: Vec<Filtered>,
    /// The first argument that is an empty directory, where that is refused.
    pub(crate) empty: Option<Box<[u8]>>,
    /// How often a name was picked; one that is named twice counts twice.
    pub(crate) picks: usize,
    /// An argument names its root as a directory on the way to what it picks, be it sent or not.
    pub(crate) names_root: bool,
    /// A pick may lead through a link.
    picks_through_links: bool,
    /// The numbers of the roots, by inode and what they are shown as.
    numbers: HashMap<(Inode, Box<[u8]>), u16>,
    /// How many roots stay open.
    open_max: usize,
    /// Number of the source argument that is being read.
    source: u32,
}

#[derive(Default)]
struct Branch {
    roots: Vec<InRoot>,
    /// The highest number of a root among them.
    highest: Option<u16>,
    below: BTreeMap<Box<[u8]>, Self>,
}

impl Selection {
    /// Reads the arguments of a job; of the directories that they name `open_max` stay open.
    pub(crate) fn new(
        endpoint: &Endpoint,
        job: &Job,
        rules: &Arc<Rules>,
        open_max: usize,
    ) -> Result<Self, SetupError> {
        let mut selection = Self { open_max, ..Self::default() };
        let mut top = BTreeMap::new();
        let settings = &Wishes { settings: &job.settings, rules, endpoint };
        if let Some(files) = &job.settings.traverse.files_from {
            let base = job.sources.first().map_or(Path::new("."), |source| source.path.as_path());
            let base = Base::anchored(endpoint, base, settings.trusts_listed_links())?;
            let mut foreseen = 0;
            for (number, file) in files.iter().enumerate() {
                foreseen = foresee(&base, files, number..foreseen);
                selection.add_listed(&mut top, settings, &base, file)?;
            }
        } else {
            for (source, number) in job.sources.iter().zip(0..) {
                selection.source = number;
                selection.add_argument(&mut top, settings, source.path.as_os_str().as_bytes())?;
            }
        }
        selection.picked = freeze(top);
        Ok(selection)
    }

    /// True when an entry may be reached on several ways, as `a/b` is by `a a/b`, and what is in
    /// `a` by `a link/`.
    pub(crate) fn may_overlap(&self) -> bool {
        self.roots.len() > 1 || (self.picks > 1 && self.picks_through_links)
    }

    /// True when no argument brings anything over or removes anything.
    pub(crate) fn is_nothing(&self) -> bool {
        self.roots.is_empty() && self.missing.is_empty()
    }

    /// A source argument.
    fn add_argument(
        &mut self,
        top: &mut BTreeMap<Box<[u8]>, Branch>,
        settings: &Wishes<'_>,
        argument: &[u8],
    ) -> Result<(), SetupError> {
        let (base, below) = split(argument, settings.traverse.relative);
        let is_listed = components(below).is_empty();
        match Base::typed(settings.endpoint, base, is_listed) {
            Ok(base) => self.add_below(top, settings, &base, below, argument),
            // As in rsync: only the last component may be missing by permission.
            Err(error) => {
                self.note_unreadable(below, argument, error);
                Ok(())
            }
        }
    }

    /// A line of `--files-from`: relative to the base, `..` held at the base.
    fn add_listed(
        &mut self,
        top: &mut BTreeMap<Box<[u8]>, Branch>,
        settings: &Wishes<'_>,
        base: &Base,
        line: &[u8],
    ) -> Result<(), SetupError> {
        let below = held_at_the_base(line, settings.traverse.relative);
        if settings.traverse.relative {
            let Some((front, rest)) = cut(line) else {
                return self.add_below(top, settings, base, &below, &join(&base.place.shown, line));
            };
            return match base.open(front) {
                Ok(inner) => {
                    let typed = join(&inner.place.shown, rest);
                    self.add_below(top, settings, &inner, &held_at_the_base(rest, true), &typed)
                }
                Err(error) => {
                    self.note_unreadable(&below, line, error);
                    Ok(())
                }
            };
        }
        let (dir, name) = split_last(&below);
        match base.open(dir) {
            Ok(inner) => {
                self.add_below(top, settings, &inner, name, &join(&base.place.shown, line))
            }
            Err(error) => {
                self.note_unreadable(name, line, error);
                Ok(())
            }
        }
    }

    /// Picks `below`, a path of components that may end in `.`, under a base directory.
    fn add_below(
        &mut self,
        top: &mut BTreeMap<Box<[u8]>, Branch>,
        settings: &Wishes<'_>,
        base: &Base,
        below: &[u8],
        typed: &[u8],
    ) -> Result<(), SetupError> {
        let below = Below::new(below, typed)?;
        let root = &b"."[..];
        if below.names_root
            && settings.passes_over_root()
            && !self.skipped.iter().any(|skipped| **skipped == *root)
        {
            self.skipped.push(root.into());
        }
        if below.names_root && settings.names_implied_root(base) {
            if settings.traverse.implied_dirs {
                let metadata = base.dir.as_opened().map_err(SetupError::from_io(typed))?;
                self.send(base, metadata, Content::Picked)?;
            }
            self.names_root = true;
        }
        let entry = match base.find(&below.components, settings, below.lists_content) {
            Ok(entry) => entry,
            Err(error) if settings.deletes_at_destination(&error) => {
                return self.add_way_to_missing(top, settings, base, &below.components);
            }
            Err(error) if settings.ignores(&error) => return Ok(()),
            Err(error) => {
                self.note_unreadable(&below.path(), typed, error);
                return Ok(());
            }
        };
        if self.passes_over(settings, base, &below, entry.kind) {
            return Ok(());
        }
        self.note_picked(&below);
        let content = settings.content(below.lists_content);
        let is_listed = entry.kind == Kind::Directory && content == Content::Listed;
        // What cannot be listed deletes nothing, and is told of when it is entered.
        if is_listed
            && settings.refuses_empty()
            && base.is_empty(&below.components).unwrap_or(false)
        {
            self.empty.get_or_insert_with(|| typed.into());
        }
        if below.components.is_empty() {
            return self.send(base, entry, content);
        }
        let is_slashed = below.lists_content;
        let is_directory = entry.kind == Kind::Directory;
        let reason = if is_directory { Reason::Named } else { Reason::NoDirectory };
        let named = InRoot { root: 0, content, reason, is_slashed };
        self.pick(top, settings, base, &below.components, named)
    }

    /// Notes an argument that is not in the transfer, though it is there: a directory where nothing
    /// asks for directories, or what a rule leaves out.
    fn passes_over(
        &mut self,
        settings: &Wishes<'_>,
        base: &Base,
        below: &Below<'_>,
        kind: Kind,
    ) -> bool {
        let is_root = below.components.is_empty();
        let path = || if is_root { Box::from(&b"."[..]) } else { below.path().into() };
        if let Some(ruling) = settings.ruling(base, &below.components, kind) {
            let hides = ruling.hides;
            self.filtered.push(Filtered { name: path(), kind, ruling });
            if hides {
                return true;
            }
        }
        let is_skipped = kind == Kind::Directory && settings.traverse.depth == Depth::Files;
        if is_skipped {
            self.skipped.push(path());
        }
        is_skipped
    }

    fn note_picked(&mut self, below: &Below<'_>) {
        let depth = below.components.len();
        self.picks_through_links |= depth > 1 || (depth == 1 && below.lists_content);
        self.picks += 1;
    }

    /// Takes a root itself into the transfer.
    fn send(
        &mut self,
        base: &Base,
        metadata: Metadata,
        content: Content,
    ) -> Result<(), SetupError> {
        let root = self.root(base, metadata, content)?;
        self.roots[usize::from(root)].is_sent = true;
        Ok(())
    }

    /// Picks a path; `last` is what becomes of its last component.
    fn pick(
        &mut self,
        top: &mut BTreeMap<Box<[u8]>, Branch>,
        settings: &Wishes<'_>,
        base: &Base,
        components: &[&[u8]],
        last: InRoot,
    ) -> Result<(), SetupError> {
        let metadata = base.dir.as_opened().map_err(SetupError::from_io(&base.place.shown))?;
        let root = self.root(base, metadata, Content::Picked)?;
        let reason = Reason::on_the_way(&settings.traverse);
        let way = InRoot { root, content: Content::Picked, reason, is_slashed: false };
        let mut at = top;
        for (number, name) in components.iter().enumerate() {
            let branch = at.entry((*name).into()).or_default();
            let is_last = number + 1 == components.len();
            branch.add(if is_last { InRoot { root, ..last } } else { way });
            at = &mut branch.below;
        }
        Ok(())
    }

    /// `--delete-missing-args`: what is missing goes at the destination, and the directories on the
    /// way to it are brought over. Those of them that are missing, too, are told of; where the source
    /// is read as the run goes, nobody comes to the name behind them.
    fn add_way_to_missing(
        &mut self,
        top: &mut BTreeMap<Box<[u8]>, Branch>,
        settings: &Wishes<'_>,
        base: &Base,
        components: &[&[u8]],
    ) -> Result<(), SetupError> {
        let way = components.split_last().map_or(&[][..], |(_, way)| way);
        let is_gone = |len: &usize| base.find(&way[..*len], settings, true).is_err();
        let there = (1..=way.len()).find(is_gone).map_or(way.len(), |gone| gone - 1);
        let is_way_there = there == way.len();
        let told = if settings.traverse.incremental { way.len().min(there + 1) } else { way.len() };
        let gone = (there + 1..=told).map(|len| way[..len].join(&b'/'));
        self.vanished.extend(gone.map(|path| join(&base.place.shown, &path)));
        let is_picked = there > 0 && settings.traverse.implied_dirs;
        if is_way_there || !settings.traverse.incremental {
            let has_node = is_way_there && is_picked;
            self.missing.push(MissingName { path: components.join(&b'/').into(), has_node });
        }
        if !is_picked {
            return Ok(());
        }
        let (content, reason) = (Content::Picked, Reason::Implied);
        let last = InRoot { root: 0, content, reason, is_slashed: false };
        self.pick(top, settings, base, &way[..there], last)
    }

    /// The number of a root, added if it is new.
    fn root(
        &mut self,
        base: &Base,
        metadata: Metadata,
        content: Content,
    ) -> Result<u16, SetupError> {
        let key = (metadata.inode(), base.place.shown.clone());
        if let Some(&number) = self.numbers.get(&key) {
            if content == Content::Listed {
                self.roots[usize::from(number)].content = content;
            }
            return Ok(number);
        }
        let number = u16::try_from(self.roots.len()).map_err(|_| SetupError::TooManySources)?;
        let handle = if self.roots.len() < self.open_max {
            Handle::new(base.dir.clone(), &metadata)
        } else {
            Handle::closed(&metadata)
        };
        let (place, source) = (base.place.clone(), self.source);
        self.roots.push(Root { handle, place, metadata, content, source, is_sent: false });
        self.numbers.insert(key, number);
        Ok(number)
    }

    fn note_unreadable(&mut self, below: &[u8], typed: &[u8], error: io::Error) {
        let (typed, name) = (typed.into(), below.into());
        self.unreadable.push(Unreadable { typed, name, error });
    }
}

impl Branch {
    fn add(&mut self, new: InRoot) {
        // Mostly they come in the order of their numbers: then none is searched for.
        let is_higher = self.highest < Some(new.root);
        self.highest = self.highest.max(Some(new.root));
        let is_same = |known: &&mut InRoot| known.root == new.root;
        let known = if is_higher { None } else { self.roots.iter_mut().rev().find(is_same) };
        let Some(known) = known else { return self.roots.push(new) };
        if known.reason == Reason::NoDirectory {
            *known = new;
        }
        if new.reason == Reason::NoDirectory {
            return;
        }
        if new.content == Content::Listed {
            known.content = new.content;
        }
        known.reason = known.reason.max(new.reason);
        known.is_slashed |= new.is_slashed;
    }
}

/// The components of a path below a root.
struct Below<'a> {
    components: Vec<&'a [u8]>,
    /// It stands for the content: it ends in a slash or a dot.
    lists_content: bool,
    /// It begins with "./", which names the root as the first of the directories on the way.
    names_root: bool,
}

impl<'a> Below<'a> {
    fn new(below: &'a [u8], typed: &[u8]) -> Result<Self, SetupError> {
        let components = components(below);
        if components.contains(&&b".."[..]) {
            return Err(SetupError::ParentInRelativePath { path: typed.into() });
        }
        let mut ending = below.rsplit(|&byte| byte == b'/');
        let lists_content = ending.next().is_none_or(|last| matches!(last, b"" | b"."));
        Ok(Self { components, lists_content, names_root: below.starts_with(b"./") })
    }

    fn path(&self) -> Vec<u8> {
        self.components.join(&b'/')
    }
}

/// What the first `/./` parts, with `-R` an argument or a line of a list.
fn cut(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.windows(3).position(|window| window == b"/./")?;
    Some((&path[..at], &path[at + 3..]))
}

/// `-R`: the part before `/./` and the part that is kept.
fn split_relative(argument: &[u8]) -> (&[u8], &[u8]) {
    if let Some((front, below)) = cut(argument) {
        // Not the "/" of a path that is kept from there on.
        let base = if front.is_empty() { &b"/."[..] } else { front };
        return (base, if below.is_empty() { b"." } else { below });
    }
    let base: &[u8] = if argument.starts_with(b"/") { b"/" } else { b"." };
    (base, argument)
}

/// The directory that an argument is looked up from, and the way from there.
pub(crate) fn split(argument: &[u8], relative: bool) -> (&[u8], &[u8]) {
    let argument = if argument.is_empty() { b"." } else { argument };
    if relative { split_relative(argument) } else { split_last(argument) }
}

/// The directory of an argument and its last component; `.` for the content of the directory.
fn split_last(argument: &[u8]) -> (&[u8], &[u8]) {
    let ends_in = |end: &[u8]| {
        argument.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
    };
    if argument.ends_with(b"/") || ends_in(b".") || ends_in(b"..") {
        return (argument, b".");
    }
    match argument.iter().rposition(|&byte| byte == b'/') {
        Some(0) => (b"/", &argument[1..]),
        Some(at) => (&argument[..at], &argument[at + 1..]),
        None => (b".", argument),
    }
}

fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect()
}

fn freeze(branches: BTreeMap<Box<[u8]>, Branch>) -> Picked {
    let names = branches.into_iter().map(|(name, branch)| Pick {
        name,
        roots: branch.roots,
        below: (!branch.below.is_empty()).then(|| Arc::new(freeze(branch.below))),
    });
    Picked { names: names.collect() }
}

/// A line of `--files-from` without `..`, which leads no higher than to the base. With `-R` a "./"
/// in front of it is kept.
fn held_at_the_base(line: &[u8], relative: bool) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in line.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let lists_content = line.ends_with(b"/") || line.ends_with(b"/.") || kept.is_empty();
    let mut below = if relative && line.starts_with(b"./") { b"./".to_vec() } else { Vec::new() };
    below.extend(kept.join(&b'/'));
    if lists_content {
        below.extend_from_slice(if kept.is_empty() { b"." } else { b"/." });
    }
    below
}

#[cfg(test)]
mod tests {
    use super::{held_at_the_base, split_last, split_relative};

    #[test]
    fn a_listed_line_leads_no_higher_than_its_base() {
        for (line, below) in [
            ("a//b", "a/b"),
            ("../../a/../b", "b"),
            ("a/", "a/."),
            ("a/.", "a/."),
            ("a/..", "."),
            ("/", "."),
            ("./a", "a"),
        ] {
            assert_eq!(held_at_the_base(line.as_bytes(), false), below.as_bytes(), "{line}");
        }
        assert_eq!(held_at_the_base(b"./a/", true), b"./a/.");
    }

    #[test]
    fn a_trailing_slash_or_dot_names_the_content() {
        for argument in [&b"a/b/"[..], b"a/b/.", b".", b"..", b"a/..", b"/", b"./"] {
            assert_eq!(split_last(argument), (argument, &b"."[..]));
        }
        assert_eq!(split_last(b"a/b"), (&b"a"[..], &b"b"[..]));
        assert_eq!(split_last(b"/b"), (&b"/"[..], &b"b"[..]));
        assert_eq!(split_last(b"b"), (&b"."[..], &b"b"[..]));
        assert_eq!(split_last(b"a."), (&b"."[..], &b"a."[..]));
    }

    #[test]
    fn a_dot_between_slashes_cuts_the_kept_path() {
        assert_eq!(split_relative(b"/a/./b/c"), (&b"/a"[..], &b"b/c"[..]));
        assert_eq!(split_relative(b"a/b/c"), (&b"."[..], &b"a/b/c"[..]));
        assert_eq!(split_relative(b"/a/b"), (&b"/"[..], &b"/a/b"[..]));
        assert_eq!(split_relative(b"/a/./"), (&b"/a"[..], &b"."[..]));
        assert_eq!(split_relative(b"/./a"), (&b"/."[..], &b"a"[..]));
    }
}
