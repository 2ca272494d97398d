//! The typed rows of each kind and their Arrow form.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use lakectl_core::{ColumnType, Contract, UtcTime};

use crate::availability::Basis;
use crate::feed::{Feed, RowKind};

pub(crate) const UTC: &str = "UTC";

const COMMON: &str = "asset utf8?, event_time ts, known_at ts, known_at_basis utf8, vendor_time ts?, \
                      document_time ts, document_id utf8, sequence i64, dataset utf8, replacement utf8";
const OPTION_QUOTES: &str = "instrument utf8, expiry ts, strike f64, option_type utf8, settlement utf8, bid f64?, ask f64?, \
                             mark f64?, underlying_price f64?, mark_iv f64?, open_interest f64?, volume f64?, \
                             index_price f64?, exchange_delta f64?, exchange_vega f64?";
const OPTION_TRADES: &str = "trade_id utf8, instrument utf8, expiry ts, strike f64, option_type utf8, settlement utf8, \
                             taker_side utf8, contracts f64, price f64, iv f64?, mark f64?, index_price f64?";
const FUTURE_QUOTES: &str = "instrument utf8, expiry ts?, bid f64?, ask f64?, mark f64?, last f64?, open_interest f64?, \
                             volume f64?, index_price f64?";
const CANDLES: &str =
    "series utf8, venue utf8, width_s i64, open f64, high f64, low f64, close f64, volume f64?";
const METRICS: &str = "metric utf8, value f64?, unit utf8, venue utf8";

/// Returns the columns of a feed's rows: ten common ones, then those of its kind.
pub fn row_contract(feed: Feed) -> Contract {
    let own = match feed.row_kind() {
        RowKind::OptionQuotes => OPTION_QUOTES,
        RowKind::OptionTrades => OPTION_TRADES,
        RowKind::FutureQuotes => FUTURE_QUOTES,
        RowKind::Candles => CANDLES,
        RowKind::Metrics => METRICS,
    };
    contract_of(&[COMMON, own])
}

/// Returns the Arrow schema of a feed's rows; times are microseconds in `UTC`.
pub fn row_schema(feed: Feed) -> SchemaRef {
    schema_of(&row_contract(feed))
}

pub(crate) fn contract_of(parts: &[&str]) -> Contract {
    parts
        .join(", ")
        .parse()
        .expect("the contracts of this crate are constants and tested")
}

pub(crate) fn schema_of(contract: &Contract) -> SchemaRef {
    let fields = contract.columns().iter().map(|column| {
        let kind = match column.kind {
            ColumnType::Utf8 => DataType::Utf8,
            ColumnType::I64 => DataType::Int64,
            ColumnType::F64 => DataType::Float64,
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Ts => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            ColumnType::Date => DataType::Date32,
            ColumnType::Binary => DataType::Binary,
        };
        Field::new(&column.name, kind, column.nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What every row has of its own; the rest of the common columns belongs to the document.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) asset: Option<String>,
    pub(crate) event_time: UtcTime,
    pub(crate) known_at: UtcTime,
    pub(crate) basis: Basis,
    pub(crate) vendor_time: Option<UtcTime>,
}

#[derive(Clone, Debug)]
pub(crate) struct OptionRow {
    pub(crate) instrument: String,
    pub(crate) expiry: UtcTime,
    pub(crate) strike: f64,
    pub(crate) call: bool,
    pub(crate) settlement: &'static str,
    pub(crate) bid: Option<f64>,
    pub(crate) ask: Option<f64>,
    pub(crate) mark: Option<f64>,
    pub(crate) underlying_price: Option<f64>,
    pub(crate) mark_iv: Option<f64>,
    pub(crate) open_interest: Option<f64>,
    pub(crate) volume: Option<f64>,
    pub(crate) index_price: Option<f64>,
    pub(crate) exchange_delta: Option<f64>,
    pub(crate) exchange_vega: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct TradeRow {
    pub(crate) trade_id: String,
    pub(crate) instrument: String,
    pub(crate) expiry: UtcTime,
    pub(crate) strike: f64,
    pub(crate) call: bool,
    pub(crate) settlement: &'static str,
    pub(crate) taker_side: &'static str,
    pub(crate) contracts: f64,
    pub(crate) price: f64,
    pub(crate) iv: Option<f64>,
    pub(crate) mark: Option<f64>,
    pub(crate) index_price: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct FutureRow {
    pub(crate) instrument: String,
    pub(crate) expiry: Option<UtcTime>,
    pub(crate) bid: Option<f64>,
    pub(crate) ask: Option<f64>,
    pub(crate) mark: Option<f64>,
    pub(crate) last: Option<f64>,
    pub(crate) open_interest: Option<f64>,
    pub(crate) volume: Option<f64>,
    pub(crate) index_price: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct CandleRow {
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct MetricRow {
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// The rows of one document, of the one kind that its dataset feeds.
#[derive(Debug)]
pub(crate) enum Body {
    Options(Vec<OptionRow>),
    Trades(Vec<TradeRow>),
    Futures(Vec<FutureRow>),
    Candles(Vec<CandleRow>),
    Metrics(Vec<MetricRow>),
}

impl Body {
    pub(crate) fn new(kind: RowKind) -> Self {
        match kind {
            RowKind::OptionQuotes => Self::Options(Vec::new()),
            RowKind::OptionTrades => Self::Trades(Vec::new()),
            RowKind::FutureQuotes => Self::Futures(Vec::new()),
            RowKind::Candles => Self::Candles(Vec::new()),
            RowKind::Metrics => Self::Metrics(Vec::new()),
        }
    }
}

/// Columns that are the same on every row of a document.
#[derive(Debug)]
pub(crate) struct Constants<'a> {
    pub(crate) feed: Feed,
    pub(crate) document_time: UtcTime,
    pub(crate) document_id: String,
    pub(crate) sequence: i64,
    pub(crate) dataset: &'a str,
    pub(crate) replacement: &'a str,
    pub(crate) series: &'a str,
    pub(crate) venue: &'a str,
    pub(crate) width_s: i64,
}

pub(crate) fn batch(constants: &Constants<'_>, stamps: &[Stamp], body: &Body) -> RecordBatch {
    let mut columns = common(constants, stamps);
    columns.extend(match body {
        Body::Options(rows) => options(rows),
        Body::Trades(rows) => trades(rows),
        Body::Futures(rows) => futures(rows),
        Body::Candles(rows) => candles(constants, rows),
        Body::Metrics(rows) => metrics(constants, rows),
    });
    RecordBatch::try_new(row_schema(constants.feed), columns)
        .expect("columns are built after the schema and have one value a row")
}

fn common(constants: &Constants<'_>, stamps: &[Stamp]) -> Vec<ArrayRef> {
    let count = stamps.len();
    vec![
        Arc::new(StringArray::from_iter(
            stamps.iter().map(|s| s.asset.as_deref()),
        )),
        times(stamps, |s| Some(s.event_time)),
        times(stamps, |s| Some(s.known_at)),
        texts(stamps, |s| s.basis.word()),
        times(stamps, |s| s.vendor_time),
        times(stamps, |_| Some(constants.document_time)),
        repeated(&constants.document_id, count),
        Arc::new(Int64Array::from_value(constants.sequence, count)),
        repeated(constants.dataset, count),
        repeated(constants.replacement, count),
    ]
}

fn options(rows: &[OptionRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |r| &r.instrument),
        times(rows, |r| Some(r.expiry)),
        floats(rows, |r| Some(r.strike)),
        texts(rows, |r| if r.call { "call" } else { "put" }),
        texts(rows, |r| r.settlement),
        floats(rows, |r| r.bid),
        floats(rows, |r| r.ask),
        floats(rows, |r| r.mark),
        floats(rows, |r| r.underlying_price),
        floats(rows, |r| r.mark_iv),
        floats(rows, |r| r.open_interest),
        floats(rows, |r| r.volume),
        floats(rows, |r| r.index_price),
        floats(rows, |r| r.exchange_delta),
        floats(rows, |r| r.exchange_vega),
    ]
}

fn trades(rows: &[TradeRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |r| &r.trade_id),
        texts(rows, |r| &r.instrument),
        times(rows, |r| Some(r.expiry)),
        floats(rows, |r| Some(r.strike)),
        texts(rows, |r| if r.call { "call" } else { "put" }),
        texts(rows, |r| r.settlement),
        texts(rows, |r| r.taker_side),
        floats(rows, |r| Some(r.contracts)),
        floats(rows, |r| Some(r.price)),
        floats(rows, |r| r.iv),
        floats(rows, |r| r.mark),
        floats(rows, |r| r.index_price),
    ]
}

fn futures(rows: &[FutureRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |r| &r.instrument),
        times(rows, |r| r.expiry),
        floats(rows, |r| r.bid),
        floats(rows, |r| r.ask),
        floats(rows, |r| r.mark),
        floats(rows, |r| r.last),
        floats(rows, |r| r.open_interest),
        floats(rows, |r| r.volume),
        floats(rows, |r| r.index_price),
    ]
}

fn candles(constants: &Constants<'_>, rows: &[CandleRow]) -> Vec<ArrayRef> {
    vec![
        repeated(constants.series, rows.len()),
        repeated(constants.venue, rows.len()),
        Arc::new(Int64Array::from_value(constants.width_s, rows.len())),
        floats(rows, |r| Some(r.open)),
        floats(rows, |r| Some(r.high)),
        floats(rows, |r| Some(r.low)),
        floats(rows, |r| Some(r.close)),
        floats(rows, |r| r.volume),
    ]
}

fn metrics(constants: &Constants<'_>, rows: &[MetricRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |r| &r.metric),
        floats(rows, |r| Some(r.value)),
        texts(rows, |r| r.unit),
        repeated(constants.venue, rows.len()),
    ]
}

fn texts<T>(rows: &[T], value: impl Fn(&T) -> &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
}

fn repeated(text: &str, count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
        text, count,
    )))
}

fn floats<T>(rows: &[T], value: impl Fn(&T) -> Option<f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(rows.iter().map(value)))
}

fn times<T>(rows: &[T], value: impl Fn(&T) -> Option<UtcTime>) -> ArrayRef {
    let micros = rows.iter().map(|row| value(row).map(UtcTime::micros));
    Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone(UTC))
}
