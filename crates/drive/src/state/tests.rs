//! What follows on what, event by event.

use super::*;
use crate::bucket::Class;
use crate::lists::ListAt;
use crate::mover::{End, FailedEntry, Outcome, Unfit};

const SETTINGS: Settings = Settings {
    retries: 2,
    starts: 8,
    directories: true,
    deleting: Deleting::IfWhole,
    deletes_once: false,
    seed: 1,
};

const HERE: StationId = StationId(0);

fn part(bytes: u64) -> Part {
    let at = ListAt { offset: bytes, len: 1, digest: [0; 16] };
    Part { class: Class::Deep, amount: Amount { entries: 4, bytes }, at }
}

fn cut_end(is_whole: bool) -> Event {
    let split = ListAt { offset: 0, len: 0, digest: [0; 16] };
    Event::CutEnded(CutEnd { split, is_whole })
}

/// A coordinator, and what it has said last.
struct Play {
    coordinator: Coordinator,
    now: u64,
    said: Vec<Command>,
}

impl Play {
    /// Buckets of so many bytes are cut, and there are so many slots.
    fn new(settings: Settings, slots: u32, buckets: &[u64]) -> Self {
        let coordinator = Coordinator::new(settings, 3);
        let mut play = Self { coordinator, now: 0, said: Vec::new() };
        for bytes in buckets {
            play.hear(Event::Cut(part(*bytes)));
        }
        play.hear(cut_end(true));
        play.hear(Event::StationUp { station: HERE, slots });
        play
    }

    fn hear(&mut self, event: Event) -> &mut Self {
        self.said.clear();
        self.coordinator.on(Millis(self.now), event, &mut self.said);
        self
    }

    /// Ends the lease of a bucket, which is up unless `end` says that it was not.
    fn end(&mut self, bucket: u32, end: End) -> &mut Self {
        self.end_with(bucket, end, &[], None)
    }

    fn end_with(&mut self, bucket: u32, end: End, failed: &[&str], code: Option<u8>) -> &mut Self {
        let bucket = BucketId(bucket);
        let epoch = self.coordinator.leases[&bucket].epoch;
        let failed = failed
            .iter()
            .map(|path| FailedEntry { path: path.as_bytes().to_vec(), why: "denied".to_owned() })
            .collect();
        let outcome = Outcome { end, moved: Amount::default(), failed, deleted: 0, code };
        self.hear(Event::Ended { lease: Lease { bucket, epoch }, outcome })
    }

    /// Goes to when it wants to be woken.
    fn wake(&mut self) -> &mut Self {
        self.now = self.coordinator.wake_at().expect("it waits").0;
        self.hear(Event::Tick)
    }

    /// Buckets that were given by the last event.
    fn given(&self) -> Vec<BucketId> {
        let given = self.said.iter().filter_map(|command| match command {
            Command::Give { lease, .. } => Some(lease.bucket),
            _ => None,
        });
        given.collect()
    }

    fn code(&self) -> Option<u8> {
        self.said.iter().find_map(|command| match command {
            Command::End(totals) => Some(totals.code),
            _ => None,
        })
    }
}

fn ids(ids: &[u32]) -> Vec<BucketId> {
    ids.iter().copied().map(BucketId).collect()
}

fn lost(was_up: bool) -> End {
    End::Lost { why: "it died".to_owned(), was_up }
}

#[test]
fn the_heaviest_go_first_and_deletion_is_last_and_alone() {
    let mut play = Play::new(SETTINGS, 2, &[1, 3, 2]);
    assert_eq!(play.given(), ids(&[1, 2]));
    assert_eq!(play.end(2, End::Done).given(), ids(&[0]));
    assert_eq!(play.end(1, End::Done).given(), []);
    assert_eq!(play.end(0, End::Vanished).given(), [BucketId::DELETE]);
    play.end(BucketId::DELETE.0, End::Done);
    assert!(play.said.contains(&Command::Record(Record::Over { code: 24 })), "{:?}", play.said);
    assert_eq!(play.code(), Some(24));
    assert_eq!(play.hear(Event::Tick).said, []);
}

#[test]
fn nothing_is_removed_where_something_failed_or_was_not_listed() {
    let settings = Settings { retries: 0, ..SETTINGS };
    let mut failed = Play::new(settings, 1, &[1]);
    failed.end_with(0, End::Partial { is_told: true }, &["a"], Some(23));
    let mut torn = Play::new(settings, 0, &[1]);
    torn.hear(cut_end(false)).hear(Event::StationUp { station: StationId(1), slots: 1 });
    torn.end(0, End::Done);
    for mut play in [failed, torn] {
        assert_eq!(play.given(), [BucketId::DIRECTORIES]);
        play.end(BucketId::DIRECTORIES.0, End::Done);
        assert!(play.said.contains(&Command::Tell(Told::DeletionsKept)), "{:?}", play.said);
        assert_eq!(play.code(), Some(23));
    }
    let always = Settings { deleting: Deleting::Always, ..settings };
    let mut play = Play::new(always, 1, &[1]);
    play.end_with(0, End::Partial { is_told: true }, &["a"], Some(23));
    assert_eq!(play.given(), [BucketId::DELETE]);
    let no = Settings { deleting: Deleting::No, directories: false, ..SETTINGS };
    assert_eq!(Play::new(no, 1, &[1]).end(0, End::Done).code(), Some(0));
}

#[test]
fn a_mover_that_dies_is_tried_again_until_the_bucket_is_parted_line_by_line() {
    let mut play = Play::new(SETTINGS, 1, &[1]);
    for wait in [1000, 2000] {
        assert_eq!(play.end(0, lost(true)).given(), []);
        assert_eq!(play.coordinator.wake_at(), Some(Millis(play.now + wait)));
        assert_eq!(play.wake().given(), ids(&[0]));
    }
    play.end_with(0, lost(true), &[], Some(139));
    let asked =
        play.said.iter().any(|it| matches!(it, Command::Part { by: Parting::Into(16), .. }));
    assert!(asked, "{:?}", play.said);
    let into = vec![part(0); 2];
    assert_eq!(play.hear(Event::Parted { bucket: BucketId(0), into }).given(), ids(&[1]));
    assert_eq!(play.end(1, End::Done).given(), ids(&[2]));
    assert_eq!(play.end(2, lost(true)).wake().given(), ids(&[2]));
    play.end_with(2, lost(true), &[], Some(139));
    let bucket = BucketId(2);
    assert_eq!(
        play.hear(Event::Parted { bucket, into: Vec::new() }).given(),
        [BucketId::DIRECTORIES]
    );
    assert_eq!(play.end(BucketId::DIRECTORIES.0, End::Done).code(), Some(139));
}

#[test]
fn entries_that_failed_are_tried_again_alone() {
    let mut play = Play::new(SETTINGS, 1, &[9]);
    play.end_with(0, End::Partial { is_told: true }, &["a"], Some(23));
    let asked = |it: &Command| matches!(it, Command::Part { by: Parting::Failed(failed), .. } if failed.len() == 1);
    assert!(play.said.iter().any(asked), "{:?}", play.said);
    let alone = Part { amount: Amount { entries: 1, bytes: 2 }, ..part(2) };
    play.hear(Event::Parted { bucket: BucketId(0), into: vec![alone] });
    assert_eq!(play.coordinator.wake_at(), Some(Millis(2000)));
    assert_eq!(play.coordinator.reading().done, Amount { entries: 3, bytes: 7 });
    assert_eq!(play.wake().given(), ids(&[1]));
    assert_eq!(play.end(1, End::Done).given(), [BucketId::DELETE]);
    assert_eq!(play.end(BucketId::DELETE.0, End::Done).code(), Some(0));
}

#[test]
fn when_nobody_gets_through_nothing_begins_for_a_while_and_in_the_end_no_more() {
    let mut play = Play::new(SETTINGS, 1, &[1, 1]);
    let mut gives = 0;
    while play.code().is_none() {
        match play.coordinator.leases.first_key_value().map(|(id, _)| id.0) {
            Some(bucket) => {
                gives += 1;
                play.end_with(bucket, lost(false), &[], Some(12));
            }
            None => {
                play.wake();
            }
        }
    }
    assert_eq!(play.code(), Some(12));
    assert!((600_000..640_000).contains(&play.now) && gives < 40, "{gives} by {}", play.now);
}

#[test]
fn without_room_one_finds_out_when_the_others_have_ended() {
    let full = || End::Full("no space".to_owned());
    let mut play = Play::new(SETTINGS, 2, &[3, 2, 1]);
    assert_eq!(play.end(0, full()).given(), []);
    assert_eq!(play.end(1, full()).given(), ids(&[0]));
    assert_eq!(play.end(0, End::Done).given(), ids(&[1, 2]));
    assert_eq!(play.end(1, full()).given(), []);
    assert_eq!(play.end(2, End::Done).given(), ids(&[1]));
    assert_eq!(play.end(1, full()).code(), Some(11));
}

#[test]
fn who_takes_no_more_is_given_no_more() {
    let mut play = Play::new(SETTINGS, 3, &[4, 3, 2, 1]);
    assert_eq!(play.given(), ids(&[0, 1, 2]));
    assert_eq!(play.end(2, End::Busy("max connections".to_owned())).given(), []);
    assert_eq!(play.end(1, End::Done).given(), ids(&[3]));
    play.now = 59_999;
    assert_eq!(play.hear(Event::Tick).given(), []);
    assert_eq!(play.wake().given(), ids(&[2]));
}

#[test]
fn what_no_bucket_can_change_ends_the_run() {
    let unfit = Unfit { code: 4, sentence: "the mover is too old".to_owned() };
    let mut play = Play::new(SETTINGS, 2, &[3, 2, 1]);
    play.end(0, End::Hopeless(unfit));
    let takes = play.said.iter().filter(|it| matches!(it, Command::Take { .. })).count();
    assert_eq!((takes, play.given(), play.code()), (1, vec![], None));
    assert_eq!(play.end(1, End::Stopped).code(), Some(4));
}

#[test]
fn a_stop_takes_all_back_and_keeps_what_was_done() {
    let mut play = Play::new(SETTINGS, 2, &[3, 2, 1]);
    play.hear(Event::Stop(StopWhy::Signal));
    play.end(0, End::Done);
    let over = Record::Ended { bucket: BucketId(0), end: Over::Done };
    assert!(play.said.contains(&Command::Record(over)), "{:?}", play.said);
    assert_eq!(play.coordinator.wake_at(), None);
    assert_eq!(play.end(1, lost(true)).code(), Some(20));

    let mut play = Play::new(SETTINGS, 1, &[3]);
    play.hear(Event::JournalFull).end(0, End::Done);
    let has_record = play.said.iter().any(|it| matches!(it, Command::Record(_)));
    assert_eq!((has_record, play.code()), (false, Some(11)));
}

#[test]
fn a_lost_station_is_not_believed_and_what_it_had_goes_first() {
    let mut play = Play::new(SETTINGS, 1, &[1, 9]);
    let old = Lease { bucket: BucketId(1), epoch: play.coordinator.leases[&BucketId(1)].epoch };
    play.hear(Event::StationLost(HERE));
    play.hear(Event::StationUp { station: StationId(1), slots: 1 });
    assert_eq!(play.given(), ids(&[1]));
    let outcome = Outcome {
        end: End::Done,
        moved: Amount::default(),
        failed: Vec::new(),
        deleted: 0,
        code: Some(0),
    };
    play.hear(Event::Ended { lease: old, outcome });
    assert_eq!(play.said, [Command::Tell(Told::Zombie(old))]);
    play.end(1, End::Done);
    assert_eq!(play.end(0, End::Done).given(), []);
    assert_eq!((play.wake().given(), play.now), (vec![BucketId::DELETE], 20_000));
}

#[test]
fn a_deletion_that_may_be_done_once_is_lost_once() {
    let settings = Settings { deletes_once: true, ..SETTINGS };
    let mut play = Play::new(settings, 1, &[]);
    assert_eq!(play.given(), [BucketId::DELETE]);
    assert_eq!(play.end(BucketId::DELETE.0, lost(false)).wake().given(), [BucketId::DELETE]);
    assert_eq!(play.end(BucketId::DELETE.0, lost(true)).code(), Some(23));
}

#[test]
fn progress_is_counted_up_to_the_bucket() {
    let mut play = Play::new(SETTINGS, 1, &[5, 2]);
    let lease = Lease { bucket: BucketId(0), epoch: play.coordinator.leases[&BucketId(0)].epoch };
    play.hear(Event::Up(lease));
    play.hear(Event::Beat(vec![(lease, Amount { entries: 1, bytes: 70 })]));
    let Reading { listed, done, running, waiting, .. } = play.coordinator.reading();
    assert_eq!((listed, done), (Amount { entries: 8, bytes: 7 }, Amount { entries: 1, bytes: 5 }));
    assert_eq!((running, waiting), (1, 1));
}
