//! An audit from beginning to end: the whole rows, the instants, and for each of them the three claims.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lakectl_core::{Cell, Day, DayRange, Fingerprint, PartitionKey, TableId, TaskKey, UtcTime};
use lakectl_dag::{
    Audit as Declared, Cancel, Coverage, Options, Pipeline, Plan, PlanRequest, RunEvent, RunReport,
    Selection, StageDecl, StageKind, World, execute, plan,
};
use lakectl_store::{Lake, Open, Snapshot, schema_of};
use tempfile::TempDir;

use super::compare::Comparison;
use super::cut::{Cells, Cut, KnownTimes};
use super::{
    AuditReport, Claim, KNOWN_AT, Leak, TableFindings, instants, is_audited, is_cut, starts,
};
use crate::compute::{LakeRunner, Shared};
use crate::harvest::Sources;
use crate::overrides::Overrides;
use crate::reader::CellReader;
use crate::summary::{Failure, failures};
use crate::{PipelineError, Selected, Workbench};

/// The runs of an audit by what they make. No run of a lake can have such a name.
const WHOLE_RUN: &str = ".whole";
pub(super) const LESS_RUN: &str = ".less";

/// How to audit.
pub struct AuditOptions<'a> {
    /// Selectors: these stages and all that they need; none takes every stage.
    pub select: Vec<String>,
    /// The instants; with none, some are chosen.
    pub at: Vec<UtcTime>,
    /// How many are chosen.
    pub samples: usize,
    /// What they are chosen by.
    pub seed: u64,
    /// Compute everything again at every instant, also what the cut does not reach.
    pub fresh: bool,
    /// The time of the audit, by the caller's clock.
    pub now: UtcTime,
    /// Tasks at the same time.
    pub jobs: usize,
    /// Where scratch files go; the system's folder for temporary files if nothing is said.
    pub scratch: Option<PathBuf>,
    /// Told what happens.
    pub events: &'a (dyn Fn(AuditEvent) + Sync),
    /// Asks the audit to end.
    pub cancel: Cancel,
}

/// Something that happened during an audit.
#[derive(Clone, Debug, PartialEq)]
pub enum AuditEvent {
    /// A step begins. Steps are alike but for the first, which computes only what the lake lacks.
    Step {
        /// Its number, from 0.
        step: usize,
        /// How many there are; `None` while the instants are not chosen.
        steps: Option<usize>,
        /// The instant; `None` for the first step.
        at: Option<UtcTime>,
    },
    /// Something happened to a task of the step.
    Task(RunEvent),
}

impl Workbench {
    /// Audits the newest version of a lake. Nothing is written to it.
    ///
    /// # Errors
    /// [`PipelineError::Usage`] for an instant or a selection without rows, [`PipelineError::Stage`] for an audited table
    /// without a column `known_at`, [`PipelineError::Store`] if the lake cannot be read or the scratch folder not be written.
    pub async fn audit_lookahead(
        &self,
        lake: &Arc<Lake>,
        options: AuditOptions<'_>,
    ) -> Result<AuditReport, PipelineError> {
        let mut audit = Process::begin(self, lake, &options)?;
        let report = audit.complete().await?;
        audit.failures.extend(failures(&report));
        let mut interrupted = report.interrupted;
        audit.instants = audit.choose()?;
        for (number, at) in audit.instants.clone().into_iter().enumerate() {
            if interrupted || options.cancel.is_cancelled() {
                interrupted = true;
                break;
            }
            audit.tell(number + 1, Some(at));
            interrupted = audit.knowledge(at).await? || audit.starts(at).await?;
            audit.documents(at)?;
        }
        Ok(audit.report(interrupted))
    }
}

/// What is published as an audit wants the engine to see it: raw tables as they are in the lake, and of the others only
/// what is planned, so that a run knows no partition that another does not.
pub(super) struct AuditWorld<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) base: &'a Snapshot,
    /// What people decided, as of that version.
    pub(super) overrides: &'a Overrides,
    pub(super) cells: &'a Cells,
    /// Tables whose tasks have to be computed.
    pub(super) hidden: BTreeSet<TableId>,
    /// The partitions that are planned; filled in before the plan that counts.
    pub(super) planned: BTreeSet<TaskKey>,
}

/// Returns the cells of one table in the order of their partitions.
fn of_table<'c>(
    cells: &'c Cells,
    table: &TableId,
) -> impl Iterator<Item = (&'c TaskKey, &'c Arc<Cell>)> {
    let first = TaskKey {
        table: table.clone(),
        partition: PartitionKey::default(),
    };
    let table = table.clone();
    cells
        .range(first..)
        .take_while(move |(task, _)| task.table == table)
}

/// Returns the partitions of all tables that a plan has a place for.
fn planned(pipeline: &Pipeline, plan: &Plan) -> BTreeSet<TaskKey> {
    let tables = pipeline.stages().iter().flat_map(|stage| stage.outputs());
    let entries = tables.filter_map(|table| plan.partitions(table));
    entries
        .flat_map(|table| {
            let planned = table.entries.iter().filter(|entry| entry.planned);
            planned.map(|entry| TaskKey {
                table: table.table.clone(),
                partition: entry.key.clone(),
            })
        })
        .collect()
}

impl AuditWorld<'_> {
    fn is_raw(&self, table: &TableId) -> bool {
        let stage = self.pipeline.stage_of(table);
        stage.is_some_and(|stage| stage.kind == StageKind::Harvest)
    }
}

impl World for AuditWorld<'_> {
    fn published(&self, table: &TableId) -> Vec<(PartitionKey, Arc<Cell>)> {
        if self.is_raw(table) {
            let raw = self.base.partitions(table);
            return raw.map(|(key, cell)| (key.clone(), cell.clone())).collect();
        }
        if self.hidden.contains(table) {
            return Vec::new();
        }
        of_table(self.cells, table)
            .filter(|(task, _)| self.planned.contains(task))
            .map(|(task, cell)| (task.partition.clone(), Arc::clone(cell)))
            .collect()
    }

    /// An audit looks at rows as they are computed; whether they may be published is another question.
    fn accepted(&self, _: &TaskKey, _: &Fingerprint, _: &Fingerprint) -> bool {
        true
    }

    fn is_dropped(&self, table: &TableId, partition: &PartitionKey) -> bool {
        self.overrides.is_dropped(table, partition)
    }

    fn amended(&self, task: &TaskKey) -> Option<String> {
        self.overrides.amended(task)
    }

    fn cached(&self, _: &Fingerprint) -> Option<Arc<Cell>> {
        None
    }
}

/// One run of an audit.
pub(super) struct Phase<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) coverages: &'a BTreeMap<String, Coverage>,
    pub(super) selection: Selection,
    pub(super) world: AuditWorld<'a>,
    pub(super) reader: Arc<CellReader>,
    pub(super) cut: Option<Cut>,
    pub(super) run: &'a str,
    pub(super) events: &'a (dyn Fn(RunEvent) + Sync),
}

/// Where a leak is: the instant's number, the claim, the table and the column.
type Place = (usize, Claim, TableId, Option<String>);

/// The state of an audit.
pub(super) struct Process<'a> {
    pub(super) bench: &'a Workbench,
    pub(super) options: &'a AuditOptions<'a>,
    pub(super) base: Snapshot,
    /// What people decided, as of that version.
    pub(super) overrides: Arc<Overrides>,
    /// The day after the last one of the calendar.
    pub(super) end: Day,
    /// Reads the lake, and above it what the lake lacks.
    pub(super) reader: Arc<CellReader>,
    pub(super) folder: TempDir,
    /// Every result, nothing left out.
    pub(super) whole: Arc<Cells>,
    pub(super) times: Arc<KnownTimes>,
    instants: Vec<UtcTime>,
    /// By stage: the planned ones, with one entry for each of their tables.
    pub(super) tables: BTreeMap<usize, Vec<TableFindings>>,
    /// By stage, claim, table and column: those seen at the earliest instant.
    leaks: BTreeMap<Place, (usize, Leak)>,
    pub(super) failures: Vec<Failure>,
}

impl<'a> Process<'a> {
    fn begin(
        bench: &'a Workbench,
        lake: &Arc<Lake>,
        options: &'a AuditOptions<'a>,
    ) -> Result<Self, PipelineError> {
        let end = bench.last_day(&Selected::default(), options.now)?.plus(1);
        let folder = match &options.scratch {
            Some(path) => tempfile::tempdir_in(path),
            None => tempfile::tempdir(),
        };
        let folder = folder.map_err(|source| PipelineError::Io {
            action: "make a scratch folder in",
            path: options.scratch.clone().unwrap_or_else(std::env::temp_dir),
            source,
        })?;
        let scratch = bench.lake(&folder.path().join("whole"), Open::OrCreate)?;
        let reader = CellReader::new(Arc::clone(lake)).over(WHOLE_RUN, Arc::new(scratch));
        let base = lake.head()?;
        Ok(Self {
            bench,
            options,
            overrides: Arc::new(Overrides::of(&base)?),
            base,
            end,
            reader: Arc::new(reader),
            folder,
            whole: Arc::default(),
            times: Arc::default(),
            instants: Vec::new(),
            tables: BTreeMap::new(),
            leaks: BTreeMap::new(),
            failures: Vec::new(),
        })
    }

    pub(super) fn pipeline(&self) -> &'a Pipeline {
        &self.bench.assembly.pipeline
    }

    pub(super) fn stage(&self, index: usize) -> &'a StageDecl {
        &self.pipeline().stages()[index]
    }

    fn tell(&self, step: usize, at: Option<UtcTime>) {
        let steps = at.map(|_| self.instants.len() + 1);
        (self.options.events)(AuditEvent::Step { step, steps, at });
    }

    /// Brings together every result as the project defines it now; what the lake lacks is computed.
    async fn complete(&mut self) -> Result<RunReport, PipelineError> {
        self.tell(0, None);
        let published: Cells = self
            .base
            .cells
            .values()
            .flat_map(|cells| cells.values())
            .map(|cell| (cell.task(), Arc::clone(cell)))
            .collect();
        let tell = |event| (self.options.events)(AuditEvent::Task(event));
        let report = self
            .execute(Phase {
                pipeline: self.pipeline(),
                coverages: &self.bench.assembly.coverages,
                selection: self.selection(DayRange::ALL),
                world: AuditWorld {
                    pipeline: self.pipeline(),
                    base: &self.base,
                    overrides: &self.overrides,
                    cells: &published,
                    hidden: BTreeSet::new(),
                    planned: BTreeSet::new(),
                },
                reader: Arc::clone(&self.reader),
                cut: None,
                run: WHOLE_RUN,
                events: &tell,
            })
            .await?;
        let cells = report.tasks.iter().flat_map(|task| &task.cells);
        let whole: Cells = cells.map(|cell| (cell.task(), Arc::clone(cell))).collect();
        self.whole = Arc::new(whole);
        let planned: BTreeSet<usize> = report.tasks.iter().map(|task| task.stage).collect();
        for stage in planned {
            self.plan_stage(stage)?;
        }
        Ok(report)
    }

    /// Notes which tables of a stage are audited, and why others are not.
    fn plan_stage(&mut self, index: usize) -> Result<(), PipelineError> {
        let stage = self.stage(index);
        if stage.kind == StageKind::Harvest {
            return Ok(());
        }
        if is_audited(stage) && stage.contract.get(KNOWN_AT).is_none() {
            return Err(PipelineError::stage(format!(
                "`{}` has no column `{KNOWN_AT}`, so it cannot be audited; a table that looks at the whole sample on \
                 purpose declares `audit = \"none\"`",
                stage.table
            )));
        }
        let exempt = match &stage.audit {
            Declared::Lookahead => None,
            Declared::None { reason } => Some(reason.clone()),
        };
        let tables = stage.outputs().map(|table| TableFindings {
            table: table.clone(),
            rows: 0,
            partitions: 0,
            start_rows: 0,
            exempt: exempt.clone(),
            fixed_start: starts::fixed(self.pipeline(), index).map(str::to_owned),
        });
        self.tables.insert(index, tables.collect());
        Ok(())
    }

    /// Returns the instants: the given ones, else some inside what the derived tables cover.
    fn choose(&self) -> Result<Vec<UtcTime>, PipelineError> {
        if !self.options.at.is_empty() {
            let mut given = self.options.at.clone();
            given.sort_unstable();
            given.dedup();
            return Ok(given);
        }
        let ranges = |derived: bool| -> Vec<(UtcTime, UtcTime)> {
            let stages = self.tables.keys().map(|index| self.stage(*index));
            let wanted = stages.filter(|stage| is_audited(stage) && is_cut(stage) != derived);
            let range = |stage: &StageDecl| {
                let times = self.cells_of(&stage.table).filter_map(|cell| cell.times);
                times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            };
            wanted.filter_map(range).collect()
        };
        let derived = Some(ranges(true)).filter(|ranges| !ranges.is_empty());
        let mut ranges = derived.unwrap_or_else(|| ranges(false));
        ranges.sort_unstable();
        let chosen = instants::choose(&ranges, self.options.samples, self.options.seed);
        match chosen.is_empty() && self.failures.is_empty() {
            true => Err(PipelineError::usage(
                "there is nothing to audit: the selected tables have no rows, or no instant was asked for",
                "`run` fills the lake; `--at` and `--samples` say at which instants to look",
            )),
            false => Ok(chosen),
        }
    }

    pub(super) fn cells_of(&self, table: &TableId) -> impl Iterator<Item = &Arc<Cell>> {
        of_table(&self.whole, table).map(|(_, cell)| cell)
    }

    pub(super) fn selection(&self, days: DayRange) -> Selection {
        Selection {
            select: self.options.select.clone(),
            days,
            ..Selection::default()
        }
    }

    /// Plans and runs one phase.
    pub(super) async fn execute(&self, mut phase: Phase<'_>) -> Result<RunReport, PipelineError> {
        let request = PlanRequest {
            selection: phase.selection,
            force: Vec::new(),
            refresh: Vec::new(),
            end: self.end,
            coverages: phase.coverages,
            listings: &BTreeMap::new(),
            definitions: &self.bench.assembly.definitions,
        };
        // What the declarations have a place for is known once a plan is made; nothing else is shown to the one that counts.
        let places = plan(phase.pipeline, &phase.world, &request)?;
        phase.world.planned = planned(phase.pipeline, &places);
        let plan = plan(phase.pipeline, &phase.world, &request)?;
        let runner = LakeRunner::new(Shared {
            peaks: Mutex::default(),
            reader: phase.reader,
            assembly: Arc::clone(&self.bench.assembly),
            sources: Arc::new(Sources::unlisted()),
            params: self.bench.settings.params.clone(),
            base: self.base.clone(),
            overrides: Arc::clone(&self.overrides),
            run: phase.run.to_owned(),
            cut: phase.cut,
        });
        let options = Options {
            jobs: self.options.jobs.max(1),
            ..Options::default()
        };
        let world = &phase.world;
        let cancel = &self.options.cancel;
        Ok(execute(
            phase.pipeline,
            &plan,
            world,
            &runner,
            &options,
            phase.events,
            cancel,
        )
        .await)
    }

    /// Returns a reader that writes into a new scratch lake, with its folder.
    pub(super) fn scratch(&self) -> Result<(TempDir, Arc<CellReader>), PipelineError> {
        let folder = tempfile::tempdir_in(self.folder.path()).map_err(|source| {
            let path = self.folder.path().to_owned();
            let action = "make a scratch folder in";
            PipelineError::Io {
                action,
                path,
                source,
            }
        })?;
        let lake = self
            .bench
            .lake(&folder.path().join("less"), Open::OrCreate)?;
        Ok((folder, Arc::new(self.reader.over(LESS_RUN, Arc::new(lake)))))
    }

    /// Takes in what a comparison found; `place` is that of the table among those of its stage.
    pub(super) fn take(
        &mut self,
        index: usize,
        place: usize,
        claim: Claim,
        at: UtcTime,
        comparison: Comparison<'_>,
        computed: usize,
    ) {
        if let Some(table) = self.tables.get_mut(&index).and_then(|t| t.get_mut(place)) {
            match claim {
                Claim::EarlierStart => table.start_rows += comparison.compared(),
                _ => {
                    table.rows += comparison.compared();
                    table.partitions += computed;
                }
            }
        }
        for (order, leak) in comparison.leaks(claim, at).into_iter().enumerate() {
            let key = (index, claim, leak.table.clone(), leak.column.clone());
            self.leaks.entry(key).or_insert((order, leak));
        }
    }

    fn report(self, interrupted: bool) -> AuditReport {
        // By table in the order of the graph, then by instant, then in the order of columns.
        let mut leaks: Vec<_> = self.leaks.into_iter().collect();
        leaks.sort_by(|(a, (x, one)), (b, (y, other))| {
            (a.0, a.1, one.at, x).cmp(&(b.0, b.1, other.at, y))
        });
        AuditReport {
            version: self.base.version,
            instants: self.instants,
            tables: self.tables.into_values().flatten().collect(),
            leaks: leaks.into_iter().map(|(_, (_, leak))| leak).collect(),
            failures: self.failures,
            interrupted,
        }
    }
}

/// Reads all rows of a cell as one batch.
pub(super) fn rows(
    reader: &CellReader,
    stage: &StageDecl,
    cell: &Cell,
) -> Result<RecordBatch, PipelineError> {
    let batches = reader.read(cell)?;
    Ok(concat_batches(&schema_of(&stage.contract), batches.iter())?)
}
