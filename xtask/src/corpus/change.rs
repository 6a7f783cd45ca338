//! What happens to a tree between two runs.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{random_time, rng, set_time, write_file};

/// A way to change a tree; the same tree always changes in the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// One file in a hundred differs: rewritten in the middle, appended to, replaced or new.
    Touched,
    /// Every second file is gone.
    Halved,
    /// A hundredth of the bytes of each file is other bytes, here and there.
    Patched,
}

impl Change {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Touched => "touched",
            Self::Halved => "halved",
            Self::Patched => "patched",
        }
    }

    pub(crate) fn apply(self, root: &Path) -> Result<()> {
        let mut files = Vec::new();
        list(root, &mut files)?;
        match self {
            Self::Touched => {
                let mut every_hundredth = files.iter().enumerate().skip(42).step_by(100);
                every_hundredth.try_for_each(|(number, path)| touch(path, number))
            }
            Self::Halved => files.iter().step_by(2).try_for_each(|path| {
                fs::remove_file(path).with_context(|| format!("remove {}", path.display()))
            }),
            Self::Patched => {
                files.iter().enumerate().try_for_each(|(number, path)| patch(path, number))
            }
        }
    }
}

impl std::str::FromStr for Change {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "touched" => Ok(Self::Touched),
            "halved" => Ok(Self::Halved),
            "patched" => Ok(Self::Patched),
            _ => bail!("{name:?} is no change"),
        }
    }
}

/// All that is not a directory, sorted, so that the order of a listing does not matter.
fn list(dir: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        if entry.file_type()?.is_dir() {
            list(&entry.path(), into)?;
        } else {
            into.push(entry.path());
        }
    }
    Ok(())
}

fn touch(path: &Path, number: usize) -> Result<()> {
    let mut rng = rng(0x746f_7563 ^ number as u64);
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return Ok(());
    }
    let mut bytes = vec![0; 4096];
    rng.fill(&mut bytes);
    let time = random_time(&mut rng) + std::time::Duration::from_secs(315_360_000);
    match number / 100 % 4 {
        0 => {
            let file = File::options().write(true).open(path)?;
            let length = usize::try_from(meta.len().min(4096))?;
            file.write_all_at(&bytes[..length], (meta.len() / 2) & !4095)?;
            set_time(&file, time)
        }
        1 => {
            let mut file = File::options().append(true).open(path)?;
            file.write_all(&bytes)?;
            set_time(&file, time)
        }
        2 => {
            fs::remove_file(path)?;
            write_file(path, &bytes, time)
        }
        _ => write_file(&path.with_extension("new"), &bytes, time),
    }
}

fn patch(path: &Path, number: usize) -> Result<()> {
    const STRETCH_BYTES: u64 = 64 << 10;
    let mut rng = rng(0x7061_7463 ^ number as u64);
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() || meta.len() == 0 {
        return Ok(());
    }
    let file = File::options().write(true).open(path)?;
    let length = meta.len().min(STRETCH_BYTES);
    let mut bytes = vec![0; usize::try_from(length)?];
    for _ in 0..(meta.len() / 100).div_ceil(length) {
        rng.fill(&mut bytes);
        file.write_all_at(&bytes, rng.u64(0..=meta.len() - length))?;
    }
    set_time(&file, random_time(&mut rng) + std::time::Duration::from_secs(315_360_000))
}
