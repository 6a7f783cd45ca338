//! What an agent is started for.
//!
//! A job is sent as it was resolved where it was typed: files that the command line names there (lists,
//! rules) were read there, and no path of that host is in it but those of the source, of which the agent
//! asks. All other paths are of the destination and mean the agent's host: the destination itself,
//! `--temp-dir`, `--partial-dir`, `--backup-dir` and the basis trees. What is only for the report
//! (`--log-file`) is not part of a job at all.
//!
//! Clocks of two hosts differ: the time that a run has is sent as what is left of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use borsh::{BorshDeserialize, BorshSerialize};
use filter::Rules;
use model::{Job, Timestamp};
use wire::limits::WORK_BYTES;

use crate::Malformed;

/// What an agent that runs the destination is told.
#[derive(Debug)]
pub struct Work {
    /// What to do.
    pub job: Job,
    /// Which entries to leave out.
    pub rules: Rules,
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
    pub fn to_bytes(job: &Job, rules: &Rules, now: SystemTime) -> Result<Vec<u8>, TooLong> {
        let left = job.settings.limits.stop_at.map(|end| micros_until(end, now));
        to_bytes(&(job, rules, left))
    }

    /// What these bytes ask for, begun `now`.
    pub fn from_bytes(bytes: &[u8], now: SystemTime) -> Result<Self, Malformed> {
        let (mut job, rules, left) = from_bytes::<(Job, Rules, Option<u64>)>(bytes)?;
        if job.sources.is_empty() || job.destination.is_none() {
            return Err(Malformed::new(WHAT, &"it has no source or no destination"));
        }
        let end = |micros| {
            now.checked_add(Duration::from_micros(micros))
                .ok_or_else(|| Malformed::new(WHAT, &"it ends at no time that there is"))
        };
        job.settings.limits.stop_at = left.map(end).transpose()?;
        job.settings.limits.started = timestamp(now);
        Ok(Self { job, rules })
    }
}

/// What an agent that serves a source may be asked for. It is told by the controller, which may itself
/// ask for no more.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Service {
    /// What may be opened by a path, spelt as it will be asked for.
    pub roots: Vec<Box<[u8]>>,
    /// Which links may be followed below a root.
    pub follows: Follows,
    /// Files may be removed.
    pub removes_files: bool,
}

/// Which links may be followed below a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Follows {
    /// None.
    None,
    /// Those that root has made, or the user whose tree it is.
    Own,
    /// All.
    All,
}

impl Service {
    /// Its bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        to_bytes(self)
    }

    /// What these bytes allow.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        from_bytes(bytes)
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

    use super::{Service, Work};

    /// Bytes that an agent is told to work by.
    ///
    /// # Panics
    ///
    /// If what they say has other bytes, too: there is one form for each job.
    pub fn from_controller(bytes: &[u8]) {
        if let Ok(work) = Work::from_bytes(bytes, UNIX_EPOCH) {
            let again = Work::to_bytes(&work.job, &work.rules, UNIX_EPOCH);
            assert_eq!(again.as_deref(), Ok(bytes));
        }
        if let Ok(service) = Service::from_bytes(bytes) {
            assert_eq!(service.to_bytes().as_deref(), Ok(bytes));
        }
    }
}

#[cfg(test)]
mod tests;
