//! `kill -9` at any moment: every name is old or new, and the next run completes the work, clears
//! what was left, and copies nothing again that was complete.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::lab::{self, Lab, content};
use crate::support::rng::Rng;

const ROUNDS: usize = 10;

/// Small files and big ones, links of both kinds.
fn fill(root: &Path, version: u64, has_hard_links: bool) {
    for dir in 0..20 {
        let dir_path = root.join(format!("dir{dir:02}/sub"));
        fs::create_dir_all(&dir_path).unwrap();
        for file in 0..25_u64 {
            let bytes = content(version * 1000 + dir * 25 + file, 300 + 290 * file as usize);
            fs::write(dir_path.join(format!("file{file:02}")), bytes).unwrap();
        }
        symlink(format!("target{version}"), dir_path.join("link")).unwrap();
        fs::write(dir_path.join("twin1"), content(version * 7 + dir, 5000)).unwrap();
        if has_hard_links {
            fs::hard_link(dir_path.join("twin1"), dir_path.join("../twin2")).unwrap();
        }
    }
    for big in 0..4_u64 {
        fs::write(root.join(format!("big{big}")), content(version + big, 2 << 20)).unwrap();
    }
    fs::write(root.join("huge"), content(version, 40 << 20)).unwrap();
}

/// The source, and a destination that is half way there.
fn trees(lab: &Lab, has_hard_links: bool) {
    fill(&lab.dir("src"), 2, has_hard_links);
    fill(&lab.dir("old"), 1, has_hard_links);
    for dir in (0..20).step_by(3) {
        fs::remove_dir_all(lab.path(format!("old/dir{dir:02}"))).unwrap();
    }
    lab.file("old/extra/inner", "extra");
    lab::age(&lab.path("src"));
    lab::age_by(&lab.path("old"), -77_000);
    fs::write(lab.path("old/big0"), content(2, 2 << 20)).unwrap();
    let mtime = lab.path("src/big0").metadata().unwrap().mtime();
    lab::set_mtime(&lab.path("old/big0"), mtime);
}

/// What identifies every file that is complete: nobody has to touch it again.
fn complete(root: &Path, source: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for path in lab::paths(source) {
        let name = path.strip_prefix(source).unwrap();
        let (of, Ok(copy)) = (path.symlink_metadata().unwrap(), root.join(name).symlink_metadata())
        else {
            continue;
        };
        let is_alike = of.mtime() == copy.mtime() && of.mtime_nsec() == copy.mtime_nsec();
        // A further link to an inode changes its change time.
        if of.is_file() && of.nlink() == 1 && is_alike {
            found.insert(name.to_owned(), (copy.ino(), copy.ctime(), copy.ctime_nsec()));
        }
    }
    found
}

fn rounds(options: &str, seed: u64) {
    let lab = Lab::new();
    trees(&lab, options.contains('H'));
    let [source, old, copy] = ["src", "old", "dst"].map(|name| lab.path(name));
    let (new_files, old_files) = (lab::contents(&source), lab::contents(&old));
    let line = format!("{options} src/ dst/");
    let mut rng = Rng::new(seed);
    let mut killed = 0;
    let mut longest = Duration::from_millis(1);
    for round in 0..ROUNDS {
        fs::remove_dir_all(&copy).ok();
        if round % 2 == 0 {
            lab::duplicate(&old, &copy);
        }
        if round < 2 {
            let began = Instant::now();
            lab.lanesync(&line).go().expect(0);
            longest = longest.max(began.elapsed());
            continue;
        }
        let run = lab.lanesync(&line).start();
        std::thread::sleep(longest.mul_f64(rng.below(1000) as f64 / 1000.0));
        run.signal(Signal::KILL);
        killed += usize::from(run.wait().code == -9);
        let before = if copy.exists() { complete(&copy, &source) } else { BTreeMap::new() };
        for (name, bytes) in if copy.exists() { lab::contents(&copy) } else { BTreeMap::new() } {
            let known = [new_files.get(&name), old_files.get(&name)];
            let is_whole = known == [None, None] || known.contains(&Some(&bytes));
            assert!(is_whole, "round {round}: {name:?} is torn, {} bytes", bytes.len());
        }
        lab.lanesync(&line).go().expect(0);
        lab.assert_same("src", "dst");
        let after = complete(&copy, &source);
        for (name, was) in before {
            assert_eq!(after[&name], was, "round {round}: {name:?} was complete and was made anew");
        }
    }
    assert!(killed > 0, "no run was killed in time: the test shows nothing");
}

#[test]
fn one_worker_is_killed_at_any_moment_and_the_next_run_completes_the_tree() {
    rounds("-aHAX --delete --workers 1", 1);
}

#[test]
fn many_workers_are_killed_at_any_moment_and_the_next_run_completes_the_tree() {
    rounds("-aHAX --delete", 2);
}

#[test]
fn a_run_with_delayed_updates_is_killed_at_any_moment_and_the_next_one_clears_the_waiting_files() {
    rounds("-aAX --delete --delay-updates", 3);
}

#[test]
fn a_run_with_delayed_hard_links_is_killed_at_any_moment_and_the_next_one_completes_the_tree() {
    rounds("-aHAX --delete --delay-updates", 5);
}

#[test]
fn a_run_with_a_partial_directory_is_killed_at_any_moment_and_the_next_one_clears_it() {
    rounds("-aHAX --delete --partial-dir=.part", 4);
}

/// Kills a run while something with a staging name is in a destination that answers slowly, then
/// runs again and looks whether it is gone.
fn staged_when_killed(make: &dyn Fn(&Path, &str), options: &str) {
    let lab = Lab::new();
    for (side, version) in [("src", "new"), ("backing", "old")] {
        let dir = lab.dir(side);
        (0..6).for_each(|number| make(&dir.join(format!("entry{number}")), version));
    }
    lab::age(&lab.path("src"));
    lab::age_by(&lab.path("backing"), -50_000);
    let known = lab::names(&lab.path("src"));
    let config = testfs::Config {
        delay: Duration::from_millis(40),
        ..testfs::Config::new(lab.path("backing"))
    };
    let mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
    let line = format!("{options} --delete --workers 1 src/ dst/");
    let mut run = lab.lanesync(&line).start();
    run.until("something had a staging name", || {
        fs::read_dir(lab.path("backing"))
            .unwrap()
            .any(|entry| !known.contains(Path::new(&entry.unwrap().file_name())))
    });
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, -9);
    let names = lab::names(&lab.path("backing"));
    assert_ne!(names, known, "the staging name went away although the run was killed");
    drop(mount);
    lab.lanesync(&format!("{options} --delete src/ backing/")).go().expect(0);
    assert_eq!(lab::names(&lab.path("backing")), known, "a staging name is left for ever");
    lab.assert_same("src", "backing");
}

#[test]
fn the_next_run_removes_the_staging_name_of_a_file() {
    staged_when_killed(&|path, version| fs::write(path, version.repeat(3)).unwrap(), "-aI");
}

#[test]
fn the_next_run_removes_the_staging_name_of_a_symlink() {
    staged_when_killed(&|path, version| symlink(version, path).unwrap(), "-a");
}

#[test]
fn the_next_run_removes_the_staging_name_of_a_device_node() {
    let make = |path: &Path, version: &str| {
        let minor = if version == "new" { "3" } else { "5" };
        lab::succeed(Command::new("mknod").arg(path).args(["c", "1", minor]));
    };
    staged_when_killed(&make, "-a");
}

#[test]
fn the_next_run_removes_the_staging_name_of_a_hard_link() {
    let make = |path: &Path, version: &str| {
        let first = path.with_file_name("entry0");
        if version == "new" && path != first {
            fs::hard_link(&first, path).unwrap();
        } else {
            fs::write(path, version).unwrap();
        }
    };
    staged_when_killed(&make, "-aH");
}

/// Where no directory is listed, the next run that brings the file over meets what was left of it.
#[test]
fn the_next_run_removes_the_staging_name_of_a_file_that_was_named_alone_or_staged_elsewhere() {
    for (words, staging) in [
        ("src/file dst/", "dst"),
        ("-R src/./file dst/", "dst"),
        ("--temp-dir=../tmp src/ dst/", "tmp"),
        ("--temp-dir=../tmp src/file dst/", "tmp"),
    ] {
        let lab = Lab::new();
        lab.file("src/file", content(1, 8 << 20));
        lab.file("dst/file", "old");
        lab.dir("tmp");
        lab::age(&lab.path("src"));
        let count = || fs::read_dir(lab.path(staging)).unwrap().count();
        let before = count();
        let mut run = lab.lanesync(&format!("-a --bwlimit=1m {words}")).start();
        run.until("it has a staging name", || count() > before);
        run.signal(Signal::KILL);
        assert_eq!((run.wait().code, count()), (-9, before + 1), "{words}");
        lab.lanesync(&format!("-a {words}")).go().expect(0);
        assert_eq!(count(), before, "{words}");
        assert!(fs::read(lab.path("dst/file")).unwrap() == content(1, 8 << 20), "{words}");
    }
}
