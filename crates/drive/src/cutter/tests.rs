//! Every entry of a tree is in one bucket, and directories that are split are told.

#![expect(clippy::disallowed_methods, reason = "tests make their trees themselves")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use filter::{RuleOptions, Rules, Unprefixed};
use fleet::amount::By;
use fleet::lister::crawl::{Crawl, Settings as Crawling};
use fleet::lister::list::{Ends, Form, List, Reading};
use fleet::survey::Opened;
use proptest::prelude::*;

use super::*;

fn settings(rules: Rules) -> survey::Settings {
    survey::Settings {
        workers: sched::Workers::Fixed(NonZeroUsize::new(3).unwrap()),
        rules: Arc::new(rules),
        root: b"/source".to_vec(),
        leaves_out_snapshots: true,
        depth: None,
        needs_leaves: false,
        by: By::Size,
        opened: Opened::Above(Caps { bytes: 0, entries: 0 }),
    }
}

/// A tree of `dirs` directories with `files` files each, the first with one more below it.
fn tree(dirs: usize, files: usize) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for dir in 0..dirs {
        let path = root.path().join(format!("d{dir}"));
        fs::create_dir(&path).unwrap();
        for file in 0..files {
            fs::write(path.join(format!("f{file}")), vec![b'x'; file]).unwrap();
        }
    }
    fs::create_dir(root.path().join("d0/below")).unwrap();
    fs::write(root.path().join("d0/below/file"), "x").unwrap();
    root
}

fn cut_tree(
    root: &Path,
    rules: Rules,
    entries: u64,
) -> Result<(Vec<CutBucket>, CutEnd), CutError<&'static str>> {
    let crawl = Arc::new(Crawl::open(root.to_owned(), Crawling::default()).unwrap());
    let size = Size { slots: 2, most: Some(Caps { bytes: u64::MAX, entries }) };
    let (send, buckets) = std::sync::mpsc::channel();
    let take = move |bucket| send.send(bucket).map_err(|_| "nobody takes it");
    let hear: HearFault = Arc::new(|fault| panic!("{fault:?}"));
    let end = cut(&crawl, settings(rules), size, take, hear, &Cancel::new())?;
    Ok((buckets.try_iter().collect(), end))
}

fn paths(lines: &[u8]) -> Vec<(Span, Vec<u8>)> {
    lines::read(lines).map(|line| line.map(|it| (it.span, it.path.to_vec())).unwrap()).collect()
}

#[test]
fn every_entry_is_in_one_bucket_and_split_directories_are_told() {
    let root = tree(7, 9);
    let (buckets, end) = cut_tree(root.path(), Rules::default(), 20).unwrap();
    assert!(buckets.len() > 3, "{buckets:?}");
    let mut seen: BTreeMap<Vec<u8>, Span> = BTreeMap::new();
    for bucket in &buckets {
        assert_eq!(bucket.class, Class::Deep);
        for (span, path) in paths(&bucket.lines) {
            assert_eq!(seen.insert(path.clone(), span), None, "{}", path.escape_ascii());
        }
    }
    let split: BTreeSet<Vec<u8>> =
        paths(&end.split.lines).into_iter().map(|(_, path)| path).collect();
    let alone = seen.iter().filter(|(_, span)| **span == Span::Alone).map(|(path, _)| path.clone());
    assert_eq!(split, alone.collect());
    assert_eq!(end.split.directories, split.len() as u64);
    // All that a line does not stand for has a line of its own.
    for entry in walk(root.path(), root.path()) {
        let own = seen.contains_key(&entry);
        let above = ancestors(&entry).any(|path| seen.get(path) == Some(&Span::Whole));
        assert!(own != above, "{}: {own}, {above}", entry.escape_ascii());
    }
    assert_eq!(buckets.iter().map(|bucket| bucket.amount).sum::<Amount>(), end.total);
    assert_eq!(end.total.entries, 1 + 7 + 7 * 9 + 2);
}

fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    slashes.map(|at| &path[..at]).chain([&b""[..]]).filter(move |above| *above != path)
}

fn walk(root: &Path, at: &Path) -> Vec<Vec<u8>> {
    let mut all = vec![];
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        all.push(path.strip_prefix(root).unwrap().as_os_str().as_encoded_bytes().to_vec());
        if path.is_dir() {
            all.extend(walk(root, &path));
        }
    }
    all
}

#[test]
fn a_directory_from_which_all_is_left_out_is_in_a_bucket_that_does_not_go_down() {
    let root = tree(2, 3);
    let mut rules = Rules::new(RuleOptions::default());
    rules.push_pattern(b"/d1/*", Unprefixed::Exclude).unwrap();
    let (buckets, _) = cut_tree(root.path(), rules, 100).unwrap();
    let flat: Vec<&CutBucket> =
        buckets.iter().filter(|bucket| bucket.class == Class::Flat).collect();
    assert_eq!(flat.len(), 1, "{buckets:?}");
    assert_eq!(paths(&flat[0].lines), [(Span::Bare, b"d1".to_vec())]);
}

#[test]
fn no_line_stands_for_more_than_a_list_names() {
    let reading = Reading {
        form: Form::Paths,
        ends: Ends::Newline,
        source: b"/source",
        absolute: &[],
        here: None,
        needs_kinds: false,
    };
    let mut named = &b"d/told\nd/below/told\ne/told\n"[..];
    let list = List::read("a list", &mut named, &reading, &Cancel::new()).unwrap();
    let (send, buckets) = std::sync::mpsc::channel();
    let take = move |bucket| send.send(bucket);
    let hear: HearFault = Arc::new(|fault| panic!("{fault:?}"));
    let size = Size { slots: 2, most: None };
    let rules = settings(Rules::default());
    cut(&Arc::new(list), rules, size, take, hear, &Cancel::new()).unwrap();
    let lines: Vec<_> = buckets.try_iter().flat_map(|bucket| paths(&bucket.lines)).collect();
    assert!(lines.iter().all(|(span, _)| *span != Span::Whole), "{lines:?}");
    let named = lines.iter().filter(|(span, _)| *span == Span::Entry);
    assert_eq!(named.count(), 3, "{lines:?}");
}

#[test]
fn a_bucket_that_is_not_taken_ends_it() {
    let root = tree(7, 9);
    let crawl = Arc::new(Crawl::open(root.path().to_owned(), Crawling::default()).unwrap());
    let size = Size { slots: 2, most: Some(Caps { bytes: u64::MAX, entries: 20 }) };
    let mut room = 2;
    let take = move |_| {
        room -= 1;
        if room < 0 { Err("no room") } else { Ok(()) }
    };
    let hear: HearFault = Arc::new(|fault| panic!("{fault:?}"));
    let cutting = cut(&crawl, settings(Rules::default()), size, take, hear, &Cancel::new());
    assert!(matches!(cutting, Err(CutError::NotTaken("no room"))), "{cutting:?}");
}

#[test]
fn it_ends_when_it_is_stopped() {
    let root = tree(2, 3);
    let crawl = Arc::new(Crawl::open(root.path().to_owned(), Crawling::default()).unwrap());
    let (size, stop) = (Size { slots: 2, most: None }, Cancel::new());
    stop.cancel();
    let hear: HearFault = Arc::new(|fault| panic!("{fault:?}"));
    let cutting = cut(&crawl, settings(Rules::default()), size, |_| Ok::<_, ()>(()), hear, &stop);
    assert!(
        matches!(&cutting, Err(CutError::Refused(refused)) if refused.why == Why::Stopped),
        "{cutting:?}"
    );
}

proptest! {
    #[test]
    fn buckets_grow_with_what_is_known_and_keep_within_their_bounds(
        slots in 0_u32..2000,
        bytes in any::<u64>(),
        entries in any::<u64>(),
        more in any::<u64>(),
    ) {
        let size = Size { slots, most: None };
        let caps = size.caps(Amount { bytes, entries });
        let later = size.caps(Amount { bytes: bytes.saturating_add(more), entries: entries.saturating_add(more) });
        prop_assert!(later.bytes >= caps.bytes && later.entries >= caps.entries);
        prop_assert!(caps.bytes >= LEAST.bytes && later.bytes <= MOST.bytes);
        prop_assert!(caps.entries >= LEAST.entries && later.entries <= MOST.entries);
    }
}
