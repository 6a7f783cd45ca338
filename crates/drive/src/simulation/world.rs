//! Stations that move nothing, in time that does not pass: what the coordinator does with them, and whether it
//! keeps its promises.
//!
//! A line is a number. The list of a bucket is a range of them: where its bytes would lie, its lines are.

use std::collections::{BTreeMap, HashMap};

use fleet::amount::Amount;

use crate::bucket::Class;
use crate::bucket::{BucketId, Epoch, Lease, StationId};
use crate::journal::record::{CutEnd, Part, Record};
use crate::lists::ListAt;
use crate::mover::{End, FailedEntry, Outcome};
use crate::state::{
    Command, Coordinator, Event, GivenWork, Millis, Parting, Settings, StopWhy, Told, Totals,
};

/// Before a mover begins to work.
const START_MILLIS: u64 = 50;

/// Before a station that was lost comes back.
const AWAY_MILLIS: u64 = 30_000;

/// What is to happen.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    pub(crate) buckets: u32,
    /// Of a bucket, at most.
    pub(crate) lines: u32,
    /// Buckets cut in a millisecond.
    pub(crate) cuts: u32,
    pub(crate) stations: u32,
    /// Of a station.
    pub(crate) slots: u32,
    /// Of a thousand tries so many fail for no reason.
    pub(crate) failing: u64,
    /// Of a thousand tries so many do not begin.
    pub(crate) cold: u64,
    /// Of a million lines so many can never be moved.
    pub(crate) bad: u64,
    /// When stations die.
    pub(crate) deaths: Vec<u64>,
    /// When there is no room.
    pub(crate) full: std::ops::Range<u64>,
    /// When no mover gets through.
    pub(crate) away: std::ops::Range<u64>,
    /// When the run is stopped.
    pub(crate) stop: Option<u64>,
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) totals: Totals,
    /// When it ended.
    pub(crate) end: u64,
    /// So long slots were at work.
    pub(crate) busy: u64,
    pub(crate) gives: u64,
    pub(crate) records: u64,
}

/// What a line has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Waiting,
    Moved,
    Failed,
}

pub(crate) struct World {
    plan: Plan,
    chance: Chance,
    pub(crate) coordinator: Coordinator,
    now: u64,
    next: u64,
    pending: BTreeMap<(u64, u64), Event>,
    /// Buckets that are still to be cut, and the first line of the next.
    uncut: (u32, u64),
    pub(crate) lines: Vec<Line>,
    stations: Vec<StationId>,
    next_station: u32,
    pub(crate) promises: Promises,
    report: Report,
    /// Who wants to see each record, and what was known behind it.
    pub(crate) hear: Option<Box<Hear>>,
}

/// What was promised.
#[derive(Default)]
pub(crate) struct Promises {
    leased: HashMap<BucketId, Held>,
    epoch: Option<Epoch>,
    pub(crate) over: Vec<bool>,
    not_before: HashMap<BucketId, Millis>,
    closed_until: Millis,
    lost_at: Option<u64>,
    is_finishing: bool,
    is_stopped: bool,
    end: Option<Totals>,
}

/// Hears what the coordinator wants, after each event.
pub(crate) type Hear = dyn FnMut(&Coordinator, &[Command]);

/// A lease: its number, who has it, what it is, and since when.
type Held = (Epoch, StationId, Part, u64);

/// A generator of numbers (splitmix64).
struct Chance(u64);

fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mixed(self.0) % limit.max(1)
    }
}

impl Plan {
    fn is_bad(&self, line: u64) -> bool {
        mixed(line ^ mixed(self.seed)) % 1_000_000 < self.bad
    }

    /// Of the lines that cannot be moved every other kills the mover; of the others it tells.
    fn kills(line: u64) -> bool {
        line % 2 == 1
    }

    fn part(first: u64, count: u32) -> Part {
        let bytes = lines(first, count).map(|line| 1 << (mixed(line) % 26)).sum();
        let at = ListAt { offset: first, len: count, digest: [0; 16] };
        Part { class: Class::Deep, amount: Amount { entries: u64::from(count), bytes }, at }
    }
}

fn lines(first: u64, count: u32) -> std::ops::Range<u64> {
    first..first + u64::from(count)
}

pub(crate) fn range(at: ListAt) -> std::ops::Range<usize> {
    let end = usize::try_from(at.end()).expect("it is in memory");
    end - at.len as usize..end
}

impl World {
    /// Where `coordinator` knows of buckets, `lines` says what became of them.
    pub(crate) fn new(plan: Plan, coordinator: Coordinator) -> Self {
        let is_listed = coordinator.reading().is_listed;
        let uncut = if is_listed { (0, 0) } else { (plan.buckets, 0) };
        let no_totals = Totals {
            code: 0,
            listed: Amount::default(),
            done: Amount::default(),
            failed: Amount::default(),
            moved: Amount::default(),
            deleted: 0,
            zombies: 0,
        };
        let report = Report { totals: no_totals, end: 0, busy: 0, gives: 0, records: 0 };
        let mut world = Self {
            chance: Chance(plan.seed),
            coordinator,
            now: 0,
            next: 0,
            pending: BTreeMap::new(),
            uncut,
            lines: Vec::new(),
            stations: Vec::new(),
            next_station: 0,
            promises: Promises::default(),
            report,
            hear: None,
            plan,
        };
        for _ in 0..world.plan.stations {
            world.station_up(0);
        }
        for at in world.plan.deaths.clone() {
            // Which one is decided when it dies.
            world.push(at, Event::StationLost(StationId(u32::MAX)));
        }
        if let Some(at) = world.plan.stop {
            world.push(at, Event::Stop(StopWhy::Signal));
        }
        world
    }

    /// Runs until it ends.
    pub(crate) fn run(mut self) -> (Report, Vec<Line>) {
        while self.promises.end.is_none() {
            if self.uncut.0 > 0 {
                self.cut();
            } else if !self.coordinator.reading().is_listed {
                let split = ListAt { offset: 0, len: 0, digest: [0; 16] };
                self.on(Event::CutEnded(CutEnd { split, is_whole: true }));
            }
            self.step();
        }
        let totals = self.promises.end.expect("it has ended");
        let Amount { entries, bytes } = totals.done + totals.failed;
        let is_whole = !self.promises.is_stopped && !matches!(totals.code, 11 | 255);
        assert!(entries <= totals.listed.entries && bytes <= totals.listed.bytes, "{totals:?}");
        // Good lines may fail, too, and so may what is done at the end.
        let is_coarse = self.plan.failing + self.plan.cold > 0 || self.plan.settings.retries == 0;
        if is_whole {
            assert_eq!(totals.done + totals.failed, totals.listed, "amounts are kept: {totals:?}");
            for (line, is) in self.lines.iter().enumerate() {
                assert_ne!(*is, Line::Waiting, "line {line} was forgotten");
                let is_bad = self.plan.is_bad(line as u64);
                assert!(!is_bad || *is == Line::Failed, "line {line} cannot be moved");
                let may_fail = is_bad || is_coarse;
                assert!(may_fail || *is == Line::Moved, "line {line} can be moved");
            }
            let failed = self.lines.contains(&Line::Failed);
            let has_failed = !matches!(totals.code, 0 | 24);
            assert!(has_failed == failed || (has_failed && is_coarse), "{totals:?}");
        }
        (Report { totals, end: self.now, ..self.report }, self.lines)
    }

    fn push(&mut self, at: u64, event: Event) {
        self.next += 1;
        self.pending.insert((at, self.next), event);
    }

    fn cut(&mut self) {
        for _ in 0..self.plan.cuts.min(self.uncut.0) {
            let (left, first) = self.uncut;
            let count = 1 + self.chance.below(u64::from(self.plan.lines));
            let count = u32::try_from(count).expect("it is below a u32");
            self.uncut = (left - 1, first + u64::from(count));
            self.lines.resize(self.lines.len() + count as usize, Line::Waiting);
            self.on(Event::Cut(Plan::part(first, count)));
        }
    }

    /// Goes to the next moment at which something happens.
    fn step(&mut self) {
        let wake = self.coordinator.wake_at().map(|Millis(at)| at);
        let next = self.pending.keys().next().map(|(at, _)| *at);
        let cut = (self.uncut.0 > 0).then_some(self.now + 1);
        let at = [wake, next, cut].into_iter().flatten().min();
        self.now = at.expect("a run ends, or something happens").max(self.now);
        let Some(event) = self.pending.first_entry().filter(|event| event.key().0 <= self.now)
        else {
            return self.on(Event::Tick);
        };
        let event = event.remove();
        match event {
            Event::StationLost(_) => self.station_lost(),
            Event::StationUp { station, slots } => {
                self.stations.push(station);
                self.on(Event::StationUp { station, slots });
            }
            event => self.on(event),
        }
    }

    fn station_up(&mut self, at: u64) {
        let station = StationId(self.next_station);
        self.next_station += 1;
        let slots = self.plan.slots;
        self.push(at, Event::StationUp { station, slots });
    }

    fn station_lost(&mut self) {
        if self.stations.is_empty() {
            return;
        }
        let which = self.chance.below(self.stations.len() as u64);
        let station = self.stations.remove(usize::try_from(which).expect("it is an index"));
        let now = self.now;
        let busy = &mut self.report.busy;
        self.promises.leased.retain(|_, (_, of, _, since)| {
            let stays = *of != station;
            *busy += if stays { 0 } else { now - *since };
            stays
        });
        self.promises.lost_at = Some(now);
        self.on(Event::StationLost(station));
        self.station_up(now + AWAY_MILLIS);
    }

    fn on(&mut self, event: Event) {
        if let Event::Ended { lease, outcome } = &event {
            self.moved(*lease, outcome);
        }
        self.promises.is_stopped |= matches!(event, Event::Stop(_));
        let mut commands = Vec::new();
        self.coordinator.on(Millis(self.now), event, &mut commands);
        if let Some(hear) = &mut self.hear {
            hear(&self.coordinator, &commands);
        }
        for command in commands {
            self.obey(command);
        }
    }

    /// A slot has done what it could, whether that is believed or not.
    fn moved(&mut self, lease: Lease, outcome: &Outcome) {
        let Some((epoch, _, part, since)) = self.promises.leased.get(&lease.bucket).copied() else {
            return;
        };
        if epoch != lease.epoch {
            return;
        }
        self.promises.leased.remove(&lease.bucket);
        self.report.busy += self.now - since;
        if matches!(outcome.end, End::Done | End::Vanished | End::Partial { is_told: true }) {
            let failed: Vec<u64> = outcome.failed.iter().filter_map(line_of).collect();
            for line in range(part.at) {
                if !failed.contains(&(line as u64)) {
                    self.lines[line] = Line::Moved;
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        assert!(self.promises.end.is_none(), "nothing comes after the end: {command:?}");
        match command {
            Command::Record(record) => {
                self.report.records += 1;
                if let Record::Ended { bucket, .. } | Record::Parted { bucket, .. } = record {
                    self.promises.close(bucket);
                }
            }
            Command::Give { station, lease, work, .. } => {
                self.report.gives += 1;
                self.promises.give(self.now, station, lease, &work);
                assert!(self.stations.contains(&station), "{station:?} is up");
                let is_small = self.plan.stations * self.plan.slots < 100;
                if is_small {
                    let held = self.promises.leased.values();
                    let running = held.filter(|(_, of, ..)| *of == station).count();
                    assert!(running <= self.plan.slots as usize, "{station:?} has so many slots");
                }
                self.try_out(lease, &work);
            }
            Command::Take { lease, .. } => {
                assert!(self.promises.leased.contains_key(&lease.bucket), "{lease:?} is out");
                let at = self.now + self.chance.below(3000);
                self.push(at, ended(lease, End::Stopped));
            }
            Command::Part { bucket, at, by, .. } => {
                let into = part(at, &by);
                let soon = self.now + self.chance.below(20);
                self.push(soon, Event::Parted { bucket, into });
            }
            Command::Tell(told) => self.told(told),
            Command::End(totals) => {
                assert!(self.promises.leased.is_empty(), "nothing runs at the end");
                self.promises.end = Some(totals);
            }
        }
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Again { bucket, not_before, .. } => {
                self.promises.not_before.insert(bucket, not_before);
            }
            Told::Closed { until, .. } => self.promises.closed_until = until,
            Told::Failed { bucket, at, .. } => {
                self.promises.close(bucket);
                for line in &mut self.lines[range(at)] {
                    if *line == Line::Waiting {
                        *line = Line::Failed;
                    }
                }
            }
            Told::EntryFailed(entry) => {
                let line = line_of(&entry).expect("it is a line");
                assert!(self.plan.is_bad(line), "line {line} can be moved");
            }
            // It ends early, by whatever code the other end has given.
            Told::Hopeless(_) => self.promises.is_stopped = true,
            _ => {}
        }
    }

    /// Decides how a try goes.
    fn try_out(&mut self, lease: Lease, work: &GivenWork) {
        let part = match work {
            GivenWork::Bucket(part) => *part,
            GivenWork::Directories(_) | GivenWork::Delete => Plan::part(0, 0),
        };
        let millis = part.amount.entries + part.amount.bytes / 4000;
        let millis = millis * (80 + self.chance.below(40)) / 100;
        let ends = self.now + START_MILLIS + millis;
        let starts = self.now + START_MILLIS;
        let lost = |was_up| End::Lost { why: "it died".to_owned(), was_up };
        let mut all = lines(part.at.offset, part.at.len);
        let bad: Vec<u64> = all.clone().filter(|line| self.plan.is_bad(*line)).collect();
        let by_chance = self.chance.below(1000) < self.plan.failing;
        let is_cold = self.chance.below(1000) < self.plan.cold;
        let end = if self.plan.away.contains(&starts) {
            lost(false)
        } else if is_cold {
            match self.chance.below(2) {
                0 => lost(false),
                _ => End::Busy("too many".to_owned()),
            }
        } else if self.plan.full.contains(&ends) {
            End::Full("no space".to_owned())
        } else if all.any(|line| self.plan.is_bad(line) && Plan::kills(line)) {
            lost(true)
        } else if by_chance {
            match self.chance.below(4) {
                0 => End::Partial { is_told: false },
                1 => End::Stopped,
                2 if bad.is_empty() => End::Vanished,
                _ => lost(true),
            }
        } else if bad.is_empty() {
            End::Done
        } else {
            End::Partial { is_told: true }
        };
        let is_cold = matches!(end, End::Busy(_) | End::Lost { was_up: false, .. });
        if !is_cold && self.chance.below(1000) >= self.plan.cold {
            self.push(starts, Event::Up(lease));
            self.push(starts + millis / 2, Event::Beat(vec![(lease, part.amount)]));
        }
        let failed = match end {
            End::Partial { is_told: true } => bad
                .iter()
                .map(|line| FailedEntry {
                    path: line.to_string().into_bytes(),
                    why: "denied".to_owned(),
                })
                .collect(),
            _ => Vec::new(),
        };
        let Event::Ended { lease, outcome } = ended(lease, end) else { return };
        let outcome = Outcome { failed, ..outcome };
        self.push(if is_cold { starts } else { ends }, Event::Ended { lease, outcome });
    }
}

/// As the lines of a bucket are parted.
fn part(at: ListAt, by: &Parting) -> Vec<Part> {
    match by {
        Parting::Failed(failed) if failed.len() == at.len as usize => Vec::new(),
        Parting::Failed(failed) => {
            failed.iter().filter_map(line_of).map(|line| Plan::part(line, 1)).collect()
        }
        Parting::Into(_) if at.len < 2 => Vec::new(),
        Parting::Into(most) => {
            let each = (at.len as usize).div_ceil(*most);
            let first = (0..at.len).step_by(each);
            let each = u32::try_from(each).expect("it is below a u32");
            first
                .map(|skip| Plan::part(at.offset + u64::from(skip), each.min(at.len - skip)))
                .collect()
        }
    }
}

fn ended(lease: Lease, end: End) -> Event {
    let (moved, failed) = (Amount::default(), Vec::new());
    Event::Ended { lease, outcome: Outcome { end, moved, failed, deleted: 0, code: None } }
}

fn line_of(entry: &FailedEntry) -> Option<u64> {
    std::str::from_utf8(&entry.path).ok()?.parse().ok()
}

impl Promises {
    fn close(&mut self, bucket: BucketId) {
        let index = bucket.0 as usize;
        if self.over.len() <= index {
            self.over.resize(index + 1, false);
        }
        assert!(!self.over[index], "{bucket:?} is over once");
        self.over[index] = true;
    }

    fn give(&mut self, now: u64, station: StationId, lease: Lease, work: &GivenWork) {
        let Lease { bucket, epoch } = lease;
        assert!(self.epoch < Some(epoch), "{epoch:?} is new");
        self.epoch = Some(epoch);
        assert!(Millis(now) >= self.closed_until, "{lease:?} begins when it may");
        let not_before = self.not_before.remove(&bucket).unwrap_or_default();
        assert!(Millis(now) >= not_before, "{lease:?} waits until {not_before:?}");
        let part = match work {
            GivenWork::Bucket(part) => {
                assert!(!self.is_finishing, "{lease:?} comes after the last bucket");
                assert_ne!(self.over.get(bucket.0 as usize), Some(&true), "{bucket:?} is over");
                *part
            }
            GivenWork::Directories(_) | GivenWork::Delete => {
                assert!(self.leased.is_empty(), "{work:?} is alone");
                let lost_at = self.lost_at.map_or(0, |at| at + 20_000);
                assert!(now >= lost_at, "{work:?} waits for zombies");
                self.is_finishing = true;
                Plan::part(0, 0)
            }
        };
        let held = self.leased.insert(bucket, (epoch, station, part, now));
        assert_eq!(held, None, "{bucket:?} has one lease");
        assert!(!self.is_stopped, "{lease:?} is given after a stop");
    }
}
