//! The lines of a bucket in several: those of entries that failed, or a few parts to find out which it is.

use std::collections::BTreeSet;
use std::ops::Bound;

use fleet::amount::Amount;
use fleet::line::Span;
use model::Kind;

use crate::bucket::Class;
use crate::journal::record::Part;
use crate::lines::{self, ListLine};
use crate::lists::{ListAt, ListError, Lists};
use crate::mover::FailedEntry;
use crate::state::Parting;
use crate::store::Store;

/// Lines of a new bucket, and what they come to as far as they tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Piece {
    lines: Vec<u8>,
    amount: Amount,
}

/// Parts a bucket as the coordinator asks for it; into nothing, if that cannot be done.
///
/// Names of one file may come apart: where hard links are kept, a bucket must stay whole.
pub fn part<S: Store>(
    lists: &mut Lists<S>,
    at: ListAt,
    class: Class,
    by: &Parting,
) -> Result<Vec<Part>, ListError> {
    let mut lines = Vec::new();
    lists.read(at, &mut lines)?;
    let Ok(lines) = lines::read(&lines).collect::<Result<Vec<_>, _>>() else {
        return Ok(Vec::new());
    };
    let pieces = match by {
        Parting::Failed(failed) => of_failed(&lines, failed).into_iter().collect(),
        Parting::Into(most) => in_parts(&lines, *most),
    };
    let mut parts = Vec::with_capacity(pieces.len());
    for Piece { lines, amount } in pieces {
        parts.push(Part { class, amount, at: lists.append(&lines)? });
    }
    Ok(parts)
}

impl Piece {
    fn add(&mut self, line: &ListLine<'_>) {
        line.put(&mut self.lines);
        self.amount += Amount::of_one(line.bytes);
    }
}

/// Lines for these entries; `None` if one of them is not in the lines, or all of the lines are.
fn of_failed(lines: &[ListLine<'_>], failed: &[FailedEntry]) -> Option<Piece> {
    let failed: BTreeSet<&[u8]> = failed.iter().map(|entry| entry.path.as_slice()).collect();
    let mut missing = failed.clone();
    let (mut piece, mut taken) = (Piece::default(), 0);
    for line in lines {
        let above = above(line.path).find(|above| failed.contains(above));
        if let Some(path) = above {
            missing.remove(path);
            piece.add(line);
            taken += 1;
        } else if line.span == Span::Whole {
            for path in below(&failed, line.path) {
                missing.remove(path);
                // It may be a directory, of which all has failed.
                let (span, kind) = (Span::Whole, Kind::Directory);
                piece.add(&ListLine { span, kind, bytes: 0, path });
            }
        }
    }
    (missing.is_empty() && taken < lines.len()).then_some(piece)
}

/// A path and all directories above it, but for the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    std::iter::once(path).chain(slashes.map(|(at, _)| &path[..at]))
}

/// Those of the paths that lie below a directory.
fn below<'a>(
    paths: &BTreeSet<&'a [u8]>,
    directory: &[u8],
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let begin = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
    let range = (Bound::Excluded(begin.as_slice()), Bound::Unbounded);
    let found: Vec<&[u8]> = paths
        .range::<[u8], _>(range)
        .copied()
        .take_while(|path| path.starts_with(&begin))
        .collect();
    found.into_iter()
}

/// So many parts at most, one behind the other; none if there is one line.
fn in_parts(lines: &[ListLine<'_>], most: usize) -> Vec<Piece> {
    if lines.len() < 2 || most < 2 {
        return Vec::new();
    }
    let each = lines.len().div_ceil(most);
    let pieces = lines.chunks(each).map(|lines| {
        let mut piece = Piece::default();
        for line in lines {
            piece.add(line);
        }
        piece
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::memory::Memory;

    fn bytes_of(lines: &[(Span, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (span, path) in lines {
            let kind = if *span == Span::Entry { Kind::File } else { Kind::Directory };
            let line = ListLine { span: *span, kind, bytes: 10, path: path.as_bytes() };
            line.put(&mut bytes);
        }
        bytes
    }

    fn parted(lines: &[u8], by: &Parting) -> Vec<(String, Amount)> {
        let mut lists = Lists::behind(Memory::default(), 0);
        let at = lists.append(lines).unwrap();
        let parts = part(&mut lists, at, Class::Deep, by).unwrap();
        let told = parts.iter().map(|part| {
            assert_eq!(part.class, Class::Deep);
            let mut lines = Vec::new();
            lists.read(part.at, &mut lines).unwrap();
            (String::from_utf8(lines).unwrap().replace('\0', "\n"), part.amount)
        });
        told.collect()
    }

    fn check(lines: &[(Span, &str)], failed: &[&str], expected: Option<&str>) {
        let entry =
            |path: &&str| FailedEntry { path: path.as_bytes().to_vec(), why: String::new() };
        let by = Parting::Failed(failed.iter().map(entry).collect());
        let told = parted(&bytes_of(lines), &by);
        let told: Vec<&str> = told.iter().map(|(lines, _)| lines.as_str()).collect();
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{lines:?}: {failed:?}");
    }

    #[test]
    fn entries_that_failed_have_lines_of_their_own() {
        use Span::{Alone, Entry, Whole};
        let lines = [(Alone, ""), (Entry, "a/x"), (Entry, "a/y"), (Whole, "b"), (Entry, "b.c")];
        check(&lines, &["a/y"], Some("EF10 a/y\n"));
        check(&lines, &["a"], Some("EF10 a/x\nEF10 a/y\n"));
        check(&lines, &["b"], Some("WD10 b\n"));
        check(&lines, &["b/c/d", "b/e"], Some("WD0 b/c/d\nWD0 b/e\n"));
        check(&lines, &["", "b.c"], Some("AD10 \nEF10 b.c\n"));
        check(&[(Whole, ""), (Entry, "z")], &["q/r"], Some("WD0 q/r\n"));
    }

    #[test]
    fn what_cannot_be_told_apart_stays_whole() {
        use Span::{Entry, Whole};
        let lines = [(Entry, "a/x"), (Whole, "b")];
        check(&lines, &["a/x", "c"], None);
        check(&lines, &["a/x/y"], None);
        check(&lines, &["bb"], None);
        check(&lines, &["a/x", "b"], None);
        check(&lines, &["a", "b"], None);
    }

    #[test]
    fn one_line_has_no_parts() {
        assert_eq!(parted(&bytes_of(&[(Span::Whole, "a")]), &Parting::Into(16)), []);
        assert_eq!(parted(b"no lines", &Parting::Into(16)), []);
    }

    proptest! {
        #[test]
        fn parts_are_the_whole(count in 2_usize..200, most in 2_usize..20) {
            let paths: Vec<String> = (0..count).map(|index| format!("f{index}")).collect();
            let lines: Vec<(Span, &str)> =
                paths.iter().map(|path| (Span::Entry, path.as_str())).collect();
            let lines = bytes_of(&lines);
            let parts = parted(&lines, &Parting::Into(most));
            prop_assert!((2..=most).contains(&parts.len()));
            let told: String = parts.iter().map(|(lines, _)| lines.as_str()).collect();
            prop_assert_eq!(told.replace('\n', "\0").into_bytes(), lines);
            let sum: Amount = parts.iter().map(|(_, amount)| *amount).sum();
            prop_assert_eq!(sum, Amount { entries: count as u64, bytes: 10 * count as u64 });
        }
    }
}
