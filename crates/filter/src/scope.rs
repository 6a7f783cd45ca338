//! The rules in force in one directory.

use std::fmt;
use std::sync::Arc;

use crate::list::Item;
use crate::merge::{Layer, Slots, Step, resolve};
use crate::pattern::Subject;
use crate::rule::{Rule, Traits};
use crate::{NodeKind, Perishable, ReadMerge, RuleError, RuleId, Rules, Side, Verdict};

/// The rules in force in one directory. A clone is one counter step.
#[derive(Debug, Clone)]
pub struct Scope {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    ground: Arc<Ground>,
    slots: Slots,
}

/// What is the same in the whole tree.
#[derive(Debug)]
struct Ground {
    rules: Arc<Rules>,
    /// Absolute, without a slash at the end.
    root: Box<[u8]>,
}

/// A rule that decided: shown with where it stands, as in `- *.o (command line)`.
#[derive(Debug, Clone, Copy)]
pub struct Description<'a>(Option<&'a Rule>);

impl<'a> Description<'a> {
    /// The pattern as it was written; empty when the rule is of another scope.
    pub fn pattern(&self) -> &'a [u8] {
        self.0.map_or(b"", Rule::text)
    }
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rule) => rule.fmt(out),
            None => out.write_str("a rule of another directory"),
        }
    }
}

/// The number of the command line's list; per-directory lists follow.
const COMMAND_LINE: u32 = 0;

impl Scope {
    /// The scope above the transfer root, where names given as arguments are checked.
    pub fn root(rules: Arc<Rules>, root_abs_path: &[u8]) -> Self {
        let slots = rules.slots().clone();
        let root = resolve(b"/", root_abs_path).into();
        Self { state: Arc::new(State { ground: Arc::new(Ground { rules, root }), slots }) }
    }

    /// Enters a directory, `dir` relative to the transfer root (`b""` is the root itself): reads
    /// its merge files.
    ///
    /// `read` gets names relative to the transfer root, or absolute ones for files above it, and for
    /// those in it when a directory below is entered first; `Ok(None)` says that there is no such
    /// file. rsync takes a merge file that cannot be read as
    /// absent. When nothing has changed the same scope is given back.
    pub fn enter(&self, dir: &[u8], read: ReadMerge<'_>) -> Result<Self, RuleError> {
        if !self.needs_reading() {
            return Ok(self.clone());
        }
        let Ground { rules, root } = &*self.state.ground;
        let dir = if dir == b"." { b"" } else { dir };
        let step = Step::new(rules.options(), root, dir, &self.state.slots);
        Ok(match step.take(read)? {
            None => self.clone(),
            Some(slots) => {
                let ground = Arc::clone(&self.state.ground);
                Self { state: Arc::new(State { ground, slots }) }
            }
        })
    }

    /// True when [`Scope::enter`] has files to look for.
    pub fn needs_reading(&self) -> bool {
        self.state.slots.iter().next().is_some()
    }

    /// True when no rule was given, so that nothing can match here or below.
    pub fn is_empty(&self) -> bool {
        self.state.ground.rules.is_empty()
    }

    /// What the rules say of an entry; `path` is relative to the transfer root, without a leading
    /// slash.
    ///
    /// The parents of the path are not looked at: a walk never gets below an excluded directory.
    /// The transfer root itself (`b""` or `b"."`) is never matched.
    pub fn check(
        &self,
        path: &[u8],
        kind: NodeKind,
        side: Side,
        perishable: Perishable,
    ) -> Verdict {
        if matches!(path, b"" | b".") {
            return Verdict::Unmatched;
        }
        let subject = Subject::entry(&self.state.ground.root, path, kind);
        self.answer(&Question { subject, side, perishable })
    }

    /// What the rules say of the transfer root where it is named as the first of the directories on
    /// a way, as in `./a`.
    pub fn check_leading_dot(&self, side: Side) -> Verdict {
        let subject = Subject::entry(&self.state.ground.root, b".", NodeKind::Directory);
        self.answer(&Question { subject, side, perishable: Perishable::Honoured })
    }

    /// What the `x` rules say of the name of an extended attribute.
    pub fn check_xattr(&self, name: &[u8], side: Side) -> Verdict {
        let subject = Subject::xattr(&self.state.ground.root, name);
        self.answer(&Question { subject, side, perishable: Perishable::Honoured })
    }

    /// True when a rule in force here is about extended attributes: then the usual choice of
    /// attributes does not apply. Looks at all rules, so ask once for a directory.
    pub fn has_xattr_rules(&self) -> bool {
        let slots = self.state.slots.iter();
        let mut items = slots.flat_map(|slot| layers(slot.rules())).flat_map(|layer| &layer.items);
        self.state.ground.rules.has_xattr_rules() || items.any(Item::is_about_xattrs)
    }

    /// The rule behind a verdict of this scope.
    pub fn describe(&self, id: RuleId) -> Description<'_> {
        let index = id.index as usize;
        let item = match id.list.checked_sub(1) {
            None => self.state.ground.rules.items().get(index),
            Some(slot) => {
                let slot = self.state.slots.get(slot as usize);
                layers(slot.and_then(|slot| slot.rules())).flat_map(|layer| &layer.items).nth(index)
            }
        };
        Description(match item {
            Some(Item::Rule(rule)) => Some(rule),
            Some(Item::Slot(_)) | None => None,
        })
    }

    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    fn answer(&self, question: &Question<'_>) -> Verdict {
        let items = self.state.ground.rules.items();
        let first = RuleId { list: COMMAND_LINE, index: 0 };
        self.answer_from(items, first, question).unwrap_or(Verdict::Unmatched)
    }

    /// Asks the items in turn; `first` names the first of them.
    fn answer_from(
        &self,
        items: &[Item],
        first: RuleId,
        question: &Question<'_>,
    ) -> Option<Verdict> {
        (first.index..).zip(items).find_map(|(index, item)| match item {
            Item::Rule(rule) => question.settled_by(rule, RuleId { index, ..first }),
            Item::Slot(slot) => self.answer_from_slot(*slot, question),
        })
    }

    fn answer_from_slot(&self, index: usize, question: &Question<'_>) -> Option<Verdict> {
        let slot = self.state.slots.get(index)?;
        if question.skips(slot.traits()) || !slot.sides().covers(question.side) {
            return None;
        }
        let mut first = RuleId { list: u32::try_from(index + 1).ok()?, index: 0 };
        for layer in layers(slot.rules()) {
            let verdict = self.answer_from(&layer.items, first, question);
            if verdict.is_some() {
                return verdict;
            }
            first.index += u32::try_from(layer.items.len()).ok()?;
        }
        None
    }
}

/// The layers of a slot, newest first.
fn layers(newest: Option<&Arc<Layer>>) -> impl Iterator<Item = &Layer> {
    std::iter::successors(newest.map(|layer| &**layer), |layer| layer.below.as_deref())
}

/// One thing asked of all rules in turn.
struct Question<'a> {
    subject: Subject<'a>,
    side: Side,
    perishable: Perishable,
}

impl Question<'_> {
    fn settled_by(&self, rule: &Rule, id: RuleId) -> Option<Verdict> {
        let traits = rule.traits();
        if self.skips(traits) || !traits.sides().covers(self.side) || !rule.applies(&self.subject) {
            return None;
        }
        Some(if rule.includes() { Verdict::Included(id) } else { Verdict::Excluded(id) })
    }

    fn skips(&self, traits: Traits) -> bool {
        self.perishable == Perishable::Ignored && traits.contains(Traits::PERISHABLE)
    }
}
