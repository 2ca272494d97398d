//! Series as CSV: wide (one column a metric), long (one row a metric and time), or one series a file.

use super::Series;
use super::csv_table::{CommonColumns, Table};
use crate::columns::ColumnSpec;
use crate::dataset::Dataset;
use crate::number::Number;
use crate::reject::{DocumentError, Reason};
use crate::sink::{MetricDraft, Sink, Times};
use crate::units::{TimeField, TimeUnit};

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let table = Table::open(body, dataset)?;
    match (
        dataset.columns.contains_key("metric"),
        dataset.columns.get("value"),
    ) {
        (true, Some(value)) => long(dataset, table, value, sink),
        (_, Some(value)) => single(dataset, table, value, sink),
        _ => wide(dataset, table, sink),
    }
}

fn wide(dataset: &Dataset, table: Table<'_>, sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    let common = CommonColumns::bind(&table, dataset)?;
    let mut series = Vec::new();
    for (metric, spec) in &dataset.metrics {
        match table.index(&spec.column) {
            Some(index) => series.push((index, Series::declared(dataset, metric, spec))),
            None => {
                let detail = format!("{}; no values", table.missing(metric, &spec.column));
                sink.warn_document(Reason::MissingColumn, detail);
            }
        }
    }
    if series.is_empty() {
        let detail = table.missing("any metric", "(all declared)");
        return Err(DocumentError::new(Reason::MissingColumn, detail));
    }
    table.each(sink, |sink, record, at| {
        let (times, asset) = (common.times(record), common.asset(record));
        for (index, series) in &series {
            let value = Number::from_bytes(record.get(*index).unwrap_or_default());
            let draft = MetricDraft {
                times,
                asset,
                metric: &series.metric,
                value: series.convert(value),
                unit: series.unit,
            };
            sink.metric(at, &draft);
        }
    })
}

fn long(
    dataset: &Dataset,
    table: Table<'_>,
    value: &ColumnSpec,
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let common = CommonColumns::bind(&table, dataset)?;
    let metric = table.bind(dataset, "metric")?;
    let number = table.bind(dataset, "value")?;
    table.each(sink, |sink, record, at| {
        let Some(vendor) = metric.text(record) else {
            sink.malformed(at, Reason::MissingValue, "no metric");
            return;
        };
        let series = Series::of(dataset, vendor).in_column(value);
        let draft = MetricDraft {
            times: common.times(record),
            asset: common.asset(record),
            metric: &series.metric,
            value: series.convert(number.plain_number(record)),
            unit: series.unit,
        };
        sink.metric(at, &draft);
    })
}

fn single(
    dataset: &Dataset,
    table: Table<'_>,
    value: &ColumnSpec,
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let common = CommonColumns::bind(&table, dataset)?;
    let number = table.bind(dataset, "value")?;
    let series = Series::of(dataset, sink.stem()).in_column(value);
    table.each(sink, |sink, record, at| {
        let draft = MetricDraft {
            times: common.times(record),
            asset: common.asset(record),
            metric: &series.metric,
            value: series.convert(number.plain_number(record)),
            unit: series.unit,
        };
        sink.metric(at, &draft);
    })
}

/// A date in the first column, one series in each of the others.
pub(super) fn dated(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let table = Table::open(body, dataset)?;
    let header = table.header();
    if header.len() < 2 {
        let detail = format!("expected a date and series, found {}", header.join(", "));
        return Err(DocumentError::new(Reason::MissingColumn, detail));
    }
    let series: Vec<Series> = header[1..]
        .iter()
        .map(|name| Series::of(dataset, name))
        .collect();
    table.each(sink, |sink, record, at| {
        let event = match TimeUnit::Iso.read_bytes(record.get(0).unwrap_or_default()) {
            TimeField::Missing => TimeField::Unreadable,
            time => time,
        };
        for (series, field) in series.iter().zip(record.iter().skip(1)) {
            let draft = MetricDraft {
                times: Times {
                    event,
                    ..Times::default()
                },
                metric: &series.metric,
                value: series.convert(Number::from_bytes(field)),
                unit: series.unit,
                ..MetricDraft::default()
            };
            sink.metric(at, &draft);
        }
    })
}
