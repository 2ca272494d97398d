//! Deribit JSON-RPC answers: book summaries, trades, the volatility index, funding history.

use std::fmt::Write as _;

use serde::Deserialize;

use super::json::{list_text, read};
use crate::number::{Number, Scalar};
use crate::reject::{DocumentError, Reason, cut};
use crate::sink::{
    At, CandleDraft, FutureDraft, MetricDraft, OptionDraft, Sink, Times, TradeDraft,
};
use crate::units::{TimeUnit, Unit};

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<serde_json::Value>,
}

impl<T> Answer<T> {
    fn take(self) -> Result<T, DocumentError> {
        match (self.result, self.error) {
            (_, Some(error)) if !error.is_null() => Err(DocumentError::new(
                Reason::VendorError,
                cut(&error.to_string()),
            )),
            (Some(result), _) => Ok(result),
            (None, _) => Err(DocumentError::new(Reason::UnknownFormat, "no `result`")),
        }
    }
}

/// One line of `get_book_summary_by_currency`. Old bodies have no `mark_iv`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Summary {
    instrument_name: Scalar,
    creation_timestamp: Scalar,
    bid_price: Scalar,
    ask_price: Scalar,
    mark_price: Scalar,
    last: Scalar,
    underlying_price: Scalar,
    mark_iv: Scalar,
    open_interest: Scalar,
    volume: Scalar,
    estimated_delivery_price: Scalar,
}

impl Summary {
    fn times(&self) -> Times {
        Times {
            event: TimeUnit::Millis.read_scalar(&self.creation_timestamp),
            ..Times::default()
        }
    }

    fn raw(&self) -> String {
        let mut out = String::new();
        for (name, value) in [
            ("instrument_name", &self.instrument_name),
            ("creation_timestamp", &self.creation_timestamp),
            ("bid_price", &self.bid_price),
            ("ask_price", &self.ask_price),
            ("mark_price", &self.mark_price),
            ("last", &self.last),
            ("underlying_price", &self.underlying_price),
            ("mark_iv", &self.mark_iv),
            ("open_interest", &self.open_interest),
            ("volume", &self.volume),
            ("estimated_delivery_price", &self.estimated_delivery_price),
        ] {
            let open = if out.is_empty() { '{' } else { ',' };
            // Writing to a String cannot fail.
            let _ = write!(out, "{open}\"{name}\":{value}");
        }
        out.push('}');
        out
    }
}

/// Option book summaries; implied volatility arrives in percent.
pub(super) fn options(body: &[u8], sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    let rows = read::<Answer<Vec<Summary>>>(body)?.take()?;
    for (i, row) in rows.iter().enumerate() {
        let raw = || row.raw();
        let draft = OptionDraft {
            times: row.times(),
            instrument: row.instrument_name.text(),
            bid: row.bid_price.number(),
            ask: row.ask_price.number(),
            mark: row.mark_price.number(),
            underlying_price: row.underlying_price.number(),
            mark_iv: percent(&row.mark_iv),
            open_interest: row.open_interest.number(),
            volume: row.volume.number(),
            // The venue's estimate of the delivery price is its index.
            index_price: row.estimated_delivery_price.number(),
            ..OptionDraft::default()
        };
        sink.option(
            At {
                row: i as i64 + 1,
                raw: &raw,
            },
            &draft,
        );
    }
    Ok(())
}

/// Futures book summaries, perpetuals included.
pub(super) fn futures(body: &[u8], sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    let rows = read::<Answer<Vec<Summary>>>(body)?.take()?;
    for (i, row) in rows.iter().enumerate() {
        let raw = || row.raw();
        let draft = FutureDraft {
            times: row.times(),
            instrument: row.instrument_name.text(),
            bid: row.bid_price.number(),
            ask: row.ask_price.number(),
            mark: row.mark_price.number(),
            last: row.last.number(),
            open_interest: row.open_interest.number(),
            volume: row.volume.number(),
            index_price: row.estimated_delivery_price.number(),
            ..FutureDraft::default()
        };
        sink.future(
            At {
                row: i as i64 + 1,
                raw: &raw,
            },
            &draft,
        );
    }
    Ok(())
}

#[derive(Deserialize)]
struct TradePage {
    trades: Vec<Trade>,
}

/// One line of `get_last_trades_by_currency` and its kin.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Trade {
    trade_id: Scalar,
    timestamp: Scalar,
    instrument_name: Scalar,
    direction: Scalar,
    amount: Scalar,
    price: Scalar,
    iv: Scalar,
    mark_price: Scalar,
    index_price: Scalar,
}

impl Trade {
    fn raw(&self) -> String {
        format!(
            "{{\"trade_id\":{},\"timestamp\":{},\"instrument_name\":{},\"direction\":{},\"amount\":{},\"price\":{},\"iv\":{}}}",
            self.trade_id,
            self.timestamp,
            self.instrument_name,
            self.direction,
            self.amount,
            self.price,
            self.iv
        )
    }
}

/// Trades of options: the direction is the taker's, the amount is in contracts of one coin, the volatility in percent.
pub(super) fn trades(body: &[u8], sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    let page = read::<Answer<TradePage>>(body)?.take()?;
    for (i, row) in page.trades.iter().enumerate() {
        let raw = || row.raw();
        let draft = TradeDraft {
            times: Times {
                event: TimeUnit::Millis.read_scalar(&row.timestamp),
                ..Times::default()
            },
            trade_id: identifier(&row.trade_id),
            instrument: row.instrument_name.text(),
            direction: row.direction.text(),
            amount: row.amount.number(),
            price: row.price.number(),
            iv: percent(&row.iv),
            mark: row.mark_price.number(),
            index_price: row.index_price.number(),
        };
        sink.trade(
            At {
                row: i as i64 + 1,
                raw: &raw,
            },
            &draft,
        );
    }
    Ok(())
}

/// A name that a venue writes as text or as a number.
fn identifier(value: &Scalar) -> Option<String> {
    match value {
        Scalar::Text(text) if !text.is_empty() => Some(text.clone()),
        Scalar::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[derive(Deserialize)]
struct IndexPage {
    data: Vec<Vec<Scalar>>,
}

/// Bars of the volatility index, `[ms, open, high, low, close]` in percent.
pub(super) fn volatility_index(body: &[u8], sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    let page = read::<Answer<IndexPage>>(body)?.take()?;
    for (i, row) in page.data.iter().enumerate() {
        let raw = || list_text(row);
        let at = At {
            row: i as i64 + 1,
            raw: &raw,
        };
        let [time, open, high, low, close] = row.as_slice() else {
            sink.malformed(
                at,
                Reason::FieldCount,
                format!("{} values, expected 5", row.len()),
            );
            continue;
        };
        let mut draft = CandleDraft {
            prices: [open, high, low, close].map(percent),
            ..CandleDraft::default()
        };
        draft.times.event = TimeUnit::Millis.read_scalar(time);
        sink.candle(at, &draft);
    }
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FundingRow {
    timestamp: Scalar,
    interest_8h: Scalar,
}

/// Funding history: the rate of the eight hours before each time, as a fraction.
pub(super) fn funding(body: &[u8], sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    let rows = read::<Answer<Vec<FundingRow>>>(body)?.take()?;
    for (i, row) in rows.iter().enumerate() {
        let raw = || {
            format!(
                "{{\"timestamp\":{},\"interest_8h\":{}}}",
                row.timestamp, row.interest_8h
            )
        };
        let mut draft = MetricDraft {
            metric: "funding_8h",
            value: row.interest_8h.number(),
            unit: Unit::Fraction,
            ..MetricDraft::default()
        };
        draft.times.event = TimeUnit::Millis.read_scalar(&row.timestamp);
        sink.metric(
            At {
                row: i as i64 + 1,
                raw: &raw,
            },
            &draft,
        );
    }
    Ok(())
}

fn percent(value: &Scalar) -> Number {
    value.number().map(|value| Unit::Percent.to_stored(value))
}
