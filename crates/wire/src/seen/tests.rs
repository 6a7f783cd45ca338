//! What is told of an entry, at its limits.

use model::{Kind, Metadata};

use super::{
    Acls, Attribute, Attributes, Entry, InlineAttributes, Page, PageBuilder, PageEnd, Seen,
};
use crate::bounded::{AttributeName, AttributeValue, LinkText, Name, Text};
use crate::codec::{decode, encode};
use crate::io_fault::{FaultKind, IoFault};
use crate::limits;
use crate::response::Reply;

fn attribute(value_bytes: usize) -> Attribute {
    let name = AttributeName::new("user.a").expect("it is a name");
    Attribute { name, value: AttributeValue::new(vec![1; value_bytes]).expect("it is in range") }
}

fn bare(name: &str) -> Entry {
    Entry { name: Name::new(name).expect("it is a name"), kind: None, seen: None }
}

/// The longest entry that the rules allow.
fn longest() -> Entry {
    let value = || Some(AttributeValue::new(vec![1; limits::ATTRIBUTE_VALUE_BYTES]));
    let value = || value().transpose().expect("it is at the limit");
    let seen = Seen {
        metadata: Metadata { size: i64::MAX.unsigned_abs(), ..Metadata::unknown(Kind::Symlink) },
        link: Some(Ok(LinkText::new(vec![b'l'; limits::LINK_TEXT_BYTES]).expect("it fits"))),
        attributes: Some(Ok(Attributes::new(vec![attribute(32 * 1024 - 6)]).expect("it fits"))),
        acls: Some(Ok(Acls { access: value(), default: value() })),
    };
    let name = Name::new([b'n'; limits::NAME_BYTES]).expect("it is at the limit");
    Entry { name, kind: Some(Kind::Symlink), seen: Some(Ok(Box::new(seen))) }
}

#[test]
fn attributes_of_an_entry_end_at_their_limit() {
    assert!(InlineAttributes::new(vec![attribute(32 * 1024 - 6)]).is_ok());
    assert!(InlineAttributes::new(vec![attribute(32 * 1024 - 5)]).is_err());
    let larger: Attributes<100_000> =
        Attributes::new(vec![attribute(32 * 1024 - 5)]).expect("it is in range");
    assert!(decode::<InlineAttributes>(&encode(&larger)).is_err());
}

#[test]
fn the_longest_entry_fits_one_frame() {
    let mut builder = PageBuilder::default();
    builder.push(longest(), usize::MAX).expect("the page is empty");
    let text = Text::new(&"x".repeat(limits::FAULT_TEXT_BYTES));
    let fault = IoFault { kind: FaultKind::Other, errno: Some(i32::MIN), text };
    let page = Reply::Page { page: builder.take(), end: PageEnd::Incomplete(fault) };
    assert!(encode(&page).len() <= limits::BODY_BYTES);
    let Reply::Page { page, .. } = page else { unreachable!() };
    assert_eq!(page.entries(), [longest()]);
}

#[test]
fn an_entry_without_room_loses_what_can_be_asked_for_on_its_own() {
    let room = usize::try_from(limits::LIST_ROOM_LEAST_BYTES).expect("it is small");
    let mut builder = PageBuilder::default();
    builder.push(longest(), room).expect("the page is empty");
    assert!(builder.byte_count() <= room);
    let page = builder.take();
    let seen = page.entries()[0].seen.as_ref().expect("it was wanted").as_ref().expect("it is");
    let needed_bytes = encode(&longest()).len() as u64;
    let kind = FaultKind::NoRoom { needed_bytes };
    assert_eq!(seen.link.as_ref().map(|link| link.clone().map_err(|it| it.kind)), Some(Err(kind)));
    assert!(seen.attributes.as_ref().is_some_and(Result::is_err));
    assert!(seen.acls.as_ref().is_some_and(Result::is_err));
}

#[test]
fn a_page_ends_with_its_room_and_with_its_entries() {
    let mut builder = PageBuilder::default();
    assert_eq!(builder.push(bare("a"), 8), Ok(()));
    assert_eq!(builder.byte_count(), 4);
    assert_eq!(builder.push(bare("b"), 8), Ok(()));
    assert_eq!(builder.push(bare("c"), 8), Err(bare("c")));
    assert_eq!(builder.take().entries(), [bare("a"), bare("b")]);
    for number in 0..limits::PAGE_ENTRIES {
        assert_eq!(builder.push(bare(&number.to_string()), usize::MAX), Ok(()));
    }
    assert_eq!(builder.push(bare("z"), usize::MAX), Err(bare("z")));
    let page = builder.take();
    assert_eq!(decode::<Page>(&encode(&page)), Ok(page));
}

#[test]
fn a_page_of_more_entries_than_allowed_is_refused() {
    let mut bytes = encode(&(limits::PAGE_ENTRIES as u64 + 1));
    for _ in 0..=limits::PAGE_ENTRIES {
        bytes.extend(encode(&bare("a")));
    }
    assert!(decode::<Page>(&bytes).is_err());
}

#[test]
fn metadata_that_no_file_system_has_is_refused() {
    let sound = Metadata::unknown(Kind::File);
    assert_eq!(decode(&encode(&sound)), Ok(sound));
    let bad = [
        Metadata { mode: 0o10_000, ..sound },
        Metadata { size: 1 << 63, ..sound },
        Metadata { mtime: model::Timestamp { secs: 0, nanos: 1_000_000_000 }, ..sound },
    ];
    for bad in bad {
        assert!(decode::<Metadata>(&encode(&bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn what_an_entry_takes_in_memory_is_in_proportion_to_its_bytes() {
    // The smallest entries, for they gain most: a name of one letter, with and without metadata.
    let seen = Seen::bare(Metadata::unknown(Kind::File));
    let with_metadata = Entry { seen: Some(Ok(Box::new(seen))), ..bare("a") };
    for (entry, boxed_bytes) in [(bare("a"), 0), (with_metadata, size_of::<Seen>())] {
        let held = size_of::<Entry>() + boxed_bytes + 16;
        let sent = encode(&entry).len();
        assert!(held <= sent * 32, "{held} bytes are held for {sent} that were sent");
    }
}
