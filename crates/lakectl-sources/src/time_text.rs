//! A quick reader of ISO 8601 times: a chain file repeats the same kind of text on every row.

use lakectl_core::{Day, UtcTime};

const FIRST: i64 = 631_152_000_000_000; // 1990-01-01
const LAST: i64 = 7_258_118_400_000_000; // 2200-01-01

/// Tells whether a time is one that market data can have; a wrong unit nearly always falls outside.
pub(crate) fn in_range(time: UtcTime) -> bool {
    (FIRST..LAST).contains(&time.micros())
}

/// Reads `YYYY-MM-DD`, or that with `T` or a space and `HH:MM[:SS[.f]]`, then nothing, `Z` or `+HH:MM`.
pub(crate) fn parse_iso(text: &[u8]) -> Option<UtcTime> {
    let (year, month, day) = (
        digits(text, 0, 4)?,
        digits(text, 5, 2)?,
        digits(text, 8, 2)?,
    );
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let midnight = Day::from_ymd(year as i32, month as u32, day as u32)?
        .start()
        .micros();
    let Some(separator) = text.get(10) else {
        return Some(UtcTime::from_micros(midnight));
    };
    if !matches!(separator, b'T' | b't' | b' ') || text.get(13) != Some(&b':') {
        return None;
    }
    let (hour, minute) = (digits(text, 11, 2)?, digits(text, 14, 2)?);
    let mut at = 16;
    let mut second = 0;
    let mut fraction = 0;
    if text.get(at) == Some(&b':') {
        second = digits(text, at + 1, 2)?;
        at += 3;
        if text.get(at) == Some(&b'.') {
            (fraction, at) = micros_of_fraction(text, at + 1)?;
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = offset_seconds(text.get(at..)?)?;
    let seconds = hour * 3_600 + minute * 60 + second - offset;
    Some(UtcTime::from_micros(
        midnight + seconds * 1_000_000 + fraction,
    ))
}

fn digits(text: &[u8], from: usize, count: usize) -> Option<i64> {
    let mut value = 0;
    for byte in text.get(from..from + count)? {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(value)
}

/// Reads decimals of a second; everything below a microsecond is cut off.
fn micros_of_fraction(text: &[u8], from: usize) -> Option<(i64, usize)> {
    let mut at = from;
    let mut value = 0;
    let mut unit = 100_000;
    while let Some(byte) = text.get(at).filter(|byte| byte.is_ascii_digit()) {
        value += i64::from(byte - b'0') * unit;
        unit /= 10;
        at += 1;
    }
    (at > from).then_some((value, at))
}

fn offset_seconds(rest: &[u8]) -> Option<i64> {
    match rest {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let minutes_at = match rest.len() {
                2 => return Some(signed(*sign, digits(rest, 0, 2)? * 3_600)),
                4 => 2,
                5 if rest[2] == b':' => 3,
                _ => return None,
            };
            let seconds = digits(rest, 0, 2)? * 3_600 + digits(rest, minutes_at, 2)? * 60;
            Some(signed(*sign, seconds))
        }
        _ => None,
    }
}

const fn signed(sign: u8, seconds: i64) -> i64 {
    if sign == b'-' { -seconds } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_agree_with_the_slow_reader() {
        for text in [
            "2026-01-05T09:21:45Z",
            "2026-01-01T09:18:35.173006+00:00",
            "2026-01-01 09:18:35",
            "2026-01-05T10:21:45+01:00",
            "2026-01-05T04:21:45.5-05:00",
            "2026-02-28",
            "2010-07-17 23:00:00",
        ] {
            let want: UtcTime = text.parse().unwrap();
            assert_eq!(parse_iso(text.as_bytes()), Some(want), "{text}");
        }
        let nanos = parse_iso(b"2026-01-01T00:00:00.000000000Z").unwrap();
        assert_eq!(nanos, "2026-01-01".parse().unwrap());
        for bad in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-01-01T",
            "2026-01-01T25:00",
            "2026-01-01T10",
            "2026-01-01T10:00:00.Z",
            "2026-01-01T10:00:00X",
            "2026/01/01",
            "2026-01-01T10:00:00+1",
        ] {
            assert_eq!(parse_iso(bad.as_bytes()), None, "{bad}");
        }
    }
}
