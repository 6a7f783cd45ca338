//! What a cluster has told of a directory, so that nothing is told twice and no page is asked for twice.
//!
//! Names are remembered by 128 bits of a hash that nobody outside can foresee, so a wide directory takes no
//! more than some bytes for each, and only while it is read. From [`MOST_REMEMBERED`] on they are counted:
//! pages that go round in a circle end by their addresses, or with their count.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use model::Kind;

use super::MOST_CHILDREN;

/// As many names, and as many pages, are remembered of a directory: 13 MB with those of most directories.
const MOST_REMEMBERED: usize = 400_000;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: [RandomState; 2],
    names: HashMap<[u64; 2], Told>,
    pages: HashSet<u64>,
    rows: u64,
    /// Names on pages, each counted once as far as they are remembered.
    on_pages: u64,
}

/// A name that was told.
#[derive(Clone, Copy, Debug)]
struct Told {
    kind: Option<Kind>,
    is_on_page: bool,
}

/// Whether a name was told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Never,
    Same,
    /// As something else.
    Other,
}

impl Seen {
    /// A row tells this name.
    pub(super) fn row(&mut self, name: &[u8], kind: Option<Kind>) -> Before {
        let is_on_page = false;
        match self.names.insert(self.key(name), Told { kind, is_on_page }) {
            None => {
                self.rows += 1;
                Before::Never
            }
            Some(told) => told.compared_to(kind),
        }
    }

    /// A page tells this name.
    pub(super) fn child(&mut self, name: &[u8], kind: Option<Kind>) -> Before {
        let key = self.key(name);
        if let Some(told) = self.names.get_mut(&key) {
            self.on_pages += u64::from(!told.is_on_page);
            told.is_on_page = true;
            return told.compared_to(kind);
        }
        self.on_pages += 1;
        if self.names.len() < MOST_REMEMBERED {
            self.names.insert(key, Told { kind, is_on_page: true });
        }
        Before::Never
    }

    /// Names that rows have told.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Names that pages have told.
    pub(super) fn on_pages(&self) -> u64 {
        self.on_pages
    }

    /// The first page is asked for.
    pub(super) fn begin(&mut self, address: &str) {
        self.is_new(address);
    }

    /// Goes on to the next page, where this one says that there is one. `before` are the names that pages had
    /// told before this one; the cluster counts `children`, which may come and go meanwhile.
    ///
    /// Fails with what is wrong with that.
    pub(super) fn go_on(
        &mut self,
        next: &str,
        before: u64,
        children: u64,
    ) -> Result<(), &'static str> {
        if !next.starts_with('/') {
            Err("it does not say where the next page of its entries is")
        } else if !self.is_new(next) {
            Err("the next page of its entries is one that was read before")
        } else if self.on_pages == before {
            Err("a page of its entries has none that was not on another")
        } else if self.on_pages > children.saturating_mul(2).saturating_add(MOST_CHILDREN) {
            Err("its pages have far more entries than it says that there are")
        } else {
            Ok(())
        }
    }

    /// Whether a page was never asked for; from now on it was.
    fn is_new(&mut self, address: &str) -> bool {
        let key = self.keys[0].hash_one(address);
        if self.pages.len() < MOST_REMEMBERED {
            return self.pages.insert(key);
        }
        !self.pages.contains(&key)
    }

    fn key(&self, name: &[u8]) -> [u64; 2] {
        self.keys.each_ref().map(|key| key.hash_one(name))
    }
}

impl Told {
    fn compared_to(self, kind: Option<Kind>) -> Before {
        if self.kind == kind { Before::Same } else { Before::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_new_once_and_remembered_with_its_kind() {
        let mut seen = Seen::default();
        assert_eq!(seen.row(b"a", Some(Kind::File)), Before::Never);
        assert_eq!(seen.row(b"a", Some(Kind::File)), Before::Same);
        assert_eq!(seen.row(b"a", Some(Kind::Directory)), Before::Other);
        assert_eq!(seen.child(b"b", None), Before::Never);
        assert_eq!(seen.child(b"b", None), Before::Same);
        assert_eq!(seen.child(b"b", Some(Kind::File)), Before::Other);
        assert_eq!((seen.rows(), seen.on_pages()), (1, 1));
        // It has a row, and is on a page for the first time.
        assert_eq!(seen.child(b"a", Some(Kind::Directory)), Before::Same);
        assert_eq!((seen.rows(), seen.on_pages()), (1, 2));
    }

    #[test]
    fn so_many_names_and_pages_are_remembered_and_all_are_counted() {
        let mut seen = Seen::default();
        let numbers = 0..MOST_REMEMBERED as u64 + 10;
        for number in numbers.clone() {
            assert_eq!(seen.child(&number.to_be_bytes(), None), Before::Never);
            assert_eq!(seen.go_on(&format!("/{number}"), 0, 1_000_000), Ok(()));
        }
        assert_eq!((seen.names.len(), seen.pages.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
        assert_eq!(seen.on_pages(), numbers.end);
        assert_eq!(seen.child(&0_u64.to_be_bytes(), None), Before::Same);
        assert_eq!(seen.on_pages(), numbers.end);
        let ways = [
            ("/0", 0, 1_000_000, "read before"),
            ("/new", numbers.end, 1_000_000, "none that was not"),
            ("/new", 0, 100_000, "far more"),
            ("new", 0, 1_000_000, "where the next"),
        ];
        for (next, before, children, why) in ways {
            let wrong = seen.go_on(next, before, children).unwrap_err();
            assert!(wrong.contains(why), "{wrong}");
        }
        assert_eq!(seen.go_on("/new", 0, 200_000), Ok(()));
    }
}
