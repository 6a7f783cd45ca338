//! Images between hosts that were cut off and are resumed: what was done is not read again.

use super::*;

/// What an image has beside it as long as it is incomplete.
const MARK: &str = ".dst.lanesync-incomplete";

/// How many units of the target are right.
fn units_done(lab: &Lab, new: &[u8]) -> usize {
    let now = lab.read("dst");
    now.chunks(MIB).zip(new.chunks(MIB)).filter(|(now, new)| now == new).count()
}

/// Waits until a run has got so far; fails if it ends before.
#[track_caller]
pub(super) fn wait_until(run: &mut Child, is_far_enough: impl Fn() -> bool) {
    while !is_far_enough() {
        assert!(run.try_wait().unwrap().is_none(), "it ended too soon");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Does something for each way, for all of them at once.
pub(super) fn on_each<const WAYS: usize>(ways: [[&str; 2]; WAYS], act: impl Fn([&str; 2]) + Sync) {
    thread::scope(|scope| {
        for way in ways {
            let act = &act;
            scope.spawn(move || act(way));
        }
    });
}

/// Ends a run by a signal once it has got far enough, and goes on with it; says how much was not read
/// again.
fn resumed_after(signal: Signal, [from, to]: [&str; 2]) -> u64 {
    let lab = Lab::new();
    let (new, old) = (noise(48 * MIB, 1), noise(48 * MIB, 2));
    lab.write("src", &new);
    lab.write("dst", &old);
    let mut run = lab.begin(&["--bwlimit=10m", from, to], &old);
    wait_until(&mut run, || match signal {
        // What is noted goes to the disk from time to time.
        Signal::KILL => fs::metadata(lab.path(MARK)).is_ok_and(|mark| mark.len() > 450),
        _ => units_done(&lab, &new) > 12,
    });
    kill_process(Pid::from_child(&run), signal).unwrap();
    let code = (signal != Signal::KILL).then_some(20);
    assert_eq!(run.wait().unwrap().code(), code, "{from} {to}");
    lab.wait_for_agents();
    assert!(lab.read("dst") != new && lab.path(MARK).exists(), "{from} {to}");
    let done = lab.bring(&["--resume", from, to]);
    assert!(lab.read("dst") == new && done.has_root_of(&new), "{from} {to}");
    assert!(!lab.path(MARK).exists(), "{from} {to}");
    let resumed = done.number("resumed_bytes");
    let rest = ["equal_bytes", "written_bytes", "skipped_bytes"].map(|field| done.number(field));
    assert_eq!(resumed + rest.iter().sum::<u64>(), new.len() as u64, "{}", done.0);
    // It has not gone over the wire again.
    assert!(done.wire_bytes() < new.len() as u64 - resumed + 100_000, "{}", done.0);
    resumed
}

#[test]
fn a_run_between_hosts_that_was_killed_is_resumed() {
    on_each(WAYS, |way| {
        let resumed = resumed_after(Signal::KILL, way);
        assert!(resumed >= 4 * MIB as u64, "{way:?}: {resumed}");
    });
}

#[test]
fn a_signal_between_hosts_leaves_a_mark_that_tells_all() {
    on_each(WAYS, |way| {
        let resumed = resumed_after(Signal::TERM, way);
        assert!(resumed >= 8 * MIB as u64, "{way:?}: {resumed}");
    });
}

#[test]
fn of_another_source_nothing_is_resumed_between_hosts() {
    on_each(WAYS, |[from, to]| {
        let lab = Lab::new();
        let (new, old) = (noise(16 * MIB, 1), noise(16 * MIB, 2));
        lab.write("src", &new);
        lab.write("dst", &old);
        let mut run = lab.begin(&["--bwlimit=8m", from, to], &old);
        wait_until(&mut run, || units_done(&lab, &new) > 3);
        kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(20), "{from} {to}");
        lab.wait_for_agents();
        let other = noise(16 * MIB, 3);
        lab.write("src", &other);
        let done = lab.bring(&["--resume", from, to]);
        assert!(lab.read("dst") == other && done.number("resumed_bytes") == 0, "{}", done.0);
    });
}

/// What a session had done that was lost does not go over the wire again in the next one.
#[test]
fn a_session_that_is_had_again_keeps_what_was_done() {
    on_each([["src", "h:dst"], ["h:src", "dst"]], |[from, to]| {
        let mut lab = Lab::new();
        let sshd = Sshd::start(lab.hosts.path(), "");
        let wire = sshd.wire();
        lab.shell = sshd.shell();
        let (new, old) = (noise(24 * MIB, 1), noise(24 * MIB, 2));
        lab.write("src", &new);
        lab.write("dst", &old);
        let mut command = lab.command(&["--json", "--bwlimit=8m", "--reconnect=1m", from, to]);
        let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(&mut run, || units_done(&lab, &new) > 8);
        wire.cut();
        let output = run.wait_with_output().unwrap();
        check(&output, 0, "the agent on h");
        let told = String::from_utf8(output.stdout).unwrap();
        let done = Summary(told.lines().last().unwrap().to_owned());
        assert!(lab.read("dst") == new && !lab.path(MARK).exists());
        let kept = done.number("resumed_bytes") + done.number("equal_bytes");
        assert!(kept >= 4 * MIB as u64 && kept < new.len() as u64, "{}", done.0);
    });
}
