//! `--usermap`, `--groupmap`, `--chown` and `--numeric-ids`: how owners translate.

use model::settings::Ids;
use model::{IdMap, IdPattern, IdRule, IdTarget};

use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    users: Option<Map>,
    groups: Option<Map>,
    numeric: bool,
}

/// Which host writes, and so knows the names of owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// This one.
    Here,
    /// Another one.
    There,
}

/// Which attributes a map needs to be brought over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) owner: bool,
    pub(super) group: bool,
}

#[derive(Debug)]
struct Map {
    text: Vec<u8>,
    by_chown: bool,
}

impl Typed {
    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<Needed, Refusal> {
        let map = || Map { text: flag.bytes().to_vec(), by_chown: false };
        match flag.opt {
            Opt::NumericIds => self.numeric = flag.is_on(),
            Opt::Usermap => {
                set_once(&mut self.users, map(), flag)?;
                return Ok(Needed { owner: true, group: false });
            }
            Opt::Groupmap => {
                set_once(&mut self.groups, map(), flag)?;
                return Ok(Needed { owner: false, group: true });
            }
            Opt::Chown => return self.take_chown(flag),
            _ => {}
        }
        Ok(Needed::default())
    }

    fn take_chown(&mut self, flag: &RawFlag) -> Result<Needed, Refusal> {
        let (user, group) = split_at_colon(flag.bytes()).unwrap_or((flag.bytes(), b""));
        let map = |name: &[u8]| Map { text: [b"*:", name].concat(), by_chown: true };
        if !user.is_empty() {
            set_once(&mut self.users, map(user), flag)?;
        }
        if !group.is_empty() {
            set_once(&mut self.groups, map(group), flag)?;
        }
        Ok(Needed { owner: !user.is_empty(), group: !group.is_empty() })
    }

    /// Settles it; where the destination is here, names are looked up. One that is not known is a
    /// warning and its rule is left out.
    pub(super) fn settle(
        self,
        writes: Writes,
        surroundings: &dyn Surroundings,
    ) -> Result<(Ids, Vec<String>), Refusal> {
        let mut warnings = Vec::new();
        let mut read = |map: Option<Map>, option, id_of: &dyn Fn(&[u8]) -> Option<u32>| {
            let Some(Map { text, .. }) = map else { return Ok(IdMap::default()) };
            let mut map = parse_map(&text, option, self.numeric)?;
            if writes == Writes::Here {
                let left_out = map.look_up(id_of).into_iter().map(|name| {
                    let name = name.escape_ascii();
                    format!(
                        "{option}: the name \"{name}\" is not known here, so its rule is left out"
                    )
                });
                warnings.extend(left_out);
            }
            Ok::<_, Refusal>(map)
        };
        let users = read(self.users, "--usermap", &|name| surroundings.user_id(name))?;
        let groups = read(self.groups, "--groupmap", &|name| surroundings.group_id(name))?;
        Ok((Ids { users, groups, numeric: self.numeric }, warnings))
    }
}

fn set_once(place: &mut Option<Map>, map: Map, flag: &RawFlag) -> Result<(), Refusal> {
    if let Some(earlier) = place {
        return Err(Refusal::usage(match (earlier.by_chown, map.by_chown) {
            (true, true) => "--chown was given for the same before".to_owned(),
            (false, false) => format!("{} was given before; use one with commas", flag.spelling),
            _ => "--chown and a map for the same do not go together".to_owned(),
        }));
    }
    *place = Some(map);
    Ok(())
}

fn split_at_colon(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    Some((&text[..colon], &text[colon + 1..]))
}

fn parse_map(text: &[u8], option: &str, numeric: bool) -> Result<IdMap, Refusal> {
    let mut rules = Vec::new();
    for rule in text.split(|byte| *byte == b',') {
        let refuse = |what| Refusal::usage(format!("{option}: \"{}\" {what}", rule.escape_ascii()));
        let (from, to) = split_at_colon(rule).ok_or_else(|| refuse("has no colon"))?;
        let from = pattern(from).ok_or_else(|| refuse("has no valid number before the colon"))?;
        let to = match to {
            b"" => return Err(refuse("has nothing behind the colon")),
            digits if digits.iter().all(u8::is_ascii_digit) => {
                let id = id(digits).ok_or_else(|| refuse("has a number that is too large"));
                IdTarget::Id(id?)
            }
            name => IdTarget::Name(name.into()),
        };
        rules.extend(for_names(from, numeric).map(|from| IdRule { from, to }));
    }
    Ok(IdMap { rules })
}

fn pattern(from: &[u8]) -> Option<IdPattern> {
    match from {
        b"" => Some(IdPattern::Unnamed),
        // A pattern that matches even the empty name matches ids without a name.
        stars if stars.iter().all(|byte| *byte == b'*') => Some(IdPattern::Any),
        [b'0'..=b'9', ..] => {
            let mut ends = from.split(|byte| *byte == b'-').map(id);
            let (low, high) = (ends.next()??, ends.next().unwrap_or(id(from))?);
            ends.next().is_none().then_some(IdPattern::Range(low, high))
        }
        name => Some(IdPattern::Name(name.into())),
    }
}

fn id(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// With `--numeric-ids` no id has a name.
fn for_names(pattern: IdPattern, numeric: bool) -> Option<IdPattern> {
    match pattern {
        IdPattern::Name(_) if numeric => None,
        IdPattern::Unnamed if numeric => Some(IdPattern::Any),
        other => Some(other),
    }
}
