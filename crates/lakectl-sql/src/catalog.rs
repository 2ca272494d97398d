//! The tables of one version of a lake, and views over several of them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, col, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use lakectl_core::{Cell, TableId};
use lakectl_store::{Snapshot, TableMeta, schema_of};

use crate::columns::Columns;
use crate::prune::CellFacts;
use crate::scan::LakeScan;

/// One table of a snapshot.
#[derive(Debug)]
pub(crate) struct LakeTable {
    columns: Arc<Columns>,
    schema: SchemaRef,
    time_column: Option<String>,
    /// The cells that have rows.
    cells: Vec<Arc<Cell>>,
}

impl LakeTable {
    pub(crate) fn new(
        columns: &Arc<Columns>,
        snapshot: &Snapshot,
        id: &TableId,
        meta: &TableMeta,
    ) -> Self {
        let cells = snapshot.partitions(id).map(|(_, cell)| cell);
        Self {
            columns: Arc::clone(columns),
            schema: schema_of(&meta.contract),
            time_column: meta.time_column.clone(),
            cells: cells.filter(|cell| cell.rows > 0).cloned().collect(),
        }
    }

    fn plan(
        &self,
        partitions: usize,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        let time_column = self.time_column.as_deref();
        let kept = self
            .cells
            .iter()
            .filter(|cell| CellFacts::new(cell, time_column).may_match(filters));
        let cells: Vec<Arc<Cell>> = kept.cloned().collect();
        if cells.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let columns = Arc::clone(&self.columns);
        Ok(Arc::new(LakeScan::new(
            columns, cells, schema, partitions, limit,
        )))
    }
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
