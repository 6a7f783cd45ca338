//! Which entries get a line, and which: rsync's rules for names, `-i`, `-ii` and `-vv`.

use model::{Item, ItemFlags, Kind, Verdict};

use crate::out_format::OutFormat;
use crate::settings::{Effect, Itemize, Settings, Volume};

/// The line of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mention {
    /// None.
    Nothing,
    /// The format, filled in.
    Formatted,
    /// The bare name.
    Name,
    /// `x is uptodate`.
    UpToDate,
    /// `deleting x`.
    Deleting,
}

/// What one output mentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Changes of attributes alone, or content and directories only.
    depth: Depth,
    /// What is said of what did not change.
    unchanged: Unchanged,
    /// What is said of what is removed.
    removed: Mention,
    /// Whether content that is brought over gets a line.
    transfers: Transfers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Whatever changed (`%i`).
    Attributes,
    /// What rsync names at `-v`: transfers, what is made anew, and directories.
    Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unchanged {
    Nothing,
    /// The format, filled in (`-ii`).
    Formatted,
    /// `x is uptodate` (`-vv`).
    InWords,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfers {
    Mentioned,
    /// Nothing is transferred in a dry run, and rsync's log says what was done.
    NotMentioned,
}

impl Rules {
    /// What standard output mentions, where there is a format.
    pub(crate) fn of_stdout(settings: &Settings, format: &OutFormat) -> Self {
        Self {
            depth: depth(format),
            unchanged: unchanged(settings, format),
            removed: removed(format),
            transfers: Transfers::Mentioned,
        }
    }

    /// What a log file mentions: as in rsync, where standard output would have a line there is one
    /// in the log, in the format of the log.
    pub(crate) fn of_log(
        settings: &Settings,
        log_format: &OutFormat,
        out_format: &OutFormat,
    ) -> Self {
        let unchanged = match unchanged(settings, out_format) {
            // A line without `%i` would not say that nothing changed.
            Unchanged::Formatted if !log_format.is_itemized() => Unchanged::Nothing,
            Unchanged::InWords if settings.volume == Volume::Quiet => Unchanged::Nothing,
            unchanged => unchanged,
        };
        let is_dry_run = settings.run.effect == Effect::DryRun;
        Self {
            depth: depth(out_format),
            unchanged,
            removed: removed(log_format),
            transfers: if is_dry_run { Transfers::NotMentioned } else { Transfers::Mentioned },
        }
    }

    /// What `--info=del` alone mentions.
    pub(crate) fn removals_only(item: &Item) -> Mention {
        if item.verdict == Verdict::Deleted { Mention::Deleting } else { Mention::Nothing }
    }

    /// The line for `item`.
    pub(crate) fn mention(self, item: &Item) -> Mention {
        match item.verdict {
            Verdict::Deleted => self.removed,
            // rsync tells of a transfer when it begins, whatever becomes of it.
            Verdict::Failed if item.flags.contains(ItemFlags::TRANSFER) => self.mention_kept(item),
            // What is left out is told by messages, and what failed by faults.
            Verdict::Excluded | Verdict::Skipped | Verdict::Failed | Verdict::ChangedDuringCopy => {
                Mention::Nothing
            }
            Verdict::Copied | Verdict::Updated | Verdict::Metadata | Verdict::Equal => {
                self.mention_kept(item)
            }
        }
    }

    fn mention_kept(self, item: &Item) -> Mention {
        let flags = item.flags;
        if flags.contains(ItemFlags::TRANSFER) && self.transfers == Transfers::NotMentioned {
            return Mention::Nothing;
        }
        let is_significant = flags.is_significant();
        let is_directory = item.metadata.kind == Kind::Directory;
        let is_made_here = flags.intersects(ItemFlags::LOCAL_CHANGE | ItemFlags::HARD_LINK);
        let is_worth_a_line = flags.contains(ItemFlags::TRANSFER)
            || names_leader(item)
            || is_significant && (self.depth == Depth::Attributes || is_made_here || is_directory);
        match self.unchanged {
            _ if is_worth_a_line => Mention::Formatted,
            Unchanged::Nothing => Mention::Nothing,
            Unchanged::Formatted => Mention::Formatted,
            Unchanged::InWords if is_significant => Mention::Name,
            // rsync has no word for a directory that was there and right.
            Unchanged::InWords if is_directory && !is_made_here => Mention::Nothing,
            Unchanged::InWords => Mention::UpToDate,
        }
    }
}

/// True for a hard link that is told, with the entry it is linked to, whatever else changed.
fn names_leader(item: &Item) -> bool {
    item.leader.is_some() && !item.flags.contains(ItemFlags::IN_BASIS)
}

fn depth(format: &OutFormat) -> Depth {
    if format.is_itemized() { Depth::Attributes } else { Depth::Content }
}

/// `-ii` counts for a format with `%i` only: any other could not tell what did not change from what
/// did. (`every_escape_of_out_format` compares that with rsync.)
fn unchanged(settings: &Settings, format: &OutFormat) -> Unchanged {
    let named = settings.info.name >= 2;
    match (format.is_itemized(), settings.items.itemize) {
        (true, Itemize::Unchanged) => Unchanged::Formatted,
        (true, _) if named => Unchanged::Formatted,
        (false, _) if named => Unchanged::InWords,
        _ => Unchanged::Nothing,
    }
}

fn removed(format: &OutFormat) -> Mention {
    if format.tells_operation() { Mention::Formatted } else { Mention::Deleting }
}

#[cfg(test)]
mod tests {
    use model::{ItemFlags, Kind, Verdict};

    use super::{Mention, Rules};
    use crate::out_format::OutFormat;
    use crate::settings::{Effect, Itemize, Settings, Volume};
    use crate::testing::item;

    /// The mentions at `-v`, `-i`, `-vv`, `-ii` (and `-vvi`).
    fn check(kind: Kind, verdict: Verdict, flags: ItemFlags, expected: [Mention; 4]) {
        let mut item = item("x", kind, verdict);
        item.flags = flags;
        let got = [
            ("%n%L", 1, Itemize::Off),
            ("%i %n%L", 0, Itemize::Changed),
            ("%n%L", 2, Itemize::Off),
            ("%i %n%L", 0, Itemize::Unchanged),
        ]
        .map(|(format, name, itemize)| {
            let mut settings = Settings::default();
            settings.info.name = name;
            settings.items.itemize = itemize;
            let format = OutFormat::parse(format.as_bytes());
            Rules::of_stdout(&settings, &format).mention(&item)
        });
        assert_eq!(got, expected, "{kind:?} {flags:?}");
    }

    #[test]
    fn changes_are_mentioned_as_rsync_does() {
        use Mention::{Deleting, Formatted, Name, Nothing, UpToDate};
        let none = ItemFlags::empty();
        let (file, directory) = (Kind::File, Kind::Directory);
        let transfer = ItemFlags::TRANSFER | ItemFlags::SIZE;
        check(file, Verdict::Updated, transfer, [Formatted; 4]);
        let made = ItemFlags::LOCAL_CHANGE | ItemFlags::NEW;
        check(Kind::Symlink, Verdict::Copied, made, [Formatted; 4]);
        let perms = ItemFlags::PERMS;
        check(file, Verdict::Metadata, perms, [Nothing, Formatted, Name, Formatted]);
        check(directory, Verdict::Metadata, perms, [Formatted; 4]);
        check(file, Verdict::Equal, none, [Nothing, Nothing, UpToDate, Formatted]);
        check(directory, Verdict::Equal, none, [Nothing, Nothing, Nothing, Formatted]);
        let based = ItemFlags::LOCAL_CHANGE;
        check(directory, Verdict::Copied, based, [Nothing, Nothing, UpToDate, Formatted]);
        check(file, Verdict::Deleted, none, [Deleting, Formatted, Deleting, Formatted]);
        check(file, Verdict::Failed, ItemFlags::TRANSFER, [Formatted; 4]);
        check(file, Verdict::Failed, none, [Nothing; 4]);
        check(file, Verdict::Skipped, none, [Nothing; 4]);
    }

    #[test]
    fn ii_counts_for_formats_with_i_only() {
        let mut settings = Settings::default();
        settings.items.itemize = Itemize::Unchanged;
        let mention = |format: &str, verdict, flags| {
            let mut item = item("x", Kind::File, verdict);
            item.flags = flags;
            Rules::of_stdout(&settings, &OutFormat::parse(format.as_bytes())).mention(&item)
        };
        let none = ItemFlags::empty();
        assert_eq!(mention("%n", Verdict::Equal, none), Mention::Nothing);
        assert_eq!(mention("%n", Verdict::Metadata, ItemFlags::PERMS), Mention::Nothing);
        assert_eq!(mention("%i", Verdict::Equal, none), Mention::Formatted);
        assert_eq!(mention("%n", Verdict::Updated, ItemFlags::TRANSFER), Mention::Formatted);
    }

    #[test]
    fn the_log_has_a_line_where_standard_output_would_have_one() {
        let check = |out: &str, log: &str, settings: &Settings, flags, expected| {
            let mut item = item("x", Kind::File, Verdict::Metadata);
            item.flags = flags;
            let [out, log] = [out, log].map(|text| OutFormat::parse(text.as_bytes()));
            assert_eq!(Rules::of_log(settings, &log, &out).mention(&item), expected);
        };
        let (none, perms) = (ItemFlags::empty(), ItemFlags::PERMS);
        let mut settings = Settings::default();
        check("", "%i %n", &settings, perms, Mention::Nothing);
        check("%i %n", "%i %n", &settings, perms, Mention::Formatted);
        check("%i %n", "%n", &settings, perms, Mention::Formatted);
        check("", "%i %n", &settings, ItemFlags::TRANSFER, Mention::Formatted);
        settings.info.name = 2;
        check("%n", "%i %n", &settings, perms, Mention::Name);
        check("%n", "%i %n", &settings, none, Mention::UpToDate);
        check("%i %n", "%i %n", &settings, none, Mention::Formatted);
        check("%i %n", "%n", &settings, none, Mention::Nothing);
        settings.volume = Volume::Quiet;
        check("%n", "%i %n", &settings, none, Mention::Nothing);
        settings.run.effect = Effect::DryRun;
        check("", "%i %n", &settings, ItemFlags::TRANSFER, Mention::Nothing);
        check("", "%i %n", &settings, ItemFlags::LOCAL_CHANGE | perms, Mention::Formatted);
    }

    #[test]
    fn a_hard_link_is_mentioned_with_its_leader_only() {
        let format = OutFormat::parse(b"%i %n%L");
        let rules = Rules::of_stdout(&Settings::default(), &format);
        let mut link = item("a", Kind::File, Verdict::Equal);
        link.flags = ItemFlags::HARD_LINK;
        assert_eq!(rules.mention(&link), Mention::Nothing);
        link.leader = Some(b"h"[..].into());
        assert_eq!(rules.mention(&link), Mention::Formatted);
    }
}
