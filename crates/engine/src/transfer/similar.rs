//! A file that is probably much like a new one, by what it is called (rsync(1), `--fuzzy`).

use fs::{AccessTime, Dir, File};
use model::{Kind, Timestamp};

use crate::basis;
use crate::entries::Entry;
use crate::run::Run;

/// What one byte more, less or other counts. By how much bytes differ counts as a fraction of it.
const UNIT: u32 = 1 << 16;

/// Names that differ by more are not alike.
const MOST_DISTANCE: u32 = 25 * UNIT;

/// What a difference of suffixes counts beside that of names.
const SUFFIX_WEIGHT: u32 = 10;

/// Files that are there, of a directory of the destination and of those of the basis trees that belong
/// to it.
#[derive(Debug, Default)]
pub(crate) struct Similar(Vec<Neighbour>);

#[derive(Debug)]
struct Neighbour {
    /// Which directory it lies in.
    dir: usize,
    name: Box<[u8]>,
    size: u64,
    mtime: Timestamp,
}

/// The file that is most like a new one, if there is one that is.
pub(crate) fn find(run: &Run, entry: &Entry) -> Option<File> {
    if run.settings.compare.fuzzy == 0 || entry.existing.is_some() {
        return None;
    }
    let similar = entry.node.target.similar.get_or_init(|| list(run, entry));
    let found = similar.most_like(entry.target_name(), entry.source.size, entry.source.mtime)?;
    dirs(run, entry).nth(found.dir)?.open_file(&found.name, AccessTime::Keep).ok()
}

/// That of the destination, and with `-yy` those of the basis trees.
fn dirs(run: &Run, entry: &Entry) -> impl Iterator<Item = Dir> {
    let of_basis_trees = (run.settings.compare.fuzzy > 1).then(|| basis::mirrors(&entry.node));
    entry.target_dir.clone().into_iter().chain(of_basis_trees.into_iter().flatten())
}

fn list(run: &Run, entry: &Entry) -> Similar {
    let mut similar = Similar::default();
    for (number, dir) in dirs(run, entry).enumerate() {
        similar.add(number, &dir);
    }
    similar
}

impl Similar {
    /// Adds what a directory holds. One that cannot be read helps nobody, and harms nobody.
    fn add(&mut self, number: usize, dir: &Dir) {
        let Ok(listing) = dir.list() else { return };
        for (name, kind) in listing.iter() {
            if kind.is_some_and(|kind| kind != Kind::File) || fs::staging::is_staging_name(name) {
                continue;
            }
            let Ok(found) = dir.stat(name) else { continue };
            if found.kind == Kind::File && found.size > 0 {
                let (size, mtime) = (found.size, found.mtime);
                self.0.push(Neighbour { dir: number, name: name.into(), size, mtime });
            }
        }
    }

    /// One of the same size and time was perhaps renamed; else the one that is called most alike.
    fn most_like(&self, name: &[u8], size: u64, mtime: Timestamp) -> Option<&Neighbour> {
        let is_same = |other: &&Neighbour| other.size == size && other.mtime.secs == mtime.secs;
        self.0.iter().find(is_same).or_else(|| {
            let distances =
                self.0.iter().map(|other| (distance_of_names(&other.name, name), other));
            let near = distances.filter(|(distance, _)| *distance <= MOST_DISTANCE);
            near.min_by_key(|(distance, _)| *distance).map(|(_, other)| other)
        })
    }
}

fn distance_of_names(one: &[u8], other: &[u8]) -> u32 {
    let of_suffixes = distance(suffix(one), suffix(other));
    distance(one, other).saturating_add(of_suffixes.saturating_mul(SUFFIX_WEIGHT))
}

/// The least that it takes to make one name of the other byte by byte (V. Levenshtein, 1965).
fn distance(one: &[u8], other: &[u8]) -> u32 {
    let insertion = |byte: u8| UNIT + u32::from(byte);
    let mut row = vec![0; other.len() + 1];
    for (at, &byte) in other.iter().enumerate() {
        row[at + 1] = row[at] + insertion(byte);
    }
    for &removed in one {
        let mut diagonal = row[0];
        row[0] += insertion(removed);
        for (at, &byte) in other.iter().enumerate() {
            let change = match removed.abs_diff(byte) {
                0 => 0,
                difference => UNIT + u32::from(difference),
            };
            let best = (diagonal + change)
                .min(row[at] + insertion(byte))
                .min(row[at + 1] + insertion(removed));
            diagonal = std::mem::replace(&mut row[at + 1], best);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// What a name ends with that tells what is in it, with its dot: neither marks of old copies nor, where
/// there is something better, a number.
fn suffix(name: &[u8]) -> &[u8] {
    let dots = name.iter().take_while(|&&byte| byte == b'.').count();
    let mut rest = &name[dots..];
    rest = rest.strip_suffix(b"~").unwrap_or(rest);
    let mut found = &b""[..];
    while let Some(dot) = rest.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0) {
        let (before, suffix) = rest.split_at(dot);
        rest = before;
        let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
        let marks_copy = matches!(suffix, b".bak" | b".old" | b".orig")
            || suffix.strip_prefix(b".~").is_some_and(is_number);
        if marks_copy {
            continue;
        }
        found = suffix;
        if !is_number(&suffix[1..]) {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{UNIT, distance, distance_of_names, suffix};

    #[test]
    fn distances_count_changes_and_a_little_by_how_much() {
        let check = |one: &str, other: &str, units| {
            let found = distance(one.as_bytes(), other.as_bytes());
            assert_eq!(found / UNIT, units, "{one} {other}");
            assert_eq!(found, distance(other.as_bytes(), one.as_bytes()));
        };
        check("", "", 0);
        check("same", "same", 0);
        check("", "abc", 3);
        check("kitten", "sitting", 3);
        check("file-1.0.tar", "file-1.10.tar", 1);
        assert!(distance(b"a1", b"a2") < distance(b"a1", b"a9"));
    }

    #[test]
    fn the_suffix_tells_what_is_in_a_file() {
        let check = |name: &str, expected: &str| {
            assert_eq!(String::from_utf8_lossy(suffix(name.as_bytes())), expected, "{name}");
        };
        check("a.txt", ".txt");
        check("a.txt~", ".txt");
        check("a.txt.bak", ".txt");
        check("a.txt.~12~", ".txt");
        check("a.txt.3", ".txt");
        check("a.3", ".3");
        check("archive.tar.gz", ".gz");
        check(".hidden", "");
        check("plain", "");
    }

    #[test]
    fn a_file_of_the_same_kind_is_more_alike_than_one_of_another() {
        let new = b"report-2.txt";
        assert!(distance_of_names(b"report-19.txt", new) < distance_of_names(b"report-2.png", new));
    }
}
