//! A second run finds nothing to do, nor does rsync after us, nor we after rsync, whatever the names
//! and however many workers.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::lab::{self, Lab, content, name};

/// Everything that has made a copier stumble.
fn odd_tree(lab: &Lab) {
    let root = lab.dir("src");
    let mut names: Vec<OsString> = [
        &b"new\nline"[..],
        b"\xff\xfe",
        b"-rf",
        b"--delete",
        b"trailing ",
        b" ",
        b"tab\there",
        b"back\\slash",
        b"glob*[a]?",
        b"\"quoted'",
        b"co:lon",
        b"#hash",
        b"~tilde",
        b"\r",
        b"\x01\x7f",
        b"a",
        b"ab",
        "\u{e9}\u{20ac}\u{1f600}".as_bytes(),
        b".hidden",
        b"..dots",
        b"...",
        b".file.AbCdEf",
    ]
    .iter()
    .map(|bytes| name(bytes))
    .collect();
    names.push(name(&[b'x'; 255]));
    names.push(name(&[b"\xc3\xa9".repeat(127), b"y".to_vec()].concat()));
    for (number, odd) in names.iter().enumerate() {
        fs::write(root.join(odd), content(number as u64, 10 + number * 300)).unwrap();
        let dir = root.join("dirs").join(odd);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(odd), "inner").unwrap();
        symlink(odd, dir.join("link")).unwrap();
    }
    symlink("/nonexistent/\u{ff}", root.join("dangling")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("t".repeat(3000), root.join("long target")).unwrap();
    for (number, group) in ["one", "two", "three"].into_iter().enumerate() {
        let first = lab.file(format!("src/links1/{group}"), content(900 + number as u64, 5000));
        for dir in ["links2", "links3/deep"] {
            fs::create_dir_all(root.join(dir)).unwrap();
            fs::hard_link(&first, root.join(dir).join(group)).unwrap();
        }
    }
    symlink("target", root.join("links1/linked link")).unwrap();
    fs::hard_link(root.join("links1/linked link"), root.join("links2/linked link")).unwrap();
    lab::succeed(Command::new("mkfifo").arg(root.join("pipe")));
    lab::succeed(Command::new("mknod").arg(root.join("device")).args(["c", "1", "3"]));
    lab::succeed(Command::new("setfattr").args(["-n", "user.a", "-v", "b"]).arg(root.join("a")));
    lab::succeed(Command::new("setfacl").args(["-m", "u:4242:r"]).arg(root.join("ab")));
    lab::succeed(Command::new("setfacl").args(["-d", "-m", "g:4242:rx"]).arg(root.join("links2")));
    for (file, mode) in
        [("a", 0o4755), ("ab", 0o640), ("-rf", 0), ("dirs", 0o2770), ("links1", 0o1777)]
    {
        lab::set_mode(&root.join(file), mode);
    }
    std::os::unix::fs::chown(root.join("a"), Some(4242), Some(4243)).unwrap();
    lab::set_mode(&root.join("a"), 0o4755);
    std::os::unix::fs::lchown(root.join("dangling"), Some(4242), Some(4243)).unwrap();
    lab::age(&root);
    lab::set_mtime(&root.join("ab"), -5_000_000);
    lab::set_mtime(&root.join("links2"), 5_000_000_000);
}

/// The second pass: groups of hard links come apart and together, kinds change.
fn change(lab: &Lab) {
    let root = lab.path("src");
    fs::write(root.join("links1/one"), "changed through one name").unwrap();
    fs::remove_file(root.join("links2/two")).unwrap();
    fs::write(root.join("links2/two"), "now on its own").unwrap();
    fs::remove_file(root.join("links3/deep/three")).unwrap();
    fs::hard_link(root.join("links1/one"), root.join("links3/deep/three")).unwrap();
    fs::remove_file(root.join("device")).unwrap();
    symlink("was a device", root.join("device")).unwrap();
    fs::remove_file(root.join("pipe")).unwrap();
    fs::create_dir(root.join("pipe")).unwrap();
    fs::write(root.join("pipe/inner"), "x").unwrap();
    fs::remove_dir_all(root.join("dirs/-rf")).unwrap();
    fs::write(root.join("dirs/-rf"), "was a directory").unwrap();
    fs::remove_file(root.join("dangling")).unwrap();
    lab::age_by(&root, 4000);
}

const OPTIONS: &str = "-aHAX --delete";

#[test]
fn a_second_run_has_nothing_to_do_and_neither_has_rsync() {
    for workers in ["", "--workers 1", "--workers 64"] {
        let lab = Lab::new();
        odd_tree(&lab);
        for pass in 0..2 {
            let line = format!("{OPTIONS} {workers} src/ dst/");
            lab.lanesync(&line).go().expect(0);
            lab.assert_same("src", "dst");
            let again = lab.lanesync(&format!("{line} -i")).go().expect(0);
            assert_eq!(again.stdout, "", "pass {pass}");
            let exactly = lab.lanesync(&format!("{line} -ic")).go().expect(0);
            assert_eq!(exactly.stdout, "", "pass {pass}, by content");
            if pass == 0 {
                change(&lab);
            }
        }
    }
}

#[test]
fn we_have_nothing_to_do_after_rsync() {
    let lab = Lab::new();
    odd_tree(&lab);
    for pass in 0..2 {
        lab.rsync(&format!("{OPTIONS} src/ dst/")).go().expect(0);
        let before = lab::fingerprints(&lab.path("dst"));
        for more in ["", "-n", "-c", "--workers 1"] {
            let done = lab.lanesync(&format!("{OPTIONS} -i {more} src/ dst/")).go().expect(0);
            assert_eq!(done.stdout, "", "pass {pass} {more}");
            assert_eq!(lab::fingerprints(&lab.path("dst")), before, "pass {pass} {more}");
        }
        if pass == 0 {
            change(&lab);
        }
    }
}

#[test]
fn one_worker_and_many_make_the_same_tree_and_say_the_same() {
    let lab = Lab::new();
    odd_tree(&lab);
    for number in 0..40_u64 {
        lab.file(format!("src/more{:02}/{number}", number % 7), content(number, 200_000));
    }
    lab.file("src/more00/huge", content(7, 36 << 20));
    lab::age(&lab.path("src"));
    for pass in 0..2 {
        let mut said = Vec::new();
        for workers in ["1", "2", "64"] {
            let copy = format!("dst{workers}");
            lab.dir(&copy);
            let done =
                lab.lanesync(&format!("{OPTIONS} -ii --workers {workers} src/ {copy}/")).go();
            said.push(done.expect(0).stdout);
            lab.assert_same("src", &copy);
        }
        if pass == 0 {
            change(&lab);
            fs::remove_dir_all(lab.path("src/more03")).unwrap();
        }
    }
}

#[test]
fn names_on_the_command_line_may_be_odd_too() {
    let lab = Lab::new();
    for odd in [&b"-src"[..], b"new\nline", b"\xff", b"trailing ", b"a b"] {
        let (from, to) = (name(odd), name(&[b"to ".as_slice(), odd].concat()));
        fs::create_dir(lab.path(&from)).unwrap();
        fs::write(lab.path(&from).join("file"), "x").unwrap();
        let slash = |name: &OsString| {
            let mut path = OsString::from("./");
            path.push(name);
            path.push("/");
            path
        };
        lab.lanesync("-a").word("--").word(slash(&from)).word(slash(&to)).go().expect(0);
        assert_eq!(fs::read(lab.path(&to).join(Path::new("file"))).unwrap(), b"x");
    }
}
