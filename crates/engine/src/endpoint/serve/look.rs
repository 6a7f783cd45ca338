//! What is told of entries: looked at one by one, or listed.

use std::io;

use fs::acl::{ACCESS_ATTRIBUTE as ACCESS_ACL, DEFAULT_ATTRIBUTE as DEFAULT_ACL};
use fs::xattr::{self, Behind, Node as Carrier};
use fs::{Dir, File, Listing};
use model::{Kind, Metadata};
use wire::{
    Acls, Attribute, AttributeName, AttributeValue, AttributesPiece, Entry, FaultKind, Follow,
    InlineAttributes, IoFault, LinkText, Malformed, Name, PageBuilder, PageEnd, Reply, Seen, Wants,
    limits,
};

use super::listings::{Listings, sorted};
use super::{Answering, Halt, ServedDir};

/// What is looked at.
pub(super) enum Subject<'a> {
    Dir(&'a Dir),
    File(&'a File),
    Name(&'a Dir, &'a [u8]),
    Behind(&'a Dir, &'a [u8]),
}

impl<'a> Subject<'a> {
    pub(super) fn name(dir: &'a Dir, name: &'a Name, follow: Follow) -> Self {
        match follow {
            Follow::Never => Self::Name(dir, name.as_bytes()),
            Follow::Links | Follow::OwnLinks => Self::Behind(dir, name.as_bytes()),
        }
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Dir(dir) => dir.metadata(),
            Self::File(file) => file.metadata(),
            Self::Name(dir, name) => dir.stat(name),
            Self::Behind(dir, name) => dir.stat_following(name),
        }
    }

    fn link(&self, kind: Kind) -> Option<io::Result<Vec<u8>>> {
        match self {
            Self::Name(dir, name) if kind == Kind::Symlink => Some(dir.read_link(name)),
            _ => None,
        }
    }

    /// Asks what carries its attributes.
    fn ask<T>(&self, ask: impl FnOnce(Carrier<'_>) -> io::Result<T>) -> io::Result<T> {
        match *self {
            Self::Dir(dir) => ask(dir.into()),
            Self::File(file) => ask(file.into()),
            Self::Name(dir, name) => ask(Carrier::Name(dir, name)),
            Self::Behind(dir, name) => ask((&Behind::of(dir, name)?).into()),
        }
    }
}

/// What is known of an entry, with the attributes that have no room in it.
pub(super) struct Detailed {
    pub(super) seen: Seen,
    pub(super) more: Vec<Attribute>,
}

impl Detailed {
    /// Bytes of its attributes and ACLs.
    pub(super) fn attribute_bytes(&self) -> usize {
        let inline = self.seen.attributes.iter().flatten().flat_map(InlineAttributes::as_slice);
        let acls = self.seen.acls.iter().flatten().flat_map(|acls| [&acls.access, &acls.default]);
        let acl_bytes: usize = acls.flatten().map(|acl| acl.as_bytes().len()).sum();
        inline.chain(&self.more).map(byte_count).sum::<usize>() + acl_bytes
    }
}

/// Answers what an entry is.
pub(super) fn seen(
    answering: &mut Answering<'_>,
    subject: &Subject<'_>,
    wants: Wants,
) -> Result<(), Halt> {
    hand_in(answering, look(subject, wants)?)
}

/// Hands in what an entry is, as all of the response.
pub(super) fn hand_in(
    answering: &mut Answering<'_>,
    Detailed { seen, more }: Detailed,
) -> Result<(), Halt> {
    let mut pieces = AttributesPiece::split(more)?;
    let Some(last) = pieces.pop() else { return answering.last(Reply::Seen(Box::new(seen))) };
    answering.more(Reply::Seen(Box::new(seen)))?;
    for piece in pieces {
        answering.more(Reply::Attributes(piece))?;
    }
    answering.last(Reply::Attributes(last))
}

/// Looks at an entry: that it cannot be is an error, and what cannot be read of it is told in it.
pub(super) fn look(subject: &Subject<'_>, wants: Wants) -> io::Result<Detailed> {
    let metadata = subject.metadata()?;
    let mut detailed = Detailed { seen: Seen::bare(metadata), more: Vec::new() };
    let seen = &mut detailed.seen;
    if wants.contains(Wants::LINK) {
        seen.link = subject.link(metadata.kind).map(|text| sound(text, LinkText::new));
    }
    if wants.intersects(Wants::ATTRIBUTES | Wants::ACLS) {
        let extra = subject.ask(|carrier| Ok(Extra::read(carrier, wants)));
        let Extra { attributes, acls } = extra.unwrap_or_else(|error| Extra::unreadable(&error));
        let inline = attributes.map(|attributes| {
            if is_inline(&attributes) {
                return attributes;
            }
            detailed.more = attributes;
            Vec::new()
        });
        let inline = inline.and_then(|inline| {
            InlineAttributes::new(inline).map_err(|malformed| refused(&malformed))
        });
        seen.attributes = wants.contains(Wants::ATTRIBUTES).then_some(inline);
        seen.acls = wants.contains(Wants::ACLS).then_some(acls);
    }
    Ok(detailed)
}

/// A value as the protocol takes it.
fn sound<T>(
    read: io::Result<Vec<u8>>,
    take: impl FnOnce(Vec<u8>) -> Result<T, Malformed>,
) -> Result<T, IoFault> {
    take(read.map_err(|error| IoFault::from(&error))?).map_err(|malformed| refused(&malformed))
}

/// What the protocol cannot carry.
fn refused(malformed: &Malformed) -> IoFault {
    IoFault::new(FaultKind::InvalidData, &malformed.to_string())
}

fn byte_count(attribute: &Attribute) -> usize {
    attribute.name.as_bytes().len() + attribute.value.as_bytes().len()
}

fn is_inline(attributes: &[Attribute]) -> bool {
    let bytes: usize = attributes.iter().map(byte_count).sum();
    attributes.len() <= limits::ATTRIBUTES && bytes <= limits::INLINE_ATTRIBUTES_BYTES
}

/// Extended attributes and ACLs, or why they cannot be read.
struct Extra {
    attributes: Result<Vec<Attribute>, IoFault>,
    acls: Result<Acls, IoFault>,
}

impl Extra {
    fn unreadable(error: &io::Error) -> Self {
        let fault = IoFault::from(error);
        Self { attributes: Err(fault.clone()), acls: Err(fault) }
    }

    /// Reads those that are wanted. Linux lists ACLs among the others: where there is nothing, one call
    /// tells so.
    fn read(carrier: Carrier<'_>, wants: Wants) -> Self {
        let names = match xattr::list(carrier) {
            Ok(names) => names,
            Err(error) => return Self::unreadable(&error),
        };
        let mut extra = Self { attributes: Ok(Vec::new()), acls: Ok(Acls::default()) };
        for name in names {
            if *name == *ACCESS_ACL || *name == *DEFAULT_ACL {
                if wants.contains(Wants::ACLS) {
                    add_acl(&mut extra.acls, carrier, &name);
                }
            } else if wants.contains(Wants::ATTRIBUTES) {
                add_attribute(&mut extra.attributes, carrier, &name);
            }
        }
        extra
    }
}

fn add_acl(acls: &mut Result<Acls, IoFault>, carrier: Carrier<'_>, name: &[u8]) {
    let Ok(read) = acls else { return };
    match value(carrier, name) {
        Ok(list) if *name == *ACCESS_ACL => read.access = list,
        Ok(list) => read.default = list,
        Err(fault) => *acls = Err(fault),
    }
}

fn add_attribute(
    attributes: &mut Result<Vec<Attribute>, IoFault>,
    carrier: Carrier<'_>,
    name: &[u8],
) {
    let Ok(read) = attributes else { return };
    let attribute =
        AttributeName::new(name).map_err(|malformed| refused(&malformed)).and_then(|name| {
            Ok(value(carrier, name.as_bytes())?.map(|value| Attribute { name, value }))
        });
    match attribute {
        // One that was removed meanwhile is not there.
        Ok(attribute) => read.extend(attribute),
        Err(fault) => *attributes = Err(fault),
    }
}

fn value(carrier: Carrier<'_>, name: &[u8]) -> Result<Option<AttributeValue>, IoFault> {
    let value = xattr::get(carrier, name).map_err(|error| IoFault::from(&error))?;
    value.map(AttributeValue::new).transpose().map_err(|malformed| refused(&malformed))
}

/// Lists a directory from behind a name, as far as there is room. `wants_of` says what is told of a name,
/// if it is told at all: no more than is wanted.
pub(super) fn list(
    answering: &mut Answering<'_>,
    (dir, listings): (&ServedDir, &Listings),
    wants_of: impl Fn(&[u8], Option<Kind>) -> Option<Wants>,
    after: Option<&Name>,
    room_bytes: u32,
) -> Result<(), Halt> {
    let listing = sorted(dir, after.is_some())?;
    let begin = after.map_or(0, |after| first_behind(&listing, after.as_bytes()));
    let mut room_left = usize::try_from(room_bytes).unwrap_or(usize::MAX);
    let mut builder = PageBuilder::default();
    for at in begin..listing.len() {
        let Some(wants) = wants_of(listing.name(at), listing.kind_hint(at)) else { continue };
        let Ok(name) = Name::new(listing.name(at)) else {
            // A name that the protocol cannot carry breaks the listing off: it is not lost silently.
            let fault = IoFault::new(FaultKind::InvalidFilename, "a name is too long to be sent");
            listings.forget(dir);
            let end = PageEnd::Incomplete(fault);
            return answering.last(Reply::Page { page: builder.take(), end });
        };
        let entry = entry(dir, name, listing.kind_hint(at), wants);
        let Err(entry) = builder.push(entry, room_left) else { continue };
        room_left = room_left.saturating_sub(builder.byte_count());
        let reply = Reply::Page { page: builder.take(), end: PageEnd::More };
        // On an empty page an entry is shortened if it must be: it need not be in the next response.
        if room_left < most_bytes(wants) || builder.push(entry, room_left).is_err() {
            listings.keep(dir, &listing);
            return answering.last(reply);
        }
        answering.more(reply)?;
    }
    let end = match listing.error() {
        Some(error) => PageEnd::Incomplete(IoFault::from(error)),
        None => PageEnd::Complete,
    };
    listings.forget(dir);
    answering.last(Reply::Page { page: builder.take(), end })
}

/// The most bytes that an entry has on a page, with a fault in place of what could not be read.
fn most_bytes(wants: Wants) -> usize {
    const WITHOUT_TEXTS: usize = 2048;
    let has_texts = wants.intersects(Wants::LINK | Wants::ATTRIBUTES | Wants::ACLS);
    if has_texts { limits::CONTENT_BYTES } else { WITHOUT_TEXTS }
}

fn first_behind(listing: &Listing, after: &[u8]) -> usize {
    let (mut low, mut high) = (0, listing.len());
    while low < high {
        let middle = low.midpoint(high);
        if listing.name(middle) <= after {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn entry(dir: &ServedDir, name: Name, kind: Option<Kind>, wants: Wants) -> Entry {
    let seen = (!wants.is_empty()).then(|| {
        let detailed = look(&Subject::Name(&dir.dir, name.as_bytes()), wants);
        let Detailed { mut seen, more } = detailed.map_err(|error| IoFault::from(&error))?;
        if !more.is_empty() {
            let needed_bytes = more.iter().map(byte_count).sum::<usize>() as u64;
            let kind = FaultKind::NoRoom { needed_bytes };
            seen.attributes = Some(Err(IoFault::new(kind, "too long for the listing")));
        }
        Ok(Box::new(seen))
    });
    Entry { name, kind, seen }
}
