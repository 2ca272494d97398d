//! Fear and greed index: `{"data": [{value, timestamp, ...}]}` with seconds, numbers as strings or numbers, newest first.

use serde::Deserialize;

use super::Series;
use super::json::read;
use crate::dataset::Dataset;
use crate::number::Scalar;
use crate::reject::DocumentError;
use crate::sink::{At, MetricDraft, Sink};
use crate::units::TimeUnit;

#[derive(Deserialize)]
struct Page {
    data: Vec<Day>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Day {
    timestamp: Scalar,
    value: Scalar,
}

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let page: Page = read(body)?;
    let series = Series::of(dataset, "value");
    for (i, day) in page.data.iter().enumerate() {
        let raw = || {
            format!(
                "{{\"timestamp\":{},\"value\":{}}}",
                day.timestamp, day.value
            )
        };
        let mut draft = MetricDraft {
            metric: &series.metric,
            value: series.convert(day.value.number()),
            unit: series.unit,
            ..MetricDraft::default()
        };
        draft.times.event = TimeUnit::Seconds.read_scalar(&day.timestamp);
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
