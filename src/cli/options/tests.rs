//! What `options` promises, held to it.

use std::collections::HashSet;
use std::process::{Command, Stdio};

use super::{Argument, Polarity, SECTIONS, Spec, all, by_long, by_short};

/// Options of ours, which rsync does not know.
const OURS: [&str; 19] = [
    "workers",
    "json",
    "no-json",
    "delete-across-mounts",
    "no-delete-across-mounts",
    "no-empty-source",
    "empty-source",
    "agent-path",
    "no-upload",
    "upload",
    "remote-sudo",
    "no-remote-sudo",
    "sudo",
    "no-sudo",
    "lanes",
    "lane-kind",
    "lane-ports",
    "lanes-from",
    "reconnect",
];

fn long_names(spec: &Spec) -> impl Iterator<Item = &'static str> {
    let own = Some(spec.long).filter(|name| !name.is_empty());
    own.into_iter().chain(spec.aliases.iter().copied()).chain(spec.negations.iter().copied())
}

#[test]
fn every_spelling_belongs_to_one_option() {
    let mut seen = HashSet::new();
    for spec in all() {
        for name in long_names(spec) {
            assert!(seen.insert(name.to_owned()), "--{name}");
        }
        if let Some(letter) = spec.short {
            assert!(seen.insert(letter.to_string()), "-{letter}");
            assert_eq!(by_short(letter).map(|found| found.opt), Some(spec.opt));
        }
    }
    let mut options = HashSet::new();
    assert!(all().all(|spec| options.insert(spec.opt)), "an option stands twice in the table");
}

#[test]
fn help_fits_beside_the_options() {
    for section in SECTIONS {
        for spec in section.options {
            assert!(spec.help.len() <= 75, "--{}: {}", spec.long, spec.help);
            assert!(!spec.help.ends_with('.'), "--{}", spec.long);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "asks the real rsync")]
fn rsync(arguments: &[&str]) -> String {
    let output = Command::new("rsync")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("rsync has to be installed: it is the reference");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn every_option_of_rsyncs_help_is_known() {
    let help = rsync(&["--help"]);
    let (_, options) = help.split_once("\nOptions\n").expect("rsync's help has a list of options");
    let mut found = 0;
    for line in options.lines().filter(|line| line.starts_with('-')) {
        let spellings = line.split("  ").next().unwrap_or_default();
        for spelling in spellings.split(", ").filter(|word| !word.contains("OPTION,")) {
            let name = spelling.split(['=', ' ']).next().unwrap_or_default();
            let takes_argument = spelling.contains('=') && name != "--no-OPTION";
            let spec = match name.strip_prefix("--") {
                Some("no-OPTION") => continue,
                Some(long) => by_long(long).map(|found| found.0),
                None => name.chars().nth(1).and_then(by_short),
            };
            let spec = spec.unwrap_or_else(|| panic!("{name} of rsync is not in the table"));
            if takes_argument {
                assert_ne!(spec.argument, Argument::None, "{name} takes an argument");
            }
            found += 1;
        }
    }
    assert!(found > 200, "only {found} spellings found in rsync's help");
}

/// Runs rsync once for each spelling: some seconds.
#[test]
fn every_spelling_of_ours_is_one_of_rsync_and_takes_an_argument_where_it_does() {
    for spec in all() {
        for name in long_names(spec).filter(|name| !OURS.contains(name)) {
            let says = rsync(&[&format!("--{name}")]);
            assert!(!says.contains("unknown option"), "rsync does not know --{name}");
            let takes = by_long(name).is_some_and(|(spec, polarity)| {
                spec.argument != Argument::None && polarity == Polarity::On
            });
            assert_eq!(says.contains("missing argument"), takes, "--{name}: {says:.80}");
        }
        if let Some(letter) = spec.short {
            let says = rsync(&[&format!("-{letter}")]);
            assert!(!says.contains("unknown option"), "rsync does not know -{letter}");
            assert_eq!(says.contains("missing argument"), spec.argument != Argument::None);
        }
    }
}

#[test]
fn options_of_ours_are_not_rsyncs() {
    for name in OURS {
        assert!(rsync(&[&format!("--{name}=1")]).contains("unknown option"), "--{name}");
    }
}
