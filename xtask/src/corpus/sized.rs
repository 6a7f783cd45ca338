//! Files of long-tailed sizes and without content: holes, so that a tree of terabytes fits anywhere.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{in_parallel, make_dir, rng};

/// No file is larger than the mean of so many equal parts.
const PARTS: u64 = 64;

/// How sizes are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// Log-normal, as of most file systems: median 64 KiB, a standard deviation of 2 in its logarithm.
    LogNormal,
    /// Pareto, with a tail that is heavier: at least 4 KiB, and a shape of 1.2.
    Pareto,
}

/// A tree of files of such sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sized {
    pub(crate) dirs: usize,
    pub(crate) files_per_dir: usize,
    pub(crate) sizes: Sizes,
}

impl Sized {
    /// Makes the tree in a directory that is not there yet; gives the bytes of all files.
    pub(crate) fn generate(&self, root: &Path) -> Result<u64> {
        let most = self.most();
        make_dir(root)?;
        in_parallel(self.dirs, |number| {
            let dir = root.join(format!("d{number:05}"));
            make_dir(&dir)?;
            for (file, bytes) in self.draws(number).enumerate() {
                let path = dir.join(format!("f{file:07}"));
                let made = File::create_new(&path).and_then(|file| file.set_len(bytes.min(most)));
                made.with_context(|| format!("make {}", path.display()))?;
            }
            Ok(())
        })?;
        Ok(self.total(most))
    }

    /// The largest size there may be.
    fn most(&self) -> u64 {
        let mut most = u64::MAX;
        loop {
            // What is cut off is missing in the mean, too.
            let next = self.total(most) / PARTS * 9 / 10;
            if next >= most / 1000 * 999 {
                return next.min(most);
            }
            most = next;
        }
    }

    fn total(&self, most: u64) -> u64 {
        let draws = (0..self.dirs).flat_map(|number| self.draws(number));
        draws.map(|bytes| bytes.min(most)).sum()
    }

    fn draws(&self, dir: usize) -> impl Iterator<Item = u64> + use<> {
        let (mut rng, sizes) = (rng(dir as u64), self.sizes);
        std::iter::repeat_with(move || sizes.draw(&mut rng)).take(self.files_per_dir)
    }
}

impl Sizes {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
    fn draw(self, rng: &mut fastrand::Rng) -> u64 {
        const MOST: f64 = 1e15;
        // Above 0, whose logarithm is a number.
        let uniform = 1.0 - rng.f64();
        let bytes = match self {
            Self::LogNormal => {
                // By G. Box and M. Muller.
                let normal =
                    (-2.0 * uniform.ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
                65_536.0 * (2.0 * normal).exp()
            }
            Self::Pareto => 4096.0 * uniform.powf(-1.0 / 1.2),
        };
        bytes.min(MOST) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_larger_than_the_mean() {
        for sizes in [Sizes::LogNormal, Sizes::Pareto] {
            let tree = Sized { dirs: 20, files_per_dir: 100, sizes };
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("tree");
            let total = tree.generate(&root).unwrap();
            let dirs = root.read_dir().unwrap().map(|entry| entry.unwrap().path());
            let files = dirs.flat_map(|dir| dir.read_dir().unwrap());
            let lengths: Vec<u64> = files.map(|it| it.unwrap().metadata().unwrap().len()).collect();
            assert_eq!(lengths.len(), 2000);
            assert_eq!(lengths.iter().sum::<u64>(), total);
            let (largest, median) = (*lengths.iter().max().unwrap(), {
                let mut sorted = lengths.clone();
                sorted.sort_unstable();
                sorted[1000]
            });
            assert!(largest <= total / PARTS, "{sizes:?}: {largest} of {total}");
            assert!(largest > 20 * median, "{sizes:?}: {largest} and {median} are no long tail");
        }
    }
}
