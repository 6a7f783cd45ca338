//! Runs in made-up time: whatever fails, dies, answers too late or is killed, what was promised is kept.

use std::cell::RefCell;
use std::rc::Rc;

use fleet::amount::Amount;
use proptest::prelude::*;

use crate::journal::record::{Over, Record};
use crate::state::{Command, Coordinator, Deleting, Fate, Settings};

mod world;

use world::{Line, Plan, World};

fn settings() -> impl Strategy<Value = Settings> {
    let deleting = prop::sample::select(vec![Deleting::No, Deleting::IfWhole, Deleting::Always]);
    (0_u16..4, 1_u32..9, any::<(bool, bool, u64)>(), deleting).prop_map(
        |(retries, starts, (directories, deletes_once, seed), deleting)| Settings {
            retries,
            starts,
            directories,
            deleting,
            deletes_once,
            seed,
        },
    )
}

fn window() -> impl Strategy<Value = std::ops::Range<u64>> {
    prop_oneof![
        2 => Just(0..0),
        1 => (0_u64..100_000, 0_u64..900_000).prop_map(|(begin, len)| begin..begin + len),
    ]
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let sizes = ((0_u32..60, 1_u32..60, 1_u32..5), (1_u32..4, 1_u32..6));
    let faults = (
        prop_oneof![Just(0_u64), 0_u64..400],
        prop_oneof![Just(0_u64), 0_u64..200],
        prop_oneof![Just(0_u64), 0_u64..60_000],
        prop::collection::vec(0_u64..100_000, 0..4),
    );
    let times = (window(), window(), prop::option::weighted(0.2, 0_u64..100_000));
    ((any::<u64>(), settings()), sizes, faults, times).prop_map(
        |((seed, settings), (cut, (stations, slots)), (failing, cold, bad, deaths), times)| {
            let (buckets, lines, cuts) = cut;
            let (full, away, stop) = times;
            Plan {
                seed,
                settings,
                buckets,
                lines,
                cuts,
                stations,
                slots,
                failing,
                cold,
                bad,
                deaths,
                full,
                away,
                stop,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_was_promised_is_kept(plan in any_plan()) {
        let coordinator = Coordinator::new(plan.settings, 1);
        let world = World::new(plan, coordinator);
        let _checked_by_it = world.run();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_run_that_was_killed_goes_on_from_any_record(plan in any_plan()) {
        let plan = Plan { buckets: plan.buckets.min(20), lines: plan.lines.min(20), ..plan };
        let told: Rc<RefCell<Vec<Recorded>>> = Rc::default();
        let mut world = World::new(plan.clone(), Coordinator::new(plan.settings, 1));
        let into = told.clone();
        world.hear = Some(Box::new(move |coordinator, commands| {
            let mut told = into.borrow_mut();
            let before = told.len();
            told.extend(commands.iter().filter_map(|command| match command {
                Command::Record(record) => Some((record.clone(), None)),
                _ => None,
            }));
            if told.len() > before
                && let Some((_, over)) = told.last_mut()
            {
                *over = Some(over_in(coordinator));
            }
        }));
        let (_, lines) = world.run();
        let told = told.take();
        let records: Vec<Record> = told.iter().map(|(record, _)| record.clone()).collect();
        let calm = Plan { cold: 0, deaths: vec![], full: 0..0, away: 0..0, stop: None, ..plan };
        for (index, (_, over)) in told.iter().enumerate() {
            let records = &records[..=index];
            let mut again = Coordinator::new(calm.settings, 2);
            for record in records {
                again.restore(record);
            }
            if let Some(over) = over {
                prop_assert_eq!(&over_in(&again), over);
            }
            if records.iter().any(|record| matches!(record, Record::CutEnded(_))) {
                let listed = again.reading().listed;
                let fates = again.fates();
                let mut world = World::new(calm.clone(), again);
                world.lines = moved_by(records, lines.len());
                world.promises.over = fates.iter().map(|(fate, _)| is_over(*fate)).collect();
                let (report, _) = world.run();
                prop_assert_eq!(report.totals.listed, listed);
            }
        }
    }
}

/// A record; and behind the last that was made at once, what is over and what is not.
type Recorded = (Record, Option<Vec<(bool, Amount)>>);

/// Whether a run that is resumed does not do it again.
fn is_over(fate: Fate) -> bool {
    match fate {
        Fate::Waiting | Fate::Leased | Fate::Parting | Fate::Failed => false,
        Fate::Over(Over::Done | Over::Vanished) | Fate::Parted => true,
    }
}

fn over_in(coordinator: &Coordinator) -> Vec<(bool, Amount)> {
    let fates = coordinator.fates().into_iter();
    fates.map(|(fate, amount)| (is_over(fate), amount)).collect()
}

/// The lines of which these records say that they were moved.
fn moved_by(records: &[Record], count: usize) -> Vec<Line> {
    let mut lines = vec![Line::Waiting; count];
    let mut buckets = Vec::new();
    for record in records {
        match record {
            Record::Cut(part) => buckets.push(part.at),
            Record::Ended { bucket, .. } => {
                lines[world::range(buckets[bucket.0 as usize])].fill(Line::Moved);
            }
            Record::Parted { bucket, into } => {
                lines[world::range(buckets[bucket.0 as usize])].fill(Line::Moved);
                for part in into {
                    lines[world::range(part.at)].fill(Line::Waiting);
                    buckets.push(part.at);
                }
            }
            _ => {}
        }
    }
    lines
}

#[test]
fn the_end_of_a_run_is_even() {
    let settings = Settings {
        retries: 5,
        starts: 8,
        directories: true,
        deleting: Deleting::IfWhole,
        deletes_once: false,
        seed: 1,
    };
    let plan = Plan {
        seed: 1,
        settings,
        buckets: 1000,
        lines: 100,
        cuts: 10,
        stations: 2,
        slots: 4,
        failing: 10,
        cold: 0,
        bad: 100,
        deaths: Vec::new(),
        full: 0..0,
        away: 0..0,
        stop: None,
    };
    let (report, lines) = World::new(plan, Coordinator::new(settings, 1)).run();
    let failed = lines.iter().filter(|line| **line == Line::Failed).count();
    assert_eq!((report.totals.code, failed > 0), (23, true));
    assert!(report.gives > 1000 && report.records > 2000, "{report:?}");
    assert!(report.end < report.busy / 8 * 11 / 10, "{report:?}");
}
