//! What may be reached from a directory of the source: all that lies in it, or what is named; of that what
//! no rule of the job hides.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::selection::asked::Asked;

/// What of the content of a directory may be reached without being named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Content {
    #[default]
    Nothing,
    /// Its names, and nothing that lies in them (`-d`).
    Names,
    /// All that lies in it, and below.
    Whole,
}

/// What the rules say of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// It is in the listing of its directory.
    pub(super) is_listed: bool,
    /// It may be picked.
    pub(super) is_picked: bool,
}

impl Shown {
    /// No rule says anything.
    pub(super) const FULLY: Self = Self { is_listed: true, is_picked: true };
}

/// What may be reached from a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// What lies in it without being named.
    content: Content,
    /// It was named itself, and does not only lead to what was.
    is_named: bool,
    /// A transfer begins here: rules see paths from here on.
    begins: bool,
    /// Where it is a link, all that it leads to is meant, and not only what was picked through it.
    is_slashed: bool,
    /// What was picked by its name, and what may be reached from there.
    picked: BTreeMap<Box<[u8]>, Arc<Self>>,
}

impl Reach {
    /// All that lies in it.
    pub fn whole() -> Self {
        Self { content: Content::Whole, ..Self::default() }
    }

    /// Lets all be reached that lies at the end of a way, or only what is there itself.
    pub(crate) fn add(&mut self, asked: &Asked<'_>) {
        let mut at = self;
        at.begins |= asked.begins_at == 0;
        for (name, depth) in asked.way.iter().zip(1..) {
            at = Arc::make_mut(at.picked.entry((*name).into()).or_default());
            at.begins |= depth == asked.begins_at;
        }
        at.is_named = true;
        at.is_slashed |= asked.is_slashed;
        let content = match asked.is_listed {
            false => Content::Nothing,
            true if asked.is_deep => Content::Whole,
            true => Content::Names,
        };
        at.content = at.content.max(content);
    }

    /// What may be reached from what has a name in it; `None` if that may not be.
    pub(super) fn at(self: &Arc<Self>, name: &[u8], shown: Shown) -> Option<Arc<Self>> {
        let below = if shown.is_listed { self.content } else { Content::Nothing };
        let Some(picked) = self.picked.get(name) else {
            return match below {
                Content::Nothing => None,
                Content::Names => Some(Arc::default()),
                Content::Whole if self.is_plain() => Some(Arc::clone(self)),
                Content::Whole => Some(Arc::new(Self::whole())),
            };
        };
        let is_named = picked.is_named && shown.is_picked;
        if !is_named && picked.picked.is_empty() && below == Content::Nothing {
            return None;
        }
        let named = if is_named { picked.content } else { Content::Nothing };
        let listed = if below == Content::Whole { Content::Whole } else { Content::Nothing };
        let content = named.max(listed);
        if content == picked.content {
            return Some(Arc::clone(picked));
        }
        Some(Arc::new(Self { content, ..Self::clone(picked) }))
    }

    /// Nothing in it is different from what else lies in it.
    fn is_plain(&self) -> bool {
        self.picked.is_empty() && !self.begins && !self.is_named
    }

    /// True when its names may be told.
    pub(super) fn is_listed(&self) -> bool {
        self.content != Content::Nothing
    }

    /// True when nothing in it may be reached.
    pub(super) fn is_closed(&self) -> bool {
        self.content == Content::Nothing && self.picked.is_empty()
    }

    /// True when rules see paths from here on.
    pub(super) fn begins(&self) -> bool {
        self.begins
    }

    /// True when it has a name of its own in the job.
    pub(super) fn has_picked(&self, name: &[u8]) -> bool {
        self.picked.contains_key(name)
    }

    /// True when a link of that name leads to what is meant: it was picked with a slash, or something
    /// was through it.
    pub(super) fn leads_through(&self, name: &[u8]) -> bool {
        self.picked.get(name).is_some_and(|it| it.is_slashed || !it.picked.is_empty())
    }

    /// What may be reached through it where it is a link that is followed for this alone.
    pub(super) fn through_link(self: Arc<Self>) -> Arc<Self> {
        if self.is_slashed || self.content == Content::Nothing {
            return self;
        }
        Arc::new(Self { content: Content::Nothing, ..Self::clone(&self) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: Shown = Shown { is_listed: false, is_picked: false };

    fn asked<'a>(way: &'a [&'a [u8]], is_listed: bool) -> Asked<'a> {
        Asked { base: b".", way, begins_at: 0, is_listed, is_deep: true, is_slashed: false }
    }

    #[test]
    fn what_rules_hide_is_not_reached_but_for_what_it_leads_to() {
        let mut reach = Reach::default();
        reach.add(&asked(&[], true));
        reach.add(&asked(&[b"a", b"b"], false));
        reach.add(&asked(&[b"c"], true));
        let reach = Arc::new(reach);
        assert!(reach.at(b"x", Shown::FULLY).unwrap().is_listed());
        assert!(reach.at(b"x", HIDDEN).is_none() && reach.at(b"c", HIDDEN).is_none());
        let a = reach.at(b"a", HIDDEN).unwrap();
        assert!(!a.is_listed() && a.at(b"x", Shown::FULLY).is_none());
        assert!(a.at(b"b", Shown::FULLY).is_some() && a.at(b"b", HIDDEN).is_none());
        let picked_only = Shown { is_picked: true, ..HIDDEN };
        assert!(reach.at(b"c", picked_only).unwrap().is_listed());
    }

    #[test]
    fn without_recursion_names_are_all_there_is() {
        let mut reach = Reach::default();
        reach.add(&Asked { is_deep: false, ..asked(&[b"d"], true) });
        let d = Arc::new(reach).at(b"d", Shown::FULLY).unwrap();
        let below = d.at(b"x", Shown::FULLY).unwrap();
        assert!(d.is_listed() && !below.is_listed() && below.at(b"y", Shown::FULLY).is_none());
    }

    #[test]
    fn only_what_is_picked_is_reached_and_all_below_what_is_listed() {
        let mut reach = Reach::default();
        let mut add = |way: &[&[u8]], is_listed| {
            reach.add(&asked(way, is_listed));
        };
        add(&[b"a", b"b"], true);
        add(&[b"a", b"c"], false);
        add(&[b"a", b"b", b"d"], false);
        let reach = Arc::new(reach);
        let a = reach.at(b"a", Shown::FULLY).unwrap();
        assert!(
            reach.at(b"b", Shown::FULLY).is_none()
                && a.at(b"x", Shown::FULLY).is_none()
                && !a.is_listed()
        );
        let b = a.at(b"b", Shown::FULLY).unwrap();
        assert!(b.is_listed() && a.leads_through(b"b"));
        assert!(!a.leads_through(b"c") && !b.leads_through(b"d") && !b.leads_through(b"x"));
        for name in [&b"d"[..], b"x"] {
            let below = b.at(name, Shown::FULLY).unwrap();
            assert!(below.is_listed() && below.at(b"anything", Shown::FULLY).is_some());
        }
        // Named itself, "b" is a link: only what was picked through it is meant.
        let behind = Arc::clone(&b).through_link();
        assert!(!behind.is_listed() && behind.at(b"x", Shown::FULLY).is_none());
        assert!(behind.at(b"d", Shown::FULLY).is_some());
        let c = a.at(b"c", Shown::FULLY).unwrap();
        assert!(c.at(b"anything", Shown::FULLY).is_none() && !c.is_listed());
    }
}
