//! Markdown, for a terminal and for docs/performance.md alike.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::measure::Sample;
use super::rounds::{Lab, Outcome, Row};
use super::scenario::Scenario;
use super::stats::Spread;
use super::tool::{Given, PEERS, Recipe, Tool};

const HEAD: &str = "\
| tool | wall s | min-max | rsync = 1 | min-max | CPU s | max RSS MiB | flush s | remarks |
|---|---|---|---|---|---|---|---|---|
";

/// What the numbers were taken with.
pub(crate) fn preamble(lab: &Lab) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 =
        memory.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rsync = Command::new("rsync").arg("--version").output();
    let rsync = rsync.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let rsync = rsync.unwrap_or_default();
    let version = rsync.split_whitespace().skip_while(|word| *word != "version").nth(1);
    let kernel: Vec<&str> = release.trim().splitn(3, ['.', '-']).take(2).collect();
    format!(
        "{cores} cores, {} GiB, Linux {}, rsync {}; {} rounds, scale {}.\n\n",
        (kib + (1 << 19)) >> 20,
        kernel.join("."),
        version.unwrap_or("absent"),
        lab.options.runs,
        lab.options.scale,
    )
}

/// One scenario's table.
pub(crate) fn section(outcome: &Outcome) -> String {
    let scenario = outcome.scenario;
    let mut text = format!("### `{}`: {}\n\n", scenario.name, scenario.title());
    if let Some(aim) = scenario.aim {
        let _infallible = writeln!(text, "Aim: {aim} times rsync.\n");
    }
    text.push_str(HEAD);
    let rsync = outcome.rows.iter().find(|row| row.tool.recipe == Recipe::Rsync);
    for row in &outcome.rows {
        text.push_str(&line(row, rsync, outcome.rss_floor_bytes));
    }
    text.push('\n');
    if let Some(reached) = reached_by_auto(&outcome.rows) {
        let _infallible = writeln!(text, "{reached}\n");
    }
    text
}

/// A scenario that could not be run here.
pub(crate) fn skipped(scenario: &Scenario, error: &anyhow::Error) -> String {
    format!("### `{}`: {}\n\nNot run: {error:#}.\n\n", scenario.name, scenario.title())
}

/// Which peers took no part, and how the others were called.
pub(crate) fn absent_peers(lab: &Lab) -> String {
    let wanted = |recipe: &Recipe| match &lab.options.peers {
        Some(names) => names.contains(&recipe.name()),
        None => true,
    };
    let (found, absent): (Vec<Recipe>, Vec<Recipe>) =
        PEERS.into_iter().filter(wanted).partition(|recipe| Tool::find(*recipe).is_some());
    let mut text = String::from("Commands:\n\n");
    for recipe in [Recipe::Rsync, Recipe::Ours(Given::Nothing)].into_iter().chain(found) {
        let _infallible = writeln!(text, "- {}: `{}`", recipe.name(), recipe.shown());
    }
    if !absent.is_empty() {
        let names: Vec<String> = absent.into_iter().map(Recipe::name).collect();
        let _infallible = write!(text, "\nNot found on the PATH: {}.\n", names.join(", "));
    }
    text
}

fn line(row: &Row, rsync: Option<&Row>, rss_floor_bytes: u64) -> String {
    let name = row.tool.recipe.name();
    if let Some(failure) = &row.failure {
        return format!("| {name} | FAILED | | | | | | | {} |\n", failure.replace('|', "/"));
    }
    let wall = Spread::of(row.samples.iter().map(wall_s));
    let cpu = Spread::of(row.samples.iter().map(|s| (s.user + s.sys).as_secs_f64()));
    let flush = Spread::of(row.flushes.iter().map(Duration::as_secs_f64));
    let (Some(wall), Some(cpu), Some(flush)) = (wall, cpu, flush) else {
        return format!("| {name} | not run | | | | | | | |\n");
    };
    let (ratio, ratio_ends) = match rsync.and_then(|rsync| ratios(rsync, row)) {
        Some(spread) => {
            (format!("**{:.2}**", spread.median), format!("{:.2}-{:.2}", spread.min, spread.max))
        }
        None => ("-".to_owned(), String::new()),
    };
    format!(
        "| {name} | {:.3} | {:.3}-{:.3} | {ratio} | {ratio_ends} | {:.2} | {} | {:.2} | {} |\n",
        wall.median,
        wall.min,
        wall.max,
        cpu.median,
        rss(&row.samples, rss_floor_bytes),
        flush.median,
        remarks(row),
    )
}

/// How many times as fast as another, round by round.
fn ratios(base: &Row, row: &Row) -> Option<Spread> {
    if base.failure.is_some() {
        return None;
    }
    let pairs = base.samples.iter().zip(&row.samples);
    Spread::of(pairs.map(|(base, own)| wall_s(base) / wall_s(own)))
}

fn wall_s(sample: &Sample) -> f64 {
    sample.wall.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "memory sizes are small")]
fn rss(samples: &[Sample], floor_bytes: u64) -> String {
    let bytes = samples.iter().map(|sample| sample.max_rss_bytes).max().unwrap_or(0);
    // Up to our own size one cannot tell: a child begins as a copy of us.
    let sign = if bytes <= floor_bytes { "\u{2264} " } else { "" };
    format!("{sign}{:.1}", bytes.max(1) as f64 / f64::from(1 << 20))
}

fn remarks(row: &Row) -> String {
    let differences = row.differences.filter(|differences| differences.any());
    let left = differences.map(|differences| {
        format!("leaves {} differences", differences.itemized.max(differences.entries))
    });
    #[expect(clippy::cast_precision_loss, reason = "what is measured is less exact")]
    let mib = row.carried_bytes.iter().map(|bytes| *bytes as f64 / f64::from(1 << 20));
    let carried = Spread::of(mib).map(|mib| format!("{:.1} MiB over the link", mib.median));
    left.into_iter().chain(carried).collect::<Vec<_>>().join("; ")
}

/// How near the worker count that was found comes to the best of the given ones.
fn reached_by_auto(rows: &[Row]) -> Option<String> {
    let whole = |row: &&Row| row.failure.is_none() && !row.samples.is_empty();
    let median = |row: &Row| Spread::of(row.samples.iter().map(wall_s)).map(|wall| wall.median);
    let auto =
        rows.iter().filter(whole).find(|row| row.tool.recipe == Recipe::Ours(Given::Nothing))?;
    let fixed = |row: &&Row| matches!(row.tool.recipe, Recipe::Ours(given) if !matches!(given, Given::Nothing | Given::Workers(1)));
    let best = rows
        .iter()
        .filter(whole)
        .filter(fixed)
        .min_by(|one, other| median(one).partial_cmp(&median(other)).expect("no NaN"))?;
    let share = ratios(best, auto)?;
    Some(format!(
        "What lanesync finds by itself reaches {:.0} % ({:.0}-{:.0} %) of the best that it can be \
         given ({}).",
        share.median * 100.0,
        share.min * 100.0,
        share.max * 100.0,
        best.tool.recipe.name(),
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn row(recipe: Recipe, walls_ms: &[u64]) -> Row {
        let sample = |ms: &u64| Sample {
            wall: Duration::from_millis(*ms),
            user: Duration::from_millis(10),
            sys: Duration::from_millis(20),
            max_rss_bytes: 3 << 20,
            failure: None,
        };
        let mut tool = Tool::ours(Path::new("x"), Given::Nothing);
        tool.recipe = recipe;
        Row {
            tool,
            samples: walls_ms.iter().map(sample).collect(),
            flushes: vec![Duration::ZERO; walls_ms.len()],
            carried_bytes: Vec::new(),
            failure: None,
            differences: None,
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let rsync = row(Recipe::Rsync, &[4000, 8000, 4000]);
        let ours = row(Recipe::Ours(Given::Nothing), &[1000, 1000, 2000]);
        let text = line(&ours, Some(&rsync), 0);
        let expect =
            "| lanesync | 1.000 | 1.000-2.000 | **4.00** | 2.00-8.00 | 0.03 | 3.0 | 0.00 |  |\n";
        assert_eq!(text, expect);
    }

    #[test]
    fn a_failure_is_not_timed() {
        let mut ours = row(Recipe::Ours(Given::Workers(1)), &[1000]);
        ours.failure = Some("exit status: 1: a|b".to_owned());
        let text = line(&ours, None, 0);
        assert_eq!(text, "| lanesync, 1 worker | FAILED | | | | | | | exit status: 1: a/b |\n");
    }

    #[test]
    fn auto_is_held_against_the_best_fixed_number() {
        let rows = [
            row(Recipe::Ours(Given::Nothing), &[1000, 1000]),
            row(Recipe::Ours(Given::Workers(1)), &[100, 100]),
            row(Recipe::Ours(Given::Workers(8)), &[2000, 2000]),
            row(Recipe::Ours(Given::Workers(64)), &[900, 950]),
        ];
        let text = reached_by_auto(&rows).unwrap();
        assert!(text.contains("92 % (90-95 %)") && text.contains("64 workers"), "{text}");
    }
}
