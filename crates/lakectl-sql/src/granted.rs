//! The tables of a stage query. A plan knows their names and columns alone and finds their rows when it runs, so that one plan
//! serves every partition, and no count of rows can sway how it computes.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as DfResult, exec_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::TableType;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use datafusion::prelude::Expr;
use lakectl_core::TableId;

use crate::StageTable;

/// The rows of each table, for one run of a plan; travels in the settings of its session.
#[derive(Debug)]
pub(crate) struct GrantedRows(BTreeMap<TableId, Vec<RecordBatch>>);

impl GrantedRows {
    /// Takes the rows of tables in batches of at most `batch_rows`, with the columns that their contracts declare: readers may
    /// mark columns nullable that a contract does not.
    pub(crate) fn new(
        tables: impl IntoIterator<Item = StageTable>,
        batch_rows: usize,
    ) -> Result<Self, (TableId, arrow::error::ArrowError)> {
        let rows = tables.into_iter().map(|table| {
            let mut batches = Vec::with_capacity(table.batches.len());
            for batch in &table.batches {
                let columns = batch.columns().to_vec();
                let declared = RecordBatch::try_new(Arc::clone(&table.schema), columns);
                let declared = declared.map_err(|error| (table.id.clone(), error))?;
                let starts = (0..declared.num_rows()).step_by(batch_rows);
                batches.extend(starts.map(|start| {
                    let rows = batch_rows.min(declared.num_rows() - start);
                    declared.slice(start, rows)
                }));
            }
            Ok((table.id, batches))
        });
        rows.collect::<Result<_, _>>().map(Self)
    }
}

/// A table of which a plan knows the columns.
#[derive(Debug)]
pub(crate) struct GrantedTable {
    id: TableId,
    schema: SchemaRef,
}

impl GrantedTable {
    pub(crate) fn new(id: TableId, schema: SchemaRef) -> Self {
        Self { id, schema }
    }
}

impl TableProvider for GrantedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        _: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        _: &'life3 [Expr],
        _: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = DfResult<Arc<dyn ExecutionPlan>>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        let scan = GrantedScan::new(&self.id, &self.schema, projection);
        Box::pin(std::future::ready(
            scan.map(|scan| Arc::new(scan) as Arc<dyn ExecutionPlan>),
        ))
    }
}

/// Reads some columns of a granted table.
#[derive(Debug)]
struct GrantedScan {
    id: TableId,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl GrantedScan {
    fn new(id: &TableId, schema: &SchemaRef, projection: Option<&Vec<usize>>) -> DfResult<Self> {
        let projected = match projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => Arc::clone(schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(projected),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            id: id.clone(),
            projection: projection.cloned(),
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for GrantedScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantedScan: {}", self.id)
    }
}

impl ExecutionPlan for GrantedScan {
    fn name(&self) -> &'static str {
        "GrantedScan"
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

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let granted = context.session_config().get_extension::<GrantedRows>();
        let batches = granted.as_ref().and_then(|rows| rows.0.get(&self.id));
        let batches = batches
            .ok_or_else(|| exec_datafusion_err!("no rows were granted of {}", self.id))?
            .clone();
        let schema = Arc::clone(self.properties.equivalence_properties().schema());
        let stream = MemoryStream::try_new(batches, schema, self.projection.clone())?;
        Ok(Box::pin(stream))
    }
}
