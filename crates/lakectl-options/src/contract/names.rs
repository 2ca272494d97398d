//! Names of options, futures and perpetuals in the spelling of each venue.
//!
//! A name is read by its parts and then written again: what does not come out letter by letter is
//! refused, so that a contract has one name a venue and a name one contract. No venue's name tells
//! the time of day; all of them settle at 08:00 UTC on the date in the name.

use lakectl_core::{Day, UtcTime};

use super::{Contract, NameError, OptionKind, Quote, Terms, Venue};

const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Hour of the day, UTC, at which contracts expire.
const EXPIRY_HOUR: i64 = 8;
/// More characters than any name has.
const NAME_LENGTH_MAX: usize = 64;
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// Letters of the months in which quarters end, as futures exchanges write them.
const QUARTERS: [(char, u32); 4] = [('H', 3), ('M', 6), ('U', 9), ('Z', 12)];

/// Reads the name of a contract as `venue` writes it; years are 2000 to 2099.
///
/// # Errors
/// The first part of the name that cannot be read, or [`NameError::Shape`] for one that the venue
/// would write otherwise.
pub fn parse_contract(name: &str, venue: Venue) -> Result<Contract, NameError> {
    if name.len() > NAME_LENGTH_MAX {
        return Err(NameError::Shape);
    }
    let contract = match venue {
        Venue::Deribit => deribit(name),
        Venue::Okx => okx(name),
        Venue::Bybit => bybit(name),
        Venue::Binance => binance(name),
    }?;
    match contract_name(&contract, venue) {
        Some(written) if written == name => Ok(contract),
        _ => Err(NameError::Shape),
    }
}

/// Writes the name of a contract as `venue` does, or `None` if it lists no such contract.
#[must_use]
pub fn contract_name(contract: &Contract, venue: Venue) -> Option<String> {
    let (asset, quote) = (&contract.asset, contract.quote);
    let code = quote.word();
    Some(match (venue, contract.terms) {
        (Venue::Deribit | Venue::Bybit | Venue::Binance, _) if quote == Quote::UsdMargined => {
            return None;
        }
        (Venue::Deribit, _) if quote == Quote::Usdt => return None,
        (Venue::Deribit, terms) => {
            let pair = pair(asset, quote);
            match terms {
                Terms::Option { .. } => {
                    format!("{pair}-{}", option_tail(terms, month_date, 'd')?)
                }
                Terms::Future { expiry } => format!("{pair}-{}", month_date(expiry)),
                Terms::Perpetual => format!("{pair}-PERPETUAL"),
                Terms::Synthetic { expiry } => format!("SYN.{pair}-{}", month_date(expiry)),
            }
        }
        (_, Terms::Synthetic { .. }) => return None,
        (Venue::Okx, Terms::Option { .. }) if matches!(quote, Quote::Usdt | Quote::UsdMargined) => {
            return None;
        }
        (Venue::Okx, Terms::Perpetual) => format!("{asset}-{code}-SWAP"),
        (Venue::Okx, Terms::Future { expiry }) => {
            format!("{asset}-{code}-{}", number_date(expiry))
        }
        (Venue::Okx, terms) => {
            format!("{asset}-{code}-{}", option_tail(terms, number_date, '.')?)
        }
        (Venue::Bybit, terms) => match (terms, quote) {
            (Terms::Option { .. }, Quote::Usd) => return None,
            (Terms::Option { .. }, Quote::Usdc) => {
                format!("{asset}-{}", option_tail(terms, month_date, '.')?)
            }
            (Terms::Option { .. }, Quote::Usdt) => {
                format!("{asset}-{}-USDT", option_tail(terms, month_date, '.')?)
            }
            (Terms::Future { expiry }, Quote::Usd) => {
                format!("{asset}USD{}", quarter_code(expiry)?)
            }
            (Terms::Future { expiry }, Quote::Usdc) => {
                format!("{asset}-{}", month_date_padded(expiry))
            }
            (Terms::Future { expiry }, Quote::Usdt) => {
                format!("{asset}USDT-{}", month_date_padded(expiry))
            }
            (_, Quote::Usdc) => format!("{asset}PERP"),
            (_, _) => format!("{asset}{code}"),
        },
        (Venue::Binance, Terms::Option { .. }) if quote != Quote::Usdt => return None,
        (Venue::Binance, Terms::Future { expiry }) => {
            format!("{asset}{code}_{}", number_date(expiry))
        }
        (Venue::Binance, Terms::Perpetual) if quote == Quote::Usd => format!("{asset}USD_PERP"),
        (Venue::Binance, Terms::Perpetual) => format!("{asset}{code}"),
        (Venue::Binance, terms) => format!("{asset}-{}", option_tail(terms, number_date, '.')?),
    })
}

fn deribit(name: &str) -> Result<Contract, NameError> {
    let (name, synthetic) = match name.strip_prefix("SYN.") {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let parts: Vec<&str> = name.split('-').collect();
    let (product, rest) = parts.split_first().ok_or(NameError::Shape)?;
    let terms = match *rest {
        ["PERPETUAL"] if !synthetic => Terms::Perpetual,
        [date] => {
            let expiry = month_expiry(date)?;
            match synthetic {
                true => Terms::Synthetic { expiry },
                false => Terms::Future { expiry },
            }
        }
        [date, strike, kind] if !synthetic => {
            let (asset, quote) = split_pair(product)?;
            let terms = option(month_expiry(date), strike, 'd', kind)?;
            return contract(asset, quote, terms);
        }
        _ => return Err(NameError::Shape),
    };
    let (asset, quote) = split_pair(product)?;
    contract(asset, quote, terms)
}

fn okx(name: &str) -> Result<Contract, NameError> {
    let parts: Vec<&str> = name.split('-').collect();
    let [asset, quote, rest @ ..] = parts.as_slice() else {
        return Err(NameError::Shape);
    };
    let quote = Quote::from_word(quote).ok_or(NameError::Settlement)?;
    let terms = match *rest {
        ["SWAP"] => Terms::Perpetual,
        [date] => Terms::Future {
            expiry: number_expiry(date)?,
        },
        [date, strike, kind] => option(number_expiry(date), strike, '.', kind)?,
        _ => return Err(NameError::Shape),
    };
    contract(asset, quote, terms)
}

fn bybit(name: &str) -> Result<Contract, NameError> {
    let parts: Vec<&str> = name.split('-').collect();
    match *parts.as_slice() {
        [asset, date, strike, kind] => {
            let terms = option(month_expiry(date), strike, '.', kind)?;
            contract(asset, Quote::Usdc, terms)
        }
        [asset, date, strike, kind, "USDT"] => {
            let terms = option(month_expiry(date), strike, '.', kind)?;
            contract(asset, Quote::Usdt, terms)
        }
        [product, date] => {
            let expiry = month_expiry(date.strip_prefix('0').unwrap_or(date))?;
            let (asset, quote) = match product.strip_suffix("USDT") {
                Some(asset) => (asset, Quote::Usdt),
                None => (product, Quote::Usdc),
            };
            contract(asset, quote, Terms::Future { expiry })
        }
        [product] => {
            if let Some((asset, expiry)) = inverse_quarter(product) {
                return contract(asset, Quote::Usd, Terms::Future { expiry: expiry? });
            }
            let (asset, quote) = match product.strip_suffix("PERP") {
                Some(asset) => (asset, Quote::Usdc),
                None => joined(product)?,
            };
            contract(asset, quote, Terms::Perpetual)
        }
        _ => Err(NameError::Shape),
    }
}

fn binance(name: &str) -> Result<Contract, NameError> {
    if let [asset, date, strike, kind] = *name.split('-').collect::<Vec<_>>().as_slice() {
        let terms = option(number_expiry(date), strike, '.', kind)?;
        return contract(asset, Quote::Usdt, terms);
    }
    let (product, term) = name.split_once('_').unwrap_or((name, "PERP"));
    let (asset, quote) = joined(product)?;
    let terms = match term {
        "PERP" => Terms::Perpetual,
        date => Terms::Future {
            expiry: number_expiry(date)?,
        },
    };
    contract(asset, quote, terms)
}

fn contract(asset: &str, quote: Quote, terms: Terms) -> Result<Contract, NameError> {
    let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    if asset.is_empty() || !asset.bytes().all(plain) {
        return Err(NameError::Asset);
    }
    Ok(Contract {
        asset: asset.to_owned(),
        quote,
        terms,
    })
}

fn option(
    expiry: Result<UtcTime, NameError>,
    strike: &str,
    point: char,
    kind: &str,
) -> Result<Terms, NameError> {
    Ok(Terms::Option {
        expiry: expiry?,
        strike: parse_strike(strike, point).ok_or(NameError::Strike)?,
        kind: match kind {
            "C" => OptionKind::Call,
            "P" => OptionKind::Put,
            _ => return Err(NameError::Kind),
        },
    })
}

/// `BTC` and `BTC_USDC`.
pub(super) fn pair(asset: &str, quote: Quote) -> String {
    match quote {
        Quote::Usd => asset.to_owned(),
        Quote::UsdMargined | Quote::Usdc | Quote::Usdt => format!("{asset}_{}", quote.word()),
    }
}

fn split_pair(product: &str) -> Result<(&str, Quote), NameError> {
    match product.split_once('_') {
        None => Ok((product, Quote::Usd)),
        Some((asset, "USDC")) => Ok((asset, Quote::Usdc)),
        Some(_) => Err(NameError::Settlement),
    }
}

/// `BTCUSDT`: the longest currency at the end counts.
fn joined(product: &str) -> Result<(&str, Quote), NameError> {
    [Quote::Usdt, Quote::Usdc, Quote::Usd]
        .into_iter()
        .find_map(|quote| Some((product.strip_suffix(quote.word())?, quote)))
        .ok_or(NameError::Settlement)
}

fn option_tail(terms: Terms, date: fn(UtcTime) -> String, point: char) -> Option<String> {
    let Terms::Option {
        expiry,
        strike,
        kind,
    } = terms
    else {
        return None;
    };
    let strike = strike_text(strike, point);
    Some(format!("{}-{strike}-{}", date(expiry), kind.letter()))
}

/// Display of a double is its shortest exact decimal form, never an exponent.
pub(super) fn strike_text(strike: f64, point: char) -> String {
    let text = strike.to_string();
    match point {
        '.' => text,
        other => text.replace('.', &other.to_string()),
    }
}

/// `3JAN26`.
pub(super) fn month_date(expiry: UtcTime) -> String {
    let (year, month, day) = expiry.day().ymd();
    let month = MONTHS[(month as usize + 11) % 12];
    format!("{day}{month}{:02}", year.rem_euclid(100))
}

/// `H26`: the last Friday of March 2026, for dates that are the last Friday of a quarter.
fn quarter_code(expiry: UtcTime) -> Option<String> {
    let day = expiry.day();
    let (year, month, _) = day.ymd();
    let (letter, _) = QUARTERS.into_iter().find(|quarter| quarter.1 == month)?;
    let listed = last_friday(year, month) == Some(day);
    listed.then(|| format!("{letter}{:02}", year.rem_euclid(100)))
}

/// The last Friday of a month of a quarter, which has 30 or 31 days.
fn last_friday(year: i32, month: u32) -> Option<Day> {
    let last = Day::from_ymd(year, month, 31).or_else(|| Day::from_ymd(year, month, 30))?;
    // 1970-01-02, day 1, was a Friday.
    Some(last.plus(-(last.days() - 1).rem_euclid(7)))
}

/// `BTCUSDH26`, and when it expires; `None` for a name of another form.
fn inverse_quarter(product: &str) -> Option<(&str, Result<UtcTime, NameError>)> {
    let (asset, code) = product.rsplit_once("USD")?;
    let (letter, year) = (code.chars().next()?, code.get(1..)?);
    let (_, month) = QUARTERS.into_iter().find(|quarter| quarter.0 == letter)?;
    let year = digits(year).filter(|_| year.len() == 2)?;
    let day = i32::try_from(year)
        .ok()
        .and_then(|year| last_friday(2000 + year, month));
    Some((asset, day.map(expiry_on).ok_or(NameError::Date)))
}

/// `03JAN26`.
fn month_date_padded(expiry: UtcTime) -> String {
    format!("{:0>7}", month_date(expiry))
}

/// `260103`.
fn number_date(expiry: UtcTime) -> String {
    let (year, month, day) = expiry.day().ymd();
    format!("{:02}{month:02}{day:02}", year.rem_euclid(100))
}

/// `3JAN26` or `13JAN26`; ASCII only, so byte positions are character positions.
fn month_expiry(text: &str) -> Result<UtcTime, NameError> {
    if !text.is_ascii() || !(6..=7).contains(&text.len()) || text.starts_with('0') {
        return Err(NameError::Date);
    }
    let (day, rest) = text.split_at(text.len() - 5);
    let (month, year) = rest.split_at(3);
    let month = MONTHS.iter().position(|name| *name == month);
    let month = month.ok_or(NameError::Date)? as u32 + 1;
    expiry_of(year, month, day)
}

/// `260103`.
fn number_expiry(text: &str) -> Result<UtcTime, NameError> {
    if !text.is_ascii() || text.len() != 6 {
        return Err(NameError::Date);
    }
    let month = digits(&text[2..4]).ok_or(NameError::Date)?;
    expiry_of(&text[..2], month, &text[4..])
}

fn expiry_of(year: &str, month: u32, day: &str) -> Result<UtcTime, NameError> {
    let (Some(year), Some(day)) = (digits(year), digits(day)) else {
        return Err(NameError::Date);
    };
    let year = i32::try_from(year).map_err(|_| NameError::Date)?;
    let day = Day::from_ymd(2000 + year, month, day).ok_or(NameError::Date)?;
    Ok(expiry_on(day))
}

fn expiry_on(day: Day) -> UtcTime {
    UtcTime::from_micros(day.start().micros() + EXPIRY_HOUR * MICROS_PER_HOUR)
}

fn parse_strike(text: &str, point: char) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || char::from(b) == point;
    if text.is_empty() || !text.bytes().all(plain) {
        return None;
    }
    let strike: f64 = text.replace(point, ".").parse().ok()?;
    // A number that is not written as we write it (leading zeros, too many digits) is no strike.
    let valid = strike > 0.0 && strike.is_finite() && strike_text(strike, point) == text;
    valid.then_some(strike)
}

fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> UtcTime {
        format!("{text}T08:00:00Z").parse().unwrap()
    }

    #[test]
    fn every_form_of_every_venue() {
        let option = |date, strike, kind| Terms::Option {
            expiry: day(date),
            strike,
            kind,
        };
        let call = option("2026-01-03", 88_000.0, OptionKind::Call);
        let put = option("2026-01-03", 0.5, OptionKind::Put);
        let future = Terms::Future {
            expiry: day("2026-01-03"),
        };
        let quarter = |date| Terms::Future { expiry: day(date) };
        let synthetic = Terms::Synthetic {
            expiry: day("2026-03-27"),
        };
        let (perpetual, usd, usdc, usdt) = (Terms::Perpetual, Quote::Usd, Quote::Usdc, Quote::Usdt);
        let cases = [
            (Venue::Deribit, "BTC-3JAN26-88000-C", usd, call),
            (Venue::Deribit, "BTC_USDC-3JAN26-0d5-P", usdc, put),
            (Venue::Deribit, "BTC-3JAN26", usd, future),
            (Venue::Deribit, "BTC_USDC-3JAN26", usdc, future),
            (Venue::Deribit, "BTC-PERPETUAL", usd, perpetual),
            (Venue::Deribit, "BTC_USDC-PERPETUAL", usdc, perpetual),
            (Venue::Deribit, "SYN.BTC-27MAR26", usd, synthetic),
            (Venue::Okx, "BTC-USD-260103-88000-C", usd, call),
            (Venue::Okx, "BTC-USDC-260103-0.5-P", usdc, put),
            (Venue::Okx, "BTC-USDT-260103", usdt, future),
            (Venue::Okx, "BTC-USD-SWAP", usd, perpetual),
            (Venue::Okx, "BTC-USD_UM-SWAP", Quote::UsdMargined, perpetual),
            (Venue::Okx, "BTC-USD_UM-260103", Quote::UsdMargined, future),
            (Venue::Bybit, "BTC-3JAN26-88000-C", usdc, call),
            (Venue::Bybit, "BTC-3JAN26-88000-C-USDT", usdt, call),
            (Venue::Bybit, "BTC-03JAN26", usdc, future),
            (Venue::Bybit, "BTCUSDT-03JAN26", usdt, future),
            (Venue::Bybit, "BTCUSD", usd, perpetual),
            (Venue::Bybit, "BTCUSDH26", usd, quarter("2026-03-27")),
            (Venue::Bybit, "BTCUSDM26", usd, quarter("2026-06-26")),
            (Venue::Bybit, "BTCUSDU21", usd, quarter("2021-09-24")),
            (Venue::Bybit, "BTCUSDZ27", usd, quarter("2027-12-31")),
            (Venue::Bybit, "BTCUSDT", usdt, perpetual),
            (Venue::Bybit, "BTCPERP", usdc, perpetual),
            (Venue::Binance, "BTC-260103-88000-C", usdt, call),
            (Venue::Binance, "BTCUSDT_260103", usdt, future),
            (Venue::Binance, "BTCUSD_260103", usd, future),
            (Venue::Binance, "BTCUSD_PERP", usd, perpetual),
            (Venue::Binance, "BTCUSDC", usdc, perpetual),
        ];
        for (venue, name, quote, terms) in cases {
            let found = parse_contract(name, venue).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(
                (found.asset.as_str(), found.quote),
                ("BTC", quote),
                "{name}"
            );
            assert_eq!(found.terms, terms, "{name}");
            assert_eq!(contract_name(&found, venue).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_a_venue_does_not_write_is_refused() {
        let cases = [
            (Venue::Deribit, "SYN.BTC-PERPETUAL"),
            (Venue::Deribit, "SYN.BTC-3JAN26-88000-C"),
            (Venue::Deribit, "BTC_USDT-PERPETUAL"),
            (Venue::Deribit, "BTC-3JAN26-88000.5-C"),
            (Venue::Deribit, "BTC-USD-260103-88000-C"),
            (Venue::Okx, "BTC-260103-88000-C"),
            (Venue::Okx, "BTC-USDT-260103-88000-C"),
            (Venue::Okx, "BTC-USD-261303"),
            (Venue::Bybit, "BTC-003JAN26"),
            (Venue::Bybit, "BTC-3JAN26"),
            (Venue::Bybit, "BTC-03JAN26-88000-C"),
            (Venue::Bybit, "BTC"),
            (Venue::Bybit, "BTCUSDF26"),
            (Venue::Bybit, "BTCUSDH2026"),
            (Venue::Bybit, "BTCUSDTH26"),
            (Venue::Okx, "BTC-USD_UM-260103-88000-C"),
            (Venue::Binance, "BTCUSDT_PERP"),
            (Venue::Binance, "BTCUSD"),
            (Venue::Binance, "BTC-260103-088000-C"),
            (Venue::Binance, "USDT"),
        ];
        for (venue, name) in cases {
            assert!(parse_contract(name, venue).is_err(), "{name}");
        }
    }

    #[test]
    fn the_part_that_cannot_be_read_is_named_in_any_script() {
        for (name, part) in [
            ("BTÇ-3JAN26-88000-C", NameError::Asset),
            ("BTC-3JÄN26-88000-C", NameError::Date),
            ("BTC-3JAN26-88٠00-C", NameError::Strike),
            ("BTC-3JAN26-88000-Ç", NameError::Kind),
        ] {
            assert_eq!(parse_contract(name, Venue::Deribit), Err(part), "{name}");
        }
        for venue in Venue::ALL {
            assert!(parse_contract("ÄUSDH26", venue).is_err());
            assert!(parse_contract("BTCUSDHä6", venue).is_err());
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn any_text_is_read_or_refused(
            text in "[A-Z0-9a-z_.ä-]{0,24}|(SYN\\.)?[A-Z]{1,4}(_?USD[CT]?)?(-[0-9A-Z.d]{1,8}){0,4}(_[0-9A-Z]{4,6})?"
        ) {
            for venue in Venue::ALL {
                if let Ok(contract) = parse_contract(&text, venue) {
                    proptest::prop_assert_eq!(contract_name(&contract, venue), Some(text.clone()));
                }
            }
        }

        #[test]
        fn names_and_contracts_identify_each_other(
            days in 10_957_i32..47_481, steps in 1_u32..2_000_000, scale in 0_i32..5, call in proptest::bool::ANY,
            form in 0..4, quote in 0..4_usize
        ) {
            let expiry = UtcTime::from_micros(Day::from_days(days).start().micros() + 8 * MICROS_PER_HOUR);
            let strike = f64::from(steps) / 10_f64.powi(scale);
            let kind = if call { OptionKind::Call } else { OptionKind::Put };
            let terms = match form {
                0 => Terms::Option { expiry, strike, kind },
                1 => Terms::Future { expiry },
                2 => Terms::Synthetic { expiry },
                _ => Terms::Perpetual,
            };
            let quote = [Quote::Usd, Quote::UsdMargined, Quote::Usdc, Quote::Usdt][quote];
            let contract = Contract { asset: "ETH".to_owned(), quote, terms };
            for venue in Venue::ALL {
                if let Some(name) = contract_name(&contract, venue) {
                    proptest::prop_assert_eq!(parse_contract(&name, venue), Ok(contract.clone()), "{}", name);
                }
            }
        }
    }
}
