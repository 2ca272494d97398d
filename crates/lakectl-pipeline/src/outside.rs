//! Rows that no planned partition takes: counted and quarantined, never silently dropped. Rows after the calendar's end are
//! no such rows: they wait in `norm.*` until the calendar reaches them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use lakectl_core::{Day, DayRange, TableId, UtcTime};
use lakectl_sources::{Document, rejects_schema};

use crate::PipelineError;
use crate::assembly::{Assembly, BoundDataset};

/// What the readers of a dataset's feed take.
pub(crate) struct Reach {
    /// Assets of the readers that are partitioned by asset; `None` if one reader takes every asset.
    assets: Option<BTreeSet<String>>,
    /// The earliest first day.
    start: Option<Day>,
    /// The partition; a row outside it would be looked for elsewhere.
    period: DayRange,
}

/// Rows split by whether a planned partition takes them.
pub(crate) struct Taken {
    /// Rows that are taken.
    pub(crate) inside: RecordBatch,
    /// One reject for each cause, with the number of rows.
    pub(crate) outside: Vec<RecordBatch>,
}

impl Reach {
    /// Finds out what the readers of a dataset's feed take.
    pub(crate) fn of(assembly: &Assembly, bound: &BoundDataset, period: DayRange) -> Self {
        let mut reach = Self {
            assets: Some(BTreeSet::new()),
            start: None,
            period,
        };
        let Ok(union) = TableId::new("norm", bound.dataset.feeds.name()) else {
            return reach;
        };
        let readers = assembly
            .pipeline
            .stages()
            .iter()
            .filter(|s| s.inputs.iter().any(|i| i.table == union));
        for coverage in readers.filter_map(|stage| {
            let coverage = assembly.coverages.get(stage.coverage.as_deref()?)?;
            Some((stage.keys.iter().any(|key| key == "asset"), coverage))
        }) {
            let (by_asset, coverage) = coverage;
            reach.start = Some(
                reach
                    .start
                    .map_or(coverage.start, |start| start.min(coverage.start)),
            );
            match (by_asset, &mut reach.assets) {
                (true, Some(assets)) => {
                    assets.extend(coverage.keys.get("asset").into_iter().flatten().cloned())
                }
                _ => reach.assets = None,
            }
        }
        reach
    }

    /// Says what decides the split, for fingerprints.
    pub(crate) fn definition(&self) -> String {
        let assets = match &self.assets {
            Some(assets) => assets.iter().cloned().collect::<Vec<_>>().join(" "),
            None => "any".to_owned(),
        };
        format!(
            "{assets} from {}",
            self.start.map_or("never".to_owned(), |day| day.to_string())
        )
    }

    /// Splits the rows of one document.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if the rows lack the common columns.
    pub(crate) fn take(
        &self,
        document: &Document,
        rows: RecordBatch,
    ) -> Result<Taken, PipelineError> {
        let (Some(assets), Some(times)) = (
            rows.column_by_name("asset"),
            rows.column_by_name("event_time"),
        ) else {
            return Err(PipelineError::stage(
                "normalised rows without asset or event_time",
            ));
        };
        let assets = assets.as_string::<i32>();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let mut causes: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let keep: BooleanArray = (0..rows.num_rows())
            .map(|row| {
                let asset = assets.is_valid(row).then(|| assets.value(row));
                let cause = self.cause(asset, UtcTime::from_micros(times.value(row)).day());
                if let Some(cause) = &cause {
                    let entry = causes.entry(cause.clone()).or_insert((0, times.value(row)));
                    *entry = (entry.0 + 1, entry.1.min(times.value(row)));
                }
                Some(cause.is_none())
            })
            .collect();
        let inside = if causes.is_empty() {
            rows
        } else {
            filter_record_batch(&rows, &keep)?
        };
        let outside = causes
            .into_iter()
            .map(|(cause, (count, first))| reject(document, &cause, count, first));
        Ok(Taken {
            inside,
            outside: outside.collect::<Result<_, _>>()?,
        })
    }

    fn cause(&self, asset: Option<&str>, day: Day) -> Option<String> {
        let start = self.start?;
        match (&self.assets, asset) {
            (Some(assets), Some(asset)) if !assets.contains(asset) => {
                return Some(format!("asset {asset} is not covered"));
            }
            _ => {}
        }
        if day < start {
            Some(format!("before {start}, the first covered day"))
        } else if !self.period.contains(day) {
            Some("on another day than the document's partition".to_owned())
        } else {
            None
        }
    }
}

/// One line for all rows of a cause: history before the covered days would otherwise fill the quarantine.
fn reject(
    document: &Document,
    cause: &str,
    count: i64,
    first_micros: i64,
) -> Result<RecordBatch, PipelineError> {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let columns: Vec<ArrayRef> = vec![
        text(&document.id.to_string()),
        text(&document.name),
        Arc::new(Int64Array::from(vec![None])),
        text("outside_plan"),
        text(&format!("{count} rows {cause}")),
        text("reject"),
        Arc::new(StringArray::from(vec![None::<&str>])),
        Arc::new(TimestampMicrosecondArray::from(vec![first_micros]).with_timezone("UTC")),
    ];
    Ok(RecordBatch::try_new(rejects_schema(), columns)?)
}
