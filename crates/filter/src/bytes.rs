//! The rules of a command line as bytes, for another process to go by.
//!
//! What goes over is what was understood, not what was typed: files that the command line names were
//! read where it was typed. Patterns are compiled anew. Bytes that break a rule are an error; rules that
//! come of any take a small multiple of the bytes.

use std::borrow::Cow;
use std::sync::Arc;

use borsh::io::{Error, ErrorKind, Read, Result, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::list::Item;
use crate::merge::{Slot, Slots};
use crate::parse::MAX_PATTERN_BYTES;
use crate::pattern::Anchor;
use crate::rule::{Origin, Rule, Traits};
use crate::rules::{RuleOptions, Rules};

/// A list of rules. Files are named once and then by their number.
#[derive(BorshSerialize, BorshDeserialize)]
struct ListForm<'a> {
    options: RuleOptions,
    files: Vec<Cow<'a, [u8]>>,
    items: Vec<ItemForm<'a>>,
    slots: Vec<Option<SlotForm<'a>>>,
}

#[derive(BorshSerialize, BorshDeserialize)]
enum ItemForm<'a> {
    Rule { traits: Traits, text: Cow<'a, [u8]>, file: Option<u32>, line: u32 },
    Slot(u32),
}

#[derive(BorshSerialize, BorshDeserialize)]
struct SlotForm<'a> {
    name: Cow<'a, [u8]>,
    traits: Traits,
    sides: Traits,
}

impl BorshSerialize for Traits {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.bits().serialize(writer)
    }
}

impl BorshDeserialize for Traits {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        Self::from_bits(u16::deserialize_reader(reader)?)
            .ok_or_else(|| malformed("an unknown modifier of a rule"))
    }
}

impl BorshSerialize for Rules {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        let mut files: Vec<&Arc<[u8]>> = Vec::new();
        let items = self.items().iter().map(|item| item_form(item, &mut files));
        let items = items.collect::<Result<_>>()?;
        let slots = self.slots().places().iter().map(|slot| slot.as_ref().map(slot_form));
        let options = self.options().clone();
        let slots = slots.collect();
        let files = files.into_iter().map(|file| Cow::Borrowed(&**file)).collect();
        ListForm { options, files, items, slots }.serialize(writer)
    }
}

/// Rules of one file stand together, so only the last file is compared.
fn item_form<'a>(item: &'a Item, files: &mut Vec<&'a Arc<[u8]>>) -> Result<ItemForm<'a>> {
    let number = |index: usize| u32::try_from(index).map_err(|_| malformed("too many rules"));
    let rule = match item {
        Item::Slot(index) => return number(*index).map(ItemForm::Slot),
        Item::Rule(rule) => rule,
    };
    let (file, line) = rule.origin().parts();
    if let Some(file) = file {
        let is_last = files.last().is_some_and(|last| Arc::ptr_eq(last, file));
        if !is_last {
            files.push(file);
        }
    }
    let file = file.map(|_| number(files.len() - 1)).transpose()?;
    Ok(ItemForm::Rule { traits: rule.traits(), text: rule.text().into(), file, line })
}

impl BorshDeserialize for Rules {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let ListForm { options, files, items, slots } =
            BorshDeserialize::deserialize_reader(reader)?;
        let files: Vec<Arc<[u8]>> = files.into_iter().map(|file| file.as_ref().into()).collect();
        let slots = slots.into_iter().map(|slot| slot.map(slot_of));
        let slots = Slots::in_places(slots.collect());
        let slots = slots.ok_or_else(|| malformed("too many merge files of directories"))?;
        let mut read = FilesRead { files: &files, count: 0 };
        let items = items.into_iter().map(|item| item_of(item, &mut read, &slots));
        let items = items.collect::<Result<_>>()?;
        if read.count < files.len() {
            return Err(malformed("a file without rules"));
        }
        Ok(Self::from_parts(options, items, slots))
    }
}

fn slot_form(slot: &Slot) -> SlotForm<'_> {
    SlotForm { name: slot.name().into(), traits: slot.traits(), sides: slot.sides() }
}

fn slot_of(form: SlotForm<'_>) -> Slot {
    Slot::new(form.name.into_owned(), form.traits, form.sides)
}

/// The files of rules, which come in the order of their numbers.
struct FilesRead<'a> {
    files: &'a [Arc<[u8]>],
    /// Those of which there were rules.
    count: usize,
}

impl FilesRead<'_> {
    fn file(&mut self, number: u32) -> Result<Arc<[u8]>> {
        let number = usize::try_from(number)
            .ok()
            .filter(|number| *number == self.count || number.checked_add(1) == Some(self.count));
        let found = number.and_then(|number| Some((number, self.files.get(number)?)));
        let (number, file) = found.ok_or_else(|| malformed("a rule of no file"))?;
        self.count = number + 1;
        Ok(Arc::clone(file))
    }
}

fn item_of(form: ItemForm<'_>, files: &mut FilesRead<'_>, slots: &Slots) -> Result<Item> {
    match form {
        ItemForm::Slot(index) => {
            let index = usize::try_from(index).ok().filter(|index| slots.get(*index).is_some());
            index.map(Item::Slot).ok_or_else(|| malformed("rules of no merge file"))
        }
        ItemForm::Rule { text, .. } if text.len() > MAX_PATTERN_BYTES => {
            Err(malformed("a pattern that is too long"))
        }
        ItemForm::Rule { traits, text, file, line } => {
            let file = file.map(|number| files.file(number)).transpose()?;
            let origin = Origin::from_parts(file, line);
            Ok(Item::Rule(Rule::new(traits, &text, &Anchor::TransferRoot, origin)))
        }
    }
}

fn malformed(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
