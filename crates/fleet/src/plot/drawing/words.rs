//! What is written in the picture.

use std::collections::BTreeMap;

use super::float;
use crate::amount::{Amount, By};

/// A name so that it can do no harm where it is shown: what controls, what turns the direction of writing
/// round, and what XML cannot hold has a replacement.
pub(in super::super) fn shown(name: &[u8]) -> String {
    let harmful = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let text = String::from_utf8_lossy(name);
    text.chars().map(|c| if harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// How wide a text is at most, roughly: which letters a reader has is not known.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| of_letter(c) * size).sum()
}

fn of_letter(letter: char) -> f64 {
    match letter {
        'i' | 'l' | 'j' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '|' | '/' | ' ' | '-' => 0.38,
        'm' | 'w' | 'M' | 'W' | '%' => 0.92,
        'A'..='Z' => 0.72,
        '\0'..='\u{2e7f}' => 0.6,
        _ => 1.1,
    }
}

/// As much of a text as there is room for.
pub(super) fn fitting(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut left = room - 0.9 * size;
    let fits = |c: &char| {
        left -= of_letter(*c) * size;
        left >= 0.0
    };
    let short: String = text.chars().take_while(fits).collect();
    if short.is_empty() { short } else { format!("{}…", short.trim_end()) }
}

/// The line below the title.
pub(super) fn summary(by: By, buckets: &BTreeMap<u64, Amount>) -> String {
    let total: Amount = buckets.values().copied().sum();
    let weights = buckets.values().map(|amount| by.weight(*amount));
    let largest = weights.clone().max().unwrap_or(0);
    let sum: f64 = weights.map(float).sum();
    let balance = match sum {
        0.0 => String::new(),
        sum => {
            let over_mean = float(largest) * float(buckets.len() as u64) / sum;
            format!(" · largest over mean {over_mean:.3}")
        }
    };
    let areas = match by {
        By::Size => "areas are bytes",
        By::Files => "areas are numbers of entries",
        By::Cost { .. } => "areas are bytes and a price for each entry",
    };
    format!(
        "{} in {}, in {}{balance} · {areas}",
        bytes(total.bytes),
        counted(total.entries, "entry", "entries"),
        counted(buckets.len() as u64, "bucket", "buckets"),
    )
}

/// A number with its thing.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// With a comma after each thousand.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, to be read and not to be added up.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = float(bytes) / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while value >= 1023.95
        && let Some(next) = units.next()
    {
        value /= 1024.0;
        unit = Some(next);
    }
    format!("{value:.1} {}", unit.unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 1536, 1 << 20, u64::MAX].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "16.0 EiB"]
        );
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
    }

    #[test]
    fn names_are_harmless() {
        assert_eq!(shown(b"plain"), "plain");
        assert_eq!(shown(b"a\x1b[2J\n\x7f\xff"), "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(
            shown("\u{202e}cod.exe\u{ffff}\u{85}".as_bytes()),
            "\u{fffd}cod.exe\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        assert_eq!(fitting("short", 10.0, 100.0), "short");
        let long = fitting("a very long name of a file", 10.0, 60.0);
        assert!(long.ends_with('…') && long.chars().count() > 4, "{long}");
        assert!(width(&long, 10.0) <= 70.0, "{long}");
        assert_eq!(fitting("name", 10.0, 5.0), "");
    }
}
