//! Images between hosts under odd names, more than one at once, and what is said of them.

use super::resumed::on_each;
use super::*;

#[test]
fn records_of_progress_rise_between_hosts() {
    on_each(WAYS, |[from, to]| {
        let lab = Lab::new();
        lab.write("src", &noise(16 * MIB, 1));
        lab.write("dst", &noise(16 * MIB, 2));
        let output = lab.run(&["--json", "--bwlimit=4m", from, to]);
        check(&output, 0, "");
        let told = String::from_utf8(output.stdout).unwrap();
        let records = told.lines().filter(|line| line.contains("\"type\":\"progress\""));
        let done = |line: &str| Summary(line.to_owned()).number("done_bytes");
        let done: Vec<u64> = records.map(done).collect();
        assert!(done.is_sorted() && done.iter().all(|bytes| *bytes <= 16 << 20), "{done:?}");
        let on_the_way = done.iter().filter(|bytes| (1..16 << 20).contains(*bytes));
        assert!(on_the_way.count() >= 2, "{from} {to}: {done:?}");
    });
}

#[test]
fn a_quiet_run_between_hosts_that_ends_well_says_nothing() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        lab.write("src", &noise(3 * MIB, 1));
        for words in [&["-q", "--truncate"][..], &["-q"], &["-q", "-n", "--verify=all"]] {
            let output = lab.run(&[words, &[from, to]].concat());
            check(&output, 0, "");
            assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        }
        check(&lab.run(&["-q", &from.replace("src", "none"), to]), 3, "source: open");
    }
}

#[test]
fn zeros_onto_zeros_cost_next_to_nothing_on_the_wire() {
    /// What a session takes for itself.
    const SESSION_BYTES: u64 = 4000;
    // One block of ten has something in it.
    let mut new = noise(64 * MIB, 1);
    for (number, block) in new.chunks_mut(4096).enumerate() {
        if number % 10 > 0 {
            block.fill(0);
        }
    }
    for [from, to] in WAYS {
        let lab = Lab::new();
        lab.write("src", &new);
        lab.write("dst", &vec![0; 64 * MIB]);
        let done = lab.bring(&[from, to]);
        let written = done.number("written_bytes");
        assert!(lab.read("dst") == new && done.number("cleared_bytes") == 0, "{}", done.0);
        assert_eq!(written, (64 * MIB / 4096).div_ceil(10) as u64 * 4096);
        // Each block that differs is found by a digest of its own.
        assert!(done.wire_bytes() <= written * 101 / 100 + SESSION_BYTES, "{}", done.0);
    }
}

#[test]
fn names_that_a_shell_would_read_are_names_of_images() {
    let odd = "a  b'c\"$(touch x)\n;`touch x` * \\";
    for over_ssh in [false, true] {
        for [from, to] in WAYS {
            let mut lab = Lab::new();
            let sshd = over_ssh.then(|| Sshd::start(lab.hosts.path(), ""));
            lab.shell = sshd.as_ref().map_or(lab.shell, Sshd::shell);
            let new = noise(2 * MIB, 1);
            lab.write(odd, &new);
            let [from, to] = [from.replace("src", odd), to.replace("dst", &format!("{odd} 2"))];
            lab.bring(&["--truncate", &from, &to]);
            assert!(lab.read(&format!("{odd} 2")) == new, "{from:?}");
            let changed = noise(2 * MIB, 2);
            lab.write(odd, &changed);
            lab.bring(&["--undo=u 'n$(touch x)do", &from, &to]);
            assert!(lab.read(&format!("{odd} 2")) == changed && !lab.path("x").exists());
            lab.wait_for_agents();
        }
    }
}

#[test]
fn a_colon_behind_a_slash_is_part_of_a_name() {
    let lab = Lab::new();
    let new = noise(2 * MIB, 1);
    lab.write("a:b", &new);
    lab.write("h:old", &noise(2 * MIB, 2));
    lab.bring(&["--truncate", "./a:b", "h:c:d"]);
    lab.bring(&["--truncate", "h:./a:b", "./e:f"]);
    let here = lab.path("a:b").to_str().unwrap().to_owned();
    lab.bring(&["--truncate", &here, &here.replace("a:b", "g:h")]);
    lab.bring(&["--undo=un:do", "./a:b", "./h:old"]);
    for name in ["c:d", "e:f", "g:h", "h:old"] {
        assert!(lab.read(name) == new, "{name}");
    }
    let back = Command::new(LANESYNC)
        .args(["blocks", "--apply-undo=./un:do", "./h:old"])
        .current_dir(lab.hosts.path())
        .output();
    check(&back.unwrap(), 0, "");
    assert!(lab.read("h:old") == noise(2 * MIB, 2));
}

#[test]
fn two_runs_to_one_host_at_once_do_not_disturb_each_other() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        // No agent is there yet: both send one.
        let numbers = [1, 2];
        let runs = numbers.map(|number| {
            lab.write(&format!("src{number}"), &noise(12 * MIB, number));
            let name = |end: &str| {
                end.replace("src", &format!("src{number}")).replace("dst", &format!("dst{number}"))
            };
            let mut command = Command::new(LANESYNC);
            command.args(["blocks", "-e", RUNS_IT_HERE, "--truncate", &name(from), &name(to)]);
            command.current_dir(lab.hosts.path()).env("HOME", lab.hosts.path());
            command.env_remove("SSH_CONNECTION").env_remove("XDG_CACHE_HOME");
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        });
        for (number, run) in numbers.into_iter().zip(runs) {
            check(&run.wait_with_output().unwrap(), 0, "");
            assert!(lab.read(&format!("dst{number}")) == noise(12 * MIB, number), "{from} {to}");
        }
        let cached = fs::read_dir(lab.path(".cache/lanesync")).unwrap().count();
        assert_eq!(cached, 1, "{from} {to}: one agent is kept");
    }
}
