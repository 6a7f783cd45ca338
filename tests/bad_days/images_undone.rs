//! `lanesync blocks --apply-undo` that is killed or stopped: the target says that it is incomplete, and the same
//! file brings it back after all.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use rustix::process::Signal;

use crate::lab::{Lab, content};

const MIB: usize = 1 << 20;

#[test]
fn a_target_is_marked_until_it_is_back_and_the_same_file_brings_it_back_after_all() {
    let lab = Lab::new();
    let (new, old) = (content(1, 128 * MIB), content(2, 128 * MIB));
    lab.file("src", &new);
    let image = lab.file("image", &old);
    lab.lanesync("blocks --no-digest --undo=undo src image").go().expect(0);
    let mark = lab.path(".image.lanesync-incomplete");
    let is_begun = || {
        let mut start = [0; 4096];
        File::open(&image).unwrap().read_exact_at(&mut start, 0).unwrap();
        start == old[..4096]
    };
    for (signal, code) in [(Signal::KILL, -9), (Signal::TERM, 20), (Signal::INT, 20)] {
        fs::write(&image, &new).unwrap();
        let mut run = lab.lanesync("blocks --apply-undo=undo image").start();
        run.until("something is back", is_begun);
        run.signal(signal);
        run.wait().expect(code);
        let now = fs::read(&image).unwrap();
        assert!(now != old && now != new, "it was not stopped midway: the test shows nothing");
        assert!(mark.exists());
        let done = lab.lanesync("blocks -n --no-digest src image").go().expect(0);
        done.complains(&["was left incomplete"]);
        lab.lanesync("blocks -n --apply-undo=undo image").go().expect(0);
        assert!(mark.exists() && fs::read(&image).unwrap() == now);
    }
    lab.lanesync("blocks --apply-undo=undo image").go().expect(0);
    assert!(fs::read(&image).unwrap() == old && !mark.exists());
}

#[test]
fn what_a_run_had_verified_is_not_believed_after_a_part_of_it_was_brought_back() {
    let lab = Lab::new();
    let (new, old) = (content(1, 64 * MIB), content(2, 64 * MIB));
    lab.file("src", &new);
    let image = lab.file("image", &old);
    let mark = lab.path(".image.lanesync-incomplete");
    let mut run = lab.lanesync("blocks --bwlimit=10m --undo=undo src image").start();
    run.until("units are noted", || mark.metadata().is_ok_and(|mark| mark.len() > 300));
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, -9);
    let mut run = lab.lanesync("blocks --apply-undo=undo image").start();
    run.until("the mark is another", || mark.metadata().is_ok_and(|mark| mark.len() <= 300));
    run.signal(Signal::KILL);
    run.wait();
    let line = "blocks --resume --json src image";
    let done = lab.lanesync(line).go().expect(0);
    assert!(done.stdout.contains(r#""resumed_bytes":0"#), "{done}");
    assert!(fs::read(&image).unwrap() == new && !mark.exists());
}
