//! Images in which bytes were put in or taken out: what is behind them goes over no wire.

use super::*;

/// An image, and the same with bytes in front of it.
fn shifted(mib: usize) -> (Vec<u8>, Vec<u8>) {
    let old = noise(mib * MIB, 1);
    ([noise(1000, 2), old.clone()].concat(), old)
}

#[test]
fn bytes_in_front_cost_next_to_nothing_over_ssh() {
    let (new, old) = shifted(64);
    for [from, to] in WAYS {
        let mut lab = Lab::new();
        let sshd = Sshd::start(lab.hosts.path(), "");
        lab.shell = sshd.shell();
        for (new, old) in [(&new, &old), (&old, &new)] {
            lab.write("src", new);
            lab.write("dst", old);
            let done = lab.bring(&["--truncate", from, to]);
            assert!(lab.read("dst") == *new && done.has_root_of(new), "{from} {to}");
            assert!(done.wire_bytes() < 60_000, "{}", done.0);
        }
        lab.wait_for_agents();
    }
}

#[test]
fn where_there_is_no_room_for_a_copy_it_goes_as_ever() {
    let (new, old) = shifted(8);
    for [from, to] in WAYS {
        let lab = Lab::new();
        lab.write("src", &new);
        let disk = SmallDisk::at(lab.path("small"), 12 * MIB);
        lab.write("small/dst", &old);
        let to = to.replace("dst", "small/dst");
        let done = lab.bring(&["--truncate", from, &to]);
        assert!(lab.read("small/dst") == new);
        assert!(done.wire_bytes() > 8 * MIB as u64, "{}", done.0);
        lab.wait_for_agents();
        drop(disk);
    }
}

#[test]
fn a_run_that_is_killed_leaves_no_copy_and_the_next_goes_on() {
    let (new, old) = shifted(32);
    for [from, to] in WAYS {
        let lab = Lab::new();
        lab.write("src", &new);
        let disk = SmallDisk::at(lab.path("small"), 180 * MIB);
        lab.write("small/dst", &old);
        let free = || rustix::fs::statvfs(lab.path("small")).unwrap().f_bfree;
        let before = free();
        let to = to.replace("dst", "small/dst");
        // What there is to send is little.
        let mut run = lab.command(&["--bwlimit=8", "--truncate", from, &to]).spawn().unwrap();
        // The copy is made, and something is written.
        while lab.read("small/dst")[..old.len()] == old || before - free() < 6 * 1024 {
            assert!(run.try_wait().unwrap().is_none(), "it ended before it could be killed");
            thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
        run.wait().unwrap();
        lab.wait_for_agents();
        assert!(before - free() < 1024, "the copy is gone");
        let done = lab.bring(&["--resume", "--truncate", from, &to]);
        assert!(lab.read("small/dst") == new && done.has_root_of(&new));
        drop(disk);
    }
}

#[test]
fn a_signal_ends_it_soon() {
    let (new, old) = shifted(32);
    for [from, to] in WAYS {
        let lab = Lab::new();
        lab.write("src", &new);
        lab.write("dst", &old);
        let mut run = lab.begin(&["--bwlimit=2m", "--truncate", from, to], &old);
        let sent = Instant::now();
        kill_process(Pid::from_child(&run), Signal::INT).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(20), "{from} {to}");
        assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
        lab.wait_for_agents();
    }
}
