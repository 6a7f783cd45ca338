//! A job that brings an image, a file or a block device, into the state of another: what was asked for,
//! and what came of it.

use std::ops::Range;
use std::path::PathBuf;

use bitflags::bitflags;
use borsh::io::{Read, Result, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding::{self, malformed};
use crate::settings::Compression;

/// One resolved request.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlocksJob {
    /// What to read, as typed.
    #[borsh(serialize_with = "encoding::write_path", deserialize_with = "encoding::read_path")]
    pub source: PathBuf,
    /// What to bring into its state, as typed.
    #[borsh(serialize_with = "encoding::write_path", deserialize_with = "encoding::read_path")]
    pub target: PathBuf,
    /// How.
    pub settings: BlocksSettings,
}

/// How an image is brought over. The default is that of the command line without options.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlocksSettings {
    /// What is done where the two are not equally long.
    pub sizes: Sizes,
    /// The least that is written at once, in bytes; never 0.
    #[borsh(deserialize_with = "encoding::read_block_bytes")]
    pub block_bytes: u32,
    /// Whether all is done but what changes something.
    pub dry_run: bool,
    /// What of the target is read back at the end.
    pub read_back: ReadBack,
    /// What zeros become.
    pub zeros: Zeros,
    /// Whether the BLAKE3 of the image is made.
    pub digest: Digest,
    /// What is compared by digests, between hosts.
    pub hash: Hashing,
    /// Dangers that the user knows of.
    pub allowed: Dangers,
    /// Only what lies in these ranges is looked at, if they are told: nothing else has changed. They are in
    /// ascending order and have gaps between them.
    #[borsh(deserialize_with = "encoding::read_ranges")]
    pub changed: Option<Vec<Range<u64>>>,
    /// Where the old content goes of all that is changed: on the host of the target.
    #[borsh(
        serialize_with = "encoding::write_path_or_none",
        deserialize_with = "encoding::read_path_or_none"
    )]
    pub undo: Option<PathBuf>,
    /// Where what the target would have to be given goes, in its stead: it is only read then. Both ends lie
    /// on this host, so that it is not told to another.
    #[borsh(skip)]
    pub delta_out: Option<PathBuf>,
    /// Whether what an interrupted run has verified is not looked at again.
    pub resume: bool,
    /// Where it is noted that a device is incomplete; of a file, that is noted beside it. Each host has its
    /// own.
    #[borsh(skip)]
    pub state_dir: Option<PathBuf>,
    /// How many read at once; `None` is as many as there are cores, up to four, and one for a disk with a
    /// head.
    pub readers: Option<u16>,
    /// How content is compressed between hosts, if it is.
    pub compression: Option<Compression>,
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
            hash: Hashing::default(),
            allowed: Dangers::empty(),
            changed: None,
            undo: None,
            delta_out: None,
            resume: false,
            state_dir: None,
            readers: None,
            compression: None,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Zeros {
    /// Holes of a file; of a device, room that is given back.
    #[default]
    GivenBack,
    /// Zeros that are written.
    Written,
}

/// Whether the BLAKE3 of the image is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Digest {
    /// Where it costs little: not where holes would have to be digested that nobody reads.
    #[default]
    Cheap,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// By what pieces of an image are compared that lie on two hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Hashing {
    /// BLAKE3, of which the hash of the image comes.
    #[default]
    Blake3,
    /// XXH3 with a secret, which takes a third of the time. The hash of the image is not made then.
    Xxh3,
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

impl BorshSerialize for Dangers {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.bits().serialize(writer)
    }
}

impl BorshDeserialize for Dangers {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let bits = u8::deserialize_reader(reader)?;
        Self::from_bits(bits).ok_or_else(|| malformed("an unknown danger"))
    }
}

/// What came of a job. Of a dry run, what would have.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlocksSummary {
    /// How long the source is, in bytes.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub source_bytes: u64,
    /// How much of it was to be brought over.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub image_bytes: u64,
    /// Of this, what is a hole on both sides, or was said to be as it was: nobody read it.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub skipped_bytes: u64,
    /// What an interrupted run had made right: nobody read it again.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub resumed_bytes: u64,
    /// What was the same.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub equal_bytes: u64,
    /// What was written.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub written_bytes: u64,
    /// What became zeros.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub cleared_bytes: u64,
    /// What was read back from the disk and found right.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub verified_bytes: u64,
    /// BLAKE3 of what was brought over, if it was made.
    pub digest: Option<[u8; 32]>,
}
