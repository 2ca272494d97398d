//! Names of Deribit instruments: `BTC-3JAN26-88000-C`, `XRP_USDC-27JUN25-2d4-P`, `BTC-25DEC26`, `ETH-PERPETUAL`.

use lakectl_core::{Day, UtcTime};

/// Contracts on the venues we read expire at 08:00 UTC.
pub(crate) const EXPIRY_MICROS: i64 = 8 * 3_600_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Instrument<'a> {
    pub(crate) base: &'a str,
    /// Quoted and settled in a stablecoin rather than in the base coin.
    pub(crate) linear: bool,
    pub(crate) kind: Contract,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contract {
    Option {
        expiry: UtcTime,
        strike: f64,
        call: bool,
    },
    Future {
        expiry: UtcTime,
    },
    Perpetual,
}

/// Reads a name, or returns `None` if it does not follow the venue's pattern.
pub(crate) fn parse(name: &str) -> Option<Instrument<'_>> {
    let name = name.strip_prefix("SYN.").unwrap_or(name);
    let mut parts = name.split('-');
    let (pair, term) = (parts.next()?, parts.next()?);
    let (base, linear) = match pair.split_once('_') {
        Some((base, quote)) => (base, quote.starts_with("USD")),
        None => (pair, false),
    };
    if base.is_empty() || !base.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let kind = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) if term == "PERPETUAL" => Contract::Perpetual,
        (None, ..) => Contract::Future {
            expiry: expiry_of(term)?,
        },
        (Some(strike), Some(letter), None) => Contract::Option {
            expiry: expiry_of(term)?,
            strike: strike_of(strike)?,
            call: match letter {
                "C" => true,
                "P" => false,
                _ => return None,
            },
        },
        _ => return None,
    };
    Some(Instrument { base, linear, kind })
}

/// Writes the name of an option, for feeds that give only its terms.
pub(crate) fn option_name(asset: &str, expiry: UtcTime, strike: f64, call: bool) -> String {
    let (year, month, day) = expiry.day().ymd();
    let month = MONTHS
        .get(month.wrapping_sub(1) as usize)
        .copied()
        .unwrap_or("???");
    let strike = strike.to_string().replace('.', "d");
    let letter = if call { 'C' } else { 'P' };
    format!(
        "{asset}-{day}{month}{:02}-{strike}-{letter}",
        year.rem_euclid(100)
    )
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// `3JAN26` -> 2026-01-03 08:00 UTC.
fn expiry_of(text: &str) -> Option<UtcTime> {
    if !text.is_ascii() || !(6..=7).contains(&text.len()) {
        return None;
    }
    let (day, rest) = text.split_at(text.len() - 5);
    let (month, year) = rest.split_at(3);
    let month = MONTHS.iter().position(|name| *name == month)? as u32 + 1;
    if !year.bytes().all(|b| b.is_ascii_digit()) || !day.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let day = Day::from_ymd(2000 + year.parse::<i32>().ok()?, month, day.parse().ok()?)?;
    Some(UtcTime::from_micros(day.start().micros() + EXPIRY_MICROS))
}

fn strike_of(text: &str) -> Option<f64> {
    let regular = !text.is_empty()
        && text.len() <= 16
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'd');
    if !regular {
        return None;
    }
    text.replace('d', ".")
        .parse()
        .ok()
        .filter(|strike| *strike > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let call = parse("BTC-3JAN26-88000-C").unwrap();
        let expiry = "2026-01-03T08:00:00Z".parse().unwrap();
        assert_eq!(
            call.kind,
            Contract::Option {
                expiry,
                strike: 88_000.0,
                call: true
            }
        );
        assert_eq!((call.base, call.linear), ("BTC", false));
        assert_eq!(
            option_name("BTC", expiry, 88_000.0, true),
            "BTC-3JAN26-88000-C"
        );
        let put = parse("XRP_USDC-27JUN25-2d4-P").unwrap();
        assert!(matches!(
            put.kind,
            Contract::Option {
                strike: 2.4,
                call: false,
                ..
            }
        ));
        assert_eq!((put.base, put.linear), ("XRP", true));
        assert_eq!(parse("ETH-PERPETUAL").unwrap().kind, Contract::Perpetual);
        assert!(matches!(
            parse("SYN.BTC-25DEC26").unwrap().kind,
            Contract::Future { .. }
        ));
        for bad in [
            "",
            "BTC",
            "BTC-",
            "BTC-32JAN26",
            "BTC-3JAN26-88000",
            "BTC-3JAN26-88000-X",
            "BTC-3JAN26-0-C",
            "BTC-3JANé6-1-C",
            "BTC-FS-27JUN25_PERP",
            "BTC-3JAN26-1d2d3-C",
            "-3JAN26",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
