//! File systems made for one use: tmpfs, ext4 and xfs images, and the slow one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FsKind {
    Tmpfs,
    Ext4,
    Xfs,
}

impl FsKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Mostly a hole; so large that the journal has its usual size. Until data is written back xfs
    /// sets several blocks aside for each small file, for the worst case of its extents: in an image
    /// with less room it flushes at every turn, and the row would time that.
    fn least_image_bytes(self) -> u64 {
        match self {
            Self::Tmpfs => 0,
            Self::Ext4 => 1 << 30,
            Self::Xfs => 8 << 30,
        }
    }
}

/// How much must fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

/// A mounted file system; dropping it unmounts and deletes it.
#[derive(Debug)]
pub(crate) struct Volume {
    path: PathBuf,
    image: Option<PathBuf>,
}

impl Volume {
    /// A new file system in `work`, which is empty but for what `mkfs` puts there.
    pub(crate) fn fresh(work: &Path, tag: &str, kind: FsKind, room: Room) -> Result<Self> {
        let path = work.join(tag);
        fs::create_dir_all(&path)?;
        let image = (kind != FsKind::Tmpfs).then(|| work.join(format!("{tag}.img")));
        let made = match &image {
            None => mount_tmpfs(&path, room),
            Some(image) => mount_image(image, &path, kind, room),
        };
        if made.is_err() {
            remove_remains(&path, image.as_deref());
        }
        made.with_context(|| format!("make a {} for {tag}", kind.name()))?;
        Ok(Self { path, image })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if must(Command::new("umount").arg(&self.path)).is_err() {
            let _best_effort = must(Command::new("umount").arg("--lazy").arg(&self.path));
        }
        remove_remains(&self.path, self.image.as_deref());
    }
}

fn remove_remains(path: &Path, image: Option<&Path>) {
    // One inode of the file system below, unlike the tree that was in it.
    if let Some(image) = image {
        let _best_effort = fs::remove_file(image);
    }
    let _best_effort = fs::remove_dir(path);
}

fn mount_tmpfs(path: &Path, room: Room) -> Result<()> {
    let available = available_memory_bytes()?;
    if room.bytes > available / 10 * 9 {
        bail!("needs {} MiB of memory, {} MiB are available", room.bytes >> 20, available >> 20);
    }
    let options = format!("size={},nr_inodes={},mode=755,noatime", room.bytes * 2, room.inodes * 2);
    must(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path))
}

fn mount_image(image: &Path, path: &Path, kind: FsKind, room: Room) -> Result<()> {
    let wanted_bytes = room.bytes / 2 * 3 + room.inodes * 1024 + (256 << 20);
    let size_bytes = wanted_bytes.max(kind.least_image_bytes());
    let disk = rustix::fs::statvfs(image.parent().context("an image has a directory")?)?;
    let free_bytes = disk.f_bavail * disk.f_frsize;
    if room.bytes > free_bytes {
        bail!("needs {} MiB of disk, {} MiB are free", room.bytes >> 20, free_bytes >> 20);
    }
    fs::File::create(image)?.set_len(size_bytes)?;
    let mut mkfs = if kind == FsKind::Xfs {
        let mut mkfs = Command::new("mkfs.xfs");
        mkfs.args(["-q", "-f", "-m", "reflink=1", "-i", "maxpct=0"]);
        mkfs
    } else {
        let mut mkfs = Command::new("mkfs.ext4");
        // Nothing is left for the kernel to initialise while we measure.
        mkfs.args(["-q", "-F", "-m", "0", "-O", "has_journal"]);
        mkfs.args(["-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]);
        mkfs.arg("-N").arg((room.inodes / 10 * 11 + 1024).to_string());
        mkfs
    };
    must(mkfs.arg(image))?;
    let device = attach(image)?;
    let mounted = must(Command::new("mount").args(["-o", "noatime"]).arg(&device).arg(path));
    // Once mounted it goes with the mount.
    let detached = must(Command::new("losetup").arg("--detach").arg(&device));
    mounted.and(detached)
}

/// A loop device past the page cache of the file system below, so that no page is held twice.
fn attach(image: &Path) -> Result<PathBuf> {
    let attach = |direct: &str| -> Result<PathBuf> {
        let output = Command::new("losetup")
            .args(["--find", "--show", direct])
            .arg(image)
            .output()
            .context("losetup (package util-linux)")?;
        let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || device.is_empty() {
            bail!("losetup: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(PathBuf::from(device))
    };
    attach("--direct-io=on").or_else(|_| attach("--direct-io=off"))
}

pub(crate) fn available_memory_bytes() -> Result<u64> {
    let table = fs::read_to_string("/proc/meminfo")?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")).context("/proc/meminfo")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// A slow file system over a tmpfs.
#[derive(Debug)]
pub(crate) struct SlowVolume {
    server: Child,
    path: PathBuf,
    backing: Volume,
}

impl SlowVolume {
    /// Serves what is in `backing` with a delay.
    pub(crate) fn over(backing: Volume, testfs: &Path, delay_us: u32, slots: u16) -> Result<Self> {
        let path = backing.path().with_extension("slow");
        fs::create_dir_all(&path)?;
        let mut server = Command::new(testfs)
            .args([backing.path(), &path])
            .args(["--delay-us", &delay_us.to_string(), "--slots", &slots.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("start testfs")?;
        let output = server.stdout.as_mut().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let volume = Self { server, path, backing };
        if !line.contains("mounted") {
            bail!("testfs did not mount (package fuse3)");
        }
        Ok(volume)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The same files without the delay.
    pub(crate) fn backing(&self) -> &Path {
        self.backing.path()
    }
}

impl Drop for SlowVolume {
    fn drop(&mut self) {
        let _best_effort = kill_process(Pid::from_child(&self.server), Signal::TERM);
        let _best_effort = self.server.wait();
        let _best_effort = fs::remove_dir(&self.path);
    }
}

/// Runs a command that has to succeed, and quotes what it said when it does not.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    if !output.status.success() {
        bail!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
