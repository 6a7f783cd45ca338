//! What a log file says of entries, whatever standard output says of them.

use model::Item;

use crate::clock::Clock;
use crate::full_name::FullNames;
use crate::mention::{Mention, Rules};
use crate::out_format::{Context, OutFormat, short_name};
use crate::outputs::Outputs;
use crate::settings::Settings;

/// rsync's own default for a log file.
const DEFAULT_FORMAT: &[u8] = b"%i %n%L";

pub(crate) struct LogLines {
    format: OutFormat,
    rules: Rules,
    context: Context,
    text: Vec<u8>,
}

impl LogLines {
    pub(crate) fn new(settings: &Settings) -> Self {
        let format = settings.items.log_format.as_deref().unwrap_or(DEFAULT_FORMAT);
        let format = OutFormat::parse(format);
        let out_format = OutFormat::parse(settings.items.out_format.as_deref().unwrap_or_default());
        let rules = Rules::of_log(settings, &format, &out_format);
        Self { format, rules, context: context(settings), text: Vec::new() }
    }

    /// The line of an entry.
    pub(crate) fn item(&mut self, item: &Item, outputs: &mut Outputs) {
        if !outputs.has_log() || self.format.is_empty() {
            return;
        }
        self.text.clear();
        let mention = self.rules.mention(item);
        if write_mention(mention, item, &self.format, &self.context, &mut self.text) {
            outputs.log(&self.text);
        }
    }
}

/// What formats show besides the entry.
pub(crate) fn context(settings: &Settings) -> Context {
    let run = &settings.run;
    Context {
        clock: Clock::local(),
        full_names: FullNames::new(&run.sources, run.kept_path),
        users: run.users,
        groups: run.groups,
        movement: run.movement,
        checksum_digits: settings.items.checksum_digits,
    }
}

/// Appends the line of `mention`; false when there is none.
pub(crate) fn write_mention(
    mention: Mention,
    item: &Item,
    format: &OutFormat,
    context: &Context,
    text: &mut Vec<u8>,
) -> bool {
    match mention {
        Mention::Nothing => return false,
        Mention::Formatted => format.write(item, context, text),
        Mention::Name => text.extend_from_slice(&short_name(item)),
        Mention::UpToDate => {
            text.extend_from_slice(&short_name(item));
            text.extend_from_slice(b" is uptodate");
        }
        Mention::Deleting => {
            text.extend_from_slice(b"deleting ");
            text.extend_from_slice(&short_name(item));
        }
    }
    true
}
