//! What ends a run, or makes it less than whole: it is told, and no bucket is there that is not right.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::buckets::{all_paths, buckets, files, move_in_turn};
use crate::lab::{self, Lab};
use crate::support::records;

/// Many directories with few files each.
fn tree(lab: &Lab, source: &str) {
    for number in 0..300 {
        lab.file(format!("{source}/dir{:02}/deep{number:03}/file", number % 20), "content");
    }
    lab::age(&lab.path(source));
}

#[track_caller]
fn refuses(lab: &Lab, words: &str, code: i32, says: &[&str]) {
    let before = lab::names(&lab.path("src"));
    let done = lab.lanesync(&format!("manifest {words} -o lists")).go().expect(code);
    done.complains(says);
    let is_untouched = !lab.path("lists").exists() || files(&lab.path("lists")).is_empty();
    assert!(is_untouched, "{words}: something was written");
    assert_eq!(lab::names(&lab.path("src")), before, "{words}");
}

#[test]
fn what_cannot_be_meant_is_refused_and_nothing_is_written() {
    let lab = Lab::new();
    lab.file("src/file", "content");
    lab.file("plain", "a file");
    refuses(&lab, "-b 2", 1, &["manifest", "one path"]);
    refuses(&lab, "src plain -b 2", 1, &["manifest", "one path"]);
    refuses(&lab, "plain -b 2", 3, &["plain"]);
    refuses(&lab, "absent -b 2", 3, &["absent"]);
    refuses(&lab, "src", 1, &["--buckets", "--max-size"]);
    refuses(&lab, "src -b 2 --max-size=1M", 1, &["--buckets", "--max-size"]);
    refuses(&lab, "src -b 2 --live", 1, &["--live", "--max-size"]);
    refuses(&lab, "src -b 0", 1, &["-b"]);
    refuses(&lab, "src --max-size=0", 1, &["--max-size"]);
    refuses(&lab, "src --max-size=1M --format=rsync-filter", 1, &["rsync-filter", "--buckets"]);
    let words = "src -b 2 --format=rsync-filter --from-list=plain";
    refuses(&lab, words, 1, &["rsync-filter", "--from-list"]);
    refuses(&lab, "src -b 2 --format=tar", 1, &["--format", "robocopy"]);
    refuses(&lab, "src -b 2 --name-template=list.txt", 1, &["[n]"]);
    refuses(&lab, "src -b 2 --name-template=a/[n].txt", 1, &["template"]);
    refuses(&lab, "src -b 2 --name-template=../[n].txt", 1, &["template"]);
    refuses(&lab, "src -b 2 --exec-jobs=2", 1, &["--exec"]);
    refuses(&lab, "src -b 2 --ca=plain", 1, &["--ca", "qumulo://"]);
}

#[test]
fn a_file_that_is_there_is_left_and_nothing_else_is_written() {
    for sharing in ["-b 3", "--max-files=100", "--max-files=100 --live"] {
        let lab = Lab::new();
        tree(&lab, "src");
        lab.file("lists/b2.txt", "of somebody else");
        let before = lab::fingerprints(&lab.path("lists"));
        let words = format!("manifest src -o lists --name-template=b[n].txt {sharing}");
        lab.lanesync(&words).go().expect(11).complains(&[
            "destination",
            "lists/b2.txt",
            "--output",
        ]);
        assert_eq!(lab::fingerprints(&lab.path("lists")), before, "{sharing}");
        // With other names both stay.
        let words = format!("manifest src -o lists --name-template=c[n].txt {sharing}");
        lab.lanesync(&words).go().expect(0);
        assert_eq!(fs::read(lab.path("lists/b2.txt")).unwrap(), b"of somebody else");
        assert!(lab.path("lists/c2.txt").exists());
    }
}

#[test]
fn a_folder_that_is_none_is_refused() {
    let lab = Lab::new();
    lab.file("src/file", "content");
    lab.file("plain", "a file");
    lab.lanesync("manifest src -b 1 -o plain").go().expect(11).complains(&["plain"]);
    lab.lanesync("manifest src -b 1 -o plain/below").go().expect(11).complains(&["plain"]);
    assert_eq!(fs::read(lab.path("plain")).unwrap(), b"a file");
    lab.lanesync("manifest src -b 1 -o new/below/this").go().expect(0);
    assert_eq!(files(&lab.path("new/below/this")).len(), 1);
}

#[test]
fn a_name_that_a_list_cannot_tell_is_named_and_no_bucket_is_left() {
    for (name, shown) in [("new\nline", "new\\#012line"), ("new\rline", "new\\#015line")] {
        for sharing in ["-b 3", "-b 302", "--max-files=1"] {
            let lab = Lab::new();
            tree(&lab, "src");
            lab.file(format!("src/{name}"), vec![b'x'; 5000]);
            refuses(&lab, &format!("src {sharing}"), 4, &["source", shown, "--format=rsync0"]);
        }
    }
}

#[test]
fn a_full_disk_leaves_no_bucket() {
    let lab = Lab::new();
    for number in 0..400 {
        lab.file(format!("src/{number:0200}"), "x");
    }
    for sharing in ["-b 2", "-b 20", "--max-files=20"] {
        let folder = lab.mount_tmpfs("lists", "size=40k,mode=755");
        let done = lab.lanesync(&format!("manifest src -o lists {sharing}")).go().expect(11);
        done.complains(&["destination", "lists", "No space left on device"]);
        assert_eq!(files(&folder), Vec::<PathBuf>::new(), "{sharing}");
    }
}

/// Each bucket that is there has its end.
fn assert_whole(lists: &[PathBuf]) {
    for list in lists {
        let records = records::parse(&fs::read_to_string(list).unwrap());
        assert_eq!(records.last().unwrap()["type"], "end", "{list:?}");
    }
}

#[test]
fn a_full_disk_leaves_whole_buckets_where_they_are_handed_out_at_once() {
    let lab = Lab::new();
    for number in 0..400 {
        lab.file(format!("src/{number:0200}"), "x");
    }
    let folder = lab.mount_tmpfs("lists", "size=60k,mode=755");
    let words = "manifest src -o lists --max-files=20 --live --format=json";
    let done = lab.lanesync(words).go().expect(11);
    done.complains(&["destination", "lists", "No space left on device"]);
    let left = files(&folder);
    assert!(!left.is_empty());
    assert_whole(&left);
}

/// A source that takes long to read, as each operation takes its time.
fn slow(lab: &Lab) -> testfs::Mount {
    tree(lab, "backing");
    let delay = Duration::from_millis(100);
    let config = testfs::Config { delay, ..testfs::Config::new(lab.path("backing")) };
    testfs::Mount::at(config, &lab.dir("src")).unwrap()
}

#[test]
fn an_interrupted_run_leaves_no_bucket() {
    for sharing in ["-b 3", "--max-files=2"] {
        let lab = Lab::new();
        let mount = slow(&lab);
        let mut run = lab.lanesync(&format!("manifest src -o lists {sharing}")).start();
        run.until("it reads the source", || mount.stats().operations > 60);
        run.signal(Signal::INT);
        run.wait().expect(20).complains(&["code 20"]);
        assert_eq!(files(&lab.path("lists")), Vec::<PathBuf>::new(), "{sharing}");
    }
}

#[test]
fn an_interrupted_run_keeps_the_buckets_that_it_handed_out() {
    let lab = Lab::new();
    let _mount = slow(&lab);
    let words = "manifest src -o lists --max-files=2 --live --format=json";
    let mut run = lab.lanesync(words).start();
    let is_list = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "jsonl");
    let lists = || files(&lab.dir("lists")).into_iter().filter(is_list).collect::<Vec<_>>();
    run.until("a bucket is there", || !lists().is_empty());
    run.signal(Signal::INT);
    run.wait().expect(20).complains(&["code 20"]);
    let left = files(&lab.path("lists"));
    assert!(!left.is_empty());
    assert_eq!(left.len(), lists().len(), "{left:?}");
    assert_whole(&left);
}

/// Whether a process has a file open.
fn has_open(process: u32, file: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
    open.flatten().any(|it| fs::read_link(it.path()).is_ok_and(|path| path == file))
}

#[test]
fn a_list_that_never_ends_can_be_interrupted() {
    for (begins, signal) in [(true, Signal::INT), (false, Signal::INT), (false, Signal::TERM)] {
        let lab = Lab::new();
        lab.file("src/file", "content");
        let pipe = lab.path("pipe");
        lab::succeed(Command::new("mkfifo").arg(&pipe));
        let mut run = lab.lanesync("manifest src -b 2 -o lists --from-list=pipe").start();
        let id = run.id();
        run.until("it has opened the list", || has_open(id, &pipe));
        let writer = begins.then(|| {
            let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
            writer.write_all(b"file\n").unwrap();
            writer
        });
        run.signal(signal);
        run.wait().expect(20);
        drop(writer);
    }
}

#[test]
fn a_list_that_never_ends_on_standard_input_can_be_interrupted() {
    let lab = Lab::new();
    lab.dir("src");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanesync"));
    command.args(["manifest", "src", "-b", "2", "-o", "lists", "--from-list=-"]);
    let mut run = command.current_dir(lab.path("")).stdin(Stdio::piped()).spawn().unwrap();
    let mut writer = run.stdin.take().unwrap();
    // More than a pipe holds, so that some of it has been read then.
    writer.write_all(&b"file\n".repeat(100_000)).unwrap();
    rustix::process::kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(20));
    drop(writer);
}

#[test]
fn a_list_may_come_late() {
    let lab = Lab::new();
    tree(&lab, "src");
    let pipe = lab.path("pipe");
    lab::succeed(Command::new("mkfifo").arg(&pipe));
    let words = "manifest src -b 2 -o lists --json --format=rclone --from-list=pipe";
    let mut run = lab.lanesync(words).start();
    let id = run.id();
    run.until("it has opened the list", || has_open(id, &pipe));
    let files: Vec<PathBuf> = lab::contents(&lab.path("src")).into_keys().collect();
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    for path in &files {
        writeln!(writer, "{}", path.display()).unwrap();
    }
    drop(writer);
    let done = run.wait().expect(0);
    assert_eq!(all_paths(&buckets(&lab, &done)), files);
}

#[test]
fn a_directory_that_cannot_be_read_is_named_and_all_else_is_in_the_buckets() {
    let lab = Lab::new();
    for number in 0..12 {
        lab.file(format!("src/dir{}/deep{number:02}/file", number % 4), "content");
    }
    lab.file("src/dir3/closed/file", "secret");
    lab::age(&lab.path("src"));
    lab::give_to_user(&lab.path("src"));
    lab::set_mode(&lab.path("src/dir3/closed"), 0);
    let mut expected = lab::contents(&lab.path("src"));
    expected.remove(&PathBuf::from("dir3/closed/file"));
    // As many buckets as there are entries, and more, are asked for, too.
    for sharing in ["-b 1", "-b 3", "-b 40", "--max-files=5", "--max-files=5000", "--max-size=1G"] {
        lab::give_to_user(&lab.dir("lists"));
        let words = format!("manifest src -o lists --json {sharing}");
        let done = lab.lanesync(&words).user().go().expect(23);
        assert!(done.stdout.contains("src/dir3/closed"), "{done}");
        assert!(done.stdout.contains("Permission denied"), "{done}");
        move_in_turn(&lab, &buckets(&lab, &done), "copy", "");
        let mut copied = lab::contents(&lab.path("copy"));
        // Who may read it all may have brought it.
        copied.remove(&PathBuf::from("dir3/closed/file"));
        assert!(expected == copied, "{sharing}");
        for made in ["copy", "lists"] {
            fs::remove_dir_all(lab.path(made)).unwrap();
        }
    }
}

#[test]
fn what_is_left_out_stays_so_beside_what_cannot_be_looked_at() {
    // Names can be read there, and nothing behind them.
    let lab = Lab::new();
    for number in 0..100 {
        lab.file(format!("src/top/shown/file{number:02}"), "content");
    }
    for name in ["beside", "shown/.snapshot/old", "shown/below/one", "shown/none.tmp", "more/two"] {
        lab.file(format!("src/top/{name}"), "content");
    }
    lab::age(&lab.path("src"));
    lab::give_to_user(&lab.path("src"));
    lab::set_mode(&lab.path("src/top/shown"), 0o444);
    let is_out =
        |path: &Path| path.ends_with("none.tmp") || path.starts_with("top/shown/.snapshot");
    let mut expected = lab::contents(&lab.path("src"));
    expected.retain(|path, _| !is_out(path));
    for sharing in
        ["-b 1", "-b 3", "-b 200", "--max-size=1G", "--max-files=20", "--max-files=20 --live"]
    {
        lab::give_to_user(&lab.dir("lists"));
        let words = format!("manifest src -o lists --json --exclude=*.tmp {sharing}");
        let done = lab.lanesync(&words).user().go().expect(23);
        assert!(done.stdout.contains("src/top/shown/file00"), "{done}");
        // By one who may.
        move_in_turn(&lab, &buckets(&lab, &done), "copy", "");
        let mut copied = lab::contents(&lab.path("copy"));
        assert!(!copied.keys().any(|path| is_out(path)), "{sharing}: {:?}", copied.keys());
        // What the directory could not be opened for is named, and its mover says the same.
        for all in [&mut expected, &mut copied] {
            all.remove(Path::new("top/shown/below/one"));
        }
        assert_eq!(copied, expected, "{sharing}");
        for made in ["copy", "lists"] {
            fs::remove_dir_all(lab.path(made)).unwrap();
        }
    }
}

/// Makes and removes files and directories until it is over.
fn changes(source: &Path, is_over: &AtomicBool) {
    for number in 0.. {
        let place = source.join(format!("dir{:02}", number % 20));
        let file = place.join(format!("file{number}"));
        fs::create_dir_all(place.join("coming/and/going")).unwrap();
        fs::write(place.join("coming/and/file"), "x").unwrap();
        fs::write(&file, "x").unwrap();
        fs::remove_dir_all(place.join("coming")).unwrap();
        fs::remove_file(file).unwrap();
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
}

#[test]
fn a_source_that_changes_meanwhile_is_listed_without_a_doubt() {
    for turn in 0..20 {
        let lab = Lab::new();
        tree(&lab, "src");
        let stays: BTreeSet<PathBuf> = lab::contents(&lab.path("src")).into_keys().collect();
        let is_over = AtomicBool::new(false);
        let sharing = ["-b 4", "--max-files=30"][turn % 2];
        let words = format!("manifest src -o lists --json --format=rclone {sharing}");
        let source = lab.path("src");
        let done = thread::scope(|scope| {
            scope.spawn(|| changes(&source, &is_over));
            let done = lab.lanesync(&words).go();
            is_over.store(true, Ordering::Relaxed);
            done
        });
        let done = done.expect_one_of(&[0, 23, 24]);
        let paths = all_paths(&buckets(&lab, &done));
        let listed: BTreeSet<PathBuf> = paths.iter().cloned().collect();
        assert_eq!(listed.len(), paths.len(), "something is listed twice: {done}");
        let missing: Vec<_> = stays.difference(&listed).collect();
        assert!(missing.is_empty(), "{missing:?} are in no bucket: {done}");
    }
}

#[test]
fn a_list_that_is_still_written_is_refused() {
    let lab = Lab::new();
    tree(&lab, "src");
    let mut list = fs::File::create(lab.path("paths")).unwrap();
    for path in lab::names(&lab.path("src")) {
        writeln!(list, "{}", path.display()).unwrap();
    }
    refuses(&lab, "src -b 2 --from-list=paths", 3, &["paths", "writ"]);
    drop(list);
    lab.lanesync("manifest src -b 2 --from-list=paths -o lists").go().expect(0);
    assert_eq!(files(&lab.path("lists")).len(), 2);
}

#[test]
fn a_list_that_leads_out_of_the_source_is_refused() {
    let lab = Lab::new();
    lab.file("src/file", "content");
    lab.file("outside", "of nobody's business");
    for (line, why) in
        [("../outside", ".."), ("dir/../../outside", ".."), ("/etc/passwd", "absolute path")]
    {
        lab.file("paths", format!("file\n{line}\n"));
        refuses(&lab, "src -b 2 --from-list=paths", 3, &["\"paths\", line 2", why]);
    }
}
