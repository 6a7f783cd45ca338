//! What `progress` promises, held to it.

use std::time::Duration;

use model::Gauges;
use proptest::prelude::*;

use super::{Percent, Rate, Reading, Scan, Tail, TimeLeft, TimeLeftEstimate, hms, rsync_line};
use crate::settings::HumanReadable;

fn finished(transferred: u64) -> Tail {
    let reading =
        Reading { listed_entries: 6, done_entries: 3, list: Scan::Finished, ..Reading::default() };
    Tail::finished(transferred, &reading)
}

#[test]
fn lines_have_the_shape_of_rsync() {
    let second = Some(Duration::from_secs(1));
    let check = |line: String, expected: &str| assert_eq!(line, expected);
    check(
        rsync_line(3, 0, 0.0, Some(Duration::ZERO), Tail::Moving, HumanReadable::Grouped),
        "\r              3   0%    0.00kB/s    0:00:00  ",
    );
    check(
        rsync_line(3, 0, 0.0, Some(Duration::ZERO), finished(1), HumanReadable::Grouped),
        "\r              3   0%    0.00kB/s    0:00:00 (xfr#1, to-chk=3/6)",
    );
    check(
        rsync_line(40_000, 100, 4e7, second, finished(2), HumanReadable::Grouped),
        "\r         40,000 100%   38.15MB/s    0:00:01 (xfr#2, to-chk=3/6)",
    );
    check(
        rsync_line(314_572_800, 100, 185_346_293.0, second, finished(1), HumanReadable::Units1000),
        "\r        314.57M 100%  176.76MB/s    0:00:01 (xfr#1, to-chk=3/6)",
    );
    check(
        rsync_line(1, 1, 3e9, None, Tail::Moving, HumanReadable::Digits),
        "\r              1   1%    2.79GB/s   ??:??:??  ",
    );
}

#[test]
fn while_directories_are_listed_the_list_is_incomplete() {
    let reading = Reading { listed_entries: 9, ..Reading::default() };
    let tail = Tail::finished(1, &reading);
    let line = rsync_line(1, 0, 0.0, Some(Duration::ZERO), tail, HumanReadable::Grouped);
    assert!(line.ends_with(" (xfr#1, ir-chk=9/9)"), "{line}");
}

#[test]
fn a_percentage_is_shown_only_of_a_known_total() {
    let mut percent = Percent::default();
    assert_eq!(percent.update(Scan::Running, 9, 10), 0);
    assert_eq!(percent.update(Scan::Finished, 9, 100), 9);
    assert_eq!(percent.update(Scan::Finished, 200, 100), 100);
    assert_eq!(Percent::default().update(Scan::Finished, 0, 0), 100);
}

#[test]
fn time_left_that_grows_becomes_a_lower_bound() {
    let mut estimate = TimeLeftEstimate::default();
    let reading = |done_bytes| Reading {
        listed_bytes: 1000,
        done_bytes,
        scan: Scan::Finished,
        ..Reading::default()
    };
    let seconds = Duration::from_secs;
    assert_eq!(estimate.update(seconds(1), &reading(500)), None);
    assert_eq!(estimate.update(seconds(5), &reading(9)), None, "too little to tell from");
    assert_eq!(estimate.update(seconds(5), &reading(500)), Some(TimeLeft::About(seconds(5))));
    assert_eq!(estimate.update(seconds(8), &reading(500)), Some(TimeLeft::MoreThan(seconds(5))));
    assert_eq!(estimate.update(seconds(9), &reading(900)), Some(TimeLeft::About(seconds(1))));
}

#[test]
fn the_rate_follows_the_last_seconds() {
    let mut rate = Rate::default();
    let close_to = |got: f64, expected: f64| assert!((got - expected).abs() < 1.0, "{got}");
    close_to(rate.update(Duration::ZERO, 0), 0.0);
    close_to(rate.update(Duration::from_secs(1), 1000), 1000.0);
    for second in 2..20 {
        rate.update(Duration::from_secs(second), 1000);
    }
    close_to(rate.update(Duration::from_secs(20), 1000), 0.0);
}

#[test]
fn times_are_hours_minutes_seconds() {
    assert_eq!(hms(Duration::from_millis(59_999)), "0:00:59");
    assert_eq!(hms(Duration::from_secs(360_000)), "100:00:00");
}

#[test]
fn a_reading_knows_whether_the_scan_is_over() {
    let gauges = Gauges::default();
    Gauges::add(&gauges.listed_entries, 7);
    assert_eq!(Reading::of(&gauges).scan, Scan::Running);
    gauges.finish_scan(Duration::ZERO);
    let reading = Reading::of(&gauges);
    assert_eq!((reading.scan, reading.listed_entries), (Scan::Finished, 7));
}

fn any_reading() -> impl Strategy<Value = Reading> {
    (any::<[u64; 4]>(), any::<bool>()).prop_map(|(numbers, is_finished)| Reading {
        listed_entries: numbers[0],
        listed_bytes: numbers[1],
        done_entries: numbers[2],
        done_bytes: numbers[3],
        scan: if is_finished { Scan::Finished } else { Scan::Running },
        ..Reading::default()
    })
}

proptest! {
    #[test]
    fn the_percentage_never_falls(readings in prop::collection::vec(any_reading(), 0..50)) {
        let mut percent = Percent::default();
        let mut last = 0;
        for reading in readings {
            let (done, all) = reading.work();
            let now = percent.update(reading.scan, done, all);
            prop_assert!(last <= now && now <= 100);
            last = now;
        }
    }

    #[test]
    fn the_time_left_never_grows(readings in prop::collection::vec(any_reading(), 0..50)) {
        let mut estimate = TimeLeftEstimate::default();
        let mut last = Duration::MAX;
        for (second, reading) in readings.iter().enumerate() {
            match estimate.update(Duration::from_secs(second as u64), reading) {
                Some(TimeLeft::About(left) | TimeLeft::MoreThan(left)) => {
                    prop_assert!(left <= last);
                    last = left;
                }
                None => {}
            }
        }
    }
}
