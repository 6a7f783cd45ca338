//! Sizes as rsync reads them: `10`, `1.5m`, `2GiB`, `3kb`, `1g-1`.
//!
//! A unit is a letter of `bkmgtp` in any case. Alone or with `ib` it counts in 1024, with `b` in
//! 1000. `+1` or `-1` behind it moves the size by one byte.

/// Largest size there is, bytes.
const LARGEST: u128 = i64::MAX as u128;

/// The size in bytes; `default_unit` is the letter that an absent unit stands for. `None` where
/// the text is no size or too large.
pub(super) fn parse(text: &str, default_unit: u8) -> Option<u64> {
    let (number, rest) = split_number(text);
    let (multiplier, rest) = unit(rest.as_bytes(), default_unit)?;
    let offset: i128 = match rest {
        b"" => 0,
        b"+1" => 1,
        b"-1" => -1,
        _ => return None,
    };
    let size = scale(number, multiplier)?;
    u128::try_from(i128::try_from(size).ok()? + offset)
        .ok()
        .filter(|size| *size < LARGEST)
        .and_then(|size| u64::try_from(size).ok())
}

fn split_number(text: &str) -> (&str, &str) {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let end = match text[whole..].strip_prefix('.') {
        Some(fraction) => whole + 1 + digits(fraction),
        None => whole,
    };
    text.split_at(end)
}

fn unit(rest: &[u8], default_unit: u8) -> Option<(u128, &[u8])> {
    let exponent = |letter: u8| {
        b"bkmgtp"
            .iter()
            .position(|unit| *unit == letter.to_ascii_lowercase())
            .and_then(|n| u32::try_from(n).ok())
    };
    let Some((power, rest)) =
        rest.split_first().and_then(|(letter, rest)| Some((exponent(*letter)?, rest)))
    else {
        return Some((1024_u128.pow(exponent(default_unit)?), rest));
    };
    Some(match rest {
        [b'b' | b'B', rest @ ..] => (1000_u128.pow(power), rest),
        [b'i' | b'I', b'b' | b'B', rest @ ..] => (1024_u128.pow(power), rest),
        _ => (1024_u128.pow(power), rest),
    })
}

/// Digits behind the point that count: more cannot change a size below 2^63 bytes in units of
/// 1024^5 by a byte that anyone meant.
const FRACTION_DIGITS: usize = 15;

fn scale(number: &str, multiplier: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS)];
    let value =
        |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let divisor = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = value(whole)?.checked_mul(multiplier)?;
    parts.checked_add(value(fraction)?.checked_mul(multiplier)? / divisor)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text, b'B'), expected, "{text}");
    }

    #[test]
    fn reads_sizes_as_rsync_does() {
        check("10", Some(10));
        check("10k", Some(10 << 10));
        check("10K", Some(10 << 10));
        check("10kb", Some(10_000));
        check("10KiB", Some(10 << 10));
        check("1.5m", Some(3 << 19));
        check("1.5mb-1", Some(1_499_999));
        check("2g+1", Some((2 << 30) + 1));
        check("1b", Some(1));
        check("1bb", Some(1));
        check("1t", Some(1 << 40));
        check(".5k", Some(512));
        check("1.k", Some(1024));
        check("1.1m", Some(1_153_433));
        check("", Some(0));
        check("k", Some(0));
        check("8191P", Some(8191 << 50));
        check("10-1", Some(9));
    }

    #[test]
    fn refuses_what_is_no_size() {
        for bad in [
            "2g+2",
            "+5",
            "-5",
            "1ib",
            "1kx",
            "1 k",
            "8192P",
            "8192P-1",
            "1e3",
            "1.5.5k",
            "0-1",
            "99999999999999999999",
            "x",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn an_absent_unit_is_what_the_option_says() {
        assert_eq!(parse("5", b'K'), Some(5 << 10));
        assert_eq!(parse("5b", b'K'), Some(5));
    }
}
