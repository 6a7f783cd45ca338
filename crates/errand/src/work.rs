//! What an agent is started for.
//!
//! A job is sent as it was resolved where it was typed: files that the command line names there (lists,
//! rules) were read there, and no path of that host is in it but those of the source, of which the agent
//! asks. All other paths are of the destination and mean the agent's host: the destination itself,
//! `--temp-dir`, `--partial-dir`, `--backup-dir` and the basis trees. What is only for the report
//! (`--log-file`) is not part of a job at all.
//!
//! A path of the agent's own host is sent as it was typed: what a shell would do with it is done there.
//!
//! Clocks of two hosts differ: the time that a run has is sent as what is left of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use borsh::{BorshDeserialize, BorshSerialize};
use filter::Rules;
use model::blocks::{BlocksJob, BlocksSummary};
use model::settings::Compression;
use model::{Job, Summary, Timestamp};
use wire::limits::WORK_BYTES;

use crate::Malformed;
use crate::outcome::Totals;

/// What an agent can be sent to do, and tell the end of.
pub trait Errand: Sized {
    /// Its totals.
    type Summary: Totals;

    /// What these bytes ask for, begun `now`.
    fn from_bytes(bytes: &[u8], now: SystemTime) -> Result<Self, Malformed>;

    /// Whether the controller shows each long file as it goes on.
    fn shows_files(&self) -> bool;
}

impl Errand for Work {
    type Summary = Summary;

    fn from_bytes(bytes: &[u8], now: SystemTime) -> Result<Self, Malformed> {
        Self::from_bytes(bytes, now)
    }

    fn shows_files(&self) -> bool {
        self.job.settings.tell_begun
    }
}

/// An image that is brought over: its source is as typed where it is served, all else is of the agent's host.
impl Errand for BlocksJob {
    type Summary = Option<BlocksSummary>;

    fn from_bytes(bytes: &[u8], _: SystemTime) -> Result<Self, Malformed> {
        from_bytes(bytes)
    }

    fn shows_files(&self) -> bool {
        false
    }
}

/// The bytes of a job about an image.
pub fn image_to_bytes(job: &BlocksJob) -> Result<Vec<u8>, TooLong> {
    to_bytes(job)
}

/// What an agent that runs the destination is told.
#[derive(Debug)]
pub struct Work {
    /// What to do.
    pub job: Job,
    /// Which entries to leave out.
    pub rules: Rules,
    /// What is no part of the job.
    pub besides: Besides,
}

/// What an agent that runs the destination is told besides the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Besides {
    /// The directory from which relative paths of the source begin, on its host.
    pub source_directory: Box<[u8]>,
    /// The list of `--files-from`, where it lies on the agent's host.
    pub list: Option<List>,
}

/// A list of `--files-from` on the host of an agent.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct List {
    /// Where, as typed.
    pub path: Box<[u8]>,
    /// `--from0`: names end with NUL.
    pub from0: bool,
}

/// A job that is too long to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the job has more than {} MiB; names of --files-from and rules may be given in several runs",
    WORK_BYTES >> 20
)]
pub struct TooLong;

impl Work {
    /// The bytes of a job.
    pub fn to_bytes(
        job: &Job,
        rules: &Rules,
        besides: &Besides,
        now: SystemTime,
    ) -> Result<Vec<u8>, TooLong> {
        let left = job.settings.limits.stop_at.map(|end| micros_until(end, now));
        to_bytes(&(job, rules, besides, left))
    }

    /// What these bytes ask for, begun `now`.
    pub fn from_bytes(bytes: &[u8], now: SystemTime) -> Result<Self, Malformed> {
        let (mut job, rules, besides, left) =
            from_bytes::<(Job, Rules, Besides, Option<u64>)>(bytes)?;
        if job.sources.is_empty() || job.destination.is_none() {
            return Err(Malformed::new(WHAT, &"it has no source or no destination"));
        }
        let end = |micros| {
            now.checked_add(Duration::from_micros(micros))
                .ok_or_else(|| Malformed::new(WHAT, &"it ends at no time that there is"))
        };
        job.settings.limits.stop_at = left.map(end).transpose()?;
        job.settings.limits.started = timestamp(now);
        Ok(Self { job, rules, besides })
    }
}

/// What an agent that serves a source is told: the job, of which it looks up the sources and then serves
/// what that needs, and no more.
#[derive(Debug)]
pub struct Service {
    /// Its sources are as typed for the host of the agent.
    pub job: Job,
    /// Which entries to leave out.
    pub rules: Rules,
    /// The list of `--files-from`, where it lies on the agent's host.
    pub list: Option<List>,
    /// Who will ask.
    pub asks: Asks,
}

/// Who asks an agent that serves a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Asks {
    /// The controller, who may log in there: it is not told each name of a list.
    Controller,
    /// Another host, for which the controller asks.
    AnotherHost,
    /// The same, and the list of names lies there: what is in it is known to that host alone.
    AnotherHostByItsList,
}

impl Service {
    /// The bytes of what an agent is told.
    pub fn to_bytes(
        job: &Job,
        rules: &Rules,
        list: Option<&List>,
        asks: Asks,
    ) -> Result<Vec<u8>, TooLong> {
        to_bytes(&(job, rules, list, asks))
    }

    /// What these bytes allow.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (job, rules, list, asks) = from_bytes::<(Job, Rules, Option<List>, Asks)>(bytes)?;
        if job.sources.is_empty() {
            return Err(Malformed::new(WHAT, &"it has no source"));
        }
        Ok(Self { job, rules, list, asks })
    }
}

/// What an agent that serves an image is told. It looks up the path, and serves nothing else.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ImageService {
    /// As typed for the host of the agent.
    pub source: Box<[u8]>,
    /// How content is compressed, if it is.
    pub compression: Option<Compression>,
}

impl ImageService {
    /// The bytes of what an agent is told.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        to_bytes(self)
    }

    /// What these bytes allow.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let service: Self = from_bytes(bytes)?;
        if service.source.is_empty() || service.source.contains(&0) {
            return Err(Malformed::new(WHAT, &"a path that cannot be typed"));
        }
        Ok(service)
    }
}

const WHAT: &str = "job";

fn to_bytes(work: &impl BorshSerialize) -> Result<Vec<u8>, TooLong> {
    // It fails for lists that have more than 2^32 elements, and for nothing else.
    let bytes = borsh::to_vec(work).map_err(|_| TooLong)?;
    if bytes.len() as u64 > WORK_BYTES { Err(TooLong) } else { Ok(bytes) }
}

fn from_bytes<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, Malformed> {
    T::try_from_slice(bytes).map_err(|error| Malformed::new(WHAT, &error))
}

fn micros_until(end: SystemTime, now: SystemTime) -> u64 {
    let left = end.duration_since(now).unwrap_or_default();
    u64::try_from(left.as_micros()).unwrap_or(u64::MAX)
}

fn timestamp(now: SystemTime) -> Timestamp {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { secs, nanos: since.subsec_nanos() }
}

pub(crate) mod fuzzing {
    use std::time::UNIX_EPOCH;

    use model::blocks::BlocksJob;

    use super::{Errand, ImageService, Service, Work, image_to_bytes};

    /// Bytes that an agent is told to work by.
    ///
    /// # Panics
    ///
    /// If what they say has other bytes, too: there is one form for each job.
    pub fn from_controller(bytes: &[u8]) {
        if let Ok(work) = Work::from_bytes(bytes, UNIX_EPOCH) {
            let again = Work::to_bytes(&work.job, &work.rules, &work.besides, UNIX_EPOCH);
            assert_eq!(again.as_deref(), Ok(bytes));
        }
        if let Ok(service) = Service::from_bytes(bytes) {
            let Service { job, rules, list, asks } = service;
            let again = Service::to_bytes(&job, &rules, list.as_ref(), asks);
            assert_eq!(again.as_deref(), Ok(bytes));
        }
        if let Ok(job) = <BlocksJob as Errand>::from_bytes(bytes, UNIX_EPOCH) {
            assert_eq!(image_to_bytes(&job).as_deref(), Ok(bytes));
        }
        if let Ok(service) = ImageService::from_bytes(bytes) {
            assert_eq!(service.to_bytes().as_deref(), Ok(bytes));
        }
    }
}

#[cfg(test)]
mod tests;
