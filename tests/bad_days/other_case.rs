//! The destination takes names that differ only in case for one. What is there in another case, or came
//! under it in this run, is treated as rsync treats it; where rsync itself is at a loss nothing is torn.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::lab::{self, Done, Lab, content};

/// Workers with which the entries of a directory come one after the other, and all at once.
const WORKERS: [&str; 2] = ["--workers 1", "--workers 8"];

/// Shows a directory of the lab where case does not count.
fn folds(lab: &Lab, backing: &str, below: &str) -> testfs::Mount {
    let config = testfs::Config { folds_case: true, ..testfs::Config::new(lab.path(backing)) };
    testfs::Mount::at(config, &lab.dir(below)).unwrap()
}

/// Names as they were made, with what has them.
fn tree(root: &Path) -> Vec<String> {
    let mut lines: Vec<_> = lab::names(root)
        .iter()
        .map(|name| {
            let path = root.join(name);
            let kind = path.symlink_metadata().unwrap().file_type();
            let holds = match () {
                () if kind.is_symlink() => format!("leads to {:?}", fs::read_link(&path).unwrap()),
                () if kind.is_file() => format!("{:?}", fs::read_to_string(&path).unwrap()),
                () if kind.is_fifo() => "pipe".into(),
                () => "directory".into(),
            };
            format!("{name:?} {holds}")
        })
        .collect();
    lines.sort();
    lines
}

/// What two runs of a program say and leave.
fn twice(
    options: &str,
    workers: Option<&str>,
    prepare: &dyn Fn(&Lab),
) -> Vec<(i32, Vec<String>, Vec<String>)> {
    let lab = Lab::new();
    lab.dir("src");
    lab.dir("backing");
    lab.file("secret", "secret");
    prepare(&lab);
    let _mount = folds(&lab, "backing", "dst");
    let line = format!("{options} --out-format %i,%n {} src/ dst/", workers.unwrap_or_default());
    let run = || if workers.is_some() { lab.lanesync(&line) } else { lab.rsync(&line) };
    let told = |_| {
        let done: Done = run().go();
        assert_eq!(fs::read(lab.path("secret")).unwrap(), b"secret", "a link was followed: {done}");
        // rsync says some things out of their order.
        let mut said: Vec<_> = done.stdout.lines().map(String::from).collect();
        said.sort();
        (done.code, said, tree(&lab.path("backing")))
    };
    [1, 2].map(told).into()
}

/// Both programs do the same.
#[track_caller]
fn as_with_rsync(options: &str, prepare: &dyn Fn(&Lab)) {
    let theirs = twice(options, None, prepare);
    for workers in WORKERS {
        assert_eq!(twice(options, Some(workers), prepare), theirs, "{options} {workers}");
    }
}

/// A file of the source that is newer or older than what is there in another case.
fn files(lab: &Lab) {
    for (name, age) in [("newer", 10), ("older", -10), ("same", 0)] {
        let there = lab.file(format!("backing/{}", name.to_uppercase()), "old");
        let here = lab.file(format!("src/{name}"), "new");
        lab::set_mtime(&there, 1_600_000_000);
        lab::set_mtime(&here, 1_600_000_000 + age);
    }
}

fn obstacles(lab: &Lab) {
    for name in ["a_directory", "b_link", "c_pipe", "d_full"] {
        lab.file(format!("src/{name}"), "new content");
    }
    lab::age(&lab.path("src"));
    lab.dir("backing/A_Directory");
    symlink("../secret", lab.path("backing/B_Link")).unwrap();
    lab::succeed(Command::new("mkfifo").arg(lab.path("backing/C_Pipe")));
    lab.file("backing/D_Full/kept", "kept");
}

#[test]
fn what_is_there_in_another_case_is_written_in_place_as_with_rsync() {
    for setting in ["", "-b", "-u", "--ignore-existing", "-c", "--append", "--delete"] {
        as_with_rsync(&format!("-a --inplace {setting}"), &files);
    }
    for setting in ["", "-b", "--force"] {
        as_with_rsync(&format!("-a --inplace {setting}"), &obstacles);
    }
}

#[test]
fn of_links_and_pipes_that_are_one_there_one_takes_the_place_of_the_other() {
    let prepare = |lab: &Lab| {
        for (name, target) in [("LINK", "one"), ("link", "two"), ("old", "new")] {
            symlink(target, lab.path("src").join(name)).unwrap();
        }
        lab::succeed(Command::new("mkfifo").arg(lab.path("src/PIPE")).arg(lab.path("src/pipe")));
        lab::age(&lab.path("src"));
        symlink("old", lab.path("backing/Old")).unwrap();
    };
    for setting in ["", "--ignore-existing", "-b", "-H"] {
        as_with_rsync(&format!("-a {setting}"), &prepare);
    }
    as_with_rsync("-a", &|lab| {
        symlink("new", lab.path("src/link")).unwrap();
        lab.file("backing/LINK/kept", "kept");
    });
}

#[test]
fn of_a_file_and_links_that_are_one_there_one_arrives() {
    for workers in WORKERS {
        let lab = Lab::new();
        lab.file("src/FILE", "content");
        symlink("first", lab.path("src/file")).unwrap();
        lab.file("src/other", "content");
        symlink("last", lab.path("src/Other")).unwrap();
        lab.dir("backing");
        let _mount = folds(&lab, "backing", "dst");
        for options in ["-a", "-a --inplace", "-aI", "-a --delay-updates"] {
            lab.lanesync(&format!("{options} {workers} src/ dst/")).go().expect(0);
            assert_eq!(lab::names(&lab.path("backing")).len(), 2, "{options}");
        }
    }
}

#[test]
fn what_is_in_the_way_of_a_directory_in_another_case_gives_way() {
    let prepare = |lab: &Lab| {
        lab.file("src/a_file/inner", "inner");
        lab.file("src/b_link/inner", "inner");
        lab::age(&lab.path("src"));
        lab.file("backing/A_File", "old");
        lab.file("elsewhere/kept", "kept");
        symlink("../elsewhere", lab.path("backing/B_Link")).unwrap();
    };
    for setting in ["", "-b", "--ignore-existing", "--delete"] {
        as_with_rsync(&format!("-a {setting}"), &prepare);
    }
}

/// Copies files that are one at the destination, some times; gives what is there in the end.
fn clash(options: &str, sizes: [usize; 3], there: Option<&str>) -> Vec<u8> {
    let lab = Lab::new();
    for (seed, (name, size)) in ["File", "fILE", "file"].iter().zip(sizes).enumerate() {
        lab.file(format!("src/{name}"), content(seed as u64, size));
    }
    lab.dir("backing");
    if let Some(name) = there {
        lab.file(format!("backing/{name}"), "old");
    }
    lab::age(&lab.path("src"));
    let _mount = folds(&lab, "backing", "dst");
    for _ in 0..3 {
        let done = lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
        let names = lab::names(&lab.path("backing"));
        assert_eq!(names.len(), 1, "{options} {there:?}: {names:?} {done}");
        let now = fs::read(lab.path("dst/file")).unwrap();
        let is_whole = |name: &&str| fs::read(lab.path("src").join(name)).unwrap() == now;
        assert!(["File", "fILE", "file"].iter().any(is_whole), "torn: {done}");
    }
    fs::read(lab.path("dst/file")).unwrap()
}

#[test]
fn of_files_that_are_one_there_either_arrives_whole_at_the_end() {
    for workers in WORKERS {
        for times in ["-a", "-r"] {
            for there in [None, Some("File"), Some("FILE")] {
                let options = format!("{times} --delay-updates {workers}");
                clash(&options, [3, 20, 100], there);
                clash(&options, [2 << 20, 20, 33 << 20], there);
            }
        }
    }
}

#[test]
fn of_big_files_that_are_one_there_either_arrives_whole_in_place() {
    for workers in WORKERS {
        for there in [None, Some("File"), Some("FILE")] {
            clash(&format!("-a --inplace {workers}"), [3, 20, 100], there);
            clash(&format!("-a --inplace {workers}"), [7 << 20, 6 << 20, 5 << 20], there);
        }
    }
}

#[test]
fn what_was_brought_to_a_name_in_another_case_is_not_deleted_afterwards() {
    let prepare = |lab: &Lab| {
        lab.file("src/file", "new");
        lab.file("src/dir/inner", "inner");
        lab.file("src/to_dir/inner", "inner");
        symlink("new", lab.path("src/link")).unwrap();
        lab.file("src/one", "one");
        fs::hard_link(lab.path("src/one"), lab.path("src/two")).unwrap();
        lab::age(&lab.path("src"));
        for name in ["FILE", "DIR/INNER", "TO_DIR", "LINK", "TWO", "extraneous"] {
            lab.file(format!("backing/{name}"), "something old");
        }
    };
    for setting in ["--delete-after", "--delete-delay", "--delete --max-delete=9"] {
        for mode in ["", "-H", "--inplace", "--remove-source-files", "--inplace -b --suffix=.old"] {
            for workers in WORKERS {
                let lab = Lab::new();
                lab.dir("backing");
                prepare(&lab);
                let _mount = folds(&lab, "backing", "dst");
                let options = format!("-a {setting} {mode} {workers}");
                let done = lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
                let read = |name: &str| fs::read_to_string(lab.path("dst").join(name));
                for (name, expected) in
                    [("file", "new"), ("dir/inner", "inner"), ("to_dir/inner", "inner")]
                {
                    assert_eq!(read(name).unwrap(), expected, "{options}: {done}");
                }
                assert_eq!(fs::read_link(lab.path("dst/link")).unwrap(), Path::new("new"));
                assert_eq!(
                    (read("one").unwrap(), read("two").unwrap()),
                    ("one".into(), "one".into())
                );
                read("extraneous").unwrap_err();
            }
        }
    }
}
