//! Queries of stages against the declared columns, before the first task: what no partition could compute is said once, with
//! its place, and not once for each partition.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use lakectl_core::{Grain, TableId, UtcTime};
use lakectl_dag::{Plan, StageDecl, StageKind, Verdict};
use lakectl_sql::{Literal, Query, SqlError, locate};

use crate::assembly::{literal, query_path};
use crate::compute::input_contract;
use crate::settings::Settings;
use crate::{PipelineError, Workbench};

/// Stages whose queries were planned without an error. Neither queries nor contracts change while a project is open.
#[derive(Debug, Default)]
pub(crate) struct Planned(Mutex<BTreeSet<TableId>>);

impl Planned {
    fn has(&self, table: &TableId) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(table)
    }

    fn add(&self, table: &TableId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(table.clone());
    }
}

impl Workbench {
    /// Plans the queries of the stages that have something to compute; a plan that reuses everything costs nothing.
    ///
    /// # Errors
    /// [`PipelineError::Config`] for the first query that cannot give the declared rows.
    pub fn check_queries(&self, plan: &Plan) -> Result<(), PipelineError> {
        let busy = plan.tasks.iter().filter(|task| {
            let verdict = &task.verdict;
            matches!(verdict, Verdict::Run(_) | Verdict::Pending(_))
        });
        let busy: BTreeSet<usize> = busy.map(|task| task.stage).collect();
        let stages = self.assembly.pipeline.stages();
        self.check_all(busy.into_iter().map(|stage| &*stages[stage]))
    }

    /// [`Self::check_queries`] for all stages, whatever they have to do.
    ///
    /// # Errors
    /// As [`Self::check_queries`].
    pub fn check_every_query(&self) -> Result<(), PipelineError> {
        let stages = self.assembly.pipeline.stages().iter();
        self.check_all(stages.map(|stage| &**stage))
    }

    /// On threads of their own: planning drives a runtime, and this thread may be driving one already.
    fn check_all<'s>(
        &self,
        stages: impl Iterator<Item = &'s StageDecl>,
    ) -> Result<(), PipelineError> {
        let is_new = |stage: &&StageDecl| {
            stage.kind == StageKind::Sql && !self.assembly.planned.has(&stage.table)
        };
        let stages: Vec<&StageDecl> = stages.filter(is_new).collect();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let part = stages.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let check = |part: &[&StageDecl]| part.iter().try_for_each(|s| self.check_query(s));
            let parts = stages.chunks(part);
            let running: Vec<_> = parts.map(|part| scope.spawn(move || check(part))).collect();
            let ended = running.into_iter().map(|thread| thread.join());
            // The first error in the order of the graph, whichever thread came to one first.
            let ended: Vec<_> = ended.collect();
            ended
                .into_iter()
                .try_for_each(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }

    fn check_query(&self, stage: &StageDecl) -> Result<(), PipelineError> {
        let assembly = &self.assembly;
        let Some(query) = assembly.queries.get(&stage.table) else {
            return Ok(());
        };
        let inputs = stage.inputs.iter().map(|input| &input.table);
        let tables = inputs
            .map(|table| (table.clone(), input_contract(assembly, table)))
            .collect();
        let literals = literals(query, stage, &self.settings)?;
        let planned = assembly
            .engine
            .validate(query, &tables, &literals, &stage.contract);
        if let Err(error) = planned {
            return Err(self.refused(stage, &error));
        }
        assembly.planned.add(&stage.table);
        Ok(())
    }

    fn refused(&self, stage: &StageDecl, error: &SqlError) -> PipelineError {
        let path = query_path(&stage.table);
        let text = self.project.text(&path).unwrap_or_default();
        let hint = match error {
            SqlError::Impure { .. } => Some(
                "rows must come out the same whenever they are computed: take times from columns, or from `$start` and `$end`"
                    .to_owned(),
            ),
            SqlError::UnknownParam { .. } => Some(format!(
                "a stage without a grain has no period ({})",
                stage.origin
            )),
            SqlError::Columns { .. } | SqlError::Order { .. } | SqlError::ColumnType { .. } => {
                Some(format!("the contract is `columns` at {}", stage.origin))
            }
            _ => None,
        };
        PipelineError::Config {
            place: match locate(text, error) {
                Some((line, _)) => format!("{path}:{line}"),
                None => path,
            },
            message: error.to_string(),
            hint,
        }
    }
}

/// Values of the types that a task has for the placeholders.
fn literals(
    query: &Query,
    stage: &StageDecl,
    settings: &Settings,
) -> Result<BTreeMap<String, Literal>, PipelineError> {
    let mut literals = BTreeMap::new();
    for name in &query.params {
        if let Some(value) = settings.params.get(name) {
            literals.insert(name.clone(), literal(name, value)?);
        }
    }
    for key in &stage.keys {
        literals.insert(key.clone(), Literal::Text(String::new()));
    }
    if stage.grain != Grain::None {
        for (name, micros) in [("start", 0), ("end", 1)] {
            literals.insert(name.to_owned(), Literal::Time(UtcTime::from_micros(micros)));
        }
        if let Some(column) = stage.grain.column() {
            literals.insert(column.to_owned(), Literal::Text(String::new()));
        }
    }
    Ok(literals)
}
