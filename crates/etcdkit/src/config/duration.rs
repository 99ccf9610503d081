//! Durations as etcd's tools write them: `300ms`, `1.5h`, `2h45m`.

use std::time::Duration;

/// Nanoseconds of each unit of Go's durations, which etcdctl's flags and variables take.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Parses a duration: numbers with units, one after the other, or `0`. There is no way to write a
/// negative one, since no setting takes it.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let number_end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, behind) = rest.split_at(number_end);
        let unit_end = behind
            .find(|char: char| char.is_ascii_digit() || char == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let number: f64 = number.parse().ok()?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos += number * size;
        rest = behind;
    }
    // Go's durations are signed 64-bit nanoseconds.
    (nanos <= i64::MAX as f64).then(|| Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let millis = Duration::from_millis;
        for (text, wanted) in [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("5s", millis(5_000)),
            ("+5s", millis(5_000)),
            ("300ms", millis(300)),
            ("1.5h", millis(5_400_000)),
            ("2h45m", millis(9_900_000)),
            ("1m0.5s", millis(60_500)),
            (".5s", millis(500)),
            ("5000000000ns", millis(5_000)),
            ("1000us", millis(1)),
            ("1000µs", millis(1)),
        ] {
            assert_eq!(parse(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "+",
            "5",
            "s",
            ".s",
            "-1s",
            "5 s",
            "5x",
            "1..5s",
            "5s3",
            "NaNs",
            "infs",
            "9999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
