//! What is wrong with a stage's query, found before any row is there: unknown columns and functions, types that do not fit,
//! a result that is not the contract's, functions that look at a clock or a random number.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use lakectl_core::{Contract, TableId};
use lakectl_store::schema_of;

use crate::engine::{SqlEngine, block_on, catalog_of, empty_table};
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
        let mut providers: BTreeMap<TableId, Arc<dyn TableProvider>> = BTreeMap::new();
        for (id, contract) in tables {
            let table = empty_table(schema_of(contract)).map_err(planning)?;
            providers.insert(id.clone(), Arc::new(table));
        }
        let mut state = self.state().clone();
        state.register_catalog_list(catalog_of(&providers).map_err(planning)?);
        let statement = Statement::Statement(Box::new(bind(query, params)?));
        let plan = block_on(state.statement_to_plan(statement))?.map_err(planning)?;
        let checked = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {});
        checked.map_err(planning)
    }
}
