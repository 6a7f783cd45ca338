//! `--stop-at`: a point in time, of which any leading part may be left out.
//!
//! What is left out is chosen so that the next such point is meant: `14:00` is the next two
//! o'clock, `31` the next month's end that is a 31st, `:30` the next half hour.

use jiff::civil::Date;
use jiff::{ToSpan, Zoned};

/// Leap days come after eight years at the latest, so a date that exists is met by then.
const YEARS_TO_TRY: i16 = 8;

/// Why a time is turned down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotATime {
    Malformed,
    Past,
}

/// The point in time that `text` means after `now`.
pub(super) fn parse(text: &str, now: &Zoned) -> Result<Zoned, NotATime> {
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, "")) if !date.is_empty() => (date, ""),
        Some((_, "")) => return Err(NotATime::Malformed),
        Some(parts) => parts,
        None if text.is_empty() => return Err(NotATime::Malformed),
        None if text.contains(':') => ("", text),
        None => (text, ""),
    };
    if let Some(minute) = text.strip_prefix(':') {
        return every_hour(number(minute)?, now);
    }
    let time = clock(time)?;
    let date = if date.is_empty() { Vec::new() } else { numbers(date)? };
    match date[..] {
        [year, month, day] => this_date(year, month, day, time, now),
        [month, day] => this_day_of_a_year(month, day, time, now),
        [day] => this_day_of_a_month(day, time, now),
        [] => at_this_time(time, now),
        _ => Err(NotATime::Malformed),
    }
}

/// Hour and minute.
type Clock = (i8, i8);

fn clock(text: &str) -> Result<Clock, NotATime> {
    if text.is_empty() {
        return Ok((0, 0));
    }
    let (hour, minute) = text.split_once(':').ok_or(NotATime::Malformed)?;
    match (number(hour)?, number(minute)?) {
        (hour @ 0..=23, minute @ 0..=59) => Ok((small(hour)?, small(minute)?)),
        _ => Err(NotATime::Malformed),
    }
}

fn numbers(text: &str) -> Result<Vec<i16>, NotATime> {
    text.split(['-', '/']).map(number).collect()
}

fn number(text: &str) -> Result<i16, NotATime> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().ok_or(NotATime::Malformed)
}

fn small(number: i16) -> Result<i8, NotATime> {
    i8::try_from(number).map_err(|_| NotATime::Malformed)
}

fn every_hour(minute: i16, now: &Zoned) -> Result<Zoned, NotATime> {
    if !(0..60).contains(&minute) {
        return Err(NotATime::Malformed);
    }
    let this_hour = at(now.date(), (now.hour(), small(minute)?), now)?;
    let next = || this_hour.checked_add(1.hour()).map_err(|_| NotATime::Malformed);
    if this_hour > *now { Ok(this_hour) } else { next() }
}

/// A whole date. A day behind the month's end runs on into the next month, as mktime(3) has it.
fn this_date(year: i16, month: i16, day: i16, time: Clock, now: &Zoned) -> Result<Zoned, NotATime> {
    let year = match year {
        0..100 => now.year() + (year - now.year()).rem_euclid(100),
        year => year,
    };
    if !(1..=31).contains(&day) {
        return Err(NotATime::Malformed);
    }
    let date = date(year, month, 1).ok_or(NotATime::Malformed)?;
    let date = date.checked_add((i32::from(day) - 1).days()).map_err(|_| NotATime::Malformed)?;
    let point = at(date, time, now)?;
    if point > *now { Ok(point) } else { Err(NotATime::Past) }
}

fn this_day_of_a_year(month: i16, day: i16, time: Clock, now: &Zoned) -> Result<Zoned, NotATime> {
    let years = now.year()..=now.year() + YEARS_TO_TRY;
    first_after(now, time, years.map(|year| date(year, month, day)))
}

fn this_day_of_a_month(day: i16, time: Clock, now: &Zoned) -> Result<Zoned, NotATime> {
    let months = (0..=12).map(|ahead: i16| {
        let month = i16::from(now.month()) - 1 + ahead;
        date(now.year() + month / 12, month % 12 + 1, day)
    });
    first_after(now, time, months)
}

fn at_this_time(time: Clock, now: &Zoned) -> Result<Zoned, NotATime> {
    let tomorrow = now.date().tomorrow().ok();
    first_after(now, time, [Some(now.date()), tomorrow].into_iter())
}

fn first_after(
    now: &Zoned,
    time: Clock,
    dates: impl Iterator<Item = Option<Date>>,
) -> Result<Zoned, NotATime> {
    dates
        .flatten()
        .filter_map(|date| at(date, time, now).ok())
        .find(|point| point > now)
        .ok_or(NotATime::Malformed)
}

fn date(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn at(date: Date, (hour, minute): Clock, now: &Zoned) -> Result<Zoned, NotATime> {
    let point = date.at(hour, minute, 0, 0);
    point.to_zoned(now.time_zone().clone()).map_err(|_| NotATime::Malformed)
}

#[cfg(test)]
mod tests {
    use super::{NotATime, parse};

    fn check(text: &str, expected: Result<&str, NotATime>) {
        let now = "2026-11-22T06:23:53[UTC]".parse().unwrap();
        let got = parse(text, &now).map(|point| point.strftime("%Y-%m-%dT%H:%M").to_string());
        assert_eq!(got, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn takes_the_next_point_that_fits() {
        check("2030-12-31T23:59", Ok("2030-12-31T23:59"));
        check("2027/1/1", Ok("2027-01-01T00:00"));
        check("27-1-1", Ok("2027-01-01T00:00"));
        check("25-1-1", Ok("2125-01-01T00:00"));
        check("2027-01-01T", Ok("2027-01-01T00:00"));
        check("2027-02-30", Ok("2027-03-02T00:00"));
        check("1-30", Ok("2027-01-30T00:00"));
        check("12-31T23:59", Ok("2026-12-31T23:59"));
        check("2-29", Ok("2028-02-29T00:00"));
        check("1", Ok("2026-12-01T00:00"));
        check("31", Ok("2026-12-31T00:00"));
        check("22T07:00", Ok("2026-11-22T07:00"));
        check("1T5:30", Ok("2026-12-01T05:30"));
        check("14:00", Ok("2026-11-22T14:00"));
        check("T14:00", Ok("2026-11-22T14:00"));
        check("5:5", Ok("2026-11-23T05:05"));
        check(":59", Ok("2026-11-22T06:59"));
        check(":0", Ok("2026-11-22T07:00"));
    }

    #[test]
    fn refuses_the_past_and_what_is_no_time() {
        check("2020-01-01", Err(NotATime::Past));
        check("26-1-1", Err(NotATime::Past));
        check("100-1-1", Err(NotATime::Past));
        for bad in [
            "",
            "x",
            "0",
            "32",
            "02-30",
            "13-1",
            "2027-06",
            "2027-13-01",
            ":60",
            "24:00",
            "123:4",
            "2027-01-01 00:00",
            "2027-01-01T00:00:00",
            "-",
            ":",
            "T",
            "1-",
            "-1",
            "1:1:",
            "5:",
            "T5",
            "T:",
            ":5T",
            "1T:5",
            "2027-1-1-1",
        ] {
            check(bad, Err(NotATime::Malformed));
        }
    }
}
