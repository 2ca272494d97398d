//! Coin Metrics `asset-metrics`: one object a day and asset, numbers as strings.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::Series;
use super::json::read;
use crate::dataset::Dataset;
use crate::number::Scalar;
use crate::reject::DocumentError;
use crate::sink::{At, MetricDraft, Sink, Times};
use crate::units::TimeUnit;

/// The column that says when a day became available, in seconds.
const COMPLETION: &str = "AssetEODCompletionTime";

#[derive(Deserialize)]
struct Page {
    data: Vec<BTreeMap<String, Scalar>>,
}

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let page: Page = read(body)?;
    let series: Vec<(&str, Series)> = dataset
        .metrics
        .iter()
        .map(|(metric, spec)| {
            (
                spec.column.as_str(),
                Series::declared(dataset, metric, spec),
            )
        })
        .collect();
    let missing = Scalar::Missing;
    for (i, row) in page.data.iter().enumerate() {
        let field = |name: &str| row.get(name).unwrap_or(&missing);
        let raw = || {
            let texts: Vec<String> = row.iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
            format!("{{{}}}", texts.join(","))
        };
        let at = At {
            row: i as i64 + 1,
            raw: &raw,
        };
        let times = Times {
            event: TimeUnit::Iso.read_scalar(field("time")),
            vendor: TimeUnit::Seconds.read_scalar(field(COMPLETION)),
            ..Times::default()
        };
        for (column, series) in &series {
            let draft = MetricDraft {
                times,
                asset: field("asset").text(),
                metric: &series.metric,
                value: series.convert(field(column).number()),
                unit: series.unit,
            };
            sink.metric(at, &draft);
        }
    }
    Ok(())
}
