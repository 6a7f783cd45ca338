//! What is measured: one row of docs/performance.md each.

use anyhow::{Result, bail};

use super::volume::FsKind;
use super::wan::Link;
use crate::corpus::{Change, Kind};

/// What the tools have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The destination is empty.
    FirstCopy,
    /// The destination is equal already.
    Equal,
    /// The same, and every byte is to be compared.
    Checksum,
    /// The source has changed since.
    Update(Change),
}

/// Where the copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To a file system of its own.
    Fresh(FsKind),
    /// Beside the source, where a reflink can be made.
    Beside(FsKind),
    /// From and to a FUSE file system with a delay per operation and so many served at once.
    Slow { slots: u16 },
    /// Between two hosts by ssh, both with tmpfs; without a link they are one.
    Far { link: Option<Link>, way: Way },
}

/// Which of the hosts somebody sits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// That of the source.
    Push,
    /// That of the destination.
    Pull,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// rsync, lanesync and the peers.
    Tools,
    /// lanesync alone, with fixed numbers of workers against the number that it finds.
    WorkerCounts,
    /// The same of lanes to another host.
    LaneCounts,
}

/// Lanes that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    pub(crate) kind: &'static str,
    pub(crate) count: u16,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) corpus: Kind,
    /// How much of the corpus, before `--scale`.
    pub(crate) share: f64,
    /// Where the source lies.
    pub(crate) source: FsKind,
    pub(crate) place: Place,
    pub(crate) op: Op,
    pub(crate) cold: bool,
    pub(crate) field: Field,
    /// How many times as fast as rsync we want to be.
    pub(crate) aim: Option<f64>,
}

/// The slow file system's time for each operation.
pub(crate) const SLOW_DELAY_US: u32 = 2_000;

/// The fixed numbers of workers that `auto` is held against on the slow file system.
pub(crate) const SLOW_WORKERS: [u16; 6] = [8, 16, 32, 64, 128, 256];

/// The lanes that `auto` is held against between two hosts.
pub(crate) const FIXED_LANES: [Lanes; 6] = [
    Lanes { kind: "ssh", count: 1 },
    Lanes { kind: "tcp", count: 1 },
    Lanes { kind: "tcp", count: 4 },
    Lanes { kind: "tcp", count: 16 },
    Lanes { kind: "tcp", count: 48 },
    Lanes { kind: "quic", count: 4 },
];

/// A first copy of a whole corpus from ext4 to ext4 with warm caches; the others say what differs.
const BASE: Scenario = Scenario {
    name: "",
    corpus: Kind::Small,
    share: 1.0,
    source: FsKind::Ext4,
    place: Place::Fresh(FsKind::Ext4),
    op: Op::FirstCopy,
    cold: false,
    field: Field::Tools,
    aim: None,
};

/// 500 files, since one stream does about seven of them a second.
const SLOW: Scenario =
    Scenario { corpus: Kind::Spread, share: 0.005, source: FsKind::Tmpfs, ..BASE };

/// 8,000 files, since a tuner needs some seconds to find its number; no single streams here. Not
/// more: the slow file system holds a descriptor for each inode, of 20,000 that a process often has.
const TUNE: Scenario = Scenario { share: 0.08, field: Field::WorkerCounts, ..SLOW };

/// 20,000 files of 4 KiB to a host far away.
const FILES: Scenario = Scenario { corpus: Kind::Even, source: FsKind::Tmpfs, ..BASE };

/// Ten thousand directories with ten small files each.
const SPREAD: Scenario = Scenario { corpus: Kind::Spread, ..FILES };

/// One file of 1 GiB to a host far away.
const FILE: Scenario = Scenario { corpus: Kind::Big, share: 0.25, ..FILES };

const MS_20: Link = Link { round_trip_ms: 20, loss_per_100k: 0, rate_mbit: 1000 };
const MS_100: Link = Link { round_trip_ms: 100, ..MS_20 };
const LOSSY: Link = Link { loss_per_100k: 100, ..MS_100 };
const LOSSIER: Link = Link { loss_per_100k: 1000, ..MS_100 };

const fn push(link: Link) -> Place {
    Place::Far { link: Some(link), way: Way::Push }
}

const fn pull(link: Link) -> Place {
    Place::Far { link: Some(link), way: Way::Pull }
}

const NEXT_DOOR: Place = Place::Far { link: None, way: Way::Push };

const TMPFS: Place = Place::Fresh(FsKind::Tmpfs);
const XFS: Place = Place::Fresh(FsKind::Xfs);

const LANES_OF_FILES: Scenario = Scenario { field: Field::LaneCounts, ..FILES };

const LANES_OF_FILE: Scenario = Scenario { field: Field::LaneCounts, ..FILE };

/// All rows, those with the same source together.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "small-tmpfs", place: TMPFS, aim: Some(3.5), ..BASE },
    Scenario { name: "small-xfs", place: XFS, aim: Some(2.8), ..BASE },
    Scenario { name: "small-ext4", aim: Some(2.2), ..BASE },
    Scenario { name: "small-noop", op: Op::Equal, aim: Some(2.8), ..BASE },
    Scenario { name: "small-cold", cold: true, aim: Some(1.9), ..BASE },
    Scenario { name: "small-noop-cold", op: Op::Equal, cold: true, aim: Some(1.9), ..BASE },
    Scenario { name: "mixed-ext4", corpus: Kind::Mixed, aim: Some(2.0), ..BASE },
    Scenario {
        name: "mixed-touched",
        corpus: Kind::Mixed,
        op: Op::Update(Change::Touched),
        aim: Some(2.0),
        ..BASE
    },
    Scenario {
        name: "mixed-halved",
        corpus: Kind::Mixed,
        op: Op::Update(Change::Halved),
        aim: Some(2.0),
        ..BASE
    },
    Scenario {
        name: "mixed-checksum",
        corpus: Kind::Mixed,
        op: Op::Checksum,
        aim: Some(1.8),
        ..BASE
    },
    Scenario { name: "flat", corpus: Kind::Flat, aim: Some(1.5), ..BASE },
    Scenario { name: "million-noop", corpus: Kind::Million, op: Op::Equal, aim: Some(2.8), ..BASE },
    Scenario {
        name: "million-noop-cold",
        corpus: Kind::Million,
        op: Op::Equal,
        cold: true,
        aim: Some(1.9),
        ..BASE
    },
    Scenario { name: "million-tmpfs", corpus: Kind::Million, place: TMPFS, ..BASE },
    Scenario { name: "big-ext4", corpus: Kind::Big, ..BASE },
    Scenario { name: "big-checksum", corpus: Kind::Big, op: Op::Checksum, aim: Some(1.8), ..BASE },
    Scenario { name: "big-tmpfs", corpus: Kind::Big, source: FsKind::Tmpfs, place: TMPFS, ..BASE },
    Scenario {
        name: "big-xfs-reflink",
        corpus: Kind::Big,
        source: FsKind::Xfs,
        place: Place::Beside(FsKind::Xfs),
        ..BASE
    },
    Scenario { name: "slow-16", place: Place::Slow { slots: 16 }, ..SLOW },
    Scenario { name: "slow-64", place: Place::Slow { slots: 64 }, ..SLOW },
    Scenario { name: "tune-16", place: Place::Slow { slots: 16 }, ..TUNE },
    Scenario { name: "tune-64", place: Place::Slow { slots: 64 }, ..TUNE },
    Scenario { name: "wan-files-loopback", place: NEXT_DOOR, aim: Some(2.6), ..FILES },
    Scenario { name: "wan-files-20ms", place: push(MS_20), aim: Some(1.65), ..FILES },
    Scenario { name: "wan-files-20ms-pull", place: pull(MS_20), aim: Some(1.65), ..FILES },
    Scenario { name: "wan-files-100ms-loss-0.1", place: push(LOSSY), aim: Some(14.0), ..FILES },
    Scenario { name: "wan-files-100ms-loss-1", place: push(LOSSIER), aim: Some(100.0), ..FILES },
    Scenario { name: "wan-spread-loopback", place: NEXT_DOOR, ..SPREAD },
    Scenario { name: "wan-spread-20ms", place: push(MS_20), ..SPREAD },
    Scenario { name: "wan-spread-100ms", place: push(MS_100), ..SPREAD },
    Scenario { name: "wan-spread-noop-20ms", place: push(MS_20), op: Op::Equal, ..SPREAD },
    Scenario { name: "wan-spread-noop-100ms", place: push(MS_100), op: Op::Equal, ..SPREAD },
    Scenario { name: "lanes-files-loopback", place: NEXT_DOOR, ..LANES_OF_FILES },
    Scenario { name: "lanes-files-20ms", place: push(MS_20), ..LANES_OF_FILES },
    Scenario { name: "lanes-files-100ms-loss-0.1", place: push(LOSSY), ..LANES_OF_FILES },
    Scenario { name: "lanes-files-100ms-loss-1", place: push(LOSSIER), ..LANES_OF_FILES },
    Scenario { name: "lanes-file-loopback", place: NEXT_DOOR, ..LANES_OF_FILE },
    Scenario { name: "lanes-file-20ms", place: push(MS_20), ..LANES_OF_FILE },
    Scenario { name: "lanes-file-100ms-loss-0.1", place: push(LOSSY), ..LANES_OF_FILE },
    Scenario { name: "lanes-file-100ms-loss-1", place: push(LOSSIER), ..LANES_OF_FILE },
    Scenario { name: "wan-file-loopback", place: NEXT_DOOR, aim: Some(3.0), ..FILE },
    Scenario { name: "wan-file-20ms", place: push(MS_20), aim: Some(1.3), ..FILE },
    Scenario { name: "wan-file-100ms-loss-0.1", place: push(LOSSY), aim: Some(100.0), ..FILE },
    Scenario { name: "wan-file-100ms-loss-1", place: push(LOSSIER), aim: Some(300.0), ..FILE },
    Scenario {
        name: "wan-file-patched-20ms",
        place: push(MS_20),
        op: Op::Update(Change::Patched),
        aim: Some(1.0),
        ..FILE
    },
    Scenario {
        name: "wan-noop-100ms",
        corpus: Kind::Small,
        place: push(MS_100),
        op: Op::Equal,
        aim: Some(2.0),
        ..FILES
    },
    Scenario {
        name: "wan-noop-100ms-pull",
        corpus: Kind::Small,
        place: pull(MS_100),
        op: Op::Equal,
        aim: Some(2.0),
        ..FILES
    },
];

/// Those whose names begin with one of the given ones.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    for name in names {
        if !SCENARIOS.iter().any(|scenario| scenario.name.starts_with(name.as_str())) {
            bail!("no scenario begins with {name:?}; see --list");
        }
    }
    let chosen = |scenario: &&Scenario| {
        // A whole name means just this one, even if others begin so.
        let exact = |name: &String| SCENARIOS.iter().any(|other| other.name == name);
        names.is_empty()
            || names.iter().any(|name| {
                scenario.name == name || (!exact(name) && scenario.name.starts_with(name.as_str()))
            })
    };
    Ok(SCENARIOS.iter().filter(chosen).collect())
}

impl Scenario {
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.place, Place::Slow { .. })
    }

    /// The link to the other host, if there is one and it is another.
    pub(crate) fn far(&self) -> Option<(Option<Link>, Way)> {
        match self.place {
            Place::Far { link, way } => Some((link, way)),
            _ => None,
        }
    }

    /// In words.
    pub(crate) fn title(&self) -> String {
        let what = match self.op {
            Op::FirstCopy => "first copy",
            Op::Equal => "nothing to do",
            Op::Checksum => "nothing to do, with -c",
            Op::Update(Change::Touched) => "1 % changed",
            Op::Update(Change::Patched) => "1 % of the bytes changed",
            Op::Update(Change::Halved) => "half deleted",
        };
        let source = self.source.name();
        let way = match self.place {
            Place::Fresh(kind) => format!("{source} to {}", kind.name()),
            Place::Beside(kind) => format!("within one {}", kind.name()),
            Place::Slow { slots } => {
                format!("FUSE, {SLOW_DELAY_US} us an operation, {slots} at once")
            }
            Place::Far { link: None, .. } => "over ssh on loopback".to_owned(),
            Place::Far { link: Some(link), way } => {
                let way = if way == Way::Push { "push" } else { "pull" };
                format!("{way} over ssh, {}", link.shown())
            }
        };
        let cache = if self.cold { ", cold" } else { "" };
        let share = if self.share < 1.0 { format!(" x {}", self.share) } else { String::new() };
        format!("{}{share}, {what}, {way}{cache}", self.corpus.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expect: &[&str]) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let chosen = choose(&names).unwrap();
        assert_eq!(chosen.iter().map(|scenario| scenario.name).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn names_choose_themselves_or_all_that_begin_so() {
        check(&["flat"], &["flat"]);
        let mixed = ["mixed-ext4", "mixed-touched", "mixed-halved", "mixed-checksum"];
        check(&["mixed"], &mixed);
        check(&["small-noop"], &["small-noop"]);
        check(&["slow"], &["slow-16", "slow-64"]);
        check(&["tune-6", "tune-1"], &["tune-16", "tune-64"]);
        check(&["big-c", "flat"], &["flat", "big-checksum"]);
        check(&["wan-noop"], &["wan-noop-100ms", "wan-noop-100ms-pull"]);
        assert!(choose(&["nonsense".to_owned()]).is_err());
        assert_eq!(choose(&[]).unwrap().len(), SCENARIOS.len());
    }

    #[test]
    fn names_are_unique() {
        for (place, scenario) in SCENARIOS.iter().enumerate() {
            let same = SCENARIOS.iter().skip(place + 1).any(|other| other.name == scenario.name);
            assert!(!same, "{}", scenario.name);
        }
    }
}
