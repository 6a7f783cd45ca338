//! A file that has not got its final name yet.
//!
//! Why: a name in the destination is the old file or the new one, whole. The data goes to a file
//! without a name, or with a staging name, and one call publishes it. A staging file that a killed
//! run left behind is known by two proofs, its name and the lock that nobody holds any more, so that
//! a later run may remove it and can remove nothing else.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::AsFd;

use model::Kind;
use rustix::fs::Mode;
use rustix::io::Errno;

use crate::device_set::DeviceSet;
use crate::dir::{self, AccessTime, Dir, Existing};
use crate::file::File;
use crate::{process, sys};

/// Whether a staging file has a name before it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// None, where the file system can: cheaper for a name that is not there yet, and nothing is
    /// left behind by a killed run.
    AnonymousIfPossible,
    /// A staging name: cheaper where an existing name will be replaced.
    Named,
}

/// A file that has not got its final name yet; it is gone when dropped unpublished.
#[derive(Debug)]
pub struct Staging {
    file: File,
    place: Place,
    born_mode: u32,
}

/// Where the file can be found.
#[derive(Debug)]
enum Place {
    Nowhere,
    Staged(StagedName),
    Published,
}

/// A staging name that exists; dropping this removes it.
#[derive(Debug)]
struct StagedName {
    dir: Dir,
    /// Empty once the name was renamed away.
    name: Vec<u8>,
}

/// Permissions of a staging file that has a name: nobody else reads half a file.
const PRIVATE_MODE: u32 = 0o600;

/// A random name that is taken this often was not chosen at random.
const NAME_ATTEMPTS: usize = 64;

/// File systems that know no files without a name.
static WITHOUT_ANONYMOUS: DeviceSet = DeviceSet::new();

impl Staging {
    /// Creates the file that shall become `final_name`, in `dir`: the directory of the final name
    /// or another one that a rename can leave.
    ///
    /// `mode` is what a file without a name is born with, less its set-id and sticky bits; a named
    /// one is private. See [`born_mode`](Self::born_mode).
    pub fn create(dir: &Dir, final_name: &[u8], mode: u32, naming: Naming) -> io::Result<Self> {
        dir::component(final_name)?;
        if naming == Naming::AnonymousIfPossible
            && sys::can_link_anonymous()
            && !WITHOUT_ANONYMOUS.contains(dir.device()?)
            && let Some(staging) = Self::create_anonymous(dir, mode & 0o777)?
        {
            return Ok(staging);
        }
        Self::create_named(dir, final_name)
    }

    /// `None` where it cannot be done; a named file will tell why, if there is a reason.
    fn create_anonymous(dir: &Dir, mode: u32) -> io::Result<Option<Self>> {
        let fd = match sys::open_anonymous(dir.as_fd(), Mode::from_bits_truncate(mode)) {
            Ok(fd) => fd,
            Err(error) => {
                if matches!(error, Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) {
                    WITHOUT_ANONYMOUS.insert(dir.device()?);
                }
                return Ok(None);
            }
        };
        let file = File::created(fd, dir.known_device());
        let mode_is_certain = process::is_umask_cleared() && !dir.has_default_acl();
        let born_mode = if mode_is_certain { mode } else { file.metadata()?.mode };
        Ok(Some(Self { file, place: Place::Nowhere, born_mode }))
    }

    fn create_named(dir: &Dir, final_name: &[u8]) -> io::Result<Self> {
        for name in staging_names(final_name) {
            let create = || dir.create_file(&name, PRIVATE_MODE);
            let Some(file) = make_unless_taken(dir, &name, create)? else { continue };
            let place = Place::Staged(StagedName { dir: dir.clone(), name });
            let is_ours = hold(&file)?;
            let found = file.metadata()?;
            // Between its birth and its lock the file looks abandoned: another run may have removed
            // it. Test: `survives_a_sweep_at_any_moment`.
            if is_ours && found.nlink > 0 {
                return Ok(Self { file, place, born_mode: found.mode });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The file to fill.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The permission bits that the file has without anybody having set them.
    pub fn born_mode(&self) -> u32 {
        self.born_mode
    }

    /// True while the file has no name at all.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.place, Place::Nowhere)
    }

    /// Gives the file its name, if nothing has it: else fails with
    /// [`io::ErrorKind::AlreadyExists`]. After a failure it may be published another way.
    pub fn publish_new(&mut self, dir: &Dir, name: &[u8]) -> io::Result<()> {
        match &self.place {
            Place::Nowhere => {
                sys::link_anonymous(self.file.as_fd(), dir.as_fd(), dir::component(name)?)?;
            }
            Place::Staged(staged) => {
                staged.dir.rename(&staged.name, dir, name, Existing::Refuse)?;
            }
            Place::Published => return Err(dir::invalid("published already")),
        }
        self.note_published();
        Ok(())
    }

    /// Gives the file its name in one step, whichever file had it. Fails with
    /// [`io::ErrorKind::CrossesDevices`] when the staging directory lies on another file system,
    /// and for a directory of that name.
    pub fn publish_replacing(&mut self, dir: &Dir, name: &[u8]) -> io::Result<()> {
        dir::component(name)?;
        if self.is_anonymous() {
            self.take_name(dir, name)?;
        }
        match &self.place {
            Place::Staged(staged) => {
                staged.dir.rename(&staged.name, dir, name, Existing::Replace)?;
            }
            Place::Nowhere | Place::Published => return Err(dir::invalid("published already")),
        }
        self.note_published();
        Ok(())
    }

    fn note_published(&mut self) {
        if let Place::Staged(staged) = &mut self.place {
            staged.name.clear();
        }
        self.place = Place::Published;
    }

    /// A file without a name cannot replace one: it gets a staging name first, already locked.
    fn take_name(&mut self, dir: &Dir, final_name: &[u8]) -> io::Result<()> {
        hold(&self.file)?;
        for name in staging_names(final_name) {
            let link = || Ok(sys::link_anonymous(self.file.as_fd(), dir.as_fd(), &name)?);
            if make_unless_taken(dir, &name, link)?.is_some() {
                self.place = Place::Staged(StagedName { dir: dir.clone(), name });
                return Ok(());
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The open file. When it was not published, its name is gone.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl AsRef<File> for Staging {
    fn as_ref(&self) -> &File {
        &self.file
    }
}

impl Drop for StagedName {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // Nobody is left to hear of a failure; the next run knows the name for what it is.
            drop(self.dir.remove_file(&self.name));
        }
    }
}

/// Takes the lock that says "my run lives". A file system without locks counts as taken: no other
/// run can take it there either, and so the file is never swept.
fn hold(file: &File) -> io::Result<bool> {
    match file.lock_exclusive_now() {
        Err(error) if is_lack_of_locks(&error) => Ok(true),
        result => result,
    }
}

fn is_lack_of_locks(error: &io::Error) -> bool {
    let lacks = [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];
    lacks.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Removes a staging file whose run is dead; `false` when `name` is not one or its run lives.
pub fn remove_if_abandoned(dir: &Dir, name: &[u8]) -> io::Result<bool> {
    if !is_staging_name(name) {
        return Ok(false);
    }
    match remove_if_unlocked(dir, name) {
        // Its run published or removed it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if is_lack_of_locks(&error) => Ok(false),
        result => result,
    }
}

fn remove_if_unlocked(dir: &Dir, name: &[u8]) -> io::Result<bool> {
    // Looked at first, because opening a pipe or a device has effects.
    match dir.stat(name)?.kind {
        Kind::File => {}
        Kind::Directory => return Ok(false),
        // A link or node has nothing to lock. It lives for an instant only, and a run that lives
        // makes another one when it is gone (`replace_with`).
        _ => return dir.remove_file(name).map(|()| true),
    }
    let file = match dir.open_for_update(name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            dir.open_file(name, AccessTime::Keep)?
        }
        opened => opened?,
    };
    let held = file.metadata()?;
    if held.kind != Kind::File || !file.lock_exclusive_now()? {
        return Ok(false);
    }
    if !dir.stat(name)?.is_same_inode(&held) {
        return Ok(false);
    }
    dir.remove_file(name)?;
    Ok(true)
}

// A staging name is `.PART.RRRRRRCCCCCC`: part of the final name, six digits that tell it from others
// and six that prove the rest. Later versions must know the names of earlier ones, so this is a format.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HALF_LEN: usize = 6;
const SUFFIX_LEN: usize = 2 * HALF_LEN;
const NAME_MAX_BYTES: usize = 255;
const PART_MAX_BYTES: usize = NAME_MAX_BYTES - SUFFIX_LEN - 2;

/// The staging names to try for `final_name`, in order. The first is always the same, so that a run
/// meets what a killed one has left of the same file, wherever it is staged; the others are random.
pub(crate) fn staging_names(final_name: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let first = staging_name(final_name, proof_of(final_name));
    let random = || digits(RandomState::new().build_hasher().finish());
    let others = std::iter::repeat_with(move || staging_name(final_name, random()));
    std::iter::once(first).chain(others).take(NAME_ATTEMPTS)
}

/// Makes something under a staging name. One that a dead run has left there goes; one that is taken
/// otherwise is `None`.
pub(crate) fn make_unless_taken<T>(
    dir: &Dir,
    name: &[u8],
    mut make: impl FnMut() -> io::Result<T>,
) -> io::Result<Option<T>> {
    let is_taken = |made: &io::Result<T>| {
        made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
    };
    let mut made = make();
    // What cannot be removed is left to another name.
    if is_taken(&made) && remove_if_abandoned(dir, name).unwrap_or(false) {
        made = make();
    }
    if is_taken(&made) { Ok(None) } else { made.map(Some) }
}

fn staging_name(final_name: &[u8], middle: [u8; HALF_LEN]) -> Vec<u8> {
    let part = part_of(final_name);
    let mut name = Vec::with_capacity(part.len() + SUFFIX_LEN + 2);
    name.push(b'.');
    name.extend_from_slice(part);
    name.push(b'.');
    name.extend_from_slice(&middle);
    let proof = proof_of(&name);
    name.extend_from_slice(&proof);
    name
}

/// Whether a name proves that it is a staging name; chance gives such a name once in
/// 56,800,235,584.
pub fn is_staging_name(name: &[u8]) -> bool {
    let Some(dot) = name.len().checked_sub(SUFFIX_LEN + 1) else { return false };
    if dot < 2 || name[0] != b'.' || name[dot] != b'.' {
        return false;
    }
    let (proven, proof) = name.split_at(name.len() - HALF_LEN);
    *proof == proof_of(proven)
}

/// The final name without a leading dot, cut to what fits and not inside a character.
fn part_of(final_name: &[u8]) -> &[u8] {
    let part = final_name.strip_prefix(b".").filter(|rest| !rest.is_empty()).unwrap_or(final_name);
    if part.len() <= PART_MAX_BYTES {
        return part;
    }
    let is_inside_character = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let is_text = std::str::from_utf8(part).is_ok();
    let end = (0..=PART_MAX_BYTES)
        .rev()
        .find(|&end| !is_text || !is_inside_character(part[end]))
        .unwrap_or(PART_MAX_BYTES);
    &part[..end]
}

/// FNV-1a, and a last stir because its low bits alone are weak.
fn proof_of(bytes: &[u8]) -> [u8; HALF_LEN] {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let stirred = (sum ^ (sum >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    digits(stirred ^ (stirred >> 32))
}

fn digits(mut number: u64) -> [u8; HALF_LEN] {
    let base = DIGITS.len() as u64;
    std::array::from_fn(|_| {
        let digit = usize::try_from(number % base).expect("a digit is below 62");
        number /= base;
        DIGITS[digit]
    })
}

#[cfg(test)]
mod tests;
