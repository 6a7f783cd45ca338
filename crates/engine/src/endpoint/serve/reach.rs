//! What may be reached from a directory of the source: all that lies in it, or what is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::selection::Asked;

/// What may be reached from a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// All that lies in it, and below.
    is_whole: bool,
    /// It may be a link, of which what it leads to is meant.
    may_be_link: bool,
    /// What was picked by its name, and what may be reached from there.
    picked: BTreeMap<Box<[u8]>, Arc<Self>>,
}

impl Reach {
    /// All that lies in it.
    pub fn whole() -> Self {
        Self { is_whole: true, ..Self::default() }
    }

    /// Lets all be reached that lies at the end of a way, or only what is there itself. What is on the
    /// way may be links.
    pub(crate) fn add(&mut self, asked: &Asked<'_>) {
        let mut at = self;
        for (number, name) in asked.way.iter().enumerate() {
            at = Arc::make_mut(at.picked.entry((*name).into()).or_default());
            at.may_be_link |= number + 1 < asked.way.len() || asked.is_slashed;
        }
        at.is_whole |= asked.is_listed;
    }

    /// What may be reached from what has a name in it; `None` if that may not be.
    pub(super) fn at(self: &Arc<Self>, name: &[u8]) -> Option<Arc<Self>> {
        match self.picked.get(name) {
            None if !self.is_whole => None,
            None if self.picked.is_empty() => Some(Arc::clone(self)),
            None => Some(Arc::new(Self::whole())),
            Some(picked) if self.is_whole && !picked.is_whole => {
                Some(Arc::new(Self { is_whole: true, ..Self::clone(picked) }))
            }
            Some(picked) => Some(Arc::clone(picked)),
        }
    }

    /// True when its names may be told.
    pub(super) fn is_listed(&self) -> bool {
        self.is_whole
    }

    /// True when it was picked by its name, and what a link of that name leads to is meant.
    pub(super) fn leads_through(&self, name: &[u8]) -> bool {
        self.picked.get(name).is_some_and(|picked| picked.may_be_link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_picked_is_reached_and_all_below_what_is_listed() {
        let mut reach = Reach::default();
        let mut add = |way: &[&[u8]], is_listed| {
            reach.add(&Asked { base: b".", way, is_listed, is_slashed: false });
        };
        add(&[b"a", b"b"], true);
        add(&[b"a", b"c"], false);
        add(&[b"a", b"b", b"d"], false);
        let reach = Arc::new(reach);
        let a = reach.at(b"a").unwrap();
        assert!(reach.at(b"b").is_none() && a.at(b"x").is_none() && !a.is_listed());
        let b = a.at(b"b").unwrap();
        assert!(b.is_listed() && a.leads_through(b"b"));
        assert!(!a.leads_through(b"c") && !b.leads_through(b"d") && !b.leads_through(b"x"));
        for name in [&b"d"[..], b"x"] {
            let below = b.at(name).unwrap();
            assert!(below.is_listed() && below.at(b"anything").is_some());
        }
        let c = a.at(b"c").unwrap();
        assert!(c.at(b"anything").is_none() && !c.is_listed());
    }
}
