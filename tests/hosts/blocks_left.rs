//! What stays of a run between hosts: no process after a signal, no file but the image, and success only
//! where the other host's disk has all of it.

use std::collections::BTreeSet;
use std::path::Path;

use super::resumed::{on_each, wait_until};
use super::*;
use crate::open_files::access_modes;

/// A remote shell of its own process, which waits for the command as ssh does.
const WAITS_FOR_IT: &str = r#"sh -c 'shift; echo $$ >> shells; sh -c "$*"; exit $?' stand-in"#;

/// How long a process that is to end may take on a machine that has much else to do.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// Those of the processes in a list that run.
fn running(lab: &Lab, list: &str) -> Vec<String> {
    let pids = fs::read_to_string(lab.path(list)).unwrap();
    let runs = |pid: &&str| Path::new("/proc").join(pid).join("exe").exists();
    pids.lines().filter(runs).map(str::to_owned).collect()
}

/// Waits until all shells and agents are gone.
#[track_caller]
fn wait_for_all(lab: &Lab, of: &str) {
    let until = Instant::now() + GONE_AFTER;
    loop {
        let left = ["shells", "pids"].map(|list| running(lab, list));
        if left.iter().all(Vec::is_empty) {
            return;
        }
        assert!(Instant::now() < until, "{of}: shells and agents {left:?} still run");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_signal_to_it_alone_ends_shells_and_agents() {
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        on_each(WAYS, |[from, to]| {
            let mut lab = Lab::new();
            lab.shell = WAITS_FOR_IT.to_owned();
            let (new, old) = (noise(16 * MIB, 1), noise(16 * MIB, 2));
            lab.write("src", &new);
            lab.write("dst", &old);
            let mut run = lab.begin(&["--bwlimit=4m", from, to], &old);
            // Each shell has an agent, and is another process.
            for list in ["shells", "pids"] {
                assert!(!running(&lab, list).is_empty(), "{from} {to}: none of {list} runs");
            }
            kill_process(Pid::from_child(&run), signal).unwrap();
            let code = (signal != Signal::KILL).then_some(20);
            assert_eq!(run.wait().unwrap().code(), code, "{from} {to}");
            wait_for_all(&lab, &format!("{signal:?} {from} {to}"));
        });
    }
}

/// All that is below a folder, whatever it is.
fn all_in(folder: &Path) -> BTreeSet<String> {
    let found = Command::new("find").arg(".").current_dir(folder).output().unwrap();
    assert!(found.status.success());
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn nothing_is_left_but_the_image_and_the_mark_of_one_that_is_incomplete() {
    let lanes = ["--lane-kind=tcp", "--lanes=2"];
    on_each(WAYS, |[from, to]| {
        let lab = Lab::new();
        for folder in ["home", "tmp", "run"] {
            fs::create_dir(lab.path(folder)).unwrap();
        }
        let (new, old) = (noise(12 * MIB, 1), noise(12 * MIB, 2));
        lab.write("src", &new);
        lab.write("dst", &old);
        lab.write("pids", b"");
        let before = all_in(lab.hosts.path());
        let start = |words: &[&str]| {
            let mut command = lab.command(words);
            command.env("HOME", lab.path("home")).env("TMPDIR", lab.path("tmp"));
            command.env("XDG_RUNTIME_DIR", lab.path("run"));
            command.env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22");
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let run = |words: &[&str], code| {
            check(&start(words).wait_with_output().unwrap(), code, "");
            lab.wait_for_agents();
            all_in(lab.hosts.path())
        };
        assert_eq!(run(&[&lanes[..], &["-n", from, to]].concat(), 0), before);
        assert_eq!(run(&[&from.replace("src", "none"), to], 3), before);
        let mut cut_off = start(&["--bwlimit=4m", from, to]);
        wait_until(&mut cut_off, || lab.read("dst") != old);
        kill_process(Pid::from_child(&cut_off), Signal::TERM).unwrap();
        assert_eq!(cut_off.wait().unwrap().code(), Some(20));
        lab.wait_for_agents();
        let mark = "./.dst.lanesync-incomplete".to_owned();
        let incomplete = &before | &BTreeSet::from([mark]);
        assert_eq!(all_in(lab.hosts.path()), incomplete, "{from} {to}");
        assert_eq!(run(&[&lanes[..], &[from, to]].concat(), 0), before, "{from} {to}");
        assert!(lab.read("dst") == new);
        fs::remove_file(lab.path("dst")).unwrap();
        assert_eq!(run(&["--truncate", "--verify", from, to], 0), before, "{from} {to}");
    });
}

/// How often somebody asked a device to keep for good what it has.
fn flushes(device: &LoopDevice) -> u64 {
    let name = device.path.trim_start_matches("/dev/");
    let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
    stat.split_whitespace().nth(15).unwrap().parse().unwrap()
}

#[test]
fn a_device_of_another_host_is_flushed_before_success_is_told() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let new = noise(4 * MIB, 1);
        lab.write("src", &new);
        let image = lab.write("image", &noise(4 * MIB, 2));
        let device = LoopDevice::over(image.to_str().unwrap(), &[]);
        let to = to.replace("dst", &device.path);
        let before = flushes(&device);
        lab.bring(&["-n", from, &to]);
        assert_eq!(flushes(&device), before, "a dry run has nothing to flush");
        lab.bring(&[from, &to]);
        assert!(flushes(&device) > before, "{from} {to}");
        // Nobody but the run has flushed it.
        assert!(lab.read("image") == new);
    }
}

/// A folder of a disk that fails by a rule, with an image in it.
fn failing_disk(lab: &Lab, rule: &str, image: &[u8]) -> testfs::Mount {
    for folder in ["backing", "disk"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    lab.write("backing/image", image);
    let config = testfs::Config {
        faults: vec![rule.parse().unwrap()],
        ..testfs::Config::new(lab.path("backing"))
    };
    testfs::Mount::at(config, &lab.path("disk")).unwrap()
}

#[test]
fn what_the_disk_of_another_host_has_not_taken_for_good_is_no_success() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let (new, old) = (noise(3 * MIB, 1), noise(3 * MIB, 2));
        lab.write("src", &new);
        let mount = failing_disk(&lab, "fsync:EIO:image", &old);
        let to = to.replace("dst", "disk/image");
        check(&lab.run(&[from, &to]), 11, "destination: sync");
        assert!(mount.stats().faults > 0, "{from} {to}");
        let mark = lab.path("backing/.image.lanesync-incomplete");
        assert!(mark.exists(), "{from} {to}: it is not complete, and not marked so");
        mount.set_faults(Vec::new());
        lab.bring(&[from, &to]);
        assert!(lab.read("backing/image") == new && !mark.exists(), "{from} {to}");
        drop(mount);
    }
}

/// After so long at most a run is over whose disk has failed. All of it would take twice as long.
const OVER_AFTER: Duration = Duration::from_secs(15);

#[test]
fn the_first_disk_that_fails_ends_both_sides() {
    on_each(WAYS, |[from, to]| {
        for (rule, at) in [("write:EIO:image:after=20", "dst"), ("read:EIO:image:after=20", "src")]
        {
            let lab = Lab::new();
            lab.write("src", &noise(32 * MIB, 1));
            lab.write("dst", &noise(32 * MIB, 2));
            let mount = failing_disk(&lab, rule, &lab.read(at));
            let [from, to] = [from, to].map(|end| end.replace(at, "disk/image"));
            let words = ["--readers=4", "--bwlimit=1m", &from, &to];
            let mut run = lab.command(&words).stderr(Stdio::piped()).spawn().unwrap();
            wait_until(&mut run, || mount.stats().faults > 0);
            let failed = Instant::now();
            let output = run.wait_with_output().unwrap();
            let took = failed.elapsed();
            check(&output, 11, "Input/output error");
            assert!(took < OVER_AFTER, "{rule} {from} {to}: {took:?}");
            lab.wait_for_agents();
            drop(mount);
        }
    });
}

#[test]
fn a_source_between_hosts_is_open_for_reading_alone() {
    on_each(WAYS, |[from, to]| {
        let lab = Lab::new();
        let old = noise(16 * MIB, 2);
        let source = lab.write("src", &noise(16 * MIB, 1));
        let target = lab.write("dst", &old);
        let mut run = lab.begin(&["--bwlimit=4m", from, to], &old);
        let pids = fs::read_to_string(lab.path("pids")).unwrap();
        let here = run.id().to_string();
        let all = || pids.lines().chain([&*here]);
        let modes = |path: &Path| all().flat_map(|it| access_modes(it, path)).collect::<Vec<_>>();
        let [from_modes, to_modes] = [&source, &target].map(|path| modes(path));
        kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
        run.wait().unwrap();
        assert!(!from_modes.is_empty(), "{from} {to}: nobody has it open");
        assert!(from_modes.iter().all(|mode| *mode == 0), "{from} {to}: {from_modes:?}");
        // What is written to shows that these are told apart.
        assert!(to_modes.contains(&2), "{from} {to}: {to_modes:?}");
        lab.wait_for_agents();
    });
}
