//! Everything the output depends on, as data: the command line fills it in, nothing else does.
//!
//! Levels are rsync's (`rsync --info=help`), with the effect of `-v`, `-i`, `-q`, `--stats` and
//! `--progress` on them already applied.

use std::path::PathBuf;

use model::{Interest, Topic, Topics};

use crate::out_format::OutFormat;
use crate::topic;

/// What is printed, and how. [`Settings::default`] is rsync without any option.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// rsync's lines, or JSON.
    pub style: OutputStyle,
    /// `-q`.
    pub volume: Volume,
    /// What is printed of each entry.
    pub items: Items,
    /// `--info`, `-v`.
    pub info: Info,
    /// `-h`, `--no-h`.
    pub numbers: HumanReadable,
    /// `--progress`, `-P`, `--info=progress2`, or a terminal's display.
    pub progress: Progress,
    /// `--outbuf`, `--stderr`, `-8`.
    pub streams: Streams,
    /// What the lines say about the run as a whole.
    pub run: RunFacts,
}

impl Settings {
    /// Which items are printed or logged: the engine need not make the others.
    pub fn interest(&self, has_log_file: bool) -> Interest {
        let Info { backup, del, filter, mount, remove, skip, .. } = self.info;
        let is_seen = self.volume == Volume::Normal;
        let is_logged = has_log_file
            && self.items.log_format.as_deref().is_none_or(|format| !format.is_empty());
        // Messages have their place among the items.
        let tells_messages = [backup, filter, mount, remove, skip].iter().any(|level| *level > 0);
        let tells_items = self.items.out_format.is_some()
            || del > 0
            || tells_messages
            || self.progress == Progress::PerFile;
        let itemized = || {
            self.items
                .out_format
                .as_deref()
                .is_some_and(|text| OutFormat::parse(text).is_itemized())
        };
        // `x is uptodate` is not logged when it is not to be seen.
        let wants_unchanged = self.items.itemize == Itemize::Unchanged
            || self.info.name >= 2 && (is_seen || itemized());
        let is_list = self.run.effect == Effect::ListOnly;
        match self.style {
            OutputStyle::Json => Interest::Everything,
            OutputStyle::Rsync if !(is_seen || has_log_file) => Interest::Faults,
            OutputStyle::Rsync if is_list => Interest::Unchanged,
            OutputStyle::Rsync if !(is_seen && tells_items || is_logged) => Interest::Faults,
            OutputStyle::Rsync if wants_unchanged => Interest::Unchanged,
            OutputStyle::Rsync => Interest::Changes,
        }
    }

    /// Which messages are shown: the engine need not make the others.
    pub fn topics(&self) -> Topics {
        Topic::ALL.into_iter().filter(|topic| topic::is_shown(*topic, self)).collect()
    }

    /// Whether a format shows checksums: nobody else needs all of them.
    pub fn tells_checksums(&self, has_log_file: bool) -> bool {
        let log_format = self.items.log_format.as_deref().filter(|_| has_log_file);
        let formats = [self.items.out_format.as_deref(), log_format];
        formats.into_iter().flatten().any(|format| OutFormat::parse(format).shows_checksums())
    }
}

/// The language of standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputStyle {
    /// rsync's lines.
    #[default]
    Rsync,
    /// `--json`: one event a line (docs/json.md). Nothing else goes to standard output, and no
    /// progress display is drawn.
    Json,
}

/// How much is printed at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Volume {
    /// As the levels say.
    #[default]
    Normal,
    /// `-q`: faults and warnings only; `--log-file` is not affected.
    Quiet,
}

/// What is printed of each entry.
#[derive(Clone, Debug)]
pub struct Items {
    /// `--out-format`, with rsync's defaults applied: `%i %n%L` for `-i`, `%n%L` for
    /// `--info=name` and `-v`; `None` prints nothing of entries.
    pub out_format: Option<Box<[u8]>>,
    /// `-i`.
    pub itemize: Itemize,
    /// `--log-file-format`; `None` is rsync's default for a log file, `%i %n%L`; an empty format
    /// logs no entries. Of no effect without a log file.
    pub log_format: Option<Box<[u8]>>,
    /// Length of the checksum that `%C` shows, hexadecimal digits: as many blanks stand for a
    /// checksum that is not known.
    pub checksum_digits: u8,
}

impl Default for Items {
    fn default() -> Self {
        // rsync's first choice is XXH3 of 128 bits.
        Self { out_format: None, itemize: Itemize::Off, log_format: None, checksum_digits: 32 }
    }
}

/// `-i`: which entries a format with `%i` mentions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Itemize {
    /// No `-i`. (A format with `%i` mentions what changed all the same.)
    #[default]
    Off,
    /// `-i`: what changed.
    Changed,
    /// `-ii`: what did not change, too.
    Unchanged,
}

/// Levels of `--info`. What has no field here is `progress`: see [`Progress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// `backup`: files backed up.
    pub backup: u8,
    /// `copy`: files copied locally.
    pub copy: u8,
    /// `del`: deletions.
    pub del: u8,
    /// `flist`: `sending incremental file list` and its kin.
    pub flist: u8,
    /// What is made on the way: the level of `name`, but for a format that alone asks for names.
    pub made: u8,
    /// `misc`: 1 among others directories made, 2 how content is brought over.
    pub misc: u8,
    /// `mount`: mount points.
    pub mount: u8,
    /// `name`: 1 changed entries, 2 unchanged ones too.
    pub name: u8,
    /// `nonreg`: skipped entries that are not files; 1 unless the user said otherwise.
    pub nonreg: u8,
    /// `remove`: entries removed at the source.
    pub remove: u8,
    /// `skip`: entries left out by a setting.
    pub skip: u8,
    /// `stats`: 1 the two closing lines, 2 the `--stats` block.
    pub stats: u8,
    /// `symsafe`: unsafe links.
    pub symsafe: u8,
    /// `--debug=filter`: entries left out by a rule; `-vv` sets 1.
    pub filter: u8,
    /// `--debug=deltasum`: the line `total: matches=...`; `-vv` sets 1.
    pub deltasum: u8,
}

impl Default for Info {
    fn default() -> Self {
        Self {
            backup: 0,
            copy: 0,
            del: 0,
            flist: 0,
            made: 0,
            misc: 0,
            mount: 0,
            name: 0,
            // The only one that rsync shows unasked.
            nonreg: 1,
            remove: 0,
            skip: 0,
            stats: 0,
            symsafe: 0,
            filter: 0,
            deltasum: 0,
        }
    }
}

/// `-h`: how numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum HumanReadable {
    /// `--no-h`: digits only.
    Digits,
    /// The default: a separator between groups of three digits.
    #[default]
    Grouped,
    /// `-h`: units of 1000.
    Units1000,
    /// `-hh` and more: units of 1024.
    Units1024,
}

impl HumanReadable {
    /// rsync's level 0, 1, 2, 3 and above.
    pub fn from_level(level: u8) -> Self {
        match level {
            0 => Self::Digits,
            1 => Self::Grouped,
            2 => Self::Units1000,
            _ => Self::Units1024,
        }
    }
}

/// What is shown while the run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nothing.
    #[default]
    Off,
    /// `--info=progress2`: one line for the whole run, on standard output.
    TotalLine,
    /// `--progress`, `-P`, `--info=progress`: a line for each transferred file.
    PerFile,
    /// A display on standard error. Choose it only where standard error is a terminal; it is not
    /// drawn elsewhere.
    Live,
}

/// Where bytes go and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// `--outbuf`.
    pub outbuf: OutBuf,
    /// `--stderr`.
    pub messages: MessageStream,
    /// `-8`.
    pub names: NameEscapes,
}

/// `--outbuf`: when standard output is flushed. Without the option a terminal gets `Line` and
/// everything else `Block`; the caller knows which it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutBuf {
    /// When a block is full, about every second, and at the end.
    #[default]
    Block,
    /// After every line.
    Line,
    /// After every line: nothing shorter is ever written.
    None,
}

/// `--stderr`: where what is not an error goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageStream {
    /// `--stderr=errors` and `--stderr=client`, which are the same on one machine.
    #[default]
    Stdout,
    /// `--stderr=all`, `--msgs2stderr`.
    Stderr,
}

/// How the bytes of a name are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameEscapes {
    /// Control bytes and what is not text in UTF-8 become `\#ooo`.
    #[default]
    Unprintable,
    /// The same in a locale of single bytes: every byte above 127 becomes `\#ooo`.
    NonAscii,
    /// `-8`: only control bytes become `\#ooo`.
    ControlOnly,
}

/// What the lines say about the run as a whole.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// The source arguments as typed; `%f`, `%F` and JSON show them.
    pub sources: Vec<PathBuf>,
    /// What of a source argument the paths of its entries keep.
    pub kept_path: KeptPath,
    /// The destination argument as typed; JSON shows it.
    pub destination: Option<PathBuf>,
    /// Whether anything is changed.
    pub effect: Effect,
    /// Where content goes, seen from this host.
    pub movement: Movement,
    /// How rsync would have built its list.
    pub listing: Listing,
    /// `-W`, `--no-W`.
    pub transfer: Transfer,
    /// `-l`: a list shows the targets of symlinks.
    pub links: Preserved,
    /// `-U`: a list shows access times.
    pub access_times: Preserved,
    /// `-o`: without it `%U` is 0, as rsync prints it.
    pub users: Preserved,
    /// `-g`: without it `%G` is `DEFAULT`, as rsync prints it.
    pub groups: Preserved,
    /// The version of the program; JSON shows it.
    pub version: &'static str,
}

/// What of a source argument the paths of its entries keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeptPath {
    /// The last component, or nothing of what ends in a slash.
    #[default]
    Last,
    /// `-R`: all of it, or what stands behind `/./`.
    Whole,
    /// `--files-from`: nothing; they are the paths of the list. So it is with a source on another host.
    Listed,
}

/// Where content goes, seen from this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Movement {
    /// Both sides are here.
    #[default]
    Within,
    /// To another host.
    Out,
    /// From another host.
    In,
}

/// Whether anything is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// The destination is changed.
    #[default]
    Real,
    /// `-n`.
    DryRun,
    /// `--list-only`, or no destination.
    ListOnly,
}

/// How rsync would have built its list: decides the wording of the first line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// `-r`: `sending incremental file list`.
    #[default]
    Incremental,
    /// `building file list ... done`: `-r` with `-m`, `--delete-before`, `--delete-after`,
    /// `--delay-updates` or `--no-inc-recursive`; `-d`; `--list-only` or `--files-from` without
    /// `-r`.
    Whole,
    /// Neither `-r` nor `-d` nor `--list-only`: nothing is said.
    FilesOnly,
}

/// How content is brought over: `-vv` says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// Whole files.
    #[default]
    WholeFile,
    /// `--no-W`: only what differs.
    Delta,
}

/// Whether an attribute is brought over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preserved {
    /// It is not.
    #[default]
    No,
    /// It is.
    Yes,
}

#[cfg(test)]
mod tests {
    use model::Interest;

    use super::{Effect, Itemize, OutputStyle, Progress, Settings, Volume};

    #[test]
    fn only_items_that_are_printed_are_asked_for() {
        let mut settings = Settings::default();
        assert_eq!(settings.interest(false), Interest::Faults);
        assert_eq!(settings.interest(true), Interest::Changes);
        settings.items.log_format = Some(Box::default());
        assert_eq!(settings.interest(true), Interest::Faults);
        settings.items.out_format = Some(b"%n"[..].into());
        assert_eq!(settings.interest(false), Interest::Changes);
        settings.items.itemize = Itemize::Unchanged;
        assert_eq!(settings.interest(false), Interest::Unchanged);
        settings.volume = Volume::Quiet;
        assert_eq!(settings.interest(false), Interest::Faults);
        settings.style = OutputStyle::Json;
        assert_eq!(settings.interest(false), Interest::Everything);
        let mut list = Settings::default();
        list.run.effect = Effect::ListOnly;
        assert_eq!(list.interest(false), Interest::Unchanged);
        let progress = Settings { progress: Progress::PerFile, ..Settings::default() };
        assert_eq!(progress.interest(false), Interest::Changes);
        let mut skipped = Settings::default();
        skipped.info.skip = 1;
        assert_eq!(skipped.interest(false), Interest::Changes);
    }

    #[test]
    fn checksums_are_asked_for_by_formats_only() {
        let mut settings = Settings::default();
        assert!(!settings.tells_checksums(true));
        settings.items.log_format = Some(b"%C"[..].into());
        assert!(settings.tells_checksums(true));
        assert!(!settings.tells_checksums(false));
        settings.items.out_format = Some(b"%n %-40C"[..].into());
        assert!(settings.tells_checksums(false));
    }
}
