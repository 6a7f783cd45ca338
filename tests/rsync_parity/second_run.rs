//! After one of the tools has copied a tree, neither finds anything left to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::generate::{self, Profile, outside};
use crate::support::mutate::{Relation, mutate};
use crate::support::parity::{Scenario, observe};
use crate::support::rng::Rng;
use crate::support::run::{RunAs, Tool, scratch_dir};

/// A tool that copies with `first`, then lists with `second` what it would still change.
fn one_after_the_other(dir: &Path, first: &Tool, second: &Tool) -> Tool {
    let path = dir.join("twice");
    let text = format!(
        "#!/bin/sh\n{} \"$@\" >/dev/null || exit 90\nexec {} --dry-run --itemize-changes \"$@\"\n",
        first.shown(),
        second.shown(),
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Tool::new(&[path])
}

fn random_scenario(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let profile = Profile { run_as: RunAs::Caller, size: 20 };
    let source = generate::tree(&mut rng, b"src", profile);
    let relation = Relation { missing: 30, changed: 30, extra: 5 };
    let mut tree = outside();
    tree.nodes.extend(mutate(&mut rng, &source, b"src", b"dst", relation, profile).nodes);
    tree.nodes.extend(source.nodes);
    Scenario::new(tree, "-aHAX --delete src/ dst/")
}

#[test]
fn nothing_is_left_to_do_whoever_went_first() {
    let scratch = scratch_dir();
    let (rsync, ours) = (Tool::reference(), Tool::under_test());
    for (first, second) in [(&rsync, &rsync), (&ours, &rsync), (&rsync, &ours), (&ours, &ours)] {
        let tool = one_after_the_other(scratch.path(), first, second);
        for seed in 1..=15 {
            let seen = observe(&tool, &random_scenario(seed), scratch.path());
            let who = format!("{} after {}, seed {seed}", second.shown(), first.shown());
            assert_eq!(seen.code(), 0, "{who}: {}", seen.stderr());
            let how = crate::support::script::script(&random_scenario(seed));
            assert_eq!(seen.stdout(), "", "{who}\n{how}");
            assert!(seen.tree.has("dst"), "{who}");
        }
    }
}
