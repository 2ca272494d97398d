//! Text of numbers and times, written into a byte buffer without allocation.

use crate::calendar::civil;

const SCALES: [f64; 11] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// Rounds to a number of decimals, the way [`fixed`] prints it.
pub(crate) fn round(value: f64, decimals: usize) -> f64 {
    let scale = SCALES[decimals.min(10)];
    libm::round(value * scale) / scale
}

/// Appends `value` with at most `decimals` (<= 10) decimals and at least one, trailing zeros dropped.
pub(crate) fn fixed(out: &mut Vec<u8>, value: f64, decimals: usize) {
    let decimals = decimals.min(10);
    let scaled = libm::round(value * SCALES[decimals]);
    if scaled.is_nan() || scaled.abs() >= 9e18 {
        out.extend_from_slice(b"null");
        return;
    }
    if scaled < 0.0 {
        out.push(b'-');
    }
    let mut rest = scaled.abs() as u64;
    let mut digits = [b'0'; 24];
    let mut start = digits.len();
    while rest > 0 || digits.len() - start <= decimals {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let point = digits.len() - decimals;
    let mut end = digits.len();
    while end > point && digits[end - 1] == b'0' {
        end -= 1;
    }
    out.extend_from_slice(&digits[start..point]);
    out.push(b'.');
    if end > point {
        out.extend_from_slice(&digits[point..end]);
    } else {
        out.push(b'0');
    }
}

/// Appends a number or `null`.
pub(crate) fn fixed_or_null(out: &mut Vec<u8>, value: Option<f64>, decimals: usize) {
    match value {
        Some(value) => fixed(out, value, decimals),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a whole number.
pub(crate) fn integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let mut rest = value.unsigned_abs();
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends text as it is; the caller's text needs no escape.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(value.as_bytes());
}

/// `2026-03-20` for a number of days since 1970.
pub(crate) fn iso_date(day: i32) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}
