//! Numbers and booleans.

use std::num::IntErrorKind;

/// A flag's integer: decimal, or `0x`, `0o`, `0b` and a bare leading `0` for octal, with `_` between digits.
pub(crate) fn parse_i64(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => ("-", &text[1..]),
        [b'+', ..] => ("", &text[1..]),
        _ => ("", text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return Err(not_a_number(text));
    }
    let digits = format!("{sign}{}", digits.replace('_', ""));
    from_radix(text, &digits, radix)
}

/// A flag's integer that counts something.
pub(crate) fn parse_usize(text: &str) -> Result<usize, String> {
    usize::try_from(parse_i64(text)?).map_err(|_| format!("{text:?} is negative"))
}

/// A decimal integer with an optional sign.
pub(crate) fn parse_i64_decimal(text: &str) -> Result<i64, String> {
    from_radix(text, text, 10)
}

/// A hexadecimal integer without prefix, as etcd writes lease ids.
pub(crate) fn parse_hex_i64(text: &str) -> Result<i64, String> {
    from_radix(text, text, 16)
}

/// A hexadecimal integer without prefix or sign, as etcd writes ids of members.
pub(crate) fn parse_hex_u64(text: &str) -> Result<u64, String> {
    if text.starts_with('+') {
        return Err(not_a_number(text));
    }
    u64::from_str_radix(text, 16).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => format!("{text:?} is out of range"),
        _ => not_a_number(text),
    })
}

fn from_radix(text: &str, digits: &str, radix: u32) -> Result<i64, String> {
    i64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            format!("{text:?} is out of range")
        }
        _ => not_a_number(text),
    })
}

fn not_a_number(text: &str) -> String {
    format!("{text:?} is not a number")
}

/// A flag's boolean.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_go_prefixes() {
        for (text, number) in [
            ("0", 0),
            ("10", 10),
            ("-10", -10),
            ("+10", 10),
            ("0x1F", 31),
            ("-0b101", -5),
            ("0o17", 15),
            ("017", 15),
            ("1_000", 1000),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_i64(text), Ok(number), "{text}");
        }
        for text in [
            "",
            "-",
            "0x",
            "x",
            "1.5",
            "9223372036854775808",
            "--1",
            "0x-1",
            "08",
            "é",
        ] {
            assert!(parse_i64(text).is_err(), "{text:?}");
        }
        assert!(parse_usize("-1").is_err());
    }

    #[test]
    fn lease_ids_are_hexadecimal() {
        assert_eq!(parse_hex_i64("7f"), Ok(127));
        assert!(parse_hex_i64("zz").is_err());
        assert!(parse_hex_i64("ffffffffffffffff").is_err());
    }

    #[test]
    fn member_ids_are_hexadecimal() {
        assert_eq!(parse_hex_u64("8e9e05c52164694d"), Ok(0x8e9e_05c5_2164_694d));
        assert_eq!(parse_hex_u64("ffffffffffffffff"), Ok(u64::MAX));
        for text in ["", "zz", "-1", "+1", "0x1", "10000000000000000"] {
            assert!(parse_hex_u64(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn booleans_are_go_booleans() {
        assert_eq!(parse_bool("T"), Ok(true));
        assert_eq!(parse_bool("0"), Ok(false));
        assert!(parse_bool("yes").is_err());
    }
}
