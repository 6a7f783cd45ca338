//! The records of `--json`, held to what docs/json.md promises of any run: an item for each entry
//! that the summary counts, and a reason wherever something was not brought over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The records of a run, in order.
pub(crate) fn parse(stdout: &str) -> Vec<Value> {
    let record =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stdout.lines().map(record).collect()
}

/// All in which the records do not agree with each other.
pub(crate) fn discrepancies(records: &[Value]) -> Vec<String> {
    let Some(summary) = records.last().filter(|last| last["type"] == "summary") else {
        return vec![format!("the last record is no summary: {:?}", records.last())];
    };
    let mut found = Vec::new();
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for item in items(records) {
        let verdict = item["verdict"].as_str().unwrap_or_default();
        *told.entry(verdict).or_default() += 1;
        let is_left_undone =
            ["excluded", "skipped", "failed", "changed_during_copy"].contains(&verdict);
        if is_left_undone != item["reason"].is_string() {
            found.push(format!("a reason belongs to what is left undone, and to it alone: {item}"));
        }
    }
    let counts = summary["verdicts"].as_object().expect("the summary counts verdicts");
    for (verdict, count) in counts {
        let told = told.remove(verdict.as_str()).unwrap_or_default();
        if count.as_u64() != Some(told) {
            found.push(format!("{verdict}: {told} items, {count} counted"));
        }
    }
    found.extend(told.keys().map(|verdict| format!("{verdict} is not counted")));
    let sum: u64 = counts.values().filter_map(Value::as_u64).sum();
    let seen = sum - counts["deleted"].as_u64().unwrap_or_default();
    if summary["seen"].as_u64() != Some(seen) {
        found.push(format!("seen is not the sum of the verdicts, {seen}: {summary}"));
    }
    found
}

/// The entries of the source that have more than one item.
pub(crate) fn told_twice(records: &[Value]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let of_source = items(records).filter(|item| item["verdict"] != "deleted");
    let paths = of_source.map(|item| format!("{} {}", item["path"], item["path_base64"]));
    paths.filter(|path| !seen.insert(path.clone())).collect()
}

fn items(records: &[Value]) -> impl Iterator<Item = &Value> {
    records.iter().filter(|record| record["type"] == "item")
}
