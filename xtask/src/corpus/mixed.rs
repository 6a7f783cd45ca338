//! The mixed tree: sizes as in real homes (most small, most bytes in a few), and one of each thing
//! that copiers lose: links of both kinds, attributes, ACLs, holes, odd names, a fifo.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, setxattr, utimensat,
};
use rustix::io::Errno;

use super::{in_parallel, make_dir, random_time, rng, scaled, set_time};

const FILES: u64 = 20_000;

/// All but the giant.
const BYTES: u64 = 1_000_000_000;

/// The one file that holds half of it all.
const GIANT_BYTES: u64 = 1_000_000_000;

/// The middle and the spread of the logarithm of a file's size: half are below 8 KiB.
const LOG_MEDIAN: f64 = 9.0;
const LOG_SPREAD: f64 = 1.9;

/// A file that is to be made.
struct Plan {
    dir: usize,
    name: OsString,
    size_bytes: u64,
}

pub(super) fn generate(root: &Path, scale: f64) -> Result<()> {
    let mut rng = rng(0x6d69_7865);
    let dirs = make_dirs(root, scaled(600, scale), &mut rng)?;
    let plans = plan(&dirs, scale, &mut rng);
    in_parallel(plans.len(), |number| {
        let plan = &plans[number];
        make_file(&dirs[plan.dir].join(&plan.name), plan.size_bytes, number as u64)
            .with_context(|| format!("file {number}"))
    })?;
    make_links(&dirs, &plans, &mut rng)?;
    make_odd(root)?;
    // Last and from the leaves, since making anything changes the directory above.
    for dir in dirs.iter().rev() {
        let modes = [0o755, 0o755, 0o755, 0o700, 0o2775, 0o1777];
        fs::set_permissions(dir, fs::Permissions::from_mode(modes[rng.usize(0..modes.len())]))?;
        set_time(&File::open(dir)?, random_time(&mut rng))?;
    }
    Ok(())
}

/// A random tree of directories, parents before children.
fn make_dirs(root: &Path, count: u64, rng: &mut fastrand::Rng) -> Result<Vec<PathBuf>> {
    const DEPTH_MAX: usize = 12;
    make_dir(root)?;
    let mut dirs = vec![(root.to_owned(), 0)];
    for number in 0..count {
        let (parent, depth) = &dirs[rng.usize(0..dirs.len())];
        if *depth < DEPTH_MAX {
            let dir = (parent.join(format!("dir {number}")), depth + 1);
            make_dir(&dir.0)?;
            dirs.push(dir);
        }
    }
    Ok(dirs.into_iter().map(|(path, _)| path).collect())
}

/// Sizes drawn from a log-normal distribution and stretched to the wanted sum.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "random anyway")]
#[expect(clippy::cast_sign_loss, reason = "sizes are positive")]
fn plan(dirs: &[PathBuf], scale: f64, rng: &mut fastrand::Rng) -> Vec<Plan> {
    let raw: Vec<f64> = (0..scaled(FILES, scale))
        .map(|_| {
            let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
            let normal = radius * (std::f64::consts::TAU * rng.f64()).cos();
            (LOG_MEDIAN + LOG_SPREAD * normal).exp()
        })
        .collect();
    let stretch = scaled(BYTES, scale) as f64 / raw.iter().sum::<f64>();
    let mut plans: Vec<Plan> = raw
        .into_iter()
        .enumerate()
        .map(|(number, size)| Plan {
            dir: rng.usize(0..dirs.len()),
            name: OsString::from(format!("file-{number}.dat")),
            size_bytes: (size * stretch) as u64,
        })
        .collect();
    plans.push(Plan { dir: 0, name: "giant".into(), size_bytes: scaled(GIANT_BYTES, scale) });
    plans
}

/// Writes one file; some have holes, some attributes, some ACLs, some owners.
fn make_file(path: &Path, size_bytes: u64, number: u64) -> Result<()> {
    let mut rng = rng(number + 1);
    let mut file = File::create_new(path)?;
    if number % 100 == 7 {
        // Data at the beginning and the end, and a hole of at least as much in between.
        let mut ends = vec![0; 4096];
        rng.fill(&mut ends);
        file.write_all_at(&ends, 0)?;
        file.write_all_at(&ends, (size_bytes + (1 << 20)) & !4095)?;
    } else {
        let mut piece = vec![0; usize::try_from(size_bytes.min(1 << 18))?];
        let mut left = piece.len();
        let mut written = 0;
        while written < size_bytes {
            left = left.min(usize::try_from(size_bytes - written)?);
            rng.fill(&mut piece[..left]);
            file.write_all(&piece[..left])?;
            written += left as u64;
        }
    }
    if number % 33 == 5 {
        let value = vec![b'v'; rng.usize(0..200)];
        lenient(setxattr(path, "user.origin", &value, XattrFlags::empty()))?;
        lenient(setxattr(path, "user.\u{e9}t\u{e9}", b"\x00\xff", XattrFlags::empty()))?;
    }
    if number % 50 == 9 {
        let acl = acl(rng.u32(1000..2000));
        lenient(setxattr(path, "system.posix_acl_access", &acl, XattrFlags::empty()))?;
    } else {
        let modes = [0o644, 0o644, 0o600, 0o755, 0o444, 0o640];
        file.set_permissions(fs::Permissions::from_mode(modes[rng.usize(0..modes.len())]))?;
    }
    if number % 20 == 3 && rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(rng.u32(1000..1004)), Some(rng.u32(1000..1004)))?;
    }
    set_time(&file, random_time(&mut rng))
}

/// `user::rw-, user:UID:r--, group::r--, mask::r--, other::---` as the kernel stores it.
fn acl(uid: u32) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, permissions, id) in [
        (0x01_u16, 6_u16, nobody),
        (0x02, 4, uid),
        (0x04, 4, nobody),
        (0x10, 4, nobody),
        (0x20, 0, nobody),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// File systems without attributes or ACLs get a tree without them.
fn lenient(result: Result<(), Errno>) -> Result<()> {
    match result {
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One symbolic link to 20 files, one hard link to 50, some of them across directories.
fn make_links(dirs: &[PathBuf], plans: &[Plan], rng: &mut fastrand::Rng) -> Result<()> {
    for (number, plan) in plans.iter().enumerate() {
        let target = dirs[plan.dir].join(&plan.name);
        if number % 20 == 1 {
            let target = match number % 60 {
                1 => plan.name.clone(),
                21 => OsString::from(format!("../nowhere/{number}")),
                // Of one spelling wherever the tree lies, so that its copies are alike.
                _ => OsString::from(format!("/nowhere/{number}")),
            };
            let link = dirs[plan.dir].join(format!("link-{number}"));
            symlink(target, &link)?;
            set_link_time(&link, rng)?;
        }
        if number % 50 == 2 {
            let dir = &dirs[rng.usize(0..dirs.len())];
            fs::hard_link(&target, dir.join(format!("hard-{number}")))?;
        }
    }
    Ok(())
}

fn set_link_time(link: &Path, rng: &mut fastrand::Rng) -> Result<()> {
    let at = Timespec { tv_sec: rng.i64(1_388_534_400..1_703_894_400), tv_nsec: rng.i64(0..1000) };
    let times = Timestamps { last_access: at, last_modification: at };
    Ok(utimensat(CWD, link, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Names that break naive tools, an empty directory and a fifo.
fn make_odd(root: &Path) -> Result<()> {
    let dir = root.join("odd");
    make_dir(&dir)?;
    let longest = vec![b'n'; 255];
    let names: &[&[u8]] = &[
        b"new\nline",
        b"not utf-8 \xff\xfe",
        b"-leading-dash",
        b"trailing blank ",
        b" leading blank",
        b"quote'\"`$(true)",
        b"back\\slash",
        b"star*?[x]",
        "\u{1f980} and \u{e9} and e\u{301}".as_bytes(),
        b"\x01\x1b[31m",
        b"~tilde#",
        b".hidden",
        &longest,
    ];
    let mut rng = rng(0x6f64_6400);
    for (number, name) in names.iter().enumerate() {
        make_file(&dir.join(OsStr::from_bytes(name)), 1000, 1_000_000 + number as u64)?;
    }
    make_dir(&dir.join("empty"))?;
    set_time(&File::open(dir.join("empty"))?, random_time(&mut rng))?;
    symlink(OsString::from_vec(vec![b't'; 200]), dir.join("long target"))?;
    set_link_time(&dir.join("long target"), &mut rng)?;
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0)?;
    set_link_time(&dir.join("fifo"), &mut rng)?;
    set_time(&File::open(&dir)?, random_time(&mut rng))
}
