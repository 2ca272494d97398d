//! What is wrong with a stage's query, found before any row is there: unknown columns and functions, types that do not fit,
//! a result that is not the contract's, functions that look at a clock or a random number.

use std::collections::BTreeMap;

use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use lakectl_core::{Contract, TableId};
use lakectl_store::schema_of;

use crate::engine::{SqlEngine, block_on};
use crate::plans::over;
use crate::query::{Literal, Query, bind};
use crate::{SqlError, conform};

impl SqlEngine {
    /// Plans a query over tables of these columns, and holds the columns of its result against a contract. Nothing is run,
    /// so what depends on values is not found.
    ///
    /// # Errors
    /// What a run over rows would say: [`SqlError::Impure`], [`SqlError::UnknownColumn`],
    /// [`SqlError::UnknownFunction`], [`SqlError::UnknownParam`], [`SqlError::Plan`], [`SqlError::Columns`],
    /// [`SqlError::Order`], [`SqlError::ColumnType`].
    pub fn validate(
        &self,
        query: &Query,
        tables: &BTreeMap<TableId, Contract>,
        params: &BTreeMap<String, Literal>,
        contract: &Contract,
    ) -> Result<(), SqlError> {
        if let Some(name) = query.functions.iter().find(|name| self.is_impure(name)) {
            return Err(SqlError::Impure { name: name.clone() });
        }
        let plan = self.plan_over(query, tables, params)?;
        conform(plan.schema().inner(), &[], contract).map(|_| ())
    }

    /// The planner's tree with all types resolved, not optimised: that would look at values.
    fn plan_over(
        &self,
        query: &Query,
        tables: &BTreeMap<TableId, Contract>,
        params: &BTreeMap<String, Literal>,
    ) -> Result<LogicalPlan, SqlError> {
        let planning = |e: DataFusionError| SqlError::planning(&e);
        let statement = Statement::Statement(Box::new(bind(query, params)?));
        let columns = tables.iter().map(|(id, c)| (id.clone(), schema_of(c)));
        let read = block_on(over(self.state(), statement, columns))?;
        let (state, plan) = read.map_err(planning)?;
        let checked = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {});
        checked.map_err(planning)
    }
}
