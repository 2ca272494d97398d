//! Where the formats put what they read: every check on a row happens here, once for all formats.

mod quotes;
mod trades;

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::RecordBatch;
use lakectl_core::UtcTime;

use crate::availability::Availability;
use crate::dataset::Dataset;
use crate::document::Document;
pub(crate) use crate::draft::{
    At, CandleDraft, FutureDraft, MetricDraft, OptionDraft, Times, TradeDraft,
};
use crate::feed::RowKind;
use crate::flaw::{Flaw, bad_time, finite, not_negative, positive};
use crate::number::Number;
use crate::reject::{self, DocumentError, Reason, Reject, Severity, cut};
use crate::rows::{self, Body, CandleRow, Constants, MetricRow, Stamp};
use crate::units::TimeField;

/// Above this share of quotes without bid and ask a chain is flagged.
const EMPTY_SHARE_MAX: f64 = 0.4;
/// Believable volatilities; outside the unit is most often wrong.
const IV_RANGE: std::ops::RangeInclusive<f64> = 0.01..=20.0;
/// An instant may lie this far after the time in a document's name, which is often only its day.
const AFTER_DOCUMENT_MICROS: i64 = 86_400_000_000;
/// Metrics that cannot be below zero.
const NOT_NEGATIVE: [&str; 8] = [
    "price_usd",
    "market_cap_usd",
    "realized_price",
    "supply",
    "exchange_balance",
    "active_addresses",
    "tx_count",
    "hash_rate",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Any,
    NotNegative,
    Positive,
}

pub(crate) struct Sink<'a> {
    dataset: &'a Dataset,
    document: &'a Document,
    document_time: UtcTime,
    document_asset: Option<String>,
    availability: Availability,
    sequence: i64,
    stamps: Vec<Stamp>,
    body: Body,
    rejects: Vec<Reject>,
    series: HashMap<String, u32>,
    seen: HashSet<(u32, i64)>,
    empty_quotes: usize,
    /// Columns with a zero or nothing where a price belongs -> (rows, the first of them).
    gaps: BTreeMap<(Reason, &'static str), (usize, i64)>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(
        dataset: &'a Dataset,
        document: &'a Document,
        sequence: i64,
        assumed: bool,
    ) -> Self {
        // A document without a time gives no row; its rejects need none.
        let document_time = document.document_time.unwrap_or(UtcTime::from_micros(0));
        Self {
            dataset,
            document,
            document_time,
            document_asset: None,
            availability: Availability {
                width: dataset.width_micros,
                lag: dataset.lag_micros,
                document_time,
                assumed,
            },
            sequence,
            stamps: Vec::new(),
            body: Body::new(dataset.feeds.row_kind()),
            rejects: Vec::new(),
            series: HashMap::new(),
            seen: HashSet::new(),
            empty_quotes: 0,
            gaps: BTreeMap::new(),
        }
    }

    pub(crate) fn set_asset(&mut self, asset: Option<String>) {
        self.document_asset = asset;
    }

    pub(crate) fn document(&self) -> &'a Document {
        self.document
    }

    pub(crate) fn stem(&self) -> &'a str {
        self.document.stem()
    }

    pub(crate) fn option(&mut self, at: At<'_>, draft: &OptionDraft<'_>) {
        match self.option_row(at, draft) {
            Ok((stamp, row)) => {
                self.empty_quotes += usize::from(row.bid.is_none() && row.ask.is_none());
                self.stamps.push(stamp);
                if let Body::Options(rows) = &mut self.body {
                    rows.push(row);
                }
            }
            Err(flaw) => self.reject(at, flaw),
        }
    }

    pub(crate) fn trade(&mut self, at: At<'_>, draft: &TradeDraft<'_>) {
        match self.trade_row(at, draft) {
            Ok((stamp, row)) => {
                self.stamps.push(stamp);
                if let Body::Trades(rows) = &mut self.body {
                    rows.push(row);
                }
            }
            Err(flaw) => self.reject(at, flaw),
        }
    }

    pub(crate) fn future(&mut self, at: At<'_>, draft: &FutureDraft<'_>) {
        match self.future_row(at, draft) {
            Ok((stamp, row)) => {
                self.stamps.push(stamp);
                if let Body::Futures(rows) = &mut self.body {
                    rows.push(row);
                }
            }
            Err(flaw) => self.reject(at, flaw),
        }
    }

    pub(crate) fn candle(&mut self, at: At<'_>, draft: &CandleDraft<'_>) {
        // A day without trading: markets that close on weekends are exported this way.
        if draft.prices == [Number::Missing; 4] {
            return;
        }
        match self.candle_row(at, draft) {
            Ok((stamp, row)) => {
                self.stamps.push(stamp);
                if let Body::Candles(rows) = &mut self.body {
                    rows.push(row);
                }
            }
            Err(flaw) => self.reject(at, flaw),
        }
    }

    pub(crate) fn metric(&mut self, at: At<'_>, draft: &MetricDraft<'_>) {
        if draft.value == Number::Missing {
            return;
        }
        match self.metric_row(draft) {
            Ok((stamp, row)) => {
                self.stamps.push(stamp);
                if let Body::Metrics(rows) = &mut self.body {
                    rows.push(row);
                }
            }
            Err(flaw) => self.reject(at, flaw),
        }
    }

    /// Rejects a row that does not even have the shape of one.
    pub(crate) fn malformed(&mut self, at: At<'_>, reason: Reason, detail: impl Into<String>) {
        self.reject(at, Flaw::new(reason, detail));
    }

    /// Notes something about the whole document.
    pub(crate) fn warn_document(&mut self, reason: Reason, detail: impl Into<String>) {
        self.rejects.push(Reject {
            row: None,
            reason,
            detail: detail.into(),
            severity: Severity::Warn,
            raw: None,
            event_time: None,
        });
    }

    /// Gives up the document: nothing read so far is kept.
    pub(crate) fn fail(&mut self, error: DocumentError) {
        self.stamps.clear();
        self.body = Body::new(self.dataset.feeds.row_kind());
        self.rejects = vec![Reject {
            row: None,
            reason: error.reason,
            detail: cut(&error.detail),
            severity: Severity::Reject,
            raw: None,
            event_time: None,
        }];
    }

    /// Ends a document that was read to its end.
    pub(crate) fn close(&mut self) {
        for ((reason, column), (count, row)) in std::mem::take(&mut self.gaps) {
            let found = match reason {
                Reason::ZeroPrice => "0",
                _ => "absent",
            };
            let detail = format!(
                "`{column}` is {found} in {count} rows, first in row {row}: taken as no quote"
            );
            self.warn_document(reason, detail);
        }
        let quotes = self.stamps.len();
        if quotes > 0 && self.empty_quotes as f64 > EMPTY_SHARE_MAX * quotes as f64 {
            let detail = format!(
                "{} of {quotes} quotes have neither bid nor ask; usual is less than a quarter",
                self.empty_quotes
            );
            self.warn_document(Reason::HalfEmpty, detail);
        }
        if self.stamps.is_empty() && self.rejects.is_empty() {
            self.warn_document(
                Reason::NoRows,
                "the document is well formed and holds no value",
            );
        }
    }

    /// Returns rows and rejects.
    pub(crate) fn finish(self) -> (RecordBatch, RecordBatch) {
        let constants = Constants {
            feed: self.dataset.feeds,
            document_time: self.document_time,
            document_id: self.document.id.to_string(),
            sequence: self.sequence,
            dataset: &self.dataset.name,
            replacement: self.dataset.replacement.word(),
            series: &self.dataset.series,
            venue: &self.dataset.venue,
            width_s: self.dataset.width_micros / 1_000_000,
        };
        (
            rows::batch(&constants, &self.stamps, &self.body),
            reject::batch(self.document, &self.rejects),
        )
    }

    fn reject(&mut self, at: At<'_>, flaw: Flaw) {
        self.note(at, flaw, Severity::Reject);
    }

    fn note(&mut self, at: At<'_>, flaw: Flaw, severity: Severity) {
        self.rejects.push(Reject {
            row: Some(at.row),
            reason: flaw.reason,
            detail: flaw.detail,
            severity,
            raw: Some(cut(&(at.raw)())),
            event_time: flaw.event_time,
        });
    }

    fn candle_row(
        &mut self,
        at: At<'_>,
        draft: &CandleDraft<'_>,
    ) -> Result<(Stamp, CandleRow), Flaw> {
        let event_time = self.event_time(&draft.times)?;
        let read = || {
            let mut prices = [0.0; 4];
            for (i, name) in ["open", "high", "low", "close"].into_iter().enumerate() {
                prices[i] = positive(name, draft.prices[i])?;
            }
            let [open, high, low, close] = prices;
            if high < open.max(close) || low > open.min(close) {
                let detail = format!("open {open}, high {high}, low {low}, close {close}");
                return Err(Flaw::new(Reason::Inconsistent, detail));
            }
            Ok(prices)
        };
        let [open, high, low, close] = read().map_err(|flaw: Flaw| flaw.at(event_time))?;
        let asset = draft
            .asset
            .map(asset_of)
            .or_else(|| self.document_asset.clone());
        self.unique(asset.clone().as_deref().unwrap_or(""), event_time)?;
        let stamp = self.stamp(asset, event_time, &draft.times)?;
        let volume = self.aux(at, "volume", draft.volume, Sign::NotNegative);
        Ok((
            stamp,
            CandleRow {
                open,
                high,
                low,
                close,
                volume,
            },
        ))
    }

    fn metric_row(&mut self, draft: &MetricDraft<'_>) -> Result<(Stamp, MetricRow), Flaw> {
        let event_time = self.event_time(&draft.times)?;
        let value = finite(draft.metric, draft.value).map_err(|flaw| flaw.at(event_time))?;
        let value = value.ok_or_else(|| Flaw::new(Reason::MissingValue, draft.metric))?;
        if value < 0.0 && NOT_NEGATIVE.contains(&draft.metric) {
            let detail = format!("`{}` is {value}", draft.metric);
            return Err(Flaw::new(Reason::NegativeValue, detail).at(event_time));
        }
        let asset = draft
            .asset
            .map(asset_of)
            .or_else(|| self.document_asset.clone());
        let key = format!("{}|{}", asset.as_deref().unwrap_or(""), draft.metric);
        self.unique(&key, event_time)?;
        let stamp = self.stamp(asset, event_time, &draft.times)?;
        let row = MetricRow {
            metric: draft.metric.to_owned(),
            value,
            unit: draft.unit.stored().name(),
        };
        Ok((stamp, row))
    }

    /// A quote without a time of its own has the document's.
    fn event_time(&self, times: &Times) -> Result<UtcTime, Flaw> {
        let snapshot = matches!(
            self.dataset.feeds.row_kind(),
            RowKind::OptionQuotes | RowKind::FutureQuotes
        );
        match times.event {
            TimeField::Value(time) => Ok(time),
            TimeField::Missing if snapshot => Ok(self.document_time),
            TimeField::Missing => Err(Flaw::new(Reason::MissingValue, "no event time")),
            TimeField::Unreadable => Err(bad_time("event_time")),
        }
    }

    fn stamp(
        &self,
        asset: Option<String>,
        event_time: UtcTime,
        times: &Times,
    ) -> Result<Stamp, Flaw> {
        let optional = |name, field| match field {
            TimeField::Value(time) => Ok(Some(time)),
            TimeField::Missing => Ok(None),
            TimeField::Unreadable => Err(bad_time(name).at(event_time)),
        };
        let vendor_time = optional("vendor_time", times.vendor)?;
        let known_after = optional("known_after", times.known_after)?;
        let end = self.availability.end(event_time);
        if self.dataset.width_micros > 0 && end > self.document_time {
            let detail = format!("ends {end}, recorded {}", self.document_time);
            return Err(Flaw::new(Reason::Unfinished, detail).at(event_time));
        }
        let late = event_time
            .micros()
            .saturating_sub(self.document_time.micros());
        if late > AFTER_DOCUMENT_MICROS {
            let detail = format!("describes {event_time}, recorded {}", self.document_time);
            return Err(Flaw::new(Reason::AfterDocument, detail).at(event_time));
        }
        let (known_at, basis) = self
            .availability
            .derive(event_time, vendor_time, known_after);
        Ok(Stamp {
            asset,
            event_time,
            known_at,
            basis,
            vendor_time,
        })
    }

    fn unique(&mut self, series: &str, time: UtcTime) -> Result<(), Flaw> {
        let id = match self.series.get(series) {
            Some(id) => *id,
            None => {
                let id = self.series.len() as u32;
                self.series.insert(series.to_owned(), id);
                id
            }
        };
        if self.seen.insert((id, time.micros())) {
            return Ok(());
        }
        let detail = format!("a second row for {series} at {time}");
        Err(Flaw::new(Reason::Duplicate, detail).at(time))
    }

    /// A bid, ask, mark or last price; zero is how some venues write "no quote".
    fn price(
        &mut self,
        at: At<'_>,
        name: &'static str,
        number: Number,
    ) -> Result<Option<f64>, Flaw> {
        let value = not_negative(name, number)?;
        if value == Some(0.0) {
            self.count(Reason::ZeroPrice, name, at);
            return Ok(None);
        }
        Ok(value)
    }

    fn volatility(&mut self, at: At<'_>, number: Number) -> Result<Option<f64>, Flaw> {
        let value = self.price(at, "mark_iv", number)?;
        if let Some(iv) = value.filter(|iv| !IV_RANGE.contains(iv)) {
            let detail = format!(
                "mark_iv is {iv} as a fraction, outside {} to {}: check its unit",
                IV_RANGE.start(),
                IV_RANGE.end()
            );
            return Err(Flaw::new(Reason::ImplausibleIv, detail));
        }
        Ok(value)
    }

    /// Counts a price that is not there; the document gets one note for all its rows.
    fn count(&mut self, reason: Reason, column: &'static str, at: At<'_>) {
        self.gaps.entry((reason, column)).or_insert((0, at.row)).0 += 1;
    }

    /// A value that a row can do without: when it cannot be true it becomes null, with a note.
    fn aux(&mut self, at: At<'_>, name: &'static str, number: Number, sign: Sign) -> Option<f64> {
        let flaw = match finite(name, number) {
            Ok(Some(value)) if value < 0.0 && sign != Sign::Any => Flaw::new(
                Reason::NegativeValue,
                format!("`{name}` is {value}; set to null"),
            ),
            Ok(Some(value)) if value == 0.0 && sign == Sign::Positive => {
                self.count(Reason::ZeroPrice, name, at);
                return None;
            }
            Ok(value) => return value,
            Err(mut flaw) => {
                flaw.detail.push_str("; set to null");
                flaw
            }
        };
        self.note(at, flaw, Severity::Warn);
        None
    }
}

/// The usual symbol: upper case, vendors' long names and old codes replaced.
pub(crate) fn asset_of(text: &str) -> String {
    let text = text.trim().to_ascii_uppercase();
    match text.as_str() {
        "BITCOIN" | "XBT" => "BTC".to_owned(),
        "ETHEREUM" => "ETH".to_owned(),
        _ => text,
    }
}

/// Tells whether a symbol is a dollar token: its series belong to no asset.
pub(crate) fn is_stablecoin(symbol: &str) -> bool {
    [
        "USDT", "USDC", "DAI", "USDE", "USDS", "BUSD", "TUSD", "FDUSD",
    ]
    .contains(&symbol)
}
