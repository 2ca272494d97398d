//! DefiLlama stablecoin chart: `[{date: "<seconds>", totalCirculatingUSD: {peggedUSD: ..., peggedEUR: ...}}]`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Series;
use super::json::read;
use crate::dataset::Dataset;
use crate::number::{Number, Scalar};
use crate::reject::DocumentError;
use crate::sink::{At, MetricDraft, Sink};
use crate::units::TimeUnit;

#[derive(Deserialize)]
struct Day {
    #[serde(default)]
    date: Scalar,
    #[serde(default, rename = "totalCirculatingUSD")]
    total: BTreeMap<String, Scalar>,
}

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let days: Vec<Day> = read(body)?;
    let series = Series::of(dataset, "totalCirculatingUSD");
    for (i, day) in days.iter().enumerate() {
        let raw = || {
            let total: Vec<String> = day
                .total
                .iter()
                .map(|(k, v)| format!("{k:?}:{v}"))
                .collect();
            format!(
                "{{\"date\":{},\"totalCirculatingUSD\":{{{}}}}}",
                day.date,
                total.join(",")
            )
        };
        let mut draft = MetricDraft {
            metric: &series.metric,
            value: series.convert(sum(&day.total)),
            unit: series.unit,
            ..MetricDraft::default()
        };
        draft.times.event = TimeUnit::Seconds.read_scalar(&day.date);
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

/// All pegs together; one that is not a number spoils the sum.
fn sum(total: &BTreeMap<String, Scalar>) -> Number {
    total
        .values()
        .fold(Number::Missing, |sum, value| match (sum, value.number()) {
            (sum, Number::Missing) => sum,
            (Number::Missing, value) => value,
            (Number::Value(a), Number::Value(b)) => Number::from_f64(a + b),
            (Number::Value(_), flaw) | (flaw, _) => flaw,
        })
}
