//! The trees that are copied in benchmarks: the same bytes, names and times on every machine.
//!
//! Each directory has a random generator of its own, seeded from its number, so that the tree does
//! not depend on how many threads made it. `--scale` shrinks counts and sizes, never the shape.

use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;

mod change;

mod mixed;

mod plain;

mod sized;

pub(crate) use change::Change;
pub(crate) use sized::{Sized, Sizes};

const USAGE: &str = "\
usage: cargo xtask corpus KIND DIR [--scale X] [--change touched|halved|patched]

KIND  small     100,000 files of 1 to 8 KiB in 1,000 directories
      spread    the same in directories of 10 files
      even      20,000 files of 4 KiB in 200 directories
      flat      200,000 files of at most 1 KiB in one directory
      mixed     20,000 files of long-tailed sizes, 2 GB, one of 1 GB, and every kind of entry
      big       one file of 4 GiB of random bytes
      million   1,000,000 empty files in 1,000 directories
DIR must not exist. --scale 0.01 makes it a hundredth. --change touched then alters one file in a
hundred, --change halved removes every second one, --change patched writes over a hundredth of each.
";

/// What differs between this corpus and another of the same kind: nothing, ever.
const SEED: u64 = 0x1a9e_5b0c;

/// A kind of tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Small,
    Spread,
    Even,
    Flat,
    Mixed,
    Big,
    Million,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Small, Self::Spread, Self::Even, Self::Flat, Self::Mixed, Self::Big, Self::Million];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Spread => "spread",
            Self::Even => "even",
            Self::Flat => "flat",
            Self::Mixed => "mixed",
            Self::Big => "big",
            Self::Million => "million",
        }
    }

    /// About how many inodes it has.
    pub(crate) fn inodes(self, scale: f64) -> u64 {
        let whole = match self {
            Self::Small => 101_000,
            Self::Spread => 110_000,
            Self::Even => 20_200,
            Self::Flat => 200_000,
            Self::Mixed => 23_000,
            Self::Big => 1,
            Self::Million => 1_001_000,
        };
        scaled(whole, scale) + 64
    }

    /// About how many bytes of disk it takes.
    pub(crate) fn bytes(self, scale: f64) -> u64 {
        let whole = match self {
            Self::Small | Self::Spread => 700 << 20,
            Self::Even => 90 << 20,
            Self::Flat => 850 << 20,
            Self::Mixed => 2200 << 20,
            Self::Big => 4 << 30,
            Self::Million => 64 << 20,
        };
        scaled(whole, scale) + (8 << 20)
    }

    /// Makes the tree in a directory that is not there yet.
    pub(crate) fn generate(self, dir: &Path, scale: f64) -> Result<()> {
        match self {
            Self::Small => plain::many(dir, &plain::Shape::small(scale)),
            Self::Spread => plain::many(dir, &plain::Shape::spread(scale)),
            Self::Even => plain::many(dir, &plain::Shape::even(scale)),
            Self::Flat => plain::many(dir, &plain::Shape::flat(scale)),
            Self::Million => plain::many(dir, &plain::Shape::million(scale)),
            Self::Mixed => mixed::generate(dir, scale),
            Self::Big => plain::big(dir, scale),
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .with_context(|| format!("{name:?} is no kind of corpus"))
    }
}

pub(crate) fn main(args: &[OsString]) -> Result<()> {
    let mut parser = lexopt::Parser::from_args(args);
    let (mut kind, mut dir, mut scale, mut change) = (None, None::<PathBuf>, 1.0, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("scale") => scale = parser.value()?.parse()?,
            Long("change") => change = Some(parser.value()?.parse::<Change>()?),
            Short('h') | Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            Value(value) if kind.is_none() => kind = Some(value.parse::<Kind>()?),
            Value(value) if dir.is_none() => dir = Some(value.into()),
            other => bail!("{}\n{USAGE}", other.unexpected()),
        }
    }
    let (Some(kind), Some(dir)) = (kind, dir) else { bail!("{USAGE}") };
    if !(scale > 0.0 && scale <= 16.0) {
        bail!("--scale must be above 0 and at most 16");
    }
    kind.generate(&dir, scale)?;
    if let Some(change) = change {
        change.apply(&dir)?;
    }
    Ok(())
}

/// A part of a count, at least one.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
#[expect(clippy::cast_sign_loss, reason = "scales are positive")]
fn scaled(count: u64, scale: f64) -> u64 {
    ((count as f64 * scale).round() as u64).max(1)
}

fn rng(stream: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(SEED ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A moment within ten years before 2024, with nanoseconds.
fn random_time(rng: &mut fastrand::Rng) -> SystemTime {
    let seconds = 1_388_534_400 + rng.u64(0..315_360_000); // from 2014 on
    SystemTime::UNIX_EPOCH + Duration::new(seconds, rng.u32(0..1_000_000_000))
}

fn set_time(file: &File, time: SystemTime) -> Result<()> {
    Ok(file.set_times(FileTimes::new().set_accessed(time).set_modified(time))?)
}

fn write_file(path: &Path, bytes: &[u8], time: SystemTime) -> Result<()> {
    let write = || -> Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        set_time(&file, time)
    };
    write().with_context(|| format!("write {}", path.display()))
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir(path).with_context(|| format!("make {}", path.display()))
}

/// Does each of `0..count` once, on all cores.
fn in_parallel(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(number)?;
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(count)).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no worker panics"))
    })
}

#[cfg(test)]
mod tests;
