//! Plans that were made before. A stage asks one query of hundreds of partitions, and finding out how to answer takes longer
//! than answering, so the plan of a query is kept for the next partition. A plan holds state while it runs: each is lent to one
//! run at a time, and a query that several tasks ask at once has as many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::sql::parser::Statement;
use lakectl_core::TableId;

use crate::engine::catalog_of;
use crate::granted::GrantedTable;

/// More than the stages of a run have queries, with every value of a key; beyond it, all is forgotten. A query that names its
/// day is another one for each partition, so a long run forgets now and then and plans the others again.
const PLANS_MAX: usize = 512;

/// What a plan is made for: a query, its parameters filled in, over tables of these columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    text: String,
    schemas: Vec<(TableId, SchemaRef)>,
}

impl Question {
    pub(crate) fn new(statement: &Statement, schemas: Vec<(TableId, SchemaRef)>) -> Self {
        let text = statement.to_string();
        Self { text, schemas }
    }
}

/// Plans that nobody runs now.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    idle: Mutex<HashMap<Question, Vec<Arc<dyn ExecutionPlan>>>>,
}

impl Plans {
    /// Returns a plan that nobody else has.
    pub(crate) async fn take(
        &self,
        state: &SessionState,
        statement: Statement,
        question: &Question,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.get_mut(question).and_then(Vec::pop)
        };
        match idle {
            Some(plan) => Ok(plan),
            None => plan(state, statement, question).await,
        }
    }

    /// Keeps a plan that has run to its end for the next who asks. One that has not may be in any state and is not for keeping.
    pub(crate) fn give_back(
        &self,
        question: Question,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<(), DataFusionError> {
        let plan = reset_plan_states(plan)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= PLANS_MAX && !idle.contains_key(&question) {
            idle.clear();
        }
        idle.entry(question).or_default().push(plan);
        Ok(())
    }
}

async fn plan(
    state: &SessionState,
    statement: Statement,
    question: &Question,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let tables = question.schemas.iter().cloned();
    let (state, logical) = over(state, statement, tables).await?;
    state.create_physical_plan(&logical).await
}

/// Reads a query over tables of which only the columns are known. Returns the session that has them too.
pub(crate) async fn over(
    state: &SessionState,
    statement: Statement,
    tables: impl Iterator<Item = (TableId, SchemaRef)>,
) -> Result<(SessionState, LogicalPlan), DataFusionError> {
    let tables = tables.map(|(id, schema)| {
        let table = GrantedTable::new(id.clone(), schema);
        (id, Arc::new(table) as Arc<dyn TableProvider>)
    });
    let mut state = state.clone();
    state.register_catalog_list(catalog_of(&tables.collect())?);
    let logical = state.statement_to_plan(statement).await?;
    Ok((state, logical))
}
