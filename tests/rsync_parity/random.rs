//! The random differential test: as many cases as asked for, over a few threads.
//!
//! `PARITY_CASES=2000` runs more, `PARITY_BASE=7000` begins at another seed, `PARITY_FAILURES=90`
//! goes on for longer, `PARITY_SEED=42` runs that one case and prints it as a script even when it
//! passes. All of it is run with both sides here, and with fewer cases with one side on another host.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::{Case, Way};
use super::chance::is_left_to_chance;
use super::shrink::shrink;
use crate::support::parity::{Aspect, Difference, Observation, compare, complaint, observe};
use crate::support::run::{Exit, Tool, scratch_dir};
use crate::support::script::script_against;

/// A case that failed, as small as it could be made.
pub(crate) struct Failure {
    pub(crate) case: Case,
    pub(crate) differences: Vec<Difference>,
    pub(crate) text: String,
}

/// What came of many cases.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) failures: Vec<Failure>,
    /// Cases in which rsync did not agree with itself, and one thing in which it did not.
    pub(crate) unsettled: Vec<(u64, String)>,
    /// How often rsync ended with which code, to see that cases are neither all good nor all bad.
    pub(crate) exits: std::collections::BTreeMap<String, usize>,
}

/// After so many failures more of them tell nothing new.
const FAILURES_SHOWN: usize = 5;

/// Runs `count` cases from seed `base` on, or fewer if `enough` of them fail.
pub(crate) fn run_cases(base: u64, count: u64, way: Way, tool: &Tool, enough: usize) -> Tally {
    let next = AtomicU64::new(base);
    let tally = Mutex::new(Tally::default());
    // rsync sleeps for most of a small run, so more threads than cores pay.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() * 4).min(16);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let scratch = scratch_dir();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let failed = tally.lock().unwrap().failures.len();
                    if seed >= base + count || failed >= enough {
                        return;
                    }
                    run_case(seed, way, tool, scratch.path(), &tally);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn run_case(seed: u64, way: Way, tool: &Tool, scratch: &std::path::Path, tally: &Mutex<Tally>) {
    let case = Case::from_seed(seed).by(way);
    let (differences, reference, _) = try_case(&case, tool, scratch);
    let exit = format!("{:?}", reference.run.exit);
    *tally.lock().unwrap().exits.entry(exit).or_default() += 1;
    if differences.is_empty() {
        return;
    }
    if is_unsettled(&case, &reference, scratch) {
        tally.lock().unwrap().unsettled.push((seed, differences[0].to_string()));
        return;
    }
    let first = differences[0].to_string();
    let aspects: Vec<Aspect> = differences.iter().map(|difference| difference.aspect).collect();
    let fails = |candidate: &Case| {
        let (differences, again, _) = try_case(candidate, tool, scratch);
        // Else nearly all cases would shrink to a missing source.
        again.run.exit == reference.run.exit
            && differences.iter().any(|difference| aspects.contains(&difference.aspect))
    };
    let small = shrink(&case, &fails);
    let (mut differences, reference, ours) = try_case(&small, tool, scratch);
    if differences.is_empty() {
        differences.push(Difference {
            aspect: aspects[0],
            path: Vec::new(),
            field: "once",
            text: format!("seen once, not again in the smaller case: {first}"),
        });
    }
    let text = format!(
        "seed {seed}: {}\n--- as a script\n{}",
        complaint(&small.scenario(), &differences, &reference, &ours),
        script_of(&small),
    );
    tally.lock().unwrap().failures.push(Failure { case: small, differences, text });
}

fn try_case(
    case: &Case,
    tool: &Tool,
    scratch: &std::path::Path,
) -> (Vec<Difference>, Observation, Observation) {
    let (rsync, scenario) = case.reference();
    let reference = observe(&rsync, &scenario, scratch);
    let ours = observe(tool, &case.scenario(), scratch);
    (differences(case, &reference, &ours), reference, ours)
}

/// What the two did differently, without what rsync leaves to chance.
fn differences(case: &Case, reference: &Observation, ours: &Observation) -> Vec<Difference> {
    let mut differences = compare(reference, ours, case.scope());
    differences.retain(|difference| !is_left_to_chance(case, reference, difference));
    differences
}

/// True if rsync, run again on the same trees, does something else than it did: then there is no
/// right answer to compare with.
fn is_unsettled(case: &Case, first: &Observation, scratch: &std::path::Path) -> bool {
    // A few combinations with -H make rsync wait for itself forever, or stop with an error of its
    // protocol or its program.
    matches!(first.run.exit, Exit::TimeLimit | Exit::Code(2 | 12 | 13))
        || (0..4).any(|_| {
            let (rsync, scenario) = case.reference();
            let again = observe(&rsync, &scenario, scratch);
            !differences(case, first, &again).is_empty()
        })
}

pub(crate) fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn does_as_rsync_does_on_random_trees_and_options() {
    check_against_rsync(Way::Here, 200);
}

#[test]
fn does_as_rsync_does_when_it_pushes_random_trees() {
    check_against_rsync(Way::Push, 80);
}

#[test]
fn does_as_rsync_does_when_it_pulls_random_trees() {
    check_against_rsync(Way::Pull, 80);
}

#[test]
fn does_as_rsync_does_when_random_trees_go_from_one_host_to_another() {
    // rsync itself cannot be put to this test.
    if !Tool::is_another_under_test() {
        check_against_rsync(Way::Between, 60);
    }
}

fn script_of(case: &Case) -> String {
    let (rsync, theirs) = case.reference();
    script_against((&rsync, &theirs.args), &case.scenario())
}

fn check_against_rsync(way: Way, count: u64) {
    let tool = match way {
        Way::Here => Tool::under_test(),
        Way::Push | Way::Pull | Way::Between => Tool::under_test_there(),
    };
    if let Some(seed) = number_from_env("PARITY_SEED") {
        println!("{}", script_of(&Case::from_seed(seed).by(way)));
        let tally = run_cases(seed, 1, way, &tool, 1);
        report(&tally, 1);
        return;
    }
    let count = number_from_env("PARITY_CASES").unwrap_or(count);
    let base = number_from_env("PARITY_BASE").unwrap_or(1);
    println!("seeds {base} to {} against `{}`", base + count - 1, tool.shown());
    let enough = number_from_env("PARITY_FAILURES")
        .map_or(FAILURES_SHOWN, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let tally = run_cases(base, count, way, &tool, enough);
    report(&tally, count);
    assert!(
        tally.exits.get("Code(0)").is_some_and(|good| *good as u64 * 2 > count),
        "too few cases end well to show much: {:?}",
        tally.exits
    );
}

/// Panics if there was a difference, or if rsync's own wavering hid more than a few cases.
fn report(tally: &Tally, count: u64) {
    println!("rsync's exits {:?}, seeds where it wavered {:#?}", tally.exits, tally.unsettled);
    let texts: Vec<_> = tally.failures.iter().map(|failure| failure.text.as_str()).collect();
    assert!(texts.is_empty(), "{} failures\n\n{}", texts.len(), texts.join("\n========\n"));
    assert!(
        tally.unsettled.len() as u64 <= count.div_ceil(50),
        "rsync did not agree with itself on seeds {:#?}: draw fewer such cases",
        tally.unsettled
    );
}
