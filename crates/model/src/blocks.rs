//! A job that brings an image, a file or a block device, into the state of another: what was asked for,
//! and what came of it.

use std::ops::Range;
use std::path::PathBuf;

use bitflags::bitflags;

/// One resolved request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlocksJob {
    /// What to read, as typed.
    pub source: PathBuf,
    /// What to bring into its state, as typed.
    pub target: PathBuf,
    /// How.
    pub settings: BlocksSettings,
}

/// How an image is brought over. The default is that of the command line without options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlocksSettings {
    /// What is done where the two are not equally long.
    pub sizes: Sizes,
    /// The least that is written at once, in bytes; never 0.
    pub block_bytes: u32,
    /// Whether all is done but what changes something.
    pub dry_run: bool,
    /// What of the target is read back at the end.
    pub read_back: ReadBack,
    /// What zeros become.
    pub zeros: Zeros,
    /// Whether the BLAKE3 of the image is made.
    pub digest: Digest,
    /// Dangers that the user knows of.
    pub allowed: Dangers,
    /// Only what lies in these ranges is looked at, if they are told: nothing else has changed. They are in
    /// ascending order and have gaps between them.
    pub changed: Option<Vec<Range<u64>>>,
    /// Where the old content goes of all that is changed.
    pub undo: Option<PathBuf>,
    /// Where what the target would have to be given goes, in its stead: it is only read then.
    pub delta_out: Option<PathBuf>,
    /// Whether what an interrupted run has verified is not looked at again.
    pub resume: bool,
    /// Where it is noted that a device is incomplete; of a file, that is noted beside it.
    pub state_dir: Option<PathBuf>,
    /// How many read at once; `None` is as many as there are cores, up to four, and one for a disk with a
    /// head.
    pub readers: Option<u16>,
}

impl Default for BlocksSettings {
    fn default() -> Self {
        Self {
            sizes: Sizes::default(),
            block_bytes: 4096,
            dry_run: false,
            read_back: ReadBack::default(),
            zeros: Zeros::default(),
            digest: Digest::default(),
            allowed: Dangers::empty(),
            changed: None,
            undo: None,
            delta_out: None,
            resume: false,
            state_dir: None,
            readers: None,
        }
    }
}

impl BlocksSettings {
    /// Whether the target is changed.
    pub fn writes_target(&self) -> bool {
        !self.dry_run && self.delta_out.is_none()
    }
}

/// What is done where source and target are not equally long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sizes {
    /// Nothing: it is refused.
    #[default]
    Same,
    /// The target is made as long as the source, and made if it is not there.
    Truncate,
    /// What both have is brought over; the rest of the longer one is left alone.
    Ignore,
}

/// What of the target is read back from the disk at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadBack {
    /// Nothing.
    #[default]
    Nothing,
    /// What was written.
    Written,
    /// All of it.
    All,
}

/// What zeros of the source become at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zeros {
    /// Holes of a file; of a device, room that is given back.
    #[default]
    GivenBack,
    /// Zeros that are written.
    Written,
}

/// Whether the BLAKE3 of the image is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digest {
    /// Where it costs little: not where holes would have to be digested that nobody reads.
    #[default]
    Cheap,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

bitflags! {
    /// Dangers for which a job is refused, unless the user knows of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Dangers: u8 {
        /// The target is mounted.
        const MOUNTED = 1 << 0;
        /// It is swapped to, another device is made of it, or somebody has it for himself.
        const IN_USE = 1 << 1;
        /// Source and target have bytes in common.
        const OVERLAP = 1 << 2;
        /// The target would be a new file below /dev.
        const NEW_IN_DEV = 1 << 3;
        /// The mode of the target lets nobody write to it.
        const READ_ONLY = 1 << 4;
    }
}

/// What came of a job. Of a dry run, what would have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlocksSummary {
    /// How long the source is, in bytes.
    pub source_bytes: u64,
    /// How much of it was to be brought over.
    pub image_bytes: u64,
    /// Of this, what is a hole on both sides, or was said to be as it was: nobody read it.
    pub skipped_bytes: u64,
    /// What an interrupted run had verified: nobody read it again.
    pub resumed_bytes: u64,
    /// What was the same.
    pub equal_bytes: u64,
    /// What was written.
    pub written_bytes: u64,
    /// What became zeros.
    pub cleared_bytes: u64,
    /// What was read back from the disk and found right.
    pub verified_bytes: u64,
    /// BLAKE3 of what was brought over, if it was made.
    pub digest: Option<[u8; 32]>,
}
