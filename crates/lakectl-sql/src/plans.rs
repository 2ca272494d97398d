//! Plans that were made before. A stage asks one query of hundreds of partitions, and finding out how to answer takes longer
//! than answering: the optimised plan is kept, without the rows, and bound to the tables of the next partition.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::builder::LogicalTableSource;
use datafusion::logical_expr::{LogicalPlan, TableScan, TableSource};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement;
use lakectl_core::TableId;

/// More than the stages of a run have queries, with every value of a key; beyond it, all is forgotten.
const PLANS_MAX: usize = 512;

/// The tables of a query, by name.
pub(crate) type Providers = BTreeMap<TableId, Arc<dyn TableProvider>>;

/// Optimised plans by the text of their query, its parameters filled in.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    known: Mutex<BTreeMap<String, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    /// The columns that the plan was made for.
    schemas: Vec<(TableId, SchemaRef)>,
    plan: LogicalPlan,
}

impl Plans {
    /// Plans a query over these tables, all of which `state` has in its catalogue.
    pub(crate) async fn physical(
        &self,
        state: &SessionState,
        statement: Statement,
        tables: &Providers,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let schemas: Vec<_> = tables
            .iter()
            .map(|(id, table)| (id.clone(), table.schema()))
            .collect();
        let text = statement.to_string();
        let known = self.get(&text, &schemas);
        let unbound = match known {
            Some(plan) => plan,
            None => {
                let logical = state.statement_to_plan(statement).await?;
                let plan = with_sources(state.optimize(&logical)?, |scan| {
                    let table = granted(scan, tables)?;
                    Some(Arc::new(LogicalTableSource::new(table.schema())))
                })?;
                self.keep(text, schemas, &plan);
                plan
            }
        };
        let bound = with_sources(unbound, |scan| {
            Some(provider_as_source(Arc::clone(granted(scan, tables)?)))
        })?;
        state
            .query_planner()
            .create_physical_plan(&bound, state)
            .await
    }

    fn get(&self, text: &str, schemas: &[(TableId, SchemaRef)]) -> Option<LogicalPlan> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(text).filter(|known| known.schemas == schemas)?;
        Some(known.plan.clone())
    }

    fn keep(&self, text: String, schemas: Vec<(TableId, SchemaRef)>, plan: &LogicalPlan) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= PLANS_MAX {
            known.clear();
        }
        let plan = plan.clone();
        known.insert(text, Known { schemas, plan });
    }
}

/// Returns the table that a scan reads; `None` for one that a function makes of its arguments.
fn granted<'t>(scan: &TableScan, tables: &'t Providers) -> Option<&'t Arc<dyn TableProvider>> {
    let name = &scan.table_name;
    let mut tables = tables.iter();
    let found =
        tables.find(|(id, _)| id.name() == name.table() && name.schema() == Some(id.schema()))?;
    Some(found.1)
}

/// Gives tables that a plan reads another source of the same columns.
fn with_sources(
    plan: LogicalPlan,
    source: impl Fn(&TableScan) -> Option<Arc<dyn TableSource>>,
) -> Result<LogicalPlan, DataFusionError> {
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(mut scan) => {
            if let Some(source) = source(&scan) {
                scan.source = source;
            }
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(changed.data)
}
