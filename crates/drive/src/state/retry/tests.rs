//! The table, row by row.

use fleet::amount::Amount;

use super::*;
use crate::mover::{FailedEntry, Unfit};

fn outcome(end: End, failed: usize) -> Outcome {
    let failed = (0..failed)
        .map(|index| FailedEntry { path: vec![b'a'; index + 1], why: "denied".to_owned() })
        .collect();
    Outcome { end, moved: Amount::default(), failed, deleted: 0, code: None }
}

fn lost(was_up: bool) -> End {
    End::Lost { why: "the pipe broke".to_owned(), was_up }
}

const FIRST: Tries = Tries { before: 0, retries: 5, is_apart: false };

fn check(end: End, failed: usize, tries: Tries, expected: Then) {
    let outcome = outcome(end, failed);
    assert_eq!(after(&outcome, tries), expected, "{outcome:?}, {tries:?}");
}

#[test]
fn an_end_has_its_row() {
    let again = |wait| Then::Again { wait, counts: true };
    let unfit = || Unfit { code: 1, sentence: "no".to_owned() };
    check(End::Done, 0, FIRST, Then::Over(Over::Done));
    check(End::Vanished, 0, FIRST, Then::Over(Over::Vanished));
    check(End::Partial { is_told: true }, 2, FIRST, Then::PartFailed);
    check(End::Partial { is_told: true }, 0, FIRST, again(2000));
    check(End::Partial { is_told: false }, 2, FIRST, again(2000));
    check(lost(true), 0, FIRST, again(1000));
    check(lost(false), 0, FIRST, Then::Unreached);
    check(End::Busy(String::new()), 0, FIRST, Then::Busy);
    check(End::Full(String::new()), 0, FIRST, Then::Full);
    check(End::Hopeless(unfit()), 0, FIRST, Then::Hopeless);
    check(End::Stopped, 0, FIRST, Then::Again { wait: 1000, counts: false });
}

#[test]
fn waits_double_up_to_a_minute() {
    for (before, wait) in [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (60, 60), (u16::MAX - 1, 60)] {
        let tries = Tries { before, retries: u16::MAX, is_apart: false };
        let expected = if before == u16::MAX - 1 {
            Then::PartInto
        } else {
            Then::Again { wait: wait * 1000, counts: true }
        };
        check(lost(true), 0, tries, expected);
    }
}

#[test]
fn the_last_try_finds_out_which_line_it_is_unless_that_is_told() {
    for (before, retries, is_apart) in [(5, 5, false), (1, 1, false), (1, 5, true)] {
        let tries = Tries { before, retries, is_apart };
        check(lost(true), 0, tries, Then::PartInto);
        check(End::Partial { is_told: false }, 0, tries, Then::PartInto);
        check(End::Partial { is_told: true }, 1, tries, Then::Fail);
        check(End::Done, 0, tries, Then::Over(Over::Done));
        let tries = Tries { before: before - 1, ..tries };
        check(End::Partial { is_told: true }, 1, tries, Then::PartFailed);
    }
}

#[test]
fn who_wants_no_retries_gets_none() {
    let tries = Tries { before: 0, retries: 0, is_apart: false };
    check(lost(true), 0, tries, Then::Fail);
    check(End::Partial { is_told: false }, 0, tries, Then::Fail);
    check(End::Partial { is_told: true }, 1, tries, Then::Fail);
}

#[test]
fn a_try_has_the_code_of_its_mover_or_one_that_says_the_same() {
    for (end, code_of_it) in [
        (End::Done, 0),
        (End::Vanished, 24),
        (End::Partial { is_told: true }, 23),
        (lost(true), 23),
        (End::Full(String::new()), 11),
        (End::Hopeless(Unfit { code: 4, sentence: String::new() }), 4),
    ] {
        let outcome = outcome(end, 0);
        assert_eq!(code(&outcome), code_of_it, "{outcome:?}");
        assert_eq!(code(&Outcome { code: Some(137), ..outcome }), 137);
    }
}
