//! A dataset's declaration: read, completed with the format's defaults, and checked.

use std::collections::BTreeMap;

use lakectl_core::{Grain, TableId, UtcTime};
use serde::Deserialize;
use toml::Value;

use crate::columns::{ColumnSpec, ColumnUnit, Kind, canonical};
use crate::compression::Compression;
use crate::error::SourceError;
use crate::feed::{Feed, RowKind};
use crate::format::{Format, Replacement, Settlement};
use crate::formats::presets;
use crate::pattern::TimePattern;
use crate::units::{Unit, parse_length};

/// Where an archived document's time comes from. Never from the file system: copies lose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentTime {
    /// A pattern found in the file's name.
    Name(TimePattern),
    /// A pattern found in the path below the root.
    Path(TimePattern),
    /// One time for all.
    Fixed(UtcTime),
}

impl DocumentTime {
    /// Returns the time of the document with this path below the root; `None` if the pattern finds none.
    pub fn of(&self, name: &str) -> Option<UtcTime> {
        match self {
            Self::Name(pattern) => pattern.find(name.rsplit('/').next().unwrap_or(name)),
            Self::Path(pattern) => pattern.find(name),
            Self::Fixed(time) => Some(*time),
        }
    }
}

/// A declared dataset, complete and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The source it belongs to, for example `archive`.
    pub source: String,
    /// Its name; tables are `raw.<source>_<name>`, `norm.<source>_<name>`, `quarantine.<source>_<name>`.
    pub name: String,
    /// Layout of the documents.
    pub format: Format,
    /// The canonical table it serves.
    pub feeds: Feed,
    /// Files below the root; archives only.
    pub glob: Option<String>,
    /// Files of `glob` to leave out.
    pub exclude: Vec<String>,
    /// Grain of its partitions, by document time.
    pub partition: Grain,
    /// Where an archived document's time comes from.
    pub document_time: Option<DocumentTime>,
    /// How bodies are packed; by the name's ending if not declared.
    pub compression: Option<Compression>,
    /// Delay between the end of what a row describes and the moment it is known; microseconds.
    pub lag_micros: i64,
    /// Length of what a row describes, zero for an instant; microseconds.
    pub width_micros: i64,
    /// What later documents do to earlier ones.
    pub replacement: Replacement,
    /// Our column -> vendor column.
    pub columns: BTreeMap<String, ColumnSpec>,
    /// Our metric -> vendor column, vendor metric or file stem.
    pub metrics: BTreeMap<String, ColumnSpec>,
    /// The metric of a dataset that has one.
    pub metric: Option<String>,
    /// The asset, or `name:{}USDT_1h` to take it from the file's stem.
    pub asset: Option<String>,
    /// Unit of values that say nothing else.
    pub unit: Unit,
    /// Who publishes the values.
    pub venue: String,
    /// What the bars describe.
    pub series: String,
    /// Separator of CSV fields; found in the header if not declared.
    pub separator: Option<u8>,
    /// Settlement of options whose name does not tell.
    pub settlement: Settlement,
    /// A text document without a final line break is truncated.
    pub final_newline: bool,
    definition: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    format: Format,
    feeds: Feed,
    glob: Option<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    partition: Grain,
    document_time: Option<String>,
    compression: Option<Compression>,
    lag: Option<String>,
    width: Option<String>,
    #[serde(default)]
    replacement: Replacement,
    #[serde(default)]
    columns: BTreeMap<String, Value>,
    #[serde(default)]
    metrics: BTreeMap<String, Value>,
    metric: Option<String>,
    asset: Option<String>,
    unit: Option<String>,
    venue: Option<String>,
    series: Option<String>,
    separator: Option<String>,
    settlement: Option<Settlement>,
    #[serde(default)]
    final_newline: bool,
}

/// What goes wrong below the dataset: a key and a sentence.
type Problem = (String, String);

fn problem<T>(key: &str, text: impl Into<String>) -> Result<T, Problem> {
    Err((key.to_owned(), text.into()))
}

impl Dataset {
    /// Reads and checks the block `[sources.<source>.datasets.<name>]`.
    ///
    /// # Errors
    /// [`SourceError::Declaration`] names the key, what is wrong and the values there are.
    pub fn from_toml(source: &str, name: &str, value: Value) -> Result<Self, SourceError> {
        Self::read(source, name, value).map_err(|(key, problem)| SourceError::Declaration {
            source_name: source.to_owned(),
            dataset: name.to_owned(),
            key,
            problem,
        })
    }

    /// Returns the part of the declaration that decides the rows of a given document, in canonical form: an input of
    /// fingerprints. Where documents are found and how they are grouped is not in it.
    pub fn definition(&self) -> &str {
        &self.definition
    }

    fn read(source: &str, name: &str, value: Value) -> Result<Self, Problem> {
        if TableId::new("raw", &format!("{source}_{name}")).is_err() {
            return problem("name", "use lower-case letters, digits and `_`");
        }
        let definition = definition_of(&value);
        let given: Declaration = value.try_into().map_err(|error: toml::de::Error| {
            (String::from("declaration"), error.message().to_owned())
        })?;
        let kind = given.feeds.row_kind();
        check_format(given.format, given.feeds)?;
        let preset = presets::of(given.format);
        let mut columns = preset.columns;
        columns.extend(read_columns(&given.columns, kind, given.format)?);
        let mut metrics = preset.metrics;
        metrics.extend(read_metrics(&given.metrics, kind)?);
        let dataset = Self {
            source: source.to_owned(),
            name: name.to_owned(),
            format: given.format,
            feeds: given.feeds,
            glob: given.glob,
            exclude: given.exclude,
            partition: given.partition,
            document_time: given.document_time.as_deref().map(document_time).transpose()?,
            compression: given.compression,
            lag_micros: length("lag", given.lag.as_deref())?.ok_or((
                "lag".to_owned(),
                "is required: how long after the end of what a row describes it is known, for example 10m, 4h, 1d"
                    .to_owned(),
            ))?,
            width_micros: length("width", given.width.as_deref())?.unwrap_or(0),
            replacement: given.replacement,
            columns,
            metrics,
            metric: given.metric.or(preset.metric),
            asset: given.asset,
            unit: match given.unit.as_deref() {
                None => preset.unit,
                Some(unit) => Unit::of_name(unit).ok_or((
                    "unit".to_owned(),
                    format!("`{unit}` is not one of {}", Unit::known()),
                ))?,
            },
            venue: given.venue.or(preset.venue).unwrap_or_default(),
            series: given.series.unwrap_or_else(|| {
                if given.feeds == Feed::Dvol { "dvol" } else { "spot" }.to_owned()
            }),
            separator: given.separator.as_deref().map(separator).transpose()?,
            settlement: given.settlement.unwrap_or(Settlement::Inverse),
            final_newline: given.final_newline,
            definition,
        };
        dataset.check()?;
        Ok(dataset)
    }

    fn check(&self) -> Result<(), Problem> {
        let kind = self.feeds.row_kind();
        if matches!(kind, RowKind::Candles | RowKind::Metrics) && self.venue.is_empty() {
            return problem(
                "venue",
                "is required: who publishes the values, for example binance",
            );
        }
        if kind == RowKind::Candles && self.width_micros == 0 {
            return problem(
                "width",
                "is required for bars: their length, for example 1h or 1d",
            );
        }
        if !matches!(kind, RowKind::Candles | RowKind::Metrics) && self.width_micros != 0 {
            return problem("width", "a quote describes an instant; leave it out");
        }
        if let Some(glob) = &self.glob {
            check_glob("glob", glob)?;
            if self.document_time.is_none() {
                return problem(
                    "document_time",
                    "is required beside `glob`: name:%Y%m%dT%H%M%SZ, path:%Y-%m-%d, or a fixed ISO time",
                );
            }
        }
        for pattern in &self.exclude {
            check_glob("exclude", pattern)?;
        }
        let missing: Vec<&str> = required(self.format, kind)
            .iter()
            .copied()
            .filter(|name| !self.columns.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            return problem("columns", format!("needs {}", missing.join(", ")));
        }
        let has = |name: &str| self.columns.contains_key(name);
        if self.format == Format::ChainCsv
            && !has("instrument")
            && !(has("expiry") && has("strike") && has("option_type"))
        {
            return problem(
                "columns",
                "needs `instrument`, or all of expiry, strike, option_type",
            );
        }
        if self.format == Format::MetricCsv && !has("value") && self.metrics.is_empty() {
            return problem("metrics", "is required unless `columns.value` is mapped");
        }
        Ok(())
    }
}

/// Reads every dataset of a source from its table of declarations.
///
/// # Errors
/// The first declaration that is wrong.
pub fn datasets_from_toml(
    source: &str,
    table: &toml::Table,
) -> Result<BTreeMap<String, Dataset>, SourceError> {
    let read = |(name, value): (&String, &Value)| {
        let dataset = Dataset::from_toml(source, name, value.clone())?;
        Ok((name.clone(), dataset))
    };
    table.iter().map(read).collect()
}

/// Everything but where documents are found and how they are grouped, with sorted keys.
fn definition_of(value: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Table(table) => {
                let sorted: BTreeMap<_, _> = table.iter().collect();
                out.push('{');
                for (key, value) in sorted {
                    out.push_str(&format!("{key:?}:"));
                    write(value, out);
                    out.push(',');
                }
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut value = value.clone();
    if let Value::Table(table) = &mut value {
        for key in ["glob", "exclude", "partition"] {
            table.remove(key);
        }
    }
    let mut out = String::new();
    write(&value, &mut out);
    out
}

/// Which feeds a format can serve.
fn check_format(format: Format, feeds: Feed) -> Result<(), Problem> {
    use Format as F;
    use RowKind as K;
    let kind = feeds.row_kind();
    let fits = match format {
        F::ChainCsv | F::TardisOptionsCsv => kind == K::OptionQuotes,
        F::FutureCsv => kind == K::FutureQuotes,
        F::CandleCsv | F::CandleParquet | F::CoinbaseCandlesJson => kind == K::Candles,
        F::PairsJson => matches!(kind, K::Candles | K::Metrics),
        F::DeribitJson => matches!(
            feeds,
            Feed::OptionQuotes
                | Feed::OptionTrades
                | Feed::FutureQuotes
                | Feed::Dvol
                | Feed::Funding
        ),
        _ => kind == K::Metrics,
    };
    if fits {
        return Ok(());
    }
    problem(
        "feeds",
        format!("this format cannot feed `{}`", feeds.name()),
    )
}

/// Columns that a format cannot do without.
fn required(format: Format, kind: RowKind) -> &'static [&'static str] {
    match (format, kind) {
        (Format::ChainCsv, _) => &["underlying_price"],
        (Format::FutureCsv, _) => &["instrument"],
        (Format::CandleCsv | Format::CandleParquet, _) => {
            &["event_time", "open", "high", "low", "close"]
        }
        (Format::MetricCsv, _) => &["event_time"],
        _ => &[],
    }
}

fn read_columns(
    given: &BTreeMap<String, Value>,
    kind: RowKind,
    format: Format,
) -> Result<BTreeMap<String, ColumnSpec>, Problem> {
    if !given.is_empty() && !presets::takes_columns(format) {
        return problem(
            "columns",
            "this format reads fixed fields; leave `columns` out",
        );
    }
    let known = canonical(kind);
    let read = |(name, value): (&String, &Value)| {
        let key = format!("columns.{name}");
        let Some((_, column)) = known.iter().find(|(known, _)| known == name) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            return problem(
                &key,
                format!("is not a column of ours; known are {}", names.join(", ")),
            );
        };
        match ColumnSpec::from_toml(value, *column) {
            Ok(spec) => Ok((name.clone(), spec)),
            Err(text) => problem(&key, text),
        }
    };
    given.iter().map(read).collect()
}

fn read_metrics(
    given: &BTreeMap<String, Value>,
    kind: RowKind,
) -> Result<BTreeMap<String, ColumnSpec>, Problem> {
    if kind != RowKind::Metrics && !given.is_empty() {
        return problem("metrics", "this feed has no metrics; leave the block out");
    }
    let read = |(name, value): (&String, &Value)| match ColumnSpec::from_toml(value, Kind::Number) {
        Ok(spec) => Ok((name.clone(), spec)),
        Err(text) => problem(&format!("metrics.{name}"), text),
    };
    given.iter().map(read).collect()
}

fn document_time(text: &str) -> Result<DocumentTime, Problem> {
    let pattern = |text: &str| {
        TimePattern::new(text).map_err(|problem| ("document_time".to_owned(), problem))
    };
    if let Some(text) = text.strip_prefix("name:") {
        return Ok(DocumentTime::Name(pattern(text)?));
    }
    if let Some(text) = text.strip_prefix("path:") {
        return Ok(DocumentTime::Path(pattern(text)?));
    }
    match text.parse() {
        Ok(time) => Ok(DocumentTime::Fixed(time)),
        Err(_) => problem(
            "document_time",
            format!("`{text}` is neither name:<pattern>, path:<pattern> nor an ISO time"),
        ),
    }
}

fn length(key: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    match text {
        None => Ok(None),
        Some(text) => match parse_length(text) {
            Some(micros) => Ok(Some(micros)),
            None => problem(
                key,
                format!("`{text}` is not a length; write for example 30s, 10m, 4h, 1d"),
            ),
        },
    }
}

fn separator(text: &str) -> Result<u8, Problem> {
    match text.as_bytes() {
        [byte @ (b',' | b';' | b'\t' | b'|')] => Ok(*byte),
        _ => problem(
            "separator",
            format!("`{text}` is not one of , ; | or a tab"),
        ),
    }
}

fn check_glob(key: &str, text: &str) -> Result<(), Problem> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return problem(key, "must stay below the root: no leading `/`, no `..`");
    }
    match glob::Pattern::new(text) {
        Ok(_) => Ok(()),
        Err(error) => problem(key, format!("`{text}` is not a pattern: {error}")),
    }
}

/// A number column of the vendor in a unit.
pub(crate) fn value_column(column: &str, unit: Unit) -> ColumnSpec {
    ColumnSpec::new(column, ColumnUnit::Value(unit))
}
