//! How much room the first page of a listing is given.
//!
//! It is asked for when its directory is opened, which is long before its turn. The less room it is given,
//! the more directories can be begun so; but where it is too little, the rest of the listing costs one
//! more round trip. So it is what the largest took of those that came last, and a little more.

use std::sync::atomic::{AtomicU32, Ordering};

use wire::{Entry, InlineAttributes, PageEnd, Seen, limits};

/// Least and most of it.
const LEAST_BYTES: u32 = limits::LIST_ROOM_LEAST_BYTES;
const MOST_BYTES: u32 = 32 << 10;

/// What an entry takes beside its name, texts and attributes, about: most of it are times and numbers.
const ENTRY_BYTES: usize = 48;

/// The room that the next one is given.
#[derive(Debug)]
pub(super) struct FirstPages(AtomicU32);

impl Default for FirstPages {
    fn default() -> Self {
        Self(AtomicU32::new(MOST_BYTES))
    }
}

impl FirstPages {
    pub(super) fn room_bytes(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// One came.
    pub(super) fn note(&self, entries: &[Entry], end: &PageEnd) {
        let took = entries.iter().map(bytes_of).sum::<usize>() / 4 * 5;
        let took = u32::try_from(took).unwrap_or(u32::MAX);
        let next = |before: u32| {
            let wanted = match end {
                PageEnd::More => before * 2,
                PageEnd::Complete | PageEnd::Incomplete(_) => took.max(before - before / 8),
            };
            Some(wanted.clamp(LEAST_BYTES, MOST_BYTES))
        };
        // There is always a next one.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok();
    }
}

/// What an entry takes of a page, about.
fn bytes_of(entry: &Entry) -> usize {
    let texts = entry.seen.as_ref().and_then(|seen| seen.as_ref().ok()).map_or(0, |seen| {
        let Seen { link, attributes, acls, .. } = &**seen;
        let link = link.iter().flatten().map(|text| text.as_bytes().len());
        let attributes = attributes.iter().flatten().flat_map(InlineAttributes::as_slice);
        let attributes = attributes.map(|it| it.name.as_bytes().len() + it.value.as_bytes().len());
        let acls = acls.iter().flatten().flat_map(|acls| [&acls.access, &acls.default]);
        let acls = acls.flatten().map(|acl| acl.as_bytes().len());
        link.chain(attributes).chain(acls).sum::<usize>()
    });
    ENTRY_BYTES + entry.name.as_bytes().len() + texts
}

#[cfg(test)]
mod tests {
    use model::{Kind, Metadata};
    use wire::Name;

    use super::*;

    fn page(count: u32) -> Vec<Entry> {
        let entry = |number: u32| Entry {
            name: Name::new(format!("entry-{number}")).unwrap(),
            kind: None,
            seen: Some(Ok(Box::new(Seen::bare(Metadata::unknown(Kind::File))))),
        };
        (0..count).map(entry).collect()
    }

    #[test]
    fn small_directories_are_soon_given_little_room() {
        let pages = FirstPages::default();
        assert_eq!(pages.room_bytes(), MOST_BYTES);
        (0..32).for_each(|_| pages.note(&page(3), &PageEnd::Complete));
        assert_eq!(pages.room_bytes(), LEAST_BYTES);
    }

    #[test]
    fn what_was_given_holds_one_more_like_the_largest() {
        let pages = FirstPages::default();
        for number in 0..100 {
            pages.note(&page(if number % 4 == 0 { 150 } else { 2 }), &PageEnd::Complete);
        }
        let one = u32::try_from(page(150).iter().map(bytes_of).sum::<usize>()).unwrap();
        assert!((one / 10 * 8..one * 2).contains(&pages.room_bytes()), "{}", pages.room_bytes());
    }

    #[test]
    fn who_had_too_little_is_given_twice_that_up_to_the_most() {
        let pages = FirstPages::default();
        (0..32).for_each(|_| pages.note(&[], &PageEnd::Complete));
        pages.note(&page(80), &PageEnd::More);
        assert_eq!(pages.room_bytes(), 2 * LEAST_BYTES);
        (0..8).for_each(|_| pages.note(&page(80), &PageEnd::More));
        assert_eq!(pages.room_bytes(), MOST_BYTES);
    }
}
