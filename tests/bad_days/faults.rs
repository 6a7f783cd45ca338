//! Faults of either file system at any call: the exit code tells, a line says side, verb, path and
//! cause, what the source has stays at the destination, and no name holds half a file. When the
//! fault is mended, the next run completes the tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{self, Lab, content};

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Source,
    Destination,
}

/// Every kind of entry; the destination has some of it, some older, and more.
fn trees(lab: &Lab) {
    for (side, version) in [("new", 1), ("old", 2)] {
        for dir in ["a", "b", "c", "c/d"] {
            for file in 0..12_u64 {
                let is_same = file % 3 == 0;
                if version == 2 && file % 3 == 1 {
                    continue;
                }
                let seed = if is_same { file } else { file + version * 100 };
                lab.file(format!("{side}/{dir}/file{file:02}"), content(seed, 6000));
            }
            symlink(format!("target{version}"), lab.path(format!("{side}/{dir}/link"))).unwrap();
        }
        lab.file(format!("{side}/b/long"), content(50 + version, 3 << 20));
        lab.file(format!("{side}/b/twin1"), content(60 + version, 9000));
        fs::hard_link(lab.path(format!("{side}/b/twin1")), lab.path(format!("{side}/c/twin2")))
            .unwrap();
    }
    lab.file("new/c/huge", content(70, 33 << 20));
    lab::succeed(Command::new("mkfifo").arg(lab.path("new/a/pipe")));
    lab.file("new/fresh/deep/file", "fresh");
    for extra in ["old/extra", "old/b/extra", "old/c/extradir/x", "old/extratree/y/z"] {
        lab.file(extra, "extra");
    }
    lab::age(&lab.path("new"));
    lab::age_by(&lab.path("old"), -30_000);
    for dir in ["a", "b", "c", "c/d"] {
        for file in (0..12).step_by(3) {
            let name = format!("{dir}/file{file:02}");
            let time = fs::metadata(lab.path("new").join(&name)).unwrap().modified().unwrap();
            let copy = fs::File::options().write(true).open(lab.path("old").join(&name)).unwrap();
            copy.set_modified(time).unwrap();
        }
    }
}

/// One rule, where it strikes, and what has to be said.
struct Case<'a> {
    at: At,
    rule: &'a str,
    options: &'a str,
    code: i32,
    /// Parts of one line on stderr, beside the side.
    says: &'a [&'a str],
}

fn check(case: &Case<'_>) {
    let Case { at, rule, options, code, says } = *case;
    let lab = Lab::new();
    trees(&lab);
    let (new, old) = (lab.path("new"), lab.path("old"));
    let (new_files, old_files) = (lab::contents(&new), lab::contents(&old));
    let (new_names, old_names) = (lab::names(&new), lab::names(&old));
    let rule_made = vec![rule.parse().unwrap()];
    let backing = if at == At::Source { &new } else { &old };
    let config = testfs::Config { faults: rule_made, ..testfs::Config::new(backing) };
    let mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
    let line = match at {
        At::Source => format!("{options} mnt/ old/"),
        At::Destination => format!("{options} new/ mnt/"),
    };
    let done = lab.lanesync(&line).go();
    let what = format!("{at:?} {rule} {options}: {done}");
    assert!(mount.stats().faults > 0, "the fault never struck: {what}");
    assert_eq!(done.code, code, "{what}");
    let side = if at == At::Source { "source: " } else { "destination: " };
    let is_said = |line: &str| line.contains(side) && says.iter().all(|part| line.contains(part));
    assert!(done.stderr.lines().any(is_said), "no line says {side:?} and {says:?}: {what}");
    lab::assert_whole(&old, &old_files, &new_files);
    let now = lab::names(&old);
    let lost: Vec<_> =
        old_names.intersection(&new_names).filter(|name| !now.contains(*name)).collect();
    assert!(lost.is_empty(), "{lost:?} are at the source and were removed: {what}");
    if at == At::Source {
        let failed: Vec<_> = says.iter().filter_map(|part| part.strip_prefix("mnt")).collect();
        for dir in failed {
            let below = |name: &&PathBuf| name.starts_with(dir.trim_start_matches('/'));
            let gone: Vec<_> =
                old_names.iter().filter(below).filter(|name| !now.contains(*name)).collect();
            assert!(gone.is_empty(), "{gone:?} went although {dir} failed: {what}");
        }
    }
    mount.set_faults(Vec::new());
    lab.lanesync(&line).go().expect(0);
    drop(mount);
    if options.contains("--delete") {
        lab.assert_same("new", "old");
    }
}

fn check_all(at: At, code: i32, cases: &[(&str, &[&str])], options: &[&str]) {
    let mut failed = Vec::new();
    for (rule, says) in cases {
        for options in options {
            let case = Case { at, rule, options, code, says };
            if let Err(panic) = std::panic::catch_unwind(|| check(&case)) {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                failed.push(format!("* {rule} {options}: {text}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
}

const EIO: &str = "Input/output error";

#[test]
fn a_source_directory_that_cannot_be_listed_removes_nothing_below_it() {
    check_all(
        At::Source,
        23,
        &[
            ("readdir:EIO:b", &["mnt/b", EIO]),
            ("opendir:EIO:c", &["mnt/c", EIO]),
            ("opendir:EACCES:c/d", &["mnt/c/d", "Permission denied"]),
            ("readdir:EIO:", &["list", "mnt", EIO]),
            ("lookup:EIO:b", &["mnt/b", EIO]),
            ("getattr:ESTALE:c/d", &["mnt/c/d", "Stale file handle"]),
        ],
        &[
            "-aH --delete",
            "-aH --delete --workers 1",
            "-aH --delete-after",
            "-aH --delete-before",
            "-aH",
        ],
    );
}

#[test]
fn a_source_file_that_cannot_be_read_is_told_and_its_old_copy_stays() {
    check_all(
        At::Source,
        23,
        &[
            ("open:EIO:b/file01", &["open", "mnt/b/file01", EIO]),
            ("read:EIO:b/file01", &["read", "mnt/b/file01", EIO]),
            ("read:EIO:b/file02", &["read", "mnt/b/file02", EIO]),
            ("read:EIO:b/long:after=2", &["read", "mnt/b/long", EIO]),
            ("read:EIO:c/huge:after=20", &["read", "mnt/c/huge", EIO]),
            ("lookup:EIO:a/file02", &["mnt/a/file02", EIO]),
            ("readlink:EIO:c/link", &["read link", "mnt/c/link", EIO]),
            // Both names: by which one the server knows the inode depends on who looked first.
            ("open:EACCES:*/twin*", &["open", "mnt/b/twin1", "Permission denied"]),
        ],
        &["-aH --delete", "-aH --workers 1"],
    );
}

/// New, to be replaced, and to be replaced when it can only be read the first time.
#[test]
fn a_source_file_whose_pretence_cannot_be_read_is_told_and_its_old_copy_stays() {
    check_all(
        At::Source,
        23,
        &[
            ("getxattr:EIO:b/file01", &["look at", "mnt/b/file01", EIO]),
            ("getxattr:EIO:b/file02", &["look at", "mnt/b/file02", EIO]),
            ("getxattr:EIO:b/file02:after=1", &["look at", "mnt/b/file02", EIO]),
            ("getxattr:EIO:b/long:after=1", &["look at", "mnt/b/long", EIO]),
        ],
        &["-rpt --fake-super", "-rpt --fake-super --workers 1"],
    );
}

#[test]
fn a_source_file_that_cannot_be_read_keeps_later_deletions_back() {
    for rule in ["read:EIO:b/file01", "open:EIO:b/file02", "read:EIO:c/huge:after=20"] {
        let lab = Lab::new();
        trees(&lab);
        let config = testfs::Config {
            faults: vec![rule.parse().unwrap()],
            ..testfs::Config::new(lab.path("new"))
        };
        let _mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
        let done = lab.lanesync("-aH --delete-after mnt/ old/").go().expect(23);
        for extra in ["old/extra", "old/b/extra", "old/c/extradir/x", "old/extratree/y/z"] {
            assert!(lab.path(extra).exists(), "{rule}: {extra} was removed: {done}");
        }
    }
}

#[test]
fn a_comparison_by_content_that_cannot_read_is_told_with_its_side() {
    let options = ["-aHc --delete", "-aHc --workers 1"];
    let says: &[&str] = &["mnt/b/file00", EIO];
    check_all(
        At::Source,
        23,
        &[("read:EIO:b/file00", says), ("open:EIO:b/file00", says)],
        &options,
    );
    check_all(At::Destination, 23, &[("read:EIO:b/file00", says)], &options);
}

#[test]
fn a_destination_directory_that_cannot_be_worked_in_is_told() {
    check_all(
        At::Destination,
        23,
        &[
            ("opendir:EIO:b", &["mnt/b", EIO]),
            ("readdir:EIO:b", &["list", "mnt/b", EIO]),
            ("mkdir:EIO:fresh", &["make directory", "mnt/fresh", EIO]),
            ("lookup:EIO:c/d", &["mnt/c/d", EIO]),
            ("rmdir:EIO:c/extradir", &["remove", "mnt/c/extradir", EIO]),
            ("unlink:EIO:b/extra", &["remove", "mnt/b/extra", EIO]),
            ("readdir:EIO:extratree/y", &["mnt/extratree/y", EIO]),
        ],
        &["-aH --delete", "-aH --delete-after --workers 1"],
    );
}

#[test]
fn a_destination_fault_is_told_and_counted_once_however_many_passes_meet_it() {
    for rule in ["opendir:EIO:b", "readdir:EIO:b", "lookup:EIO:c/d", "rmdir:EIO:c/extradir"] {
        for options in ["--delete", "--delete-before", "--delete-before --max-delete=90%"] {
            let lab = Lab::new();
            trees(&lab);
            let faults = vec![rule.parse().unwrap()];
            let config = testfs::Config { faults, ..testfs::Config::new(lab.path("old")) };
            let _mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
            let done = lab.lanesync(&format!("-aH {options} --json new/ mnt/")).go().expect(23);
            let told = done.stderr.lines().filter(|line| line.contains(EIO)).count();
            assert_eq!(told, 1, "{rule} {options}: {done}");
            assert!(done.stdout.contains("\"faults\":1,"), "{rule} {options}: {done}");
        }
    }
}

#[test]
fn a_destination_file_that_cannot_be_written_is_told_and_the_old_one_stays() {
    check_all(
        At::Destination,
        23,
        &[
            ("write:EIO:b/*long*", &["mnt/b/long", EIO]),
            ("write:EIO:b/*:after=3:times=1", &["mnt/b/", EIO]),
            ("write:EIO:c/*:after=30:times=1", &["mnt/c/", EIO]),
            ("create:EIO:b/*", &["mnt/b/", EIO]),
            ("rename:EIO:b/*", &["mnt/b/", EIO]),
            ("rename:EIO:b/file02", &["mnt/b/file02", EIO]),
            ("symlink:EIO:c/*", &["mnt/c/link", EIO]),
            ("mknod:EIO:a/*", &["mnt/a/pipe", EIO]),
            ("link:EIO", &["link", "mnt/", "twin", EIO]),
            ("truncate:EIO:c/*", &["mnt/c/huge", EIO]),
        ],
        &["-aH --delete", "-aH --delete --workers 1"],
    );
}

#[test]
fn a_write_that_fails_when_the_file_is_closed_or_synced_is_told() {
    let cases: &[(&str, &[&str])] = &[("fsync:EIO:b/*", &["sync", "mnt/b/", EIO])];
    check_all(
        At::Destination,
        23,
        cases,
        &["-aH --fsync --delete", "-aH --fsync --delete --workers 1"],
    );
    // As on NFS, where a full or failing server says so at last when the file is closed.
    let cases: &[(&str, &[&str])] = &[("flush:EIO:b/*", &["mnt/b/", EIO])];
    check_all(At::Destination, 23, cases, &["-aH --delete"]);
    let full: &[&str] = &["mnt/b/", "No space left on device"];
    check_all(At::Destination, 11, &[("flush:ENOSPC:b/*", full)], &["-aH --delete"]);
}

#[test]
fn a_destination_without_room_ends_the_run() {
    let full: &[&str] = &["mnt/", "No space left on device"];
    check_all(
        At::Destination,
        11,
        &[
            ("write:ENOSPC:*:after=9", full),
            ("create:ENOSPC:c/*", full),
            ("mkdir:ENOSPC", full),
            ("symlink:ENOSPC", full),
            ("rename:ENOSPC:b/*", full),
            ("write:EDQUOT:*:after=9", &["mnt/", "quota exceeded"]),
        ],
        &["-aH --delete", "-aH --workers 1"],
    );
}

#[test]
fn room_that_cannot_be_asked_for_does_not_matter() {
    let lab = Lab::new();
    trees(&lab);
    let faults = vec!["statfs:EIO".parse().unwrap()];
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path("old")) };
    let mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
    lab.lanesync("-aH --delete new/ mnt/").go().expect(0);
    drop(mount);
    lab.assert_same("new", "old");
}

/// What a file system cannot keep is told, and the rest of the entry arrives (as from rsync).
#[test]
fn attributes_that_cannot_be_set_are_told_and_the_content_arrives() {
    for (rule, cause) in [
        ("chown:EPERM:*file01*", "Operation not permitted"),
        ("chmod:EPERM:*file01*", "Operation not permitted"),
        ("utimens:EPERM:*file01*", "Operation not permitted"),
        ("setxattr:ENOTSUP:*file01*", "Operation not supported"),
        ("setxattr:ENOSPC:*file01*", "No space left on device"),
    ] {
        let lab = Lab::new();
        for name in ["a", "file01", "zzz"] {
            let path = lab.file(format!("new/{name}"), name);
            lab::succeed(Command::new("setfattr").args(["-n", "user.x", "-v", "y"]).arg(&path));
            std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
            lab::set_mode(&path, 0o750);
        }
        lab::age(&lab.path("new"));
        // Where the new name is a file without one until it is complete, the rule has to see it all.
        let rule = rule.replace("*file01*", "*");
        let run = |program: &str| {
            let backing = lab.dir(format!("by-{program}"));
            let faults = vec![rule.parse().unwrap()];
            let config = testfs::Config { faults, ..testfs::Config::new(&backing) };
            let mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
            let line = "-aX new/ mnt/";
            let done = if program == "rsync" { lab.rsync(line) } else { lab.lanesync(line) }.go();
            assert!(mount.stats().faults > 0, "{rule} never struck");
            (done, lab::contents(&backing))
        };
        let (expected, (done, files)) = (run("rsync"), run("lanesync"));
        assert_eq!(expected.0.code, 23, "rsync has changed its ways: {}", expected.0);
        assert_eq!(files, expected.1, "{rule}: {done}");
        done.expect(23).complains(&["destination", "mnt/file01", cause]);
    }
}

#[test]
fn the_first_of_hard_links_that_cannot_be_placed_does_not_take_the_others_along() {
    for workers in ["", "--workers 1"] {
        let lab = Lab::new();
        lab.file("src/a", "linked");
        for twin in ["src/b", "src/dir/c"] {
            fs::create_dir_all(lab.path(twin).parent().unwrap()).unwrap();
            fs::hard_link(lab.path("src/a"), lab.path(twin)).unwrap();
        }
        lab.file("src/zzz", "last");
        lab.file("dst/a/in the way", "x");
        let done = lab.lanesync(&format!("-aH --stats {workers} src/ dst/")).go().expect(23);
        let done = done.complains(&["destination", "dst/a", "not empty"]);
        for twin in ["dst/b", "dst/dir/c", "dst/zzz"] {
            assert!(lab.path(twin).exists(), "{twin} was not copied: {done}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_replaced_keeps_its_name_although_a_backup_was_asked_for() {
    for options in ["-a --backup", "-a --backup-dir=.old", "-a --backup --delay-updates"] {
        for passing in 0..3 {
            let lab = Lab::new();
            lab.file("new/file", "new content");
            lab.file("old/file", "old content");
            lab::age(&lab.path("new"));
            let faults = vec![format!("rename:EIO:*:after={passing}").parse().unwrap()];
            let config = testfs::Config { faults, ..testfs::Config::new(lab.path("old")) };
            let mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
            let done = lab.lanesync(&format!("{options} new/ mnt/")).go();
            let struck = mount.stats().faults > 0;
            assert_eq!(done.code, if struck { 23 } else { 0 }, "{passing}: {done}");
            let now = fs::read_to_string(lab.path("old/file")).unwrap_or_default();
            let wanted: &[&str] =
                if struck { &["old content", "new content"] } else { &["new content"] };
            assert!(wanted.contains(&now.as_str()), "{passing}: the name holds {now:?}: {done}");
            let all: Vec<_> = lab::contents(&lab.path("old")).into_values().collect();
            assert!(all.iter().any(|text| text == b"old content"), "{passing}: {done}");
        }
    }
}

/// Whichever call on it fails, the old file has its name or its backup name.
#[test]
fn a_name_that_cannot_be_looked_at_is_not_taken_for_one_that_is_free() {
    let mut failed = 0;
    for calls_before in 0..16 {
        let lab = Lab::new();
        lab.file("src/a", "new");
        fs::hard_link(lab.path("src/a"), lab.path("src/b")).unwrap();
        for name in ["backing/a", "backing/b"] {
            lab.file(name, "the old one");
        }
        let rule = format!("*:EIO:b:after={calls_before}:times=1");
        let faults = vec![rule.parse().unwrap()];
        let config = testfs::Config { faults, ..testfs::Config::new(lab.path("backing")) };
        let _mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
        let done = lab.lanesync("-aH --backup src/ dst/").go();
        let kept = |name: &str| fs::read(lab.path(name)).is_ok_and(|old| old == b"the old one");
        assert!(kept("backing/b") || kept("backing/b~"), "after {calls_before} calls: {done}");
        failed += usize::from(done.code == 23);
    }
    assert!(failed > 1, "{failed} runs failed");
}

/// A directory of so many names that it is listed in several calls, of which a later one fails.
fn breaks_off(at: At, dir: &str, options: &str) {
    let lab = Lab::new();
    for number in 0..1500 {
        for side in ["new", "old"] {
            lab.file(format!("{side}/wide/{}{number:04}", "long_name_".repeat(10)), "x");
        }
        lab.file(format!("old/gone/{}{number:04}", "long_name_".repeat(10)), "x");
        if dir.is_empty() {
            lab.file(format!("new/{}{number:04}", "long_name_".repeat(10)), "x");
        }
    }
    lab.file("old/wide/extra", "extra");
    lab::age(&lab.path("new"));
    lab::age(&lab.path("old"));
    let (source, before) = (lab::names(&lab.path("new")), lab::names(&lab.path("old")));
    let backing = if at == At::Source { "new" } else { "old" };
    let faults = vec![format!("readdir:EIO:{dir}:after=1").parse().unwrap()];
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path(backing)) };
    let mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
    let line = if at == At::Source { "mnt/ old/" } else { "new/ mnt/" };
    let done = lab.lanesync(&format!("{options} {line}")).go();
    assert!(mount.stats().faults > 0, "the fault never struck: {done}");
    let after = lab::names(&lab.path("old"));
    let lost = before.intersection(&source).filter(|name| !after.contains(*name)).count();
    assert_eq!(lost, 0, "{at:?} {dir:?} {options}: names that the source has: {done}");
    if at == At::Source {
        assert!(lab.path("old/wide/extra").exists() || dir.is_empty(), "{options}: {done}");
        assert!(lab.path("old/gone").exists() || !dir.is_empty(), "{options}: {done}");
    }
    assert_eq!(done.code, 23, "{at:?} {dir:?} {options}: {done}");
    let side = if at == At::Source { "source: list" } else { "destination: list" };
    done.complains(&[side, &format!("mnt/{dir}"), EIO]);
}

#[test]
fn a_source_listing_that_breaks_off_in_the_middle_is_told_and_removes_nothing() {
    breaks_off(At::Source, "wide", "-a --delete");
    breaks_off(At::Source, "wide", "-a --delete-after");
    breaks_off(At::Source, "", "-a --delete --workers 1");
}

#[test]
fn a_destination_listing_that_breaks_off_in_the_middle_is_told() {
    breaks_off(At::Destination, "wide", "-a --delete");
    breaks_off(At::Destination, "wide", "-a");
}

#[test]
fn a_listing_of_what_is_to_go_that_breaks_off_in_the_middle_is_told() {
    breaks_off(At::Destination, "gone", "-a --delete");
    breaks_off(At::Destination, "gone", "-a --delete-after --workers 1");
}

#[test]
fn a_fault_that_only_the_first_look_met_is_told_and_removes_nothing() {
    for options in ["-aH --delete-before", "-aH --delete --max-delete=90%"] {
        let lab = Lab::new();
        trees(&lab);
        let faults = vec!["readdir:EIO:b:times=1".parse().unwrap()];
        let config = testfs::Config { faults, ..testfs::Config::new(lab.path("new")) };
        let mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
        let done = lab.lanesync(&format!("{options} mnt/ old/")).go();
        assert_eq!(mount.stats().faults, 1);
        assert_eq!(done.code, 23, "{options}: {done}");
        done.complains(&["source: list", "mnt/b", EIO]);
        assert!(lab.path("old/extra").exists() && lab.path("old/b/extra").exists(), "{options}");
        lab.lanesync(&format!("{options} mnt/ old/")).go().expect(0);
        drop(mount);
        lab.assert_same("new", "old");
    }
}

#[test]
fn the_path_of_a_rule_is_below_the_mount() {
    // The other tests rely on this: without a name, a rule is about the root.
    let lab = Lab::new();
    lab.file("backing/inner", "x");
    let faults = vec!["readdir:EIO:".parse().unwrap()];
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path("backing")) };
    let mount = testfs::Mount::at(config, &lab.dir("mnt")).unwrap();
    let listed =
        fs::read_dir(Path::new(mount.path())).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    assert_eq!(listed.unwrap_err().raw_os_error(), Some(5));
}
