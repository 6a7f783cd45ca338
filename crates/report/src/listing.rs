//! `--list-only`: the source's entries like `ls -l`.

use model::{Item, Kind, Verdict};

use crate::clock::{Clock, Separator};
use crate::numbers::count;
use crate::permissions;
use crate::settings::HumanReadable;

/// The line of an entry; `None` for what is not listed.
pub(crate) fn line(item: &Item, clock: &Clock, numbers: HumanReadable) -> Option<Vec<u8>> {
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
    let size = count(metadata.size, numbers);
    // rsync's column before it grouped digits, and after.
    let columns = if numbers == HumanReadable::Digits { 11 } else { 14 };
    let time = clock.format(metadata.mtime, Separator::Blank);
    is_listed.then(|| {
        let mut line = format!("{kind}{permissions} {size:>columns$} {time} ").into_bytes();
        line.extend_from_slice(item.path.as_bytes());
        if let (Kind::Symlink, Some(target)) = (metadata.kind, &item.link) {
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

    use super::line;
    use crate::clock::Clock;
    use crate::settings::HumanReadable;
    use crate::testing::item;

    #[test]
    fn lines_are_those_of_rsync() {
        let check = |kind, size, numbers, expected: &str| {
            let mut item = item("x", kind, Verdict::Equal);
            item.metadata.size = size;
            item.link = (kind == Kind::Symlink).then(|| b"a"[..].into());
            let line = line(&item, &Clock::utc(), numbers).unwrap();
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
        assert!(line(&item, &Clock::utc(), HumanReadable::Grouped).is_none());
    }
}
