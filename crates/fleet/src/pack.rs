//! Buckets of a size, handed out as soon as they are full, while the survey goes on.
//!
//! A directory that fits into a bucket stays one line, whatever lies below; one that does not is handed
//! out in parts as soon as it is known, and forgotten. So what is remembered grows with the directories
//! that are on their way, not with the tree. Files with several names wait until all of them were seen.

use std::collections::HashMap;
use std::mem;

use model::{Inode, Kind};
use parking_lot::Mutex;

use crate::amount::{Amount, Caps};
use crate::cut::{Wholes, joined, single, split, whole};
use crate::folder::{Detail, Folder};
use crate::line::{Line, Span};
use crate::survey::Keep;

/// Buckets that are filled at the same time: what does not fit into one may fit into another.
const OPEN_BUCKETS: usize = 8;

/// Entries of one directory that are remembered, so that it can go whole. One with more is handed out in
/// parts: 250,000 take about 10 MiB, of the 64 that a run may take.
const REMEMBERED_MAX: usize = 250_000;

/// Where buckets are filled.
pub trait Shelf: Send + 'static {
    /// A bucket that is being filled.
    type Bucket: Send;

    /// Why a bucket cannot be filled.
    type Error: Send;

    /// Begins a bucket. The first has number 1.
    fn begin(&mut self, number: u64) -> Result<Self::Bucket, Self::Error>;

    /// Adds a line.
    fn add(&mut self, bucket: &mut Self::Bucket, line: &Line<'_>) -> Result<(), Self::Error>;

    /// It is full, or nothing more comes.
    fn hand_out(&mut self, bucket: Self::Bucket, amount: Amount) -> Result<(), Self::Error>;
}

/// How much buckets may hold: as they are many or few, while nobody knows how many there will be.
pub trait Room: Send + Sync + 'static {
    /// How much, when about so much of the tree is known. With more it is not less.
    fn caps(&self, known: Amount) -> Caps;
}

/// The same all the time.
impl Room for Caps {
    fn caps(&self, _known: Amount) -> Caps {
        *self
    }
}

/// Fills buckets while a survey goes on.
pub struct Packer<S: Shelf> {
    room: Box<dyn Room>,
    /// What is known of the tree, and a little more: what lies below a directory that was handed out early
    /// counts for both.
    known: Mutex<Amount>,
    wholes: Wholes,
    filling: Mutex<Filling<S>>,
    stop: sched::Cancel,
}

struct Filling<S: Shelf> {
    shelf: S,
    wholes: Wholes,
    open: Vec<Open<S::Bucket>>,
    begun: u64,
    groups: HashMap<Inode, Group>,
    /// The first that went wrong.
    error: Option<S::Error>,
}

struct Open<B> {
    bucket: B,
    amount: Amount,
    class: Class,
}

/// Lines that no bucket may have both of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A mover goes down into the directories that it is given.
    Usual,
    /// It must not, since what lies there is left out.
    Bare,
}

/// The names of a file that has several.
#[derive(Debug, Default)]
struct Group {
    names: Vec<Box<[u8]>>,
    kind: Option<Kind>,
    bytes: u64,
}

impl<S: Shelf> Packer<S> {
    /// A packer that has not begun; `stop` is pulled when a bucket cannot be written.
    pub fn new(room: impl Room, wholes: Wholes, shelf: S, stop: sched::Cancel) -> Self {
        let (room, known) = (Box::new(room), Mutex::default());
        let groups = HashMap::new();
        let filling = Filling { shelf, wholes, open: Vec::new(), begun: 0, groups, error: None };
        Self { room, known, wholes, filling: Mutex::new(filling), stop }
    }

    /// Hands out what is left, when all is known. Without a root, since the survey has failed, what is not
    /// full is dropped.
    ///
    /// Fails with the first that could not be written.
    pub fn finish(self, root: Option<&Folder>) -> (S, Result<(), S::Error>) {
        let caps = self.caps();
        let mut filling = self.filling.into_inner();
        if let Some(root) = root {
            if root.detail != Detail::HandedOut {
                filling.add(caps, root.total, Class::Usual, &[whole(b"", root, self.wholes)]);
            }
            let groups = mem::take(&mut filling.groups);
            filling.hand_out_groups(caps, groups.into_values());
            while let Some(open) = filling.open.pop() {
                filling.hand_out(open);
            }
        }
        (filling.shelf, filling.error.map_or(Ok(()), Err))
    }
}

impl<S: Shelf> Packer<S> {
    fn caps(&self) -> Caps {
        self.room.caps(*self.known.lock())
    }

    /// Counts what lies in a directory, and the directory itself, but not what lies below others in it.
    fn know(&self, folder: &Folder) -> Caps {
        let below: Amount = folder.folders.iter().map(|folder| folder.total).sum();
        let Amount { entries, bytes } = folder.total;
        let own = Amount {
            entries: entries.saturating_sub(below.entries),
            bytes: bytes.saturating_sub(below.bytes),
        };
        let mut known = self.known.lock();
        *known += own;
        self.room.caps(*known)
    }
}

impl<S: Shelf> Keep for Packer<S> {
    fn complete(&self, path: &[u8], mut folder: Folder) -> Folder {
        let caps = self.know(&folder);
        let is_begun = folder.detail == Detail::HandedOut
            || folder.folders.iter().any(|below| below.detail == Detail::HandedOut);
        if folder.is_empty() && folder.is_complete {
            return folder;
        }
        let may_go_whole = match folder.detail {
            Detail::Known => self.wholes == Wholes::Allowed && caps.of_a_whole().hold(folder.total),
            Detail::Uncut | Detail::Torn => self.wholes == Wholes::Allowed,
            Detail::Closed | Detail::HandedOut => true,
        };
        if !is_begun && may_go_whole && folder.is_complete {
            if folder.has_links && has_names_elsewhere(&folder) && !path.is_empty() {
                // Whether it goes whole is known when the rest of its files' names are.
                return folder;
            }
            let is_torn = folder.detail == Detail::Torn;
            folder.close();
            if is_torn {
                folder.detail = Detail::Torn;
            }
            return folder;
        }
        let mut filling = self.filling.lock();
        filling.take_apart(caps, path, &mut folder);
        if filling.error.is_some() {
            self.stop.cancel();
        }
        folder
    }

    fn grown(&self, path: &[u8], folder: &mut Folder) {
        let most = folder.loose.len().max(folder.folders.len()).max(folder.linked.len());
        let (is_wide, caps) = (most > REMEMBERED_MAX, self.caps());
        if caps.of_a_whole().hold(folder.loose.total()) && !is_wide {
            return;
        }
        let mut filling = self.filling.lock();
        filling.take_loose(caps, path, folder);
        filling.take_linked(caps, path, folder);
        filling.take_folders(caps, path, folder);
        folder.detail = Detail::HandedOut;
        if filling.error.is_some() {
            self.stop.cancel();
        }
    }
}

impl<S: Shelf> Filling<S> {
    /// Hands out what lies in a directory, each for itself, and the directory itself.
    fn take_apart(&mut self, caps: Caps, path: &[u8], folder: &mut Folder) {
        let total = folder.total;
        let is_bare = folder.is_empty() && !folder.is_complete;
        let (span, class) =
            if is_bare { (Span::Bare, Class::Bare) } else { (Span::Alone, Class::Usual) };
        let ((above, name), amount) = (split(path), Amount::of_one(0));
        let itself = Line { folder: above, name, kind: Kind::Directory, span, amount };
        self.add(caps, amount, class, &[itself]);
        self.take_loose(caps, path, folder);
        self.take_linked(caps, path, folder);
        self.take_folders(caps, path, folder);
        folder.close();
        folder.total = total;
        folder.detail = Detail::HandedOut;
    }

    /// Hands out the loose entries of a directory, and counts them there.
    fn take_loose(&mut self, caps: Caps, path: &[u8], folder: &mut Folder) {
        for entry in mem::take(&mut folder.loose).iter() {
            let span = self.wholes.of_entry();
            let line = Line { span, ..single(path, entry.name, entry.kind, entry.bytes) };
            folder.total += line.amount;
            self.add(caps, line.amount, Class::Usual, &[line]);
        }
    }

    /// Takes the names of files that have several, and counts them there; hands out those of which all names
    /// are known.
    fn take_linked(&mut self, caps: Caps, path: &[u8], folder: &mut Folder) {
        let mut complete = Vec::new();
        for linked in mem::take(&mut folder.linked) {
            folder.total += Amount::of_one(linked.bytes);
            let group = self.groups.entry(linked.links.inode).or_default();
            if group.names.is_empty() {
                // Many files wait like this, most with one name.
                group.names.reserve_exact(1);
            }
            group.names.push(joined(path, &linked.name).into());
            group.kind = Some(linked.kind);
            group.bytes = group.bytes.saturating_add(linked.bytes);
            if group.names.len() as u64 >= linked.links.count {
                complete.extend(self.groups.remove(&linked.links.inode));
            }
        }
        self.hand_out_groups(caps, complete);
    }

    /// Hands out the directories below one, and counts them there.
    fn take_folders(&mut self, caps: Caps, path: &[u8], folder: &mut Folder) {
        for mut below in mem::take(&mut folder.folders) {
            folder.total += below.total;
            folder.is_complete &= below.is_complete;
            if below.detail == Detail::HandedOut {
                continue;
            }
            let is_closed = matches!(below.detail, Detail::Closed | Detail::Torn);
            if is_closed || (below.is_complete && !has_names_elsewhere(&below)) {
                self.add(caps, below.total, Class::Usual, &[whole(path, &below, self.wholes)]);
            } else {
                self.take_apart(caps, &joined(path, &below.name), &mut below);
            }
        }
    }

    fn hand_out_groups(&mut self, caps: Caps, groups: impl IntoIterator<Item = Group>) {
        for group in groups {
            let amount = Amount { entries: group.names.len() as u64, bytes: group.bytes };
            let kind = group.kind.unwrap_or(Kind::File);
            let mut bytes = group.bytes;
            let lines = group.names.iter().map(|path| {
                let (folder, name) = split(path);
                let span = self.wholes.of_entry();
                Line { span, ..single(folder, name, kind, mem::take(&mut bytes)) }
            });
            let lines: Vec<Line<'_>> = lines.collect();
            self.add(caps, amount, Class::Usual, &lines);
        }
    }

    /// Puts lines that stay together into the first bucket that has room.
    fn add(&mut self, caps: Caps, amount: Amount, class: Class, lines: &[Line<'_>]) {
        if self.error.is_none()
            && let Err(error) = self.try_add(caps, amount, class, lines)
        {
            self.error = Some(error);
        }
    }

    fn try_add(
        &mut self,
        caps: Caps,
        amount: Amount,
        class: Class,
        lines: &[Line<'_>],
    ) -> Result<(), S::Error> {
        let has_room =
            |open: &Open<S::Bucket>| open.class == class && caps.hold(open.amount + amount);
        let index = match self.open.iter().position(has_room) {
            Some(index) => index,
            None => self.begin(class)?,
        };
        let open = &mut self.open[index];
        open.amount += amount;
        for line in lines {
            self.shelf.add(&mut open.bucket, line)?;
        }
        if caps.are_nearly_met_by(open.amount) {
            let open = self.open.remove(index);
            self.shelf.hand_out(open.bucket, open.amount)?;
        }
        Ok(())
    }

    fn begin(&mut self, class: Class) -> Result<usize, S::Error> {
        if self.open.len() >= OPEN_BUCKETS {
            // The oldest has been passed by most often.
            let open = self.open.remove(0);
            self.shelf.hand_out(open.bucket, open.amount)?;
        }
        self.begun += 1;
        let bucket = self.shelf.begin(self.begun)?;
        self.open.push(Open { bucket, amount: Amount::default(), class });
        Ok(self.open.len() - 1)
    }

    fn hand_out(&mut self, open: Open<S::Bucket>) {
        if self.error.is_none()
            && let Err(error) = self.shelf.hand_out(open.bucket, open.amount)
        {
            self.error = Some(error);
        }
    }
}

/// True where a file below has names that were not found below.
fn has_names_elsewhere(folder: &Folder) -> bool {
    if !folder.has_links {
        return false;
    }
    let mut seen: HashMap<Inode, (u64, u64)> = HashMap::new();
    let mut open = vec![folder];
    while let Some(folder) = open.pop() {
        for linked in &folder.linked {
            let (seen, count) = seen.entry(linked.links.inode).or_default();
            (*seen, *count) = (*seen + 1, linked.links.count);
        }
        open.extend(folder.folders.iter().filter(|folder| folder.has_links));
    }
    seen.values().any(|(seen, count)| seen < count)
}

#[cfg(test)]
mod tests;
