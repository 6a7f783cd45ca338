//! Numbers as rsync writes them at each level of `-h`.

use crate::settings::HumanReadable;

/// Unit letters, each a thousand (or 1024) times the one before.
const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];

/// A count or a size.
pub(crate) fn count(number: u64, style: HumanReadable) -> String {
    match style {
        HumanReadable::Digits => number.to_string(),
        HumanReadable::Grouped => grouped(&number.to_string()),
        HumanReadable::Units1000 | HumanReadable::Units1024 => {
            with_unit(to_float(number), style).unwrap_or_else(|| grouped(&number.to_string()))
        }
    }
}

/// A rate or a ratio, with two decimals.
pub(crate) fn decimal(number: f64, style: HumanReadable) -> String {
    let plain = format!("{number:.2}");
    match style {
        HumanReadable::Digits => plain,
        HumanReadable::Grouped => match plain.split_once('.') {
            Some((whole, decimals)) => format!("{}.{decimals}", grouped(whole)),
            None => plain,
        },
        HumanReadable::Units1000 | HumanReadable::Units1024 => {
            with_unit(number, style).unwrap_or(plain)
        }
    }
}

/// The nearest number that is shown with decimals.
#[expect(clippy::cast_precision_loss, reason = "three significant digits are shown")]
pub(crate) fn to_float(number: u64) -> f64 {
    number as f64
}

/// The number with a unit; `None` below the first unit.
fn with_unit(number: f64, style: HumanReadable) -> Option<String> {
    let base = if style == HumanReadable::Units1024 { 1024.0 } else { 1000.0 };
    let mut scaled = number;
    let mut unit = None;
    for letter in UNITS {
        if scaled < base {
            break;
        }
        scaled /= base;
        unit = Some(letter);
    }
    unit.map(|letter| format!("{scaled:.2}{letter}"))
}

/// Digits with a comma between groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{count, decimal};
    use crate::settings::HumanReadable::{Digits, Grouped, Units1000, Units1024};

    #[test]
    fn counts_are_written_as_rsync_writes_them() {
        let check = |number: u64, expected: [&str; 4]| {
            assert_eq!([Digits, Grouped, Units1000, Units1024].map(|s| count(number, s)), expected);
        };
        check(0, ["0", "0", "0", "0"]);
        check(999, ["999", "999", "999", "999"]);
        check(1000, ["1000", "1,000", "1.00K", "1,000"]);
        check(1023, ["1023", "1,023", "1.02K", "1,023"]);
        check(1030, ["1030", "1,030", "1.03K", "1.01K"]);
        check(999_995, ["999995", "999,995", "1000.00K", "976.56K"]);
        check(1_234_567, ["1234567", "1,234,567", "1.23M", "1.18M"]);
        check(1 << 40, ["1099511627776", "1,099,511,627,776", "1.10T", "1.00T"]);
        check(
            u64::MAX,
            ["18446744073709551615", "18,446,744,073,709,551,615", "18446.74P", "16384.00P"],
        );
    }

    #[test]
    fn decimals_are_written_as_rsync_writes_them() {
        let check = |number: f64, expected: [&str; 4]| {
            let got = [Digits, Grouped, Units1000, Units1024].map(|s| decimal(number, s));
            assert_eq!(got, expected);
        };
        check(0.0, ["0.00", "0.00", "0.00", "0.00"]);
        check(80_730.0, ["80730.00", "80,730.00", "80.73K", "78.84K"]);
        check(1_234.567, ["1234.57", "1,234.57", "1.23K", "1.21K"]);
    }
}
