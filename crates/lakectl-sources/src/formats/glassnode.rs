//! Glassnode: API answers `[{t, v}]` or `[{t, o: {...}}]`, and CSV exports `t,<metric>` or `t,o` where `o` is a Python
//! dictionary. A dictionary gives one metric a key, `<metric>_<key>`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::csv_table::Table;
use super::json::read;
use super::{Series, requested_asset, snake};
use crate::dataset::Dataset;
use crate::document::Document;
use crate::number::{Number, Scalar};
use crate::reject::{DocumentError, Reason};
use crate::sink::{At, MetricDraft, Sink, Times, asset_of, is_stablecoin};
use crate::units::{TimeField, TimeUnit, Unit};

pub(super) fn parse_csv(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let table = Table::open(body, dataset)?;
    let Some(time) = table.index("t") else {
        let detail = table.missing("event_time", "t");
        return Err(DocumentError::new(Reason::MissingColumn, detail));
    };
    let mut groups = Groups::new(dataset, sink.stem());
    let dictionary = table.index("o");
    let series: Vec<(usize, Series)> = table
        .header()
        .iter()
        .enumerate()
        .filter(|(i, name)| *i != time && !name.is_empty())
        .map(|(i, name)| (i, Series::of(dataset, name)))
        .collect();
    table.each(sink, |sink, record, at| {
        let field = |index: usize| record.get(index).unwrap_or_default();
        let times = Times {
            event: event_time(TimeUnit::Iso.read_bytes(field(time))),
            ..Times::default()
        };
        let Some(dictionary) = dictionary else {
            for (index, series) in &series {
                put(sink, at, times, series, Number::from_bytes(field(*index)));
            }
            return;
        };
        let text = String::from_utf8_lossy(field(dictionary));
        match read_dictionary(&text) {
            Some(pairs) => {
                for (key, value) in pairs {
                    put(sink, at, times, groups.series(key), value);
                }
            }
            None => sink.malformed(at, Reason::NotANumber, "`o` is not a dictionary of numbers"),
        }
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Point {
    t: Scalar,
    v: Scalar,
    o: BTreeMap<String, Scalar>,
}

pub(super) fn parse_json(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let points: Vec<Point> = read(body)?;
    let vendor = vendor_name(sink.document());
    let mut groups = Groups::new(dataset, &vendor);
    let single = Series::of(dataset, &vendor);
    for (i, point) in points.iter().enumerate() {
        let raw = || {
            let pairs: Vec<String> = point.o.iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
            format!(
                "{{\"t\":{},\"v\":{},\"o\":{{{}}}}}",
                point.t,
                point.v,
                pairs.join(",")
            )
        };
        let at = At {
            row: i as i64 + 1,
            raw: &raw,
        };
        let times = Times {
            event: event_time(TimeUnit::Seconds.read_scalar(&point.t)),
            ..Times::default()
        };
        put(sink, at, times, &single, point.v.number());
        for (key, value) in &point.o {
            put(sink, at, times, groups.series(key), value.number());
        }
    }
    Ok(())
}

/// The metric's path as exports write it, `market_mvrv`; that of a dollar token begins with `stablecoin_`.
fn vendor_name(document: &Document) -> String {
    let Some(path) = document.path_after("/metrics/") else {
        return document.stem().to_owned();
    };
    let name = path.replace('/', "_");
    match requested_asset(document).map(asset_of) {
        Some(asset) if is_stablecoin(&asset) => format!("stablecoin_{name}"),
        _ => name,
    }
}

/// A value without a time is not "absent": it cannot be placed.
fn event_time(time: TimeField) -> TimeField {
    match time {
        TimeField::Missing => TimeField::Unreadable,
        time => time,
    }
}

fn put(sink: &mut Sink<'_>, at: At<'_>, times: Times, series: &Series, value: Number) {
    let draft = MetricDraft {
        times,
        metric: &series.metric,
        value: series.convert(value),
        unit: series.unit,
        ..MetricDraft::default()
    };
    sink.metric(at, &draft);
}

/// The series of a dictionary, found by key.
struct Groups<'a> {
    dataset: &'a Dataset,
    prefix: String,
    unit: Unit,
    known: BTreeMap<String, Series>,
}

impl<'a> Groups<'a> {
    fn new(dataset: &'a Dataset, stem: &str) -> Self {
        let group = Series::of(dataset, stem);
        Self {
            dataset,
            prefix: group.metric,
            unit: group.unit,
            known: BTreeMap::new(),
        }
    }

    fn series(&mut self, key: &str) -> &Series {
        let (dataset, prefix, unit) = (self.dataset, &self.prefix, self.unit);
        self.known.entry(key.to_owned()).or_insert_with(|| {
            let name = format!("{prefix}_{}", snake(key));
            let declared = dataset.metrics.iter().find(|(_, spec)| spec.column == name);
            let mut series = Series::of(dataset, &name);
            if declared.is_none() {
                series.metric = name;
                series.unit = unit;
            }
            series
        })
    }
}

/// Reads `{'a': 1.5, "b": None, 'c': nan}`.
fn read_dictionary(text: &str) -> Option<Vec<(&str, Number)>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let quote = rest
            .chars()
            .next()
            .filter(|quote| matches!(quote, '\'' | '"'))?;
        let (key, after) = rest[1..].split_once(quote)?;
        let after = after.trim_start().strip_prefix(':')?;
        let (value, after) = after.split_once(',').unwrap_or((after, ""));
        match Number::from_text(value) {
            Number::Unreadable => return None,
            number => pairs.push((key, number)),
        }
        rest = after.trim();
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_dictionaries() {
        let pairs = read_dictionary("{'1d_1w': 0.5, \"24h\": 0, 'x': None, 'y': nan}").unwrap();
        let want = [
            ("1d_1w", Number::Value(0.5)),
            ("24h", Number::Value(0.0)),
            ("x", Number::Missing),
            ("y", Number::NotFinite),
        ];
        assert_eq!(pairs, want);
        assert_eq!(read_dictionary("{}"), Some(vec![]));
        for bad in [
            "",
            "{",
            "{'a'}",
            "{'a': 1",
            "{a: 1}",
            "{'a': [1]}",
            "{'a: 1}",
            "{'a' 1}",
        ] {
            assert_eq!(read_dictionary(bad), None, "{bad}");
        }
    }
}
