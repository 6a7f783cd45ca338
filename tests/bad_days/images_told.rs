//! What a run says of an image on its way and in the end, and how much of it is written.

use super::*;

/// What each record of a kind has in a field.
fn numbers(done: &lab::Done, kind: &str, field: &str) -> Vec<u64> {
    let of_kind = done.stdout.lines().filter(|line| line.contains(&format!("\"type\":\"{kind}\"")));
    let values = of_kind.filter_map(|line| line.split(&format!("\"{field}\":")).nth(1));
    values.map(|rest| rest.split([',', '}']).next().unwrap().parse().unwrap()).collect()
}

#[test]
fn records_of_progress_rise() {
    let lab = Lab::new();
    lab.file("src", content(1, 16 * MIB));
    lab.file("image", content(2, 16 * MIB));
    let done = lab.lanesync("blocks --json --bwlimit=4m src image").go().expect(0);
    let told = numbers(&done, "progress", "done_bytes");
    assert!(told.is_sorted() && told.iter().all(|bytes| *bytes <= 16 << 20), "{done}");
    assert!(told.iter().filter(|bytes| (1..16 << 20).contains(*bytes)).count() >= 2, "{done}");
    assert!(numbers(&done, "progress", "listed_bytes").ends_with(&[16 << 20]), "{done}");
}

#[test]
fn a_quiet_run_that_ends_well_says_nothing() {
    let lab = Lab::new();
    lab.file("src", content(1, 3 * MIB));
    for line in ["-q --truncate src image", "-q src image", "-q --verify=all -n src image"] {
        let done = lab.lanesync(&format!("blocks {line}")).go().expect(0);
        assert!(done.stdout.is_empty() && done.stderr.is_empty(), "{done}");
    }
    let done = lab.lanesync("blocks src image").go().expect(0);
    assert!(!done.stdout.is_empty(), "{done}");
    let done = lab.lanesync("blocks -q nothing image").go().expect(3);
    done.complains(&["source: open", "nothing"]);
}

#[test]
fn so_much_is_written_as_blocks_are_long() {
    let lab = Lab::new();
    let mut new = content(1, MIB + 5000);
    for (option, blocks) in [("", 1_u16), ("--block-size=1", 1), ("--block-size=16", 16)] {
        for (at, written) in [
            (500_000, u64::from(blocks) * 4096),
            (MIB + 4999, 4999 % (u64::from(blocks) * 4096) + 1),
        ] {
            lab.file("image", &new);
            new[at] = !new[at];
            lab.file("src", &new);
            let done = lab.lanesync(&format!("blocks --json {option} src image")).go().expect(0);
            assert_eq!(number(&done, "written_bytes"), written, "{option} {at}: {done}");
            assert!(fs::read(lab.path("image")).unwrap() == new);
        }
    }
}

#[test]
fn zeros_are_written_where_no_room_can_be_given_back() {
    let lab = Lab::new();
    // It knows no holes that are made later.
    lab.mount_plain("disk", "ramfs");
    let mut new = content(1, 6 * MIB + 100);
    new[MIB..5 * MIB].fill(0);
    lab.file("src", &new);
    let holey = File::create(lab.path("holey")).unwrap();
    holey.set_len(new.len() as u64).unwrap();
    holey.write_all_at(&new[..MIB], 0).unwrap();
    holey.write_all_at(&new[5 * MIB..], 5 << 20).unwrap();
    let image = lab.file("disk/image", &new);
    let punched = Command::new("fallocate").args(["-p", "-l", "4096"]).arg(&image).output();
    assert!(!punched.unwrap().status.success(), "it can make holes: the test shows nothing");
    for source in ["src", "holey"] {
        for option in ["", "--readers=1", "--no-discard"] {
            lab.file("disk/image", content(2, new.len()));
            let line = format!("blocks --json --verify {option} {source} disk/image");
            let done = lab.lanesync(&line).go().expect(0);
            assert!(fs::read(&image).unwrap() == new, "{line}");
            assert_eq!(number(&done, "cleared_bytes"), 4 << 20, "{done}");
        }
    }
}
