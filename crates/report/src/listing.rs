//! `--list-only`: the source's entries like `ls -l`.

use model::{Item, Kind, Verdict};

use crate::clock::{Clock, Separator};
use crate::numbers::count;
use crate::permissions;
use crate::settings::{HumanReadable, Preserved, RunFacts};

/// What a list shows of each entry.
pub(crate) struct Columns {
    /// How sizes are written.
    pub(crate) numbers: HumanReadable,
    /// Targets of symlinks.
    pub(crate) targets: Preserved,
    /// Access times.
    pub(crate) access_times: Preserved,
}

impl Columns {
    pub(crate) fn new(run: &RunFacts, numbers: HumanReadable) -> Self {
        Self { numbers, targets: run.links, access_times: run.access_times }
    }
}

/// The line of an entry; `None` for what is not listed.
pub(crate) fn line(item: &Item, clock: &Clock, columns: &Columns) -> Option<Vec<u8>> {
    let is_listed = match item.verdict {
        Verdict::Excluded | Verdict::Skipped | Verdict::Failed | Verdict::Deleted => false,
        Verdict::Copied
        | Verdict::Updated
        | Verdict::Metadata
        | Verdict::Equal
        | Verdict::ChangedDuringCopy => true,
    };
    let metadata = &item.metadata;
    let kind = kind_letter(metadata.kind);
    let permissions = permissions::letters(metadata.mode);
    let size = count(metadata.size, columns.numbers);
    // rsync's column before it grouped digits, and after.
    let width = if columns.numbers == HumanReadable::Digits { 11 } else { 14 };
    let time = clock.format(metadata.mtime, Separator::Blank);
    let access_time = match (columns.access_times, metadata.kind) {
        (Preserved::No, _) => String::new(),
        // To list a directory is to read it.
        (Preserved::Yes, Kind::Directory) => " ".repeat(1 + time.len()),
        (Preserved::Yes, _) => format!(" {}", clock.format(metadata.atime, Separator::Blank)),
    };
    is_listed.then(|| {
        let start = format!("{kind}{permissions} {size:>width$} {time}{access_time} ");
        let mut line = start.into_bytes();
        line.extend_from_slice(item.path.as_bytes());
        let shows_target = columns.targets == Preserved::Yes && metadata.kind == Kind::Symlink;
        if let Some(target) = item.link.as_ref().filter(|_| shows_target) {
            line.extend_from_slice(b" -> ");
            line.extend_from_slice(target);
        }
        line
    })
}

fn kind_letter(kind: Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
    }
}

#[cfg(test)]
mod tests {
    use model::{Kind, Verdict};

    use super::{Columns, line};
    use crate::clock::Clock;
    use crate::settings::{HumanReadable, Preserved};
    use crate::testing::item;

    const WITH_TARGETS: Columns = Columns {
        numbers: HumanReadable::Grouped,
        targets: Preserved::Yes,
        access_times: Preserved::No,
    };

    #[test]
    fn lines_are_those_of_rsync() {
        let check = |kind, size, numbers, expected: &str| {
            let mut item = item("x", kind, Verdict::Equal);
            item.metadata.size = size;
            item.link = (kind == Kind::Symlink).then(|| b"a"[..].into());
            let line = line(&item, &Clock::utc(), &Columns { numbers, ..WITH_TARGETS }).unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        };
        let (digits, grouped) = (HumanReadable::Digits, HumanReadable::Grouped);
        check(Kind::Directory, 4096, digits, "drw-r--r--        4096 2024/01/02 03:04:05 x");
        check(Kind::Directory, 4096, grouped, "drw-r--r--          4,096 2024/01/02 03:04:05 x");
        check(
            Kind::File,
            314_572_800,
            HumanReadable::Units1024,
            "-rw-r--r--        300.00M 2024/01/02 03:04:05 x",
        );
        check(Kind::Symlink, 1, grouped, "lrw-r--r--              1 2024/01/02 03:04:05 x -> a");
        check(Kind::Socket, 0, grouped, "srw-r--r--              0 2024/01/02 03:04:05 x");
    }

    #[test]
    fn what_is_excluded_is_not_listed() {
        let item = item("x", Kind::File, Verdict::Excluded);
        assert!(line(&item, &Clock::utc(), &WITH_TARGETS).is_none());
    }

    #[test]
    fn only_what_would_be_brought_over_is_shown() {
        let columns = Columns {
            numbers: HumanReadable::Grouped,
            targets: Preserved::No,
            access_times: Preserved::Yes,
        };
        let check = |kind, expected: &str| {
            let mut item = item("x", kind, Verdict::Equal);
            item.link = (kind == Kind::Symlink).then(|| b"a"[..].into());
            let line = line(&item, &Clock::utc(), &columns).unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        };
        let times = "2024/01/02 03:04:05 2024/01/02 03:04:05";
        check(Kind::Symlink, &format!("lrw-r--r--              3 {times} x"));
        let time = "2024/01/02 03:04:05                    ";
        check(Kind::Directory, &format!("drw-r--r--              3 {time} x"));
    }
}
