//! Santiment GraphQL: `{"data": {"<alias>": {"timeseriesData": [{datetime, value}]}}}`. The alias is the metric's name,
//! or `getMetric` when the request names it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Series;
use super::json::read;
use crate::dataset::Dataset;
use crate::number::Scalar;
use crate::reject::{DocumentError, Reason, cut};
use crate::sink::{At, MetricDraft, Sink};
use crate::units::TimeUnit;

#[derive(Deserialize)]
struct Answer {
    data: Option<BTreeMap<String, Option<Metric>>>,
    errors: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(rename = "timeseriesData")]
    points: Vec<Point>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Point {
    datetime: Scalar,
    value: Scalar,
}

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let answer: Answer = read(body)?;
    if let Some(errors) = answer.errors.filter(|errors| !errors.is_null()) {
        return Err(DocumentError::new(
            Reason::VendorError,
            cut(&errors.to_string()),
        ));
    }
    let Some(data) = answer.data else {
        return Err(DocumentError::new(Reason::UnknownFormat, "no `data`"));
    };
    let mut element = 0;
    for (alias, metric) in &data {
        let vendor = match alias.as_str() {
            "getMetric" => sink.document().argument("metric").unwrap_or(alias),
            alias => alias,
        };
        let series = Series::of(dataset, vendor);
        for point in metric.iter().flat_map(|metric| &metric.points) {
            element += 1;
            let raw = || {
                format!(
                    "{{\"datetime\":{},\"value\":{}}}",
                    point.datetime, point.value
                )
            };
            let mut draft = MetricDraft {
                metric: &series.metric,
                value: series.convert(point.value.number()),
                unit: series.unit,
                ..MetricDraft::default()
            };
            draft.times.event = TimeUnit::Iso.read_scalar(&point.datetime);
            sink.metric(
                At {
                    row: element,
                    raw: &raw,
                },
                &draft,
            );
        }
    }
    Ok(())
}
