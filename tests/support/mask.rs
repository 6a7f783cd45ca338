//! Takes out of output what no two tools can agree on: bytes on the wire, rates, times, process ids.
//!
//! All else, the wording and the counts of files, has to be the same to the letter.

/// Lines whose numbers tell about the wire and the clock; the words between them stay.
const WIRE_LINES: &[&str] = &[
    "sent ",
    "File list size: ",
    "File list generation time: ",
    "File list transfer time: ",
    "Total bytes sent: ",
    "Total bytes received: ",
    "total: matches=",
];

/// Replaces each number of a line about the wire by `N`, and the speedup, which follows from it.
pub(crate) fn wire(line: &str) -> String {
    if WIRE_LINES.iter().any(|start| line.starts_with(start)) {
        return numbers(line);
    }
    match line.split_once("  speedup is ") {
        Some((total, speedup)) => format!("{total}  speedup is {}", numbers(speedup)),
        None => line.to_owned(),
    }
}

/// Replaces every number, with the dots, commas and unit letters in it, by `N`.
pub(crate) fn numbers(line: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for letter in line.chars() {
        let continues = in_number && (letter.is_ascii_digit() || ".,KMGT".contains(letter));
        if continues {
            continue;
        }
        in_number = letter.is_ascii_digit();
        out.push(if in_number { 'N' } else { letter });
    }
    out
}

/// A line of progress: size, percent and `xfr#N` at the end of a file stay. How often it was drawn
/// before, the rate, the time, and how far the scan had come by then depend on who did what first.
pub(crate) fn progress(line: &str) -> String {
    // The lines come with their carriage returns escaped.
    let last = line.rsplit("\\r").find(|drawn| !drawn.is_empty()).unwrap_or_default();
    if !last.contains("B/s ") {
        return wire(line);
    }
    let parts = last.split(' ').filter(|part| !part.is_empty());
    let shown = parts.map(|part| match part {
        rate if rate.ends_with("B/s") => "RATE",
        time if time.matches(':').count() == 2 => "TIME",
        scan if scan.starts_with("to-chk=") || scan.starts_with("ir-chk=") => "SCAN)",
        other => other,
    });
    wire(&shown.collect::<Vec<_>>().join(" "))
}

/// A line of a log file, without its time and process id. Each tool says in its own words what went
/// wrong, and rsync where in its source; that it is said, and where in the log, stays.
pub(crate) fn log(text: &str) -> String {
    for (start, shown) in [
        ("rsync: ", "FAULT"),
        ("lanesync: ", "FAULT"),
        ("rsync error: ", "ERROR"),
        ("lanesync error: ", "ERROR"),
    ] {
        if text.starts_with(start) {
            return shown.to_owned();
        }
    }
    wire(text)
}

#[test]
fn keeps_what_is_the_same_at_any_speed() {
    let line = "\\r  32,768  46%   31.25MB/s    0:00:00  \\r  70,000 100%    9.00kB/s    0:00:01 (xfr#5, to-chk=3/13)";
    assert_eq!(progress(line), "70,000 100% RATE TIME (xfr#5, SCAN)");
    assert_eq!(progress("a 5% name  of a file"), "a 5% name  of a file");
    assert_eq!(progress("sub/"), "sub/");
}

#[test]
fn keeps_that_something_went_wrong() {
    assert_eq!(log(">f+++++++++ new"), ">f+++++++++ new");
    assert_eq!(log("rsync: [sender] link_stat \"x\" failed"), "FAULT");
    assert_eq!(log("lanesync error: some (code 23)"), "ERROR");
}

#[test]
fn keeps_words_and_counts() {
    assert_eq!(
        wire("sent 1,234 bytes  received 35 bytes  2.54K bytes/sec"),
        "sent N bytes  received N bytes  N bytes/sec"
    );
    assert_eq!(wire("total size is 12  speedup is 0.05"), "total size is 12  speedup is N");
    assert_eq!(wire("Number of files: 3 (reg: 2, dir: 1)"), "Number of files: 3 (reg: 2, dir: 1)");
}
