//! Deltas: what is in a file makes a copy of the base what the source is, and nothing else is written.

use super::*;

/// The delta file of source and target.
pub(super) fn delta_out(lab: &Lab, change: impl FnOnce(&mut BlocksSettings)) -> BlocksSummary {
    std_fs::remove_file(lab.path("delta")).ok();
    lab.bring(|settings| {
        settings.delta_out = Some(lab.path("delta"));
        settings.digest = Digest::Always;
        settings.sizes = Sizes::Truncate;
        change(settings);
    })
    .unwrap()
}

/// What became of the target when a delta file was applied to it.
pub(super) fn delta_in(
    lab: &Lab,
    file: &str,
    change: impl FnOnce(&mut BlocksSettings),
) -> Result<BlocksSummary, BlocksError> {
    let mut job = lab.job(|settings| {
        settings.sizes = Sizes::Truncate;
        change(settings);
    });
    job.source = lab.path(file);
    let (summary, done) = apply_delta(&job, &around());
    done.map(|()| summary.expect("a job that ended well was begun"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_delta_brings_a_copy_of_the_base_into_the_state_of_the_source(
        source_bytes in 0..3_500_000_usize,
        target_bytes in 0..3_500_000_usize,
        patches in patches(3_500_000),
        is_same_length in any::<bool>(),
        readers in 1..4_u16,
    ) {
        let (lab, ground) = (Lab::new(), content(0, 3_500_000));
        let source_bytes = if is_same_length { target_bytes } else { source_bytes };
        let of = |pick: fn(&Patch) -> Fill| patches.iter().map(|it| (*it, pick(it))).collect::<Vec<_>>();
        make(&lab.path("source"), source_bytes, &ground, &of(|patch| patch.new));
        make(&lab.path("target"), target_bytes, &ground, &of(|patch| patch.old));
        let (source, old) = (lab.read("source"), lab.read("target"));
        let out = delta_out(&lab, |settings| settings.readers = Some(readers));
        prop_assert!(lab.read("target") == old, "the base is only read");
        prop_assert_eq!(out.digest, Some(*blake3::hash(&source).as_bytes()));
        let would = delta_in(&lab, "delta", |settings| settings.dry_run = true).unwrap();
        prop_assert!(lab.read("target") == old, "a dry run changes nothing");
        let undo = lab.path("undo");
        let did = delta_in(&lab, "delta", |settings| {
            settings.undo = Some(undo.clone());
            settings.read_back = ReadBack::All;
        });
        let did = did.unwrap();
        prop_assert!(lab.read("target") == source);
        let changed = |it: &BlocksSummary| (it.written_bytes, it.cleared_bytes);
        prop_assert_eq!(did.digest, out.digest);
        if source != old {
            prop_assert_eq!(changed(&did), changed(&out));
            prop_assert_eq!(changed(&would), changed(&out));
            prop_assert_eq!(did.verified_bytes, source_bytes as u64);
            let undone = undo_by(&undo, &lab.path("target"), false).unwrap();
            prop_assert!(undone.was_complete && lab.read("target") == old, "undone");
            delta_in(&lab, "delta", |_| ()).unwrap();
        }
        // Once more there is nothing to do.
        let again = delta_in(&lab, "delta", |_| ()).unwrap();
        prop_assert_eq!((changed(&again), again.digest), ((0, 0), out.digest));
        prop_assert!(lab.read("target") == source);
    }
}

#[test]
fn a_delta_with_any_bit_flipped_or_byte_missing_changes_nothing() {
    let lab = Lab::new();
    let (mut new, old) = (content(1, 20_000), content(1, 20_000));
    new[5000] ^= 1;
    new[8192..12288].fill(0);
    lab.write("source", &new);
    lab.write("target", &old);
    delta_out(&lab, |_| ());
    let delta = lab.read("delta");
    let bits = (0..delta.len()).map(|at| (at, 1 << (at % 8)));
    for (at, bit) in bits.step_by(if cfg!(debug_assertions) { 7 } else { 1 }) {
        let mut damaged = delta.clone();
        damaged[at] ^= bit;
        lab.write("damaged", &damaged);
        refusal(delta_in(&lab, "damaged", |_| ()));
        assert!(lab.read("target") == old, "byte {at}");
    }
    let lengths = [0, 1, 15, 16, 31, 32, 47, 48, 100, delta.len() - 130, delta.len() - 1];
    for length in lengths {
        lab.write("damaged", &delta[..length]);
        refusal(delta_in(&lab, "damaged", |_| ()));
        assert!(lab.read("target") == old, "{length} bytes");
    }
    lab.write("damaged", &[&delta[..], b"x"].concat());
    assert!(refusal(delta_in(&lab, "damaged", |_| ())).contains("is damaged"));
    // All records have their sums, but one is missing.
    let first = 16 + 16 + 16;
    let second = first + HEADER_BYTES + 4096;
    lab.write("damaged", &[&delta[..first], &delta[second..]].concat());
    assert!(refusal(delta_in(&lab, "damaged", |_| ())).contains("is damaged"));
    let mut other = delta.clone();
    other[14] = b'2';
    lab.write("damaged", &other);
    assert!(refusal(delta_in(&lab, "damaged", |_| ())).contains("another version"));
    lab.write("damaged", &lab.read("source"));
    assert!(refusal(delta_in(&lab, "damaged", |_| ())).contains("is no file that --delta-out"));
    assert!(lab.read("target") == old);
    delta_in(&lab, "delta", |_| ()).unwrap();
    assert!(lab.read("target") == new);
}

#[test]
fn a_delta_is_for_its_base_alone() {
    let lab = Lab::new();
    let (new, old) = (content(1, 3 << 20), content(2, 2 << 20));
    lab.write("source", &new);
    lab.write("target", &old);
    delta_out(&lab, |_| ());
    let mut other = old.clone();
    other[1 << 20] ^= 1;
    for (base, why) in [
        (&other[..], "its content is another"),
        (&old[1..], "that had 2097152 bytes, and this has 2097151"),
        (&content(3, 3 << 20), "that had 2097152 bytes, and this has 3145728"),
    ] {
        lab.write("target", base);
        let refused = refusal(delta_in(&lab, "delta", |_| ()));
        assert!(refused.contains(why), "{refused}");
        assert!(lab.read("target") == base, "{why}");
    }
    std_fs::remove_file(lab.path("target")).unwrap();
    refusal(delta_in(&lab, "delta", |_| ()));
    assert!(!lab.path("target").exists());
    lab.write("target", &old);
    let why = refusal(delta_in(&lab, "delta", |settings| settings.sizes = Sizes::Same));
    assert!(why.contains("--truncate"), "{why}");
    assert!(lab.read("target") == old);
    let mode = std_fs::metadata(lab.path("delta")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let delta = lab.read("delta");
    let why = refusal(lab.bring(|settings| {
        (settings.sizes, settings.delta_out) = (Sizes::Truncate, Some(lab.path("delta")));
    }));
    assert!(why.contains("is there already") && lab.read("delta") == delta, "{why}");
}

#[test]
fn a_delta_for_what_is_not_there_makes_it() {
    let lab = Lab::new();
    let source = std_fs::File::create(lab.path("source")).unwrap();
    source.set_len(64 << 20).unwrap();
    source.write_all_at(&content(1, 10_000), 40 << 20).unwrap();
    delta_out(&lab, |_| ());
    assert!(!lab.path("target").exists());
    // Zeros are nothing in it.
    assert!(lab.read("delta").len() < 13_000, "{}", lab.read("delta").len());
    delta_in(&lab, "delta", |_| ()).unwrap();
    assert!(lab.read("target") == lab.read("source"));
    assert_eq!(lab.allocated("target"), lab.allocated("source"));
}

#[test]
fn a_source_that_changes_leaves_no_delta() {
    let lab = Lab::new();
    lab.write("source", &content(1, 2 << 20));
    lab.write("target", &content(2, 2 << 20));
    for side in ["source", "target"] {
        let job = lab.job(|settings| {
            (settings.delta_out, settings.digest) = (Some(lab.path("delta")), Digest::Always);
        });
        let around = around();
        let ends = Ends::open(&job, None, &around).unwrap();
        let work = Arc::new(Work::new(&job, ends, &around).unwrap());
        work.bring_over().unwrap();
        lab.write(side, &content(3, 2 << 20));
        let changed = Arc::into_inner(work).unwrap().finish();
        assert!(matches!(changed, Err(BlocksError::Fault(_))), "{changed:?}");
        assert_eq!(std_fs::read_dir(lab.dir.path()).unwrap().count(), 2, "{side}");
    }
}
