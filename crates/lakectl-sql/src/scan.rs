//! The step of a plan that reads cells of one table.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions, StatisticsArgs,
};
use lakectl_core::Cell;

use crate::columns::Columns;

/// Files that a plan names.
const FILES_NAMED: usize = 12;

/// Reads some columns of some cells, in parallel over groups of cells.
#[derive(Debug)]
pub(crate) struct LakeScan {
    columns: Arc<Columns>,
    cells: Vec<Arc<Cell>>,
    /// The cells of each partition of the plan.
    groups: Vec<Range<usize>>,
    schema: SchemaRef,
    /// Each partition may end after so many rows.
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LakeScan {
    /// Reads the columns of `schema` from these cells in at most `partitions` groups of about as many rows each.
    pub(crate) fn new(
        columns: Arc<Columns>,
        cells: Vec<Arc<Cell>>,
        schema: SchemaRef,
        partitions: usize,
        limit: Option<usize>,
    ) -> Self {
        let groups = groups(&cells, partitions);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            columns,
            cells,
            groups,
            schema,
            limit,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

/// Cuts the cells, in their order, into runs of about as many rows: a cell belongs where its middle row does.
fn groups(cells: &[Arc<Cell>], partitions: usize) -> Vec<Range<usize>> {
    let total = cells.iter().map(|cell| cell.rows).sum::<u64>().max(1);
    let partitions = partitions.clamp(1, cells.len().max(1)) as u64;
    let (mut groups, mut start, mut current, mut before) = (Vec::new(), 0, 0, 0);
    for (i, cell) in cells.iter().enumerate() {
        let group = (2 * before + cell.rows) * partitions / (2 * total);
        if group != current && start < i {
            groups.push(start..i);
            start = i;
        }
        current = group;
        before += cell.rows;
    }
    groups.push(start..cells.len());
    groups
}

/// The rows of a group of cells, cell by cell.
struct Reading {
    columns: Arc<Columns>,
    cells: std::vec::IntoIter<Arc<Cell>>,
    names: Vec<Arc<str>>,
    schema: SchemaRef,
    batch_rows: usize,
    rows_left: usize,
    /// What is left of the cell that is being read.
    open: Option<RecordBatch>,
    baseline: BaselineMetrics,
    opened: Count,
    decoded: Count,
}

impl Reading {
    fn next_cell(&mut self) -> Option<DfResult<RecordBatch>> {
        let cell = self.cells.next()?;
        self.opened.add(1);
        let read = self
            .columns
            .read(&cell, &self.names, &self.schema)
            .and_then(|found| {
                self.decoded.add(found.decoded);
                let options = RecordBatchOptions::new().with_row_count(Some(cell.rows as usize));
                let schema = Arc::clone(&self.schema);
                Ok(RecordBatch::try_new_with_options(
                    schema,
                    found.columns,
                    &options,
                )?)
            });
        Some(read)
    }
}

impl Iterator for Reading {
    type Item = DfResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows_left == 0 {
            return None;
        }
        let time = self.baseline.elapsed_compute().clone();
        let _timer = time.timer();
        let cell = match self.open.take() {
            Some(rest) => rest,
            None => match self.next_cell()? {
                Ok(cell) => cell,
                Err(error) => {
                    self.rows_left = 0;
                    return Some(Err(error));
                }
            },
        };
        let rows = cell.num_rows().min(self.batch_rows).min(self.rows_left);
        if rows < cell.num_rows() {
            self.open = Some(cell.slice(rows, cell.num_rows() - rows));
        }
        self.rows_left -= rows;
        self.baseline.record_output(rows);
        Some(Ok(cell.slice(0, rows)))
    }
}

impl DisplayAs for LakeScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let files = self.cells.iter().filter_map(|cell| cell.file.as_ref());
        let mut files: Vec<&str> = files
            .take(FILES_NAMED)
            .map(|file| file.path.as_str())
            .collect();
        if self.cells.len() > files.len() {
            files.push("...");
        }
        write!(
            f,
            "LakeScan: columns=[{}], partitions={}, {} files=[{}]",
            names.join(", "),
            self.groups.len(),
            self.cells.len(),
            files.join(", ")
        )?;
        self.limit
            .map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for LakeScan {
    fn name(&self) -> &'static str {
        "LakeScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let group = self.groups.get(partition).cloned().unwrap_or(0..0);
        let names = self
            .schema
            .fields()
            .iter()
            .map(|field| Arc::from(field.name().as_str()));
        let count = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let reading = Reading {
            columns: Arc::clone(&self.columns),
            cells: Vec::from(&self.cells[group]).into_iter(),
            names: names.collect(),
            schema: Arc::clone(&self.schema),
            batch_rows: context.session_config().batch_size(),
            rows_left: self.limit.unwrap_or(usize::MAX),
            open: None,
            baseline: BaselineMetrics::new(&self.metrics, partition),
            opened: count("files"),
            decoded: count("columns_decoded"),
        };
        let schema = Arc::clone(&self.schema);
        let stream = futures::stream::iter(reading);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DfResult<Arc<Statistics>> {
        let cells = match args
            .partition()
            .and_then(|partition| self.groups.get(partition))
        {
            Some(group) => &self.cells[group.clone()],
            None => &self.cells[..],
        };
        let rows: u64 = cells.iter().map(|cell| cell.rows).sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = match self.limit {
            None => Precision::Exact(rows as usize),
            Some(limit) => Precision::Inexact(limit.min(rows as usize)),
        };
        Ok(Arc::new(statistics))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lakectl_core::{Fingerprint, PartitionKey};

    use super::*;

    fn cells(rows: &[u64]) -> Vec<Arc<Cell>> {
        let cell = |rows: &u64| Cell {
            table: "m.t".parse().unwrap(),
            partition: PartitionKey::default(),
            fingerprint: Fingerprint::of(b""),
            parts: BTreeMap::new(),
            rows_hash: Fingerprint::of(b""),
            days: BTreeMap::new(),
            rows: *rows,
            file: None,
            times: None,
            run: String::new(),
            seconds: 0.0,
        };
        rows.iter().map(|rows| Arc::new(cell(rows))).collect()
    }

    #[test]
    fn groups_have_about_as_many_rows_and_miss_none() {
        for (rows, partitions, expected) in [
            (vec![1, 1, 1, 1], 2, vec![0..2, 2..4]),
            (vec![9, 1, 1, 1], 2, vec![0..1, 1..4]),
            (vec![1, 1, 1, 9], 2, vec![0..3, 3..4]),
            (vec![5, 5, 5], 8, vec![0..1, 1..2, 2..3]),
            (vec![7], 4, vec![0..1]),
            (vec![], 4, vec![0..0]),
            (vec![3, 3, 3, 3, 3], 1, vec![0..5]),
        ] {
            assert_eq!(groups(&cells(&rows), partitions), expected, "{rows:?}");
        }
    }
}
