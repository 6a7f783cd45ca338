//! What we take and refuse is what rsync takes and refuses, with the same exit code.

use std::path::Path;
use std::process::{Command, Stdio};

use super::resolve_words;
use crate::cli::testing::{Fake, words};
use crate::exit_code::Exit;

/// Lines without paths. `_` stands for a blank inside of an argument.
const LINES: &str = include_str!("oracle.txt");

fn our_code(line: &str, directory: &Path) -> u8 {
    let fake = Fake { directory: Some(directory.to_owned()), ..Fake::default() };
    let result = resolve_words(words(&format!("-n {line} s/ d")), &fake);
    result.map_or_else(|refusal| refusal.exit, |_| Exit::Success).code()
}

#[expect(clippy::disallowed_methods, reason = "asks the real rsync")]
fn rsyncs_code(line: &str, directory: &Path) -> i32 {
    let status = Command::new("rsync")
        .args(words(&format!("-n {line} s/ d")))
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("rsync has to be installed: it is the reference");
    status.code().expect("rsync was not killed")
}

#[test]
#[allow(clippy::disallowed_methods, reason = "makes a scratch directory")]
fn exit_codes_are_rsyncs() {
    let scratch = tempfile::tempdir().unwrap();
    for name in ["s", "d"] {
        std::fs::create_dir(scratch.path().join(name)).unwrap();
    }
    for (name, contents) in [("rules", "*.o\n- x\n+ y\n"), ("bad-rules", "x y\n"), ("names", "a\n")]
    {
        std::fs::write(scratch.path().join(name), contents).unwrap();
    }
    std::fs::write(scratch.path().join("s/a"), "a").unwrap();
    let mut differences = Vec::new();
    for line in LINES.lines().filter(|line| !line.starts_with('#')) {
        let (ours, rsyncs) = (our_code(line, scratch.path()), rsyncs_code(line, scratch.path()));
        if i32::from(ours) != rsyncs {
            differences.push(format!("{line}: {ours}, rsync {rsyncs}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
