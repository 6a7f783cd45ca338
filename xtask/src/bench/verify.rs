//! Whether a copy is one. Two looks: a walk of our own, and rsync's opinion.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// How a copy differs from its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Entries of another kind, size or time, missing ones and those too many.
    pub(crate) entries: u64,
    /// Lines of `rsync -n -i -aHAX --delete`.
    pub(crate) itemized: u64,
}

impl Differences {
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }
}

/// Compares by names, kinds, sizes and times, and asks rsync about the rest.
pub(crate) fn compare(from: &Path, to: &Path) -> Result<Differences> {
    let mut differences = Differences::default();
    walk(from, to, &mut differences.entries).context("compare the copy")?;
    let mut inside = [from.as_os_str().to_owned(), to.as_os_str().to_owned()];
    for path in &mut inside {
        path.push("/");
    }
    let output =
        Command::new("rsync").args(["-n", "-i", "-aHAX", "--delete"]).args(inside).output()?;
    if !output.status.success() {
        bail!("rsync -n: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    differences.itemized = output.stdout.split(|byte| *byte == b'\n').count() as u64 - 1;
    Ok(differences)
}

fn walk(from: &Path, to: &Path, differences: &mut u64) -> Result<()> {
    let mut names = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        names += 1;
        let (left, copy) = (entry.metadata()?, to.join(entry.file_name()));
        match fs::symlink_metadata(&copy) {
            Ok(right) if same(&left, &right) => {}
            _ => *differences += 1,
        }
        if left.is_dir() && copy.is_dir() {
            walk(&entry.path(), &copy, differences)?;
        }
    }
    let copies = fs::read_dir(to)?.count();
    *differences += copies.saturating_sub(names) as u64;
    Ok(())
}

fn same(left: &Metadata, right: &Metadata) -> bool {
    let is_file = left.is_file();
    left.file_type() == right.file_type()
        && (!is_file || left.len() == right.len())
        && (left.mtime(), left.mtime_nsec()) == (right.mtime(), right.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_is_missing_changed_and_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        crate::corpus::Kind::Mixed.generate(&from, 0.002).unwrap();
        crate::corpus::Kind::Mixed.generate(&to, 0.002).unwrap();
        assert_eq!(compare(&from, &to).unwrap(), Differences::default());
        fs::write(to.join("giant"), b"short").unwrap();
        fs::write(to.join("more"), b"").unwrap();
        fs::remove_file(to.join("odd/fifo")).unwrap();
        let differences = compare(&from, &to).unwrap();
        assert!(differences.entries >= 3 && differences.itemized >= 3, "{differences:?}");
    }
}
