//! How much may be used.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use jiff::{Span, Zoned};
use model::Timestamp;
use model::settings::{Limits, WORKERS_MAX, Workers};

use super::size;
use super::stop_at::{self, NotATime};
use crate::cli::config::Config;
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;

/// `--bwlimit` counts in units of this many bytes, as with rsync.
const RATE_UNIT_BYTES: u64 = 1024;

/// What was typed about it so far.
#[derive(Debug)]
pub(super) struct Typed {
    now: Zoned,
    plain: Limits,
}

impl Typed {
    /// Begins with what the configuration file says.
    pub(super) fn new(config: &Config, now: Zoned) -> Self {
        let started = timestamp(&now);
        let plain = Limits { workers: config.workers, started, ..Limits::default() };
        Self { now, plain }
    }

    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        match flag.opt {
            Opt::Workers => {
                let workers = workers(flag.text()?);
                let refuse = || flag.refuse("is not a number above 0 nor auto");
                self.plain.workers = workers.ok_or_else(refuse)?;
            }
            Opt::Bwlimit if flag.is_on() => self.plain.bytes_per_sec = rate(flag)?,
            Opt::Bwlimit => self.plain.bytes_per_sec = None,
            Opt::StopAfter => self.plain.stop_at = Some(self.after_minutes(flag)?),
            Opt::StopAt => {
                let point = stop_at::parse(flag.text()?, &self.now).map_err(|why| match why {
                    NotATime::Malformed => flag.refuse("is not a time such as 2030-12-31T23:59"),
                    NotATime::Past => flag.refuse("is over already"),
                })?;
                self.plain.stop_at = Some(point.timestamp().into());
            }
            _ => {}
        }
        Ok(())
    }

    fn after_minutes(&self, flag: &RawFlag) -> Result<SystemTime, Refusal> {
        let minutes: Option<i64> = flag.text()?.parse().ok();
        let point = minutes
            .filter(|minutes| *minutes > 0)
            .and_then(|minutes| self.now.checked_add(Span::new().try_minutes(minutes).ok()?).ok());
        let refuse = || flag.refuse("is not a number of minutes above 0");
        point.map(|point| point.timestamp().into()).ok_or_else(refuse)
    }

    pub(super) fn settle(self) -> Limits {
        self.plain
    }
}

fn timestamp(point: &Zoned) -> Timestamp {
    let (secs, nanos) = (point.timestamp().as_second(), point.timestamp().subsec_nanosecond());
    // Before 1970 the two have the same sign; a clock that is set so is read as the second.
    Timestamp { secs, nanos: u32::try_from(nanos).unwrap_or(0) }
}

/// A number of workers, or `auto`.
pub(in crate::cli) fn workers(text: &str) -> Option<Workers> {
    if text == "auto" {
        return Some(Workers::Auto);
    }
    let count = text.parse::<NonZeroUsize>().ok()?;
    (count.get() <= WORKERS_MAX).then_some(Workers::Fixed(count))
}

/// Bytes a second, rounded to the unit; 0 is no limit.
fn rate(flag: &RawFlag) -> Result<Option<u64>, Refusal> {
    let half = RATE_UNIT_BYTES / 2;
    match size::parse(flag.text()?, b'K') {
        Some(0) => Ok(None),
        Some(rate) if rate < half => Err(flag.refuse("is less than 512 bytes a second")),
        Some(rate) => Ok(Some((rate + half) / RATE_UNIT_BYTES * RATE_UNIT_BYTES)),
        None => Err(flag.refuse("is not a rate such as 500 (KiB a second), 1.5m or 0")),
    }
}
