//! A directory of the transfer: its source layers, its destination, and what waits for its end.
//!
//! A node lives while anything below it is undone. Its directories are held open while they are
//! worked in and may be closed in between; opening again goes component by component from the
//! nearest ancestor that is open, follows no link, and insists on the inode that was there before.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fs::{AccessTime, Dir};
use model::{Cause, Fault, Metadata, RelPath, Side, Verb};
use parking_lot::Mutex;

pub(crate) use self::source::{
    Content, Layer, OpenedFor, Origin, SourceSide, ThroughLink, is_listed,
};
pub(crate) use self::target::{Before, Ground, Target, TargetSide};
use crate::endpoint::SourceDir;
pub(crate) use crate::handle::Handle;
use crate::handle::HeldDir;
use crate::order::SegmentId;
use crate::run::{Run, join};
use crate::telling::Line;
use crate::wanted::Wanted;

/// What feeds it.
mod source;
/// Where it arrives.
mod target;

/// How many directories on the way to one that is opened again are passed before one is kept open.
const KEPT_ON_THE_WAY: usize = 64;

/// What a directory is given when all below it is done.
#[derive(Debug)]
pub(crate) struct Finish {
    /// The source directory.
    pub(crate) source: Metadata,
    /// The attributes it shall have.
    pub(crate) wanted: Wanted,
    /// The destination directory as it was; `None` when this run made it.
    pub(crate) before: Option<Metadata>,
    /// True when its attributes differ from the wanted ones for certain.
    pub(crate) differs: bool,
}

/// A directory of the transfer.
pub(crate) struct Node {
    pub(crate) run: Arc<Run>,
    pub(crate) parent: Option<Arc<Self>>,
    /// Path below the transfer root, `.` for the root.
    pub(crate) path: RelPath,
    pub(crate) source: SourceSide,
    pub(crate) target: TargetSide,
    pub(crate) segment: SegmentId,
    /// Its own line, spoken after the deletions in it.
    pub(crate) line: Mutex<Option<Line>>,
    pub(crate) finish: Option<Finish>,
    /// Something is deleted in it when all else is done; until then nobody may need it.
    is_put_off: AtomicBool,
    /// Names that were thought free and were not, where something is deleted in it later.
    taken: Mutex<Vec<Box<[u8]>>>,
    /// `--existing`: it is not there and not made; what is in it is counted and left out.
    pub(crate) is_left_out: bool,
    /// Tasks and children not done yet.
    pending: AtomicUsize,
}

impl Node {
    /// The node of the transfer root, with one task to wait for.
    pub(crate) fn root(
        run: &Arc<Run>,
        segment: SegmentId,
        source: SourceSide,
        target: TargetSide,
    ) -> Self {
        Self {
            run: Arc::clone(run),
            parent: None,
            path: RelPath::root(),
            source,
            target,
            segment,
            line: Mutex::new(None),
            finish: None,
            is_put_off: AtomicBool::new(false),
            taken: Mutex::default(),
            is_left_out: false,
            pending: AtomicUsize::new(1),
        }
    }

    /// The node of a directory in another one's, which hands on what holds for all below it.
    pub(crate) fn child(
        parent: &Arc<Self>,
        path: RelPath,
        segment: SegmentId,
        source: SourceSide,
        target: TargetSide,
    ) -> Self {
        let mut node = Self::root(&parent.run, segment, source, target);
        node.parent = Some(Arc::clone(parent));
        node.path = path;
        node.is_left_out = parent.is_left_out;
        if parent.source.is_incomplete() {
            node.source.note_incomplete();
        }
        node
    }

    /// The name that the directory itself has at the destination.
    pub(crate) fn arrives_as(&self) -> &[u8] {
        let name = self.path.file_name();
        self.parent.as_ref().map_or(name, |parent| parent.target.name_of(name))
    }

    /// The open directory of a layer.
    pub(crate) fn layer_dir(&self, layer: u16) -> io::Result<SourceDir> {
        let handle = &self.source.layer(layer).handle;
        handle.get(&self.run.budgets.open_dirs, || self.reopen_layer(layer))
    }

    /// Opens a layer's directory again, from the nearest ancestor that is open down.
    fn reopen_layer(&self, layer: u16) -> io::Result<SourceDir> {
        let mut way = Vec::new();
        let (mut node, mut layer) = (self, layer);
        let mut dir = loop {
            let here = node.source.layer(layer);
            if let Some(open) = here.handle.if_open() {
                break open;
            }
            match (&here.origin, &node.parent) {
                (Origin::Root(place), _) => {
                    break here.handle.get(&self.run.budgets.open_dirs, || place.open())?;
                }
                (Origin::Child { parent_layer, .. }, Some(parent)) => {
                    way.push(here);
                    (node, layer) = (parent, *parent_layer);
                }
                (Origin::Child { .. }, None) => {
                    return Err(io::Error::other("a source directory lies in none"));
                }
            }
        };
        for (left, below) in way.into_iter().enumerate().rev() {
            let Origin::Child { name, through_link, .. } = &below.origin else { continue };
            dir = self.run.open_source(&dir, name, *through_link, OpenedFor::Search)?;
            self.passed(&below.handle, &dir, left)?;
        }
        Ok(dir)
    }

    /// The open directory of a layer of a child that is not in the tree yet.
    pub(crate) fn child_layer_dir(&self, layer: &Layer) -> io::Result<SourceDir> {
        layer.handle.get(&self.run.budgets.open_dirs, || match &layer.origin {
            Origin::Root(place) => place.open(),
            Origin::Child { parent_layer, name, through_link } => {
                let parent = self.layer_dir(*parent_layer)?;
                self.run.open_source(&parent, name, *through_link, OpenedFor::Search)
            }
        })
    }

    /// Checks a directory on the way down. Some stay open, so that whoever comes next has no long
    /// way again, and not all, for there may be thousands. A long way ends when the run does.
    fn passed<D: HeldDir>(&self, handle: &Handle<D>, dir: &D, left: usize) -> io::Result<()> {
        handle.check(dir)?;
        if left > 0 && left.is_multiple_of(KEPT_ON_THE_WAY) {
            if self.run.ending.has_begun() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            handle.keep(&self.run.budgets.open_dirs, dir);
        }
        Ok(())
    }

    /// True when a directory is that of a layer, or one that it lies in. Those of other sources do
    /// not count: nothing leads from them to here.
    pub(crate) fn lies_in(&self, layer: u16, source: &Metadata) -> bool {
        let (mut node, mut layer) = (self, layer);
        while let Some(at) = node.source.layers.get(usize::from(layer)) {
            if at.handle.is_of(source) {
                return true;
            }
            let (Origin::Child { parent_layer, .. }, Some(parent)) = (&at.origin, &node.parent)
            else {
                break;
            };
            (node, layer) = (parent, *parent_layer);
        }
        false
    }

    /// True when the way from the root to a layer leads through a link: what is there may belong
    /// to others.
    pub(crate) fn is_behind_link(&self, layer: u16) -> bool {
        let (mut node, mut layer) = (self, layer);
        while let Some(Origin::Child { parent_layer, through_link, .. }) =
            node.source.layers.get(usize::from(layer)).map(|layer| &layer.origin)
        {
            if *through_link == ThroughLink::Follow {
                return true;
            }
            let Some(parent) = &node.parent else { break };
            (node, layer) = (parent, *parent_layer);
        }
        false
    }

    /// The open directory of the destination; `None` where there is none.
    pub(crate) fn target_dir(&self) -> io::Result<Option<Dir>> {
        let Target::Present { handle, .. } = &self.target.dir else { return Ok(None) };
        handle.get(&self.run.budgets.open_dirs, || self.reopen_target()).map(Some)
    }

    /// Opens the destination directory again, as [`reopen_layer`](Self::reopen_layer) does.
    fn reopen_target(&self) -> io::Result<Dir> {
        let mut way = Vec::new();
        let mut node = self;
        let mut dir = loop {
            let Target::Present { handle, through_link, .. } = &node.target.dir else {
                return Err(io::Error::other("the destination was closed"));
            };
            match (handle.if_open(), through_link, &node.parent) {
                (Some(open), ..) => break open,
                (None, ThroughLink::Follow, _) => {
                    break self.run.destination.open_beneath(&node.path)?;
                }
                (None, ThroughLink::No, Some(parent)) => {
                    way.push((node, handle));
                    node = parent;
                }
                _ => return Err(io::Error::other("the destination was closed")),
            }
        };
        for (left, (below, handle)) in way.into_iter().enumerate().rev() {
            let name = below.arrives_as();
            dir = dir.open_child_to_search(name, AccessTime::Update)?;
            self.passed(handle, &dir, left)?;
        }
        Ok(dir)
    }

    /// Counts its directories among those that are open and may be closed.
    pub(crate) fn lend_directories(&self) {
        let dirs = &self.run.budgets.open_dirs;
        for layer in &self.source.layers {
            layer.handle.lend(dirs);
        }
        if let Target::Present { handle, .. } = &self.target.dir {
            handle.lend(dirs);
        }
    }

    /// Opens directories of the parent again, where they were closed, from those of this node: that
    /// takes two calls, however deep the tree. Who ends a node leads up the tree by it.
    /// Test: `extremes::twenty_thousand_levels_are_copied`.
    pub(crate) fn reopen_parent(&self) {
        let Some(parent) = &self.parent else { return };
        let dirs = &self.run.budgets.open_dirs;
        for layer in &self.source.layers {
            if let Origin::Child { parent_layer, through_link: ThroughLink::No, .. } = layer.origin
            {
                parent.source.layer(parent_layer).handle.open_above(dirs, &layer.handle);
            }
        }
        if let Target::Present { handle, through_link: ThroughLink::No, .. } = &self.target.dir
            && let Target::Present { handle: above, .. } = &parent.target.dir
        {
            above.open_above(dirs, handle);
        }
    }

    /// Closes its directories; they are opened again when they are needed.
    pub(crate) fn close_directories(&self) {
        if self.parent.is_none() {
            return;
        }
        for layer in &self.source.layers {
            layer.handle.close();
        }
        if let Target::Present { handle, .. } = &self.target.dir {
            handle.close();
        }
    }

    /// The path of a layer as a person would look for it.
    fn shown_source(&self, layer: u16) -> Box<[u8]> {
        let mut names: Vec<&[u8]> = Vec::new();
        let (mut node, mut layer) = (self, layer);
        let root = loop {
            match (
                node.source.layers.get(usize::from(layer)).map(|layer| &layer.origin),
                &node.parent,
            ) {
                (Some(Origin::Root(place)), _) => break &place.shown[..],
                (Some(Origin::Child { parent_layer, name, .. }), Some(parent)) => {
                    names.push(name);
                    (node, layer) = (parent, *parent_layer);
                }
                _ => break &b""[..],
            }
        };
        if names.is_empty() {
            return root.into();
        }
        names.reverse();
        join(root, &names.join(&b'/'))
    }

    /// A fault at an entry of a source layer.
    pub(crate) fn source_fault(
        &self,
        verb: Verb,
        layer: u16,
        name: &[u8],
        cause: impl Into<Cause>,
    ) -> Fault {
        let path = join(&self.shown_source(layer), name);
        Fault { side: Side::Source, verb, path, cause: cause.into() }
    }

    /// A fault at an entry of the destination.
    pub(crate) fn target_fault(&self, verb: Verb, name: &[u8], cause: impl Into<Cause>) -> Fault {
        let name = self.target.name_of(name);
        let path = if name == b"." { self.path.clone() } else { self.path.child(name) };
        self.run.destination.fault(verb, &path, cause)
    }

    /// Holds it until all else is done; it waits with its directories closed.
    pub(crate) fn put_off(&self) {
        self.hold();
        self.is_put_off.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_put_off(&self) -> bool {
        self.is_put_off.load(Ordering::Relaxed)
    }

    /// Notes that something has a name at the destination that was thought free.
    pub(crate) fn note_taken(&self, name: &[u8]) {
        if self.is_put_off() {
            self.taken.lock().push(name.into());
        }
    }

    pub(crate) fn taken_names(&self) -> Vec<Box<[u8]>> {
        self.taken.lock().clone()
    }

    /// One more task or child to wait for.
    pub(crate) fn hold(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// True while tasks or children are not done.
    pub(crate) fn is_held(&self) -> bool {
        self.pending.load(Ordering::Acquire) > 0
    }

    /// One task or child less; true when it was the last.
    pub(crate) fn release(&self) -> bool {
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Drop for Node {
    /// The ancestors that go with it go one after the other: dropped within one another they would
    /// need a stack as deep as the tree.
    /// Test: `extremes::twenty_thousand_levels_are_looked_at`.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(mut node) = parent.and_then(Arc::into_inner) {
            parent = node.parent.take();
        }
    }
}

impl Run {
    /// Whether reading the source may update access times.
    pub(crate) fn access_time(&self) -> AccessTime {
        // With -U reading must not change what is to be brought over.
        let keeps = self.settings.traverse.open_noatime || self.settings.preserve.atimes.files;
        if keeps { AccessTime::Keep } else { AccessTime::Update }
    }

    /// Opens a directory of the source.
    pub(crate) fn open_source(
        &self,
        parent: &SourceDir,
        name: &[u8],
        through_link: ThroughLink,
        opened_for: OpenedFor,
    ) -> io::Result<SourceDir> {
        match (through_link, opened_for) {
            (ThroughLink::No, OpenedFor::Listing) => parent.open_child(name, self.access_time()),
            (ThroughLink::No, OpenedFor::Search) => {
                parent.open_child_to_search(name, self.access_time())
            }
            (ThroughLink::Follow, OpenedFor::Listing) => parent.open_child_following(name),
            (ThroughLink::Follow, OpenedFor::Search) => parent.open_child_following_to_search(name),
        }
    }

    /// Looks at an entry of the source, or at what a link leads to.
    pub(crate) fn look_at_source(
        &self,
        dir: &SourceDir,
        name: &[u8],
        is_followed: bool,
    ) -> io::Result<Metadata> {
        if is_followed { dir.stat_following(name) } else { self.stat_source(dir, name) }
    }
}
