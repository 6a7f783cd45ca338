//! Totals of a run.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding;
use crate::entry::Kind;
use crate::event::Verdict;

/// Entries counted by kind, as rsync's `--stats` groups them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct KindCounts {
    /// Regular files.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub files: u64,
    /// Directories.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub directories: u64,
    /// Symbolic links.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub symlinks: u64,
    /// Character and block devices.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub devices: u64,
    /// Pipes and sockets.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub specials: u64,
}

impl KindCounts {
    /// Counts `entries` more of this kind.
    pub fn add(&mut self, kind: Kind, entries: u64) {
        *match kind {
            Kind::File => &mut self.files,
            Kind::Directory => &mut self.directories,
            Kind::Symlink => &mut self.symlinks,
            Kind::CharDevice | Kind::BlockDevice => &mut self.devices,
            Kind::Fifo | Kind::Socket => &mut self.specials,
        } += entries;
    }

    /// Adds another count.
    pub fn merge(&mut self, other: &Self) {
        self.files += other.files;
        self.directories += other.directories;
        self.symlinks += other.symlinks;
        self.devices += other.devices;
        self.specials += other.specials;
    }

    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.files + self.directories + self.symlinks + self.devices + self.specials
    }
}

/// Entries counted by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VerdictCounts(
    #[borsh(deserialize_with = "encoding::read_counts")] [u64; Verdict::ALL.len()],
);

impl VerdictCounts {
    /// Counts one more entry.
    pub fn add(&mut self, verdict: Verdict) {
        self.0[verdict as usize] += 1;
    }

    /// Says how many entries have this verdict.
    pub fn set(&mut self, verdict: Verdict, entries: u64) {
        self.0[verdict as usize] = entries;
    }

    /// How many entries have this verdict.
    pub fn get(&self, verdict: Verdict) -> u64 {
        self.0[verdict as usize]
    }

    /// Adds another count.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Entries seen at the source: all verdicts but `Deleted`.
    pub fn seen(&self) -> u64 {
        self.0.iter().sum::<u64>() - self.get(Verdict::Deleted)
    }
}

/// Totals of a run. A failed run has one too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Summary {
    /// Entries by verdict; they add up to `verdicts.seen()`.
    pub verdicts: VerdictCounts,
    /// Entries in the transfer, by kind.
    pub listed: KindCounts,
    /// Entries made, by kind.
    pub created: KindCounts,
    /// Entries removed, by kind.
    pub deleted: KindCounts,
    /// Regular files whose content was written.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub transferred_files: u64,
    /// Sum of the sizes of the files in the transfer, bytes.
    pub listed_bytes: u64,
    /// Sum of the sizes of the transferred files, bytes.
    pub transferred_bytes: u64,
    /// Content brought over, bytes, holes and clones included: rsync's "literal data".
    pub literal_bytes: u64,
    /// Content that came from old files at the destination, bytes: rsync's "matched data".
    pub matched_bytes: u64,
    /// Content really written, bytes; holes and clones are left out.
    pub written_bytes: u64,
    /// Faults with an exit code of 23.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub faults: u64,
    /// Source entries that vanished (24).
    #[borsh(deserialize_with = "encoding::read_count")]
    pub vanished: u64,
    /// Deletions left undone by `--max-delete` (25).
    #[borsh(deserialize_with = "encoding::read_count")]
    pub deletions_skipped: u64,
    /// Deletions left undone since the source could not be read wholly.
    #[borsh(deserialize_with = "encoding::read_count")]
    pub deletions_suppressed: u64,
}

impl Summary {
    /// Adds the totals of another worker.
    pub fn merge(&mut self, other: &Self) {
        self.verdicts.merge(&other.verdicts);
        self.listed.merge(&other.listed);
        self.created.merge(&other.created);
        self.deleted.merge(&other.deleted);
        self.transferred_files += other.transferred_files;
        // Sparse files can claim more bytes together than there are numbers for.
        add_bytes(&mut self.listed_bytes, other.listed_bytes);
        add_bytes(&mut self.transferred_bytes, other.transferred_bytes);
        add_bytes(&mut self.written_bytes, other.written_bytes);
        add_bytes(&mut self.literal_bytes, other.literal_bytes);
        add_bytes(&mut self.matched_bytes, other.matched_bytes);
        self.faults += other.faults;
        self.vanished += other.vanished;
        self.deletions_skipped += other.deletions_skipped;
        self.deletions_suppressed += other.deletions_suppressed;
    }
}

/// Adds sizes, whose sum stays at its highest when it would be higher still: they are what a tree
/// claims.
pub fn add_bytes(sum: &mut u64, bytes: u64) {
    *sum = sum.saturating_add(bytes);
}

#[cfg(test)]
mod tests {
    use super::VerdictCounts;
    use crate::event::Verdict;

    #[test]
    fn verdicts_add_up_without_the_deleted() {
        let mut counts = VerdictCounts::default();
        for verdict in Verdict::ALL {
            counts.add(verdict);
        }
        assert_eq!(counts.seen(), Verdict::ALL.len() as u64 - 1);
    }
}
