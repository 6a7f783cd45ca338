//! rsync's `-i` string: eleven letters `YXcstpoguax` (rsync(1), `--itemize-changes`).

use model::{Item, ItemFlags, Kind, Verdict};

use crate::settings::Movement;

/// The eleven letters.
pub(crate) type Letters = [u8; 11];

/// What stands in place of the letters for an entry that is removed.
const DELETING: Letters = *b"*deleting  ";

/// The letters of one entry.
pub(crate) fn letters(item: &Item, movement: Movement) -> Letters {
    if item.verdict == Verdict::Deleted {
        return DELETING;
    }
    let flags = item.flags;
    let update = update_letter(flags, movement);
    let kind = kind_letter(item.metadata.kind);
    let rest = if flags.contains(ItemFlags::NEW) {
        [b'+'; 9]
    } else if flags.contains(ItemFlags::MISSING_DATA) {
        [b'?'; 9]
    } else {
        attribute_letters(flags, item.metadata.kind)
    };
    let nothing_changed = matches!(update, b'.' | b'h' | b'c') && rest == [b'.'; 9];
    let mut letters = [b' '; 11];
    (letters[0], letters[1]) = (update, kind);
    if !nothing_changed {
        letters[2..].copy_from_slice(&rest);
    }
    letters
}

fn update_letter(flags: ItemFlags, movement: Movement) -> u8 {
    if flags.contains(ItemFlags::HARD_LINK) {
        b'h'
    } else if flags.contains(ItemFlags::LOCAL_CHANGE) {
        b'c'
    } else if flags.contains(ItemFlags::TRANSFER) {
        match movement {
            Movement::Out => b'<',
            Movement::In | Movement::Within => b'>',
        }
    } else {
        b'.'
    }
}

fn kind_letter(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'f',
        Kind::Directory => b'd',
        Kind::Symlink => b'L',
        Kind::CharDevice | Kind::BlockDevice => b'D',
        Kind::Fifo | Kind::Socket => b'S',
    }
}

fn attribute_letters(flags: ItemFlags, kind: Kind) -> [u8; 9] {
    let letter = |flag, letter| if flags.contains(flag) { letter } else { b'.' };
    let time = if flags.contains(ItemFlags::TIME_OF_TRANSFER) { b'T' } else { b't' };
    // The length of a symlink is that of its target: a change of it is told by `c`.
    let size = if kind == Kind::Symlink { b'.' } else { letter(ItemFlags::SIZE, b's') };
    [
        letter(ItemFlags::CHECKSUM, b'c'),
        size,
        letter(ItemFlags::MTIME, time),
        letter(ItemFlags::PERMS, b'p'),
        letter(ItemFlags::OWNER, b'o'),
        letter(ItemFlags::GROUP, b'g'),
        letter(ItemFlags::ATIME, b'u'),
        letter(ItemFlags::ACL, b'a'),
        letter(ItemFlags::XATTR, b'x'),
    ]
}

#[cfg(test)]
mod tests {
    use model::{ItemFlags, Kind, Verdict};

    use super::letters;
    use crate::settings::Movement;
    use crate::testing::item;

    fn check(kind: Kind, flags: ItemFlags, expected: &str) {
        let mut item = item("x", kind, Verdict::Updated);
        item.flags = flags;
        assert_eq!(
            std::str::from_utf8(&letters(&item, Movement::Within)).unwrap(),
            expected,
            "{kind:?} {flags:?}"
        );
    }

    #[test]
    fn each_update_has_its_letter() {
        check(Kind::File, ItemFlags::TRANSFER | ItemFlags::NEW, ">f+++++++++");
        check(Kind::Directory, ItemFlags::LOCAL_CHANGE | ItemFlags::NEW, "cd+++++++++");
        check(Kind::Symlink, ItemFlags::LOCAL_CHANGE | ItemFlags::NEW, "cL+++++++++");
        check(Kind::CharDevice, ItemFlags::LOCAL_CHANGE | ItemFlags::CHECKSUM, "cDc........");
        check(Kind::BlockDevice, ItemFlags::empty(), ".D         ");
        check(Kind::Fifo, ItemFlags::LOCAL_CHANGE | ItemFlags::NEW, "cS+++++++++");
        check(Kind::Socket, ItemFlags::empty(), ".S         ");
        check(
            Kind::File,
            ItemFlags::HARD_LINK | ItemFlags::LOCAL_CHANGE | ItemFlags::NEW,
            "hf+++++++++",
        );
    }

    #[test]
    fn each_attribute_has_its_letter() {
        let flags = [
            (ItemFlags::CHECKSUM, ".fc........"),
            (ItemFlags::SIZE, ".f.s......."),
            (ItemFlags::MTIME, ".f..t......"),
            (ItemFlags::MTIME | ItemFlags::TIME_OF_TRANSFER, ".f..T......"),
            (ItemFlags::PERMS, ".f...p....."),
            (ItemFlags::OWNER, ".f....o...."),
            (ItemFlags::GROUP, ".f.....g..."),
            (ItemFlags::ATIME, ".f......u.."),
            (ItemFlags::ACL, ".f.......a."),
            (ItemFlags::XATTR, ".f........x"),
        ];
        for (flags, expected) in flags {
            check(Kind::File, flags, expected);
        }
    }

    #[test]
    fn unchanged_letters_are_blank_only_where_nothing_is_transferred() {
        check(Kind::File, ItemFlags::empty(), ".f         ");
        check(Kind::File, ItemFlags::TIME_OF_TRANSFER, ".f         ");
        check(Kind::File, ItemFlags::HARD_LINK, "hf         ");
        check(Kind::Directory, ItemFlags::LOCAL_CHANGE, "cd         ");
        check(Kind::File, ItemFlags::TRANSFER, ">f.........");
    }

    #[test]
    fn missing_data_is_unknown() {
        check(Kind::Directory, ItemFlags::MISSING_DATA, ".d?????????");
    }

    #[test]
    fn a_symlink_has_no_size_letter() {
        let flags =
            ItemFlags::LOCAL_CHANGE | ItemFlags::CHECKSUM | ItemFlags::SIZE | ItemFlags::MTIME;
        check(Kind::Symlink, flags, "cLc.t......");
    }

    #[test]
    fn a_removal_says_so() {
        let item = item("x", Kind::File, Verdict::Deleted);
        assert_eq!(&letters(&item, Movement::Within), b"*deleting  ");
    }
}
