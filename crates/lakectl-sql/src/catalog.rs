//! Ad-hoc queries over one version of the lake.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, col, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;
use lakectl_core::{Cell, TableId};
use lakectl_store::{Lake, Snapshot, TableMeta, schema_of};
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::engine::{base_config, catalog_of, register_functions};
use crate::error::nearest;
use crate::files::VerifiedFiles;
use crate::prune::CellFacts;
use crate::query::analyse;
use crate::{SqlError, system};

/// Where the session finds the lake's files; paths below it are those of the cells.
const STORE: &str = "lake://files";
/// The view of all rejects.
const QUARANTINE: &str = "quarantine";

/// One version of a lake, open for queries.
pub struct LakeSession {
    context: SessionContext,
    tables: BTreeMap<TableId, Arc<dyn TableProvider>>,
}

impl std::fmt::Debug for LakeSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LakeSession({} tables)", self.tables.len())
    }
}

impl LakeSession {
    /// Opens `snapshot` of `lake`: its tables as `schema.table`, the `system` tables, and one view per union,
    /// named by its key and made of those members that the snapshot has.
    ///
    /// # Errors
    /// [`SqlError::Plan`] if members of a union differ in columns.
    pub fn new(
        lake: Arc<Lake>,
        snapshot: Snapshot,
        unions: BTreeMap<TableId, Vec<TableId>>,
    ) -> Result<Self, SqlError> {
        let planning = |e: DataFusionError| SqlError::planning(&e);
        let snapshot = Arc::new(snapshot);
        let mut tables: BTreeMap<TableId, Arc<dyn TableProvider>> = BTreeMap::new();
        for (id, meta) in &snapshot.tables {
            tables.insert(
                id.clone(),
                Arc::new(LakeTable::new(&lake, &snapshot, id, meta)),
            );
        }
        let lake_tables = tables.clone();
        for (id, members) in &unions {
            let members = members
                .iter()
                .filter(|member| lake_tables.contains_key(*member));
            if let Some(view) = union_view(&lake_tables, members, false).map_err(planning)? {
                tables.insert(id.clone(), view);
            }
        }
        let rejects = lake_tables.keys().filter(|id| id.schema() == QUARANTINE);
        if let (Some(view), Ok(id)) = (
            union_view(&lake_tables, rejects, true).map_err(planning)?,
            TableId::new("system", QUARANTINE),
        ) {
            tables.insert(id, view);
        }
        tables.extend(system::tables(&lake, &snapshot));

        let mut state = SessionStateBuilder::new_with_default_features()
            .with_config(base_config().with_information_schema(true))
            .build();
        register_functions(&mut state);
        state.register_catalog_list(catalog_of(&tables).map_err(planning)?);
        // Scans want a store by name; what they read comes from `VerifiedFiles`, so this one is never asked.
        let url = ObjectStoreUrl::parse(STORE).map_err(planning)?;
        state
            .runtime_env()
            .register_object_store(url.as_ref(), Arc::new(InMemory::new()));
        let context = SessionContext::new_with_state(state);
        Ok(Self { context, tables })
    }

    /// Returns the names of all tables and views.
    pub fn tables(&self) -> impl Iterator<Item = &TableId> {
        self.tables.keys()
    }

    /// Plans one reading statement: a query, `EXPLAIN`, `DESCRIBE` or `SHOW`.
    ///
    /// # Errors
    /// [`SqlError::Syntax`], [`SqlError::NotAQuery`]; [`SqlError::UnknownTable`] and [`SqlError::UnknownColumn`]
    /// with the nearest names; [`SqlError::Plan`].
    pub async fn query(&self, sql: &str) -> Result<DataFrame, SqlError> {
        let planning = |e: DataFusionError| SqlError::planning(&e);
        let state = self.context.state();
        let dialect = state.config().options().sql_parser.dialect;
        let statement = match state.sql_to_statement(sql, &dialect) {
            Ok(statement) => statement,
            // Our own parser's errors carry the position apart.
            Err(e) => return Err(analyse(sql).err().unwrap_or_else(|| planning(e))),
        };
        self.check_tables(&statement)?;
        let plan = state.statement_to_plan(statement).await.map_err(planning)?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|_| SqlError::NotAQuery {
                found: "a statement that changes something; the lake is written by `run` only"
                    .to_owned(),
                line: 1,
                column: 1,
            })?;
        Ok(DataFrame::new(state, plan))
    }

    /// Runs one reading statement and returns its schema and rows.
    ///
    /// # Errors
    /// As [`Self::query`], and [`SqlError::Execute`].
    pub async fn collect(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let frame = self.query(sql).await?;
        let schema = Arc::clone(frame.schema().inner());
        let mut batches = frame
            .collect()
            .await
            .map_err(|e| SqlError::executing(&e, usize::MAX))?;
        batches.retain(|batch| batch.num_rows() > 0);
        // The plan's types may differ in layout from the batches'.
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        Ok((schema, batches))
    }

    /// [`Self::collect`] that blocks this thread and computes on all cores; must not be called from inside an asynchronous task.
    ///
    /// # Errors
    /// As [`Self::collect`].
    pub fn collect_blocking(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        tokio::runtime::Builder::new_multi_thread()
            .build()
            .map_err(|e| SqlError::Execute(format!("no threads for the query: {e}")))?
            .block_on(self.collect(sql))
    }

    /// Names unknown tables before the planner does, with what was probably meant.
    fn check_tables(&self, statement: &DfStatement) -> Result<(), SqlError> {
        let text = match statement {
            DfStatement::Statement(inner) => match inner.as_ref() {
                Statement::Query(query) => query.to_string(),
                Statement::Explain { statement, .. } => statement.to_string(),
                _ => return Ok(()),
            },
            DfStatement::Explain(explain) => explain.statement.to_string(),
            _ => return Ok(()),
        };
        match analyse(&text) {
            Ok(query) => query.tables.iter().try_for_each(|table| {
                if self.tables.contains_key(table) || table.schema() == "information_schema" {
                    return Ok(());
                }
                Err(SqlError::UnknownTable {
                    name: table.to_string(),
                    hint: nearest(table.as_str(), self.tables.keys().map(TableId::as_str)),
                })
            }),
            Err(SqlError::TableName { name, .. }) if !name.contains('.') => {
                Err(SqlError::UnknownTable {
                    hint: self.full_names(&name),
                    name,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// The schema was forgotten: every schema that has such a table.
    fn full_names(&self, name: &str) -> String {
        let same: Vec<String> = self
            .tables
            .keys()
            .filter(|id| id.name() == name)
            .map(|id| format!("`{id}`"))
            .collect();
        if same.is_empty() {
            return nearest(name, self.tables.keys().map(TableId::name))
                + "; tables are written `schema.table`";
        }
        format!("; did you mean {}?", same.join(" or "))
    }
}

/// One table of a snapshot.
#[derive(Debug)]
struct LakeTable {
    lake: Arc<Lake>,
    schema: SchemaRef,
    time_column: Option<String>,
    cells: Vec<Arc<Cell>>,
}

impl LakeTable {
    fn new(lake: &Arc<Lake>, snapshot: &Snapshot, id: &TableId, meta: &TableMeta) -> Self {
        Self {
            lake: Arc::clone(lake),
            schema: schema_of(&meta.contract),
            time_column: meta.time_column.clone(),
            cells: snapshot
                .partitions(id)
                .map(|(_, cell)| Arc::clone(cell))
                .collect(),
        }
    }

    fn plan(
        &self,
        partitions: usize,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let time_column = self.time_column.as_deref();
        let kept = self
            .cells
            .iter()
            .filter(|cell| CellFacts::new(cell, time_column).may_match(filters));
        let mut rows = 0;
        let mut files = Vec::new();
        for cell in kept {
            if let Some(file) = &cell.file {
                let mut found = PartitionedFile::new("", file.bytes).with_extension(file.clone());
                found.object_meta.location = Path::parse(&file.path)?;
                files.push(found);
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
        let files_of_lake = Arc::new(VerifiedFiles(Arc::clone(&self.lake)));
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_parquet_file_reader_factory(files_of_lake);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE)?, Arc::new(source))
            .with_file_groups(FileGroup::new(files).split_files(partitions.max(1)))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_statistics(statistics)
            .build();
        Ok(DataSourceExec::from_data_source(config))
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
fn union_view<'a>(
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
