//! Builds a list of rules out of texts and files.

use std::io;
use std::sync::Arc;

use crate::cvs;
use crate::error::{Flaw, RuleError};
use crate::merge::{Slot, Slots, resolve};
use crate::parse::{Sentence, Template, When, is_space, parse};
use crate::pattern::{Anchor, last_name};
use crate::rule::{Origin, Rule, Traits};
use crate::rules::RuleOptions;

/// How deep merge files may include one another: the limit of rsync.
pub(crate) const MAX_MERGE_DEPTH: usize = 32;

/// How many bytes the merge files of a directory and of those above it may have together, what is
/// included twice counted twice. A hostile tree must not make a few lines into millions of rules.
pub(crate) const MAX_MERGE_BYTES: usize = 16 << 20;

/// One place in a list.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A rule.
    Rule(Rule),
    /// The rules of a per-directory merge file stand here.
    Slot(usize),
}

impl Item {
    pub(crate) fn is_about_xattrs(&self) -> bool {
        matches!(self, Self::Rule(rule) if rule.traits().contains(Traits::XATTR))
    }
}

/// Where the texts come from, which decides what a leading slash and the name of a merge file mean.
#[derive(Debug, Clone)]
pub(crate) enum Context {
    /// The command line and the files it names.
    CommandLine,
    /// A per-directory merge file.
    Directory { anchor: Anchor, sought: Sought },
    /// A file included by one of those. Rules in it begin at the transfer root and work on both
    /// sides whatever they say; so it is in rsync, guarded by
    /// `file_included_by_a_directorys_file_has_no_place_and_no_side`.
    Included { sought: Sought },
}

/// Where the per-directory merge file lies that is being read.
#[derive(Debug, Clone)]
pub(crate) enum Sought {
    /// In this directory, given below the transfer root.
    InTree(Arc<[u8]>),
    /// In this directory above the transfer root, absolute.
    AboveTree(Arc<[u8]>),
}

/// Fetches a file that a rule wants included.
pub(crate) type Fetch<'a> = &'a mut dyn FnMut(&Context, &[u8]) -> io::Result<Vec<u8>>;

/// A list being built.
pub(crate) struct List<'a> {
    pub(crate) options: &'a RuleOptions,
    pub(crate) slots: &'a mut Slots,
    pub(crate) items: Vec<Item>,
    /// Says whether a clear rule was met, so that what was inherited goes too.
    pub(crate) inherits: Inherits,
    /// How many files around one another are being read.
    depth: usize,
    /// How many bytes files may still have.
    pub(crate) bytes_left: usize,
}

/// Whether a list stands before an inherited one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inherits {
    Yes,
    Cleared,
}

impl<'a> List<'a> {
    pub(crate) fn new(options: &'a RuleOptions, slots: &'a mut Slots, items: Vec<Item>) -> Self {
        Self { options, slots, items, inherits: Inherits::Yes, depth: 0, bytes_left: usize::MAX }
    }

    /// Adds what one text says; an empty text says nothing.
    pub(crate) fn push(
        &mut self,
        text: &[u8],
        template: Template,
        context: &Context,
        origin: &Origin,
        fetch: Fetch<'_>,
    ) -> Result<(), RuleError> {
        if text.is_empty() {
            return Ok(());
        }
        let flawed = |flaw| RuleError::Syntax { place: origin.place(text), flaw };
        match parse(text, template).map_err(flawed)? {
            Sentence::Clear => self.clear(),
            Sentence::Match { traits, pattern } => self.push_rule(traits, pattern, context, origin),
            Sentence::CvsPatterns { traits } => self.push_cvs(traits, context)?,
            Sentence::Merge { when, traits, name } => {
                if traits.contains(Traits::HIDE_FILE) {
                    self.hide(name, context, origin);
                }
                match when {
                    When::InEachDirectory => self.push_slot(traits, name, context),
                    When::Now if self.depth == MAX_MERGE_DEPTH => Err(Flaw::TooDeep),
                    When::Now => {
                        let contents = fetch(context, name).map_err(|source| RuleError::Read {
                            place: origin.place(text),
                            name: name.escape_ascii().to_string(),
                            source,
                        })?;
                        self.bytes_left = self
                            .bytes_left
                            .checked_sub(contents.len())
                            .ok_or_else(|| flawed(Flaw::TooMuch))?;
                        let inside = Template::inside(traits);
                        return self.push_file(&contents, inside, &context.included(), name, fetch);
                    }
                }
                .map_err(flawed)?;
            }
        }
        Ok(())
    }

    /// Adds the rules in the contents of a file.
    pub(crate) fn push_file(
        &mut self,
        contents: &[u8],
        template: Template,
        context: &Context,
        name: &[u8],
        fetch: Fetch<'_>,
    ) -> Result<(), RuleError> {
        let file: Arc<[u8]> = name.into();
        self.depth += 1;
        for (index, text) in texts(contents, template, self.options).enumerate() {
            self.push(text, template, context, &Origin::line_of(&file, index + 1), fetch)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn clear(&mut self) {
        for item in self.items.drain(..) {
            if let Item::Slot(index) = item {
                self.slots.remove(index);
            }
        }
        self.inherits = Inherits::Cleared;
    }

    fn push_rule(&mut self, traits: Traits, text: &[u8], context: &Context, origin: &Origin) {
        let mut traits = self.settle(traits, context);
        if text.len() > 1 && text.ends_with(b"/") {
            traits |= Traits::DIRECTORY_ONLY;
        }
        self.items.push(Item::Rule(Rule::new(traits, text, &context.anchor(), origin.clone())));
    }

    /// Fixes the sides of a rule for good.
    fn settle(&self, traits: Traits, context: &Context) -> Traits {
        if matches!(context, Context::Included { .. }) {
            return traits - Traits::SIDES;
        }
        if self.options.delete_excluded && !traits.intersects(Traits::SIDES) {
            return traits | Traits::SENDER;
        }
        traits
    }

    /// Excludes a merge file itself. Modifiers of the merge rule do not bear on this.
    fn hide(&mut self, name: &[u8], context: &Context, origin: &Origin) {
        let name = last_name(name);
        let traits = match context {
            Context::CommandLine => self.settle(Traits::empty(), context),
            Context::Directory { .. } | Context::Included { .. } => Traits::empty(),
        };
        self.items.push(Item::Rule(Rule::new(traits, name, &Anchor::TransferRoot, origin.clone())));
    }

    fn push_slot(
        &mut self,
        mut traits: Traits,
        name: &[u8],
        context: &Context,
    ) -> Result<(), Flaw> {
        let mut name = match context {
            Context::Directory { sought: Sought::AboveTree(dir), .. }
            | Context::Included { sought: Sought::AboveTree(dir) } => resolve(dir, name),
            _ => name.to_vec(),
        };
        if name.len() > 1 && name.ends_with(b"/") {
            name.pop();
            traits |= Traits::DIRECTORY_ONLY;
        }
        let sides = match context {
            Context::Directory { sought: Sought::InTree(_), .. } => traits.sides(),
            _ => Traits::SIDES,
        };
        if let Some(index) = self.slots.add(Slot::new(name, traits, sides))? {
            self.items.push(Item::Slot(index));
        }
        Ok(())
    }

    /// Adds the rules that `-C` stands for.
    fn push_cvs(&mut self, traits: Traits, context: &Context) -> Result<(), RuleError> {
        let traits = self.settle(traits, context);
        let home = self.options.home_cvsignore.as_deref().unwrap_or_default();
        let variable = self.options.cvsignore_variable.as_deref().unwrap_or_default();
        let sources: [(&[u8], Traits, &[u8]); 3] = [
            (b"patterns of -C", traits | Traits::PERISHABLE, cvs::DEFAULT_PATTERNS),
            (b"~/.cvsignore", traits, home),
            (b"$CVSIGNORE", traits, variable),
        ];
        let outer = std::mem::take(&mut self.items);
        let inherits = self.inherits;
        let mut result = Ok(());
        for (name, traits, words) in sources {
            let template = Template::inside(traits);
            result =
                result.and_then(|()| self.push_file(words, template, context, name, &mut no_files));
        }
        // A clear rule in these files clears no more than these.
        let own = std::mem::replace(&mut self.items, outer);
        self.items.extend(own);
        self.inherits = inherits;
        result
    }
}

/// For texts that hold patterns only and so include nothing.
pub(crate) fn no_files(_: &Context, _: &[u8]) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Context {
    fn anchor(&self) -> Anchor {
        match self {
            Self::Directory { anchor, .. } => anchor.clone(),
            Self::CommandLine | Self::Included { .. } => Anchor::TransferRoot,
        }
    }

    fn included(&self) -> Self {
        match self {
            Self::CommandLine => Self::CommandLine,
            Self::Directory { sought, .. } | Self::Included { sought } => {
                Self::Included { sought: sought.clone() }
            }
        }
    }
}

/// The rules in the contents of a file; comments become empty texts, so that counting gives line
/// numbers.
fn texts<'a>(
    contents: &'a [u8],
    template: Template,
    options: &RuleOptions,
) -> impl Iterator<Item = &'a [u8]> {
    let in_words = template.traits.contains(Traits::WORDS);
    let from0 = options.from0;
    let ends = move |byte: &u8| {
        in_words && is_space(*byte)
            || if from0 { *byte == 0 } else { matches!(*byte, b'\n' | b'\r') }
    };
    contents.split(ends).map(move |text| {
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        match &text[..end] {
            [b'#' | b';', ..] if !in_words => b"",
            text => text,
        }
    })
}

#[cfg(test)]
mod tests;
