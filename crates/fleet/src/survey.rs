//! Asks a lister for a whole tree, many directories at a time.
//!
//! A directory counts what is still to be told of it: its parts and its sub-directories. Whichever ends
//! last completes it and hands it to the one above, so nobody waits for anybody.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use filter::{NodeKind, Perishable, Rules, Scope, Side};
use model::{Cause, Fault, Kind, Verb};
use parking_lot::Mutex;
use sched::{Cancel, Class, Context, End, Task, Workers};

use crate::amount::{Amount, By, Caps};
use crate::folder::{Detail, Folder, Linked, Loose, NamesFound};
use crate::lister::{Below, Covers, Found, Lister, Refused, TellError, Why};
use crate::partition::ITEMS_PER_BUCKET;

/// The longest path below the root, bytes: no mover takes a longer one (limits.h, `PATH_MAX`).
const PATH_BYTES_MAX: usize = 4095;

/// What a survey is to do.
#[derive(Debug)]
pub struct Settings {
    /// How many are told at once.
    pub workers: Workers,
    /// What is left out.
    pub rules: Arc<Rules>,
    /// The root as it reads from `/`, which rules may name.
    pub root: Vec<u8>,
    /// Whether directories that file servers show their snapshots in are left out.
    pub leaves_out_snapshots: bool,
    /// Directories so far below the root are not cut; the root is 0.
    pub depth: Option<u32>,
    /// Whether every entry is to be told, whatever sums are known.
    pub needs_leaves: bool,
    /// What a sum is measured by.
    pub by: By,
    /// Which directories are opened although their sum is known beforehand.
    pub opened: Opened,
}

/// Which directories are opened although their sum is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Those that do not fit.
    Above(Caps),
    /// Those that weigh more than an item of one of so many buckets may.
    ForBuckets(usize),
}

/// What is done with a directory as soon as it is known.
pub trait Keep: Send + Sync + 'static {
    /// All of it is known; gives what is to be remembered of it.
    fn complete(&self, path: &[u8], folder: Folder) -> Folder {
        let _ = path;
        folder
    }

    /// More of what lies in it is known, and may be taken from it: then it is to count that in its sum.
    fn grown(&self, path: &[u8], folder: &mut Folder) {
        let _ = (path, folder);
    }
}

/// Keeps all that is known.
#[derive(Clone, Copy, Debug)]
pub struct KeepAll;

impl Keep for KeepAll {}

/// What a survey found.
#[derive(Debug)]
pub struct Surveyed {
    /// The root with all that lies below.
    pub root: Folder,
    /// How many names of each file with several names were found.
    pub links: NamesFound,
    /// Directories of snapshots that were left out.
    pub snapshots: u64,
    /// Faults that were told.
    pub faults: u64,
    /// Directories that were told.
    pub directories: u64,
}

/// Why a tree is not known, and how far it was.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Unfinished {
    /// Why.
    pub why: Refused,
    /// Directories that were told.
    pub directories: u64,
}

impl From<Refused> for Unfinished {
    fn from(why: Refused) -> Self {
        Self { why, directories: 0 }
    }
}

/// Who hears of faults, as they come and from any worker.
pub type HearFault = Arc<dyn Fn(Fault) + Send + Sync>;

/// Asks for the whole tree. Faults are told as they come, and the survey goes on.
///
/// Fails when nothing more can be told, or when it is stopped. In the first case it pulls `cancel`, so that
/// whoever keeps what is told, and makes others wait meanwhile, hears of it: that is a part of the run, if the
/// rest is to go on.
pub fn survey<L: Lister, K: Keep>(
    lister: &Arc<L>,
    settings: Settings,
    keep: Arc<K>,
    faults: HearFault,
    cancel: &Cancel,
) -> Result<Surveyed, Unfinished> {
    let root = lister.root()?;
    let scope = Scope::root(Arc::clone(&settings.rules), &settings.root);
    let workers = settings.workers;
    let shared = Arc::new(Shared {
        lister: Arc::clone(lister),
        needs_all: settings.needs_leaves || !scope.is_empty() || lister.covers() == Covers::Told,
        scope,
        weight_of_item: match settings.opened {
            Opened::Above(_) | Opened::ForBuckets(1) => u64::MAX,
            Opened::ForBuckets(count) => root.total.map_or(0, |total| {
                settings.by.weight(total) / ITEMS_PER_BUCKET / count.max(1) as u64
            }),
        },
        settings,
        keep,
        hear_fault: faults,
        links: Mutex::default(),
        snapshots: AtomicU64::new(0),
        faults: AtomicU64::new(0),
        directories: AtomicU64::new(1),
        over: Mutex::default(),
        done: Mutex::default(),
    });
    let node = Arc::new(Node::new(None, b"", Box::default()));
    let first = Step { shared: Arc::clone(&shared), node, part: root.part };
    let run = sched::Settings { workers, ..sched::Settings::default() };
    let outcome = sched::run(&run, cancel, [first]);
    let directories = shared.directories.load(Ordering::Relaxed);
    if let Some(why) = shared.over.lock().take() {
        return Err(Unfinished { why, directories });
    }
    let done = shared.done.lock().take();
    match (outcome.end, done) {
        (End::Done, Some(root)) => Ok(Surveyed {
            root,
            links: mem::take(&mut shared.links.lock()),
            snapshots: shared.snapshots.load(Ordering::Relaxed),
            faults: shared.faults.load(Ordering::Relaxed),
            directories,
        }),
        (End::Panicked(what), _) => {
            let sentence = format!("a bug of lanesync ended the run: {what}");
            Err(Unfinished { why: Refused { why: Why::Internal, sentence }, directories })
        }
        _ => {
            let sentence = "it was stopped".to_owned();
            Err(Unfinished { why: Refused { why: Why::Stopped, sentence }, directories })
        }
    }
}

struct Shared<L, K> {
    lister: Arc<L>,
    settings: Settings,
    /// The rules are those of the command line alone, so they are the same everywhere.
    scope: Scope,
    /// Whether a sum that is known beforehand says too little.
    needs_all: bool,
    weight_of_item: u64,
    keep: Arc<K>,
    hear_fault: HearFault,
    links: Mutex<NamesFound>,
    snapshots: AtomicU64,
    faults: AtomicU64,
    directories: AtomicU64,
    over: Mutex<Option<Refused>>,
    done: Mutex<Option<Folder>>,
}

struct Node {
    parent: Option<Arc<Self>>,
    path: Box<[u8]>,
    depth: u32,
    /// Parts and sub-directories that are still to be told.
    pending: AtomicUsize,
    folder: Mutex<Folder>,
    /// Something of it could not be told.
    is_torn: AtomicBool,
    is_gone: AtomicBool,
}

impl Node {
    fn new(parent: Option<&Arc<Self>>, name: &[u8], path: Box<[u8]>) -> Self {
        Self {
            parent: parent.cloned(),
            path,
            depth: parent.map_or(0, |parent| parent.depth + 1),
            pending: AtomicUsize::new(1),
            folder: Mutex::new(Folder::new(name)),
            is_torn: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        }
    }
}

struct Step<L: Lister, K> {
    shared: Arc<Shared<L, K>>,
    node: Arc<Node>,
    part: L::Part,
}

/// What one part told.
struct Heard<P> {
    loose: Loose,
    linked: Vec<Linked>,
    folders: Vec<Folder>,
    below: Vec<(Arc<Node>, P)>,
    is_complete: bool,
    count: u32,
}

impl<L: Lister, K: Keep> Task for Step<L, K> {
    fn run(self, cx: &Context<'_, Self>) {
        let Self { shared, node, part } = self;
        let mut heard = Heard {
            loose: Loose::default(),
            linked: Vec::new(),
            folders: Vec::new(),
            below: Vec::new(),
            is_complete: true,
            count: 0,
        };
        let mut path = node.path.to_vec();
        let begun = Instant::now();
        let told = shared.lister.tell(part, &mut |found| {
            shared.hear(&node, &mut path, &mut heard, found);
        });
        cx.sample(Class::new(0), begun.elapsed(), heard.count + 1);
        for fault in shared.lister.take_faults() {
            shared.tell(fault);
        }
        let parts = match told {
            Ok(parts) => parts,
            Err(TellError::Fault(fault)) => {
                shared.note(&node, fault);
                Vec::new()
            }
            Err(TellError::Over(refused)) => {
                shared.over.lock().get_or_insert(refused);
                cx.cancel().cancel();
                return;
            }
        };
        let Heard { loose, linked, folders, below, is_complete, .. } = heard;
        node.pending.fetch_add(below.len() + parts.len(), Ordering::Relaxed);
        {
            let mut folder = node.folder.lock();
            if folder.loose.is_empty() {
                folder.loose = loose;
            } else {
                folder.loose.append(&loose);
            }
            folder.linked.extend(linked);
            folder.folders.extend(folders);
            folder.is_complete &= is_complete;
            if !shared.is_deep(&node) {
                shared.keep.grown(&node.path, &mut folder);
            }
        }
        shared.directories.fetch_add(below.len() as u64, Ordering::Relaxed);
        for part in parts {
            cx.spawn(Self { shared: Arc::clone(&shared), node: Arc::clone(&node), part });
        }
        for (node, part) in below {
            cx.spawn(Self { shared: Arc::clone(&shared), node, part });
        }
        shared.let_go(node);
    }
}

impl<L: Lister, K: Keep> Shared<L, K> {
    /// Takes an entry in. `path` is that of the directory, and is so again afterwards.
    fn hear(
        &self,
        node: &Arc<Node>,
        path: &mut Vec<u8>,
        heard: &mut Heard<L::Part>,
        found: Found<'_, L::Part>,
    ) {
        let Found { name, kind, bytes, links, below } = found;
        heard.count += 1;
        let len = path.len();
        if len > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if self.is_left_out(path, name, kind) {
            heard.is_complete = false;
        } else if kind == Kind::Directory {
            self.hear_directory(node, path, heard, name, below);
        } else if let Some(links) = links {
            let bytes = if self.links.lock().add(links) { bytes } else { 0 };
            heard.linked.push(Linked { name: name.into(), kind, bytes, links });
        } else {
            heard.loose.push(name, kind, bytes);
        }
        path.truncate(len);
    }

    fn hear_directory(
        &self,
        node: &Arc<Node>,
        path: &[u8],
        heard: &mut Heard<L::Part>,
        name: &[u8],
        below: Below<L::Part>,
    ) {
        if path.len() > PATH_BYTES_MAX {
            let reason =
                "its path is longer than any mover takes (4095 bytes); rename a directory above it";
            self.tell(Fault {
                side: model::Side::Source,
                verb: Verb::OpenDirectory,
                path: self.lister.full_path(path).into(),
                cause: Cause::Refused(reason.into()),
            });
            return heard.folders.push(Folder::new(name));
        }
        match below {
            Below::Nothing => heard.folders.push(Folder::new(name)),
            Below::LeftOut => {
                heard.is_complete = false;
                heard.folders.push(Folder { is_complete: false, ..Folder::new(name) });
            }
            Below::Known(total, _) if self.goes_whole(node, total) => {
                heard.folders.push(Folder::closed(name, total));
            }
            Below::Known(_, part) | Below::Unknown(part) => {
                heard.below.push((Arc::new(Node::new(Some(node), name, path.into())), part));
            }
        }
    }

    /// True for a directory below `node` of which nothing more needs to be known than its sum.
    fn goes_whole(&self, node: &Node, total: Amount) -> bool {
        let is_deep = self.settings.depth.is_some_and(|depth| node.depth + 1 >= depth);
        let is_small = match self.settings.opened {
            Opened::Above(caps) => caps.hold(total),
            Opened::ForBuckets(_) => self.settings.by.weight(total) <= self.weight_of_item,
        };
        !self.needs_all && (is_deep || is_small)
    }

    fn is_left_out(&self, path: &[u8], name: &[u8], kind: Kind) -> bool {
        let is_directory = kind == Kind::Directory;
        if self.settings.leaves_out_snapshots && is_directory && shows_snapshots(name) {
            self.snapshots.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        if self.scope.is_empty() {
            return false;
        }
        let node = if is_directory { NodeKind::Directory } else { NodeKind::Other };
        self.scope.check(path, node, Side::Sender, Perishable::Honoured).is_excluded()
    }

    fn note(&self, node: &Node, fault: Fault) {
        node.is_torn.store(true, Ordering::Relaxed);
        let is_own = fault.path.as_ref() == self.lister.full_path(&node.path).as_slice();
        if fault.is_vanished() && is_own {
            node.is_gone.store(true, Ordering::Relaxed);
        }
        self.tell(fault);
    }

    fn tell(&self, fault: Fault) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        (self.hear_fault)(fault);
    }

    /// A part of a directory, or a directory below it, is done.
    fn let_go(&self, mut node: Arc<Node>) {
        while node.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            let folder = mem::replace(&mut *node.folder.lock(), Folder::new(b""));
            let folder = self.complete(&node, folder);
            let Some(parent) = &node.parent else {
                *self.done.lock() = Some(folder);
                return;
            };
            if !node.is_gone.load(Ordering::Relaxed) {
                let mut above = parent.folder.lock();
                above.folders.push(folder);
                if !self.is_deep(parent) {
                    self.keep.grown(&parent.path, &mut above);
                }
            }
            let parent = Arc::clone(parent);
            node = parent;
        }
    }

    /// True where no line may stand for more than one entry.
    fn needs_lines(&self) -> bool {
        self.settings.needs_leaves || self.lister.covers() == Covers::Told
    }

    /// True where a directory is not to be cut, and so not to be handed out in parts.
    fn is_deep(&self, node: &Node) -> bool {
        self.settings.depth.is_some_and(|depth| node.depth >= depth) && !self.needs_lines()
    }

    fn complete(&self, node: &Node, mut folder: Folder) -> Folder {
        folder.settle();
        let is_handed_out = |folder: &Folder| folder.detail == Detail::HandedOut;
        let is_begun = is_handed_out(&folder) || folder.folders.iter().any(is_handed_out);
        let is_torn = node.is_torn.load(Ordering::Relaxed);
        if is_torn && folder.is_complete && !is_begun && !self.needs_lines() {
            folder.detail = Detail::Torn;
        } else if folder.detail == Detail::Known
            && self.settings.depth.is_some_and(|depth| node.depth >= depth)
            && folder.is_complete
            && !self.needs_lines()
        {
            folder.detail = Detail::Uncut;
        }
        self.keep.complete(&node.path, folder)
    }
}

/// Names under which file servers show what a directory was like before.
fn shows_snapshots(name: &[u8]) -> bool {
    name == b".zfs" || name.starts_with(b".snapshot")
}
