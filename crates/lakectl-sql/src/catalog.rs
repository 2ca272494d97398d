//! The tables of one version of a lake, and views over several of them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, col, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use lakectl_core::{Cell, TableId};
use lakectl_store::{Snapshot, TableMeta, schema_of};
use object_store::path::Path;

use crate::files::VerifiedFiles;
use crate::prune::CellFacts;

/// Where the session finds the lake's files; paths below it are those of the cells.
pub(crate) const STORE: &str = "lake://files";

/// One table of a snapshot.
#[derive(Debug)]
pub(crate) struct LakeTable {
    files: Arc<VerifiedFiles>,
    schema: SchemaRef,
    time_column: Option<String>,
    cells: Vec<Arc<Cell>>,
    /// The cells as the engine's files, made when the table is first read; `None` for one without rows.
    prepared: OnceLock<Vec<Option<PartitionedFile>>>,
}

impl LakeTable {
    pub(crate) fn new(
        files: &Arc<VerifiedFiles>,
        snapshot: &Snapshot,
        id: &TableId,
        meta: &TableMeta,
    ) -> Self {
        Self {
            files: Arc::clone(files),
            schema: schema_of(&meta.contract),
            time_column: meta.time_column.clone(),
            cells: snapshot
                .partitions(id)
                .map(|(_, cell)| Arc::clone(cell))
                .collect(),
            prepared: OnceLock::new(),
        }
    }

    fn prepared(&self) -> DfResult<&[Option<PartitionedFile>]> {
        if let Some(made) = self.prepared.get() {
            return Ok(made);
        }
        let made = self.cells.iter().map(partitioned);
        let made = made.collect::<DfResult<Vec<_>>>()?;
        Ok(self.prepared.get_or_init(|| made))
    }

    fn plan(
        &self,
        partitions: usize,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let time_column = self.time_column.as_deref();
        let mut rows = 0;
        let mut files = Vec::new();
        for (cell, file) in self.cells.iter().zip(self.prepared()?) {
            let Some(file) = file else { continue };
            if CellFacts::new(cell, time_column).may_match(filters) {
                files.push(file.clone());
                rows += cell.rows as usize;
            }
        }
        if files.is_empty() {
            let schema = match projection {
                Some(indices) => Arc::new(self.schema.project(indices)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(rows);
        let factory = Arc::clone(&self.files);
        let source =
            ParquetSource::new(Arc::clone(&self.schema)).with_parquet_file_reader_factory(factory);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE)?, Arc::new(source))
            .with_file_groups(FileGroup::new(files).split_files(partitions.max(1)))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_statistics(statistics)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// The engine's name for a cell's file.
fn partitioned(cell: &Arc<Cell>) -> DfResult<Option<PartitionedFile>> {
    let Some(file) = cell.file.as_ref().filter(|_| cell.rows > 0) else {
        return Ok(None);
    };
    let mut made = PartitionedFile::new("", file.bytes).with_extension(Arc::clone(cell));
    made.object_meta.location = Path::parse(&file.path)?;
    Ok(Some(made))
}

type PlanFuture<'a> = Pin<Box<dyn Future<Output = DfResult<Arc<dyn ExecutionPlan>>> + Send + 'a>>;

impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        state: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        filters: &'life3 [Expr],
        limit: Option<usize>,
    ) -> PlanFuture<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        let partitions = state.config().target_partitions();
        Box::pin(std::future::ready(
            self.plan(partitions, projection, filters, limit),
        ))
    }
}

/// Joins tables end to end; `named` keeps their common columns and adds one with the table's name. `None` if
/// there is no member.
pub(crate) fn union_view<'a>(
    tables: &BTreeMap<TableId, Arc<dyn TableProvider>>,
    members: impl Iterator<Item = &'a TableId>,
    named: bool,
) -> DfResult<Option<Arc<dyn TableProvider>>> {
    let members: Vec<(&TableId, &Arc<dyn TableProvider>)> = members
        .filter_map(|id| tables.get(id).map(|table| (id, table)))
        .collect();
    let columns = if named {
        common_columns(&members)
    } else {
        Vec::new()
    };
    let mut union: Option<LogicalPlanBuilder> = None;
    for (id, table) in members {
        let mut part =
            LogicalPlanBuilder::scan(id.as_str(), provider_as_source(Arc::clone(table)), None)?;
        if named {
            let mut selected = vec![lit(id.as_str()).alias("table")];
            selected.extend(columns.iter().map(|name| col(format!("\"{name}\""))));
            part = part.project(selected)?;
        }
        union = Some(match union {
            None => part,
            Some(union) => union.union(part.build()?)?,
        });
    }
    let plan = union.map(LogicalPlanBuilder::build).transpose()?;
    Ok(plan.map(|plan| Arc::new(ViewTable::new(plan, None)) as Arc<dyn TableProvider>))
}

fn common_columns(members: &[(&TableId, &Arc<dyn TableProvider>)]) -> Vec<String> {
    let schemas: Vec<SchemaRef> = members.iter().map(|(_, table)| table.schema()).collect();
    let in_all = |schema: &Schema, name: &str| {
        let own = schema
            .field_with_name(name)
            .map(|f| f.data_type().clone())
            .ok();
        schemas.iter().all(|other| {
            other
                .field_with_name(name)
                .map(|f| f.data_type().clone())
                .ok()
                == own
        })
    };
    schemas.first().map_or_else(Vec::new, |schema| {
        let names = schema.fields().iter().map(|f| f.name().clone());
        names.filter(|name| in_all(schema, name)).collect()
    })
}
