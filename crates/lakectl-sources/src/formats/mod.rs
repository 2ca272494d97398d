//! From a document's bytes to rows and rejects: one format a file.

mod candle_csv;
mod candle_parquet;
mod chain_csv;
mod coinbase;
mod coinmetrics;
mod csv_table;
mod defillama;
mod deribit;
mod fear_greed;
mod future_csv;
mod glassnode;
mod json;
mod metric_csv;
mod pairs;
pub(crate) mod presets;
mod santiment;

use arrow::array::RecordBatch;

use crate::columns::ColumnSpec;
use crate::compression::Compression;
use crate::dataset::Dataset;
use crate::document::Document;
use crate::feed::{Feed, RowKind};
use crate::format::Format;
use crate::number::Number;
use crate::reject::{DocumentError, Reason};
use crate::sink::{Sink, asset_of, is_stablecoin};
use crate::units::Unit;

/// Raised whenever a parser's output changes for some document: an input of fingerprints.
pub const PARSER_VERSION: u32 = 2;

/// What one document gives.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Typed rows with the schema of [`row_schema`](crate::row_schema), in the document's order.
    pub rows: RecordBatch,
    /// What was left out or deserves a look, with the schema of [`rejects_schema`](crate::rejects_schema).
    pub rejects: RecordBatch,
}

/// Reads one document.
///
/// `sequence` is the document's arrival number under its request. With `assumed_availability` a row counts as known
/// after its declared lag even if its document was recorded later; otherwise it counts from the recording.
pub fn parse(
    dataset: &Dataset,
    document: &Document,
    sequence: i64,
    assumed_availability: bool,
) -> Parsed {
    let mut sink = Sink::new(dataset, document, sequence, assumed_availability);
    match read(dataset, document, &mut sink) {
        Ok(()) => sink.close(),
        Err(error) => sink.fail(error),
    }
    let (rows, rejects) = sink.finish();
    Parsed { rows, rejects }
}

fn read(dataset: &Dataset, document: &Document, sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    if document.document_time.is_none() {
        let detail = format!(
            "no time of the declared pattern in the name `{}`",
            document.name
        );
        return Err(DocumentError::new(Reason::Misnamed, detail));
    }
    sink.set_asset(document_asset(dataset, document)?);
    let compression = dataset
        .compression
        .unwrap_or_else(|| Compression::of_name(&document.name));
    let body = compression.unpack(&document.body)?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(DocumentError::new(Reason::EmptyDocument, "no content"));
    }
    let body = body.as_ref();
    match dataset.format {
        Format::ChainCsv | Format::TardisOptionsCsv => chain_csv::parse(dataset, body, sink),
        Format::FutureCsv => future_csv::parse(dataset, body, sink),
        Format::CandleCsv => candle_csv::parse(dataset, body, sink),
        Format::CandleParquet => candle_parquet::parse(dataset, body, sink),
        Format::MetricCsv => metric_csv::parse(dataset, body, sink),
        Format::DatedCsv | Format::FredCsv => metric_csv::dated(dataset, body, sink),
        Format::GlassnodeCsv => glassnode::parse_csv(dataset, body, sink),
        Format::GlassnodeJson => glassnode::parse_json(dataset, body, sink),
        Format::PairsJson => pairs::parse(dataset, body, sink),
        Format::DeribitJson => match (dataset.feeds, dataset.feeds.row_kind()) {
            (Feed::Dvol, _) => deribit::volatility_index(body, sink),
            (_, RowKind::OptionQuotes) => deribit::options(body, sink),
            (_, RowKind::OptionTrades) => deribit::trades(body, sink),
            (_, RowKind::FutureQuotes) => deribit::futures(body, sink),
            _ => deribit::funding(body, sink),
        },
        Format::CoinmetricsJson => coinmetrics::parse(dataset, body, sink),
        Format::SantimentJson => santiment::parse(dataset, body, sink),
        Format::DefillamaJson => defillama::parse(dataset, body, sink),
        Format::FearGreedJson => fear_greed::parse(dataset, body, sink),
        Format::CoinbaseCandlesJson => coinbase::parse(body, sink),
    }
}

/// The asset of a whole document: declared, in its name, or in its request.
fn document_asset(dataset: &Dataset, document: &Document) -> Result<Option<String>, DocumentError> {
    let Some(declared) = &dataset.asset else {
        let asset = requested_asset(document).map(asset_of);
        return Ok(asset.filter(|asset| !is_stablecoin(asset)));
    };
    let Some(template) = declared.strip_prefix("name:") else {
        return Ok(Some(asset_of(declared)));
    };
    let (before, after) = template.split_once("{}").unwrap_or((template, ""));
    let stem = document.stem();
    match stem
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .filter(|asset| !asset.is_empty())
    {
        Some(asset) => Ok(Some(asset_of(asset))),
        None => {
            let detail = format!("the name `{stem}` does not follow `{template}`");
            Err(DocumentError::new(Reason::Misnamed, detail))
        }
    }
}

/// The symbol that a request asks for.
pub(crate) fn requested_asset(document: &Document) -> Option<&str> {
    let value = [
        "currency",
        "asset",
        "assets",
        "a",
        "slug",
        "instrument_name",
    ]
    .iter()
    .find_map(|name| document.parameter(name))
    .or_else(|| document.argument("slug"))
    .or_else(|| document.path_after("/products/"))?;
    value
        .split(['-', '_', ',', '/'])
        .next()
        .filter(|asset| !asset.is_empty())
}

/// The name of a vendor's series in our way of writing: `PriceUSD` -> `price_usd`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut previous_lower = false;
    for letter in name.trim().chars() {
        if letter.is_ascii_alphanumeric() {
            if letter.is_ascii_uppercase() && previous_lower {
                out.push('_');
            }
            out.push(letter.to_ascii_lowercase());
            previous_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        } else {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            previous_lower = false;
        }
    }
    out.trim_end_matches('_').to_owned()
}

/// Our name, unit and factor of a vendor's series: declared, or derived from the vendor's name.
pub(crate) struct Series {
    pub(crate) metric: String,
    /// The vendor's unit.
    pub(crate) unit: Unit,
    scale: f64,
}

impl Series {
    /// A series that the declaration names.
    pub(crate) fn declared(dataset: &Dataset, metric: &str, spec: &ColumnSpec) -> Self {
        Self {
            metric: metric.to_owned(),
            // A unit beside the name wins over the dataset's.
            unit: match spec.value_unit() {
                Unit::Native => dataset.unit,
                unit => unit,
            },
            scale: spec.scale,
        }
    }

    /// The series that the vendor calls `vendor`.
    pub(crate) fn of(dataset: &Dataset, vendor: &str) -> Self {
        let declared = dataset
            .metrics
            .iter()
            .find(|(_, spec)| spec.column == vendor);
        match declared {
            Some((metric, spec)) => Self::declared(dataset, metric, spec),
            None => Self {
                metric: dataset.metric.clone().unwrap_or_else(|| snake(vendor)),
                unit: dataset.unit,
                scale: 1.0,
            },
        }
    }

    /// Takes unit and factor of the column that holds the values.
    pub(crate) fn in_column(mut self, value: &ColumnSpec) -> Self {
        if value.value_unit() != Unit::Native {
            self.unit = value.value_unit();
        }
        self.scale *= value.scale;
        self
    }

    /// A vendor's value in the stored unit.
    pub(crate) fn convert(&self, number: Number) -> Number {
        let stored = number.map(|value| self.unit.to_stored(value));
        if self.scale == 1.0 {
            stored
        } else {
            stored.map(|value| value * self.scale)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::snake;

    #[test]
    fn vendor_names() {
        for (name, want) in [
            ("PriceUSD", "price_usd"),
            ("market_mvrv", "market_mvrv"),
            (
                "Net Unrealized Profit/Loss (NUPL)",
                "net_unrealized_profit_loss_nupl",
            ),
            ("10k_100k", "10k_100k"),
            ("", ""),
        ] {
            assert_eq!(snake(name), want);
        }
    }
}
