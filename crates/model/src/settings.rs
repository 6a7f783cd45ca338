//! The settings of a request, grouped by the stage that reads them.
//!
//! Every field says the rsync option it comes from. Conflicts between options are settled before
//! a value of these types exists: the engine never sees a flag.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::SystemTime;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::chmod::Chmod;
use crate::encoding;
use crate::entry::Timestamp;
use crate::event::{Interest, Topics};
use crate::id_map::IdMap;
use crate::suffixes::Suffixes;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Settings {
    /// Which entries are looked at.
    pub traverse: Traverse,
    /// What links mean.
    pub links: Links,
    /// Which attributes are brought over.
    pub preserve: Preserve,
    /// Which entries count as equal or are left alone.
    pub compare: Compare,
    /// What is removed.
    pub delete: Delete,
    /// How content is written.
    pub write: Write,
    /// Where old copies go.
    pub backup: Backup,
    /// Further trees to take unchanged files from.
    pub basis: Basis,
    /// How much may be used.
    pub limits: Limits,
    /// How content is compressed between hosts, if it is.
    pub compression: Option<Compression>,
    /// `-n`: nothing is changed, everything is told.
    pub dry_run: bool,
    /// Which items the report wants to hear of.
    pub interest: Interest,
    /// Which messages the report wants to hear of.
    pub topics: Topics,
    /// `%C` in a format: items carry the checksum of their content.
    pub tell_checksums: bool,
    /// Tell when the transfer of a long file begins.
    pub tell_begun: bool,
}

/// Which entries are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Traverse {
    /// How deep.
    pub depth: Depth,
    /// The source is read as the run goes, not listed as a whole first: `-r` without
    /// `--no-inc-recursive` and all that needs the whole list. Then the rules of a directory are
    /// asked of the names that were picked in it, too.
    pub incremental: bool,
    /// `-R`: the whole given path is kept.
    pub relative: bool,
    /// `--no-implied-dirs` is absent: attributes of the directories on the way are brought over.
    pub implied_dirs: bool,
    /// `-x`: stay on the source's file system.
    pub one_file_system: OneFileSystem,
    /// `-m`: directories without files are left out.
    pub prune_empty_dirs: bool,
    /// `--files-from`: names below the (single) source, in the order given.
    #[borsh(deserialize_with = "encoding::read_listed_names")]
    pub files_from: Option<Vec<Box<[u8]>>>,
    /// What a missing source argument means.
    pub missing_args: MissingArgs,
    /// `--min-size`, bytes.
    #[borsh(deserialize_with = "encoding::read_size_limit")]
    pub min_size: Option<u64>,
    /// `--max-size`, bytes.
    #[borsh(deserialize_with = "encoding::read_size_limit")]
    pub max_size: Option<u64>,
    /// `--open-noatime`: reading leaves access times alone, where the system permits it.
    pub open_noatime: bool,
    /// `--mkpath`: missing leading directories of the destination are made.
    pub make_path: bool,
    /// `--list-only`, or no destination: the sources are only listed.
    pub list_only: bool,
}

/// How deep a source directory is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Depth {
    /// Directories are skipped.
    #[default]
    Files,
    /// `-d`: directories themselves, and the direct content of those with a trailing slash.
    Directories,
    /// `-r`: everything below.
    Recursive,
}

/// `-x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum OneFileSystem {
    /// Mount points are entered.
    #[default]
    Cross,
    /// `-x`: mount points become empty directories.
    KeepMountPoints,
    /// `-xx`: mount points are left out.
    OmitMountPoints,
}

/// What a missing source argument means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum MissingArgs {
    /// A fault.
    #[default]
    Fault,
    /// `--ignore-missing-args`.
    Ignore,
    /// `--delete-missing-args`: the destination entry of that name is removed.
    Delete,
}

/// What links mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Links {
    /// Symbolic links.
    pub symlinks: Symlinks,
    /// `-k`: a symlink to a directory at the source is that directory.
    pub copy_dirlinks: bool,
    /// `-K`: a symlink to a directory at the destination is that directory.
    pub keep_dirlinks: bool,
    /// `--copy-unsafe-links`: links that point outside the tree become what they point to.
    pub copy_unsafe: bool,
    /// `--safe-links`: links that point outside the tree are left out.
    pub skip_unsafe: bool,
    /// `-M--munge-links`: link targets are stored in a form that cannot be followed.
    pub munge: bool,
    /// `--munge-links`: source targets in that form are read as what they stand for, but where they
    /// are followed.
    pub unmunge: bool,
    /// `-H`: hard links among the entries are kept.
    pub hard_links: bool,
}

impl Links {
    /// True when some symlinks of the source become what they point to.
    pub fn follows_some(&self) -> bool {
        self.symlinks == Symlinks::Follow || self.copy_dirlinks || self.copy_unsafe
    }
}

/// What a symlink at the source becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Symlinks {
    /// It is skipped with a message.
    #[default]
    Skip,
    /// `-l`: it stays a symlink.
    Keep,
    /// `-L`: it becomes what it points to.
    Follow,
}

/// Which attributes are brought over.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Preserve {
    /// `-p`, `-E`.
    pub perms: Perms,
    /// `-t`, `-O`, `-J`.
    pub mtimes: Mtimes,
    /// `-U`, `-J`.
    pub atimes: Atimes,
    /// `-o`.
    pub owner: bool,
    /// `-g`.
    pub group: bool,
    /// `--devices`.
    pub devices: bool,
    /// `--specials`.
    pub specials: bool,
    /// `-A`.
    pub acls: bool,
    /// `-X`, `-XX`.
    pub xattrs: Xattrs,
    /// `--fake-super`, `--super`, `--no-super`, of the side that writes.
    pub privilege: Privilege,
    /// `--fake-super` of the side that reads: entries are what they pretend to be.
    pub source_pretends: bool,
    /// `--chmod`.
    pub chmod: Chmod,
    /// `--numeric-ids`, `--usermap`, `--groupmap`, `--chown`.
    pub ids: Ids,
}

/// `-p` and `-E`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Perms {
    /// New entries get the source's mode less the umask, existing ones keep theirs.
    #[default]
    New,
    /// `-E`: as `New`, and the executability of files is brought over.
    Executability,
    /// `-p`: the source's mode.
    Keep,
}

/// `-U`, `-J`: for which entries access times are brought over. As in rsync, never for directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Atimes {
    /// `-U`: files and specials.
    pub files: bool,
    /// `-U` without `-J`.
    pub symlinks: bool,
}

/// `-t`, `-O`, `-J`: for which entries modification times are brought over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Mtimes {
    /// `-t`: files and specials.
    pub files: bool,
    /// `-t` without `-O`.
    pub directories: bool,
    /// `-t` without `-J`.
    pub symlinks: bool,
}

/// `-X`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Xattrs {
    /// None.
    #[default]
    Ignore,
    /// `-X`: all that the user may set, without rsync's own `user.rsync.*`.
    Keep,
    /// `-XX`: rsync's own too.
    KeepAll,
}

/// Whether owners and devices can be set for real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Privilege {
    /// Where the process is root.
    #[default]
    Auto,
    /// `--super`: tried always.
    Assume,
    /// `--no-super`: never tried.
    Renounce,
    /// `--fake-super`: kept in the attribute `user.rsync.%stat`.
    Fake,
}

/// How owners translate.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ids {
    /// `--usermap`, and `--chown=USER`.
    pub users: IdMap,
    /// `--groupmap`, and `--chown=:GROUP`.
    pub groups: IdMap,
    /// `--numeric-ids`: a name that two hosts know by different numbers does not count.
    pub numeric: bool,
}

/// Which entries count as equal or are left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Compare {
    /// What makes content equal.
    pub content: ContentCheck,
    /// `--modify-window`: seconds by which times may differ; negative asks for nanoseconds too.
    #[borsh(deserialize_with = "encoding::read_window")]
    pub modify_window_secs: i64,
    /// The checksum for `-c` and for verification.
    pub checksum: Checksum,
    /// `-u`: what is newer at the destination is left alone.
    pub update_only: bool,
    /// `--existing`: what is not at the destination is left alone.
    pub existing_only: bool,
    /// `--ignore-existing`: what is at the destination is left alone.
    pub ignore_existing: bool,
    /// `--fuzzy`: similar names serve as a basis; twice, in basis directories too.
    #[borsh(deserialize_with = "encoding::read_fuzzy")]
    pub fuzzy: u8,
}

/// What makes content equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ContentCheck {
    /// Same size and modification time.
    #[default]
    Quick,
    /// `--size-only`.
    SizeOnly,
    /// `-c`: same size and checksum.
    Checksum,
    /// `-I`: never equal.
    Never,
}

/// A checksum of file content, by rsync's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Checksum {
    /// XXH3, 128 bits: rsync's first choice.
    #[default]
    Xxh128,
    /// XXH3, 64 bits.
    Xxh3,
    /// XXH64.
    Xxh64,
    /// MD5.
    Md5,
    /// MD4.
    Md4,
    /// SHA-1.
    Sha1,
    /// BLAKE3: ours.
    Blake3,
    /// None: no verification.
    None,
}

impl Checksum {
    /// All checksums with rsync's names for them, best first.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::Xxh128, "xxh128"),
        (Self::Xxh3, "xxh3"),
        (Self::Xxh64, "xxh64"),
        (Self::Md5, "md5"),
        (Self::Md4, "md4"),
        (Self::Sha1, "sha1"),
        (Self::Blake3, "blake3"),
        (Self::None, "none"),
    ];
}

/// What is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Delete {
    /// `--delete` and its kin.
    pub when: DeleteWhen,
    /// `--max-delete`.
    pub limit: DeleteLimit,
    /// `--force`: a directory that is not empty gives way to what is not a directory.
    pub force: bool,
    /// `--ignore-errors`: read faults at the source do not keep deletions back.
    pub ignore_errors: bool,
    /// `--delete-across-mounts`: mount points inside the destination are emptied too.
    pub across_mounts: bool,
    /// `--no-empty-source`: an empty source never empties the destination.
    pub refuse_empty_source: bool,
}

/// When extraneous entries are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum DeleteWhen {
    /// Never.
    #[default]
    Never,
    /// `--delete-before`.
    Before,
    /// `--delete`, `--delete-during`.
    During,
    /// `--delete-delay`: found during, removed after.
    Delay,
    /// `--delete-after`.
    After,
}

/// `--max-delete`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum DeleteLimit {
    /// No limit.
    #[default]
    Unlimited,
    /// This many entries.
    Entries(u64),
    /// This share of the destination's entries, percent.
    Percent(#[borsh(deserialize_with = "encoding::read_percent")] u8),
}

/// How content is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Write {
    /// Where content goes before it is complete.
    pub staging: Staging,
    /// `--append`, `--append-verify`.
    pub append: Append,
    /// `-S`: runs of zeros become holes. (Holes of the source are always kept.)
    pub find_zeros: bool,
    /// `--preallocate`.
    pub preallocate: bool,
    /// `--partial`, `--partial-dir`.
    pub partial: Partial,
    /// `--delay-updates`: all files are put into place at the end.
    pub delay_updates: bool,
    /// `-T`.
    #[borsh(
        serialize_with = "encoding::write_path_or_none",
        deserialize_with = "encoding::read_path_or_none"
    )]
    pub temp_dir: Option<PathBuf>,
    /// `--fsync`.
    pub fsync: bool,
    /// `--copy-devices`: devices at the source are read as files.
    pub copy_devices: bool,
    /// `--write-devices`: devices at the destination are written as files.
    pub write_devices: bool,
    /// `--remove-source-files`.
    pub remove_source_files: bool,
    /// `--checksum-choice` given: what was written is read again and compared.
    pub verify: bool,
    /// `-W`, `--no-W`.
    pub deltas: Deltas,
    /// `-B`: length of the blocks by which an old file is compared with the new one, bytes.
    pub block_bytes: Option<u64>,
    /// Where it is noted of a device that an image in it is incomplete. Each host has its own.
    #[borsh(skip)]
    pub state_dir: Option<PathBuf>,
}

/// Whether of a changed file only that is sent which an old one at the destination does not have. It
/// never is within one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Deltas {
    /// Where it is likely to save time.
    #[default]
    Auto,
    /// `--no-W`: always.
    Always,
    /// `-W`: never.
    Never,
}

/// Where content goes before it is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Staging {
    /// A staging file that is renamed when it is complete.
    #[default]
    Staged,
    /// `--inplace`: the file itself.
    InPlace,
}

/// `--append`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Append {
    /// Files are written whole.
    #[default]
    Off,
    /// `--append`: what is there is believed.
    Trust,
    /// `--append-verify`: what is there is compared, and the whole file written if it differs.
    Verify,
}

/// What becomes of an incomplete file when the run is interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Partial {
    /// It is removed.
    #[default]
    Discard,
    /// `--partial`: it is kept under the file's name.
    Keep,
    /// `--partial-dir`: it is kept in this directory.
    KeepIn(
        #[borsh(serialize_with = "encoding::write_path", deserialize_with = "encoding::read_path")]
        PathBuf,
    ),
}

/// Where old copies go.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Backup {
    /// `-b`.
    pub enabled: bool,
    /// `--backup-dir`.
    #[borsh(
        serialize_with = "encoding::write_path_or_none",
        deserialize_with = "encoding::read_path_or_none"
    )]
    pub dir: Option<PathBuf>,
    /// `--suffix`.
    #[borsh(deserialize_with = "encoding::read_suffix")]
    pub suffix: Box<[u8]>,
}

/// Further trees to take unchanged files from.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Basis {
    /// What is done with a file that is found there.
    pub action: BasisAction,
    /// The trees, in order; relative paths are relative to the destination.
    #[borsh(serialize_with = "encoding::write_paths", deserialize_with = "encoding::read_paths")]
    pub dirs: Vec<PathBuf>,
}

/// What is done with an unchanged file of a basis tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BasisAction {
    /// `--compare-dest`: it is not copied at all.
    #[default]
    Omit,
    /// `--copy-dest`: it is copied from there.
    Copy,
    /// `--link-dest`: it is hard-linked.
    Link,
}

/// How much may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Limits {
    /// `--workers`.
    pub workers: Workers,
    /// `--stop-at`, `--stop-after`. Not part of the bytes of a job: clocks of two hosts differ.
    #[borsh(skip)]
    pub stop_at: Option<SystemTime>,
    /// The moment the run began, for what depends on "now". Not part of the bytes, either.
    #[borsh(skip)]
    pub started: Timestamp,
}

/// `-z`: how content is compressed on its way between hosts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Compression {
    /// `--compress-choice`, `--compress-level`.
    pub method: Method,
    /// `--skip-compress`: files that go as they are.
    pub skipped: Suffixes,
}

/// By what content is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Method {
    /// zstd, at a level as it counts them; 0 is its usual one.
    Zstd {
        /// The level.
        level: i32,
    },
    /// LZ4.
    Lz4,
}

/// As many workers can be asked for as a machine may have threads to spare.
pub const WORKERS_MAX: usize = 4096;

/// `--workers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Workers {
    /// Found while the run goes on.
    #[default]
    Auto,
    /// This many.
    Fixed(#[borsh(deserialize_with = "encoding::read_workers")] NonZeroUsize),
}
