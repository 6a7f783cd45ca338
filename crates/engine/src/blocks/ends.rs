//! Opening both ends of a job, and the reasons why it is refused. In an image everything is written over
//! where it lies, so whatever can be known to be a mistake is found before.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fs::block_device::Use;
use fs::image::{Access, Image};
use model::blocks::{BlocksJob, Dangers, Sizes};
use model::{Cause, Inode, Side, Sink, Topic, Verb};

use wire::OpenedImage;

use super::content::Watch;
use super::source::Source;
use super::{BlocksError, described, fault_at, tell};
use crate::endpoint::RemoteSource;
use crate::run::Surroundings;

/// How long an agent whose session was lost may take to let go of a target: the one that comes after it with
/// `--reconnect` waits for that.
const TO_LET_GO: Duration = Duration::from_secs(10);

/// Both ends, found fit for each other.
pub(super) struct Ends {
    pub(super) source: Source,
    /// `None` in a dry run for what is not there.
    pub(super) target: Option<Image>,
    /// How much is to be brought over, in bytes.
    pub(super) image_bytes: u64,
    /// How long the target was, in bytes.
    pub(super) target_bytes: u64,
    /// It was made for this job.
    pub(super) is_new: bool,
    /// Of a file of a job on a tree: who is told while it goes on.
    pub(super) watch: Option<Arc<Watch>>,
}

impl Ends {
    /// Opens both. Nothing is changed before all is known that can be.
    pub(super) fn open(
        job: &BlocksJob,
        from: Option<&RemoteSource>,
        around: &Surroundings,
    ) -> Result<Self, BlocksError> {
        let source = Source::open(&job.source, from, &around.cancel)?;
        refuse_empty_device(&job.source, source.is_device(), source.bytes())?;
        warn_of_mounted("source", &job.source, source.opened(), &*around.sink);
        let (target, image_bytes) = match look_at_target(job)? {
            None => (None, source.bytes()),
            Some(target) => {
                refuse_empty_device(&job.target, target.device().is_some(), target.bytes())?;
                // What is only read may be mounted, and be what a snapshot was taken of.
                if job.settings.delta_out.is_none() {
                    refuse_overlap(job, &source, &target)?;
                    refuse_to_write(&job.target, job.settings.allowed, &target)?;
                } else {
                    let opened = described::describe(&target).map_err(|error| {
                        fault_at(&job.target, Side::Destination, Verb::LookAt, (&error).into())
                    })?;
                    warn_of_mounted("target", &job.target, &opened, &*around.sink);
                }
                let image_bytes = bytes_to_bring(job, &source, &target)?;
                (Some(target), image_bytes)
            }
        };
        refuse_old_file("--undo", job.settings.undo.as_deref())?;
        refuse_old_file("--delta-out", job.settings.delta_out.as_deref())?;
        let target_bytes = target.as_ref().map_or(0, Image::bytes);
        let is_new = target.is_none();
        let target = match target {
            _ if !job.settings.writes_target() => target,
            None => Some(make(&job.target, source.opened().metadata.mode)?),
            Some(target) => {
                let patience = from.map_or(Duration::ZERO, |_| TO_LET_GO);
                Some(open_to_write(&job.target, job.settings.allowed, &target, patience)?)
            }
        };
        source.forget_cached();
        if let Some(target) = target.as_ref().filter(|target| target.device().is_some()) {
            target.forget_cached();
        }
        Ok(Self { source, target, image_bytes, target_bytes, is_new, watch: None })
    }
}

/// A target that is written to by what an undo file says; in a dry run it is not.
pub(super) fn open_alone(
    path: &Path,
    allowed: Dangers,
    undo: &Image,
    is_dry_run: bool,
) -> Result<Image, BlocksError> {
    let target = Image::open(path, Access::Read)
        .map_err(|error| fault_at(path, Side::Destination, Verb::Open, (&error).into()))?;
    refuse_home_of(undo, "undo", path, &target)?;
    refuse_to_write(path, allowed, &target)?;
    if is_dry_run { Ok(target) } else { open_to_write(path, allowed, &target, Duration::ZERO) }
}

/// A file that says what is to be written is not to be written over.
pub(super) fn refuse_home_of(
    file: &Image,
    kind: &str,
    path: &Path,
    target: &Image,
) -> Result<(), BlocksError> {
    if target.ground() != file.ground() && !file.grounds().contains(&target.ground()) {
        return Ok(());
    }
    let sentence = format!("\"{}\" is what the {kind} file lies in", path.display());
    Err(BlocksError::refused(sentence))
}

pub(super) fn refuse_to_write(
    path: &Path,
    allowed: Dangers,
    target: &Image,
) -> Result<(), BlocksError> {
    refuse_read_only(path, allowed, target)?;
    refuse_in_use(path, allowed, target)
}

/// What the target is; `None` if it is to be made.
pub(super) fn look_at_target(job: &BlocksJob) -> Result<Option<Image>, BlocksError> {
    let path = &job.target;
    match Image::open(path, Access::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        opened => {
            let failed = |error| fault_at(path, Side::Destination, Verb::Open, Cause::from(&error));
            return Ok(Some(opened.map_err(failed)?));
        }
    }
    if fs::operator::has_name(path) {
        let path = path.display();
        let sentence = format!("the target \"{path}\" is a link that leads nowhere");
        return Err(BlocksError::refused(sentence));
    }
    if job.settings.sizes != Sizes::Truncate {
        let path = path.display();
        let sentence =
            format!("the target \"{path}\" is not there; --truncate makes a file of that name");
        return Err(BlocksError::refused(sentence));
    }
    if lies_in_dev(path) && !job.settings.allowed.contains(Dangers::NEW_IN_DEV) {
        let path = path.display();
        let sentence = format!(
            "the target \"{path}\" is not there, and a new file below /dev would be no device; check the \
             name, or use --allow=new-in-dev"
        );
        return Err(BlocksError::refused(sentence));
    }
    Ok(None)
}

/// Whether a path leads below /dev, but for where files are at home there.
fn lies_in_dev(path: &Path) -> bool {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = fs::operator::real_path(dir).unwrap_or_else(|_| dir.to_owned());
    dir.starts_with("/dev") && !dir.starts_with("/dev/shm")
}

/// Makes the target, for no more people to read than the source.
pub(super) fn make(path: &Path, source_mode: u32) -> Result<Image, BlocksError> {
    let failed = |error| fault_at(path, Side::Destination, Verb::Open, Cause::from(&error));
    let target = Image::create(path, source_mode & 0o666 | 0o600).map_err(failed)?;
    lock(path, Dangers::empty(), &target, Duration::ZERO)?;
    Ok(target)
}

/// Removes what was made and nothing was written to.
pub(super) fn remove_made(path: &Path, made: Inode) {
    let Ok((dir, name)) = fs::operator::open_parent(path) else { return };
    if dir.stat(&name).is_ok_and(|found| found.inode() == made && found.size == 0) {
        // If it cannot be, an empty file is left: the error that is told says more.
        drop(dir.remove_file(&name));
    }
}

/// A device that is not set up has no bytes, and is open all the same.
pub(super) fn refuse_empty_device(
    path: &Path,
    is_device: bool,
    bytes: u64,
) -> Result<(), BlocksError> {
    if !is_device || bytes > 0 {
        return Ok(());
    }
    let sentence = format!("the device \"{}\" has no bytes; is it set up?", path.display());
    Err(BlocksError::refused(sentence))
}

pub(super) fn refuse_overlap(
    job: &BlocksJob,
    source: &Source,
    target: &Image,
) -> Result<(), BlocksError> {
    let opened = source.opened();
    let has_overlap = source.is_under_this_kernel() && described::overlap(opened, target);
    if !has_overlap || job.settings.allowed.contains(Dangers::OVERLAP) {
        return Ok(());
    }
    let is_same = opened.ground == described::ground(target.ground());
    let (source, target) = (job.source.display(), job.target.display());
    let sentence = if is_same {
        format!(
            "\"{source}\" and \"{target}\" are the same; there is nothing to bring over (--allow=overlap)"
        )
    } else {
        format!(
            "\"{source}\" and \"{target}\" have bytes in common: one is a part of the other, or stored in \
             it; --allow=overlap does it all the same"
        )
    };
    Err(BlocksError::refused(sentence))
}

/// What another run has made is not written over.
pub(super) fn refuse_old_file(option: &str, path: Option<&Path>) -> Result<(), BlocksError> {
    let Some(path) = path.filter(|path| fs::operator::has_name(path)) else { return Ok(()) };
    let path = path.display();
    let sentence = format!("{option}: \"{path}\" is there already; name a file that is not");
    Err(BlocksError::refused(sentence))
}

fn refuse_read_only(path: &Path, allowed: Dangers, target: &Image) -> Result<(), BlocksError> {
    const WRITE: u32 = 0o222;

    let path = path.display();
    if target.device().is_some_and(fs::block_device::BlockDevice::is_read_only) {
        let sentence =
            format!("the target \"{path}\" is read-only; blockdev --setrw makes it writable");
        return Err(BlocksError::refused(sentence));
    }
    let is_protected = target.metadata().mode & WRITE == 0;
    if is_protected && !allowed.contains(Dangers::READ_ONLY) {
        let sentence = format!(
            "by its mode nobody may write to the target \"{path}\"; change that, or use --allow=read-only"
        );
        return Err(BlocksError::refused(sentence));
    }
    Ok(())
}

pub(super) fn refuse_in_use(
    path: &Path,
    allowed: Dangers,
    target: &Image,
) -> Result<(), BlocksError> {
    let failed = |error| fault_at(path, Side::Destination, Verb::LookAt, Cause::from(&error));
    let uses = target.uses().map_err(failed)?;
    let path = path.display();
    let sentence = uses.iter().find_map(|used| match used {
        Use::Mounted { at, .. } if !allowed.contains(Dangers::MOUNTED) => Some(format!(
            "the target \"{path}\", or what has bytes of it, is mounted at \"{}\"; unmount it, or use --allow=mounted",
            at.display()
        )),
        Use::Swap if !allowed.contains(Dangers::IN_USE) => Some(format!(
            "the target \"{path}\", or what has bytes of it, is swapped to; swapoff ends that, --allow=in-use goes on"
        )),
        Use::Held { by } if !allowed.contains(Dangers::IN_USE) => Some(format!(
            "the target \"{path}\", or what has bytes of it, is used by {by}; take that down, or use --allow=in-use"
        )),
        Use::Locked { by } if !allowed.contains(Dangers::IN_USE) => {
            let by = by.map_or_else(|| "a program".to_owned(), |it| format!("process {it}"));
            Some(format!(
                "the target \"{path}\" is locked by {by}, as the image of a virtual machine that runs; end that, or \
                 use --allow=in-use"
            ))
        }
        _ => None,
    });
    sentence.map_or(Ok(()), |sentence| Err(BlocksError::refused(sentence)))
}

/// Does something again and again until it is done, or patience ends.
fn retried<T, E>(patience: Duration, mut act: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    const BETWEEN: Duration = Duration::from_millis(50);
    let until = Instant::now() + patience;
    loop {
        match act() {
            Err(_) if Instant::now() < until => thread::sleep(BETWEEN),
            done => return done,
        }
    }
}

/// Nobody else of us writes to a file that this run writes to; a device is opened for this run alone.
fn lock(
    path: &Path,
    allowed: Dangers,
    target: &Image,
    patience: Duration,
) -> Result<(), BlocksError> {
    if target.device().is_some() || allowed.contains(Dangers::IN_USE) {
        return Ok(());
    }
    let lock = || match target.file().lock_exclusive_now() {
        Ok(false) => Err(()),
        // Where a file system has no locks there is nothing to be known.
        Ok(true) | Err(_) => Ok(()),
    };
    if retried(patience, lock).is_ok() {
        return Ok(());
    }
    let path = path.display();
    Err(BlocksError::refused(format!(
        "another run writes to the target \"{path}\"; wait for its end, or use --allow=in-use"
    )))
}

/// How much of both is brought over, where they are fit for each other.
fn bytes_to_bring(job: &BlocksJob, source: &Source, target: &Image) -> Result<u64, BlocksError> {
    let (ours, theirs) = (source.bytes(), target.bytes());
    let is_device = target.device().is_some();
    let (from, to) = (job.source.display(), job.target.display());
    match job.settings.sizes {
        _ if ours == theirs => Ok(ours),
        Sizes::Ignore => Ok(ours.min(theirs)),
        Sizes::Truncate if !is_device => Ok(ours),
        Sizes::Truncate => Err(BlocksError::refused(format!(
            "the source \"{from}\" has {ours} bytes and the target \"{to}\" {theirs}, and a device cannot be \
             made longer or shorter; --ignore-size brings over what both have"
        ))),
        Sizes::Same => Err(BlocksError::refused(format!(
            "the source \"{from}\" has {ours} bytes and the target \"{to}\" {theirs}; --truncate makes a file \
             as long as the source, --ignore-size brings over what both have"
        ))),
    }
}

/// Opens what was looked at to be written, if it is that still.
pub(super) fn open_to_write(
    path: &Path,
    allowed: Dangers,
    looked_at: &Image,
    patience: Duration,
) -> Result<Image, BlocksError> {
    open_again((path, |access| Image::open(path, access)), allowed, looked_at, patience)
}

/// The same by another way than the path that is told of it.
pub(super) fn open_again(
    (path, open): (&Path, impl Fn(Access) -> io::Result<Image>),
    allowed: Dangers,
    looked_at: &Image,
    patience: Duration,
) -> Result<Image, BlocksError> {
    let is_mounted = || {
        let uses = looked_at.uses().unwrap_or_default();
        uses.iter().any(|used| matches!(used, Use::Mounted { .. }))
    };
    let shares =
        allowed.contains(Dangers::IN_USE) || (allowed.contains(Dangers::MOUNTED) && is_mounted());
    let access =
        if looked_at.device().is_none() || shares { Access::Write } else { Access::WriteAlone };
    let is_busy = |error: &io::Error| error.kind() == ErrorKind::ResourceBusy;
    let opened = retried(patience, || match open(access) {
        Err(error) if is_busy(&error) => Err(error),
        opened => Ok(opened),
    });
    let target = match opened.and_then(|opened| opened) {
        Err(error) if is_busy(&error) => {
            let path = path.display();
            let sentence = format!(
                "somebody uses the target \"{path}\" and wants nobody else to; end that, or use --allow=in-use"
            );
            return Err(BlocksError::refused(sentence));
        }
        opened => opened
            .map_err(|error| fault_at(path, Side::Destination, Verb::Open, Cause::from(&error)))?,
    };
    if target.ground() != looked_at.ground() || target.bytes() != looked_at.bytes() {
        let path = path.display();
        let sentence = format!("the target \"{path}\" changed while it was looked at; start again");
        return Err(BlocksError::refused(sentence));
    }
    lock(path, allowed, &target, patience)?;
    Ok(target)
}

/// What is written to while it is read comes out as it never was.
fn warn_of_mounted(what: &str, path: &Path, opened: &OpenedImage, sink: &dyn Sink) {
    if let Some(text) = mounted(what, path, opened) {
        tell(sink, Topic::Warning, text);
    }
}

/// What is to be said of one that is mounted.
pub(super) fn mounted(what: &str, path: &Path, opened: &OpenedImage) -> Option<String> {
    let (path, at) = (path.display(), opened.mounted_at.as_ref()?.as_str());
    Some(format!(
        "lanesync: the {what} \"{path}\" is mounted at \"{at}\" and can be written to: what comes over \
         may never have been there together; take a snapshot, or mount it read-only"
    ))
}
