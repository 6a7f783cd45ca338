//! lanesync's output against rsync's, line by line.
//!
//! What depends on the wire, the clock or the process is masked (`support::mask`), all else has to
//! be the same to the letter: people read these lines, and scripts parse them. As everywhere,
//! `LANESYNC_UNDER_TEST=rsync` runs all of it with rsync on both sides.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests write below their own scratch directory and stop at the first fault"
)]

mod support;

#[path = "output_parity/made.rs"]
mod made;

#[path = "output_parity/progress.rs"]
mod progress;

#[path = "output_parity/refusals.rs"]
mod refusals;

#[path = "output_parity/statistics.rs"]
mod statistics;

use std::os::unix::ffi::OsStrExt;

use support::mask;
use support::parity::{Observation, Output, Scenario, Scope, check, compare, complaint, observe};
use support::run::{Tool, scratch_dir};
use support::snapshot::Also;
use support::tree::{Kind, Segment, Tree};

/// A little of everything, with a destination that is half way there.
fn tree() -> Tree {
    Tree::new()
        .dir("src")
        .mtime(1_600_000_100, 0)
        .file("src/new", "new file\n")
        .numbers("src/changed", 100, 6000)
        .mtime(1_600_000_200, 0)
        .file("src/same", "same")
        .file("src/mode", "mode")
        .mode(0o600)
        .symlink("src/link", "same")
        .file("src/odd\nname\\#012", "odd")
        .file("src/sub/deep/x", "x")
        .hard_link("src/twin", "src/same")
        .add("src/pipe", Kind::Fifo)
        .segments("src/zeros", vec![Segment::Hole(70_000)])
        .numbers("dst/changed", 7, 5000)
        .file("dst/same", "same")
        .file("dst/mode", "mode")
        .file("dst/extra", "extra")
        .file("dst/old/inner", "inner")
}

/// All lines, those of the sender and those of the receiver each in their order.
fn check_lines(args: &str) -> Observation {
    check_lines_of(tree(), args)
}

fn check_lines_of(tree: Tree, args: &str) -> Observation {
    let scope = Scope { output: Output::Lines(mask::wire), also: Also::default() };
    check(&Scenario::new(tree, args), scope)
}

/// As `check_lines`, where `rearrange` is done to the output of both tools first.
fn check_rearranged(tree: Tree, args: &str, rearrange: fn(Vec<&str>) -> Vec<&str>) -> Observation {
    let scenario = Scenario::new(tree, args);
    let scratch = scratch_dir();
    let [reference, ours] = [Tool::reference(), Tool::under_test()].map(|tool| {
        let mut seen = observe(&tool, &scenario, scratch.path());
        let text = seen.stdout();
        seen.run.stdout = rearrange(text.lines().collect()).join("\n").into_bytes();
        seen
    });
    let scope = Scope { output: Output::Lines(mask::wire), also: Also::default() };
    let differences = compare(&reference, &ours, scope);
    assert!(differences.is_empty(), "{}", complaint(&scenario, &differences, &reference, &ours));
    reference
}

/// What rsync's generator says by itself at `-vv` comes first, sorted: at what moment it is heard
/// among the lines of the other processes is a race. Here these are the messages about names and
/// the one file of `tree` whose attributes alone differ, told by its bare name.
fn generator_first(lines: Vec<&str>) -> Vec<&str> {
    let is_message = |line: &&str| {
        *line == "mode"
            || line.ends_with(" is uptodate")
            || line.starts_with("[sender] ")
            || line.starts_with("[generator] ")
    };
    let (mut messages, others): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_message);
    messages.sort_unstable();
    messages.into_iter().chain(others).collect()
}

/// Without our own line of `--stats`, which rsync does not have.
fn without_verdicts(lines: Vec<&str>) -> Vec<&str> {
    lines.into_iter().filter(|line| !line.starts_with("Verdicts: ")).collect()
}

/// Asserts that lanesync's `--stats` ends with a sum that adds up.
fn assert_verdicts_add_up(tree: Tree, args: &str) {
    let seen = observe(&Tool::under_test(), &Scenario::new(tree, args), scratch_dir().path());
    let stdout = seen.stdout();
    let Some(line) = stdout.lines().find_map(|line| line.strip_prefix("Verdicts: ")) else {
        assert!(stdout.is_empty() || std::env::var_os("LANESYNC_UNDER_TEST").is_some(), "{stdout}");
        return;
    };
    let (terms, sum) = line.split_once(" = ").unwrap();
    let number = |text: &str| text.split(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(terms.split(" + ").map(number).sum::<u64>(), number(sum), "{line}");
}

/// A link is told when its leader has arrived: where that is among the other lines is a race.
fn links_last(lines: Vec<&str>) -> Vec<&str> {
    let is_link = |line: &&str| line.contains(" => ");
    let (links, mut others): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(is_link);
    others.extend(links);
    others
}

#[test]
fn verbose_lines_of_hard_links() {
    for args in ["-avH src/ fresh", "-avH src/ dst"] {
        let seen = check_rearranged(tree(), args, links_last);
        assert!(seen.stdout().contains(" => "), "{args}: {}", seen.stdout());
    }
}

#[test]
fn verbose_lines() {
    for args in [
        "-av src/ dst",
        "-av src dst",
        "-rv src/ dst",
        "-avn src/ dst",
        "-av src/new dst",
        "-av src/ fresh",
        "-av src/new fresh",
        "-avR src/sub/deep src/new dst",
        "-av --no-D src/ dst",
        "-rtv --safe-links src/ dst",
        "-av --existing src/ dst",
        "-avu src/ dst",
        "-av --max-size=100 src/ dst",
        "-avm --exclude=x src/ dst",
        "-av --mkpath src/ far/away",
    ] {
        let seen = check_lines(args);
        assert_eq!(seen.code(), 0, "{args}");
        assert!(
            seen.stdout().contains("\nsent ") && seen.stdout().contains("total size is "),
            "{args}"
        );
    }
    let seen = check_lines("-av src/ dst");
    assert!(
        seen.stdout().contains("odd\\#012name\\#134#012\n"),
        "odd bytes are escaped: {}",
        seen.stdout()
    );
}

#[test]
fn more_verbose_lines() {
    for args in [
        "-avv src/ dst",
        "-avv src/ fresh",
        "-avvn src/ dst",
        "-avv --exclude=deep --include=new src/ dst",
        "-avv --existing src/ dst",
        "-avvu src/ dst",
        "-avvb src/ dst",
        "-avv --no-W src/ dst",
        "-avv --link-dest=../dst src/ fresh",
        "-avvi src/ dst",
        "-vvrt src/ dst",
    ] {
        let seen = check_rearranged(tree(), args, generator_first);
        assert_eq!(seen.code(), 0, "{args}");
        assert!(seen.stdout().contains("\ntotal: matches="), "{args}: {}", seen.stdout());
    }
}

#[test]
fn itemized_lines() {
    for args in [
        "-ai src/ dst",
        "-aii src/ dst",
        "-aiv src/ dst",
        "-aiiv src/ dst",
        "-ain src/ dst",
        "-aic src/ dst",
        "-aicn src/ dst",
        "-aiI src/ dst",
        "-ai src/ fresh",
        "-ri src/ dst",
        "-rii src/ dst",
        "-rti --size-only src/ dst",
        "-ai --no-t src/ dst",
        "-aO -ii src/ dst",
        "-aiR src/sub/deep dst",
        "-ai --link-dest=../dst src/ fresh",
        "-aii --copy-dest=../dst src/ fresh",
        "-aii --compare-dest=../dst src/ fresh",
        "-aii --ignore-existing src/ dst",
        "-aii --inplace src/ dst",
        "-ai --append src/ dst",
        "-aiU src/new dst",
    ] {
        let seen = check_lines(args);
        assert_eq!(seen.code(), 0, "{args}");
        assert!(!seen.stdout().is_empty(), "{args}");
    }
}

/// What is said on standard output before an error that ends the run is all that is said there.
#[test]
fn an_error_that_ends_the_run_has_no_statistics_after_it() {
    for args in [
        "-av src/ far/away/dir",
        "-avv --stats src/ far/away/dir",
        "-av src/new far/away/file",
        "-av src/ src/new dst/same",
    ] {
        let seen = check_lines(args);
        assert!(seen.code() == 3 || seen.code() == 11, "{args}: {}", seen.code());
        assert!(!seen.stdout().contains("total size"), "{args}: {}", seen.stdout());
    }
}

/// They are told in the order in which the directory is read.
#[test]
fn unsafe_links_that_are_copied_are_named() {
    let tree = Tree::new()
        .file("outside", "x")
        .symlink("src/out", "../outside")
        .symlink("src/in", "sub/file")
        .file("src/sub/file", "y")
        .symlink("src/sub/out", "@ROOT@/outside")
        .dir("dst");
    for (args, names) in [
        ("-av --copy-unsafe-links src/ dst", 2),
        ("-avn --copy-unsafe-links src/ dst", 2),
        ("-av --copy-unsafe-links --exclude=out src/ dst", 2),
        ("-av --copy-unsafe-links --info=symsafe0 src/ dst", 0),
        ("-ai --copy-unsafe-links src/ dst", 0),
        ("-avL --copy-unsafe-links src/ dst", 0),
        ("-av --copy-unsafe-links src/out dst", 1),
    ] {
        let seen = check_lines_of(tree.clone(), args);
        let told = seen.stdout().matches("copying unsafe symlink \"").count();
        assert_eq!(told, names, "{args}: {}", seen.stdout());
    }
}

/// In the log only control bytes are escaped; on standard error names look as in other lines.
#[test]
fn odd_names_are_written_alike_in_logs_and_errors() {
    let names = [&b"high\xff"[..], "umlaut\u{e9}".as_bytes(), b"new\nline", b"\\#012x", b"esc\x1b"];
    let [reference, ours] = [Tool::reference(), Tool::under_test()].map(|tool| {
        let scratch = scratch_dir();
        let root = scratch.path();
        std::fs::create_dir(root.join("src")).unwrap();
        for name in names {
            std::fs::write(root.join("src").join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
        }
        let setting = support::run::Setting {
            cwd: root,
            logs: root,
            run_as: support::run::RunAs::Caller,
            umask: 0o022,
            env: &[],
            before: "",
        };
        let args =
            [&b"-a"[..], b"--log-file=log", b"src/", b"src/no\xfe", b"dst"].map(<[u8]>::to_vec);
        let seen = support::run::run(&tool, &args, &setting);
        let stderr = String::from_utf8(seen.stderr).unwrap();
        assert!(stderr.contains("src/no\\#376\""), "{stderr}");
        let log = std::fs::read(root.join("log")).unwrap();
        let lines = log.split(|&byte| byte == b'\n').map(<[u8]>::to_vec);
        let start = b">f+++++++++ ";
        let at = |line: &[u8]| line.windows(start.len()).position(|window| window == start);
        lines.filter_map(|line| at(&line).map(|at| line[at..].to_vec())).collect::<Vec<_>>()
    });
    assert_eq!(reference.len(), names.len());
    assert_eq!(ours, reference);
}

#[test]
fn a_path_kept_from_the_root_on_is_named_with_its_slash() {
    for options in [
        "-Rv src/sub @ROOT@/src/new",
        "-Ri @ROOT@/src/sub",
        "-Rii @ROOT@//src/./sub @ROOT@/src/sub/.",
        "-R --out-format=%n|%f|%i @ROOT@/src/sub",
        "-RP @ROOT@/src/new",
    ] {
        let args = format!("-a {options} fresh");
        let scope = Scope { output: Output::Lines(mask::progress), also: Also::default() };
        let seen = check(&Scenario::new(tree(), &args), scope);
        assert!(seen.stdout().contains("/run/src/"), "{args}: {}", seen.stdout());
    }
}

/// When the sender removes is a race.
fn removals_last(lines: Vec<&str>) -> Vec<&str> {
    let is_removal = |line: &&str| line.starts_with("sender removed ");
    let (mut removals, mut others): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_removal);
    removals.sort_unstable();
    others.extend(removals);
    others
}

#[test]
fn sources_that_are_removed_are_named() {
    for args in [
        "-a --info=remove --remove-source-files src/ dst",
        "-av --remove-source-files src/ dst",
        "-avH --info=remove --remove-source-files src/ dst",
        "-an --info=remove --remove-source-files src/ dst",
    ] {
        let seen = check_rearranged(tree(), args, |lines| removals_last(links_last(lines)));
        let is_told = args.contains("--info=remove") && !args.contains("-an");
        assert_eq!(seen.stdout().contains("sender removed sub/deep/x"), is_told, "{args}");
    }
    let args = "-avv --remove-source-files src/ fresh";
    let seen = check_rearranged(tree(), args, |lines| removals_last(generator_first(lines)));
    assert!(seen.stdout().contains("sender removed new\n"), "{}", seen.stdout());
}

#[test]
fn deletion_lines() {
    let tree = Tree::new()
        .dir("src")
        .file("dst/b/c", "")
        .file("dst/a", "")
        .file("dst/b-", "")
        .symlink("dst/l", "x");
    for args in [
        "-ai --delete src/ dst",
        "-av --delete src/ dst",
        "-ain --delete-after src/ dst",
        "-av --delete-before src/ dst",
        "-ab --delete -v src/ dst",
        "-av --delete --max-delete=2 src/ dst",
        "-avv --delete --exclude=a src/ dst",
    ] {
        let seen = check_lines_of(tree.clone(), args);
        assert!(
            seen.stdout().contains("delet") || seen.stdout().contains("backed"),
            "{args}: {}",
            seen.stdout()
        );
    }
}

#[test]
fn every_escape_of_out_format() {
    let escapes = [
        "%n",
        "%f",
        "%L",
        "%l",
        "%i",
        "%o",
        "%B",
        "%M",
        "%U",
        "%G",
        "%a",
        "%h",
        "%m",
        "%u",
        "%%",
        "%q",
        "%'l",
        "%''l",
        "%10l",
        "%-10l|",
        "%'''l",
        "%20n|",
        "%-20n|",
        "%n%L (%l)",
        "text only",
        "%i %n%L %o",
    ];
    for escape in escapes {
        for options in ["-a", "-aii", "-rt"] {
            let args = format!("{options} --exclude=new src/ dst");
            // A bracket in front would make it look like a message of a process.
            let format = format!("--out-format=<{escape}>");
            let tree = tree();
            let scenario = Scenario::new(tree, options)
                .arg(format)
                .arg("--exclude=new")
                .arg("src/")
                .arg("dst");
            let scope = Scope { output: Output::Lines(str::to_owned), also: Also::default() };
            let seen = check(&scenario, scope);
            assert!(seen.stdout().contains(">\n"), "{escape} {args}: {}", seen.stdout());
        }
    }
}

#[test]
fn escapes_that_tell_of_the_clock_the_process_and_the_wire_have_their_shape() {
    for escape in ["%t", "%p", "%b", "%c", "%'b", "%''c"] {
        let scenario = Scenario::new(tree(), "-a")
            .arg(format!("--out-format=[{escape}] %n"))
            .arg("src/")
            .arg("dst");
        let scope = Scope { output: Output::Lines(mask::numbers), also: Also::default() };
        let seen = check(&scenario, scope);
        assert!(seen.stdout().contains("] changed"), "{escape}: {}", seen.stdout());
    }
}

#[test]
fn checksums_in_out_format() {
    for choice in ["md5", "xxh3", "xxh128", "xxh64", "sha1", "md4"] {
        for options in ["-a", "-ac", "-ac -n"] {
            let args = format!("{options} --checksum-choice={choice} --out-format=%C_%n src/ dst");
            let seen = check_lines(&args);
            assert!(seen.stdout().contains("_changed"), "{args}: {}", seen.stdout());
        }
    }
}

#[test]
fn listings() {
    for args in [
        "src/",
        "src",
        "-r src/",
        "-a src/",
        "-r --list-only src/ dst",
        "-rl src/",
        "--list-only src/ dst",
        "-a --list-only src/sub src/new",
        "-aL src/",
        "-d src/",
        "-r --exclude=sub src/",
        "-rU src/new",
        "-rc src/new",
        "-rv src/",
        "-rH src/",
        "-R src/sub/deep",
        "-8 -r src/",
        "src/new",
        "src/link",
        "src/missing",
    ] {
        let seen = check_lines(args);
        assert_eq!(seen.code(), if args.contains("missing") { 23 } else { 0 }, "{args}");
        assert!(
            seen.stdout().contains("20") || args.contains("missing"),
            "{args}: {}",
            seen.stdout()
        );
    }
}

#[test]
fn info_flags() {
    for flags in [
        "NAME0",
        "NAME",
        "NAME1",
        "NAME2",
        "FLIST2",
        "FLIST1",
        "COPY",
        "SKIP",
        "SKIP2",
        "MISC2",
        "NONREG0",
        "SYMSAFE",
        "ALL0",
        "NONE",
        "STATS0",
        "STATS1",
        "STATS2",
        "BACKUP",
        "MOUNT",
        "REMOVE",
        "FLIST0,NAME2",
        "ALL,STATS2",
    ] {
        for options in ["-rlt", "-av", "-rv"] {
            // Progress shows rates, and the third level of statistics rsync's own heap.
            let args = format!("{options} --info={flags} --info=progress0 --existing src/ dst");
            let seen = check_rearranged(tree(), &args, |lines: Vec<&str>| {
                generator_first(without_verdicts(lines))
            });
            assert_eq!(seen.code(), 0, "{args}");
        }
    }
    let seen = check_lines("-av --info=bogus src/ dst");
    assert_eq!(seen.code(), 1, "an unknown flag is refused");
    let seen = check_lines("-a --info=name0,del src/ dst --delete -n --exclude=*");
    assert_eq!(seen.code(), 0);
    let seen = check_lines("-av --info=name0 src/ dst");
    assert!(!seen.stdout().contains("changed"), "{}", seen.stdout());
}

#[test]
fn log_files() {
    for args in [
        "-a --log-file=log src/ dst",
        "-ai --log-file=log src/ dst",
        "-av --log-file=log --log-file-format=%n:%l src/ dst",
        "-aq --log-file=log src/missing src/new dst",
        "-an --log-file=log src/ dst",
        "-a --log-file=log --stats src/ dst",
    ] {
        let text = log_of(args, &Tool::reference());
        let ours = log_of(args, &Tool::under_test());
        assert_eq!(text, ours, "{args}");
        assert!(text.iter().any(|line| line.starts_with("sent N bytes")), "{args}: {text:?}");
    }
}

/// The lines of the log file that `tool` writes, without their stamps, masked.
fn log_of(args: &str, tool: &Tool) -> Vec<String> {
    let scratch = scratch_dir();
    let scenario = Scenario::new(tree(), args);
    let root = scratch.path().join("tree");
    std::fs::create_dir(&root).unwrap();
    scenario.tree.build(&root, scenario.run_as.ids());
    let setting = support::run::Setting {
        cwd: &root,
        logs: scratch.path(),
        run_as: scenario.run_as,
        umask: scenario.umask,
        env: &[],
        before: "",
    };
    support::run::run(tool, &scenario.args, &setting);
    let text = std::fs::read(root.join("log")).unwrap();
    let text = String::from_utf8_lossy(&text).replace(scratch.path().to_str().unwrap(), "SCRATCH");
    // Date, time and process, then what is said.
    let said = text.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
    without_verdicts(said.collect()).into_iter().map(mask::log).collect()
}
