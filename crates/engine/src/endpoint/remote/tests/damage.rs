//! Content that is damaged between both hosts: it is fetched again, and does not get a name if that does
//! not help.

use fs::Dir;
use model::Settings;
use model::settings::{Append, ContentCheck, Deltas, Partial, Staging};
use wire::{Content, List, Piece, Reply};

use super::{Tree, bring_with, content, contents, edited};

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Data,
    Operations,
    Extents,
}

impl What {
    fn of(piece: &Piece) -> Option<Self> {
        match piece {
            Piece::Data { .. } => Some(Self::Data),
            Piece::Operations(_) => Some(Self::Operations),
            // That there is no data cannot be less.
            Piece::Reply(Reply::Extents { data, .. }) => {
                (!data.as_slice().is_empty()).then_some(Self::Extents)
            }
            Piece::Reply(_) => None,
        }
    }
}

/// The piece with another last byte, or without the last stretch of data.
fn damaged(piece: Piece) -> Piece {
    let flipped = |content: Content| {
        let mut bytes = content.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        Content::new(bytes).unwrap()
    };
    match piece {
        Piece::Data { offset, content } => Piece::Data { offset, content: flipped(content) },
        Piece::Operations(content) => Piece::Operations(flipped(content)),
        Piece::Reply(Reply::Extents { data, known_to }) => {
            let mut data = data.into_vec();
            data.pop();
            Reply::Extents { data: List::new(data).unwrap(), known_to }.into()
        }
        other @ Piece::Reply(_) => other,
    }
}

/// What is brought over, and how.
struct Case {
    new: Vec<u8>,
    old: Option<Vec<u8>>,
    /// A part that an interrupted run has left.
    part: Option<Vec<u8>>,
    change: fn(&mut Settings),
}

impl Case {
    fn new(new: Vec<u8>, old: Option<Vec<u8>>) -> Self {
        Self { new, old, part: None, change: |_| {} }
    }

    /// Brings it over while so many of these pieces are damaged. Says whether it came over, after
    /// checking that the destination has the new file, or the old one.
    #[track_caller]
    fn bring(&self, what: &'static [What], times: u64) -> bool {
        let (tree, to) = (Tree::new(), tempfile::tempdir().unwrap());
        let source = tree.here.create_file(b"file", 0o644).unwrap();
        // Blocks of zeros become holes.
        for (number, block) in (0_u64..).zip(self.new.chunks(4096)) {
            if block.iter().any(|&byte| byte != 0) {
                source.write_all_at(block, number * 4096).unwrap();
            }
        }
        source.set_len(self.new.len() as u64).unwrap();
        let there = Dir::open_operator(to.path()).unwrap();
        let write = |dir: &Dir, content: &[u8]| {
            dir.create_file(b"file", 0o644).unwrap().write_all_at(content, 0).unwrap();
        };
        if let Some(old) = &self.old {
            write(&there, old);
        }
        if let Some(part) = &self.part {
            write(&there.open_or_make_child(b"part").unwrap().0, part);
        }
        let mut left = times;
        tree.session.change_pieces(move |piece| {
            if left > 0 && What::of(&piece).is_some_and(|it| what.contains(&it)) {
                left -= 1;
                return damaged(piece);
            }
            piece
        });
        let before = contents(to.path());
        let outcome = bring_with(&tree.session, tree.scratch.path(), to.path(), |settings| {
            settings.compare.content = ContentCheck::Never;
            (self.change)(settings);
        });
        let (faults, files) = (outcome.summary.faults, outcome.summary.transferred_files);
        assert!(outcome.stopped.is_none(), "{outcome:?}");
        let after = contents(to.path());
        let is_in_place = self.old.is_some() && {
            let mut settings = Settings::default();
            (self.change)(&mut settings);
            settings.write.staging == Staging::InPlace
        };
        match (faults, files) {
            (0, 1) => assert!(after == contents(tree.scratch.path())),
            (1, 0) if is_in_place => {}
            (1, 0) => assert!(after == before, "what was there is there"),
            _ => panic!("{outcome:?}"),
        }
        assert_eq!(tree.session.settled_handles(), 0);
        files == 1
    }

    /// Damaged once it comes over all the same, damaged always it does not.
    #[track_caller]
    fn check(&self, first: &'static [What]) {
        const ALL: &[What] = &[What::Data, What::Operations, What::Extents];
        assert!(self.bring(&[], 0), "nothing is damaged");
        assert!(self.bring(first, 1), "it is fetched again");
        assert!(!self.bring(ALL, u64::MAX), "it is never right");
    }
}

#[test]
fn content_that_comes_damaged_is_fetched_again_and_twice_is_a_fault() {
    let old = || Some(b"what was there".to_vec());
    // By one request, part by part, and in ranges by many.
    for length in [4000, 600_000, 40 << 20] {
        Case::new(content(length), old()).check(&[What::Data]);
    }
    Case::new(content(4000), None).check(&[What::Data]);
}

#[test]
fn content_is_fetched_again_no_more_than_once() {
    let old = || Some(b"what was there".to_vec());
    assert!(!Case::new(content(4000), old()).bring(&[What::Data], 2));
    // Read ahead, what was damaged twice is read once more as any that could not be read ahead.
    assert!(Case::new(content(4000), None).bring(&[What::Data], 2));
}

#[test]
fn holes_are_told_with_a_sum_as_content_is() {
    let mut new = content(6 << 20);
    new[1 << 20..3 << 20].fill(0);
    new[4 << 20..5 << 20].fill(0);
    let case = Case::new(new, Some(b"old".to_vec()));
    case.check(&[What::Extents]);
    case.check(&[What::Data]);
    assert!(!case.bring(&[What::Extents], u64::MAX));
}

#[test]
fn what_is_written_in_place_is_checked_before() {
    let mut case = Case::new(content(600_000), Some(content(1000)));
    case.change = |settings| {
        settings.write.staging = Staging::InPlace;
        settings.write.deltas = Deltas::Never;
    };
    case.check(&[What::Data]);
    let new = content(2 << 20);
    case = Case::new(edited(&new, &[(0, 1 << 20, 7), (1 << 20, 1 << 20, 1)]), Some(new));
    case.change = |settings| settings.write.staging = Staging::InPlace;
    case.check(&[What::Operations]);
}

#[test]
fn what_is_appended_is_checked() {
    let new = content(900_000);
    for append in [Append::Trust, Append::Verify] {
        let mut case = Case::new(new.clone(), Some(new[..400_000].to_vec()));
        case.change = match append {
            Append::Trust => |settings| {
                settings.write.staging = Staging::InPlace;
                settings.write.append = Append::Trust;
            },
            _ => |settings| {
                settings.write.staging = Staging::InPlace;
                settings.write.append = Append::Verify;
            },
        };
        case.check(&[What::Data]);
    }
}

#[test]
fn operations_that_come_damaged_make_no_wrong_file() {
    // By one exchange, range by range, and by many workers.
    for length in [200_000, 3 << 20, 40 << 20] {
        let old = content(length);
        let new = edited(&old, &[(0, 100_000, 7), (100_000, usize::MAX / 2, 99)]);
        Case::new(new, Some(old)).check(&[What::Operations]);
    }
}

#[test]
fn a_part_that_an_interrupted_run_has_left_is_gone_on_with_and_checked() {
    let new = content(900_000);
    let mut case = Case::new(new.clone(), Some(b"old".to_vec()));
    case.part = Some(new[..500_000].to_vec());
    case.change = |settings| settings.write.partial = Partial::KeepIn("part".into());
    assert!(case.bring(&[], 0));
    assert!(case.bring(&[What::Operations], 1));
}
