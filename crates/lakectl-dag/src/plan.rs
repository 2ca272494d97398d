//! A plan: the tasks of a selection in order, each with its verdict. A plain value; planning asks no network and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{
    Cell, CoreError, Day, DayRange, Fingerprint, PartitionKey, Parts, TableId, TaskKey,
};
use thiserror::Error;

use crate::board::{Board, Scope, TaskRef};
use crate::event::Totals;
use crate::fingerprint::definition_digest;
use crate::partition::{Calendar, Entry, TablePartitions};
use crate::verdict::Demand;
use crate::{Coverage, Listing, Pipeline, SelectError, StageKind, Verdict, World};

/// A request that cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A name in the selection.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A coverage that is not configured.
    #[error(
        "stage `{table}`: there is no `[coverage.{coverage}]`{}",
        did_you_mean(nearest)
    )]
    Coverage {
        /// The stage.
        table: TableId,
        /// The coverage.
        coverage: String,
        /// Close names.
        nearest: Vec<String>,
    },
    /// A coverage without values for one of the stage's keys.
    #[error("stage `{table}`: `[coverage.{coverage}]` gives no values for the key `{key}`")]
    CoverageKey {
        /// The stage.
        table: TableId,
        /// The coverage.
        coverage: String,
        /// The key.
        key: String,
    },
    /// A listed partition with other columns than the stage declares.
    #[error("the source of `{table}` lists `{partition}`, which is not a partition of that table")]
    Listing {
        /// The raw table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
    },
    /// A normalising stage that does not read exactly one table.
    #[error("stage `{0}` normalises, so its first input has to be one raw table")]
    NormalizeInput(TableId),
    /// A filter value that no partition has.
    #[error("no partition has {key} `{value}`{}", did_you_mean(nearest))]
    NoSuchValue {
        /// The partition key.
        key: String,
        /// What was given.
        value: String,
        /// Close values.
        nearest: Vec<String>,
    },
    /// The stages to refresh have no source.
    #[error(
        "none of `{0}` is harvested\n  hint: refresh fetches again; to compute a stage again, force it"
    )]
    NothingToRefresh(String),
    /// `--select` names no stage that the goal needs.
    #[error("nothing selected: no stage of `{select}` is needed for `{until}`")]
    NothingSelected {
        /// The selectors.
        select: String,
        /// The goal.
        until: String,
    },
    /// A value that cannot be a partition's.
    #[error(transparent)]
    Core(CoreError),
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest.is_empty() {
        true => String::new(),
        false => format!("\n  hint: did you mean `{}`?", nearest.join("`, `")),
    }
}

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
    pub(crate) scope: Scope,
    /// By task: the tasks that read it.
    pub(crate) readers: Vec<Vec<u32>>,
}

impl Plan {
    /// Returns the planned and published partitions of a table, for people and checks.
    pub fn partitions(&self, table: &TableId) -> Option<&TablePartitions> {
        self.scope.partitions.iter().find(|p| p.table == *table)
    }

    /// Returns the tasks that read a task of this plan, by index.
    pub fn readers(&self, task: usize) -> &[u32] {
        &self.readers[task]
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
    let calendar = Calendar {
        coverages: request.coverages,
        listings: request.listings,
        end: request.end,
    };
    let mut scope = Scope {
        partitions: calendar.partitions(pipeline, world)?,
        definitions: definitions(pipeline, request.definitions),
        tasks: Vec::new(),
    };
    check_values(&scope.partitions, &request.selection)?;
    let need = Need::of(pipeline, &scope, &selected, &request.selection);
    let (tasks, readers) = need.number(pipeline, &scope, &request.selection, &demands);
    scope.tasks = tasks;
    let vanished = vanished(pipeline, &scope);
    let tasks = judge(pipeline, &scope, world, &need);
    Ok(Plan {
        end: request.end,
        tasks,
        vanished,
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
            let both: BTreeSet<usize> = reach.intersection(&chosen).copied().collect();
            if both.is_empty() {
                return Err(PlanError::NothingSelected {
                    select: selection.select.join(" "),
                    until: goal.clone(),
                });
            }
            Ok(both)
        }
    }
}

fn demands(pipeline: &Pipeline, request: &PlanRequest<'_>) -> Result<Vec<Demand>, PlanError> {
    let mut demands = vec![Demand::None; pipeline.stages().len()];
    for stage in pipeline.select(&request.force)? {
        demands[stage] = Demand::Force;
    }
    let harvested = |stage: &usize| pipeline.stages()[*stage].kind == StageKind::Harvest;
    let refreshed = pipeline.select(&request.refresh)?;
    if !refreshed.is_empty() && !refreshed.iter().any(harvested) {
        return Err(PlanError::NothingToRefresh(request.refresh.join(" ")));
    }
    for stage in refreshed.into_iter().filter(harvested) {
        demands[stage] = Demand::Refresh;
    }
    Ok(demands)
}

fn definitions(pipeline: &Pipeline, given: &BTreeMap<TableId, Parts>) -> Vec<(Parts, Fingerprint)> {
    let parts = pipeline.stages().iter().map(|stage| {
        let mut parts = stage.definition();
        parts.extend(given.get(&stage.table).cloned().unwrap_or_default());
        let digest = definition_digest(&parts);
        (parts, digest)
    });
    parts.collect()
}

fn check_values(partitions: &[TablePartitions], selection: &Selection) -> Result<(), PlanError> {
    for (key, values) in &selection.keys {
        let entries = partitions.iter().flat_map(|table| &table.entries);
        let known: BTreeSet<&str> = entries.filter_map(|entry| entry.key.get(key)).collect();
        if let Some(value) = values.iter().find(|value| !known.contains(value.as_str())) {
            return Err(PlanError::NoSuchValue {
                key: key.clone(),
                value: value.clone(),
                nearest: crate::nearest(value, known)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
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

/// Which entries of each stage's main table are selected, and which are needed by those.
struct Need {
    selected: Vec<Vec<bool>>,
    needed: Vec<Vec<bool>>,
    /// By stage and entry: the (stage, entry) pairs that it reads, sorted.
    reads: Vec<Vec<Vec<(u32, u32)>>>,
}

impl Need {
    /// Stages stand after what they read, so one sweep from the last to the first finds everything.
    fn of(
        pipeline: &Pipeline,
        scope: &Scope,
        stages: &BTreeSet<usize>,
        selection: &Selection,
    ) -> Self {
        let entries = |stage: usize| &scope.partitions[pipeline.main_table(stage)].entries;
        let count = pipeline.stages().len();
        let selected: Vec<Vec<bool>> = (0..count)
            .map(|stage| {
                let chosen = stages.contains(&stage);
                let table = &pipeline.stages()[stage].table;
                let wanted = |entry: &Entry| {
                    chosen && wanted(entry, selection) && named(table, entry, selection)
                };
                entries(stage).iter().map(wanted).collect()
            })
            .collect();
        let mut needed = selected.clone();
        let mut reads: Vec<Vec<Vec<(u32, u32)>>> = (0..count)
            .map(|stage| vec![Vec::new(); entries(stage).len()])
            .collect();
        for stage in (0..count).rev() {
            for (index, entry) in entries(stage).iter().enumerate() {
                if !needed[stage][index] {
                    continue;
                }
                let read = reads_of(pipeline, scope, stage, entry);
                for (stage, entry) in &read {
                    needed[*stage as usize][*entry as usize] = true;
                }
                reads[stage][index] = read;
            }
        }
        Self {
            selected,
            needed,
            reads,
        }
    }

    /// Numbers the needed tasks and lists the readers of each.
    fn number(
        &self,
        pipeline: &Pipeline,
        scope: &Scope,
        selection: &Selection,
        demands: &[Demand],
    ) -> (Vec<TaskRef>, Vec<Vec<u32>>) {
        let mut tasks = Vec::new();
        let mut readers: Vec<Vec<u32>> = Vec::new();
        let mut numbers: Vec<Vec<u32>> = Vec::new();
        for (stage, needed) in self.needed.iter().enumerate() {
            let partitions = &scope.partitions[pipeline.main_table(stage)];
            numbers.push(vec![u32::MAX; needed.len()]);
            for entry in (0..needed.len()).filter(|entry| needed[*entry]) {
                // Forcing and refreshing are for the selected days, values and tasks only.
                let asked = &partitions.entries[entry];
                let demand =
                    match wanted(asked, selection) && named(&partitions.table, asked, selection) {
                        true => demands[stage],
                        false => Demand::None,
                    };
                let number = tasks.len() as u32;
                numbers[stage][entry] = number;
                readers.push(Vec::new());
                for (stage, entry) in &self.reads[stage][entry] {
                    let read = numbers[*stage as usize][*entry as usize];
                    readers[read as usize].push(number);
                }
                tasks.push(TaskRef {
                    key: TaskKey {
                        table: partitions.table.clone(),
                        partition: partitions.entries[entry].key.clone(),
                    },
                    stage,
                    entry,
                    demand,
                });
            }
        }
        (tasks, readers)
    }
}

/// Returns the planned partitions that a task may read, as (stage, entry of its main table), each once.
fn reads_of(pipeline: &Pipeline, scope: &Scope, stage: usize, output: &Entry) -> Vec<(u32, u32)> {
    let mut reads = Vec::new();
    for input in pipeline.inputs(stage) {
        for (table, pick) in scope.picks(output, input) {
            let entry = &scope.partitions[table].entries[pick.entry as usize];
            if !entry.planned {
                continue;
            }
            let (_, writer) = pipeline.tables()[table];
            let main = pipeline.main_table(writer);
            let place = match main == table {
                true => Some(pick.entry as usize),
                false => scope.partitions[main].find(&entry.key),
            };
            reads.extend(place.map(|place| (writer as u32, place as u32)));
        }
    }
    reads.sort_unstable();
    reads.dedup();
    reads
}

/// Gives each task its verdict, as far as the verdicts before it let rows be known.
fn judge(pipeline: &Pipeline, scope: &Scope, world: &dyn World, need: &Need) -> Vec<PlannedTask> {
    let mut board = Board::new(pipeline, scope, world);
    let mut tasks = Vec::with_capacity(scope.tasks.len());
    for (index, task) in scope.tasks.iter().enumerate() {
        let settled = board.settle(index);
        match settled.verdict {
            Verdict::Reuse | Verdict::Restore => board.done(index, &settled.cells, None),
            Verdict::Blocked(_) => board.held(index),
            Verdict::Run(_) | Verdict::Pending(_) => {}
        }
        let listing = scope.entry(pipeline, task).listing.as_ref();
        tasks.push(PlannedTask {
            task: task.key.clone(),
            stage: task.stage,
            verdict: settled.verdict,
            fingerprint: settled.fingerprint,
            cells: settled.cells,
            selected: need.selected[task.stage][task.entry],
            note: listing.and_then(|listing| listing.note.clone()),
        });
    }
    tasks
}
