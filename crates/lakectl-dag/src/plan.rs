//! A plan: the tasks of a selection in order, each with its verdict. A plain value; planning asks no network and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, Day, DayRange, Fingerprint, Parts, TableId, TaskKey};

use crate::board::{Board, Gates};
use crate::event::Totals;
use crate::fingerprint::Definition;
use crate::nearest::hint;
use crate::partition::{Calendar, Entry, TablePartitions};
use crate::scope::Scope;
use crate::verdict::Demand;
use crate::{CheckReport, Coverage, Listing, OpenCheck, Pipeline, StageKind, Verdict, World};

mod error;
mod need;

pub use error::PlanError;
pub(crate) use need::planned_reads;
use need::{Need, Readers};

/// Which outputs are wanted. What they need is planned as well, whatever its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// A goal: a table, a schema or a tag.
    pub until: Option<String>,
    /// Selectors; with a goal, only stages that it needs.
    pub select: Vec<String>,
    /// Output partitions of these days.
    pub days: DayRange,
    /// Output partitions with one of these values for a key, such as `asset` -> BTC; tables without the key are not filtered.
    pub keys: BTreeMap<String, BTreeSet<String>>,
    /// Only these tasks, of those that the rest selects.
    pub tasks: Option<BTreeSet<TaskKey>>,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            until: None,
            select: Vec::new(),
            days: DayRange::ALL,
            keys: BTreeMap::new(),
            tasks: None,
        }
    }
}

/// Everything a plan is made of, besides the pipeline and the world.
#[derive(Clone, Debug)]
pub struct PlanRequest<'a> {
    /// Which outputs are wanted.
    pub selection: Selection,
    /// Stages (selectors) whose tasks are computed again.
    pub force: Vec<String>,
    /// Harvest stages (selectors) that are fetched again.
    pub refresh: Vec<String>,
    /// The day after the last planned one.
    pub end: Day,
    /// Coverages by name.
    pub coverages: &'a BTreeMap<String, Coverage>,
    /// What the sources offer, by raw table. A table that is not in it could not be listed and stays as published.
    pub listings: &'a BTreeMap<TableId, Vec<Listing>>,
    /// Row-affecting parts of stages that their declarations do not hold: query text, functions, parameter values.
    pub definitions: &'a BTreeMap<TableId, Parts>,
}

/// One task of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTask {
    /// The task.
    pub task: TaskKey,
    /// The index of its stage.
    pub stage: usize,
    /// What has to happen, as far as that is known before the run.
    pub verdict: Verdict,
    /// The fingerprint; `None` while inputs are not known.
    pub fingerprint: Option<Fingerprint>,
    /// The cells of a `Reuse` or `Restore`, in the order of the stage's outputs.
    pub cells: Vec<Arc<Cell>>,
    /// Whether it was selected, or is only needed by a selected one.
    pub selected: bool,
    /// A remark of its source.
    pub note: Option<String>,
    /// The held task whose old rows it reads, directly or not.
    pub(crate) stale: Option<usize>,
}

impl PlannedTask {
    /// Tells whether it reads old rows of a task whose new ones are held.
    pub fn is_stale(&self) -> bool {
        self.stale.is_some()
    }
}

/// The tasks of a selection, each after all that it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The day after the last planned one.
    pub end: Day,
    /// The tasks.
    pub tasks: Vec<PlannedTask>,
    /// Published raw partitions that their source does not list any more. They are kept.
    pub vanished: Vec<TaskKey>,
    /// Published partitions of the planned tables that the declarations have no place for any more, such as those of a former
    /// grain or of an asset that is not covered now: beside the new ones their rows would count twice, so a run drops them.
    /// Raw partitions are none of them, for they cannot be computed again.
    pub abandoned: Vec<TaskKey>,
    /// Checks that rows failed, published or held back, as far as that is known before the run.
    pub checks: Vec<CheckReport>,
    /// Checks that have not looked at rows which this plan reuses or restores, such as one that was declared after they were
    /// published.
    pub open_checks: Vec<OpenCheck>,
    pub(crate) scope: Scope,
    pub(crate) readers: Readers,
    /// Which checks wait for which tasks.
    pub(crate) gates: Gates,
}

impl Plan {
    /// Returns the planned and published partitions of a table, for people and checks.
    pub fn partitions(&self, table: &TableId) -> Option<&TablePartitions> {
        self.scope.partitions.iter().find(|p| p.table == *table)
    }

    /// Returns the tasks that read a task of this plan, by index.
    pub fn readers(&self, task: usize) -> &[u32] {
        self.readers.of(task)
    }

    /// Returns the published cells of a task, the main table's first; `None` for a table that is not published.
    pub(crate) fn published<'p>(
        &'p self,
        pipeline: &'p Pipeline,
        task: usize,
    ) -> impl Iterator<Item = Option<&'p Arc<Cell>>> {
        let key = &self.tasks[task].task.partition;
        let main = pipeline.main_table(self.tasks[task].stage);
        let secondary = pipeline.stages()[self.tasks[task].stage].also.len();
        (main..=main + secondary).map(move |table| {
            let partitions = &self.scope.partitions[table];
            let entry = match table == main {
                true => Some(self.scope.tasks[task].entry),
                false => partitions.find(key),
            };
            partitions.entries[entry?].published.as_ref()
        })
    }

    /// Counts the verdicts.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for task in &self.tasks {
            totals.total += 1;
            match task.verdict {
                Verdict::Reuse => totals.reused += 1,
                Verdict::Restore => totals.restored += 1,
                Verdict::Run(_) => totals.ran += 1,
                Verdict::Pending(_) => totals.pending += 1,
                Verdict::Blocked(_) => totals.blocked += 1,
            }
        }
        totals
    }
}

/// Plans a run.
///
/// # Errors
/// [`PlanError`] if the selection, a coverage or a listing does not fit the pipeline.
pub fn plan(
    pipeline: &Pipeline,
    world: &dyn World,
    request: &PlanRequest<'_>,
) -> Result<Plan, PlanError> {
    let selected = selected_stages(pipeline, &request.selection)?;
    let demands = demands(pipeline, request)?;
    let mut reach = pipeline.ancestors(&selected);
    reach.extend(&selected);
    let calendar = Calendar {
        coverages: request.coverages,
        listings: request.listings,
        end: request.end,
    };
    let partitions = calendar.partitions(pipeline, world, &reach)?;
    let mut abandoned = partitions.abandoned;
    let definitions = pipeline.stages().iter();
    let definitions = definitions
        .map(|stage| Definition::of(stage, request.definitions.get(&stage.table)))
        .collect();
    let mut scope = Scope::new(pipeline, partitions.tables, definitions);
    check_values(&scope.partitions, &request.selection)?;
    let need = Need::of(pipeline, &scope, &selected, &request.selection);
    let (tasks, readers) = need.number(pipeline, &scope, &request.selection, &demands);
    scope.tasks = tasks;
    check_demands(pipeline, &scope, request)?;
    let planned: BTreeSet<usize> = scope.tasks.iter().map(|task| task.stage).collect();
    let is_planned = |task: &TaskKey| {
        let table = pipeline.table(&task.table);
        table.is_some_and(|table| planned.contains(&pipeline.tables()[table].1))
    };
    abandoned.retain(is_planned);
    let vanished = vanished(pipeline, &scope);
    let (tasks, checks, open_checks) = judge(pipeline, &scope, world, &need);
    Ok(Plan {
        end: request.end,
        tasks,
        vanished,
        abandoned,
        checks,
        open_checks,
        gates: Gates::of(pipeline, &scope),
        scope,
        readers,
    })
}

fn selected_stages(
    pipeline: &Pipeline,
    selection: &Selection,
) -> Result<BTreeSet<usize>, PlanError> {
    let chosen = pipeline.select(&selection.select)?;
    match (&selection.until, selection.select.is_empty()) {
        (None, true) => Ok((0..pipeline.stages().len()).collect()),
        (None, false) => Ok(chosen),
        (Some(goal), true) => Ok(pipeline.until(goal)?),
        (Some(goal), false) => {
            let mut reach = pipeline.until(goal)?;
            reach.extend(pipeline.ancestors(&reach));
            for select in &selection.select {
                let stages = pipeline.select(std::slice::from_ref(select))?;
                if reach.is_disjoint(&stages) {
                    return Err(PlanError::NothingSelected {
                        select: select.clone(),
                        until: goal.clone(),
                        hint: names_like(pipeline, select, reach.iter().copied()),
                    });
                }
            }
            Ok(reach.intersection(&chosen).copied().collect())
        }
    }
}

fn demands(pipeline: &Pipeline, request: &PlanRequest<'_>) -> Result<Vec<Demand>, PlanError> {
    let mut demands = vec![Demand::None; pipeline.stages().len()];
    for stage in pipeline.select(&request.force)? {
        demands[stage] = Demand::Force;
    }
    let harvested = |stage: &usize| pipeline.stages()[*stage].kind == StageKind::Harvest;
    for select in &request.refresh {
        let stages = pipeline.select(std::slice::from_ref(select))?;
        if !stages.iter().any(harvested) {
            return Err(PlanError::NothingToRefresh(select.clone()));
        }
        for stage in stages.into_iter().filter(harvested) {
            demands[stage] = Demand::Refresh;
        }
    }
    Ok(demands)
}

/// Returns a hint at the tables of some stages.
fn names_like(
    pipeline: &Pipeline,
    select: &str,
    stages: impl Iterator<Item = usize>,
) -> Option<String> {
    let stages: Vec<usize> = stages.collect();
    let names = stages.iter().map(|i| pipeline.stages()[*i].table.as_str());
    hint(select.trim_matches('+'), names)
}

/// A stage that shall be computed again and has no task would be passed over in silence.
fn check_demands(
    pipeline: &Pipeline,
    scope: &Scope,
    request: &PlanRequest<'_>,
) -> Result<(), PlanError> {
    let stages_of = |passes: &dyn Fn(Demand) -> bool| -> BTreeSet<usize> {
        let tasks = scope.tasks.iter().filter(|task| passes(task.demand));
        tasks.map(|task| task.stage).collect()
    };
    // A harvest that is both forced and refreshed is refreshed, which computes it as well.
    let forced = stages_of(&|demand| demand != Demand::None);
    let refreshed = stages_of(&|demand| demand == Demand::Refresh);
    let forces = request.force.iter().map(|s| ("--force", s, &forced));
    let refreshes = request.refresh.iter().map(|s| ("--refresh", s, &refreshed));
    for (flag, select, found) in forces.chain(refreshes) {
        let stages = pipeline.select(std::slice::from_ref(select))?;
        if found.is_disjoint(&stages) {
            let planned = stages_of(&|_| true);
            return Err(PlanError::NotInPlan {
                flag,
                select: select.clone(),
                hint: names_like(pipeline, select, planned.into_iter()),
            });
        }
    }
    Ok(())
}

fn check_values(partitions: &[TablePartitions], selection: &Selection) -> Result<(), PlanError> {
    for (key, values) in &selection.keys {
        let entries = partitions.iter().flat_map(|table| &table.entries);
        let known: BTreeSet<&str> = entries.filter_map(|entry| entry.key.get(key)).collect();
        if let Some(value) = values.iter().find(|value| !known.contains(value.as_str())) {
            return Err(PlanError::NoSuchValue {
                key: key.clone(),
                value: value.clone(),
                hint: hint(value, known.iter().copied()),
            });
        }
    }
    Ok(())
}

fn wanted(entry: &Entry, selection: &Selection) -> bool {
    let inside = |(key, values): (&String, &BTreeSet<String>)| {
        entry
            .key
            .get(key)
            .is_none_or(|value| values.contains(value))
    };
    entry.planned && selection.days.overlaps(&entry.period) && selection.keys.iter().all(inside)
}

/// Tells whether the selection has this task, by the tasks that it names.
fn named(table: &TableId, entry: &Entry, selection: &Selection) -> bool {
    selection.tasks.as_ref().is_none_or(|tasks| {
        tasks.contains(&TaskKey {
            table: table.clone(),
            partition: entry.key.clone(),
        })
    })
}

fn vanished(pipeline: &Pipeline, scope: &Scope) -> Vec<TaskKey> {
    let mut keys = Vec::new();
    for (index, stage) in pipeline.stages().iter().enumerate() {
        if stage.kind == StageKind::Harvest {
            let entries = &scope.partitions[pipeline.main_table(index)].entries;
            keys.extend(
                entries
                    .iter()
                    .filter(|entry| entry.vanished)
                    .map(|entry| TaskKey {
                        table: stage.table.clone(),
                        partition: entry.key.clone(),
                    }),
            );
        }
    }
    keys
}

/// Gives each task its verdict, as far as the verdicts before it let rows be known, and tells which checks are known to fail
/// and which have not looked yet.
fn judge(
    pipeline: &Pipeline,
    scope: &Scope,
    world: &dyn World,
    need: &Need,
) -> (Vec<PlannedTask>, Vec<CheckReport>, Vec<OpenCheck>) {
    let mut board = Board::new(pipeline, scope, world);
    let mut tasks = Vec::with_capacity(scope.tasks.len());
    let mut checks = Vec::new();
    // By stage and check: partitions to look at, and those whose other rows are not known.
    let mut open: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for (index, task) in scope.tasks.iter().enumerate() {
        let settled = board.judge(index);
        match settled.verdict {
            Verdict::Reuse => board.done(index, &settled.cells, settled.stale),
            // A check that has not looked at these rows yet may still hold them back.
            Verdict::Restore if settled.gate.is_decided() => {
                board.done(index, &settled.cells, settled.stale);
            }
            Verdict::Blocked(_) => board.held(index),
            Verdict::Restore | Verdict::Run(_) | Verdict::Pending(_) => {}
        }
        if matches!(settled.verdict, Verdict::Reuse | Verdict::Restore) {
            for (check, known) in settled.gate.open() {
                let (asked, pending) = open.entry((task.stage, check)).or_default();
                *(if known { asked } else { pending }) += 1;
            }
        }
        let held = matches!(settled.verdict, Verdict::Blocked(_));
        checks.extend(settled.gate.noteworthy(held));
        let listing = scope.entry(pipeline, task).listing.as_ref();
        tasks.push(PlannedTask {
            task: task.key.clone(),
            stage: task.stage,
            verdict: settled.verdict,
            fingerprint: settled.fingerprint,
            cells: settled.cells,
            selected: need.selected[task.stage][task.entry],
            note: listing.and_then(|listing| listing.note.clone()),
            stale: settled.stale,
        });
    }
    let open = open.into_iter().map(|((stage, check), counts)| {
        let stage = &pipeline.stages()[stage];
        OpenCheck {
            table: stage.table.clone(),
            check: stage.checks[check].name.clone(),
            severity: stage.checks[check].severity,
            partitions: counts.0,
            pending: counts.1,
        }
    });
    let open = open.collect();
    (tasks, checks, open)
}
