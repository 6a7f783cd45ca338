//! Keeps to `--bwlimit`: one limit for all that is copied on this host or goes over any lane of any session.
//!
//! Whoever sends content keeps to the limit. Where that is an agent it is told the rate, and each new one;
//! what a clock or a file says is looked at here alone.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Zoned;
use net::{Pace, Session};
use sched::{Cancel, RateLimit};

use crate::cli::{Bwlimit, Rates};

/// How often the clock and the file are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The limit of a run.
pub(super) struct Limit {
    here: Arc<RateLimit>,
    /// False where nothing is ever limited: then nobody is asked.
    is_one: bool,
    /// Sessions whose agents send content.
    agents: Mutex<Vec<Weak<Session>>>,
}

impl Limit {
    pub(super) fn new(bwlimit: &Bwlimit) -> Arc<Self> {
        let now = bwlimit.rates.at(time_of_day_secs());
        let here = Arc::new(RateLimit::new(now));
        Arc::new(Self { here, is_one: !bwlimit.is_none(), agents: Mutex::default() })
    }

    /// What a run on this host alone keeps to.
    pub(super) fn here(&self) -> Arc<RateLimit> {
        Arc::clone(&self.here)
    }

    /// All that this side of a session sends keeps to it, until that is cancelled.
    pub(super) fn hold_back(&self, session: &Session, cancel: &Cancel) {
        if self.is_one {
            session.pace(Throttle::on(&self.here, cancel));
        }
    }

    /// All that the agent of a session sends keeps to it. An agent that serves a source waits for this, also
    /// where there is no limit: else its first answers would know of none.
    pub(super) fn tell(&self, session: &Arc<Session>) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_one {
            agents.push(Arc::downgrade(session));
        }
        // One whose session is over sends nothing any more.
        session.set_pace_of_peer(self.here.bytes_per_sec()).ok();
    }

    fn set(&self, rate: Option<NonZeroU64>) {
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if self.here.bytes_per_sec() == rate {
            return;
        }
        self.here.set(rate);
        for session in agents.iter().filter_map(Weak::upgrade) {
            session.set_pace_of_peer(rate).ok();
        }
    }
}

/// As agent: what the controller says of all that this host sends, over whatever session.
pub(super) struct Told {
    limit: Arc<RateLimit>,
    /// Sessions that are to keep to it.
    sessions: Mutex<Vec<Weak<Session>>>,
}

impl Told {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { limit: unlimited(), sessions: Mutex::default() })
    }

    /// One more session keeps to it.
    pub(super) fn add(&self, session: &Arc<Session>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.push(Arc::downgrade(session));
        if self.limit.bytes_per_sec().is_some() {
            session.pace(Throttle::on(&self.limit, &Cancel::new()));
        }
    }

    pub(super) fn set(&self, rate: Option<NonZeroU64>) {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        self.limit.set(rate);
        // Where nothing is ever limited nobody is asked.
        for session in sessions.iter().filter_map(Weak::upgrade).filter(|_| rate.is_some()) {
            session.pace(Throttle::on(&self.limit, &Cancel::new()));
        }
    }
}

/// What copies only what keeps to a limit already.
pub(super) fn unlimited() -> Arc<RateLimit> {
    Arc::new(RateLimit::new(None))
}

/// Changes a limit as clock and file say, until it is dropped.
pub(super) struct Timetable {
    over: Cancel,
    thread: Option<JoinHandle<()>>,
}

impl Timetable {
    /// `complain` is told what is wrong with the file; what it said before stays in force then.
    pub(super) fn keep(
        bwlimit: Bwlimit,
        limit: &Arc<Limit>,
        complain: impl Fn(&str) + Send + 'static,
    ) -> Option<Self> {
        if bwlimit.is_fixed() {
            return None;
        }
        let over = Cancel::new();
        let (token, limit) = (over.clone(), Arc::clone(limit));
        let keep = move || {
            let mut kept = Kept { bwlimit, wrong: None };
            while token.sleep(LOOK_EVERY).is_ok() {
                if let Some(sentence) = kept.read_again() {
                    complain(&sentence);
                }
                limit.set(kept.bwlimit.rates.at(time_of_day_secs()));
            }
        };
        // Where there is no thread to be had the first rate holds.
        let thread = thread::Builder::new().name("timetable".to_owned()).spawn(keep).ok();
        Some(Self { over, thread })
    }
}

impl Drop for Timetable {
    fn drop(&mut self) {
        self.over.cancel();
        // A panic in there has been reported by its hook.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// What is in force.
struct Kept {
    bwlimit: Bwlimit,
    /// What was wrong with the file when it was read last.
    wrong: Option<String>,
}

impl Kept {
    /// Takes over what the file says by now; tells what is wrong with it, once.
    fn read_again(&mut self) -> Option<String> {
        let file = self.bwlimit.file.as_deref()?;
        let read = fs::operator::read_file(file).map_err(|error| error.to_string());
        let rates = read
            .and_then(|text| Rates::of_file(&text).map_err(|why| format!("what it holds {why}")));
        match rates {
            Ok(rates) => {
                self.bwlimit.rates = rates;
                self.wrong = None;
                None
            }
            Err(why) => {
                let sentence = format!("--bwlimit: \"{}\": {why}", file.display());
                let is_new = self.wrong.as_ref() != Some(&sentence);
                self.wrong = Some(sentence.clone());
                is_new.then_some(sentence)
            }
        }
    }
}

fn time_of_day_secs() -> u32 {
    let now = Zoned::now();
    let parts = [(now.hour(), 3600), (now.minute(), 60), (now.second(), 1)];
    parts.iter().map(|(count, secs)| u32::try_from(*count).unwrap_or(0) * secs).sum()
}

/// The pace of a session: what its side sends, over all lanes.
pub(super) struct Throttle {
    limit: Arc<RateLimit>,
    /// Then the other side is to hear of it soon, behind all that is on its way.
    cancel: Cancel,
}

impl Throttle {
    pub(super) fn on(limit: &Arc<RateLimit>, cancel: &Cancel) -> Arc<dyn Pace> {
        Arc::new(Self { limit: Arc::clone(limit), cancel: cancel.clone() })
    }
}

impl Pace for Throttle {
    fn take(&self, wanted_bytes: usize) -> usize {
        /// So many a second: the pace is even, and what comes next need not wait long.
        const TURNS_A_SEC: u64 = 50;
        const MOST_BYTES: u64 = 64 << 10;
        let Some(rate) = self.limit.bytes_per_sec() else { return wanted_bytes };
        let turn_bytes = (rate.get() / TURNS_A_SEC).clamp(1, MOST_BYTES);
        let bytes = wanted_bytes.min(usize::try_from(turn_bytes).unwrap_or(wanted_bytes));
        // A lane that ends writes no more than this.
        if self.limit.take(bytes as u64, &self.cancel).is_err() { wanted_bytes } else { bytes }
    }
}
