//! How much may be used.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use jiff::{Span, Zoned};
use model::Timestamp;
use model::settings::{Limits, WORKERS_MAX, Workers};

use super::rates::Bwlimit;
use super::stop_at::{self, NotATime};
use crate::cli::config::Config;
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// What was typed about it so far.
#[derive(Debug)]
pub(super) struct Typed {
    now: Zoned,
    plain: Limits,
    bwlimit: Option<RawFlag>,
}

impl Typed {
    /// Begins with what the configuration file says.
    pub(super) fn new(config: &Config, now: Zoned) -> Self {
        let started = timestamp(&now);
        let plain = Limits { workers: config.workers, started, ..Limits::default() };
        Self { now, plain, bwlimit: None }
    }

    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        match flag.opt {
            Opt::Workers => {
                let workers = workers(flag.text()?);
                let refuse = || flag.refuse("is not a number above 0 nor auto");
                self.plain.workers = workers.ok_or_else(refuse)?;
            }
            Opt::Bwlimit => self.bwlimit = Some(flag.clone()).filter(RawFlag::is_on),
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

    pub(super) fn settle(
        self,
        surroundings: &dyn Surroundings,
    ) -> Result<(Limits, Bwlimit), Refusal> {
        let bwlimit = self.bwlimit.map(|flag| Bwlimit::read(&flag, surroundings)).transpose()?;
        Ok((self.plain, bwlimit.unwrap_or_default()))
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
