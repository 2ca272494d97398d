//! A row as a format reads it, before any check.

use crate::number::Number;
use crate::units::{TimeField, Unit};

/// The place of a row in its document, and its text.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) row: i64,
    pub(crate) raw: &'a dyn Fn() -> String,
}

/// The times of a row as the document gives them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) event: TimeField,
    pub(crate) vendor: TimeField,
    pub(crate) known_after: TimeField,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct OptionDraft<'a> {
    pub(crate) times: Times,
    pub(crate) asset: Option<&'a str>,
    pub(crate) instrument: Option<&'a str>,
    pub(crate) expiry: TimeField,
    pub(crate) strike: Number,
    pub(crate) option_type: Option<&'a str>,
    pub(crate) settlement: Option<&'a str>,
    pub(crate) bid: Number,
    pub(crate) ask: Number,
    pub(crate) mark: Number,
    pub(crate) underlying_price: Number,
    pub(crate) mark_iv: Number,
    pub(crate) open_interest: Number,
    pub(crate) volume: Number,
    pub(crate) index_price: Number,
    pub(crate) exchange_delta: Number,
    pub(crate) exchange_vega: Number,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct TradeDraft<'a> {
    pub(crate) times: Times,
    pub(crate) trade_id: Option<String>,
    pub(crate) instrument: Option<&'a str>,
    pub(crate) direction: Option<&'a str>,
    pub(crate) amount: Number,
    pub(crate) price: Number,
    pub(crate) iv: Number,
    pub(crate) mark: Number,
    pub(crate) index_price: Number,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FutureDraft<'a> {
    pub(crate) times: Times,
    pub(crate) asset: Option<&'a str>,
    pub(crate) instrument: Option<&'a str>,
    pub(crate) expiry: TimeField,
    pub(crate) bid: Number,
    pub(crate) ask: Number,
    pub(crate) mark: Number,
    pub(crate) last: Number,
    pub(crate) open_interest: Number,
    pub(crate) volume: Number,
    pub(crate) index_price: Number,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct CandleDraft<'a> {
    pub(crate) times: Times,
    pub(crate) asset: Option<&'a str>,
    /// Open, high, low, close.
    pub(crate) prices: [Number; 4],
    pub(crate) volume: Number,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct MetricDraft<'a> {
    pub(crate) times: Times,
    pub(crate) asset: Option<&'a str>,
    pub(crate) metric: &'a str,
    pub(crate) value: Number,
    pub(crate) unit: Unit,
}
