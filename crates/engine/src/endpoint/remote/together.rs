//! Small files of one directory that are asked for together: most of what a small file costs on its way
//! is not its content, but what is done for each request.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use model::{Kind, Metadata};
use parking_lot::Mutex;
use wire::limits::INLINE_ATTRIBUTES_BYTES;
use wire::{Answer, Content, FetchedFile, FetchedSome, Request, Room};

use super::attributes::ATTRIBUTES_AND_ACLS;
use super::file::{Needs, RemoteFile};
use super::known::Known;
use super::{Pending, Share, foreign};
use crate::endpoint::sums;

/// Files of one request: enough that requests do not matter, few enough that those of a directory are
/// read by several threads.
const FILES: usize = 32;

/// Room of one request: what is written by one worker, one file after the other, while others come.
const ROOM_BYTES: u32 = 128 << 10;

/// Files on their way, by their number.
#[derive(Debug)]
pub(super) struct Together {
    pending: Mutex<Option<Pending>>,
    came: OnceLock<Vec<Option<Whole>>>,
}

/// All of a file.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) before: Arc<Known>,
    pub(super) content: Part,
    pub(super) after: Metadata,
}

/// The part of content that came which is that of one file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    came: Arc<Came>,
    range: Range<u64>,
}

#[derive(Debug)]
struct Came {
    pieces: Vec<Content>,
    /// Held for as long as the content is.
    _ahead: Option<Share>,
}

/// Files that are to be asked for by one request.
struct Group<'a> {
    files: Vec<(&'a RemoteFile, Room<0>)>,
    room_bytes: u32,
    told_bytes: usize,
}

impl<'a> Group<'a> {
    fn of(file: &'a RemoteFile, needs: Needs) -> Self {
        let Needs { room, told_bytes } = needs;
        Self { files: vec![(file, room)], room_bytes: room.bytes(), told_bytes }
    }

    /// False if it does not go with those.
    fn add(&mut self, file: &'a RemoteFile) -> bool {
        let (first, _) = self.files[0];
        let Some(needs) = file.needs() else { return false };
        let room_bytes = self.room_bytes + needs.room.bytes();
        let told_bytes = self.told_bytes + needs.told_bytes;
        let is_full = room_bytes > ROOM_BYTES
            || told_bytes > INLINE_ATTRIBUTES_BYTES
            || self.files.len() == FILES;
        if is_full || !first.lies_beside(file) {
            return false;
        }
        self.files.push((file, needs.room));
        (self.room_bytes, self.told_bytes) = (room_bytes, told_bytes);
        true
    }

    /// Asks for them. Says of how many; of none if there is no room for that now.
    fn begin(self, is_ahead: bool) -> usize {
        let (first, _) = self.files[0];
        let (remote, count) = (first.remote(), self.files.len());
        if count == 1 {
            return usize::from(first.begin());
        }
        let Some(request) = self.request() else { return 0 };
        let pending = if is_ahead {
            remote.start_ahead(request, self.room_bytes.into())
        } else {
            remote.start_wanted(request, self.room_bytes.into())
        };
        let Some(pending) = pending else { return 0 };
        let together = Together { pending: Mutex::new(Some(pending)), came: OnceLock::new() };
        let together = Arc::new(together);
        for (number, (file, room)) in self.files.into_iter().enumerate() {
            file.comes_with(&together, number, room);
        }
        count
    }

    fn request(&self) -> Option<Request> {
        let (first, _) = self.files[0];
        let names = self.files.iter().map(|(file, _)| file.at().at.name.clone()).collect();
        let wants = first.remote().wants & ATTRIBUTES_AND_ACLS;
        Some(Request::FetchSome {
            dir: first.at().at.dir,
            names: wire::List::new(names).ok()?,
            atime: first.at().atime,
            wants,
            room: Room::new(self.room_bytes).ok()?,
        })
    }
}

/// Asks for files that will be read, small ones together: for `now`, which is wanted at once and for which
/// nothing is too much, and for those behind it as far as there is room. Says of how many of these.
pub(super) fn begin<'a>(
    now: Option<&'a RemoteFile>,
    later: impl Iterator<Item = &'a RemoteFile>,
) -> usize {
    let mut files = now.into_iter().chain(later).peekable();
    let (mut begun, mut is_ahead) = (0, now.is_none());
    while let Some(first) = files.next() {
        let count = match first.needs() {
            Some(needs) => {
                let mut group = Group::of(first, needs);
                while files.next_if(|file| group.add(file)).is_some() {}
                group.begin(is_ahead)
            }
            None => usize::from(first.begin()),
        };
        if count == 0 {
            break;
        }
        begun += count;
        is_ahead = true;
    }
    begun.saturating_sub(usize::from(now.is_some()))
}

impl Together {
    /// One of the files; `None` if it did not come, or not as it was read.
    pub(super) fn file(&self, number: usize) -> Option<Whole> {
        self.came.get_or_init(|| self.wait().unwrap_or_default()).get(number)?.clone()
    }

    fn wait(&self) -> Option<Vec<Option<Whole>>> {
        let pending = self.pending.lock().take()?;
        let remote = Arc::clone(&pending.remote);
        // Each is asked for alone then, and told why it does not come.
        let (Ok(Answer::FetchedSome(fetched)), ahead) = pending.wait_and_hold() else {
            return None;
        };
        let FetchedSome { files, pieces, sum } = fetched;
        if sums::of_pieces(&pieces) != sum {
            remote.note_repair();
            return None;
        }
        let came = Arc::new(Came { pieces, _ahead: ahead });
        let mut end = 0;
        let mut whole = |file: FetchedFile| {
            let range = end..end + file.bytes;
            end = range.end;
            let before = file.before.metadata;
            // The sum is that of all content: which of it is whose is believed only so far.
            let is_all = file.bytes == before.size;
            let is_so_far = is_all || (file.after.is_some() && file.bytes < before.size);
            let after = foreign(file.after.unwrap_or(before));
            let content = Part { came: Arc::clone(&came), range };
            let whole = Whole { before: Arc::new(Known::from(*file.before)), content, after };
            (before.kind == Kind::File && is_so_far).then_some(whole)
        };
        Some(files.into_iter().map(|file| file.and_then(&mut whole)).collect())
    }
}

impl Part {
    /// All of the content that came for one file.
    pub(super) fn all(pieces: Vec<Content>) -> Self {
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { came: Arc::new(Came { pieces, _ahead: None }), range: 0..bytes }
    }

    /// Reads until `buffer` is full or the content ends.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let start = self.range.start.saturating_add(offset);
        let len = self.range.end.saturating_sub(start).min(buffer.len() as u64);
        let buffer =
            &mut buffer[..usize::try_from(len).expect("it is no more than the buffer has")];
        let (mut filled, mut begin) = (0, 0);
        for piece in &self.came.pieces {
            let at = start + filled as u64;
            let end = begin + piece.len() as u64;
            if at < end && filled < buffer.len() {
                let passed = usize::try_from(at - begin).expect("it is within a piece");
                let read = (piece.len() - passed).min(buffer.len() - filled);
                buffer[filled..filled + read].copy_from_slice(&piece[passed..passed + read]);
                filled += read;
            }
            begin = end;
        }
        filled
    }
}
