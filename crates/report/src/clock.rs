//! The present and the local time zone, for lines that show a time.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use model::Timestamp;

/// Writes times as rsync does, in the local time zone (`TZ`).
pub(crate) struct Clock {
    zone: TimeZone,
}

/// What stands between the date and the time.
#[derive(Clone, Copy)]
pub(crate) enum Separator {
    /// `%M`.
    Dash,
    /// `%t`, `--list-only` and log files.
    Blank,
}

impl Clock {
    pub(crate) fn local() -> Self {
        Self { zone: TimeZone::system() }
    }

    #[cfg(test)]
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// `2024/01/02 03:04:05`; the bare number of seconds where no calendar reaches.
    pub(crate) fn format(&self, time: Timestamp, separator: Separator) -> String {
        let Ok(instant) = jiff::Timestamp::new(time.secs, 0) else {
            return time.secs.to_string();
        };
        let time = self.zone.to_datetime(instant);
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        let separator = match separator {
            Separator::Dash => '-',
            Separator::Blank => ' ',
        };
        format!("{year:04}/{month:02}/{day:02}{separator}{hour:02}:{minute:02}:{second:02}")
    }
}

/// This moment.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { secs, nanos: since.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::{Clock, Separator};

    #[test]
    fn any_time_can_be_written() {
        let check = |secs, expected: &str| {
            let time = Timestamp { secs, nanos: 999_999_999 };
            assert_eq!(Clock::utc().format(time, Separator::Blank), expected);
        };
        check(1_704_164_645, "2024/01/02 03:04:05");
        check(-1, "1969/12/31 23:59:59");
        check(i64::MAX, "9223372036854775807");
    }
}
