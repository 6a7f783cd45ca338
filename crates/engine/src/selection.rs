//! From source arguments to what is picked below the transfer root.
//!
//! rsync's rules for arguments live here and nowhere else (rsync(1), "trailing slash", `-R`,
//! `--files-from`, `--no-implied-dirs`): `dir/` gives its content, `dir` itself; `-R` keeps the
//! whole path, `/./` cuts it. The result is a tree of picked names; everything below a picked
//! directory is found by listing it.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use filter::{Rules, Scope};
use fs::Dir;
use model::settings::{Depth, MissingArgs, Settings, Symlinks};
use model::{Job, Kind, Metadata};

use crate::error::SetupError;
use crate::node::Content;
use crate::run::join;

/// A directory of the source side that the user named.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) dir: Dir,
    pub(crate) metadata: Metadata,
    pub(crate) shown: Box<[u8]>,
    pub(crate) content: Content,
    /// The directory itself is in the transfer, not only what is in it.
    pub(crate) is_sent: bool,
}

/// How a picked name came to be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It was named.
    Named,
    /// It leads to a named one and brings its attributes; a link counts as its directory.
    Implied,
    /// It leads to a named one and is otherwise left alone (`--no-implied-dirs`).
    Path,
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
    pub(crate) error: std::io::Error,
}

/// An argument that a filter rule leaves out.
#[derive(Debug)]
pub(crate) struct Excluded {
    /// What it would be called at the destination.
    pub(crate) name: Box<[u8]>,
    pub(crate) kind: Kind,
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
    /// Names below the transfer root whose source argument does not exist.
    pub(crate) missing: Vec<Box<[u8]>>,
    /// Directories on the way to a missing name, missing themselves.
    pub(crate) vanished: Vec<Box<[u8]>>,
    /// Directories that are left out since nothing asks for directories.
    pub(crate) skipped: Vec<Box<[u8]>>,
    /// Arguments that a filter rule leaves out.
    pub(crate) excluded: Vec<Excluded>,
    /// How often a name was picked; one that is named twice counts twice.
    pub(crate) picks: usize,
    /// The picked paths from the root of the file system, where hard links are looked for.
    named: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Branch {
    roots: Vec<InRoot>,
    below: BTreeMap<Box<[u8]>, Self>,
}

impl Selection {
    /// Reads the arguments of a job.
    pub(crate) fn new(job: &Job, rules: &Arc<Rules>) -> Result<Self, SetupError> {
        let mut selection = Self::default();
        let mut top = BTreeMap::new();
        let settings = &Wishes { settings: &job.settings, rules };
        if let Some(files) = &job.settings.traverse.files_from {
            let base = job.sources.first().map_or(Path::new("."), |source| source.path.as_path());
            let base = Base {
                dir: Dir::open_operator(base).map_err(|cause| SetupError::ChangeDirectory {
                    path: base.to_owned(),
                    cause,
                })?,
                shown: base.as_os_str().as_bytes().into(),
                trusts_links: settings.trusts_listed_links(),
            };
            for file in files {
                selection.add_listed(&mut top, settings, &base, file)?;
            }
        } else {
            for source in &job.sources {
                selection.add_argument(&mut top, settings, source.path.as_os_str().as_bytes())?;
            }
        }
        selection.picked = freeze(top);
        Ok(selection)
    }

    /// True when an entry may be reached through several arguments, as `a/b` is by `a a/b`.
    pub(crate) fn overlaps(&self) -> bool {
        let mut named: Vec<Vec<&[u8]>> = self.named.iter().map(|path| components(path)).collect();
        named.sort_unstable();
        self.roots.len() > 1 && named.windows(2).any(|pair| pair[1].starts_with(&pair[0]))
    }

    /// A source argument.
    fn add_argument(
        &mut self,
        top: &mut BTreeMap<Box<[u8]>, Branch>,
        settings: &Wishes<'_>,
        argument: &[u8],
    ) -> Result<(), SetupError> {
        let argument = if argument.is_empty() { b"." } else { argument };
        let (base, below) = if settings.traverse.relative {
            split_relative(argument)
        } else {
            split_last(argument)
        };
        let path = Path::new(std::ffi::OsStr::from_bytes(base));
        let is_listed = below == b".";
        let opened =
            if is_listed { Dir::open_operator(path) } else { Dir::open_operator_to_search(path) };
        // A directory that may be listed but not searched is as good as unreadable.
        match opened.and_then(|dir| dir.check_search().map(|()| dir)) {
            Ok(dir) => {
                let base = Base { dir, shown: base.into(), trusts_links: true };
                self.add_below(top, settings, &base, below, argument)
            }
            // As in rsync: only the last component may be missing by permission.
            Err(error) => {
                let (typed, name) = (argument.into(), below.into());
                self.unreadable.push(Unreadable { typed, name, error });
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
            // "/./" cuts a line as it cuts an argument.
            let Some(at) = line.windows(3).position(|window| window == b"/./") else {
                return self.add_below(top, settings, base, &below, &join(&base.shown, line));
            };
            return match base.open(&line[..at]) {
                Ok(inner) => self.add_listed(top, settings, &inner, &line[at + 3..]),
                Err(error) => {
                    self.note_missing(settings, &below, line, error);
                    Ok(())
                }
            };
        }
        let (dir, name) = split_last(&below);
        match base.open(dir) {
            Ok(inner) => self.add_below(top, settings, &inner, name, &join(&base.shown, line)),
            Err(error) => {
                self.note_missing(settings, name, line, error);
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
        let mut components: Vec<&[u8]> =
            below.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        let lists_content =
            below.ends_with(b"/") || components.last().is_none_or(|last| *last == b".");
        components.retain(|name| *name != b".");
        if components.iter().any(|name| *name == b"..") {
            return Err(SetupError::ParentInRelativePath { path: typed.into() });
        }
        // A leading "./" names the root as the first of the directories on the way.
        if below.starts_with(b"./") && settings.sends_implied_root(base) {
            let metadata = base.dir.metadata().map_err(SetupError::from_io(typed))?;
            let root = self.root(base, metadata, Content::Picked);
            self.roots[usize::from(root)].is_sent = true;
        }
        let entry = match base.find(&components, settings, lists_content) {
            Ok(entry) => entry,
            Err(error) => {
                if settings.deletes_at_destination(&error) {
                    return self.add_way_to_missing(top, settings, base, &components);
                }
                self.note_missing(settings, &components.join(&b'/'), typed, error);
                return Ok(());
            }
        };
        if entry.kind == Kind::Directory && settings.traverse.depth == Depth::Files {
            let name = if components.is_empty() { b".".to_vec() } else { components.join(&b'/') };
            self.skipped.push(name.into());
            return Ok(());
        }
        let content = match settings.traverse.depth {
            Depth::Recursive => Content::Listed,
            Depth::Directories if lists_content => Content::Listed,
            _ => Content::Picked,
        };
        if let Some(rule) = settings.leave_out(base, &components, entry.kind) {
            let name = components.join(&b'/').into();
            self.excluded.push(Excluded { name, kind: entry.kind, rule });
            return Ok(());
        }
        if settings.links.hard_links {
            let base = crate::pipeline::absolute(&base.shown);
            self.named.push(join(&base, &components.join(&b'/')).into_vec());
        }
        self.picks += 1;
        if components.is_empty() {
            let root = self.root(base, entry, content);
            self.roots[usize::from(root)].is_sent = true;
            return Ok(());
        }
        let named = InRoot { root: 0, content, reason: Reason::Named, is_slashed: lists_content };
        self.pick(top, settings, base, &components, named)
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
        let metadata = base.dir.metadata().map_err(SetupError::from_io(&base.shown))?;
        let root = self.root(base, metadata, Content::Picked);
        let on_the_way =
            if settings.traverse.implied_dirs { Reason::Implied } else { Reason::Path };
        let way = InRoot { root, content: Content::Picked, reason: on_the_way, is_slashed: false };
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
    /// way to it are brought over. If one of those is missing, too, that is all there is to tell.
    fn add_way_to_missing(
        &mut self,
        top: &mut BTreeMap<Box<[u8]>, Branch>,
        settings: &Wishes<'_>,
        base: &Base,
        components: &[&[u8]],
    ) -> Result<(), SetupError> {
        let mut way = components.split_last().map_or(&[][..], |(_, way)| way);
        let is_gone = |len: &usize| base.find(&way[..*len], settings, true).is_err();
        if let Some(gone) = (1..=way.len()).find(is_gone) {
            self.vanished.push(join(&base.shown, &way[..gone].join(&b'/')));
            way = &way[..gone - 1];
        } else {
            self.missing.push(components.join(&b'/').into());
        }
        if way.is_empty() || !settings.traverse.implied_dirs {
            return Ok(());
        }
        let (content, reason) = (Content::Picked, Reason::Implied);
        let last = InRoot { root: 0, content, reason, is_slashed: false };
        self.pick(top, settings, base, way, last)
    }

    /// The number of a root, added if it is new.
    fn root(&mut self, base: &Base, metadata: Metadata, content: Content) -> u16 {
        let known = self
            .roots
            .iter()
            .position(|root| root.metadata.is_same_inode(&metadata) && root.shown == base.shown);
        let at = known.unwrap_or_else(|| {
            let (dir, shown) = (base.dir.clone(), base.shown.clone());
            self.roots.push(Root { dir, metadata, shown, content, is_sent: false });
            self.roots.len() - 1
        });
        if content == Content::Listed {
            self.roots[at].content = content;
        }
        u16::try_from(at).expect("a command line has fewer than 65,536 sources")
    }

    fn note_missing(
        &mut self,
        settings: &Wishes<'_>,
        below: &[u8],
        typed: &[u8],
        error: std::io::Error,
    ) {
        match settings.traverse.missing_args {
            MissingArgs::Ignore if error.kind() == std::io::ErrorKind::NotFound => {}
            MissingArgs::Delete if error.kind() == std::io::ErrorKind::NotFound => {
                self.missing.push(below.into());
            }
            _ => {
                let (typed, name) = (typed.into(), below.into());
                self.unreadable.push(Unreadable { typed, name, error });
            }
        }
    }
}

/// What the arguments are read by.
struct Wishes<'a> {
    settings: &'a Settings,
    rules: &'a Arc<Rules>,
}

impl std::ops::Deref for Wishes<'_> {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        self.settings
    }
}

impl Wishes<'_> {
    /// False when a name of `--files-from` leads through no link that another user may have set.
    fn trusts_listed_links(&self) -> bool {
        let links = &self.settings.links;
        let follows =
            links.symlinks == Symlinks::Follow || links.copy_dirlinks || links.copy_unsafe;
        follows || !self.settings.traverse.relative
    }

    /// True when a name that cannot be looked at for `error` is to be deleted at the destination.
    fn deletes_at_destination(&self, error: &std::io::Error) -> bool {
        self.settings.traverse.missing_args == MissingArgs::Delete
            && error.kind() == std::io::ErrorKind::NotFound
    }

    /// True when the root is one of the implied directories that are sent.
    fn sends_implied_root(&self, base: &Base) -> bool {
        let traverse = &self.settings.traverse;
        traverse.relative
            && traverse.implied_dirs
            && traverse.depth != Depth::Files
            && self.leave_out(base, &[b"."], Kind::Directory).is_none()
    }

    /// The rule that leaves an argument out: those of the command line alone, no merge file is
    /// asked.
    fn leave_out(&self, base: &Base, components: &[&[u8]], kind: Kind) -> Option<String> {
        if self.rules.is_empty() || components.is_empty() {
            return None;
        }
        let scope = Scope::root(Arc::clone(self.rules), &crate::pipeline::absolute(&base.shown));
        let path = components.join(&b'/');
        let kind = crate::scan::node_kind(Some(kind));
        match scope.check(&path, kind, filter::Side::Sender, filter::Perishable::Honoured) {
            filter::Verdict::Excluded(rule) => Some(scope.describe(rule).to_string()),
            _ => None,
        }
    }
}

impl Branch {
    fn add(&mut self, new: InRoot) {
        match self.roots.iter_mut().find(|known| known.root == new.root) {
            Some(known) => {
                if new.content == Content::Listed {
                    known.content = new.content;
                }
                if new.reason == Reason::Named {
                    known.reason = new.reason;
                }
                known.is_slashed |= new.is_slashed;
            }
            None => self.roots.push(new),
        }
    }
}

/// A directory from which picked names are looked up.
struct Base {
    dir: Dir,
    shown: Box<[u8]>,
    /// Links are followed whoever owns them.
    trusts_links: bool,
}

impl Base {
    /// A directory below this one, on a path that the user typed.
    fn open(&self, below: &[u8]) -> std::io::Result<Self> {
        let mut dir = self.dir.clone();
        for name in below.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
            self.check_link(&dir, name)?;
            dir = dir.open_child_following(name)?;
        }
        Ok(Self { dir, shown: join(&self.shown, below), trusts_links: self.trusts_links })
    }

    /// Fails where a link is not to be followed: it is another user's.
    fn check_link(&self, dir: &Dir, name: &[u8]) -> std::io::Result<()> {
        if self.trusts_links {
            return Ok(());
        }
        let metadata = dir.stat(name)?;
        let own = [0, fs::process::effective_uid()];
        if metadata.kind == Kind::Symlink && !own.contains(&metadata.uid) {
            return Err(std::io::Error::other("a link of another user is not followed"));
        }
        Ok(())
    }

    /// Looks a picked name up: the way to it may lead through links, it itself is looked at as
    /// `-L` and `-k` say.
    fn find(
        &self,
        components: &[&[u8]],
        settings: &Wishes<'_>,
        is_slashed: bool,
    ) -> std::io::Result<Metadata> {
        let Some((name, way)) = components.split_last() else { return self.dir.metadata() };
        let mut dir = self.dir.clone();
        for component in way {
            self.check_link(&dir, component)?;
            dir = dir.open_child_following(component)?;
        }
        let metadata = dir.stat(name)?;
        if metadata.kind != Kind::Symlink {
            return Ok(metadata);
        }
        if is_slashed {
            self.check_link(&dir, name)?;
        }
        // Only where it is asked for: looking through a link changes its access time.
        match settings.links.symlinks {
            Symlinks::Follow => dir.stat_following(name),
            // A link to nothing, with a slash behind it, is still a link.
            _ if is_slashed => Ok(dir.stat_following(name).unwrap_or(metadata)),
            _ => Ok(metadata),
        }
    }
}

/// `-R`: the part before `/./` and the part that is kept.
fn split_relative(argument: &[u8]) -> (&[u8], &[u8]) {
    if let Some(at) = argument.windows(3).position(|window| window == b"/./") {
        let base = if at == 0 { &b"/"[..] } else { &argument[..at] };
        let below = &argument[at + 3..];
        return (base, if below.is_empty() { b"." } else { below });
    }
    let base: &[u8] = if argument.starts_with(b"/") { b"/" } else { b"." };
    (base, argument)
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
    }
}
