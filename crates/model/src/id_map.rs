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

/// One `FROM:TO` of a map, `TO` looked up already.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IdRule {
    /// Which ids.
    pub from: IdPattern,
    /// The id they become.
    pub to: u32,
}

/// A map of owners: the first rule that applies wins; an id without a rule stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IdMap {
    /// The rules in order.
    pub rules: Vec<IdRule>,
}

impl IdMap {
    /// The id that `id` becomes. `name` looks a name up, once and only where a rule asks for it;
    /// `matches` decides whether a name matches a shell pattern.
    pub fn apply(
        &self,
        id: u32,
        name: impl Fn(u32) -> Option<Vec<u8>>,
        matches: impl Fn(&[u8], &[u8]) -> bool,
    ) -> u32 {
        let name = std::cell::LazyCell::new(|| name(id));
        let applies = |rule: &&IdRule| match &rule.from {
            IdPattern::Any => true,
            IdPattern::Range(low, high) => (*low..=*high).contains(&id),
            IdPattern::Name(pattern) => name.as_ref().is_some_and(|name| matches(pattern, name)),
            IdPattern::Unnamed => name.is_none(),
        };
        self.rules.iter().find(applies).map_or(id, |rule| rule.to)
    }
}

#[cfg(test)]
mod tests {
    use super::{IdMap, IdPattern, IdRule};

    #[test]
    fn first_rule_that_applies_wins() {
        let rule = |from, to| IdRule { from, to };
        let map = IdMap {
            rules: vec![
                rule(IdPattern::Range(5, 9), 1),
                rule(IdPattern::Name(Box::from(&b"web"[..])), 2),
                rule(IdPattern::Unnamed, 3),
            ],
        };
        let name = |id| (id < 100).then(|| if id == 50 { b"web".to_vec() } else { b"x".to_vec() });
        let apply = |id| map.apply(id, name, |pattern, name| pattern == name);
        assert_eq!([apply(7), apply(50), apply(51), apply(100)], [1, 2, 51, 3]);
    }
}
