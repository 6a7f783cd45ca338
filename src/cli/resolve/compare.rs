//! Which entries count as equal or are left alone.

use model::settings::{Checksum, Compare, ContentCheck};

use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    by_checksum: bool,
    size_only: bool,
    ignore_times: bool,
    choice: Option<RawFlag>,
    plain: Compare,
}

/// What `--checksum-choice` decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// For what is transferred; `None` is our own choice.
    pub(super) transfer: Option<Checksum>,
    /// For comparing.
    pub(super) compare: Option<Checksum>,
}

impl Choice {
    /// Length of the checksum of a file in the output, hexadecimal digits.
    pub(super) fn digits(self, content: ContentCheck) -> u8 {
        let by_checksum = content == ContentCheck::Checksum;
        let chosen = if by_checksum { self.compare } else { self.transfer };
        match chosen.unwrap_or_default() {
            Checksum::Xxh3 | Checksum::Xxh64 => 16,
            Checksum::Xxh128 | Checksum::Md5 | Checksum::Md4 => 32,
            Checksum::Sha1 => 40,
            Checksum::Blake3 => 64,
            Checksum::None => 0,
        }
    }
}

impl Typed {
    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Checksum => self.by_checksum = on,
            Opt::ChecksumChoice => self.choice = Some(flag.clone()),
            Opt::SizeOnly => self.size_only = true,
            Opt::IgnoreTimes => self.ignore_times = true,
            Opt::ModifyWindow => self.plain.modify_window_secs = flag.number()?.into(),
            Opt::Update => self.plain.update_only = true,
            Opt::Existing => self.plain.existing_only = true,
            Opt::IgnoreExisting => self.plain.ignore_existing = true,
            Opt::Fuzzy if on => self.plain.fuzzy = (self.plain.fuzzy + 1).min(2),
            Opt::Fuzzy => self.plain.fuzzy = 0,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn settle(
        self,
        surroundings: &dyn Surroundings,
    ) -> Result<(Compare, Choice), Refusal> {
        let choice = match &self.choice {
            Some(flag) => parse_choice(flag)?,
            None => choice_of_variable(surroundings)?,
        };
        let mut compare = self.plain;
        compare.checksum = choice.compare.unwrap_or_default();
        if self.by_checksum && compare.checksum == Checksum::None {
            let sentence =
                "-c compares by checksum, and the one that is chosen for that is \"none\"";
            return Err(Refusal::unsupported(sentence));
        }
        compare.content = match (self.by_checksum, self.size_only, self.ignore_times) {
            (true, _, _) => ContentCheck::Checksum,
            (_, true, _) => ContentCheck::SizeOnly,
            (_, _, true) => ContentCheck::Never,
            _ => ContentCheck::Quick,
        };
        Ok((compare, choice))
    }
}

fn parse_choice(flag: &RawFlag) -> Result<Choice, Refusal> {
    let text = flag.text()?;
    let (transfer, compare) = match text.split_once(',') {
        // A comma before any name is part of a name that nobody knows.
        Some(("", _)) | None => (text, text),
        Some(names) => names,
    };
    let named = |name: &str| match name.to_ascii_lowercase().as_str() {
        "auto" => Ok(None),
        other => by_name(other).map(Some).ok_or_else(|| {
            let known = Checksum::NAMES.map(|(_, name)| name).join(", ");
            let option = &flag.spelling;
            Refusal::unsupported(format!("{option}: no checksum \"{name}\"; there are {known}"))
        }),
    };
    Ok(Choice { transfer: named(transfer)?, compare: named(compare)? })
}

fn by_name(name: &str) -> Option<Checksum> {
    let name = if name == "xxhash" { "xxh64" } else { name };
    Checksum::NAMES.iter().find(|row| row.1 == name).map(|row| row.0)
}

/// `RSYNC_CHECKSUM_LIST` names checksums, best first; those that nobody knows are passed over. It
/// does not ask for verification.
fn choice_of_variable(surroundings: &dyn Surroundings) -> Result<Choice, Refusal> {
    let list = surroundings.variable("RSYNC_CHECKSUM_LIST").unwrap_or_default();
    let list = list.to_string_lossy().to_ascii_lowercase();
    let client = list.split('&').next().unwrap_or_default();
    if client.trim().is_empty() {
        return Ok(Choice::default());
    }
    let first = client.split_whitespace().find_map(by_name);
    let unknown = || Refusal::unsupported("RSYNC_CHECKSUM_LIST names no checksum that is known");
    Ok(Choice { transfer: None, compare: Some(first.ok_or_else(unknown)?) })
}
