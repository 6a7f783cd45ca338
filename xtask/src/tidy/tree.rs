//! The files of the project: those that git tracks and those that it would add.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context as _, Result, ensure};

/// A file.
#[derive(Debug)]
pub(crate) struct File {
    /// Below the root of the project, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Lines with their numbers, counted from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// True for a file whose name ends in a dot and `extension`.
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }
}

/// All files that a rule sees.
#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    pub(crate) fn new(files: Vec<File>) -> Self {
        Self { files }
    }

    /// Reads the files of this project.
    pub(crate) fn of_project() -> Result<Self> {
        let root = root();
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .context("git")?;
        ensure!(listed.status.success(), "git ls-files: {}", listed.status);
        let listed = String::from_utf8(listed.stdout).context("a name that is not UTF-8")?;
        let mut files = Vec::new();
        for path in listed.split_terminator('\0') {
            if let Some(text) = read(&root.join(path)).with_context(|| path.to_owned())? {
                files.push(File { path: path.to_owned(), text });
            }
        }
        Ok(Self::new(files))
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is("rs"))
    }

    /// The documents.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is("md"))
    }

    /// A file by its path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// True for a file and for a directory with files.
    pub(crate) fn has(&self, path: &str) -> bool {
        let is_it = |file: &File| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        path.is_empty() || self.files.iter().any(is_it)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// The text of a file; `None` for one that is gone, and for what is no regular file.
fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(metadata) if !metadata.is_file() => Ok(None),
        _ => Ok(Some(String::from_utf8_lossy(&fs::read(path)?).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use crate::tidy::testing::tree;

    #[test]
    fn sees_its_own_source() {
        let tree = Tree::of_project().unwrap();
        let this = tree.file("xtask/src/tidy/tree.rs").unwrap();
        assert!(this.text.contains("sees_its_own_source"));
        assert!(tree.has("xtask/src") && !tree.has("xtask/sr") && !tree.has("target"));
    }

    #[test]
    fn tells_files_by_their_extension() {
        let tree = tree(&[("a.rs", ""), ("b.md", ""), ("rs", "")]);
        assert_eq!((tree.rust().count(), tree.documents().count()), (1, 1));
    }
}
