//! POSIX access control lists, as the bytes that Linux keeps in extended attributes (acl(5)).
//!
//! The bytes also come from peers and from file systems that nobody checked, so parsing trusts
//! nothing: what it accepts, the kernel accepts.

use std::io;

use crate::xattr::{self, Node};

/// Attribute that holds the access list.
pub const ACCESS_ATTRIBUTE: &[u8] = b"system.posix_acl_access";
/// Attribute that holds the default list of a directory.
pub const DEFAULT_ATTRIBUTE: &[u8] = b"system.posix_acl_default";

const VERSION: u32 = 2;
const HEADER_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;
/// Id of the entries that need none.
const NO_ID: u32 = u32::MAX;

/// A sound access control list: owner, owning group and others once each, and a mask if anybody is
/// named. Entries stand in the order of [`Tag`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acl {
    entries: Vec<Entry>,
}

/// The list that stands beside the mode bits of an entry.
pub type AccessAcl = Acl;

/// One line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Whom it is about.
    pub tag: Tag,
    /// What they may do: read 4, write 2, execute 1.
    pub perms: u8,
}

/// Whom an entry is about, in the order that the kernel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// The owner.
    Owner,
    /// A user by id.
    User(u32),
    /// The group of the file.
    OwningGroup,
    /// A group by id.
    Group(u32),
    /// The most that anybody gets who is neither owner nor other.
    Mask,
    /// Everybody else.
    Other,
}

/// Which of its two lists a node is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The list that governs access.
    Access,
    /// The list that what is made in a directory is born with.
    Default,
}

/// What an access list says that mode bits do not: with a mask, the group bits of the mode are the
/// mask, and the owning group's own permissions show only here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BeyondMode {
    /// Permissions of the owning group.
    pub group_perms: u8,
    /// Named users and groups, in the order of [`Tag`].
    pub named: Vec<Entry>,
}

/// Why bytes are not an access control list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// Not a header and whole entries.
    #[error("access control list of {0} bytes")]
    Length(usize),
    /// Another format.
    #[error("access control list of version {0}")]
    Version(u32),
    /// A tag that acl(5) does not list.
    #[error("access control list with tag {0:#x}")]
    Tag(u16),
    /// Permissions beyond read, write and execute.
    #[error("access control list with permissions {0:#o}")]
    Perms(u16),
    /// Somebody named without an id.
    #[error("access control list that names nobody")]
    Nobody,
    /// Owner, owning group or others are not there once each, or the mask is missing or doubled.
    #[error("access control list without the entries that every one needs")]
    Shape,
}

impl From<AclError> for io::Error {
    fn from(error: AclError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl Acl {
    /// Reads the bytes of the kernel.
    pub fn parse(bytes: &[u8]) -> Result<Self, AclError> {
        let wrong_length = AclError::Length(bytes.len());
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(wrong_length)?;
        let version = u32::from_le_bytes(*header);
        if version != VERSION {
            return Err(AclError::Version(version));
        }
        let (entries, remainder) = rest.as_chunks::<ENTRY_BYTES>();
        if !remainder.is_empty() {
            return Err(wrong_length);
        }
        Self::from_entries(entries.iter().copied().map(parse_entry).collect::<Result<_, _>>()?)
    }

    /// Takes entries in any order.
    pub fn from_entries(mut entries: Vec<Entry>) -> Result<Self, AclError> {
        entries.sort_unstable();
        let count = |tag| entries.iter().filter(|entry| entry.tag == tag).count();
        let is_any_named = entries.iter().any(|entry| entry.tag.is_named());
        let has_base =
            [Tag::Owner, Tag::OwningGroup, Tag::Other].iter().all(|&tag| count(tag) == 1);
        let masks = count(Tag::Mask);
        if !has_base || masks > 1 || (is_any_named && masks == 0) {
            return Err(AclError::Shape);
        }
        if let Some(entry) = entries.iter().find(|entry| entry.perms > 7) {
            return Err(AclError::Perms(entry.perms.into()));
        }
        if entries.iter().any(|entry| matches!(entry.tag, Tag::User(NO_ID) | Tag::Group(NO_ID))) {
            return Err(AclError::Nobody);
        }
        Ok(Self { entries })
    }

    /// The list that says what mode bits say, and no more.
    pub fn from_mode(mode: u32) -> Self {
        let entry = |tag, shift| Entry { tag, perms: perms_at(mode, shift) };
        let entries = vec![entry(Tag::Owner, 6), entry(Tag::OwningGroup, 3), entry(Tag::Other, 0)];
        Self { entries }
    }

    /// Writes the bytes of the kernel.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + ENTRY_BYTES * self.entries.len());
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        for entry in &self.entries {
            let (tag, id) = entry.tag.to_kernel();
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&u16::from(entry.perms).to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        bytes
    }

    /// The entries, in the order of [`Tag`].
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// True when mode bits say as much.
    pub fn is_trivial(&self) -> bool {
        self.mask().is_none()
    }

    /// The nine permission bits that the kernel shows for this list.
    pub fn mode_bits(&self) -> u32 {
        let group = self.mask().unwrap_or_else(|| self.perms_of(Tag::OwningGroup));
        u32::from(self.perms_of(Tag::Owner)) << 6
            | u32::from(group) << 3
            | u32::from(self.perms_of(Tag::Other))
    }

    /// What remains when the mode bits are taken off, `None` when nothing does. Two access lists
    /// are the same for rsync -A when this and the modes are.
    pub fn without_mode(&self) -> Option<BeyondMode> {
        self.mask()?;
        let named = self.entries.iter().filter(|entry| entry.tag.is_named()).copied().collect();
        Some(BeyondMode { group_perms: self.perms_of(Tag::OwningGroup), named })
    }

    /// This list with owner, mask (or owning group, without a mask) and others as mode bits say.
    #[must_use]
    pub fn with_mode(&self, mode: u32) -> Self {
        let group = if self.is_trivial() { Tag::OwningGroup } else { Tag::Mask };
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            let shift = match entry.tag {
                Tag::Owner => 6,
                Tag::Other => 0,
                tag if tag == group => 3,
                _ => continue,
            };
            entry.perms = perms_at(mode, shift);
        }
        Self { entries }
    }

    /// This list, sent with one mode, for an entry that gets another, as rsync takes it over: an
    /// owning group that has just what the mode that was sent allows goes with the mode.
    #[must_use]
    pub fn following_mode(&self, sent: u32, mode: u32) -> Self {
        let group_perms = self.perms_of(Tag::OwningGroup);
        let mut list = self.with_mode(mode);
        if group_perms == perms_at(sent, 3) {
            for entry in list.entries.iter_mut().filter(|entry| entry.tag == Tag::OwningGroup) {
                entry.perms = perms_at(mode, 3);
            }
        }
        list
    }

    /// This list about other users and groups. Fails when an id becomes none.
    pub fn map_ids(
        &self,
        mut user: impl FnMut(u32) -> u32,
        mut group: impl FnMut(u32) -> u32,
    ) -> Result<Self, AclError> {
        let map = |entry: &Entry| Entry {
            perms: entry.perms,
            tag: match entry.tag {
                Tag::User(id) => Tag::User(user(id)),
                Tag::Group(id) => Tag::Group(group(id)),
                tag => tag,
            },
        };
        Self::from_entries(self.entries.iter().map(map).collect())
    }

    fn mask(&self) -> Option<u8> {
        self.entries.iter().find(|entry| entry.tag == Tag::Mask).map(|entry| entry.perms)
    }

    fn perms_of(&self, tag: Tag) -> u8 {
        self.entries.iter().find(|entry| entry.tag == tag).map_or(0, |entry| entry.perms)
    }
}

impl Tag {
    fn is_named(self) -> bool {
        matches!(self, Self::User(_) | Self::Group(_))
    }

    fn from_kernel(tag: u16, id: u32) -> Result<Self, AclError> {
        Ok(match tag {
            0x01 => Self::Owner,
            0x02 => Self::User(id),
            0x04 => Self::OwningGroup,
            0x08 => Self::Group(id),
            0x10 => Self::Mask,
            0x20 => Self::Other,
            _ => return Err(AclError::Tag(tag)),
        })
    }

    fn to_kernel(self) -> (u16, u32) {
        match self {
            Self::Owner => (0x01, NO_ID),
            Self::User(id) => (0x02, id),
            Self::OwningGroup => (0x04, NO_ID),
            Self::Group(id) => (0x08, id),
            Self::Mask => (0x10, NO_ID),
            Self::Other => (0x20, NO_ID),
        }
    }
}

/// The access or default list of a node. `None` when there is none, and for an access list that
/// says no more than the mode bits.
pub fn read(node: Node<'_>, which: Which) -> io::Result<Option<Acl>> {
    match xattr::get(node, attribute(which))? {
        Some(bytes) => from_attribute(which, &bytes),
        None => Ok(None),
    }
}

/// The list that the value of its attribute holds, as [`read`] gives it.
pub fn from_attribute(which: Which, value: &[u8]) -> io::Result<Option<Acl>> {
    let acl = Acl::parse(value)?;
    let is_worth_it = which == Which::Default || !acl.is_trivial();
    Ok(is_worth_it.then_some(acl))
}

/// Sets the access or default list of a node; `None` removes it.
///
/// Both change or reinterpret the group bits of the mode: set the mode afterwards.
pub fn write(node: Node<'_>, which: Which, acl: Option<&Acl>) -> io::Result<()> {
    match acl {
        Some(acl) => xattr::set(node, attribute(which), &acl.to_bytes()),
        None => xattr::remove(node, attribute(which)),
    }
}

fn attribute(which: Which) -> &'static [u8] {
    match which {
        Which::Access => ACCESS_ATTRIBUTE,
        Which::Default => DEFAULT_ATTRIBUTE,
    }
}

fn parse_entry(bytes: [u8; ENTRY_BYTES]) -> Result<Entry, AclError> {
    let [tag_0, tag_1, perms_0, perms_1, id @ ..] = bytes;
    let tag = Tag::from_kernel(u16::from_le_bytes([tag_0, tag_1]), u32::from_le_bytes(id))?;
    let perms = u16::from_le_bytes([perms_0, perms_1]);
    let perms = u8::try_from(perms).map_err(|_| AclError::Perms(perms))?;
    Ok(Entry { tag, perms })
}

fn perms_at(mode: u32, shift: u32) -> u8 {
    u8::try_from(mode >> shift & 7).expect("three bits fit")
}

#[cfg(test)]
mod tests;
