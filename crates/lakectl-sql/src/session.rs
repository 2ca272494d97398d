//! Ad-hoc queries over one version of the lake.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::prelude::{SQLOptions, SessionContext};
use futures::StreamExt;
use lakectl_core::TableId;
use lakectl_store::{Lake, Snapshot};

use crate::ask::ask;
use crate::catalog::{LakeTable, union_view};
use crate::columns::Columns;
use crate::engine::{base_config, catalog_of, register_functions};
use crate::error::nearest;
use crate::yielding::YieldingJoins;
use crate::{Literal, SqlError, SystemTable, system};

/// The view of all rejects.
const QUARANTINE: &str = "quarantine";
/// Operators that a memory error names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);
/// Columns of verified files are kept in this share of the memory that queries may use.
const KEPT_SHARE: usize = 4;

/// What queries may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Memory of all queries of the session; sorts, joins and groups beyond it go to temporary files.
    pub memory_bytes: usize,
    /// Threads that one query computes on; `None` takes one for each processor.
    pub threads: Option<NonZeroUsize>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            threads: None,
        }
    }
}

/// One version of a lake, open for queries.
pub struct LakeSession {
    context: SessionContext,
    pub(crate) tables: BTreeMap<TableId, Arc<dyn TableProvider>>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) unions: BTreeMap<TableId, Vec<TableId>>,
    system: Vec<SystemTable>,
    columns: Arc<Columns>,
    options: SessionOptions,
}

impl std::fmt::Debug for LakeSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (version, tables) = (self.snapshot.version, self.tables.len());
        write!(f, "LakeSession(version {version}, {tables} tables)")
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
        Self::with_options(
            lake,
            snapshot,
            unions,
            Vec::new(),
            SessionOptions::default(),
        )
    }

    /// [`Self::new`] with more tables of the schema `system`, within other bounds.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_options(
        lake: Arc<Lake>,
        snapshot: Snapshot,
        unions: BTreeMap<TableId, Vec<TableId>>,
        system: Vec<SystemTable>,
        options: SessionOptions,
    ) -> Result<Self, SqlError> {
        let kept = options.memory_bytes / KEPT_SHARE;
        let columns = Arc::new(Columns::new(lake, kept as u64));
        Self::over(columns, Arc::new(snapshot), unions, system, options)
    }

    /// Opens another version of the same lake. Columns that were read are not read again.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn at(&self, snapshot: Snapshot) -> Result<Self, SqlError> {
        let columns = Arc::clone(&self.columns);
        let (unions, system) = (self.unions.clone(), self.system.clone());
        Self::over(columns, Arc::new(snapshot), unions, system, self.options)
    }

    fn over(
        columns: Arc<Columns>,
        snapshot: Arc<Snapshot>,
        unions: BTreeMap<TableId, Vec<TableId>>,
        system: Vec<SystemTable>,
        options: SessionOptions,
    ) -> Result<Self, SqlError> {
        let tables = tables_of(&columns, &snapshot, &unions, &system);
        let tables = tables.map_err(|e| SqlError::planning(&e))?;
        let context = context(&tables, options)?;
        Ok(Self {
            context,
            tables,
            snapshot,
            unions,
            system,
            columns,
            options,
        })
    }

    /// Returns the names of all tables and views.
    pub fn tables(&self) -> impl Iterator<Item = &TableId> {
        self.tables.keys()
    }

    /// Returns the version that is open.
    pub fn version(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The engine's session.
    pub(crate) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Starts one reading statement (a query, `EXPLAIN`, `DESCRIBE` or `SHOW`) with `$name` and `$1` replaced by `params`,
    /// and returns its rows as they come. Dropping them stops the query.
    ///
    /// # Errors
    /// [`SqlError::Syntax`], [`SqlError::NotAQuery`]; [`SqlError::UnknownTable`] and [`SqlError::UnknownColumn`]
    /// with the nearest names; [`SqlError::UnknownParam`]; [`SqlError::Plan`].
    pub async fn rows(
        &self,
        sql: &str,
        params: &BTreeMap<String, Literal>,
    ) -> Result<Rows, SqlError> {
        let planning = |e: DataFusionError| SqlError::planning(&e);
        let asked = ask(sql, params).map_err(|error| self.with_full_names(error))?;
        asked.tables.iter().try_for_each(|id| self.check(id))?;
        let state = self.context.state();
        let plan = state
            .statement_to_plan(asked.statement)
            .await
            .map_err(planning)?;
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
        let memory_bytes = self.options.memory_bytes;
        let stream = DataFrame::new(state, plan)
            .execute_stream()
            .await
            .map_err(|e| SqlError::starting(&e, memory_bytes))?;
        Ok(Rows {
            stream,
            explains: asked.explains,
            memory_bytes,
        })
    }

    /// Runs one reading statement without parameters and returns its schema and rows.
    ///
    /// # Errors
    /// As [`Self::rows`], and [`SqlError::Execute`].
    pub async fn collect(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let mut rows = self.rows(sql, &BTreeMap::new()).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await {
            batches.push(batch?);
        }
        Ok((rows.schema(), batches))
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

    /// Names an unknown table before the planner does, with what was probably meant.
    fn check(&self, table: &TableId) -> Result<(), SqlError> {
        if self.tables.contains_key(table) || table.schema() == "information_schema" {
            return Ok(());
        }
        let known = || self.tables.keys().map(TableId::as_str);
        let system: Vec<&str> = known().filter(|name| name.starts_with("system.")).collect();
        Err(SqlError::UnknownTable {
            name: table.to_string(),
            hint: match table.schema() {
                // They are few, and no folder shows them.
                "system" => format!("; there are {}", system.join(", ")),
                _ => nearest(table.as_str(), known()),
            },
        })
    }

    /// The schema was forgotten: names every schema that has such a table.
    fn with_full_names(&self, error: SqlError) -> SqlError {
        let name = match error {
            SqlError::TableName { name, .. } if !name.contains('.') => name,
            other => return other,
        };
        let same: Vec<String> = self
            .tables
            .keys()
            .filter(|id| id.name() == name)
            .map(|id| format!("`{id}`"))
            .collect();
        let hint = match same.is_empty() {
            true => {
                nearest(&name, self.tables.keys().map(TableId::name))
                    + "; tables are written `schema.table`"
            }
            false => format!("; did you mean {}?", same.join(" or ")),
        };
        SqlError::UnknownTable { name, hint }
    }
}

/// The rows of one statement, batch by batch.
pub struct Rows {
    stream: SendableRecordBatchStream,
    explains: bool,
    memory_bytes: usize,
}

impl Rows {
    /// Returns the columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// Tells whether the rows are a plan: each has its kind and a text of many lines.
    pub fn explains(&self) -> bool {
        self.explains
    }

    /// Returns the next batch that has rows, or `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, SqlError>> {
        loop {
            match self.stream.next().await? {
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => return Some(Ok(batch)),
                Err(e) => return Some(Err(SqlError::executing(&e, self.memory_bytes))),
            }
        }
    }
}

type Tables = BTreeMap<TableId, Arc<dyn TableProvider>>;

fn tables_of(
    columns: &Arc<Columns>,
    snapshot: &Arc<Snapshot>,
    unions: &BTreeMap<TableId, Vec<TableId>>,
    system: &[SystemTable],
) -> Result<Tables, DataFusionError> {
    let mut tables = Tables::new();
    for (id, meta) in &snapshot.tables {
        let table = LakeTable::new(columns, snapshot, id, meta);
        tables.insert(id.clone(), Arc::new(table));
    }
    let lake_tables = tables.clone();
    for (id, members) in unions {
        let members = members
            .iter()
            .filter(|member| lake_tables.contains_key(*member));
        if let Some(view) = union_view(&lake_tables, members, false)? {
            tables.insert(id.clone(), view);
        }
    }
    let rejects = lake_tables.keys().filter(|id| id.schema() == QUARANTINE);
    if let (Some(view), Ok(id)) = (
        union_view(&lake_tables, rejects, true)?,
        TableId::new("system", QUARANTINE),
    ) {
        tables.insert(id, view);
    }
    tables.extend(system::tables(columns.lake(), snapshot));
    tables.extend(system::given(system));
    Ok(tables)
}

fn context(tables: &Tables, options: SessionOptions) -> Result<SessionContext, SqlError> {
    let planning = |e: DataFusionError| SqlError::planning(&e);
    let mut config = base_config().with_information_schema(true);
    if let Some(threads) = options.threads {
        config = config.with_target_partitions(threads.get());
    }
    let mut state = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(runtime(options)?)
        .with_physical_optimizer_rule(Arc::new(YieldingJoins))
        .build();
    register_functions(&mut state);
    state.register_catalog_list(catalog_of(tables).map_err(planning)?);
    Ok(SessionContext::new_with_state(state))
}

/// Memory that is shared fairly by the operators that can spill, and temporary files for what they spill.
fn runtime(options: SessionOptions) -> Result<Arc<RuntimeEnv>, SqlError> {
    let pool = FairSpillPool::new(options.memory_bytes - options.memory_bytes / KEPT_SHARE);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, CONSUMERS_NAMED)))
        .build_arc()
        .map_err(|e| SqlError::executing(&e, options.memory_bytes))
}
