//! Values of all kinds, made from whatever bytes a test comes up with, and a session in memory.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use filter::{RuleOptions, Rules, Unprefixed};
use model::settings::{
    Append, Atimes, Backup, Basis, BasisAction, Checksum, Compare, Compression, ContentCheck,
    Delete, DeleteLimit, DeleteWhen, Deltas, Depth, Ids, Limits, Links, Method, MissingArgs,
    Mtimes, OneFileSystem, Partial, Perms, Preserve, Privilege, Settings, Staging, Symlinks,
    Traverse, WORKERS_MAX, Workers, Write, Xattrs,
};
use model::{
    Cause, Chmod, Destination, DeviceNumber, Fault, FileGauge, FileReading, Gauges, IdMap,
    IdPattern, IdRule, IdTarget, Interest, Item, ItemFlags, Job, Kind, KindCounts, Message,
    Metadata, Reading, RelPath, Side, Source, Suffixes, Summary, Timestamp, Topic, Topics, Verb,
    Verdict, VerdictCounts,
};
use parking_lot::Mutex;
use wire::{EventBytes, Failure, OutcomeBytes, ProgressBytes, Told};

use crate::outcome::{Ending, ErrorKind, Outcome};
use crate::post::{Over, Post};
use crate::telling::Telling;
use crate::{Besides, List};

/// Makes values from bytes; when these are used up, the smallest of each kind.
pub(crate) struct Chance<'a>(pub(crate) &'a [u8]);

impl Chance<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn number(&mut self) -> u64 {
        let bytes = self.byte() % 9;
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn small(&mut self) -> u32 {
        u32::from(self.byte()) << 8 | u32::from(self.byte())
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte() % 16).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| make(self))
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 4).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> Box<str> {
        String::from_utf8_lossy(&self.bytes()).into()
    }

    /// Not empty, no slash, no NUL.
    fn name(&mut self) -> Vec<u8> {
        let mut name = self.bytes();
        name.retain(|byte| !matches!(byte, b'/' | 0));
        name.push(b'n');
        name
    }

    fn path(&mut self) -> PathBuf {
        let parts: Vec<Vec<u8>> = self.list(Self::name);
        OsString::from_vec(parts.join(&b'/')).into()
    }

    fn rel_path(&mut self) -> RelPath {
        let parts: Vec<Vec<u8>> = self.list(Self::name);
        RelPath::new(&parts.join(&b'/')).unwrap_or_else(RelPath::root)
    }

    fn size(&mut self) -> u64 {
        self.number() & i64::MAX.unsigned_abs()
    }

    fn count(&mut self) -> u64 {
        self.number() >> 8
    }

    pub(crate) fn job(&mut self) -> Job {
        let first = Source { path: self.path() };
        let mut sources = self.list(|chance| Source { path: chance.path() });
        sources.push(first);
        let destination = Some(Destination { path: self.path() });
        Job { sources, destination, settings: self.settings() }
    }

    fn settings(&mut self) -> Settings {
        const INTERESTS: [Interest; 4] =
            [Interest::Faults, Interest::Changes, Interest::Unchanged, Interest::Everything];
        Settings {
            traverse: self.traverse(),
            links: self.links(),
            preserve: self.preserve(),
            compare: self.compare(),
            delete: self.delete(),
            write: self.write(),
            backup: Backup {
                enabled: self.bool(),
                dir: self.some(Self::path),
                suffix: self.name().into(),
            },
            basis: Basis {
                action: self.one(&[BasisAction::Omit, BasisAction::Copy, BasisAction::Link]),
                dirs: self.list(Self::path),
            },
            limits: Limits {
                workers: match self.some(Self::small) {
                    None => Workers::Auto,
                    Some(count) => {
                        let count = 1 + count as usize % WORKERS_MAX;
                        Workers::Fixed(NonZeroUsize::new(count).unwrap())
                    }
                },
                ..Limits::default()
            },
            compression: self.some(Self::compression),
            dry_run: self.bool(),
            interest: self.one(&INTERESTS),
            topics: self.list(|chance| chance.one(&Topic::ALL)).into_iter().collect::<Topics>(),
            tell_checksums: self.bool(),
            tell_begun: self.bool(),
        }
    }

    fn compression(&mut self) -> Compression {
        let zstd = Method::Zstd { level: i32::from(self.bool()) - 1 };
        Compression { method: self.one(&[zstd, Method::Lz4]), skipped: Suffixes::new(&self.name()) }
    }

    fn traverse(&mut self) -> Traverse {
        Traverse {
            depth: self.one(&[Depth::Files, Depth::Directories, Depth::Recursive]),
            incremental: self.bool(),
            relative: self.bool(),
            implied_dirs: self.bool(),
            one_file_system: self.one(&[
                OneFileSystem::Cross,
                OneFileSystem::KeepMountPoints,
                OneFileSystem::OmitMountPoints,
            ]),
            prune_empty_dirs: self.bool(),
            files_from: self.some(|chance| chance.list(|chance| chance.name().into())),
            missing_args: self.one(&[MissingArgs::Fault, MissingArgs::Ignore, MissingArgs::Delete]),
            min_size: self.some(Self::size),
            max_size: self.some(Self::size),
            open_noatime: self.bool(),
            make_path: self.bool(),
            list_only: self.bool(),
        }
    }

    fn links(&mut self) -> Links {
        Links {
            symlinks: self.one(&[Symlinks::Skip, Symlinks::Keep, Symlinks::Follow]),
            copy_dirlinks: self.bool(),
            keep_dirlinks: self.bool(),
            copy_unsafe: self.bool(),
            skip_unsafe: self.bool(),
            munge: self.bool(),
            unmunge: self.bool(),
            hard_links: self.bool(),
        }
    }

    fn preserve(&mut self) -> Preserve {
        let mut chmod = Chmod::default();
        for text in self.list(|chance| chance.one(&["D2775,F644", "u+rwX", "go=u", "a-s,+t"])) {
            chmod.push(text, self.small() & 0o777).unwrap();
        }
        Preserve {
            perms: self.one(&[Perms::New, Perms::Executability, Perms::Keep]),
            mtimes: Mtimes { files: self.bool(), directories: self.bool(), symlinks: self.bool() },
            atimes: Atimes { files: self.bool(), symlinks: self.bool() },
            owner: self.bool(),
            group: self.bool(),
            devices: self.bool(),
            specials: self.bool(),
            acls: self.bool(),
            xattrs: self.one(&[Xattrs::Ignore, Xattrs::Keep, Xattrs::KeepAll]),
            privilege: self.one(&[
                Privilege::Auto,
                Privilege::Assume,
                Privilege::Renounce,
                Privilege::Fake,
            ]),
            source_pretends: self.bool(),
            chmod,
            ids: Ids { users: self.id_map(), groups: self.id_map(), numeric: self.bool() },
        }
    }

    fn id_map(&mut self) -> IdMap {
        let rules = self.list(|chance| IdRule {
            from: match chance.byte() % 4 {
                0 => IdPattern::Any,
                1 => IdPattern::Range(chance.small(), chance.small()),
                2 => IdPattern::Name(chance.bytes().into()),
                _ => IdPattern::Unnamed,
            },
            to: if chance.bool() {
                IdTarget::Name(chance.bytes().into())
            } else {
                IdTarget::Id(chance.small())
            },
        });
        IdMap { rules }
    }

    fn compare(&mut self) -> Compare {
        Compare {
            content: self.one(&[
                ContentCheck::Quick,
                ContentCheck::SizeOnly,
                ContentCheck::Checksum,
                ContentCheck::Never,
            ]),
            modify_window_secs: i64::from(self.small()) - 1000,
            checksum: self.one(&Checksum::NAMES).0,
            update_only: self.bool(),
            existing_only: self.bool(),
            ignore_existing: self.bool(),
            fuzzy: self.byte() % 3,
        }
    }

    fn delete(&mut self) -> Delete {
        Delete {
            when: self.one(&[
                DeleteWhen::Never,
                DeleteWhen::Before,
                DeleteWhen::During,
                DeleteWhen::Delay,
                DeleteWhen::After,
            ]),
            limit: match self.byte() % 3 {
                0 => DeleteLimit::Unlimited,
                1 => DeleteLimit::Entries(self.number()),
                _ => DeleteLimit::Percent(self.byte() % 101),
            },
            force: self.bool(),
            ignore_errors: self.bool(),
            across_mounts: self.bool(),
            refuse_empty_source: self.bool(),
        }
    }

    fn write(&mut self) -> Write {
        Write {
            staging: self.one(&[Staging::Staged, Staging::InPlace]),
            append: self.one(&[Append::Off, Append::Trust, Append::Verify]),
            find_zeros: self.bool(),
            preallocate: self.bool(),
            partial: match self.byte() % 3 {
                0 => Partial::Discard,
                1 => Partial::Keep,
                _ => Partial::KeepIn(self.path()),
            },
            delay_updates: self.bool(),
            temp_dir: self.some(Self::path),
            fsync: self.bool(),
            copy_devices: self.bool(),
            write_devices: self.bool(),
            remove_source_files: self.bool(),
            verify: self.bool(),
            deltas: self.one(&[Deltas::Auto, Deltas::Always, Deltas::Never]),
            block_bytes: self.some(Self::number),
            state_dir: None,
        }
    }

    pub(crate) fn besides(&mut self) -> Besides {
        let list = |chance: &mut Self| List { path: chance.bytes().into(), from0: chance.bool() };
        Besides { source_directory: self.bytes().into(), list: self.some(list) }
    }

    pub(crate) fn rules(&mut self) -> Rules {
        const FILTERS: [&str; 6] = ["- *.o", "+! d/", ": .merge", ". file", "P /kept", "-x user.*"];
        let mut rules = Rules::new(RuleOptions {
            from0: self.bool(),
            delete_excluded: self.bool(),
            home_cvsignore: self.some(Self::bytes),
            cvsignore_variable: self.some(Self::bytes),
        });
        for filter in self.list(|chance| chance.one(&FILTERS)) {
            rules.push(filter.as_bytes(), &mut |_| Ok(b"- in-file\n+ b".to_vec())).unwrap();
        }
        let listed = self.name();
        rules.push_list(&listed, Unprefixed::Exclude, b"list\xff").ok();
        rules
    }

    fn metadata(&mut self) -> Metadata {
        const KINDS: [Kind; 7] = [
            Kind::File,
            Kind::Directory,
            Kind::Symlink,
            Kind::CharDevice,
            Kind::BlockDevice,
            Kind::Fifo,
            Kind::Socket,
        ];
        Metadata {
            kind: self.one(&KINDS),
            mode: self.small() & 0o7777,
            uid: self.small(),
            gid: self.small(),
            size: self.size(),
            mtime: self.timestamp(),
            atime: self.timestamp(),
            rdev: DeviceNumber { major: self.small(), minor: self.small() },
            dev: self.number(),
            ino: self.number(),
            nlink: self.small(),
            allocated_blocks: self.number(),
        }
    }

    fn timestamp(&mut self) -> Timestamp {
        Timestamp { secs: self.number().cast_signed(), nanos: self.small() }
    }

    pub(crate) fn item(&mut self) -> Box<Item> {
        Box::new(Item {
            path: self.rel_path(),
            metadata: self.metadata(),
            source: self.some(Self::small),
            flags: ItemFlags::from_bits_truncate(self.small()),
            verdict: self.one(&Verdict::ALL),
            link: self.some(|chance| chance.bytes().into()),
            leader: self.some(|chance| chance.bytes().into()),
            reason: self.some(Self::text),
            errno: self.some(|chance| chance.small().cast_signed()),
            written_bytes: self.number(),
            checksum: self.some(Self::text),
        })
    }

    fn fault(&mut self) -> Fault {
        Fault {
            side: self.one(&[Side::Source, Side::Destination]),
            verb: self.one(&[Verb::Open, Verb::Publish, Verb::RemoveExtraneous]),
            path: self.bytes().into(),
            cause: match self.byte() % 5 {
                0 => Cause::Os(self.small().cast_signed()),
                1 => Cause::Vanished,
                2 => Cause::ChangedDuringCopy,
                3 => Cause::VerificationFailed,
                _ => Cause::Refused(self.text()),
            },
        }
    }

    fn message(&mut self) -> Message {
        Message { topic: self.one(&Topic::ALL), text: self.bytes().into() }
    }

    pub(crate) fn file_reading(&mut self) -> FileReading {
        let gauge = FileGauge::begin();
        gauge.keep(self.small().into());
        gauge.add(self.size() >> 1);
        if self.bool() {
            gauge.finish();
        }
        gauge.read()
    }

    pub(crate) fn reading(&mut self) -> Reading {
        let gauges = Gauges::default();
        for counter in [
            &gauges.listed_entries,
            &gauges.listed_bytes,
            &gauges.done_entries,
            &gauges.done_bytes,
            &gauges.transferred_files,
            &gauges.transferred_bytes,
            &gauges.workers_busy,
            &gauges.workers_active,
        ] {
            Gauges::set(counter, self.number());
        }
        if self.bool() {
            gauges.finish_list();
        }
        gauges.read()
    }

    pub(crate) fn telling(&mut self) -> Telling {
        match self.byte() % 8 {
            0 => Telling::Begun {
                number: self.number(),
                reading: self.file_reading(),
                item: self.item(),
            },
            1 => Telling::Item(self.item()),
            2 => Telling::Line(self.item()),
            3 => Telling::Settled(self.item()),
            4 => Telling::Fault(self.fault()),
            5 => Telling::Message(self.message()),
            6 => Telling::Gauges(self.reading()),
            _ => Telling::Over { number: self.number(), reading: self.file_reading() },
        }
    }

    pub(crate) fn outcome(&mut self) -> Outcome {
        const ENDINGS: [Ending; 9] = [
            Ending::Complete,
            Ending::Interrupted,
            Ending::TimeIsOver,
            Ending::Error(ErrorKind::Usage),
            Ending::Error(ErrorKind::Unsupported),
            Ending::Error(ErrorKind::FileSelection),
            Ending::Error(ErrorKind::FileIo),
            Ending::Error(ErrorKind::Stream),
            Ending::Error(ErrorKind::Internal),
        ];
        let mut verdicts = VerdictCounts::default();
        for verdict in Verdict::ALL {
            verdicts.set(verdict, self.count());
        }
        let mut kinds = || KindCounts {
            files: self.count(),
            directories: self.count(),
            symlinks: self.count(),
            devices: self.count(),
            specials: self.count(),
        };
        let (listed, created, deleted) = (kinds(), kinds(), kinds());
        let summary = Summary {
            verdicts,
            listed,
            created,
            deleted,
            transferred_files: self.count(),
            listed_bytes: self.number(),
            transferred_bytes: self.number(),
            literal_bytes: self.number(),
            matched_bytes: self.number(),
            written_bytes: self.number(),
            faults: self.count(),
            vanished: self.count(),
            deletions_skipped: self.count(),
            deletions_suppressed: self.count(),
        };
        Outcome { ending: self.one(&ENDINGS), summary }
    }
}

/// One end of a session within this process, with room for few events.
pub(crate) struct Memory {
    hears: Mutex<Receiver<Told>>,
    tells: Mutex<Option<SyncSender<Told>>>,
}

/// Events that wait at most.
const ROOM: usize = 2;

pub(crate) fn pair() -> (Memory, Memory) {
    let ((to_one, from_other), (to_other, from_one)) = (sync_channel(ROOM), sync_channel(ROOM));
    (Memory::new(from_other, to_other), Memory::new(from_one, to_one))
}

impl Memory {
    fn new(hears: Receiver<Told>, tells: SyncSender<Told>) -> Self {
        Self { hears: Mutex::new(hears), tells: Mutex::new(Some(tells)) }
    }

    pub(crate) fn tell(&self, told: Told) -> Result<(), Over> {
        let tells = self.tells.lock().clone();
        let told = tells.map(|tells| tells.send(told));
        if let Some(Ok(())) = told { Ok(()) } else { Err(over()) }
    }

    /// What was told before still comes.
    pub(crate) fn hang_up(&self) {
        *self.tells.lock() = None;
    }
}

fn over() -> Over {
    Over("nobody is there".into())
}

impl Post for Memory {
    fn told(&self) -> Result<Told, Over> {
        self.hears.lock().recv().map_err(|_| over())
    }

    fn cancel(&self) {
        self.tell(Told::Cancel).ok();
    }

    fn event(&self, event: EventBytes) -> Result<(), Over> {
        self.tell(Told::Event(event))
    }

    fn progress(&self, progress: ProgressBytes) {
        if let Some(tells) = &*self.tells.lock() {
            tells.try_send(Told::Progress(progress)).ok();
        }
    }

    fn ended(&self, outcome: OutcomeBytes) -> Result<(), Over> {
        self.tell(Told::Ended(outcome))
    }

    fn bye(&self) {
        self.tell(Told::Bye).ok();
    }

    fn fail(&self, failure: Failure) {
        self.tell(Told::Failure(failure)).ok();
    }
}

/// A sum by which bytes are known again (FNV-1a).
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Bytes as good as any, the same each time.
pub(crate) fn entropy(count: u32) -> Vec<u8> {
    (0..count).map(|at| sum(&at.to_le_bytes()).to_le_bytes()[2]).collect()
}
