//! Queries of stages: read, held against what their stages declare, and planned before the first task. What no partition
//! could compute is said once, with its place, and not once for each partition.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use lakectl_core::{Grain, TableId, UtcTime};
use lakectl_dag::{CheckDecl, CheckRule, Plan, SqlText, StageDecl, StageKind, Verdict, nearest};
use lakectl_sql::{Literal, Query, SqlError, analyse, locate};

use crate::assembly::literal;
use crate::compute::input_contract;
use crate::settings::Settings;
use crate::{PipelineError, Project, Workbench};

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

/// Finds the queries that no stage and no check asks, each with the name that was perhaps meant.
pub(crate) fn idle_queries(
    project: &Project,
    stages: &[StageDecl],
) -> Vec<(String, Option<String>)> {
    let file_of = |check: &CheckDecl| match &check.rule {
        CheckRule::Sql(SqlText::File(path)) => Some(path.clone()),
        _ => None,
    };
    let of_stages = stages.iter().filter(|stage| stage.kind == StageKind::Sql);
    let of_stages = of_stages.map(|stage| query_path(&stage.table));
    let of_checks = stages.iter().flat_map(|stage| &stage.checks);
    let asked: BTreeSet<String> = of_stages.chain(of_checks.filter_map(file_of)).collect();
    let is_idle = |(path, text): &(&str, &str)| {
        path.ends_with(".sql") && !text.trim().is_empty() && !asked.contains(*path)
    };
    let idle = project.files("sql").filter(is_idle);
    idle.map(|(path, _)| {
        let near = nearest(path, asked.iter().map(String::as_str));
        (path.to_owned(), near.first().map(|near| (*near).to_owned()))
    })
    .collect()
}

/// The file of a stage's query.
fn query_path(table: &TableId) -> String {
    format!("sql/{}/{}.sql", table.schema(), table.name())
}

/// Reads the query of every SQL stage and holds it against the declared inputs.
pub(crate) fn read_queries(
    project: &Project,
    stages: &[StageDecl],
) -> Result<BTreeMap<TableId, Query>, PipelineError> {
    let stages: Vec<&StageDecl> = stages
        .iter()
        .filter(|stage| stage.kind == StageKind::Sql)
        .collect();
    in_parts(&stages, |stage| {
        let query = read_query(project, stage)?;
        Ok((stage.table.clone(), query))
    })
    .map(|queries| queries.into_iter().collect())
}

/// Does the same with each of many items, on as many threads as there are processors. Results are in the order of the items;
/// so the first error is the same whichever thread comes to one first.
fn in_parts<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, PipelineError> + Sync,
) -> Result<Vec<R>, PipelineError> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = items.len().div_ceil(threads).max(1);
    let work = |part: &[T]| part.iter().map(&work).collect::<Result<Vec<R>, _>>();
    let parts = thread::scope(|scope| {
        let running: Vec<_> = items
            .chunks(part)
            .map(|part| scope.spawn(move || work(part)))
            .collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    let parts: Result<Vec<Vec<R>>, _> = parts.into_iter().collect();
    Ok(parts?.into_iter().flatten().collect())
}

fn read_query(project: &Project, stage: &StageDecl) -> Result<Query, PipelineError> {
    let path = query_path(&stage.table);
    let Some(text) = project.text(&path) else {
        return Err(PipelineError::config(
            stage.origin.to_string(),
            format!("`{}` is a query, but there is no `{path}`", stage.table),
        ));
    };
    let query =
        analyse(text).map_err(|error| PipelineError::config(path.clone(), error.to_string()))?;
    let declared: BTreeSet<&TableId> = stage.inputs.iter().map(|input| &input.table).collect();
    let read: BTreeSet<&TableId> = query.tables.iter().collect();
    if let Some(table) = read.difference(&declared).next() {
        let line = query.line_of(table).unwrap_or(1);
        return Err(PipelineError::Config {
            place: format!("{path}:{line}"),
            message: format!("the query reads `{table}`, which the stage does not declare"),
            hint: Some(format!(
                "add `\"{table}\" = \"self\"`, or another window, to its inputs at {}",
                stage.origin
            )),
        });
    }
    if let Some(table) = declared.difference(&read).next() {
        return Err(PipelineError::config(
            stage.origin.to_string(),
            format!(
                "`{}` declares the input `{table}`, which its query does not read",
                stage.table
            ),
        ));
    }
    Ok(query)
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
        in_parts(&stages, |stage| self.check_query(stage)).map(|_| ())
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
