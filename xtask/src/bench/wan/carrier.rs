//! Carries packets from one device to another, as a link would.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::line::{Line, Link};
use super::segments::{FRAME_HEAD, Long};

/// Packets of one connection that arrive so close together are handed on at once, as a network card
/// does it.
const TOGETHER: Duration = Duration::from_micros(250);

/// Later than the link would be, so that it is the machine that was measured.
const LATE: Duration = Duration::from_millis(5);

/// What went over a link.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes of IP packets, both ways, the lost ones too.
    pub(super) bytes: AtomicU64,
    handed_on: AtomicU64,
    late: AtomicU64,
}

impl Counters {
    /// Of a hundred deliveries so many were late.
    pub(super) fn late_percent(&self) -> u64 {
        let all = self.handed_on.load(Ordering::Relaxed).max(1);
        self.late.load(Ordering::Relaxed) * 100 / all
    }
}

/// The threads of a link; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Carriers {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    pub(super) counters: Arc<Counters>,
}

impl Carriers {
    pub(super) fn start(link: Link, [near, far]: [File; 2]) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let counters = Arc::<Counters>::default();
        let born = Instant::now();
        let ways = [(near.try_clone()?, far.try_clone()?), (far, near)];
        let carriers = ways.into_iter().zip(1..).map(|((from, to), seed)| Carrier {
            from,
            to,
            line: Line::new(link, seed),
            under_way: VecDeque::new(),
            born,
            counters: Arc::clone(&counters),
        });
        let start = |carrier: Carrier| {
            let is_over = Arc::clone(&is_over);
            std::thread::Builder::new().name("wan".to_owned()).spawn(move || carrier.run(&is_over))
        };
        let threads = carriers.map(start).collect::<Result<_, _>>()?;
        Ok(Self { is_over, threads, counters })
    }
}

impl Drop for Carriers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic in there has been reported by its hook.
            drop(thread.join());
        }
    }
}

/// One direction.
struct Carrier {
    from: File,
    to: File,
    line: Line,
    /// By the time of arrival.
    under_way: VecDeque<(Duration, Vec<u8>)>,
    born: Instant,
    counters: Arc<Counters>,
}

impl Carrier {
    fn run(mut self, is_over: &AtomicBool) {
        const AT_ONCE: usize = 16;
        const PRIORITY: i32 = -15;
        /// How soon the end is seen.
        const TO_LOOK_UP: Duration = Duration::from_millis(100);
        // It shares the cores with what is measured. Not root's to give, it is only less exact.
        let _best_effort =
            rustix::process::setpriority_process(Some(rustix::thread::gettid()), PRIORITY);
        let mut frame = vec![0; FRAME_HEAD + (1 << 16)];
        while !is_over.load(Ordering::Relaxed) {
            let mut taken = 0;
            while taken < AT_ONCE
                && let Some(length) = self.read(&mut frame)
            {
                self.take(&frame[..length]);
                taken += 1;
            }
            self.hand_on();
            if taken < AT_ONCE {
                let next = self.under_way.front().map(|(due, _)| due.saturating_sub(self.now()));
                self.wait(next.unwrap_or(TO_LOOK_UP).min(TO_LOOK_UP));
            }
        }
    }

    fn now(&self) -> Duration {
        self.born.elapsed()
    }

    fn read(&mut self, frame: &mut [u8]) -> Option<usize> {
        match self.from.read(frame) {
            Ok(length) => Some(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("read from a TUN device: {error}"),
        }
    }

    /// Waits for a packet, but not longer than so.
    fn wait(&self, longest: Duration) {
        let Ok(longest) = Timespec::try_from(longest) else { return };
        let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
        // Woken by a signal, it looks and waits again.
        let _woken = poll(&mut fds, Some(&longest));
    }

    /// Takes a frame into the line: each packet that it stands for has a fate of its own.
    fn take(&mut self, frame: &[u8]) {
        let now = self.now();
        let Some(long) = Long::parse(frame) else {
            let bytes = frame.len().saturating_sub(FRAME_HEAD);
            if let Some(due) = self.admit(now, bytes) {
                self.under_way.push_back((due, frame.to_vec()));
            }
            return;
        };
        // Neighbours that arrive together: the first of them, when it arrives, and the last does.
        let mut run: Option<(usize, Duration, Duration)> = None;
        for segment in 0..=long.count() {
            let due = (segment < long.count())
                .then(|| self.admit(now, long.packet_bytes(segment)))
                .flatten();
            run = match (run, due) {
                (Some((first, begun, _)), Some(due)) if due.saturating_sub(begun) <= TOGETHER => {
                    Some((first, begun, due))
                }
                (ended, due) => {
                    if let Some((first, _, arrival)) = ended {
                        self.under_way.push_back((arrival, long.part(first..segment)));
                    }
                    due.map(|due| (segment, due, due))
                }
            };
        }
    }

    fn admit(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        self.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.line.admit(now, bytes)
    }

    fn hand_on(&mut self) {
        while let Some((due, frame)) = self.under_way.pop_front() {
            let now = self.now();
            if due > now {
                return self.under_way.push_front((due, frame));
            }
            // A host that is not ready for it loses it, as on any line.
            let _may_be_lost = self.to.write(&frame);
            self.counters.handed_on.fetch_add(1, Ordering::Relaxed);
            self.counters
                .late
                .fetch_add(u64::from(now.saturating_sub(due) >= LATE), Ordering::Relaxed);
        }
    }
}
