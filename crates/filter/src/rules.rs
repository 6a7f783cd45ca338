//! The command line's list of rules.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::list::{Context, Fetch, Item, List, no_files};
use crate::merge::{Slot, Slots};
use crate::parse::{Template, Wording};
use crate::pattern::Anchor;
use crate::rule::{Origin, Rule, Traits};
use crate::{RuleError, Unprefixed};

/// Settings that change how rules are read.
#[derive(Debug, Clone, Default, BorshSerialize, BorshDeserialize)]
pub struct RuleOptions {
    /// `--from0`: rules in files end with NUL instead of a line end.
    pub from0: bool,
    /// `--delete-excluded`: rules that name no side are for the sender only.
    pub delete_excluded: bool,
    /// Contents of `~/.cvsignore`, used by `-C`.
    pub home_cvsignore: Option<Vec<u8>>,
    /// Value of `$CVSIGNORE`, used by `-C`.
    pub cvsignore_variable: Option<Vec<u8>>,
}

/// The rules of the command line, in order.
///
/// rsync appends to the user's rules, in this order: [`Rules::push_protect_suffix`],
/// [`Rules::push_perishable_exclude`], [`Rules::push_cvs`].
#[derive(Debug, Clone, Default)]
pub struct Rules {
    options: RuleOptions,
    items: Vec<Item>,
    slots: Slots,
}

impl Rules {
    /// An empty list.
    pub fn new(options: RuleOptions) -> Self {
        Self { options, items: Vec::new(), slots: Slots::default() }
    }

    /// `--from0` for the files that are read from here on. What was said last holds for the merge
    /// files of directories.
    pub fn set_from0(&mut self, from0: bool) {
        self.options.from0 = from0;
    }

    /// Adds one `--filter`. Merge files are fetched by `read` with the name as written.
    pub fn push(
        &mut self,
        text: &[u8],
        read: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
    ) -> Result<(), RuleError> {
        self.push_text(text, Template::RULES, &mut |_, name| read(name))
    }

    /// Adds one `--exclude` or `--include`.
    pub fn push_pattern(&mut self, text: &[u8], meaning: Unprefixed) -> Result<(), RuleError> {
        self.push_text(text, patterns(meaning), &mut no_files)
    }

    /// Adds the contents of an `--exclude-from` or `--include-from` file.
    pub fn push_list(
        &mut self,
        contents: &[u8],
        meaning: Unprefixed,
        file: &[u8],
    ) -> Result<(), RuleError> {
        let context = &Context::CommandLine;
        self.edit(|list| list.push_file(contents, patterns(meaning), context, file, &mut no_files))
    }

    /// Adds what `-C` adds: the `.cvsignore` file of each directory, then the patterns CVS ignores
    /// anyway.
    ///
    /// `protects`: its patterns protect at the receiver whatever `--delete-excluded` says of other rules.
    pub fn push_cvs(&mut self, protects: bool) -> Result<(), RuleError> {
        self.push_text(b":C", Template::RULES, &mut no_files)?;
        let delete_excluded = self.options.delete_excluded;
        self.options.delete_excluded &= !protects;
        let pushed = self.push_text(b"-C", Template::RULES, &mut no_files);
        self.options.delete_excluded = delete_excluded;
        pushed
    }

    /// Adds the rule that keeps a relative `--partial-dir` out of the transfer.
    pub fn push_perishable_exclude(&mut self, directory: &[u8]) {
        let pattern = directory.strip_suffix(b"/").unwrap_or(directory);
        let traits = Traits::DIRECTORY_ONLY | Traits::PERISHABLE;
        let sides = if self.options.delete_excluded { Traits::SENDER } else { Traits::empty() };
        self.push_own(traits | sides, pattern);
    }

    /// Adds the rule that protects the backups with this suffix.
    pub fn push_protect_suffix(&mut self, suffix: &[u8]) {
        self.push_own(Traits::RECEIVER, &[b"*", suffix].concat());
    }

    /// True when no rule was given.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// True when a rule is about extended attributes: then the usual choice of attributes does not
    /// apply.
    pub fn has_xattr_rules(&self) -> bool {
        let is_asked = |traits: Traits| traits.contains(Traits::XATTR);
        self.slots.iter().any(|slot| is_asked(slot.traits()))
            || self.items.iter().any(Item::is_about_xattrs)
    }

    /// Names of the merge files that directories are asked for.
    pub fn merge_file_names(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().map(Slot::file_name)
    }

    /// True when merge files in directories above the source are read, as by `-F`: those that are
    /// named with a slash.
    pub fn looks_above_source(&self) -> bool {
        self.slots.iter().any(|slot| slot.name().contains(&b'/'))
    }

    pub(crate) fn from_parts(options: RuleOptions, items: Vec<Item>, slots: Slots) -> Self {
        Self { options, items, slots }
    }

    pub(crate) fn options(&self) -> &RuleOptions {
        &self.options
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    fn push_text(
        &mut self,
        text: &[u8],
        template: Template,
        fetch: Fetch<'_>,
    ) -> Result<(), RuleError> {
        let origin = Origin::command_line();
        self.edit(|list| list.push(text, template, &Context::CommandLine, &origin, fetch))
    }

    fn push_own(&mut self, traits: Traits, text: &[u8]) {
        let origin = Origin::command_line();
        self.items.push(Item::Rule(Rule::new(traits, text, &Anchor::TransferRoot, origin)));
    }

    fn edit<T>(&mut self, change: impl FnOnce(&mut List<'_>) -> T) -> T {
        let items = std::mem::take(&mut self.items);
        let mut list = List::new(&self.options, &mut self.slots, items);
        let result = change(&mut list);
        self.items = list.items;
        result
    }
}

fn patterns(meaning: Unprefixed) -> Template {
    Template { traits: meaning.into(), wording: Wording::Patterns }
}
