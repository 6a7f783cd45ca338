//! The words for rsync that the user typed, and what becomes of each where many rsyncs do one job.
//!
//! Words are read as rsync reads them: letters in clusters, values joined or behind, options after paths.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use lexopt::Arg;

use crate::bucket::Class;
use crate::mover::Unfit;

/// The options of rsync.
mod rows;

use rows::ROWS;

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It goes to every rsync that is started.
    Everywhere,
    /// It says what the receiving side does, so it is not for listings.
    Receiving,
    /// It says how content is moved, so it is for buckets alone.
    Transfer,
    /// It goes everywhere, and only rsync knows which entries it brings in.
    Linking,
    /// It chooses entries below those that were named.
    Selecting,
    /// It chooses entries by files, which rsync alone reads.
    RulesFrom,
    Archive,
    Recursive,
    Dirs,
    Relative,
    ImpliedDirs,
    FilesFrom,
    From0,
    Prune,
    Delete,
    RemoveSource,
    DryRun,
    /// It is for who conducts the movers.
    Ours,
    /// Only one rsync with the whole job does it right: why.
    OneMover(&'static str),
    /// Refused with an exit code of rsync: why, and what to do.
    Refused(u8, &'static str),
}

/// Whether a value stands behind an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    No,
    Needed,
}

/// What becomes of an option, how it is spelt, how it is turned off, and whether a value stands behind it.
#[derive(Clone, Copy, Debug)]
struct Row(Role, &'static str, &'static str, Value);

impl Row {
    /// The spelling that it is known by.
    fn name(&self) -> &'static str {
        self.1.split(' ').next().unwrap_or_default()
    }
}

/// What rsync is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To move what a list names.
    Bucket(Class),
    /// To set attributes of the directories that a list names.
    Directories,
    /// To set attributes of all directories.
    AllDirectories,
    /// To delete.
    Delete,
    /// To tell what there is to move.
    Listing,
}

/// A word for rsync.
#[derive(Clone, Debug)]
struct Word {
    role: Role,
    text: OsString,
}

/// A word that is not for the movers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurWord {
    /// Its longest spelling, without dashes.
    pub name: &'static str,
    /// Whether it is turned off.
    pub is_off: bool,
    /// What stands behind it.
    pub value: Option<OsString>,
}

/// The words for rsync that the user typed.
#[derive(Clone, Debug, Default)]
pub struct Words {
    typed: Vec<Word>,
    /// What is no option: sources and a destination.
    pub paths: Vec<OsString>,
    /// What who conducts the movers has to heed, in the order in which it was typed.
    pub ours: Vec<OurWord>,
    /// Why the job is for one rsync, if it is.
    pub one_mover: Option<String>,
    /// Entries that are not at the source are removed from the destination.
    pub deletes: bool,
    /// Nothing is changed.
    pub is_dry: bool,
    /// The whole path of a source is kept.
    pub is_relative: bool,
    /// Only rsync itself knows which entries there are to move.
    pub is_for_rsync_to_list: bool,
    recursion: Recursion,
    seen: Seen,
}

/// How rsync goes down into directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Recursion {
    #[default]
    No,
    /// By `-a`, which `--files-from` turns off.
    Archive,
    Yes,
}

/// What was typed, for what it means together.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    files_from: bool,
    from0: bool,
    rules_from: bool,
    removes_source: bool,
    omits_implied: bool,
}

impl Words {
    /// Reads words as they were typed.
    ///
    /// Fails where rsync would, and with what no mover may be given.
    pub fn read(typed: impl IntoIterator<Item = OsString>) -> Result<Self, Unfit> {
        let mut words = Self::default();
        let mut parser = lexopt::Parser::from_args(typed);
        while let Some(argument) = parser.next().map_err(|error| misread(&error))? {
            let (row, spelling, is_off) = match argument {
                Arg::Value(path) => {
                    words.paths.push(path);
                    continue;
                }
                Arg::Long(name) => find_long(name)?,
                Arg::Short(letter) => find_short(letter)?,
            };
            let value = if row.3 == Value::Needed && !is_off {
                Some(parser.value().map_err(|error| misread(&error))?)
            } else {
                None
            };
            words.take(row, spelling, is_off, value)?;
        }
        words.settle();
        Ok(words)
    }

    /// Takes one more option.
    fn take(
        &mut self,
        row: &'static Row,
        spelling: String,
        is_off: bool,
        value: Option<OsString>,
    ) -> Result<(), Unfit> {
        let Row(role, ..) = *row;
        match role {
            Role::Archive if self.recursion == Recursion::No => self.recursion = Recursion::Archive,
            Role::Recursive => self.recursion = if is_off { Recursion::No } else { Recursion::Yes },
            Role::Relative => self.is_relative = !is_off,
            Role::ImpliedDirs => self.seen.omits_implied = is_off,
            Role::FilesFrom => self.seen.files_from = true,
            Role::From0 => self.seen.from0 = !is_off,
            Role::RulesFrom => self.seen.rules_from = true,
            Role::Linking | Role::Prune if !is_off => self.is_for_rsync_to_list = true,
            Role::Delete if !matches!(row.name(), "ignore-errors" | "max-delete") => {
                self.deletes = true;
            }
            Role::RemoveSource => self.seen.removes_source = true,
            Role::DryRun => self.is_dry = true,
            Role::Dirs if !is_off => self.be_for_one_mover("--dirs tells each directory by itself"),
            Role::OneMover(why) => self.be_for_one_mover(&format!("{spelling}: {why}")),
            Role::Refused(code, why) => {
                return Err(Unfit {
                    code,
                    sentence: format!("{spelling} is not for a mover: {why}"),
                });
            }
            _ => {}
        }
        if let Some(value) = &value {
            refuse_standard_input(row, &spelling, value)?;
            if row.name() == "filter" && reads_files(value) {
                self.seen.rules_from = true;
            }
        }
        if row.name() == "P" {
            self.typed.push(Word { role: Role::Receiving, text: OsString::from("--partial") });
        }
        if role == Role::Ours {
            self.ours.push(OurWord { name: row.name(), is_off, value });
            return Ok(());
        }
        let text = match value {
            Some(value) => {
                let mut text = OsString::from(format!("--{}=", row.name()));
                text.push(value);
                text
            }
            None => OsString::from(spelling),
        };
        self.typed.push(Word { role, text });
        Ok(())
    }

    /// What the words mean together.
    fn settle(&mut self) {
        if self.recursion == Recursion::No && !self.seen.files_from {
            self.be_for_one_mover("without -r or -a there is nothing to share out");
        }
        if self.seen.omits_implied && self.is_relative {
            self.be_for_one_mover("--no-implied-dirs is about directories that lists imply");
        }
        if self.deletes && self.seen.removes_source {
            self.be_for_one_mover("deletions at the end would find the source without its files");
        }
        if self.deletes && self.seen.files_from {
            self.be_for_one_mover("what --delete removes beside names of a list, only rsync knows");
        }
        // Buckets need --from0, which would change how these files are read.
        self.is_for_rsync_to_list |= self.seen.files_from || self.seen.rules_from;
    }

    fn be_for_one_mover(&mut self, why: &str) {
        self.one_mover.get_or_insert_with(|| why.to_owned());
    }

    /// The words that rsync gets for a purpose. Letters stand together.
    pub fn for_purpose(&self, purpose: Purpose) -> Vec<OsString> {
        let mut argv: Vec<OsString> = Vec::new();
        let is_letter = |word: &OsStr| word.len() > 1 && word.as_bytes()[1] != b'-';
        for Word { role, text } in &self.typed {
            if !is_for(*role, purpose) {
                continue;
            }
            match argv.last_mut() {
                Some(last) if is_letter(last) && is_letter(text) => {
                    last.push(OsStr::from_bytes(&text.as_bytes()[1..]));
                }
                _ => argv.push(text.clone()),
            }
        }
        argv
    }

    /// Whether modes of directories are set.
    pub(super) fn sets_modes(&self) -> bool {
        let says = |text: &OsStr| match text.to_str() {
            Some("-a" | "-p" | "--archive" | "--perms" | "-A" | "--acls") => Some(true),
            Some("--no-p" | "--no-perms") => Some(false),
            _ => None,
        };
        self.typed.iter().rev().find_map(|word| says(&word.text)).unwrap_or(false)
    }

    /// Whether files are made in a directory of their own before they are put in place.
    pub(super) fn makes_files_elsewhere(&self) -> bool {
        let begins = |text: &OsStr, with: &str| text.as_bytes().starts_with(with.as_bytes());
        self.typed.iter().any(|word| begins(&word.text, "--temp-dir="))
    }

    /// Whether the receiving side is another user than who receives.
    pub(super) fn is_as_another_user(&self) -> bool {
        let other = ["--copy-as=", "--fake-super", "--no-super"];
        let is_other =
            |word: &Word| other.iter().any(|it| word.text.as_bytes().starts_with(it.as_bytes()));
        self.typed.iter().any(is_other)
    }
}

/// Whether an option goes to an rsync that is started for a purpose.
fn is_for(role: Role, purpose: Purpose) -> bool {
    use Purpose::{AllDirectories, Bucket, Delete, Listing};
    match role {
        Role::Everywhere | Role::Linking | Role::Archive => true,
        Role::Receiving => purpose != Listing,
        Role::Transfer | Role::RemoveSource => matches!(purpose, Bucket(_)),
        Role::Selecting => {
            matches!(purpose, Bucket(Class::Deep) | AllDirectories | Delete | Listing)
        }
        Role::Recursive
        | Role::Relative
        | Role::ImpliedDirs
        | Role::RulesFrom
        | Role::FilesFrom
        | Role::From0 => matches!(purpose, AllDirectories | Delete | Listing),
        // Without files each directory would be one that is pruned.
        Role::Prune => matches!(purpose, Delete | Listing),
        Role::Delete => purpose == Delete,
        Role::Dirs | Role::DryRun | Role::Ours | Role::OneMover(_) | Role::Refused(..) => false,
    }
}

type Found = (&'static Row, String, bool);

fn find_long(name: &str) -> Result<Found, Unfit> {
    let has = |names: &str| name.len() > 1 && names.split(' ').any(|known| known == name);
    let found = ROWS.iter().find_map(|row| {
        let is_off = has(row.2);
        (is_off || has(row.1)).then(|| (row, format!("--{name}"), is_off))
    });
    found.ok_or_else(|| unknown(&format!("--{name}")))
}

fn find_short(letter: char) -> Result<Found, Unfit> {
    let mut text = [0; 4];
    let name: &str = letter.encode_utf8(&mut text);
    let row = ROWS.iter().find(|row| row.1.split(' ').any(|known| known == name));
    row.map(|row| (row, format!("-{name}"), false)).ok_or_else(|| unknown(&format!("-{name}")))
}

fn unknown(spelling: &str) -> Unfit {
    let sentence = format!("{spelling}: rsync has no such option; see rsync --help");
    Unfit { code: 1, sentence }
}

fn misread(error: &lexopt::Error) -> Unfit {
    Unfit { code: 1, sentence: format!("words for rsync: {error}; see rsync --help") }
}

/// Refuses what is read from standard input, where movers have their lists.
fn refuse_standard_input(row: &Row, spelling: &str, value: &OsStr) -> Result<(), Unfit> {
    let reads = match row.name() {
        "files-from" | "exclude-from" | "include-from" | "password-file" | "early-input" => {
            value == "-"
        }
        "filter" => matches!(value.to_str(), Some(". -" | "merge -" | ".-")),
        _ => false,
    };
    if reads {
        let sentence = format!(
            "{spelling} from standard input: many movers cannot read one input; write it to a file, and \
             name that"
        );
        return Err(Unfit { code: 1, sentence });
    }
    Ok(())
}

/// Whether a filter rule leads to a file of rules.
fn reads_files(rule: &OsStr) -> bool {
    let rule = rule.as_bytes().trim_ascii_start();
    let begins = |with: &[u8]| rule.starts_with(with);
    begins(b".") || begins(b":") || begins(b"merge") || begins(b"dir-merge")
}

#[cfg(test)]
mod tests;
