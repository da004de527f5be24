//! Numbers and durations in the spelling that existing configurations use.

use std::time::Duration;

/// A whole number: decimal, `0x`, `0o`, `0b`, a leading `0` for octal, underscores between digits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let lower = digits.to_ascii_lowercase().replace('_', "");
    let (base, rest) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // `from_str_radix` takes a sign of its own.
    if !rest.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = i64::from_str_radix(rest, base).ok()?;
    Some(if negative { -value } else { value })
}

/// A sequence of number and unit: `1h30m`, `1.5s`, `0`. Negative durations are refused.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..end].parse().ok()?;
        let (unit, after) = unit_of(&rest[end..])?;
        seconds += amount * unit;
        rest = after;
    }
    if text.trim_start_matches('+').is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

/// Durations as the schema knows them.
pub(crate) const DURATION: &str =
    r"^([+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*|[+-]?0|)$";

/// A duration as it is written in configurations: `1h30m`, `45s`, `1.5s`.
pub(crate) fn duration_text(duration: Duration) -> String {
    let whole = duration.as_secs();
    let mut text = String::new();
    for (unit, amount) in [("h", whole / 3600), ("m", whole % 3600 / 60)] {
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    let seconds = (duration - Duration::from_secs(whole - whole % 60)).as_secs_f64();
    if seconds > 0.0 || text.is_empty() {
        text.push_str(&format!("{seconds}s"));
    }
    text
}

/// A Kubernetes quantity, near enough to tell which of two is larger.
pub(crate) fn amount(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let unit = UNITS.iter().find_map(|(name, factor)| Some((text.strip_suffix(name)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1.0));
    Some(digits.parse::<f64>().ok()? * factor)
}

/// The unit at the start of `text` in seconds, and what follows it.
fn unit_of(text: &str) -> Option<(f64, &str)> {
    let units = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("\u{b5}s", 1e-6),
        ("\u{3bc}s", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    units.iter().find_map(|(name, seconds)| Some((*seconds, text.strip_prefix(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let cases = [
            ("8", Some(8)),
            ("-1", Some(-1)),
            ("010", Some(8)),
            ("0x1F", Some(31)),
            ("1_000", Some(1000)),
            ("0", Some(0)),
            ("1e6", None),
            (" 1", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(integer(text), expected, "{text:?}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            ("30m", Some(1800)),
            ("1h30m", Some(5400)),
            ("0", Some(0)),
            ("0.5h", Some(1800)),
            ("30", None),
            ("1d", None),
            ("-5s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text), expected.map(Duration::from_secs), "{text:?}");
        }
    }
}
