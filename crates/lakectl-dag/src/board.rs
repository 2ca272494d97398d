//! What is known of every partition at one moment of planning or execution, and the questions both ask of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakectl_core::{
    Cell, CheckResult, DayRange, Fingerprint, FingerprintBuilder, PartitionKey, Parts, TableId,
    TaskKey,
};

use crate::change::{Change, definition_diff, diff};
use crate::fingerprint::{
    input_part, input_part_name, member_digest, output_fingerprint, state_of, task_fingerprint,
    window_digest,
};
use crate::partition::{Entry, TablePartitions};
use crate::scope::{Scope, TaskRef};
use crate::verdict::{Inputs, Question, verdict};
use crate::{
    BoundInput, Listing, Member, Missing, Pipeline, Reason, StageDecl, StageKind, State, Verdict,
    Window,
};

mod gate;

pub use gate::{CheckAsk, CheckReport, CheckSpec, FailedCheck, OpenCheck};
pub(crate) use gate::{Gate, Gates, needed_windows};

/// What planning and execution may ask of the lake. All answers are of one pinned version.
pub trait World: Sync {
    /// Returns the published partitions of a table with their cells, in the order of their keys.
    fn published(&self, table: &TableId) -> Vec<(PartitionKey, Arc<Cell>)>;
    /// Returns the cell that was ever computed for a fingerprint, published or not.
    fn cached(&self, fingerprint: &Fingerprint) -> Option<Arc<Cell>>;
    /// Returns all parts of a cell's fingerprint; asked only where a reason has to be told.
    fn parts(&self, cell: &Cell) -> Parts {
        cell.parts.clone()
    }
    /// Returns the run that has published this cell since the asking run began, if that was another one.
    fn overtaken_by(&self, _published: &Cell) -> Option<String> {
        None
    }
    /// Returns what a check found, by the digest of the check and of all rows that it read.
    fn checked(&self, _key: &Fingerprint) -> Option<CheckResult> {
        None
    }
    /// Tells whether somebody accepted that these rows of a task fail this check.
    fn accepted(&self, _task: &TaskKey, _check: &Fingerprint, _rows: &Fingerprint) -> bool {
        false
    }
    /// Tells whether somebody took the partition out of the plan.
    fn is_dropped(&self, _table: &TableId, _partition: &PartitionKey) -> bool {
        false
    }
    /// Returns what somebody changed about a task's inputs, as a part of its fingerprint.
    fn amended(&self, _task: &TaskKey) -> Option<String> {
        None
    }
}

/// One granted partition of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The partition, and the days of it that may be read.
    pub member: Member,
    /// Its rows; `None` if they are withheld.
    pub cell: Option<Arc<Cell>>,
    /// What the fingerprint says of it. `Empty` and `Withheld` need not be read.
    pub state: State,
}

/// Everything a task needs: nothing else may decide its rows.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// The stage.
    pub stage: Arc<StageDecl>,
    /// Its index in the pipeline.
    pub stage_index: usize,
    /// The main table and the partition.
    pub task: TaskKey,
    /// The days of the partition; [`DayRange::ALL`] without a grain.
    pub period: DayRange,
    /// What each declared input grants, by its declared name.
    pub grants: BTreeMap<TableId, Vec<Grant>>,
    /// What the source says of the partition, for a harvest.
    pub listing: Option<Listing>,
    /// The fingerprint. The cells that a runner returns are stamped with it.
    pub fingerprint: Fingerprint,
    /// Its parts. The cells that a runner returns are stamped with them.
    pub parts: Parts,
    /// A seed that depends on the task's key alone.
    pub seed: u64,
}

/// What is known of one partition.
#[derive(Clone)]
enum Seen {
    /// Its task is not settled.
    Unknown,
    /// Its task failed and nothing was published before.
    Withheld,
    /// Its rows, with the digest of the whole cell as a member; `stale` is the failed task behind old rows.
    Cell {
        cell: Arc<Cell>,
        digest: Fingerprint,
        stale: Option<usize>,
    },
}

/// One member of a window with what is known of it.
struct Granted {
    table: usize,
    entry: usize,
    cut: Option<DayRange>,
    state: State,
    digest: Fingerprint,
    stale: Option<usize>,
}

/// The outcome of asking what has to happen to a task.
pub(crate) struct Settled {
    pub(crate) verdict: Verdict,
    /// `None` while inputs are not known.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The task's cells, if the verdict is `Reuse` or `Restore`.
    pub(crate) cells: Vec<Arc<Cell>>,
    /// A failed task whose old rows were among the inputs.
    pub(crate) stale: Option<usize>,
    /// What is known of the checks of those cells.
    pub(crate) gate: Gate,
}

pub(crate) struct Board<'a> {
    pipeline: &'a Pipeline,
    scope: &'a Scope,
    world: &'a dyn World,
    /// By table and entry.
    seen: Vec<Vec<Seen>>,
    /// What checks found in this run, and whether that lasts.
    found: BTreeMap<Fingerprint, (CheckResult, bool)>,
}

impl<'a> Board<'a> {
    pub(crate) fn new(pipeline: &'a Pipeline, scope: &'a Scope, world: &'a dyn World) -> Self {
        let mut board = Self {
            pipeline,
            scope,
            world,
            seen: Vec::with_capacity(scope.partitions.len()),
            found: BTreeMap::new(),
        };
        let mut open: Vec<Vec<bool>> = scope.partitions.iter().map(none_open).collect();
        for task in 0..scope.tasks.len() {
            for (table, entry) in board.outputs(task) {
                if let Some(entry) = entry {
                    open[table][entry] = true;
                }
            }
        }
        // What this plan does not make stays as it is published.
        for (partitions, open) in scope.partitions.iter().zip(open) {
            let entries = partitions.entries.iter().zip(open);
            let seen = entries.map(|(entry, open)| match open {
                true => Seen::Unknown,
                false => published(&partitions.table, entry, None),
            });
            let seen = seen.collect();
            board.seen.push(seen);
        }
        board
    }

    /// Returns the tables that a task makes, each with the task's entry in it.
    fn outputs(&self, task: usize) -> impl Iterator<Item = (usize, Option<usize>)> {
        let TaskRef { stage, entry, .. } = self.scope.tasks[task];
        let main = self.pipeline.main_table(stage);
        let key = &self.scope.partitions[main].entries[entry].key;
        let secondary = self.pipeline.stages()[stage].also.len();
        (main..=main + secondary).map(move |table| match table == main {
            true => (table, Some(entry)),
            false => (table, self.scope.partitions[table].find(key)),
        })
    }

    /// Notes the cells of a settled task, in the order of its outputs.
    pub(crate) fn done(&mut self, task: usize, cells: &[Arc<Cell>], stale: Option<usize>) {
        let outputs: Vec<_> = self.outputs(task).collect();
        for ((table, entry), cell) in outputs.into_iter().zip(cells) {
            if let Some(entry) = entry {
                let partitions = &self.scope.partitions[table];
                let place = &partitions.entries[entry];
                self.seen[table][entry] = see(&partitions.table, place, cell.clone(), stale);
            }
        }
    }

    /// Notes that a task failed or is blocked: what was published before stays, the rest is withheld.
    pub(crate) fn held(&mut self, task: usize) {
        let outputs: Vec<_> = self.outputs(task).collect();
        for (table, entry) in outputs {
            if let Some(entry) = entry {
                let partitions = &self.scope.partitions[table];
                let place = &partitions.entries[entry];
                self.seen[table][entry] = published(&partitions.table, place, Some(task));
            }
        }
    }

    /// Decides what has to happen to a task, from what is known now.
    pub(crate) fn settle(&self, index: usize) -> Settled {
        let task = &self.scope.tasks[index];
        let stage = &self.pipeline.stages()[task.stage];
        let entry = self.scope.entry(self.pipeline, task);
        let mut windows: Vec<Vec<Granted>> = Vec::new();
        let mut inputs = None;
        for (i, input) in self.pipeline.inputs(task.stage).iter().enumerate() {
            match self.granted(task, i) {
                Ok(members) => {
                    if let Some(held) = withheld(input, &members) {
                        inputs = Some(Inputs::Withheld(self.key_of(held)));
                        break;
                    }
                    windows.push(members);
                }
                Err(place) => {
                    inputs = Some(Inputs::Unknown(self.key_of(place)));
                    break;
                }
            }
        }
        let complete = inputs.is_none();
        let inputs = inputs.unwrap_or_else(|| Inputs::Known(self.fingerprint(task, &windows)));
        let fingerprint = match inputs {
            Inputs::Known(fingerprint) => Some(fingerprint),
            _ => None,
        };
        let outputs: Vec<(TableId, Option<Arc<Cell>>)> = self
            .outputs(index)
            .map(|(table, entry)| {
                let partitions = &self.scope.partitions[table];
                let cell = entry.and_then(|entry| partitions.entries[entry].published.clone());
                (partitions.table.clone(), cell)
            })
            .collect();
        let published = outputs.iter().any(|(_, cell)| cell.is_some());
        let listing = entry.listing.as_ref();
        let (verdict, cells) = verdict(&Question {
            outputs: &outputs,
            inputs,
            demand: task.demand,
            // An earlier cell of a published raw partition lacks the documents that came since.
            restorable: listing.is_none_or(|listing| listing.sealed && !published),
            output_fingerprint: &|task, output| output_fingerprint(task, &stage.table, output),
            changes: &|cell| self.changes(task, cell, complete.then_some(windows.as_slice())),
            cached: &|fingerprint| self.world.cached(fingerprint),
        });
        let (verdict, cells) = match (&verdict, self.overtaken(task, &outputs)) {
            (Verdict::Run(_) | Verdict::Restore | Verdict::Pending(_), Some(run)) => {
                (Verdict::Blocked(Reason::Overtaken { run }), Vec::new())
            }
            _ => (verdict, cells),
        };
        Settled {
            verdict,
            fingerprint,
            cells,
            gate: Gate::default(),
            stale: windows.iter().flatten().find_map(|member| member.stale),
        }
    }

    /// Returns all that a runner needs; to be asked when every input is settled.
    pub(crate) fn spec(&self, index: usize, fingerprint: Fingerprint) -> TaskSpec {
        let task = &self.scope.tasks[index];
        let entry = self.scope.entry(self.pipeline, task);
        let inputs = self.pipeline.inputs(task.stage);
        let windows: Vec<Vec<Granted>> = (0..inputs.len())
            .map(|input| self.granted(task, input).unwrap_or_default())
            .collect();
        let grants = inputs
            .iter()
            .zip(&windows)
            .map(|(input, members)| {
                let grants = members.iter().map(|member| self.grant(member)).collect();
                (input.name.clone(), grants)
            })
            .collect();
        TaskSpec {
            stage: self.pipeline.stages()[task.stage].clone(),
            stage_index: task.stage,
            task: task.key.clone(),
            period: entry.period,
            grants,
            listing: entry.listing.clone(),
            fingerprint,
            parts: self.parts(task, Some(&windows)),
            seed: FingerprintBuilder::new("seed")
                .field("table", task.key.table.as_str())
                .field("partition", &entry.text)
                .finish()
                .seed(),
        }
    }

    /// Returns the members of an input's window, or the first whose rows are not known yet.
    fn granted(&self, task: &TaskRef, input: usize) -> Result<Vec<Granted>, (usize, usize)> {
        let window = self.pipeline.window(task.stage, input).window;
        let latest = matches!(window, Window::LatestBefore { .. });
        let mut found = Vec::new();
        let place = (task.stage, task.entry);
        self.scope
            .picks(self.pipeline, place, input, &mut |table, pick| {
                found.push((table, pick));
            });
        let mut members = Vec::with_capacity(found.len());
        let mut satisfied: Option<(usize, u32)> = None;
        for (table, pick) in found {
            if satisfied == Some((table, pick.group)) {
                continue;
            }
            let entry = pick.entry as usize;
            let partitions = &self.scope.partitions[table];
            let text = &partitions.entries[entry].text;
            let (state, digest, stale) = match &self.seen[table][entry] {
                Seen::Unknown => return Err((table, entry)),
                Seen::Withheld => {
                    let digest = member_digest(&partitions.table, text, State::Withheld);
                    (State::Withheld, digest, None)
                }
                Seen::Cell {
                    cell,
                    digest,
                    stale,
                } => {
                    let state = state_of(cell, pick.cut);
                    let digest = match pick.cut {
                        None => *digest,
                        Some(_) => member_digest(&partitions.table, text, state),
                    };
                    (state, digest, *stale)
                }
            };
            if latest && matches!(state, State::Rows(_)) {
                satisfied = Some((table, pick.group));
            }
            members.push(Granted {
                table,
                entry,
                cut: pick.cut,
                state,
                digest,
                stale,
            });
        }
        Ok(members)
    }

    fn grant(&self, granted: &Granted) -> Grant {
        let partitions = &self.scope.partitions[granted.table];
        let cell = match &self.seen[granted.table][granted.entry] {
            Seen::Cell { cell, .. } => Some(cell.clone()),
            _ => None,
        };
        Grant {
            member: Member {
                table: partitions.table.clone(),
                partition: partitions.entries[granted.entry].key.clone(),
                cut: granted.cut,
            },
            cell,
            state: granted.state,
        }
    }

    fn fingerprint(&self, task: &TaskRef, windows: &[Vec<Granted>]) -> Fingerprint {
        let entry = self.scope.entry(self.pipeline, task);
        let token = entry.listing.as_ref().map(|listing| listing.token.as_str());
        let inputs = self.pipeline.inputs(task.stage);
        let digests = inputs.iter().zip(windows).map(|(input, members)| {
            (
                &input.name,
                window_digest(members.iter().map(|member| member.digest)),
            )
        });
        let definition = self.definition(task);
        let cut_short = entry.cut_short();
        task_fingerprint(
            &task.key,
            &entry.text,
            definition,
            token,
            cut_short.as_deref(),
            digests,
        )
    }

    /// Returns the digest of the stage's definition, with what an override changes about this task.
    fn definition(&self, task: &TaskRef) -> Fingerprint {
        let stage = self.scope.definitions[task.stage].digest;
        match self.world.amended(&task.key) {
            None => stage,
            Some(amendment) => FingerprintBuilder::new("amended")
                .field("definition", stage.as_bytes())
                .field("override", amendment)
                .finish(),
        }
    }

    fn parts(&self, task: &TaskRef, windows: Option<&[Vec<Granted>]>) -> Parts {
        let mut parts = self.scope.definitions[task.stage].parts.clone();
        let entry = self.scope.entry(self.pipeline, task);
        if let Some(listing) = &entry.listing {
            parts.insert("token".to_owned(), listing.token.clone());
        }
        if let Some(days) = entry.cut_short() {
            parts.insert("days".to_owned(), days);
        }
        if let Some(amendment) = self.world.amended(&task.key) {
            parts.insert("override".to_owned(), amendment);
        }
        for (i, input) in self.pipeline.inputs(task.stage).iter().enumerate() {
            let text = windows.map(|windows| self.window_part(input, &windows[i]));
            parts.insert(input_part_name(&input.name), text.unwrap_or_default());
        }
        parts
    }

    fn window_part(&self, input: &BoundInput, members: &[Granted]) -> String {
        let digest = window_digest(members.iter().map(|member| member.digest));
        let mut named: Vec<(String, DayRange, State)> = members
            .iter()
            .map(|member| {
                let partitions = &self.scope.partitions[member.table];
                let entry = &partitions.entries[member.entry];
                let name = match partitions.table == input.name {
                    true => entry.text.clone(),
                    false => format!("{}/{}", partitions.table, entry.text),
                };
                (name, entry.period, member.state)
            })
            .collect();
        if named.is_empty() {
            named.push(("window".to_owned(), DayRange::ALL, State::Absent));
        }
        input_part(digest, &named)
    }

    /// Names the parts of a task's fingerprint that differ from those of its published cell.
    fn changes(
        &self,
        task: &TaskRef,
        published: &Cell,
        windows: Option<&[Vec<Granted>]>,
    ) -> Vec<Change> {
        let old = self.world.parts(published);
        let new = self.parts(task, windows);
        let contract = &self.pipeline.stages()[task.stage].contract;
        match windows {
            Some(_) => diff(&old, &new, contract),
            None => definition_diff(&old, &new, contract),
        }
    }

    /// Returns the run that has published one of a task's outputs by another definition since this run began.
    fn overtaken(
        &self,
        task: &TaskRef,
        outputs: &[(TableId, Option<Arc<Cell>>)],
    ) -> Option<String> {
        let published = outputs.iter().filter_map(|(_, cell)| cell.as_ref());
        published.into_iter().find_map(|cell| {
            let run = self.world.overtaken_by(cell)?;
            let mut changes = self.changes(task, cell, None).into_iter();
            // Documents that came since and a shorter calendar are no other definition.
            let other = changes.any(|change| !matches!(change.part.as_str(), "token" | "days"));
            other.then_some(run)
        })
    }

    /// Returns the published cell of one of a task's tables.
    pub(crate) fn published_cell(&self, task: usize, table: &TableId) -> Option<&Arc<Cell>> {
        let (table, entry) = self
            .outputs(task)
            .find(|(output, _)| self.scope.partitions[*output].table == *table)?;
        self.scope.partitions[table].entries[entry?]
            .published
            .as_ref()
    }

    fn key_of(&self, (table, entry): (usize, usize)) -> TaskKey {
        let partitions = &self.scope.partitions[table];
        TaskKey {
            table: partitions.table.clone(),
            partition: partitions.entries[entry].key.clone(),
        }
    }

    /// Returns the cell of an earlier computation with the same fingerprint, if its rows differ from `cell`'s.
    pub(crate) fn contradicts(&self, task: usize, cell: &Cell) -> Option<Arc<Cell>> {
        let stage = &self.pipeline.stages()[self.scope.tasks[task].stage];
        if stage.kind == StageKind::Harvest {
            return None;
        }
        let published = self.published_cell(task, &cell.table).cloned();
        [published, self.world.cached(&cell.fingerprint)]
            .into_iter()
            .flatten()
            .find(|old| old.fingerprint == cell.fingerprint && old.rows_hash != cell.rows_hash)
    }
}

fn published(table: &TableId, entry: &Entry, stale: Option<usize>) -> Seen {
    match &entry.published {
        Some(cell) => see(table, entry, cell.clone(), stale),
        None => Seen::Withheld,
    }
}

fn none_open(partitions: &TablePartitions) -> Vec<bool> {
    vec![false; partitions.entries.len()]
}

fn see(table: &TableId, entry: &Entry, cell: Arc<Cell>, stale: Option<usize>) -> Seen {
    let digest = member_digest(table, &entry.text, state_of(&cell, None));
    Seen::Cell {
        cell,
        digest,
        stale,
    }
}

/// Returns the first member whose absence blocks the task.
fn withheld(input: &BoundInput, members: &[Granted]) -> Option<(usize, usize)> {
    members
        .iter()
        .find(|member| input.missing == Missing::Block && member.state == State::Withheld)
        .map(|member| (member.table, member.entry))
}
