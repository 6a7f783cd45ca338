//! Very many, very deep, very long, very empty.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::lab::{self, Lab};

/// Files in one directory: enough to show what grows with them, or as many as are meant.
fn many() -> u32 {
    if std::env::var_os("LANESYNC_BIG").is_some_and(|big| big == "1") { 1_000_000 } else { 50_000 }
}

#[test]
fn very_many_files_in_one_directory_are_copied_compared_and_removed() {
    let lab = Lab::new();
    let dir = lab.dir("src");
    for number in 0..many() {
        File::create(dir.join(format!("file{number:07}"))).unwrap();
    }
    lab.file("src/file0000007", "not empty");
    let count = |root: &str| fs::read_dir(lab.path(root)).unwrap().count();
    lab.lanesync("-a --delete src/ dst/").go().expect(0);
    assert_eq!(count("dst"), many() as usize);
    assert_eq!(fs::read(lab.path("dst/file0000007")).unwrap(), b"not empty");
    let again = lab.lanesync("-a --delete -i src/ dst/").go().expect(0);
    assert_eq!(again.stdout, "");
    let said = lab.rsync("-an --delete -i src/ dst/").go().expect(0).stdout;
    assert_eq!(said, "");
    lab.dir("empty");
    lab.lanesync("-a --delete empty/ dst/").go().expect(0);
    assert_eq!(count("dst"), 0);
}

const LEVELS: usize = 2000;

/// A chain of directories far below what a path can say, with a file at its end.
fn deep(root: &Path, text: &str) {
    let file = chain(root, LEVELS);
    let flags = OFlags::CREATE | OFlags::WRONLY;
    let file = rustix::fs::openat(&file, "file", flags, Mode::from_bits_truncate(0o644)).unwrap();
    File::from(file).write_all_at(text.as_bytes(), 0).unwrap();
}

/// A chain of so many directories; gives the last.
fn chain(root: &Path, levels: usize) -> rustix::fd::OwnedFd {
    fs::create_dir_all(root).unwrap();
    let mut at = open_dir(root);
    for _ in 0..levels {
        rustix::fs::mkdirat(&at, "deeper", Mode::from_bits_truncate(0o755)).unwrap();
        at = rustix::fs::openat(&at, "deeper", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    at
}

fn open_dir(path: &Path) -> rustix::fd::OwnedFd {
    rustix::fs::openat(CWD, path, OFlags::DIRECTORY, Mode::empty()).unwrap()
}

/// How many levels there are, and what the file at the end says.
fn depth(root: &Path) -> (usize, Option<String>) {
    let mut at = open_dir(root);
    let mut levels = 0;
    while let Ok(below) = rustix::fs::openat(&at, "deeper", OFlags::DIRECTORY, Mode::empty()) {
        at = below;
        levels += 1;
    }
    let file = rustix::fs::openat(&at, "file", OFlags::RDONLY, Mode::empty()).ok();
    (levels, file.map(|file| std::io::read_to_string(File::from(file)).unwrap()))
}

fn copies_deep(options: &str, open_files: Option<u32>) {
    let lab = Lab::new();
    deep(&lab.path("src"), "the end");
    let run = |words: &str| {
        let run = lab.lanesync(&format!("{options} {words}"));
        match open_files {
            Some(limit) => run.open_files(limit),
            None => run,
        }
    };
    run("--delete src/ dst/").go().expect(0);
    assert_eq!(depth(&lab.path("dst")), (LEVELS, Some("the end".into())));
    let again = run("--delete -i src/ dst/").go().expect(0);
    assert!(again.stdout.is_empty(), "the second run did {} things", again.stdout.lines().count());
    // The times of all levels were set when all below was done.
    let (mut from, mut to) = (open_dir(&lab.path("src")), open_dir(&lab.path("dst")));
    for level in 0..LEVELS {
        let [left, right] = [&from, &to]
            .map(|at| rustix::fs::statat(at, "deeper", AtFlags::SYMLINK_NOFOLLOW).unwrap());
        assert_eq!(left.st_mtime, right.st_mtime, "level {level}");
        [from, to] = [from, to]
            .map(|at| rustix::fs::openat(&at, "deeper", OFlags::DIRECTORY, Mode::empty()).unwrap());
    }
}

#[test]
fn two_thousand_levels_are_copied() {
    copies_deep("-a", None);
    copies_deep("-aHAX --workers 1", None);
}

const VERY_DEEP: usize = 20_000;

#[test]
fn twenty_thousand_levels_are_looked_at() {
    let lab = Lab::new();
    chain(&lab.path("src"), VERY_DEEP);
    let said = lab.lanesync("-an --stats src/ dst/").go().expect(0).stdout;
    assert!(said.contains("dir: 20,001"), "{said}");
}

#[test]
fn very_deep_trees_without_files_are_pruned() {
    let lab = Lab::new();
    chain(&lab.path("src/empty"), VERY_DEEP);
    lab.file("src/full/deeper/file", "x");
    // Looked through once, not once for each level.
    deep(&lab.path("src/long"), "found");
    let said = lab.lanesync("-amn -i src/ dst/").open_files(256).go().expect(0).stdout;
    let names: Vec<_> = said.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(names[..5], ["directory", "./", "full/", "full/deeper/", "full/deeper/file"]);
    assert_eq!(names.len(), 5 + 1 + LEVELS + 1);
}

#[test]
fn twenty_thousand_levels_are_copied() {
    let lab = Lab::new();
    chain(&lab.path("src"), VERY_DEEP);
    for line in ["-a src/ dst/", "-aX --workers 1 src/ other/"] {
        lab.lanesync(line).open_files(1024).go().expect(0);
    }
    for copy in ["dst", "other"] {
        assert_eq!(depth(&lab.path(copy)).0, VERY_DEEP);
        let [left, right] = ["src", copy].map(|root| lab.path(root).join("deeper/deeper"));
        assert_eq!(left.metadata().unwrap().mtime(), right.metadata().unwrap().mtime());
    }
}

#[test]
fn a_very_deep_run_ends_when_it_is_told_to() {
    let lab = Lab::new();
    chain(&lab.path("src"), VERY_DEEP);
    let mut run = lab.lanesync("-a src/ dst/").open_files(256).start();
    let some = lab.path("dst").join(vec!["deeper"; 200].join("/"));
    run.until("200 levels are there", || some.exists());
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    run.signal(rustix::process::Signal::TERM);
    run.wait().expect_one_of(&[0, 20]);
    // A debug build on a busy machine; what this stands against took minutes.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn two_thousand_levels_are_copied_with_few_descriptors() {
    copies_deep("-a", Some(256));
    copies_deep("-a --workers 1", Some(256));
}

fn removes_deep(open_files: u32, options: &str) {
    let lab = Lab::new();
    lab.file("src/file", "x");
    deep(&lab.path("dst/extra"), "to be removed");
    let line = format!("-a {options} src/ dst/");
    let done = lab.lanesync(&line).open_files(open_files).go();
    assert_eq!(done.code, 0, "{}", &done.stderr[..done.stderr.len().min(300)]);
    assert!(!lab.path("dst/extra").exists());
}

#[test]
fn two_thousand_levels_are_removed() {
    removes_deep(4096, "--delete");
    removes_deep(4096, "--delete-after --workers 1");
}

#[test]
fn two_thousand_levels_are_removed_with_few_descriptors() {
    removes_deep(256, "--delete");
}

/// Below directories that use up what may stay open, many trees go at once, each with many levels.
#[test]
fn deep_trees_side_by_side_are_removed_with_few_descriptors() {
    let lab = Lab::new();
    for tree in 0..64 {
        let dir = format!("dir{tree:02}/a/b/c/d/e");
        lab.dir(format!("src/{dir}"));
        for level in 0..12 {
            let deeper = vec!["deeper"; level].join("/");
            lab.file(format!("dst/{dir}/extra/{deeper}/file"), "extra");
        }
    }
    let delay = Duration::from_millis(1);
    let config = testfs::Config { delay, ..testfs::Config::new(lab.path("dst")) };
    let _mount = testfs::Mount::at(config, &lab.dir("slow")).unwrap();
    let line = "-a --delete --backup-dir=../kept --workers 64 src/ slow/";
    lab.lanesync(line).open_files(256).go().expect(0);
    assert_eq!(lab::names(&lab.path("dst")), lab::names(&lab.path("src")));
    assert_eq!(lab::contents(&lab.path("kept")).len(), 64 * 12);
}

#[test]
fn many_directories_side_by_side_are_copied_with_few_descriptors() {
    let lab = Lab::new();
    for dir in 0..700 {
        lab.file(format!("src/dir{dir:03}/sub/file"), "x");
    }
    lab::age(&lab.path("src"));
    for options in ["--workers 64", ""] {
        fs::remove_dir_all(lab.path("dst")).ok();
        let line = format!("-aH --delete {options} src/ dst/");
        lab.lanesync(&line).open_files(256).go().expect(0);
        lab.assert_same("src", "dst");
    }
}

#[test]
fn what_waits_in_many_directories_holds_no_descriptors() {
    let lab = Lab::new();
    lab.dir("out");
    for dir in 0..400 {
        let file = lab.file(format!("src/dir{dir:03}/file"), "x");
        fs::hard_link(file, lab.path(format!("out/{dir}"))).unwrap();
    }
    lab::age(&lab.path("src"));
    lab::duplicate(&lab.path("src"), &lab.path("basis"));
    for options in ["-aH", "-aH --workers 8", "-a --delay-updates", "-aH --link-dest=../basis"] {
        fs::remove_dir_all(lab.path("dst")).ok();
        lab.lanesync(&format!("{options} src/ dst/")).open_files(256).go().expect(0);
        lab.assert_same("src", "dst");
    }
}

#[test]
fn members_of_one_group_in_many_directories_hold_no_descriptors() {
    let lab = Lab::new();
    let first = lab.file("src/first", "x");
    for dir in 0..400 {
        lab.dir(format!("src/dir{dir:03}"));
        fs::hard_link(&first, lab.path(format!("src/dir{dir:03}/twin"))).unwrap();
    }
    lab::age(&lab.path("src"));
    for workers in [1, 8] {
        fs::remove_dir_all(lab.path("dst")).ok();
        let line = format!("-aH --workers {workers} src/ dst/");
        lab.lanesync(&line).open_files(256).go().expect(0);
        assert_eq!(lab.path("dst/first").metadata().unwrap().nlink(), 401);
        // Of what is there already, one member leads, and all are looked at.
        lab.lanesync(&line).open_files(256).go().expect(0);
        lab.assert_same("src", "dst");
    }
}

#[test]
fn very_many_links_wait_and_keep_their_names() {
    let lab = Lab::new();
    let long = "name".repeat(20);
    for dir in ["src/first", "src/then", "out"] {
        lab.dir(dir);
    }
    for number in 0..6000 {
        let file = lab.path(format!("src/first/{long}{number}"));
        File::create(&file).unwrap();
        // Most are found again in the order in which they wait, some never.
        let twin = match number % 7 {
            0 => format!("out/{number}"),
            1 => format!("src/then/later{number}"),
            _ => format!("src/then/{long}{number}"),
        };
        fs::hard_link(&file, lab.path(twin)).unwrap();
    }
    lab::age(&lab.path("src"));
    for workers in [1, 8] {
        fs::remove_dir_all(lab.path("dst")).ok();
        lab.lanesync(&format!("-aH --workers {workers} src/ dst/")).go().expect(0);
        lab.assert_same("src", "dst");
    }
}

#[test]
fn long_files_in_many_directories_wait_without_descriptors() {
    let lab = Lab::new();
    for dir in 0..400 {
        let file = lab.file(format!("src/dir{dir:03}/file"), "the start");
        File::options().write(true).open(file).unwrap().set_len(1 << 20).unwrap();
    }
    lab::age(&lab.path("src"));
    // One worker lists while the other copies, and copies slowly.
    lab.lanesync("-a --workers 2 --bwlimit=200m src/ dst/").open_files(256).go().expect(0);
    lab.assert_same("src", "dst");
}

/// A sparse file of 1 TiB with a little data in it.
fn tebibyte(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(1 << 40).unwrap();
    for (at, text) in [(0, "first"), (1 << 33, "middle"), ((1 << 40) - 5, "last.")] {
        file.write_all_at(text.as_bytes(), at).unwrap();
    }
}

#[track_caller]
fn assert_tebibyte(path: &Path) {
    let file = File::open(path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 1 << 40);
    for (at, text) in [(0, "first"), (1 << 33, "middle"), ((1 << 40) - 5, "last.")] {
        let mut found = vec![0; text.len()];
        file.read_exact_at(&mut found, at).unwrap();
        assert_eq!(found, text.as_bytes(), "at {at}");
    }
    let blocks = file.metadata().unwrap().blocks();
    assert!(blocks < 20_000, "the holes were filled: {blocks} blocks");
}

#[test]
fn a_sparse_file_of_a_tebibyte_keeps_its_holes() {
    let lab = Lab::new();
    tebibyte(&lab.file("src/sparse", ""));
    for options in ["-a", "-a --workers 1", "-a --inplace", "-aS", "-aS --inplace"] {
        fs::remove_dir_all(lab.path("dst")).ok();
        lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
        assert_tebibyte(&lab.path("dst/sparse"));
    }
}

#[test]
fn a_sparse_file_of_a_tebibyte_keeps_its_holes_on_ext4() {
    let lab = Lab::new();
    lab.mount_ext4("disk", 64, &[]);
    lab.dir("disk/src");
    tebibyte(&lab.file("disk/src/sparse", ""));
    lab.lanesync("-a disk/src/ disk/dst/").go().expect(0);
    assert_tebibyte(&lab.path("disk/dst/sparse"));
}

#[test]
fn sizes_that_add_up_to_more_than_a_number_holds_are_no_fault() {
    for options in ["-a --stats", "-an --stats", "-a --json"] {
        let lab = Lab::new();
        // On disks the longest file is shorter.
        lab.mount_tmpfs("src", "size=8m");
        lab.mount_tmpfs("dst", "size=8m");
        for name in ["src/a", "src/b", "src/c"] {
            File::create(lab.path(name)).unwrap().set_len(i64::MAX as u64).unwrap();
        }
        lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
        let copied = lab.path("dst/c").metadata().map(|copy| copy.len()).ok();
        let is_dry = options.contains('n') && !options.contains("json");
        assert_eq!(copied, (!is_dry).then_some(i64::MAX as u64), "{options}");
    }
}

#[test]
fn data_that_became_a_hole_is_a_hole_at_the_destination() {
    for options in ["-a", "-aS", "-a --inplace", "-aS --inplace", "-a --workers 1"] {
        for size in [300_000_u64, 40 << 20] {
            let lab = Lab::new();
            let data = lab::content(1, size as usize);
            lab.file("dst/file", &data);
            lab::age_by(&lab.path("dst"), -70_000);
            let file = File::create(lab.file("src/file", "")).unwrap();
            file.set_len(size).unwrap();
            file.write_all_at(&data[..5000], 0).unwrap();
            file.write_all_at(b"end", size - 3).unwrap();
            lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
            let [source, copy] = ["src/file", "dst/file"].map(|name| lab.path(name));
            assert!(fs::read(&source).unwrap() == fs::read(&copy).unwrap(), "{options} {size}");
            let [wanted, got] = [source, copy].map(|path| path.metadata().unwrap().blocks());
            assert!(got <= wanted + 64, "{options} {size}: {got} blocks instead of {wanted}");
        }
    }
}

/// Makes directories `src/0000`, `src/0001` and so on, each with a file of its own and a directory
/// `common` that all have.
fn many_sources(lab: &Lab, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|at| format!("{at:04}")).collect();
    for name in &names {
        lab.file(format!("src/{name}/file-{name}"), name);
        lab.file(format!("src/{name}/common/also-{name}"), name);
    }
    lab::age(&lab.path("src"));
    names
}

#[test]
fn three_thousand_listed_directories_fit_few_descriptors() {
    let lab = Lab::new();
    let names = many_sources(&lab, 3000);
    lab.file("src/2000/common/.rules", "- also-2000\n- .rules\n");
    let lines: Vec<String> = names.iter().map(|name| format!("{name}/\n")).collect();
    lab.file("list", lines.concat());
    for (pass, options) in ["", "--delete-before", "--filter=:_.rules"].into_iter().enumerate() {
        for (program, root) in [("rsync", "theirs"), ("lanesync", "ours")] {
            let extra = lab.file(format!("{root}{pass}/common/extra"), "extra");
            lab::set_mtime(&extra, 1_500_000_000);
            let words = format!("-ar --no-R --files-from=list {options} src/ {root}{pass}/");
            let run = if program == "rsync" { lab.rsync(&words) } else { lab.lanesync(&words) };
            run.open_files(256).go().expect(0);
        }
        lab.assert_same(&format!("theirs{pass}"), &format!("ours{pass}"));
    }
    assert!(lab.path("ours0/common/also-2000").exists() && lab.path("ours0/common/extra").exists());
    assert!(!lab.path("ours1/common/extra").exists());
    assert!(!lab.path("ours2/common/also-2000").exists());
}

#[test]
fn more_directories_than_can_be_told_apart_are_refused() {
    let lab = Lab::new();
    lab.dir("src");
    for number in 0..=65_536 {
        fs::create_dir(lab.path(format!("src/{number}"))).unwrap();
    }
    let list = |numbers: Range<u32>| {
        let lines = numbers.map(|number| format!("{number}/\n"));
        lab.file("list", lines.collect::<Vec<String>>().concat());
    };
    list(0..65_537);
    let words = "-ar --no-R --files-from=list src/ dst/";
    let said = lab.lanesync(words).go().expect(1).stderr;
    assert!(said.contains("more than 65,536 directories"), "{said}");
    assert!(!lab.path("dst").exists());
    list(0..65_536);
    lab.lanesync(words).go().expect(0);
}

/// The sources as arguments that stand for their content.
fn content_of(names: &[String]) -> String {
    names.iter().map(|name| format!("src/{name}/")).collect::<Vec<String>>().join(" ")
}

#[test]
fn two_thousand_source_arguments_fit_few_descriptors() {
    let lab = Lab::new();
    let names = many_sources(&lab, 2000);
    let sources = content_of(&names);
    lab.rsync(&format!("-a {sources} theirs/")).go().expect(0);
    lab.lanesync(&format!("-a {sources} ours/")).open_files(256).go().expect(0);
    lab.assert_same("theirs", "ours");
}

#[test]
fn files_listed_from_many_directories_fit_few_descriptors() {
    let lab = Lab::new();
    let names = many_sources(&lab, 1000);
    let lines = names.iter().map(|name| format!("{name}/file-{name}\n{name}/common\n"));
    lab.file("list", lines.collect::<Vec<String>>().concat());
    let words = "-a --no-R --files-from=list src/";
    lab.rsync(&format!("{words} theirs/")).go().expect(0);
    lab.lanesync(&format!("{words} ours/")).open_files(256).go().expect(0);
    // The roots themselves are not in the transfer.
    for root in ["theirs", "ours"] {
        lab::set_mtime(&lab.path(root), 0);
    }
    lab.assert_same("theirs", "ours");
}

#[test]
fn a_file_that_is_longer_than_a_limit_is_a_fault_and_leaves_nothing() {
    let lab = Lab::new();
    lab.file("src/long", lab::content(1, 1 << 20));
    lab.file("src/short", "short");
    lab.file("dst/long", "old");
    let done = lab.lanesync("-a src/ dst/").file_bytes(100 << 10).go().expect_one_of(&[11, 23]);
    done.complains(&["destination", "long", "File too large"]);
    let names = lab::names(&lab.path("dst"));
    assert!(names.iter().all(|name| ["", "long", "short"].iter().any(|it| name.ends_with(it))));
    assert!(names.len() <= 3, "{names:?}");
    assert_eq!(fs::read(lab.path("dst/long")).unwrap(), b"old");
}
