//! Which names can be passed on.

use model::{Cause, Fault, Kind};

use super::place::join;
use super::seen::Before;
use super::{client, fault};

/// What was wrong with the names of a directory.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The first one, and why it cannot be passed on.
    first: Option<(Box<[u8]>, &'static str)>,
    count: u64,
}

impl Names {
    /// The kind of an entry, if it can be passed on; else it is kept as a fault of its directory.
    pub(super) fn check(&mut self, name: &[u8], kind: Option<Kind>) -> Option<Kind> {
        let wrong =
            fault_of(name).or_else(|| kind.is_none().then_some("it is of a kind not known here"));
        let Some(wrong) = wrong else { return kind };
        self.keep(name, wrong);
        None
    }

    /// Whether an entry is to be told: not where it was before. That it was something else then is kept as a
    /// fault of its directory, for only one of both can be there.
    pub(super) fn is_first(&mut self, name: &[u8], before: Before) -> bool {
        if before == Before::Other {
            self.keep(name, "the cluster tells two different things of that name");
        }
        before == Before::Never
    }

    fn keep(&mut self, name: &[u8], wrong: &'static str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (name.into(), wrong));
    }

    /// The directory was told to its end: a fault if something in it could not be. All else of it is known.
    pub(super) fn end(self, folder: &[u8]) -> Option<Fault> {
        let (name, why) = self.first?;
        let entry = client::shown(&String::from_utf8_lossy(&name));
        let others = match self.count - 1 {
            0 => String::new(),
            count => format!(", and {count} others"),
        };
        let sentence = format!(
            "an entry of it, named \"{entry}\", cannot be passed on{others}: {why}; move it by itself, or give \
             it another name"
        );
        Some(fault(&join(folder, b""), Cause::Refused(sentence.into())))
    }
}

/// The longest name that is passed on, in bytes. No file system has one of a quarter of it.
const LONGEST: usize = 4_096;

/// Why a name cannot be passed on.
pub(super) fn fault_of(name: &[u8]) -> Option<&'static str> {
    /// U+FFFD in UTF-8.
    const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

    match name {
        b"" | b"." | b".." => Some("that is no name"),
        name if name.iter().any(|byte| matches!(byte, b'/' | 0)) => {
            Some("no name has a slash or a NUL in it")
        }
        name if name.len() > LONGEST => Some("no name is as long"),
        name if name.windows(REPLACEMENT.len()).any(|part| part == REPLACEMENT) => {
            Some("the cluster shows U+FFFD for what is not UTF-8, and no mover finds that")
        }
        _ => None,
    }
}
