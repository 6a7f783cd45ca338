//! A run of a million buckets on a thousand slots, in made-up time: how long deciding takes, how much memory,
//! and how even the end is.
//!
//! ```sh
//! cargo run --release -p lanesync-drive --example drive_simulation -- 1000000
//! ```
//!
//! The number is that of the buckets. Of a thousand tries ten fail, five stations of 50 slots die and come
//! back, and for 20 s no mover gets through. The end is even if it comes little later than with all slots at work all the time.

#![expect(clippy::print_stdout, reason = "tells a person what it measured")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use drive::{bucket, journal, lists, mover, state};

#[path = "../src/simulation/world.rs"]
mod world;

use world::{Plan, World};

const STATIONS: u32 = 20;
const SLOTS: u32 = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let buckets = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let settings = state::Settings {
        retries: 5,
        starts: STATIONS * SLOTS,
        directories: true,
        deleting: state::Deleting::IfWhole,
        deletes_once: false,
        seed: 1,
    };
    let plan = Plan {
        seed: 1,
        settings,
        buckets,
        lines: 10,
        cuts: 100,
        stations: STATIONS,
        slots: SLOTS,
        failing: 10,
        cold: 0,
        bad: 0,
        deaths: (1..=5).map(|death| death * 60_000).collect(),
        full: 0..0,
        away: 200_000..220_000,
        stop: None,
    };
    let begin = Instant::now();
    let (report, _) = World::new(plan, state::Coordinator::new(settings, 1)).run();
    let took = begin.elapsed();
    let ideal = report.busy / u64::from(STATIONS * SLOTS);
    println!("buckets     {buckets:>12}");
    println!("leases      {:>12}", report.gives);
    println!("records     {:>12}", report.records);
    println!("exit code   {:>12}", report.totals.code);
    println!("time        {:>12.1} s", took.as_secs_f64());
    println!("memory      {:>12} KiB", peak_kib()?);
    println!("made-up time{:>12.1} s", seconds(report.end));
    println!("ideal       {:>12.1} s", seconds(ideal));
    println!("end / ideal {:>12.4}", seconds(report.end) / seconds(ideal));
    Ok(())
}

fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}

/// The most memory that this process has had (proc(5), `VmHWM`).
fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::operator::read_file(Path::new("/proc/self/status"))?;
    let status = String::from_utf8(status)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("the kernel does not tell")?.parse()?)
}
