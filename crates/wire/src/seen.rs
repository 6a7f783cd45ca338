//! What the serving side tells of an entry.

use bitflags::bitflags;
use model::{DeviceNumber, Kind, Metadata, Timestamp};

use crate::bounded::{AttributeName, AttributeValue, LinkText, List, Name, check_length};
use crate::codec::{Codec, Malformed, Reader, choice, encode, record};
use crate::io_fault::{FaultKind, IoFault};
use crate::limits::{
    ATTRIBUTES, ATTRIBUTES_BYTES, CONTENT_BYTES, INLINE_ATTRIBUTES_BYTES, PAGE_ENTRIES,
};

choice!(Kind, "kind of entry":
    1 => File,
    2 => Directory,
    3 => Symlink,
    4 => CharDevice,
    5 => BlockDevice,
    6 => Fifo,
    7 => Socket,
);

record!(DeviceNumber { major, minor });

impl Codec for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.secs.write(out);
        self.nanos.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let secs = i64::read(reader)?;
        let nanos = at_most(u32::read(reader)?, 999_999_999, "nanoseconds of a time")?;
        Ok(Self { secs, nanos })
    }
}

impl Codec for Metadata {
    fn write(&self, out: &mut Vec<u8>) {
        self.kind.write(out);
        self.mode.write(out);
        self.uid.write(out);
        self.gid.write(out);
        self.size.write(out);
        self.mtime.write(out);
        self.atime.write(out);
        self.rdev.write(out);
        self.dev.write(out);
        self.ino.write(out);
        self.nlink.write(out);
        self.allocated_blocks.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            kind: Codec::read(reader)?,
            mode: at_most(Codec::read(reader)?, 0o7777, "a mode")?,
            uid: Codec::read(reader)?,
            gid: Codec::read(reader)?,
            size: file_offset(Codec::read(reader)?)?,
            mtime: Codec::read(reader)?,
            atime: Codec::read(reader)?,
            rdev: Codec::read(reader)?,
            dev: Codec::read(reader)?,
            ino: Codec::read(reader)?,
            nlink: Codec::read(reader)?,
            allocated_blocks: Codec::read(reader)?,
        })
    }
}

fn at_most(value: u32, limit: u32, what: &'static str) -> Result<u32, Malformed> {
    let (is_within, value_64, limit) = (value <= limit, value.into(), limit.into());
    is_within.then_some(value).ok_or(Malformed::OutOfRange { what, value: value_64, limit })
}

/// Sizes and offsets of files: what `off_t` can hold.
pub(crate) fn file_offset(value: u64) -> Result<u64, Malformed> {
    let limit = i64::MAX.unsigned_abs();
    let what = "an offset in a file";
    (value <= limit).then_some(value).ok_or(Malformed::OutOfRange { what, value, limit })
}

bitflags! {
    /// What a request wants to know of an entry.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Wants: u8 {
        /// What statx(2) tells. Without it, a listing has only names and what kind they seem to be;
        /// with any of the others it is implied.
        const METADATA = 1 << 0;
        /// Where a symbolic link leads to.
        const LINK = 1 << 1;
        /// Extended attributes, except for those that hold ACLs.
        const ATTRIBUTES = 1 << 2;
        /// POSIX ACLs.
        const ACLS = 1 << 3;
    }
}

impl Codec for Wants {
    fn write(&self, out: &mut Vec<u8>) {
        self.bits().write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bits = u8::read(reader)?;
        Self::from_bits(bits).ok_or(Malformed::NoSuch { what: "wish", tag: bits.into() })
    }
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, with the name space, as `user.comment`.
    pub name: AttributeName,
    /// Its value.
    pub value: AttributeValue,
}

record!(Attribute { name, value });

/// Extended attributes whose names and values have at most `BYTES` bytes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes<const BYTES: usize>(List<Attribute, ATTRIBUTES>);

impl<const BYTES: usize> Attributes<BYTES> {
    /// Takes attributes that are neither too many nor too long.
    pub fn new(attributes: Vec<Attribute>) -> Result<Self, Malformed> {
        let list = List::new(attributes)?;
        let lengths = list.as_slice().iter();
        let bytes = lengths.map(|a| a.name.as_bytes().len() + a.value.as_bytes().len()).sum();
        check_length("attributes", bytes, BYTES)?;
        Ok(Self(list))
    }

    /// The attributes.
    pub fn as_slice(&self) -> &[Attribute] {
        self.0.as_slice()
    }

    /// The attributes, handed over.
    pub fn into_vec(self) -> Vec<Attribute> {
        self.0.into_vec()
    }
}

impl<const BYTES: usize> Codec for Attributes<BYTES> {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(List::<_, ATTRIBUTES>::read(reader)?.into_vec())
    }
}

/// Attributes that travel with their entry.
pub type InlineAttributes = Attributes<INLINE_ATTRIBUTES_BYTES>;

/// Attributes that fill a frame of their own, ahead of their entry.
pub type AttributesPiece = Attributes<ATTRIBUTES_BYTES>;

impl AttributesPiece {
    /// Attributes in as few pieces as they fit.
    pub fn split(attributes: Vec<Attribute>) -> Result<Vec<Self>, Malformed> {
        let (mut pieces, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0);
        for attribute in attributes {
            let more_bytes = attribute.name.as_bytes().len() + attribute.value.as_bytes().len();
            if bytes + more_bytes > ATTRIBUTES_BYTES || piece.len() == ATTRIBUTES {
                pieces.push(Self::new(std::mem::take(&mut piece))?);
                bytes = 0;
            }
            bytes += more_bytes;
            piece.push(attribute);
        }
        if !piece.is_empty() {
            pieces.push(Self::new(piece)?);
        }
        Ok(pieces)
    }
}

/// POSIX ACLs of an entry, where it has any beyond its mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acls {
    /// The access ACL.
    pub access: Option<AttributeValue>,
    /// The default ACL of a directory.
    pub default: Option<AttributeValue>,
}

record!(Acls { access, default });

/// What is known of an entry: what was wanted, where it is of use, and could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What statx(2) tells.
    pub metadata: Metadata,
    /// Where it leads to, if it is a symbolic link and that was wanted.
    pub link: Option<Result<LinkText, IoFault>>,
    /// Its extended attributes, if wanted. Where they are too long to travel here, in a listing this
    /// is [`FaultKind::NoRoom`], and elsewhere they come ahead.
    pub attributes: Option<Result<InlineAttributes, IoFault>>,
    /// Its ACLs, if wanted.
    pub acls: Option<Result<Acls, IoFault>>,
}

record!(Seen { metadata, link, attributes, acls });

impl Seen {
    /// An entry of which nothing but this was wanted.
    pub fn bare(metadata: Metadata) -> Self {
        Self { metadata, link: None, attributes: None, acls: None }
    }
}

/// An entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Name,
    /// What kind the directory itself says it is, where the file system keeps that there.
    pub kind: Option<Kind>,
    /// What was wanted of it; `None` if no more than names was.
    pub seen: Option<Result<Box<Seen>, IoFault>>,
}

record!(Entry { name, kind, seen });

/// How a page ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageEnd {
    /// There are more entries: in the next page of this response, or behind its last one if that
    /// ends so.
    More,
    /// The directory has no more entries.
    Complete,
    /// The directory could not be read to its end. What follows is unknown.
    Incomplete(IoFault),
}

choice!(PageEnd, "end of a page": 0 => More, 1 => Complete, 2 => Incomplete(fault));

/// Bytes of entries in one page. The rest of the frame is for how it ends.
const PAGE_BYTES: usize = CONTENT_BYTES - 2 * 1024;

/// Entries of a listing that fit one frame, in ascending order of the bytes of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    entries: List<Entry, PAGE_ENTRIES>,
}

record!(Page { entries });

impl Page {
    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        self.entries.as_slice()
    }

    /// The entries, handed over.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries.into_vec()
    }
}

/// Fills pages of a listing.
#[derive(Debug, Default)]
pub struct PageBuilder {
    page: Page,
    bytes: usize,
}

impl PageBuilder {
    /// Puts an entry on the page, unless the page with it would have more than `room_bytes`, or more
    /// than a page may have: then the entry comes back, for the next one.
    ///
    /// An entry that has no room on an empty page is put there without its attributes, ACLs and link
    /// text, which are to be asked for on their own: a listing never stops at an entry.
    pub fn push(&mut self, mut entry: Entry, room_bytes: usize) -> Result<(), Entry> {
        let limit = room_bytes.min(PAGE_BYTES);
        let mut length = encode(&entry).len();
        if self.bytes == 0 && length > limit {
            reduce(&mut entry, length);
            length = encode(&entry).len();
        } else if self.bytes + length > limit {
            return Err(entry);
        }
        self.page.entries.push(entry)?;
        self.bytes += length;
        Ok(())
    }

    /// Bytes of the entries on the page.
    pub fn byte_count(&self) -> usize {
        self.bytes
    }

    /// The page; the next one begins empty.
    pub fn take(&mut self) -> Page {
        std::mem::take(self).page
    }
}

/// Takes from an entry what makes it long.
fn reduce(entry: &mut Entry, length: usize) {
    let needed_bytes = length as u64;
    let fault = IoFault::new(FaultKind::NoRoom { needed_bytes }, "too long for the listing");
    if let Some(Ok(seen)) = &mut entry.seen {
        seen.link = seen.link.take().map(|_| Err(fault.clone()));
        seen.attributes = seen.attributes.take().map(|_| Err(fault.clone()));
        seen.acls = seen.acls.take().map(|_| Err(fault));
    }
}

#[cfg(test)]
mod tests;
