//! How a try ended, of the exit code of rsync and what it has said.

use crate::mover::{End, Unfit};
use crate::process::Ending;

/// What was heard while it ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// It has said something on standard output.
    pub(super) is_up: bool,
    /// There is no room left.
    pub(super) is_full: bool,
    /// A daemon takes no more.
    pub(super) is_busy: bool,
    /// Some entry was gone.
    pub(super) is_gone: bool,
    /// Entries failed.
    pub(super) failed: u64,
    /// Which entries failed is known of all.
    pub(super) is_told: bool,
    /// What tells most of why.
    pub(super) why: String,
}

/// Codes after which every other bucket would end the same: a mistake in words or in an end, what the other
/// side cannot do, a log that cannot be written, a program that is not there.
const HOPELESS: [u8; 8] = [1, 2, 3, 4, 5, 6, 126, 127];

/// How a try ended.
pub(super) fn end(ending: Ending, heard: Heard) -> End {
    let Heard { is_up, is_full, is_busy, is_gone, failed, is_told, why } = heard;
    let told = |what: &str| if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") };
    let code = match ending {
        Ending::Code(code) => code,
        Ending::Stopped => return End::Stopped,
        Ending::Signal(signal) => {
            return End::Lost {
                why: told(&format!("rsync was ended by signal {signal}")),
                was_up: is_up,
            };
        }
        Ending::Asked => {
            let sentence =
                "rsync wants to ask something at the terminal, which many at once cannot do: let \
                            the login need no answer, by a key and a known host"
                    .to_owned();
            return End::Hopeless(Unfit { code: 255, sentence });
        }
    };
    let why = told(&format!("rsync ended with code {code}"));
    match code {
        0 => End::Done,
        _ if is_full => End::Full(why),
        _ if is_busy => End::Busy(why),
        24 => End::Vanished,
        23 if failed == 0 && is_gone && is_told => End::Vanished,
        23 | 25 => End::Partial { is_told },
        // Without a word of an entry it is the destination itself that cannot be had.
        11 if !is_up => End::Hopeless(Unfit { code, sentence: why }),
        code if HOPELESS.contains(&code) => End::Hopeless(Unfit { code, sentence: why }),
        _ => End::Lost { why, was_up: is_up },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> Heard {
        Heard { is_up: true, is_told: true, why: "so".to_owned(), ..Heard::default() }
    }

    fn hopeless(code: u8) -> End {
        End::Hopeless(Unfit { code, sentence: format!("rsync ended with code {code}: so") })
    }

    fn lost(code: u8, was_up: bool) -> End {
        End::Lost { why: format!("rsync ended with code {code}: so"), was_up }
    }

    #[test]
    fn a_code_means_what_was_said_with_it() {
        let not_up = Heard { is_up: false, ..heard() };
        let full = Heard { is_full: true, ..heard() };
        let said = "rsync ended with code 11: so".to_owned();
        for (code, heard, expected) in [
            (0, heard(), End::Done),
            (0, full.clone(), End::Done),
            (23, heard(), End::Partial { is_told: true }),
            (23, Heard { is_gone: true, ..heard() }, End::Vanished),
            (23, Heard { is_gone: true, failed: 1, ..heard() }, End::Partial { is_told: true }),
            (
                23,
                Heard { is_gone: true, is_told: false, ..heard() },
                End::Partial { is_told: false },
            ),
            (24, heard(), End::Vanished),
            (25, heard(), End::Partial { is_told: true }),
            (11, full, End::Full(said)),
            (11, heard(), lost(11, true)),
            (11, not_up.clone(), hopeless(11)),
            (5, heard(), hopeless(5)),
            (
                5,
                Heard { is_busy: true, ..heard() },
                End::Busy("rsync ended with code 5: so".to_owned()),
            ),
            (1, not_up.clone(), hopeless(1)),
            (127, not_up.clone(), hopeless(127)),
            (12, heard(), lost(12, true)),
            (20, heard(), lost(20, true)),
            (30, heard(), lost(30, true)),
            (255, not_up, lost(255, false)),
            (99, heard(), lost(99, true)),
        ] {
            assert_eq!(end(Ending::Code(code), heard), expected, "{code}");
        }
    }

    #[test]
    fn who_is_ended_has_no_code() {
        assert_eq!(end(Ending::Stopped, heard()), End::Stopped);
        let why = "rsync was ended by signal 9: so".to_owned();
        assert_eq!(end(Ending::Signal(9), heard()), End::Lost { why, was_up: true });
        assert!(matches!(end(Ending::Asked, heard()), End::Hopeless(Unfit { code: 255, .. })));
    }
}
