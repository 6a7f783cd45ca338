//! Our lines against those of the installed rsync, byte for byte.
#![expect(clippy::disallowed_methods, reason = "the tests prepare trees for rsync to read")]
#![expect(clippy::unwrap_used, reason = "a tree that cannot be prepared is a failed test")]

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use model::{
    Event, Gauges, Item, ItemFlags, Kind, Metadata, RelPath, Sink, Summary, Timestamp, Verdict,
};
use report::settings::{Effect, HumanReadable, Itemize, NameEscapes, Preserved};
use report::{Ended, Endings, Reporter, Settings, Statistics};
use tempfile::TempDir;

/// What rsync prints.
fn rsync(args: &[&str], paths: &[&Path], locale: &str) -> Vec<u8> {
    let output = Command::new("rsync")
        .args(args)
        .args(paths)
        .env("LC_ALL", locale)
        .output()
        .expect("these tests need rsync");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What we print.
fn ours(settings: Settings, items: Vec<Item>) -> Vec<u8> {
    let stdout = Capture::default();
    let reporter = Reporter::new(
        settings,
        Box::new(stdout.clone()),
        Box::new(std::io::sink()),
        None,
        Arc::new(Gauges::default()),
    );
    for item in items {
        reporter.accept(Event::Item(Box::new(item)));
    }
    let unseen = Ended { exit_code: 11, closing: None };
    let endings =
        Endings { run: Ended::WELL, unseen, statistics: Statistics::Shown, traffic: None };
    let ended = reporter.finish(&Summary::default(), endings);
    assert_eq!(ended, Ended::WELL, "all of it was written");
    stdout.0.lock().unwrap().clone()
}

fn item(root: &Path, name: &[u8], flags: ItemFlags, verdict: Verdict) -> Item {
    let path = root.join(OsString::from_vec(name.to_vec()));
    let stat = path.symlink_metadata().unwrap();
    let kind = Kind::from_st_mode(stat.mode()).unwrap();
    let target = (kind == Kind::Symlink).then(|| fs::read_link(&path).unwrap());
    let metadata = Metadata {
        mode: stat.mode() & 0o7777,
        uid: stat.uid(),
        gid: stat.gid(),
        size: stat.len(),
        mtime: Timestamp { secs: stat.mtime(), nanos: 0 },
        dev: stat.dev(),
        ino: stat.ino(),
        allocated_blocks: stat.blocks(),
        ..Metadata::unknown(kind)
    };
    let link = target.map(|target| target.as_os_str().as_bytes().into());
    Item { flags, link, ..Item::new(RelPath::new(name).unwrap(), metadata, verdict) }
}

fn file_of(path: &Path, bytes: u64) {
    fs::File::create(path).unwrap().set_len(bytes).unwrap();
}

fn assert_same(ours: &[u8], theirs: &[u8], what: &str) {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\n", "\n");
    assert_eq!(text(ours), text(theirs), "{what}: ours on the left, rsync's on the right");
}

/// Sizes around every border of every unit, and some in between.
fn sizes() -> Vec<u64> {
    let mut sizes = vec![0, 1, 9];
    for exponent in 1..=12 {
        let power = 10_u64.pow(exponent);
        sizes.extend([power - 1, power, power + 1, power / 7 * 5, power / 1000 * 995]);
    }
    for shift in [10, 20, 30, 40] {
        let power = 1_u64 << shift;
        sizes.extend([power - 1, power, power + 1, power / 1000 * 995, power * 2 - power / 300]);
    }
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[test]
fn numbers_are_written_as_rsync_writes_them() {
    let tree = TempDir::new().unwrap();
    let names: Vec<String> = sizes().iter().map(|size| format!("{size:020}")).collect();
    for (name, size) in names.iter().zip(sizes()) {
        file_of(&tree.path().join(name), size);
    }
    let source = tree.path().join("");
    for (option, numbers) in [
        ("--no-h", HumanReadable::Digits),
        ("-r", HumanReadable::Grouped),
        ("-h", HumanReadable::Units1000),
        ("-hh", HumanReadable::Units1024),
        ("-hhh", HumanReadable::from_level(4)),
    ] {
        let mut settings = Settings { numbers, ..Settings::default() };
        settings.run.effect = Effect::ListOnly;
        let theirs = rsync(&["-r", "--list-only", option], &[&source], "C.UTF-8");
        let listed =
            |name: &str| item(tree.path(), name.as_bytes(), ItemFlags::empty(), Verdict::Equal);
        let items = [".".to_owned()].iter().chain(&names).map(|name| listed(name)).collect();
        assert_same(&ours(settings, items), &theirs, option);
    }
}

#[test]
fn formats_are_taken_as_rsync_takes_them() {
    let tree = TempDir::new().unwrap();
    let source = tree.path().join("s");
    let destination = tree.path().join("d");
    fs::create_dir(&source).unwrap();
    fs::create_dir(&destination).unwrap();
    file_of(&source.join("file"), 314_572_800);
    symlink("target", source.join("link")).unwrap();
    let formats = [
        "%n%L",
        "%i %n%L",
        "%l %'l %''l %'''l %''''l",
        "[%10n][%-10n][%010n]",
        "%-10'l|%'-10l|",
        "%10''l|%'10'l|%''-'10l|%-'10l|",
        "%1a|%a|%h|%P|%u|%m|%5m|%z|%5z|%I",
        "%%n%5%|%-5%|%'%|",
        "%5",
        "%",
        "x%",
        "%3L|%-15L|%15L|",
        "%B|%15B|%-15B|",
        "%M|%25M|%'M",
        "%o|%20o|",
        "%U|%G|%'G",
        "%c|%''c",
        "%+5l|% 5l|%5.3l|%#l",
        "%0l|%-l|%00012l|",
        "a\tb\x01%n",
        "100%\\#012",
    ];
    let items = || {
        vec![
            item(&source, b"file", ItemFlags::NEW | ItemFlags::TRANSFER, Verdict::Copied),
            item(&source, b"link", ItemFlags::NEW | ItemFlags::LOCAL_CHANGE, Verdict::Copied),
        ]
    };
    for format in formats {
        for (owners, preserved) in [("-rltn", Preserved::No), ("-rltogn", Preserved::Yes)] {
            let option = format!("--out-format={format}");
            // The directory itself differs in time only, and is of no interest here.
            let contents = source.join("");
            let args = [owners, "-O", &option];
            let theirs = rsync(&args, &[&contents, &destination], "C.UTF-8");
            let mut settings = Settings::default();
            settings.items.out_format = Some(format.as_bytes().into());
            settings.run.sources = vec![contents];
            (settings.run.users, settings.run.groups) = (preserved, preserved);
            assert_same(&ours(settings, items()), &theirs, format);
        }
    }
}

/// Names from a small generator: control bytes, backslashes, text, and what is no text.
fn odd_names() -> Vec<Vec<u8>> {
    let pieces: [&[u8]; 16] = [
        b"a",
        b"\n",
        b"\t",
        b"\x01",
        b"\x1b[31m",
        b"\\",
        b"\\#0",
        b"12",
        b"\xff",
        b"\xc3",
        b"\xa9",
        "é".as_bytes(),
        "漢".as_bytes(),
        b"\xed\xa0\x80",
        b" ",
        b"\\#012",
    ];
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    (0..300)
        .map(|index| {
            let mut name = format!("{index:03}").into_bytes();
            for _ in 0..=next() % 5 {
                name.extend_from_slice(pieces[next() % pieces.len()]);
            }
            name
        })
        .collect()
}

#[test]
fn names_are_escaped_as_rsync_escapes_them() {
    let tree = TempDir::new().unwrap();
    let names = odd_names();
    for name in &names {
        file_of(&tree.path().join(OsString::from_vec(name.clone())), 0);
    }
    let source = tree.path().join("");
    for (options, locale, escapes) in [
        (&["-rn", "--out-format=%n"][..], "C.UTF-8", NameEscapes::Unprintable),
        (&["-rn", "--out-format=%n"], "C", NameEscapes::NonAscii),
        (&["-rn8", "--out-format=%n"], "C.UTF-8", NameEscapes::ControlOnly),
    ] {
        let empty = TempDir::new().unwrap();
        let theirs = rsync(options, &[&source, empty.path()], locale);
        let mut settings = Settings::default();
        settings.items.out_format = Some(b"%n"[..].into());
        settings.streams.names = escapes;
        let sent = ItemFlags::NEW | ItemFlags::TRANSFER;
        let items = names.iter().map(|name| item(tree.path(), name, sent, Verdict::Copied));
        assert_same(&ours(settings, items.collect()), &theirs, locale);
    }
}

/// One entry of each kind of difference, by name; the flags are what a comparison would find.
fn prepare_differences(source: &Path, destination: &Path) -> Vec<(String, ItemFlags, Verdict)> {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut expected = Vec::new();
    for bits in 0..8 {
        let mut flags = ItemFlags::empty();
        let name = format!("f{bits}");
        file_of(&source.join(&name), 5);
        let has = |bit: u32| bits & bit != 0;
        file_of(&destination.join(&name), if has(1) { 4 } else { 5 });
        flags.set(ItemFlags::SIZE, has(1));
        flags.set(ItemFlags::MTIME, has(2));
        flags.set(ItemFlags::PERMS, has(4));
        flags.set(ItemFlags::TRANSFER, has(1) || has(2));
        let mode = fs::Permissions::from_mode(if has(4) { 0o600 } else { 0o644 });
        fs::set_permissions(destination.join(&name), mode).unwrap();
        fs::set_permissions(source.join(&name), fs::Permissions::from_mode(0o644)).unwrap();
        let set_time = |path: &Path, time| {
            fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        set_time(&source.join(&name), old);
        let time = if has(2) { old + Duration::from_secs(60) } else { old };
        set_time(&destination.join(&name), time);
        expected.push((name, flags, Verdict::Updated));
    }
    file_of(&source.join("new"), 1);
    symlink("x", source.join("newlink")).unwrap();
    symlink("xx", source.join("otherlink")).unwrap();
    symlink("yyyy", destination.join("otherlink")).unwrap();
    fs::create_dir(source.join("zdir")).unwrap();
    let made = ItemFlags::NEW | ItemFlags::LOCAL_CHANGE;
    // rsync tells the time of every link that it makes anew, -J or not.
    let relinked = ItemFlags::LOCAL_CHANGE | ItemFlags::CHECKSUM | ItemFlags::MTIME;
    expected.extend([
        ("new".into(), ItemFlags::NEW | ItemFlags::TRANSFER, Verdict::Copied),
        ("newlink".into(), made, Verdict::Copied),
        ("otherlink".into(), relinked, Verdict::Updated),
        ("zdir".into(), made, Verdict::Copied),
    ]);
    expected
}

#[test]
fn changes_are_itemized_as_rsync_itemizes_them() {
    let tree = TempDir::new().unwrap();
    let (source, destination) = (tree.path().join("s"), tree.path().join("d"));
    fs::create_dir(&source).unwrap();
    fs::create_dir(&destination).unwrap();
    let expected = prepare_differences(&source, &destination);
    file_of(&destination.join("gone"), 1);
    let contents = source.join("");
    // Link times and the root's own time are left out: two calls of the test may differ in them.
    let base = ["-rlptnOJ", "--delete"];
    for (option, itemize, name_level) in [
        ("--out-format=%i %n%L", Itemize::Off, 0),
        ("-i", Itemize::Changed, 0),
        ("-ii", Itemize::Unchanged, 0),
        ("--info=name", Itemize::Off, 1),
        ("--info=name2", Itemize::Off, 2),
    ] {
        let args = [base[0], base[1], option];
        let theirs = rsync(&args, &[&contents, &destination], "C.UTF-8");
        let mut settings = Settings::default();
        let format: &[u8] = if option.contains("name") { b"%n%L" } else { b"%i %n%L" };
        settings.items.out_format = Some(format.into());
        settings.items.itemize = itemize;
        settings.info.name = name_level;
        let nothing = ItemFlags::empty();
        let mut items = vec![
            item(&destination, b"gone", nothing, Verdict::Deleted),
            item(&source, b".", nothing, Verdict::Equal),
        ];
        items.extend(
            expected
                .iter()
                .map(|(name, flags, verdict)| item(&source, name.as_bytes(), *flags, *verdict)),
        );
        // At this level rsync's processes write without waiting for one another.
        let in_order = |text: &[u8]| match name_level {
            2 => sorted_lines(text),
            _ => text.to_vec(),
        };
        assert_same(&in_order(&ours(settings, items)), &in_order(&theirs), option);
    }
}

fn sorted_lines(text: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}
