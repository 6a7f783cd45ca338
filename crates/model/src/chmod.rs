//! `--chmod` (rsync(1) and chmod(1)): changes of mode bits as data.
//!
//! A comma list of clauses: octal (`D2775`, `F644`) or symbolic (`u+rwX,go-w`), each limited to
//! directories by a leading `D` or to everything else by a leading `F`.

use borsh::io::{Read, Result};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding::{malformed, read_mode};

/// What a clause applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum Scope {
    All,
    Directories,
    Others,
}

/// One clause as masks: `mode = (mode & and) | or`, plus execute bits where `X` asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Clause {
    scope: Scope,
    and: u32,
    #[borsh(deserialize_with = "read_mode")]
    or: u32,
    #[borsh(deserialize_with = "read_mode")]
    or_if_executable: u32,
    copies: Option<Copies>,
}

/// `g=u`: the permissions of one class go to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Copies {
    /// How far the class that is read lies from the lowest bits.
    #[borsh(deserialize_with = "read_shift")]
    from_shift: u32,
    /// One bit for each class that is written.
    #[borsh(deserialize_with = "read_classes")]
    to_classes: u32,
    /// The bits that may be written: without a class, not those of the umask.
    allowed: u32,
    operator: Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum Operator {
    Add,
    Remove,
    Set,
}

impl Copies {
    fn apply(self, mode: u32) -> u32 {
        let bits = (((mode >> self.from_shift) & 7) * self.to_classes) & self.allowed;
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => {
                let (user, group, others) = (0o100, 0o010, 0o001);
                let special = (self.to_classes & user) << 5
                    | (self.to_classes & group) << 7
                    | (self.to_classes & others) << 9;
                (mode & !(self.to_classes * 7) & !special) | bits
            }
        }
    }
}

/// A list of changes, applied in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Chmod {
    clauses: Vec<Clause>,
}

/// All permission bits with setuid, setgid and sticky.
const ALL_BITS: u32 = 0o7777;

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const STICKY: u32 = 0o1000;

impl Chmod {
    /// Adds the clauses of one `--chmod` argument; `None` when it is not a mode.
    ///
    /// `umask` applies to clauses without `u`, `g`, `o` or `a`, as in chmod(1).
    pub fn push(&mut self, text: &str, umask: u32) -> Option<()> {
        for clause in text.split(',') {
            self.clauses.push(parse_clause(clause, umask)?);
        }
        Some(())
    }

    /// True when there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The mode that `mode` becomes.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        // `X` asks what the mode was, whatever the clauses before it did.
        let is_executable = is_directory || mode & 0o111 != 0;
        self.clauses.iter().fold(mode, |mode, clause| match clause.scope {
            Scope::Directories if !is_directory => mode,
            Scope::Others if is_directory => mode,
            _ => {
                let extra = if is_executable { clause.or_if_executable } else { 0 };
                let mode = (mode & clause.and) | clause.or | extra;
                clause.copies.map_or(mode, |copies| copies.apply(mode))
            }
        })
    }
}

fn read_shift<R: Read>(reader: &mut R) -> Result<u32> {
    let shift = u32::deserialize_reader(reader)?;
    if matches!(shift, 0 | 3 | 6) { Ok(shift) } else { Err(malformed("no class of permissions")) }
}

fn read_classes<R: Read>(reader: &mut R) -> Result<u32> {
    let classes = u32::deserialize_reader(reader)?;
    if classes & !0o111 == 0 { Ok(classes) } else { Err(malformed("no class of permissions")) }
}

fn parse_clause(text: &str, umask: u32) -> Option<Clause> {
    let (scope, rest) = match text.as_bytes().first()? {
        b'D' => (Scope::Directories, &text[1..]),
        b'F' => (Scope::Others, &text[1..]),
        _ => (Scope::All, text),
    };
    if rest.starts_with(|digit: char| digit.is_ascii_digit()) {
        let mode = u32::from_str_radix(rest, 8).ok().filter(|mode| *mode <= ALL_BITS)?;
        let set = Clause { and: !ALL_BITS, ..clause(u32::MAX, mode, 0) };
        return Some(Clause { scope, ..set });
    }
    parse_symbolic(rest, umask).map(|clause| Clause { scope, ..clause })
}

fn parse_symbolic(text: &str, umask: u32) -> Option<Clause> {
    let operator_at = text.find(['+', '-', '='])?;
    let (who, rest) = text.split_at(operator_at);
    let (operator, permissions) = rest.split_at(1);
    let (mut classes, mut set_ids) = (0, 0);
    for class in who.chars() {
        let (bits, set_id) = match class {
            'u' => (0o100, SET_UID),
            'g' => (0o010, SET_GID),
            'o' => (0o001, 0),
            'a' => (0o111, SET_UID | SET_GID),
            _ => return None,
        };
        classes |= bits;
        set_ids |= set_id;
    }
    // Without a class chmod(1) means all of them, less what the umask takes away.
    let allowed = if classes == 0 { !umask } else { u32::MAX };
    let classes = if classes == 0 { 0o111 } else { classes };
    if let Some(from_shift) = class_shift(permissions) {
        let operator = match operator {
            "+" => Operator::Add,
            "-" => Operator::Remove,
            _ => Operator::Set,
        };
        let copies = Copies { from_shift, to_classes: classes, allowed, operator };
        return Some(Clause { copies: Some(copies), ..clause(u32::MAX, 0, 0) });
    }
    let (mut bits, mut special, mut conditional) = (0, 0, 0);
    for permission in permissions.chars() {
        match permission {
            'r' => bits |= classes * 4,
            'w' => bits |= classes * 2,
            'x' => bits |= classes,
            'X' => conditional |= classes,
            // As rsync: without `u`, `g` or `a` it is the user's.
            's' if set_ids == 0 => special |= SET_UID,
            's' => special |= set_ids,
            't' => special |= STICKY,
            _ => return None,
        }
    }
    let set = (bits & allowed) | special;
    let conditional = conditional & allowed;
    Some(match operator {
        "+" => clause(u32::MAX, set, conditional),
        "-" => clause(!(set | conditional), 0, 0),
        _ if special == 0 => clause(!(classes * 7), set, conditional),
        _ => clause(!((classes * 7) | set_ids), set, conditional),
    })
}

/// How far the bits of the class that is named lie from the lowest bits.
fn class_shift(permissions: &str) -> Option<u32> {
    match permissions {
        "u" => Some(6),
        "g" => Some(3),
        "o" => Some(0),
        _ => None,
    }
}

fn clause(and: u32, or: u32, or_if_executable: u32) -> Clause {
    Clause { scope: Scope::All, and, or, or_if_executable, copies: None }
}

#[cfg(test)]
mod tests {
    use super::Chmod;

    fn check(text: &str, mode: u32, is_directory: bool, expected: u32) {
        let mut chmod = Chmod::default();
        chmod.push(text, 0o022).unwrap();
        let got = chmod.apply(mode, is_directory);
        assert_eq!(got, expected, "{text} on {mode:o}: {got:o} instead of {expected:o}");
    }

    /// Where chmod(1) does otherwise, or refuses.
    #[test]
    fn set_id_bits_are_rsyncs() {
        check("+s", 0o740, false, 0o4740);
        check("o+s", 0o740, false, 0o4740);
        check("=s", 0o740, false, 0o4000);
        check("-s", 0o6755, false, 0o2755);
        check("g=t", 0o2711, false, 0o1701);
        check("u=t", 0o6755, false, 0o3055);
        check("u=r", 0o6755, false, 0o6455);
    }

    #[test]
    fn applies_as_chmod_does() {
        check("u+x", 0o644, false, 0o744);
        check("go-w", 0o666, false, 0o644);
        check("a=r", 0o755, false, 0o444);
        check("+w", 0o444, false, 0o644);
        check("D2775,F664", 0o700, true, 0o2775);
        check("D2775,F664", 0o700, false, 0o664);
        check("a+X", 0o644, false, 0o644);
        check("a+X", 0o744, false, 0o755);
        check("a+X", 0o600, true, 0o711);
        check("a-rwx,u+rwX", 0o755, false, 0o700);
        check("a=,u=rwX,g=rX", 0o755, false, 0o750);
        check("a-x,+X", 0o644, false, 0o644);
        check("u+s,g+s", 0o755, false, 0o6755);
        check("+u", 0o740, false, 0o755);
        check("=u", 0o740, false, 0o755);
        check("-u", 0o1777, false, 0o1022);
        check("+t", 0o755, true, 0o1755);
        check("F600,u+x", 0o644, false, 0o700);
        check("go=u", 0o640, false, 0o666);
        check("o+g", 0o640, false, 0o644);
        check("go=u", 0o7755, false, 0o4777);
        check("u=g", 0o7755, false, 0o3555);
    }

    #[test]
    fn refuses_what_is_no_mode() {
        for bad in ["", "u", "u+q", "z+x", "99", "70000"] {
            assert!(Chmod::default().push(bad, 0).is_none(), "{bad}");
        }
    }
}
