//! Durations: `5s`, `1m30s`, `1.5h`, `500ms`.

use std::time::Duration;

/// Go's units with their length in nanoseconds, longest name first so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, the micro sign
    ("μs", 1_000), // U+03BC, the Greek letter
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest duration Go can hold: the largest signed 64-bit number of nanoseconds.
const LONGEST: u128 = i64::MAX as u128;

/// Reads a duration that is not negative.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration {text:?}; write it like 5s, 1m30s or 500ms");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.starts_with('-') {
        return Err(format!("the duration {text:?} is negative"));
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u128;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_len = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        if unit.is_empty() {
            return Err(format!(
                "the duration {text:?} lacks a unit; write it like 5s, 1m30s or 500ms"
            ));
        }
        let (_, length) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| {
                format!(
                    "unknown unit {unit:?} in duration {text:?}; units are ns, us, ms, s, m and h"
                )
            })?;
        let whole = if whole.is_empty() {
            0
        } else {
            whole.parse::<u64>().map_err(|_| invalid())?
        };
        total = total
            .saturating_add(u128::from(whole).saturating_mul(u128::from(*length)))
            .saturating_add(part_of(fraction, *length));
        if total > LONGEST {
            return Err(format!("the duration {text:?} is too long"));
        }
        rest = after;
    }
    let nanos = u64::try_from(total).map_err(|_| invalid())?;
    Ok(Duration::from_nanos(nanos))
}

/// Splits off the leading decimal digits.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The given decimal fraction of a unit, in nanoseconds; what is below a nanosecond is dropped.
fn part_of(fraction: &str, length: u64) -> u128 {
    // The longest unit has 13 digits, so that later digits of a fraction never reach a nanosecond.
    let fraction = &fraction[..fraction.len().min(13)];
    let numerator = fraction
        .bytes()
        .fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    numerator * u128::from(length) / 10_u128.pow(fraction.len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h1m1.5s", 3_661_500_000_000),
            ("500ms", 500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("2us", 2_000),
            ("2µs", 2_000),
            ("2μs", 2_000),
            ("1.5ns", 1),
            ("0.000000001s", 1),
            ("0.333333333333333333333333333333333333333s", 333_333_333),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "5",
            "s",
            ".s",
            "5 s",
            "5x",
            "-1s",
            "1s-1s",
            "+",
            "99999999999h",
            "18446744073709551616ns",
            "\u{0}",
            "5sé",
        ] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
