//! The words of `--info` and `--debug`: a name and a level each, as in `name2,stats,flist0`.
//!
//! What a user says by name wins over what `-v` and its kin say, wherever it stands.

use crate::cli::refusal::Refusal;

/// A word, what it makes us tell, and the levels at which `-v`, `-vv` and so on put it.
pub(in crate::cli) type Word = (&'static str, &'static str, &'static [(u8, u8)]);

/// `--info`. The third part has (number of `-v`, level) pairs.
#[rustfmt::skip]
pub(in crate::cli) const INFO: [Word; 13] = [
    ("backup",   "files of which a backup is kept", &[(2, 1)]),
    ("copy",     "files copied from another tree at the destination", &[(1, 1)]),
    ("del",      "what is removed", &[(1, 1)]),
    ("flist",    "how the list of files is made (levels 1-2)", &[(1, 1)]),
    ("misc",     "this and that (levels 1-2)", &[(1, 1), (2, 2)]),
    ("mount",    "mount points that are met", &[(2, 1)]),
    ("name",     "names: 1 of what changes, 2 of what is equal too", &[(1, 1), (2, 2)]),
    ("nonreg",   "what is left out since it is no file (default 1)", &[(0, 1)]),
    ("progress", "progress: 1 of each file, 2 of the whole run", &[]),
    ("remove",   "what is removed at the source", &[(2, 1)]),
    ("skip",     "what other options leave out (levels 1-2)", &[(2, 1)]),
    ("stats",    "totals at the end (levels 1-3)", &[(1, 1)]),
    ("symsafe",  "symlinks that point outside the tree", &[(1, 1)]),
];

/// `--debug`. Most are taken so that scripts go on working; they tell nothing here.
#[rustfmt::skip]
pub(in crate::cli) const DEBUG: [Word; 24] = [
    ("acl", "", &[(3, 1)]),
    ("backup", "", &[(3, 1)]),
    ("bind", "", &[(2, 1)]),
    ("chdir", "", &[(5, 1)]),
    ("connect", "", &[(2, 1), (3, 2)]),
    ("cmd", "", &[(2, 1), (4, 2)]),
    ("del", "", &[(2, 1), (3, 2), (4, 3)]),
    ("deltasum", "how content is brought over (levels 1-4)", &[(2, 1), (3, 2), (4, 3), (5, 4)]),
    ("dup", "", &[(2, 1)]),
    ("exit", "", &[(3, 1), (4, 2)]),
    ("filter", "what rules leave out (levels 1-3)", &[(2, 1), (3, 2)]),
    ("flist", "", &[(2, 1), (3, 2), (4, 3), (5, 4)]),
    ("fuzzy", "", &[(3, 1), (5, 2)]),
    ("genr", "", &[(3, 1)]),
    ("hash", "", &[(5, 1)]),
    ("hlink", "", &[(5, 1)]),
    ("iconv", "", &[(2, 1), (4, 2)]),
    ("io", "", &[]),
    ("nstr", "", &[]),
    ("own", "", &[(3, 1), (4, 2)]),
    ("proto", "", &[(4, 1)]),
    ("recv", "", &[(3, 1)]),
    ("send", "", &[(3, 1)]),
    ("time", "", &[(3, 1), (4, 2)]),
];

/// No word has more levels.
const HIGHEST_LEVEL: u8 = 4;

/// The levels that the user named.
#[derive(Debug)]
pub(super) struct Levels<const N: usize> {
    option: &'static str,
    words: &'static [Word; N],
    named: [Option<u8>; N],
}

impl<const N: usize> Levels<N> {
    pub(super) fn new(option: &'static str, words: &'static [Word; N]) -> Self {
        Self { option, words, named: [None; N] }
    }

    /// Takes one argument of the option: words with commas between.
    pub(super) fn take(&mut self, text: &str) -> Result<(), Refusal> {
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let word = item.trim_end_matches(|character: char| character.is_ascii_digit());
            let level = match &item[word.len()..] {
                "" => 1,
                digits => digits.parse().unwrap_or(HIGHEST_LEVEL).min(HIGHEST_LEVEL),
            };
            match word.to_ascii_lowercase().as_str() {
                "all" => self.named = [Some(level); N],
                "none" => self.named = [Some(0); N],
                word => {
                    let index = self.index(word).ok_or_else(|| self.refuse(item))?;
                    self.named[index] = Some(level);
                }
            }
        }
        Ok(())
    }

    /// The level of a word: as the user says, else as `-v` says, or `at_least`.
    pub(super) fn level(&self, word: &str, verbosity: u8, at_least: u8) -> u8 {
        let index = self.index(word).expect("words are asked for as the table spells them");
        self.named[index].unwrap_or_else(|| {
            let steps = self.words[index].2.iter();
            let reached = steps.filter(|step| step.0 <= verbosity).map(|step| step.1).max();
            reached.unwrap_or(0).max(at_least)
        })
    }

    /// True when the user named the word.
    pub(super) fn is_named(&self, word: &str) -> bool {
        self.index(word).is_some_and(|index| self.named[index].is_some())
    }

    fn index(&self, word: &str) -> Option<usize> {
        self.words.iter().position(|row| row.0 == word)
    }

    fn refuse(&self, item: &str) -> Refusal {
        let option = self.option;
        Refusal::usage(format!("{option}: no word \"{item}\"; {option}=help lists them"))
    }
}

#[cfg(test)]
mod tests {
    use super::{INFO, Levels};

    fn check(arguments: &[&str], verbosity: u8, word: &str, expected: u8) {
        let mut levels = Levels::new("--info", &INFO);
        for argument in arguments {
            levels.take(argument).unwrap();
        }
        assert_eq!(levels.level(word, verbosity, 0), expected, "{arguments:?} {word}");
    }

    #[test]
    fn what_is_named_wins_over_verbosity() {
        check(&[], 0, "name", 0);
        check(&[], 0, "nonreg", 1);
        check(&[], 1, "name", 1);
        check(&[], 2, "name", 2);
        check(&[], 9, "misc", 2);
        check(&["name0"], 2, "name", 0);
        check(&["NaMe2,del"], 0, "name", 2);
        check(&["NaMe2,del"], 0, "del", 1);
        check(&["all"], 0, "skip", 1);
        check(&["none", "name"], 3, "name", 1);
        check(&["name", "none"], 3, "name", 0);
        check(&["stats9"], 0, "stats", 4);
        check(&["all0"], 1, "stats", 0);
        check(&["", ","], 1, "stats", 1);
    }

    #[test]
    fn words_that_nobody_knows_are_refused() {
        for bad in ["x", "2", "flist-1", "name2x", "name,x"] {
            assert!(Levels::new("--info", &INFO).take(bad).is_err(), "{bad}");
        }
    }
}
