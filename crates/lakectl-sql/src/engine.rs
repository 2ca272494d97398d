//! The SQL engine of stages: one thread, one partition, a fixed budget, and nothing in sight but what was granted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::Volatility;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use lakectl_core::TableId;

use crate::SqlError;
use crate::error::nearest;
use crate::functions;
use crate::granted::GrantedRows;
use crate::plans::{Plans, Question};
use crate::query::{Literal, Query, analyse, bind};

/// Memory one stage query may use.
pub const STAGE_MEMORY_BYTES: usize = 1 << 30;
/// Changes whenever the engine's settings change the rows a query gives; part of every fingerprint.
pub const ENGINE_VERSION: &str = concat!("lakectl-sql/1 datafusion/", "55.2.0");
const BATCH_ROWS: usize = 8192;
/// Names of the one catalogue; never written in a query.
pub(crate) const CATALOG: &str = "lake";
const DEFAULT_SCHEMA: &str = "public";
/// Functions whose result is not a function of their arguments, though not declared volatile.
const CLOCKS: [&str; 4] = ["now", "current_date", "current_time", "version"];

/// A table that a stage query may read.
#[derive(Clone, Debug)]
pub struct StageTable {
    /// Its name in the query.
    pub id: TableId,
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

/// A prepared engine. Making one costs milliseconds, a query's own session some ten microseconds.
#[derive(Debug)]
pub struct SqlEngine {
    state: SessionState,
    /// Names of functions that no stage may call, their aliases included.
    impure: BTreeSet<String>,
    plans: Plans,
    memory_bytes: usize,
}

impl Default for SqlEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl SqlEngine {
    /// Prepares the engine with all functions but those that look at a clock or a random number.
    pub fn new() -> Self {
        Self::with_memory(STAGE_MEMORY_BYTES)
    }

    /// [`Self::new`] with another budget per query; the budget belongs to the engine's version.
    pub fn with_memory(memory_bytes: usize) -> Self {
        let mut config = base_config()
            .with_target_partitions(1)
            .with_batch_size(BATCH_ROWS);
        let options = config.options_mut();
        options.execution.planning_concurrency = 1;
        // Row counts of the inputs must not decide in which order floats are added.
        options.optimizer.join_reordering = false;
        options.optimizer.enable_dynamic_filter_pushdown = false;
        let mut state = SessionStateBuilder::new_with_default_features()
            .with_config(config)
            .build();
        register_functions(&mut state);
        let mut impure = BTreeSet::new();
        for udf in state.scalar_functions().values() {
            if udf.signature().volatility == Volatility::Volatile || CLOCKS.contains(&udf.name()) {
                impure.insert(udf.name().to_owned());
                impure.extend(udf.aliases().iter().cloned());
            }
        }
        for name in &impure {
            // Absent names were aliases that went with their function.
            let _ = state.deregister_udf(name);
        }
        Self {
            state,
            impure,
            plans: Plans::default(),
            memory_bytes,
        }
    }

    /// Returns the session's settings and functions, without tables.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// Tells whether a function looks at a clock or a random number.
    pub(crate) fn is_impure(&self, function: &str) -> bool {
        self.impure.contains(function)
    }

    /// Runs one query over exactly these tables and returns its schema and rows, in the query's order.
    ///
    /// Blocks the calling thread and must not be called from inside an asynchronous task.
    ///
    /// # Errors
    /// Everything that [`SqlError`] names but the contract's.
    pub fn run_stage(
        &self,
        sql: &str,
        tables: Vec<StageTable>,
        params: &BTreeMap<String, Literal>,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        self.run_query(&analyse(sql)?, tables, params)
    }

    /// [`Self::run_stage`] for a query that is parsed already.
    ///
    /// # Errors
    /// As [`Self::run_stage`].
    pub fn run_query(
        &self,
        query: &Query,
        tables: Vec<StageTable>,
        params: &BTreeMap<String, Literal>,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        for table in &query.tables {
            if !tables.iter().any(|granted| granted.id == *table) {
                return Err(SqlError::UnknownTable {
                    name: table.to_string(),
                    hint: nearest(table.as_str(), tables.iter().map(|t| t.id.as_str())),
                });
            }
        }
        let statement = Statement::Statement(Box::new(bind(query, params)?));
        let schemas = tables.iter().map(|t| (t.id.clone(), Arc::clone(&t.schema)));
        let question = Question::new(&statement, schemas.collect());
        let rows = GrantedRows::new(tables, BATCH_ROWS)
            .map_err(|(table, error)| SqlError::Plan(format!("{table}: {error}")))?;
        block_on(async {
            let plan = self.plans.take(&self.state, statement, &question).await;
            let plan = plan.map_err(|e| SqlError::planning(&e))?;
            let answer = self.execute(Arc::clone(&plan), rows).await?;
            let kept = self.plans.give_back(question, plan);
            kept.map_err(|e| SqlError::planning(&e))?;
            Ok(answer)
        })?
    }

    async fn execute(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        rows: GrantedRows,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let run_error = |e: DataFusionError| SqlError::executing(&e, self.memory_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(self.memory_bytes)))
            .build_arc()
            .map_err(run_error)?;
        let config = self.state.config().clone().with_extension(Arc::new(rows));
        let context = TaskContext::from(&self.state)
            .with_session_config(config)
            .with_runtime(runtime);
        let schema = plan.schema();
        let batches = collect(plan, Arc::new(context)).await;
        let mut batches = batches.map_err(run_error)?;
        batches.retain(|batch| batch.num_rows() > 0);
        Ok((schema, batches))
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, SqlError> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map(|runtime| runtime.block_on(future))
        .map_err(|e| SqlError::Execute(format!("no thread for the query: {e}")))
}

/// Settings of every session, of stages and of people.
pub(crate) fn base_config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    config
}

/// Adds our functions; aggregates of ours replace the engine's of the same name.
pub(crate) fn register_functions(state: &mut SessionState) {
    for udf in functions::scalar_functions() {
        // Registration only fails for sessions that refuse functions.
        let _ = state.register_udf(udf);
    }
    for udaf in functions::aggregate_functions() {
        let _ = state.register_udaf(udaf);
    }
}

/// Puts tables under their schema names into one catalogue.
pub(crate) fn catalog_of(
    tables: &BTreeMap<TableId, Arc<dyn TableProvider>>,
) -> Result<Arc<dyn CatalogProviderList>, DataFusionError> {
    let catalog = MemoryCatalogProvider::new();
    for (id, table) in tables {
        let schema = match catalog.schema(id.schema()) {
            Some(schema) => schema,
            None => {
                let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(id.schema(), Arc::clone(&schema))?;
                schema
            }
        };
        schema.register_table(id.name().to_owned(), Arc::clone(table))?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}
