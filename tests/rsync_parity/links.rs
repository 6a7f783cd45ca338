//! Names of one file found on several ways: further than it has links, through links to it and below
//! sources that overlap. rsync makes one group of all of them, and so must we, with any number of
//! workers. `PARITY_CASES` and `PARITY_BASE` mean what they mean in `random`.

use crate::random::number_from_env;
use crate::support::parity::{Aspect, Output, Scenario, Scope, compare, complaint, observe};
use crate::support::rng::Rng;
use crate::support::run::{Tool, scratch_dir};
use crate::support::script::script;
use crate::support::tree::Tree;

const DIRS: [&str; 5] = ["", "a/", "b/", "b/c/", "d/"];

/// Long enough for a task of its own.
const LONG: usize = 1_100_000;

/// A few files, most of them with several names, and links to some.
fn grow(rng: &mut Rng, mut tree: Tree, top: &str) -> Tree {
    for dir in DIRS {
        tree = tree.dir(format!("{top}/{dir}").trim_end_matches('/'));
    }
    let files = rng.between(1, 3);
    for file in 0..files {
        let name = |rng: &mut Rng, of: &[&str], number: usize| {
            format!("{top}/{}{}{file}{number}", rng.pick(&DIRS), rng.pick(of))
        };
        let first = name(rng, &["f", "m", "z"], 0);
        let len = if rng.chance(10) { LONG } else { rng.between(0, 9) };
        tree = tree.file(&first, vec![b'a' + u8::try_from(file).unwrap(); len]);
        for number in 1..=rng.below(4) {
            let twin = name(rng, &["e", "g", "y"], number);
            tree = tree.hard_link(twin, &first);
        }
        for number in 0..rng.below(3) {
            let path = name(rng, &["l", "p"], number);
            let ups = "../".repeat(path.matches('/').count());
            tree = tree.symlink(path, format!("{ups}{first}"));
        }
    }
    if rng.chance(30) {
        tree = tree.symlink(format!("{top}/a/way"), "../b");
    }
    tree
}

fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let sources = [
        "src/",
        "src",
        "src src/b",
        "src/ src/b",
        "src/b/ src",
        "src/b/c src/b/ src/a",
        "src src",
        "src/a src/b src/d",
        "-R src/b src",
        "-R src/./b src/a src/./a",
    ];
    let options = [
        "",
        "",
        "-L",
        "-L",
        "-k",
        "--copy-unsafe-links",
        "--delay-updates",
        "-L --delay-updates",
        "-n",
    ];
    let tree = grow(&mut rng, Tree::new().dir("out"), "src");
    let tree = if rng.chance(30) { grow(&mut rng, tree, "dst/src") } else { tree };
    let tree = if rng.chance(30) { grow(&mut rng, tree, "dst") } else { tree };
    Scenario::new(tree, &format!("-aHi {} {} dst/", rng.pick(&options), rng.pick(&sources)))
}

#[test]
fn names_found_on_several_ways_are_one_group_whatever_the_number_of_workers() {
    let scratch = scratch_dir();
    let (rsync, ours) = (Tool::reference(), Tool::under_test());
    let scope = Scope { output: Output::ItemsWithLinks, ..Scope::default() };
    let base = number_from_env("PARITY_BASE").unwrap_or(1);
    let count = number_from_env("PARITY_CASES").unwrap_or(60);
    let mut groups = 0;
    for seed in base..base + count {
        let scenario = scenario(seed);
        let reference = observe(&rsync, &scenario, scratch.path());
        groups += usize::from(reference.stdout().contains(" => "));
        let runs = ["1", "8"].map(|workers| {
            let scenario = scenario.clone().arg(format!("--workers={workers}"));
            observe(&ours, &scenario, scratch.path())
        });
        let how = || script(&scenario);
        for run in &runs {
            let mut differences = compare(&reference, run, scope);
            // In a dry run rsync tells of a link to what is not there as of one that is right.
            if scenario.args.iter().any(|arg| arg == b"-n") {
                differences.retain(|difference| difference.aspect != Aspect::Output);
            }
            let text = || complaint(&scenario, &differences, &reference, run);
            assert!(differences.is_empty(), "seed {seed}: {}\n{}", text(), how());
        }
        let [one, many] = runs.map(|run| run.stdout());
        assert_eq!(one, many, "seed {seed}: 1 worker | 8 workers\n{}", how());
    }
    assert!(groups as u64 * 3 > count, "only {groups} of {count} cases link anything");
}
