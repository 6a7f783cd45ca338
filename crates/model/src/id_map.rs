//! `--usermap` and `--groupmap` (rsync(1)): changes of owners as data.

use borsh::{BorshDeserialize, BorshSerialize};

/// What a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IdPattern {
    /// Every id (`*`).
    Any,
    /// Ids from the first to the second, both included.
    Range(u32, u32),
    /// Ids whose name matches this shell pattern.
    Name(Box<[u8]>),
    /// Ids that have no name (an empty left side).
    Unnamed,
}

/// What an id becomes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IdTarget {
    /// This one.
    Id(u32),
    /// That of this name, on the host of the destination. To be looked up there before it is used.
    Name(Box<[u8]>),
}

/// One `FROM:TO` of a map.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IdRule {
    /// Which ids.
    pub from: IdPattern,
    /// What they become.
    pub to: IdTarget,
}

/// A map of owners: the first rule that applies wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IdMap {
    /// The rules in order.
    pub rules: Vec<IdRule>,
}

impl IdMap {
    /// Looks up the names of targets. Rules with names that are not known go; these are returned.
    pub fn look_up(&mut self, id_of: impl Fn(&[u8]) -> Option<u32>) -> Vec<Box<[u8]>> {
        let mut unknown = Vec::new();
        self.rules.retain_mut(|rule| {
            let IdTarget::Name(name) = &rule.to else { return true };
            match id_of(name) {
                Some(id) => rule.to = IdTarget::Id(id),
                None => unknown.push(name.clone()),
            }
            matches!(rule.to, IdTarget::Id(_))
        });
        unknown
    }

    /// What a rule makes of `id`; `None` where no rule is about it. `name` looks a name up, once and only
    /// where a rule asks for it; `matches` decides whether a name matches a shell pattern.
    pub fn find(
        &self,
        id: u32,
        name: impl Fn(u32) -> Option<Vec<u8>>,
        matches: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Option<u32> {
        let name = std::cell::LazyCell::new(|| name(id));
        let applies = |rule: &&IdRule| match &rule.from {
            IdPattern::Any => true,
            IdPattern::Range(low, high) => (*low..=*high).contains(&id),
            IdPattern::Name(pattern) => name.as_ref().is_some_and(|name| matches(pattern, name)),
            IdPattern::Unnamed => name.is_none(),
        };
        match self.rules.iter().find(applies)?.to {
            IdTarget::Id(to) => Some(to),
            // A name that nobody looked up stands for nobody.
            IdTarget::Name(_) => Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IdMap, IdPattern, IdRule, IdTarget};

    #[test]
    fn first_rule_that_applies_wins() {
        let rule = |from, to| IdRule { from, to: IdTarget::Id(to) };
        let map = IdMap {
            rules: vec![
                rule(IdPattern::Range(5, 9), 1),
                rule(IdPattern::Name(Box::from(&b"web"[..])), 2),
                rule(IdPattern::Unnamed, 3),
            ],
        };
        let name = |id| (id < 100).then(|| if id == 50 { b"web".to_vec() } else { b"x".to_vec() });
        let find = |id| map.find(id, name, |pattern, name| pattern == name);
        assert_eq!([find(7), find(50), find(51), find(100)], [Some(1), Some(2), None, Some(3)]);
    }

    #[test]
    fn names_are_looked_up_where_they_are_used() {
        let rule = |name: &[u8]| IdRule { from: IdPattern::Any, to: IdTarget::Name(name.into()) };
        let mut map = IdMap { rules: vec![rule(b"nobody"), rule(b"web")] };
        assert_eq!(map.find(7, |_| None, |_, _| false), Some(7));
        let unknown = map.look_up(|name| (name == b"web").then_some(33));
        assert_eq!(unknown, [Box::from(&b"nobody"[..])]);
        assert_eq!(map.find(7, |_| None, |_, _| false), Some(33));
    }
}
