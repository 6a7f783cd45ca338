//! What every endpoint promises: one suite that each of them runs.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use fs::acl::Which;
use fs::copy::CopyError;
use fs::{AccessTime, Acl, Content, Copier, Dir, Existing, File, Sparse};
use model::settings::Checksum;
use model::{DeviceNumber, Kind, Metadata, Timestamp};
use tempfile::TempDir;

use super::remote::foreign;
use super::{Attributed, Directory, Endpoint, SourceDir, SourceFile};

/// A tree that an endpoint shows, and the way around it.
struct Tree<'a> {
    endpoint: &'a Endpoint,
    scratch: TempDir,
    /// Its top, as it is asked.
    source: SourceDir,
    /// Its top, to be changed.
    here: Dir,
}

impl<'a> Tree<'a> {
    fn new(endpoint: &'a Endpoint) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let here = Dir::open_operator(scratch.path()).unwrap();
        Self { endpoint, source: endpoint.open(scratch.path()).unwrap(), scratch, here }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.scratch.path().join(below)
    }

    fn write(&self, name: &[u8], content: &[u8]) -> File {
        let file = self.here.create_file(name, 0o644).unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    fn make_dir(&self, name: &[u8]) -> Dir {
        self.here.make_dir(name, 0o755).unwrap();
        self.here.open_child(name, AccessTime::Update).unwrap()
    }

    fn link(&self, target: &[u8], name: &[u8]) {
        self.here.make_symlink(target, name).unwrap();
    }

    /// What the source shows of an entry whose metadata is this.
    fn shown(&self, here: io::Result<Metadata>) -> Metadata {
        match self.endpoint {
            Endpoint::Local => settled(here),
            Endpoint::Remote(_) => foreign(settled(here)),
        }
    }

    /// Opens a file as the stages do, which have listed its directory.
    fn open(&self, name: &[u8]) -> SourceFile {
        self.source.list().unwrap();
        self.source.open_file(name, AccessTime::Keep).unwrap()
    }
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Metadata but for what may change by itself: the space that is allocated, and when a link was
/// followed.
fn settled(metadata: io::Result<Metadata>) -> Metadata {
    let metadata = metadata.unwrap();
    let is_link = metadata.kind == Kind::Symlink;
    let atime = if is_link { Timestamp::default() } else { metadata.atime };
    Metadata { allocated_blocks: 0, atime, ..metadata }
}

fn whole(file: &SourceFile) -> Vec<u8> {
    let mut content = vec![0; 1 << 20];
    let len = file.read_at(&mut content, 0).unwrap();
    content.truncate(len);
    content
}

fn names(dir: &SourceDir) -> Vec<Vec<u8>> {
    let mut listing = dir.list().unwrap();
    assert!(listing.error().is_none());
    listing.sort_by_name();
    listing.iter().map(|(name, _)| name.to_vec()).collect()
}

/// Bytes of which no two stretches are alike.
fn content(len: u32) -> Vec<u8> {
    (0..len / 4).flat_map(u32::to_le_bytes).collect()
}

/// Names that are hard to carry, and are names all the same.
fn odd_names() -> Vec<Vec<u8>> {
    let long = vec![b'x'; 255];
    let plain: [&[u8]; 9] = [
        b" ",
        b"a\nb",
        b"-rf",
        b"...",
        b"$(x)",
        b"'\"",
        b"\\",
        b"\xff\xfe\x80",
        "\u{202e}".as_bytes(),
    ];
    plain.iter().map(|name| name.to_vec()).chain([long]).collect()
}

/// What is not the name of one entry.
const NO_NAMES: [&[u8]; 7] = [b"", b".", b"..", b"/", b"a/b", b"../a", b"a\0b"];

fn a_typed_path_is_followed_to_a_directory(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let below = tree.shown(tree.make_dir(b"below").metadata());
    tree.write(b"file", b"");
    tree.link(b"below", b"link");
    tree.link(b"nowhere", b"dangling");
    for is_searched in [false, true] {
        let open = |name: &str| match tree.path(name) {
            path if is_searched => tree.endpoint.open_to_search(&path, true),
            path => tree.endpoint.open(&path),
        };
        for name in ["below", "link", "below/../link/."] {
            assert!(open(name).unwrap().as_opened().unwrap().is_same_inode(&below), "{name}");
        }
        for name in ["missing", "dangling", "missing/below"] {
            assert_eq!(kind(open(name)), Some(ErrorKind::NotFound), "{name}");
        }
        for name in ["file", "file/below"] {
            assert_eq!(kind(open(name)), Some(ErrorKind::NotADirectory), "{name}");
        }
    }
}

fn a_directory_is_opened_by_its_name_and_by_no_link_unless_asked(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let below = tree.shown(tree.make_dir(b"below").metadata());
    tree.write(b"file", b"");
    tree.link(b"below", b"link");
    tree.link(b"nowhere", b"dangling");
    let source = &tree.source;
    let itself = |name: &[u8]| {
        [
            source.open_child(name, AccessTime::Update),
            source.open_child(name, AccessTime::Keep),
            source.open_child_to_search(name, AccessTime::Keep),
        ]
    };
    let following = |name: &[u8]| {
        [
            source.open_child_following(name),
            source.open_child_following_to_search(name),
            source.open_child_following_own_to_search(name),
        ]
    };
    for opened in itself(b"below").into_iter().chain(following(b"below")).chain(following(b"link"))
    {
        let opened = opened.unwrap();
        opened.check_search().unwrap();
        assert!(opened.as_opened().unwrap().is_same_inode(&below));
        let above = opened.open_parent().unwrap().as_opened().unwrap();
        assert!(above.is_same_inode(&source.as_opened().unwrap()));
    }
    for name in [&b"file"[..], b"link", b"dangling"] {
        for opened in itself(name) {
            assert_eq!(kind(opened), Some(ErrorKind::NotADirectory), "{}", name.escape_ascii());
        }
    }
    for opened in itself(b"missing").into_iter().chain(following(b"dangling")) {
        assert_eq!(kind(opened), Some(ErrorKind::NotFound));
    }
    for opened in following(b"file") {
        assert_eq!(kind(opened), Some(ErrorKind::NotADirectory));
    }
}

fn what_is_no_name_is_refused(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    drop(tree.make_dir(b"a").create_file(b"b", 0o600).unwrap());
    let (source, atime) = (&tree.source, AccessTime::Keep);
    let unknown = Metadata::unknown(Kind::File);
    for name in NO_NAMES {
        for (what, kind) in [
            ("open_child", kind(source.open_child(name, atime))),
            ("open_child_to_search", kind(source.open_child_to_search(name, atime))),
            ("open_child_following", kind(source.open_child_following(name))),
            ("stat", kind(source.stat(name))),
            ("stat_following", kind(source.stat_following(name))),
            ("read_link", kind(source.read_link(name))),
            ("read_start", kind(source.read_start(name, 1))),
            ("open_file", kind(source.open_file(name, atime))),
            ("open_file_following", kind(source.open_file_following(name, atime))),
            ("remove_file", kind(source.remove_file(name, &unknown))),
            ("attributes_of", kind(source.attributes_of(name).names())),
            ("attributes_behind", kind(source.attributes_behind(name))),
        ] {
            assert_eq!(kind, Some(ErrorKind::InvalidInput), "{what} {}", name.escape_ascii());
        }
    }
    assert_eq!(names(source), [b"a"]);
}

fn odd_names_are_listed_looked_at_and_read(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let mut expected = odd_names();
    for name in &expected {
        tree.write(name, name);
    }
    expected.sort();
    assert_eq!(names(&tree.source), expected);
    for name in &expected {
        assert_eq!(tree.source.stat(name).unwrap().size, name.len() as u64);
        assert_eq!(whole(&tree.open(name)), *name);
    }
}

fn a_long_listing_is_whole_each_time_it_is_read(endpoint: &Endpoint) {
    const COUNT: usize = 5000;
    let tree = Tree::new(endpoint);
    let expected: Vec<Vec<u8>> =
        (0..COUNT).map(|number| format!("{number:0>60}").into_bytes()).collect();
    for name in &expected {
        tree.link(b"nowhere", name);
    }
    let other = tree.source.clone();
    let listing = tree.source.list().unwrap();
    for hint in listing.iter().filter_map(|(_, hint)| hint) {
        assert_eq!(hint, Kind::Symlink);
    }
    for dir in [&tree.source, &other, &tree.source] {
        assert!(names(dir) == expected);
    }
    assert!(
        tree.endpoint.open_to_search(tree.scratch.path(), true).unwrap().list().unwrap().len()
            == COUNT
    );
    let empty = tree.make_dir(b"empty");
    drop(empty);
    let empty = tree.source.open_child(b"empty", AccessTime::Update).unwrap();
    assert!(empty.list().unwrap().is_empty());
}

fn metadata_is_that_of_the_entry(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let file = tree.write(b"file", b"12345");
    file.set_mode(0o4751).unwrap();
    let mtime = Timestamp { secs: 1_000_000_007, nanos: 123_456_789 };
    file.set_times(fs::Times { mtime: Some(mtime), atime: None }).unwrap();
    tree.here.hard_link(b"file", &tree.here, b"second").unwrap();
    tree.here.make_node(b"fifo", Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
    tree.link(b"file", b"link");
    tree.make_dir(b"below");
    for name in [&b"file"[..], b"second", b"fifo", b"link", b"below"] {
        let (itself, behind) = (tree.here.stat(name), tree.here.stat_following(name));
        assert_eq!(settled(tree.source.stat(name)), tree.shown(itself));
        assert_eq!(settled(tree.source.stat_following(name)), tree.shown(behind));
    }
    let looked_at = tree.source.stat(b"file").unwrap();
    assert_eq!((looked_at.mode, looked_at.mtime, looked_at.nlink), (0o4751, mtime, 2));
    let opened = tree.source.as_opened().unwrap();
    assert!(opened.is_same_inode(&tree.shown(tree.here.metadata())));
    assert_eq!(settled(tree.open(b"file").metadata()), settled(Ok(looked_at)));
    for missing in [tree.source.stat(b"missing"), tree.source.stat_following(b"missing")] {
        assert_eq!(kind(missing), Some(ErrorKind::NotFound));
    }
}

fn links_are_told_from_what_they_lead_to(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    tree.write(b"file", b"content");
    tree.link(b"file", b"link");
    tree.link(b"../no\xffwhere\n/", b"dangling");
    let (source, atime) = (&tree.source, AccessTime::Keep);
    assert_eq!(source.read_link(b"link").unwrap(), b"file");
    assert_eq!(source.read_link(b"dangling").unwrap(), b"../no\xffwhere\n/");
    assert_eq!(kind(source.read_link(b"file")), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(source.read_link(b"missing")), Some(ErrorKind::NotFound));
    assert_eq!(source.stat(b"dangling").unwrap().kind, Kind::Symlink);
    assert_eq!(kind(source.stat_following(b"dangling")), Some(ErrorKind::NotFound));
    source.open_file(b"link", atime).unwrap_err();
    source.read_start(b"link", 1).unwrap_err();
    assert_eq!(whole(&source.open_file_following(b"link", atime).unwrap()), b"content");
    assert_eq!(kind(source.open_file_following(b"dangling", atime)), Some(ErrorKind::NotFound));
}

fn what_is_opened_is_told_by_its_metadata_and_nobody_waits(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    tree.here.make_node(b"fifo", Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
    tree.make_dir(b"below");
    // Nobody writes into it: to open it must not wait for that.
    assert_eq!(tree.open(b"fifo").metadata().unwrap().kind, Kind::Fifo);
    let below = tree.open(b"below");
    assert_eq!(below.metadata().unwrap().kind, Kind::Directory);
    assert_eq!(kind(below.read_at(&mut [0], 0)), Some(ErrorKind::IsADirectory));
    assert_eq!(
        kind(tree.source.open_file(b"missing", AccessTime::Keep)),
        Some(ErrorKind::NotFound)
    );
}

fn files_are_read_at_any_place_up_to_their_end(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let bytes = content(300_000);
    tree.write(b"file", &bytes);
    let file = tree.open(b"file");
    // A wish, which changes nothing that can be seen.
    let wanted = std::num::NonZeroU64::MIN;
    assert_eq!(SourceFile::fetch(None, std::iter::once(&file), wanted), 1);
    tree.write(b"empty", b"");
    let empty = tree.open(b"empty");
    // It says nothing of a disk, but the way to another host is waited for all the same.
    assert_eq!(empty.would_wait(), empty.is_from_afar().then_some(true));
    for (offset, len) in [(0, 300_000), (299_999, 1), (299_990, 100), (300_000, 1), (1 << 40, 8)] {
        let mut buffer = vec![0; len];
        let read = file.read_at(&mut buffer, offset as u64).unwrap();
        let expected = bytes.get(offset..).unwrap_or_default();
        assert_eq!(buffer[..read], expected[..len.min(expected.len())]);
    }
    assert_eq!((file.device_size().unwrap(), file.size().unwrap()), (300_000, 300_000));
    for most in [0, 5, 400_000] {
        let start = tree.source.read_start(b"file", most).unwrap();
        assert_eq!(start, bytes[..most.min(bytes.len())]);
    }
}

fn data_lies_in_the_extents_that_are_told(endpoint: &Endpoint) {
    const HOLE: u64 = 1 << 20;
    let tree = Tree::new(endpoint);
    let file = tree.write(b"file", b"");
    file.write_all_at(b"data", HOLE).unwrap();
    file.set_len(3 * HOLE).unwrap();
    let file = tree.open(b"file");
    let first = file.first_extent(0..2 * HOLE).unwrap().unwrap();
    assert!(first.start <= HOLE && HOLE + 4 <= first.end && first.end <= 2 * HOLE, "{first:?}");
    // A file system without holes tells of all as data.
    let rest = file.first_extent(2 * HOLE..3 * HOLE).unwrap();
    assert!(rest.is_none() || rest == Some(2 * HOLE..3 * HOLE), "{rest:?}");
    assert_eq!(file.first_extent(HOLE..HOLE).unwrap(), None);
}

fn a_checksum_is_that_of_the_range(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let bytes = content(200_000);
    tree.write(b"file", &bytes);
    let file = tree.open(b"file");
    for (range, part) in [
        (0..200_000, &bytes[..]),
        (1_000..70_001, &bytes[1_000..70_001]),
        (199_990..300_000, &bytes[199_990..]),
        (5..5, &bytes[..0]),
    ] {
        let sum = file.checksum(Checksum::Blake3, range, || Ok(())).unwrap();
        assert_eq!(sum, blake3::hash(part).as_bytes());
    }
    let stopped = || Err(ErrorKind::Interrupted.into());
    let sum = file.checksum(Checksum::Md5, 0..200_000, stopped);
    assert_eq!(kind(sum), Some(ErrorKind::Interrupted));
}

/// What a copy has brought, and what its observer heard of in all.
fn copied(
    copy: impl FnOnce(&mut Copier, &File, &mut dyn FnMut(u64) -> io::Result<()>),
) -> (Vec<u8>, u64) {
    let scratch = tempfile::tempdir().unwrap();
    let dir = Dir::open_operator(scratch.path()).unwrap();
    let target = dir.create_file(b"target", 0o600).unwrap();
    let mut heard = 0;
    copy(&mut Copier::new(), &target, &mut |bytes| {
        heard += bytes;
        Ok(())
    });
    drop(target);
    (dir.read_start(b"target", 1 << 20).unwrap(), heard)
}

fn content_is_copied_whole_or_by_ranges(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let mut bytes = content(500_000);
    bytes[100_000..250_000].fill(0);
    tree.write(b"file", &bytes);
    let (file, size) = (tree.open(b"file"), bytes.len() as u64);
    for sparse in [Sparse::None, Sparse::KeepHoles, Sparse::FindZeros] {
        let by_whole = copied(|copier, target, observer| {
            let copied = copier.copy_whole(&file, target, size, sparse, observer).unwrap();
            assert!(copied.read_bytes == size && !copied.short);
        });
        assert!(by_whole == (bytes.clone(), size), "{sparse:?}");
        let by_ranges = copied(|copier, target, observer| {
            target.set_len(size).unwrap();
            for range in [70_001..size, 0..70_001] {
                let len = range.end - range.start;
                let copied = copier.copy_range(&file, target, range, sparse, observer).unwrap();
                assert!(copied.read_bytes == len && !copied.short);
            }
        });
        assert!(by_ranges == (bytes.clone(), size), "{sparse:?}");
        let too_long = copied(|copier, target, observer| {
            let range = 0..size + 9;
            let copied = copier.copy_range(&file, target, range, sparse, observer).unwrap();
            assert!(copied.short && copied.read_bytes == size);
        });
        assert!(too_long == (bytes.clone(), size), "{sparse:?}");
    }
    let (shared, _) = copied(|copier, target, _| {
        if !copier.clone_whole(&file, target).unwrap() {
            target.write_all_at(&bytes, 0).unwrap();
        }
    });
    assert!(shared == bytes);
}

fn a_file_to_patch_is_as_any_other(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let content = content(300_000);
    let metadata = tree.shown(tree.write(b"file", &content).metadata());
    tree.link(b"file", b"link");
    let open =
        |name, is_followed| tree.source.open_file_to_patch(name, is_followed, AccessTime::Keep);
    for (name, is_followed) in [(&b"file"[..], false), (b"link", true)] {
        let file = open(name, is_followed).unwrap();
        assert!(file.metadata().unwrap().is_same_inode(&metadata));
        assert_eq!(file.to_patch().is_some(), file.local().is_none());
        assert_eq!(whole(&file), content);
    }
    assert_eq!(kind(open(b"missing", false)), Some(ErrorKind::NotFound));
    assert!(open(b"link", false).is_err());
}

fn a_copy_that_its_observer_ends_says_so(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    tree.write(b"file", &content(100_000));
    let file = tree.open(b"file");
    copied(|copier, target, _| {
        let mut stop = |_: u64| Err(ErrorKind::Interrupted.into());
        let copied = copier.copy_range(&file, target, 0..100_000, Sparse::None, &mut stop);
        assert!(matches!(copied, Err(CopyError::Observer(_))), "{copied:?}");
    });
    let below = tree.make_dir(b"below").metadata().unwrap();
    let below = (tree.open(b"below"), below.size.max(1));
    copied(|copier, target, observer| {
        let copied = copier.copy_range(&below.0, target, 0..below.1, Sparse::None, observer);
        assert!(matches!(copied, Err(CopyError::Source(_))), "{copied:?}");
    });
}

fn attributes_are_read_of_names_of_what_is_open_and_behind_links(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    let file = tree.write(b"file", b"");
    let below = tree.make_dir(b"below");
    tree.link(b"file", b"link");
    let large = vec![b'v'; 1000];
    let acl = Acl::from_mode(0o640);
    for carrier in [(&file).into(), (&below).into()] {
        fs::xattr::set(carrier, b"user.a", b"\0\xff").unwrap();
        fs::xattr::set(carrier, b"user.large", &large).unwrap();
        fs::xattr::set(carrier, b"user.empty", b"").unwrap();
    }
    fs::acl::write((&below).into(), Which::Default, Some(&acl)).unwrap();
    let opened = tree.source.open_child(b"below", AccessTime::Keep).unwrap();
    let searched = tree.source.open_child_to_search(b"below", AccessTime::Keep).unwrap();
    let open = tree.open(b"file");
    for (what, attributes) in [
        ("a name", tree.source.attributes_of(b"file")),
        ("a name of a directory", tree.source.attributes_of(b"below")),
        ("behind a link", tree.source.attributes_behind(b"link").unwrap()),
        ("a file", open.attributes()),
        ("a directory", opened.attributes()),
        ("a directory to be searched", searched.attributes()),
    ] {
        let names = attributes.names().unwrap();
        let mut of_user: Vec<&[u8]> =
            names.iter().map(|name| &**name).filter(|name| name.starts_with(b"user.")).collect();
        of_user.sort_unstable();
        assert_eq!(of_user, [&b"user.a"[..], b"user.empty", b"user.large"], "{what}");
        assert_eq!(attributes.value(b"user.a").unwrap().unwrap(), b"\0\xff", "{what}");
        assert_eq!(attributes.value(b"user.large").unwrap().unwrap(), large, "{what}");
        assert_eq!(attributes.value(b"user.empty").unwrap().unwrap(), b"", "{what}");
        assert_eq!(attributes.value(b"user.none").unwrap(), None, "{what}");
        let default = what.contains("directory").then(|| acl.clone());
        assert_eq!(attributes.acl(Which::Default).unwrap(), default, "{what}");
        assert_eq!(attributes.acl(Which::Access).unwrap(), None, "{what}");
    }
    let of_link = tree.source.attributes_of(b"link").names().unwrap();
    assert!(!of_link.iter().any(|name| name.starts_with(b"user.")));
    assert_eq!(kind(tree.source.attributes_of(b"missing").names()), Some(ErrorKind::NotFound));
    assert_eq!(kind(tree.source.attributes_behind(b"missing")), Some(ErrorKind::NotFound));
}

fn what_is_open_stays_what_it_was_whatever_has_its_name(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    drop(tree.make_dir(b"below").create_file(b"old", 0o600).unwrap());
    tree.write(b"file", b"old");
    let below = tree.source.open_child(b"below", AccessTime::Update).unwrap();
    let file = tree.open(b"file");
    let elsewhere = tree.make_dir(b"elsewhere");
    tree.here.rename(b"below", &elsewhere, b"moved", Existing::Refuse).unwrap();
    tree.link(b"/", b"below");
    tree.write(b"new", b"new");
    tree.here.rename(b"new", &tree.here, b"file", Existing::Replace).unwrap();
    assert_eq!(names(&below), [b"old"]);
    assert_eq!(below.stat(b"old").unwrap().kind, Kind::File);
    // Who serves another host leads nowhere that it was not asked to.
    let above = match (endpoint, below.open_parent()) {
        (Endpoint::Remote(_), Err(refused)) if refused.kind() == ErrorKind::PermissionDenied => {
            None
        }
        (_, above) => Some(above.unwrap().as_opened().unwrap()),
    };
    assert!(above.is_none_or(|above| above.is_same_inode(&tree.shown(elsewhere.metadata()))));
    assert_eq!(whole(&file), b"old");
    assert_eq!(whole(&tree.open(b"file")), b"new");
}

fn a_name_is_removed_and_nothing_that_it_leads_to(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    tree.write(b"file", b"");
    tree.write(b"other", b"");
    tree.make_dir(b"below");
    tree.link(b"file", b"link");
    let found = |name| tree.source.stat(name).unwrap();
    for name in [&b"link"[..], b"other"] {
        tree.source.remove_file(name, &found(name)).unwrap();
    }
    tree.source.remove_file(b"below", &found(b"below")).unwrap_err();
    let missing = tree.source.remove_file(b"missing", &found(b"file"));
    assert_eq!(kind(missing), Some(ErrorKind::NotFound));
    assert_eq!(names(&tree.source), [&b"below"[..], b"file"]);
}

fn rules_are_read_from_files_and_through_links_of_our_own(endpoint: &Endpoint) {
    let tree = Tree::new(endpoint);
    tree.write(b"rules", b"- *.o\n");
    tree.link(b"rules", b"link");
    tree.link(b"nowhere", b"dangling");
    drop(tree.make_dir(b"below").make_symlink(b"../rules", b"up"));
    for path in [&b"rules"[..], b"link", b"below/up"] {
        let rules = tree.source.read_rules(path).unwrap();
        assert_eq!(rules.as_deref(), Some(&b"- *.o\n"[..]), "{}", path.escape_ascii());
    }
    for path in [&b"missing"[..], b"dangling", b"below", b"missing/rules"] {
        assert_eq!(tree.source.read_rules(path).unwrap(), None, "{}", path.escape_ascii());
    }
    tree.here.make_node(b"fifo", Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
    tree.source.read_rules(b"fifo").unwrap_err();
}

/// Runs each promise as a test of its own against one endpoint.
macro_rules! keeps {
    ($module:ident, $endpoint:expr; $($promise:ident)+) => {
        mod $module {
            $(#[test]
            fn $promise() {
                super::$promise(&$endpoint);
            })+
        }
    };
}

/// Runs them all.
macro_rules! conforms {
    ($module:ident, $endpoint:expr) => {
        keeps! { $module, $endpoint;
            a_typed_path_is_followed_to_a_directory
            a_directory_is_opened_by_its_name_and_by_no_link_unless_asked
            what_is_no_name_is_refused
            odd_names_are_listed_looked_at_and_read
            a_long_listing_is_whole_each_time_it_is_read
            metadata_is_that_of_the_entry
            links_are_told_from_what_they_lead_to
            what_is_opened_is_told_by_its_metadata_and_nobody_waits
            files_are_read_at_any_place_up_to_their_end
            data_lies_in_the_extents_that_are_told
            a_checksum_is_that_of_the_range
            content_is_copied_whole_or_by_ranges
            a_file_to_patch_is_as_any_other
            a_copy_that_its_observer_ends_says_so
            attributes_are_read_of_names_of_what_is_open_and_behind_links
            what_is_open_stays_what_it_was_whatever_has_its_name
            a_name_is_removed_and_nothing_that_it_leads_to
            rules_are_read_from_files_and_through_links_of_our_own
        }
    };
}

conforms! { local, crate::endpoint::Endpoint::Local }
conforms! { remote, crate::endpoint::remote::session::endpoint() }
