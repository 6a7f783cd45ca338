//! Real shells.

use std::io::{BufRead as _, BufReader};

use super::*;

fn sh(script: &str) -> Vec<OsString> {
    ["/bin/sh", "-c", script].map(OsString::from).to_vec()
}

struct Heard {
    ending: Ending,
    out: Vec<u8>,
    err: Vec<u8>,
}

fn hear(script: &str, input: &[u8], cancel: &Cancel, on: &mut dyn FnMut(&[u8])) -> Heard {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut hear = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Out => {
            out.extend_from_slice(bytes);
            on(bytes);
        }
        Stream::Err => err.extend_from_slice(bytes),
    };
    let ending = run(&sh(script), input, &mut hear, cancel).unwrap();
    Heard { ending, out, err }
}

#[test]
fn what_it_reads_and_says_passes_whole_in_both_directions() {
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let Heard { ending, out, err } = hear("tee /dev/stderr", &input, &Cancel::new(), &mut |_| {});
    assert_eq!(ending, Ending::Code(0));
    assert!(out == input && err == input, "{} {} of {}", out.len(), err.len(), input.len());
}

#[test]
fn who_does_not_read_is_not_waited_for() {
    let input = vec![b'x'; 1_000_000];
    let heard = hear("exec <&-; echo done; exit 3", &input, &Cancel::new(), &mut |_| {});
    assert_eq!((heard.ending, &*heard.out), (Ending::Code(3), &b"done\n"[..]));
    let heard = hear("cat; kill -9 $$", b"", &Cancel::new(), &mut |_| {});
    assert_eq!(heard.ending, Ending::Signal(9));
}

#[test]
fn a_program_that_is_not_there_is_not_started() {
    let error = run(&["/nowhere/rsync".into()], b"", &mut |_, _| {}, &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

/// The numbers of the processes that a script tells, all of which are gone.
fn are_gone(told: &[u8]) {
    for pid in BufReader::new(told).lines() {
        let pid = Pid::from_raw(pid.unwrap().parse().unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err(), "{pid:?} is left");
    }
}

#[test]
fn after_a_cancel_nothing_of_it_is_left() {
    for script in [
        "sleep 1000 & echo $!; echo $$; wait",
        "trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do sleep 1000; done",
        "trap 'exit 0' TERM; (trap '' TERM; echo $$; sleep 1000) & echo $!; wait",
    ] {
        let cancel = Cancel::new();
        let mut lines = 0;
        let heard = hear(script, b"", &cancel, &mut |bytes| {
            lines += bytes.split(|byte| *byte == b'\n').count() - 1;
            if lines >= 2 {
                cancel.cancel();
            }
        });
        assert!(matches!(heard.ending, Ending::Stopped | Ending::Code(0)), "{:?}", heard.ending);
        are_gone(&heard.out);
    }
}

#[test]
fn what_outlives_the_one_that_has_started_it_is_ended() {
    let heard =
        hear("(trap '' HUP; sleep 1000) & echo $!; exit 7", b"", &Cancel::new(), &mut |_| {});
    assert_eq!(heard.ending, Ending::Code(7));
    are_gone(&heard.out);
}
