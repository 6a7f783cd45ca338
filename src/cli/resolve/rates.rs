//! How fast content may go: `--bwlimit`, as one rate, as a timetable, or as a file that has one of these and
//! is read again while the job runs.

use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::size;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// `--bwlimit` counts in units of this many bytes, as with rsync.
const RATE_UNIT_BYTES: u64 = 1024;

/// What `--bwlimit` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bwlimit {
    /// How fast it may go when the job begins, and later.
    pub(crate) rates: Rates,
    /// Where that may change.
    pub(crate) file: Option<PathBuf>,
}

impl Bwlimit {
    pub(super) fn read(flag: &RawFlag, surroundings: &dyn Surroundings) -> Result<Self, Refusal> {
        Self::parse(&flag.value, surroundings).map_err(|why| flag.refuse(&why))
    }

    /// What stands behind `--bwlimit=`, or what is wrong with it.
    pub(crate) fn parse(value: &OsStr, surroundings: &dyn Surroundings) -> Result<Self, String> {
        let Some(name) = value.as_bytes().strip_prefix(b"@") else {
            let rates = Rates::parse(value.to_str().ok_or("is not text")?)?;
            return Ok(Self { rates, file: None });
        };
        let name = Path::new(OsStr::from_bytes(name));
        let text = surroundings.read_file(name).map_err(|error| error.to_string())?;
        let rates = Rates::of_file(&text).map_err(|why| format!("holds what {why}"))?;
        Ok(Self { rates, file: Some(name.to_owned()) })
    }

    /// True where nothing is ever limited.
    pub(crate) fn is_none(&self) -> bool {
        self.file.is_none() && self.rates.slots.iter().all(|slot| slot.bytes_per_sec.is_none())
    }

    /// True where one rate holds to the end.
    pub(crate) fn is_fixed(&self) -> bool {
        let mut pairs = self.rates.slots.windows(2);
        self.file.is_none() && pairs.all(|pair| pair[0].bytes_per_sec == pair[1].bytes_per_sec)
    }
}

/// Rates by the time of day, in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    slots: Vec<Slot>,
}

/// A rate, and the time of day from which on it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// Seconds since midnight.
    from_secs: u32,
    /// Bytes a second; `None` for as fast as it goes.
    bytes_per_sec: Option<NonZeroU64>,
}

impl Rates {
    /// What a file says, that may end with a line break.
    pub(crate) fn of_file(text: &[u8]) -> Result<Self, &'static str> {
        let text = str::from_utf8(text).map_err(|_| "is no text")?;
        Self::parse(text.trim_ascii())
    }

    /// A rate, or a timetable: `08:00,50M 19:00,off`.
    fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.contains(',') {
            return Ok(Self { slots: vec![Slot { from_secs: 0, bytes_per_sec: rate(text)? }] });
        }
        let mut slots = text.split_ascii_whitespace().map(slot).collect::<Result<Vec<_>, _>>()?;
        slots.sort_by_key(|slot| slot.from_secs);
        if slots.windows(2).any(|pair| pair[0].from_secs == pair[1].from_secs) {
            return Err("has two rates for one time");
        }
        Ok(Self { slots })
    }

    /// The rate at a time of day. The last of a day holds until the first of the next.
    pub(crate) fn at(&self, time_of_day_secs: u32) -> Option<NonZeroU64> {
        let past = self.slots.iter().rev().find(|slot| slot.from_secs <= time_of_day_secs);
        past.or(self.slots.last())?.bytes_per_sec
    }
}

fn slot(text: &str) -> Result<Slot, &'static str> {
    const NO_TIME: &str = "has a time that is none: a timetable is 08:00,50M 19:00,off";
    let (time, rate) = text.split_once(',').ok_or(NO_TIME)?;
    if rate.is_empty() {
        return Err("is not a rate for each time");
    }
    let from_secs = time_of_day(time).ok_or(NO_TIME)?;
    let bytes_per_sec = if rate == "off" { None } else { self::rate(rate)? };
    Ok(Slot { from_secs, bytes_per_sec })
}

/// `08:00`, in seconds since midnight.
fn time_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: u32| {
        let is_number = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| is_number && *number < below)
    };
    Some(number(hour, 24)? * 3600 + number(minute, 60)? * 60)
}

/// Bytes a second, rounded to the unit; 0 is no limit.
fn rate(text: &str) -> Result<Option<NonZeroU64>, &'static str> {
    let half = RATE_UNIT_BYTES / 2;
    match size::parse(text, b'K') {
        Some(rate) if (1..half).contains(&rate) => Err("is less than 512 bytes a second"),
        Some(rate) => Ok(NonZeroU64::new((rate + half) / RATE_UNIT_BYTES * RATE_UNIT_BYTES)),
        None => Err("is not a rate such as 500 (KiB a second), 1.5m or 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: [Option<u64>; 4]) {
        let rates = Rates::parse(text).unwrap();
        let at = |hour: u32| rates.at(hour * 3600).map(NonZeroU64::get);
        assert_eq!([at(0), at(8), at(18), at(23)], expected, "{text}");
    }

    #[test]
    fn a_rate_holds_from_its_time_to_the_next_and_over_midnight() {
        let day = Some(50 << 20);
        check("08:00,50M 19:00,off", [None, day, day, None]);
        check("19:00,0 8:00,50M", [None, day, day, None]);
        check("00:00,1 18:00,50M", [Some(1024), Some(1024), day, day]);
        check("12:30,50M", [day; 4]);
        check("50M", [day; 4]);
        let rates = Rates::parse("08:30,50M 19:00,off").unwrap();
        assert_eq!(rates.at(8 * 3600 + 1799), None);
        assert_eq!(rates.at(8 * 3600 + 1800).map(NonZeroU64::get), day);
    }

    #[test]
    fn what_is_no_timetable_is_refused() {
        for (text, why) in [
            ("08:00,x", "is not a rate"),
            ("08:00,", "is not a rate"),
            ("08:00,1b", "less than 512"),
            ("24:00,1", "a time that is none"),
            ("8,1 9:00,2", "a time that is none"),
            ("1m,2m", "a time that is none"),
            ("08:00,1 off", "a time that is none"),
            ("08:00,1 8:00,2", "two rates for one time"),
        ] {
            let refused = Rates::parse(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        assert!(Rates::of_file(b"100\n").is_ok() && Rates::of_file(b"\xff").is_err());
    }

    #[test]
    fn it_is_known_whether_anything_is_limited_and_whether_that_changes() {
        let facts = |text: &str| {
            let limit = Bwlimit { rates: Rates::parse(text).unwrap(), file: None };
            (limit.is_none(), limit.is_fixed())
        };
        assert_eq!(facts("0"), (true, true));
        assert_eq!(facts("08:00,0 19:00,off"), (true, true));
        assert_eq!(facts("5"), (false, true));
        assert_eq!(facts("08:00,5 19:00,off"), (false, false));
        let file = Some(PathBuf::from("rate"));
        let limit = Bwlimit { rates: Rates::default(), file };
        assert!(!limit.is_none() && !limit.is_fixed());
    }
}
