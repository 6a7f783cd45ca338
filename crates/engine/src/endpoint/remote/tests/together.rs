//! What small files cost that are asked for together, and what becomes of those that do not come so.

use std::slice;

use wire::Reply;

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A tree with small files, and these as they are opened to be read.
fn small_files(tree: &Tree) -> Vec<SourceFile> {
    for name in NAMES {
        tree.write(name, name.repeat(1000).as_bytes());
    }
    let top = tree.top();
    top.list().unwrap();
    let open = |name: &str| top.open_file_ahead(name.as_bytes(), AccessTime::Keep).unwrap();
    NAMES.map(open).into()
}

fn fetch(files: &[SourceFile]) -> usize {
    SourceFile::fetch(None, files.iter(), NonZeroU64::MIN)
}

#[test]
fn small_files_take_one_request() {
    let tree = Tree::new();
    let files = small_files(&tree);
    let requests = tree.requests(|| {
        assert_eq!(fetch(&files), 4);
        assert_eq!(fetch(&files), 4, "nothing is asked twice");
        for (name, file) in NAMES.iter().zip(&files) {
            let before = file.metadata().unwrap();
            assert!(whole(file) == name.repeat(1000).as_bytes());
            assert_eq!(
                (file.metadata().unwrap().mtime, file.size().unwrap()),
                (before.mtime, 1000)
            );
            assert!(before.is_same_inode(&foreign(tree.here.stat(name.as_bytes()).unwrap())));
            assert!(file.attributes().value(b"user.none").unwrap().is_none());
            let mut middle = [0; 10];
            assert_eq!(file.read_at(&mut middle, 995).unwrap(), 5);
            assert_eq!(file.read_at(&mut middle, 1000).unwrap(), 0);
        }
    });
    let [Request::FetchSome { names, .. }] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(names.as_slice().len(), 4);
}

#[test]
fn many_or_long_files_take_several() {
    let tree = Tree::new();
    for number in 0..40 {
        tree.write(&format!("small{number}"), b"x");
    }
    for number in 0..3 {
        tree.write(&format!("large{number}"), &content(60_000));
    }
    let top = tree.top();
    let listing = top.list().unwrap();
    let open = |name| top.open_file_ahead(name, AccessTime::Keep).unwrap();
    let files: Vec<_> = listing.iter().map(|(name, _)| open(name)).collect();
    let requests = tree.requests(|| assert_eq!(fetch(&files), 43));
    assert!((3..8).contains(&requests.len()), "{requests:?}");
    let read: usize = files.iter().map(|file| whole(file).len()).sum();
    assert_eq!(read, 40 + 3 * 60_000);
}

#[test]
fn what_is_wanted_now_is_asked_for_with_others_whatever_is_on_its_way() {
    let tree = Tree::with(Capacity { window_bytes: 0, ..Capacity::default() });
    // They take all that may be on its way.
    let long = content(200_000);
    for number in 0..100 {
        tree.write(&format!("long{number}"), &long);
    }
    let files = small_files(&tree);
    let top = tree.top();
    let open = |number| top.open_file_ahead(format!("long{number}").as_bytes(), AccessTime::Keep);
    top.list().unwrap();
    let held: Vec<_> = (0..100).map(|number| open(number).unwrap()).collect();
    assert!(fetch(&held) < 100);
    let one = || top.open_file_ahead(b"d", AccessTime::Keep).unwrap();
    let alone: Vec<_> =
        std::iter::repeat_with(one).take_while(|one| fetch(slice::from_ref(one)) == 1).collect();
    assert_eq!(fetch(&files), 0, "{} more have no room", alone.len());
    let [now, later @ ..] = &files[..] else { unreachable!() };
    let requests = tree.requests(|| {
        assert_eq!(SourceFile::fetch(Some(now), later.iter(), NonZeroU64::MIN), 3);
        assert!(whole(&files[0]) == b"a".repeat(1000));
    });
    assert!(matches!(requests[..], [Request::FetchSome { .. }]), "{requests:?}");
}

#[test]
fn what_does_not_come_with_the_others_is_asked_for_alone() {
    let tree = Tree::new();
    let files = small_files(&tree);
    tree.here.remove_file(b"a").unwrap();
    tree.here.open_for_writing(b"b").unwrap().write_all_at(&content(500_000), 0).unwrap();
    tree.here.remove_file(b"c").unwrap();
    tree.here.make_dir(b"c", 0o700).unwrap();
    assert_eq!(fetch(&files), 4);
    let gone = files[0].metadata().unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    assert!(whole(&files[1]) == content(500_000));
    assert_eq!(files[2].metadata().unwrap().kind, Kind::Directory);
    assert!(whole(&files[3]) == b"d".repeat(1000));
    drop(files);
    assert_eq!(tree.session.settled_handles(), 0);
}

#[test]
fn what_comes_damaged_is_asked_for_file_by_file() {
    for damaged in [1, u32::MAX] {
        let tree = Tree::new();
        let files = small_files(&tree);
        let mut left = damaged;
        tree.session.change_pieces(move |piece| match piece {
            Piece::Data { offset, content } if left > 0 => {
                left -= 1;
                let mut bytes = content.to_vec();
                bytes[0] ^= 1;
                Piece::Data { offset, content: wire::Content::new(bytes).unwrap() }
            }
            other => other,
        });
        assert_eq!(fetch(&files), 4);
        for (name, file) in NAMES.iter().zip(&files) {
            match damaged {
                1 => assert!(whole(file) == name.repeat(1000).as_bytes()),
                _ => assert!(crate::endpoint::sums::is_damaged(&file.metadata().unwrap_err())),
            }
        }
    }
}

#[test]
fn files_with_many_attributes_go_together_as_far_as_all_can_be_told() {
    let tree = Tree::new();
    let names: Vec<String> = (0..20).map(|number| format!("file{number:02}")).collect();
    for name in &names {
        tree.write(name, name.as_bytes());
        let file = tree.here.open_for_writing(name.as_bytes()).unwrap();
        fs::xattr::set((&file).into(), b"user.long", &[b'v'; 3900]).unwrap();
    }
    let top = tree.top();
    top.list().unwrap();
    let open = |name: &String| top.open_file_ahead(name.as_bytes(), AccessTime::Keep).unwrap();
    let files: Vec<_> = names.iter().map(open).collect();
    let requests = tree.requests(|| {
        assert_eq!(fetch(&files), 20);
        for (name, file) in names.iter().zip(&files) {
            assert_eq!(whole(file), name.as_bytes());
        }
    });
    let is_for_some = |request: &Request| matches!(request, Request::FetchSome { .. });
    assert!(requests.len() == 3 && requests.iter().all(is_for_some), "{requests:?}");
}

#[test]
fn content_that_is_told_to_be_that_of_another_file_is_not_believed() {
    let tree = Tree::new();
    let files = small_files(&tree);
    tree.session.change_pieces(|piece| match piece {
        Piece::Reply(Reply::Files { files, sum }) => {
            let mut files = files.into_vec();
            let bytes = [1001, 999, 0, 2000];
            for (file, bytes) in files.iter_mut().flatten().zip(bytes) {
                file.bytes = bytes;
            }
            Piece::Reply(Reply::Files { files: wire::List::new(files).unwrap(), sum })
        }
        other => other,
    });
    assert_eq!(fetch(&files), 4);
    let requests = tree.requests(|| {
        for (name, file) in NAMES.iter().zip(&files) {
            assert!(whole(file) == name.repeat(1000).as_bytes());
        }
    });
    assert!(requests.iter().all(|request| matches!(request, Request::Fetch { .. })));
}
