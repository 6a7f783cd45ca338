//! An entry changes at the worst moment, between being listed and being read: a slow source makes
//! that moment as long as it takes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{self, Done, Lab, Running, content};

/// Lists many files of which the last is changed while the first are copied.
fn changes_late(change: &dyn Fn(&Path)) -> (Lab, Done) {
    let lab = Lab::new();
    for number in 0..40 {
        lab.file(format!("backing/file{number:02}"), "first");
    }
    lab.file("dst/zz_last", "old copy");
    lab.file("backing/zz_last", "listed");
    let config = testfs::Config {
        delay: Duration::from_millis(5),
        ..testfs::Config::new(lab.path("backing"))
    };
    let mount = testfs::Mount::at(config, &lab.dir("src")).unwrap();
    let mut run = lab.lanesync("-a --delete --workers 1 src/ dst/").start();
    run.until("the first file was copied", || lab.path("dst/file00").exists());
    change(&lab.path("backing/zz_last"));
    let done = run.wait();
    drop(mount);
    for number in 0..40 {
        assert!(lab.path(format!("dst/file{number:02}")).exists(), "{number} is missing: {done}");
    }
    (lab, done)
}

#[test]
fn a_file_that_vanished_after_it_was_listed_gives_24_and_its_copy_stays() {
    let (lab, done) = changes_late(&|path| fs::remove_file(path).unwrap());
    done.expect(24).complains(&["source", "src/zz_last", "vanished"]);
    assert_eq!(fs::read(lab.path("dst/zz_last")).unwrap(), b"old copy");
}

#[test]
fn a_file_that_became_a_directory_after_it_was_listed_is_not_passed_over_in_silence() {
    let (lab, done) = changes_late(&|path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("inner"), "new").unwrap();
    });
    if lab.path("dst/zz_last/inner").exists() {
        done.expect(0);
    } else {
        done.expect_one_of(&[23, 24]).complains(&["source", "src/zz_last"]);
    }
}

#[test]
fn a_file_that_became_a_link_after_it_was_listed_is_not_followed() {
    let (lab, done) = changes_late(&|path| {
        fs::write(path.with_file_name("../secret"), "secret").unwrap();
        fs::remove_file(path).unwrap();
        symlink("../secret", path).unwrap();
    });
    let at = lab.path("dst/zz_last");
    if at.is_symlink() {
        done.expect(0);
    } else {
        done.expect_one_of(&[23, 24]).complains(&["source", "src/zz_last"]);
        assert_eq!(fs::read(at).unwrap(), b"old copy");
    }
}

#[test]
fn a_file_that_became_a_pipe_after_it_was_listed_does_not_hang_the_run() {
    let (lab, done) = changes_late(&|path| {
        fs::remove_file(path).unwrap();
        lab::succeed(Command::new("mkfifo").arg(path));
    });
    if lab.path("dst/zz_last").is_file() {
        done.expect_one_of(&[23, 24]).complains(&["source", "src/zz_last"]);
    } else {
        done.expect(0);
    }
}

/// Lists many directories of which the last is changed while the first are copied.
fn changes_a_late_directory(change: &dyn Fn(&Path)) -> (Lab, Done) {
    let lab = Lab::new();
    for side in ["backing", "dst"] {
        lab.file(format!("{side}/zz_last/inner"), "inner");
        lab.file(format!("{side}/zz_last/deep/inner"), "inner");
    }
    for number in 0..30 {
        lab.file(format!("backing/dir{number:02}/file"), "file");
    }
    lab.file("dst/zz_last/extra", "extra");
    let config = testfs::Config {
        delay: Duration::from_millis(5),
        ..testfs::Config::new(lab.path("backing"))
    };
    let mount = testfs::Mount::at(config, &lab.dir("src")).unwrap();
    let mut run = lab.lanesync("-a --delete --workers 1 src/ dst/").start();
    run.until("the first directory was copied", || lab.path("dst/dir00/file").exists());
    change(&lab.path("backing/zz_last"));
    let done = run.wait();
    drop(mount);
    for number in 0..30 {
        assert!(
            lab.path(format!("dst/dir{number:02}/file")).exists(),
            "{number} is missing: {done}"
        );
    }
    (lab, done)
}

#[test]
fn a_directory_that_vanished_after_it_was_listed_gives_24_and_its_copy_stays() {
    let (lab, done) = changes_a_late_directory(&|path| fs::remove_dir_all(path).unwrap());
    done.expect(24).complains(&["source", "src/zz_last", "vanished"]);
    for name in ["inner", "deep/inner", "extra"] {
        assert!(lab.path("dst/zz_last").join(name).exists(), "{name} was removed");
    }
}

#[test]
fn a_directory_that_became_a_link_after_it_was_listed_is_not_followed() {
    let (lab, done) = changes_a_late_directory(&|path| {
        let elsewhere = path.with_file_name("../elsewhere");
        fs::rename(path, &elsewhere).unwrap();
        fs::write(elsewhere.join("secret"), "secret").unwrap();
        symlink("../elsewhere", path).unwrap();
    });
    done.expect_one_of(&[23, 24]).complains(&["source", "src/zz_last"]);
    for name in ["inner", "deep/inner", "extra"] {
        assert!(lab.path("dst/zz_last").join(name).exists(), "{name} was removed");
    }
    assert!(!lab.path("dst/zz_last/secret").exists(), "the link was followed");
}

#[test]
fn a_directory_that_became_a_file_after_it_was_listed_keeps_its_copy() {
    let (lab, done) = changes_a_late_directory(&|path| {
        fs::remove_dir_all(path).unwrap();
        fs::write(path, "file now").unwrap();
    });
    done.expect_one_of(&[23, 24]).complains(&["source", "src/zz_last"]);
    for name in ["inner", "deep/inner", "extra"] {
        assert!(lab.path("dst/zz_last").join(name).exists(), "{name} was removed");
    }
}

#[test]
fn a_source_that_dies_in_the_middle_removes_nothing() {
    for options in ["-a --delete", "-a --delete --workers 1", "-a --delete-after", "-aH --delete"] {
        let lab = Lab::new();
        for side in ["backing", "dst"] {
            for number in 0..300 {
                let name = format!("{side}/dir{:02}/file{number:03}", number % 30);
                lab.file(name, format!("file {number} of {side}"));
            }
        }
        let before = lab::names(&lab.path("dst"));
        let config = testfs::Config {
            delay: Duration::from_millis(2),
            ..testfs::Config::new(lab.path("backing"))
        };
        let mount = testfs::Mount::at(config, &lab.dir("src")).unwrap();
        let mut run = lab.lanesync(&format!("{options} src/ dst/")).start();
        let is_copied =
            |name: &str| fs::read_to_string(lab.path(name)).unwrap().contains("backing");
        run.until("the first file was copied", || is_copied("dst/dir00/file000"));
        mount.set_faults(vec!["*:EIO".parse().unwrap()]);
        let done = run.wait().expect(23).complains(&["source", "Input/output error"]);
        let missing: Vec<_> = before.difference(&lab::names(&lab.path("dst"))).cloned().collect();
        assert!(missing.is_empty(), "{options} removed {missing:?}: {done}");
    }
}

/// Somebody else makes files at the destination, under names that were free when they were looked for
/// and whose content is on its way.
fn appears_meanwhile(options: &str) -> (Lab, Running) {
    let lab = Lab::new();
    lab.file("src/aa", "first");
    lab.file("src/file", content(1, 4 << 20));
    fs::hard_link(lab.path("src/file"), lab.path("src/twin")).unwrap();
    lab::age(&lab.path("src"));
    lab.dir("dst");
    let line = format!("-a --bwlimit=2m --workers 1 {options} src/ dst/");
    let mut run = lab.lanesync(&line).start();
    let is_begun = || lab.path("dst/aa").exists() || lab.path("dst/.~tmp~/aa").exists();
    run.until("the first file was copied", is_begun);
    run.signal(Signal::STOP);
    for name in ["file", "twin"] {
        assert!(!lab.path("dst").join(name).exists(), "it was copied too soon");
        lab.file(format!("dst/{name}"), "appeared");
    }
    run.signal(Signal::CONT);
    (lab, run)
}

#[test]
fn what_appears_under_a_name_meanwhile_is_backed_up_or_left_alone() {
    let ways = ["", "-H", "--delay-updates", "-H --delay-updates"];
    let settings = ["", "-b", "--ignore-existing", "-u -b"];
    let cases = ways.iter().flat_map(|way| settings.map(|setting| (*way, setting)));
    let started: Vec<_> =
        cases.map(|case| (case, appears_meanwhile(&format!("{} {}", case.0, case.1)))).collect();
    for ((way, setting), (lab, run)) in started {
        let done = run.wait().expect(0);
        let stays = matches!(setting, "--ignore-existing" | "-u -b");
        let whole = content(1, 4 << 20);
        for name in ["file", "twin"] {
            let now = fs::read(lab.path("dst").join(name)).unwrap();
            let wanted = if stays { b"appeared" } else { &whole[..] };
            assert!(now == wanted, "{name} is another with {way} {setting}: {done}");
            let backup = fs::read(lab.path(format!("dst/{name}~"))).ok();
            let wanted = (setting == "-b").then_some(b"appeared".to_vec());
            assert_eq!(backup, wanted, "{name} {way} {setting}: {done}");
        }
        let others = lab::names(&lab.path("dst")).len() - if setting == "-b" { 5 } else { 3 };
        assert_eq!(others, 0, "{way} {setting} left something: {done}");
    }
}
