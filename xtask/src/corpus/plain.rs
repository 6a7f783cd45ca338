//! The plain trees: many files of one sort, or one big one.

use std::fs::File;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Result;

use super::{in_parallel, make_dir, random_time, rng, scaled, set_time, write_file};

/// How many files where, and how long.
pub(super) struct Shape {
    dirs: usize,
    files_per_dir: usize,
    size_bytes: RangeInclusive<usize>,
    in_root: bool,
}

impl Shape {
    pub(super) fn small(scale: f64) -> Self {
        Self::dirs(1_000, 100, 1024..=8192, scale)
    }

    /// For slow file systems, whose clients serialise creations in a directory.
    pub(super) fn spread(scale: f64) -> Self {
        Self::dirs(10_000, 10, 1024..=8192, scale)
    }

    /// What comparisons of ways between hosts are made with.
    pub(super) fn even(scale: f64) -> Self {
        Self::dirs(200, 100, 4096..=4096, scale)
    }

    pub(super) fn million(scale: f64) -> Self {
        Self::dirs(1_000, 1_000, 0..=0, scale)
    }

    pub(super) fn flat(scale: f64) -> Self {
        let files_per_dir = count(200_000, scale);
        Self { dirs: 1, files_per_dir, size_bytes: 0..=1024, in_root: true }
    }

    /// Shrinks the number of directories before the number of files in each.
    fn dirs(dirs: u64, files: u64, size_bytes: RangeInclusive<usize>, scale: f64) -> Self {
        let wanted = scaled(dirs * files, scale);
        let dirs = count(dirs, scale);
        let files_per_dir = usize::try_from(wanted).unwrap_or(usize::MAX).div_ceil(dirs);
        Self { dirs, files_per_dir, size_bytes, in_root: false }
    }
}

fn count(whole: u64, scale: f64) -> usize {
    usize::try_from(scaled(whole, scale)).unwrap_or(usize::MAX)
}

pub(super) fn many(root: &Path, shape: &Shape) -> Result<()> {
    make_dir(root)?;
    in_parallel(shape.dirs, |number| {
        let mut rng = rng(number as u64);
        let dir = if shape.in_root { root.to_owned() } else { root.join(format!("d{number:05}")) };
        if !shape.in_root {
            make_dir(&dir)?;
        }
        let mut bytes = Vec::new();
        for file in 0..shape.files_per_dir {
            bytes.resize(rng.usize(shape.size_bytes.clone()), 0);
            rng.fill(&mut bytes);
            write_file(&dir.join(format!("f{file:07}")), &bytes, random_time(&mut rng))?;
        }
        set_time(&File::open(&dir)?, random_time(&mut rng))
    })?;
    set_time(&File::open(root)?, random_time(&mut rng(u64::MAX)))
}

/// One file that cannot be compressed and has no hole.
pub(super) fn big(root: &Path, scale: f64) -> Result<()> {
    const PIECE_BYTES: u64 = 1 << 20;
    make_dir(root)?;
    let mut rng = rng(0);
    let mut file = File::create_new(root.join("big"))?;
    let mut piece = vec![0; 1 << 20];
    let mut left = scaled(4 << 30, scale);
    while left > 0 {
        let length = left.min(PIECE_BYTES);
        rng.fill(&mut piece);
        file.write_all(&piece[..usize::try_from(length)?])?;
        left -= length;
    }
    set_time(&file, random_time(&mut rng))?;
    let dir = File::open(root)?;
    set_time(&dir, random_time(&mut rng))
}
