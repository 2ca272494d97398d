//! What an option is: its kind, settlement, and the names that venues give to it.

use lakectl_core::UtcTime;

mod names;
mod terms;

pub use names::{contract_name, parse_contract};
pub use terms::{Contract, Quote, Terms, Venue};

const MICROS_PER_YEAR: f64 = 365.0 * 86_400.0 * 1e6;

/// Right of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OptionKind {
    /// Right to buy.
    Call,
    /// Right to sell.
    Put,
}

impl OptionKind {
    /// Reads the first letter of `call` or `put` in any of the spellings that feeds use.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "call" | "CALL" | "Call" | "C" | "c" => Some(Self::Call),
            "put" | "PUT" | "Put" | "P" | "p" => Some(Self::Put),
            _ => None,
        }
    }

    /// Returns `+1.0` for a call and `-1.0` for a put, the sign in Black's formula.
    #[must_use]
    pub const fn sign(self) -> f64 {
        match self {
            Self::Call => 1.0,
            Self::Put => -1.0,
        }
    }

    /// Returns `C` or `P`, the last letter of a venue name.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Call => 'C',
            Self::Put => 'P',
        }
    }

    /// Returns the lower-case word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Put => "put",
        }
    }
}

/// What premium and pay-off are paid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Settlement {
    /// Paid in the coin itself: the quoted premium is a fraction of one coin.
    Inverse,
    /// Paid in a dollar coin: the quoted premium is in dollars.
    Linear,
}

impl Settlement {
    /// Returns the lower-case word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inverse => "inverse",
            Self::Linear => "linear",
        }
    }
}

/// An option as its name describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    /// Coin, upper case (`BTC`).
    pub asset: String,
    /// Expiry, 08:00 UTC on the date in the name.
    pub expiry: UtcTime,
    /// Strike in dollars, greater than zero.
    pub strike: f64,
    /// Call or put.
    pub kind: OptionKind,
    /// Coin or dollar settled.
    pub settlement: Settlement,
}

/// Why a text is not the name of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No form of name that the venue uses.
    #[error("not a form of name that this venue uses")]
    Shape,
    /// The asset is empty or has characters other than `A-Z` and `0-9`.
    #[error("the asset must be upper-case letters and digits")]
    Asset,
    /// A quote currency that the venue does not use for this kind of contract.
    #[error("the contract is not quoted in this currency")]
    Settlement,
    /// Not a date as the venue writes it, or no such day.
    #[error("the expiry must be a date as the venue writes it, like 3JAN26 or 260103")]
    Date,
    /// Not a positive number like `88000`, `0d5` or `0.5`.
    #[error("the strike must be a positive number without leading or trailing zeros")]
    Strike,
    /// Neither `C` nor `P`.
    #[error("the last part must be C or P")]
    Kind,
}

impl NameError {
    /// Returns the word that tables use for this status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::Asset => "asset",
            Self::Settlement => "settlement",
            Self::Date => "date",
            Self::Strike => "strike",
            Self::Kind => "option_type",
        }
    }
}

/// Reads a Deribit option name: `BTC-3JAN26-88000-C`, `BTC_USDC-26JUN26-60000-P`,
/// `XRP_USDC-30JUN23-0d5-C` (`d` is the decimal point).
///
/// Only the spelling that [`instrument_name`] writes is accepted (no leading zeros), so name and
/// instrument identify each other. Years are 2000 to 2099. For futures, perpetuals and other venues
/// see [`parse_contract`].
///
/// # Errors
/// The first part of the name that cannot be read.
pub fn parse_instrument(name: &str) -> Result<Instrument, NameError> {
    let contract = parse_contract(name, Venue::Deribit)?;
    let Terms::Option {
        expiry,
        strike,
        kind,
    } = contract.terms
    else {
        return Err(NameError::Shape);
    };
    Ok(Instrument {
        asset: contract.asset,
        expiry,
        strike,
        kind,
        settlement: contract.quote.settlement(),
    })
}

/// Writes the Deribit name of an instrument, the inverse of [`parse_instrument`].
///
/// The time of day of the expiry is not part of the name.
#[must_use]
pub fn instrument_name(instrument: &Instrument) -> String {
    let quote = match instrument.settlement {
        Settlement::Inverse => Quote::Usd,
        Settlement::Linear => Quote::Usdc,
    };
    let product = names::pair(&instrument.asset, quote);
    let date = names::month_date(instrument.expiry);
    let strike = names::strike_text(instrument.strike, 'd');
    format!("{product}-{date}-{strike}-{}", instrument.kind.letter())
}

/// Returns the time between two instants in years of 365 days, negative if `to` is earlier.
///
/// `from_micros` and `to_micros` are microseconds since 1970.
#[must_use]
pub fn year_fraction(from_micros: i64, to_micros: i64) -> f64 {
    // Through i128: the difference of two extreme instants does not fit into i64.
    (i128::from(to_micros) - i128::from(from_micros)) as f64 / MICROS_PER_YEAR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_instruments_identify_each_other() {
        let cases = [
            (
                "BTC-3JAN26-88000-C",
                "BTC",
                "2026-01-03T08:00:00Z",
                88_000.0,
                OptionKind::Call,
                Settlement::Inverse,
            ),
            (
                "ETH-27MAR26-3200-P",
                "ETH",
                "2026-03-27T08:00:00Z",
                3_200.0,
                OptionKind::Put,
                Settlement::Inverse,
            ),
            (
                "BTC_USDC-26JUN26-60000-P",
                "BTC",
                "2026-06-26T08:00:00Z",
                60_000.0,
                OptionKind::Put,
                Settlement::Linear,
            ),
            (
                "XRP_USDC-30JUN23-0d5-C",
                "XRP",
                "2023-06-30T08:00:00Z",
                0.5,
                OptionKind::Call,
                Settlement::Linear,
            ),
            (
                "XRP_USDC-29FEB24-0d5125-C",
                "XRP",
                "2024-02-29T08:00:00Z",
                0.5125,
                OptionKind::Call,
                Settlement::Linear,
            ),
        ];
        for (name, asset, expiry, strike, kind, settlement) in cases {
            let found = parse_instrument(name).unwrap();
            assert_eq!(found.asset, asset);
            assert_eq!(found.expiry.to_string(), expiry);
            assert_eq!(found.strike, strike);
            assert_eq!(found.kind, kind);
            assert_eq!(found.settlement, settlement);
            assert_eq!(instrument_name(&found), name);
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_part_that_is_wrong() {
        let cases = [
            ("", NameError::Shape),
            ("BTC-PERPETUAL", NameError::Shape),
            ("BTC-3JAN26-88000-C-X", NameError::Shape),
            ("BTC-3JAN26", NameError::Shape),
            ("-3JAN26-88000-C", NameError::Asset),
            ("btc-3JAN26-88000-C", NameError::Asset),
            ("BTC_EURC-3JAN26-88000-C", NameError::Settlement),
            ("BTC-03JAN26-88000-C", NameError::Date),
            ("BTC-30FEB26-88000-C", NameError::Date),
            ("BTC-3JAX26-88000-C", NameError::Date),
            ("BTC-+3JAN26-88000-C", NameError::Date),
            ("BTC-3JÄN26-88000-C", NameError::Date),
            ("BTC-3JAN26--C", NameError::Strike),
            ("BTC-3JAN26-0-C", NameError::Strike),
            ("BTC-3JAN26-088000-C", NameError::Strike),
            ("BTC-3JAN26-0d50-C", NameError::Strike),
            ("BTC-3JAN26-1e5-C", NameError::Strike),
            ("BTC-3JAN26-88000-X", NameError::Kind),
        ];
        for (name, error) in cases {
            assert_eq!(parse_instrument(name), Err(error), "{name}");
        }
    }

    #[test]
    fn year_is_365_days() {
        assert_eq!(year_fraction(0, 365 * 86_400_000_000), 1.0);
        assert_eq!(year_fraction(86_400_000_000, 0), -1.0 / 365.0);
        assert!(year_fraction(i64::MIN, i64::MAX).is_finite());
    }
}
