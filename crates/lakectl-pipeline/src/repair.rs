//! Repair: what is damaged or missing is computed or fetched again, and proved to be what it was.
//!
//! Nothing is published: a data file is named by its digest, so a task whose definition and inputs are those of the
//! damaged result gives the same rows, and with them the file, back under its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use lakectl_core::{Cell, TaskKey};
use lakectl_dag::{Options, Outcome, Plan, PlannedTask, RunReport, StageKind, Verdict, execute};
use lakectl_store::{Cause, Damage, FileKind, Lake, Progress, Snapshot, VerifyRequest, VersionRef};
use serde::Serialize;

use crate::alive::Alive;
use crate::harvest::Sources;
use crate::world::LakeWorld;
use crate::{PipelineError, RunOptions, Selected, Workbench};

/// How to repair.
pub struct RepairOptions<'a> {
    /// Names the repair, and says how its tasks run.
    pub run: RunOptions<'a>,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
    /// Told how far looking at every file has come.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// What was done about a damaged file, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fix {
    /// Its task gave the same rows again.
    Computed,
    /// Its documents were read from what is left of the file and from their source.
    Fetched,
    /// It was made again from the log.
    Projected,
    /// It was moved aside, and what is published was recorded anew.
    SetAside,
    /// The result was forgotten: no version needs it.
    Forgotten,
    /// Nothing could be done.
    None,
}

/// One damaged file and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Repaired {
    /// Path below the lake's root.
    pub path: String,
    /// Its table and partition, for rows.
    pub task: Option<String>,
    /// Who needs it, for rows.
    pub cause: Option<Cause>,
    /// What is wrong with it.
    pub problem: String,
    /// What was done, or would be.
    pub fix: Fix,
    /// Where it went, or why nothing could be done and what to do instead.
    pub detail: String,
}

/// What was looked at and what was done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RepairSummary {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The lake.
    pub lake: String,
    /// Records that were read.
    pub records: u64,
    /// Data files that were read.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Damaged files.
    pub damaged: Vec<Repaired>,
    /// The tasks that were computed or fetched again.
    pub executed: Vec<String>,
    /// What else there is to say: why the projections for other engines could not be made again.
    pub warnings: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

impl RepairSummary {
    /// Tells whether nothing is damaged any more, or would be.
    pub fn is_success(&self) -> bool {
        self.damaged.iter().all(|one| one.fix != Fix::None)
    }
}

/// A damaged data file that a version needs, with the result that it held.
struct Wound<'a> {
    damage: &'a Damage,
    cell: Arc<Cell>,
    task: TaskKey,
}

impl Workbench {
    /// Looks at every file of the lake, and computes or fetches again what is damaged or missing.
    ///
    /// # Errors
    /// [`PipelineError`] if the lake cannot be looked at or written. What cannot be repaired is in the summary.
    pub async fn repair(
        &self,
        lake: Arc<Lake>,
        options: RepairOptions<'_>,
    ) -> Result<RepairSummary, PipelineError> {
        let clock = Instant::now();
        let request = VerifyRequest {
            deep: true,
            at: None,
        };
        let found = lake.verify(&request, options.progress)?;
        let mut summary = RepairSummary {
            dry_run: options.dry_run,
            lake: lake.root().display().to_string(),
            records: found.records,
            files: found.files,
            bytes: found.bytes,
            ..RepairSummary::default()
        };
        let alive = match options.dry_run || found.damages.is_empty() {
            true => None,
            false => Some(Alive::begin(&lake, &options.run.run_id)?),
        };
        self.records(&lake, &found.damages, &options, &mut summary)?;
        self.rows(&lake, &found.damages, &options, &mut summary)
            .await?;
        if !options.dry_run && !summary.log_is_damaged() {
            let again = summary.damaged.iter().any(|one| one.fix == Fix::Projected);
            if again {
                lake.rebuild_delta(&BTreeSet::new())?;
            }
            summary.warnings.extend(self.project(&lake, None));
        }
        drop(alive);
        summary
            .damaged
            .sort_by(|a, b| (a.fix, &a.path).cmp(&(b.fix, &b.path)));
        summary.seconds = clock.elapsed().as_secs_f64();
        Ok(summary)
    }

    /// Sets damaged records aside and forgets results whose rows are damaged and which no version needs.
    fn records(
        &self,
        lake: &Lake,
        damages: &[Damage],
        options: &RepairOptions<'_>,
        summary: &mut RepairSummary,
    ) -> Result<(), PipelineError> {
        let mut set_aside = false;
        let mut forgotten = BTreeSet::new();
        for damage in damages {
            match (damage.kind, damage.cause) {
                (FileKind::Log, _) => {
                    summary.note(damage, Fix::None, damage.advice.clone());
                }
                (FileKind::Projection, _) => {
                    summary.note(damage, Fix::Projected, String::new());
                }
                (
                    FileKind::Cells
                    | FileKind::Checkpoint
                    | FileKind::Parts
                    | FileKind::Checks
                    | FileKind::Note,
                    _,
                ) => {
                    let detail = set_all_aside(lake, damage, options.dry_run)?;
                    set_aside |= damage.kind == FileKind::Cells;
                    summary.note(damage, Fix::SetAside, detail);
                }
                (FileKind::Data, Some(Cause::Cache)) => {
                    forgotten.insert(damage.path.clone());
                    let detail = "a run that needs the result computes it".to_owned();
                    summary.note(damage, Fix::Forgotten, detail);
                }
                (FileKind::Data, _) => {}
            }
        }
        if options.dry_run {
            return Ok(());
        }
        if set_aside && !summary.log_is_damaged() {
            lake.record_published(&options.run.run_id)?;
        }
        if !forgotten.is_empty() {
            lake.forget(&forgotten)?;
        }
        Ok(())
    }

    /// Computes or fetches the rows of versions again, those of the newest version first.
    async fn rows(
        &self,
        lake: &Arc<Lake>,
        damages: &[Damage],
        options: &RepairOptions<'_>,
        summary: &mut RepairSummary,
    ) -> Result<(), PipelineError> {
        let mut versions: BTreeMap<(String, u64), Vec<Wound<'_>>> = BTreeMap::new();
        for damage in damages {
            let (FileKind::Data, Some(span)) = (damage.kind, damage.versions.first()) else {
                continue;
            };
            if summary.log_is_damaged() {
                let detail = "the log has to be restored first".to_owned();
                summary.note(damage, Fix::None, detail);
                continue;
            }
            let Some(cell) = damage.cells.last() else {
                continue;
            };
            let stage = self.assembly.pipeline.stage_of(&cell.table);
            let Some(stage) = stage else {
                let detail = "no stage makes this table any more; restore the file from a copy";
                summary.note(damage, Fix::None, detail.to_owned());
                continue;
            };
            let task = TaskKey {
                table: stage.table.clone(),
                partition: cell.partition.clone(),
            };
            let wounds = versions
                .entry((span.branch.clone(), span.last))
                .or_default();
            wounds.push(Wound {
                damage,
                cell: Arc::clone(cell),
                task,
            });
        }
        for ((branch, version), wounds) in versions.into_iter().rev() {
            let lake = Arc::new(lake.on_branch(&branch)?);
            match lake.at(VersionRef::Number(version)) {
                Ok(snapshot) => {
                    self.heal(&lake, snapshot, &wounds, options, summary)
                        .await?;
                }
                // A dry run leaves the records as they are.
                Err(error) if error.is_damage() => {
                    for wound in wounds {
                        let detail =
                            format!("{branch} cannot be read before its records are repaired");
                        summary.note(wound.damage, Fix::None, detail);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Repairs the files of one version.
    async fn heal(
        &self,
        lake: &Arc<Lake>,
        snapshot: Snapshot,
        wounds: &[Wound<'_>],
        options: &RepairOptions<'_>,
        summary: &mut RepairSummary,
    ) -> Result<(), PipelineError> {
        // A source that cannot be looked at is no hindrance to computing.
        let listed = Sources::list(&self.settings, &self.assembly.datasets);
        let unlisted = listed.as_ref().err().map(ToString::to_string);
        let sources = Arc::new(listed.unwrap_or_else(|_| Sources::unlisted()));
        let world = LakeWorld::at(lake, snapshot)?;
        let asked = self.planned(&world, &sources, wounds, false, options)?;
        let mut good = Vec::new();
        for wound in wounds {
            match self.hindrance(asked.as_ref(), wound, unlisted.as_deref()) {
                Some(why) => summary.note(wound.damage, Fix::None, why),
                None => good.push(wound),
            }
        }
        if good.is_empty() {
            return Ok(());
        }
        let report = match options.dry_run {
            true => None,
            false => Some(
                self.compute_again(lake, &world, &sources, &good, options)
                    .await?,
            ),
        };
        if let Some(report) = &report {
            let executed = report.executed();
            summary
                .executed
                .extend(executed.iter().map(ToString::to_string));
        }
        for wound in good {
            let (fix, detail) = match &report {
                None => (self.fix_of(wound), String::new()),
                Some(report) => self.outcome(lake, report, wound)?,
            };
            summary.note(wound.damage, fix, detail);
        }
        Ok(())
    }

    /// Plans exactly the damaged partitions; `None` if there is no place for any of them.
    fn planned<'w>(
        &self,
        world: &LakeWorld<'_>,
        sources: &Sources,
        wounds: impl IntoIterator<Item = &'w Wound<'w>>,
        force: bool,
        options: &RepairOptions<'_>,
    ) -> Result<Option<Plan>, PipelineError> {
        let tasks: BTreeSet<TaskKey> = wounds.into_iter().map(|one| one.task.clone()).collect();
        let tables: BTreeSet<String> = tasks.iter().map(|task| task.table.to_string()).collect();
        let selected = Selected {
            select: tables.iter().cloned().collect(),
            force: match force {
                true => tables.into_iter().collect(),
                false => Vec::new(),
            },
            tasks: Some(tasks),
            ..Selected::default()
        };
        let definitions = &self.assembly.definitions;
        match self.plan_against(world, sources, &selected, options.run.now, definitions) {
            Ok(plan) => Ok(Some(plan)),
            Err(PipelineError::Usage { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns why a partition cannot give the same rows again.
    fn hindrance(
        &self,
        plan: Option<&Plan>,
        wound: &Wound<'_>,
        unlisted: Option<&str>,
    ) -> Option<String> {
        let raw = self.fix_of(wound) == Fix::Fetched;
        if let (true, Some(problem)) = (raw, unlisted) {
            return Some(format!("its source cannot be read: {problem}"));
        }
        let planned = plan.and_then(|plan| task_of(plan, &wound.task));
        let Some(planned) = planned else {
            return Some(match raw {
                true => "its source does not offer it any more, and raw documents are computed from nothing; restore the file from a copy".to_owned(),
                false => "the declarations have no place for it any more; restore the file from a copy".to_owned(),
            });
        };
        let same = planned
            .cells
            .iter()
            .any(|cell| cell.file == wound.cell.file);
        match &planned.verdict {
            Verdict::Reuse if same => None,
            // New documents came since: the old ones are fetched all the same.
            Verdict::Run(_) if raw => None,
            verdict => Some(match wound.damage.cause {
                Some(Cause::Published) => format!(
                    "its definition or its inputs changed since it was computed ({verdict}); a run publishes it anew"
                ),
                _ => format!(
                    "only older versions need it, and it was computed by other definitions or from other inputs ({verdict}); restore the file from a copy"
                ),
            }),
        }
    }

    async fn compute_again(
        &self,
        lake: &Arc<Lake>,
        world: &LakeWorld<'_>,
        sources: &Arc<Sources>,
        wounds: &[&Wound<'_>],
        options: &RepairOptions<'_>,
    ) -> Result<RunReport, PipelineError> {
        let plan = self.planned(world, sources, wounds.iter().copied(), true, options)?;
        let plan = plan.ok_or_else(|| PipelineError::stage("the plan of a repair is empty"))?;
        let runner = self.runner(lake, sources, world, &options.run);
        let engine = Options {
            jobs: options.run.jobs.max(1),
            ..Options::default()
        };
        let pipeline = &self.assembly.pipeline;
        let (events, cancel) = (options.run.events, &options.run.cancel);
        Ok(execute(pipeline, &plan, world, &runner, &engine, events, cancel).await)
    }

    /// Says what became of a file whose task was computed again.
    fn outcome(
        &self,
        lake: &Lake,
        report: &RunReport,
        wound: &Wound<'_>,
    ) -> Result<(Fix, String), PipelineError> {
        let file = wound.cell.file.as_ref();
        let healed = file.map(|file| lake.read_file(file)).transpose();
        match healed {
            Ok(_) => return Ok((self.fix_of(wound), String::new())),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error.into()),
        }
        let done = report.tasks.iter().find(|done| done.task == wound.task);
        Ok(match done.map(|done| &done.outcome) {
            Some(Outcome::Failed { failure, .. }) => {
                let hint = failure.hint.as_ref();
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                (Fix::None, format!("{}{hint}", failure.message))
            }
            Some(Outcome::Ran { .. }) if self.fix_of(wound) == Fix::Fetched => (
                Fix::None,
                format!(
                    "some of its documents were given up, so what is left has another name: `lakectl run --refresh {}` publishes it; older versions keep the hole",
                    wound.task.table
                ),
            ),
            Some(Outcome::Blocked { reason }) => (Fix::None, reason.to_string()),
            Some(Outcome::Ran { .. }) => (
                Fix::None,
                "its rows are the same, but this version of the program writes other bytes; run its stage with another `version`, or restore the file from a copy".to_owned(),
            ),
            _ => (Fix::None, "the repair ended before".to_owned()),
        })
    }

    fn fix_of(&self, wound: &Wound<'_>) -> Fix {
        let stage = self.assembly.pipeline.stage_of(&wound.task.table);
        match stage.map(|stage| &stage.kind) {
            Some(StageKind::Harvest) => Fix::Fetched,
            _ => Fix::Computed,
        }
    }
}

impl RepairSummary {
    fn note(&mut self, damage: &Damage, fix: Fix, detail: String) {
        let task = damage.cells.first().map(|cell| cell.task().to_string());
        self.damaged.push(Repaired {
            path: damage.path.clone(),
            task,
            cause: damage.cause,
            problem: damage.problem.clone(),
            fix,
            detail,
        });
    }

    fn log_is_damaged(&self) -> bool {
        self.damaged
            .iter()
            .any(|one| one.fix == Fix::None && one.path.starts_with("_log/"))
    }
}

/// Moves a damaged record out of the way, with the checkpoints that are of no use without it, and says where to.
fn set_all_aside(lake: &Lake, damage: &Damage, dry_run: bool) -> Result<String, PipelineError> {
    if dry_run {
        return Ok("to be moved below _aside".to_owned());
    }
    let mut moved = Vec::new();
    for path in std::iter::once(&damage.path).chain(&damage.holders) {
        moved.extend(lake.set_aside(path)?);
    }
    Ok(match moved.is_empty() {
        true => "what named it was moved before".to_owned(),
        false => format!("moved to {}", moved.join(", ")),
    })
}

fn task_of<'p>(plan: &'p Plan, task: &TaskKey) -> Option<&'p PlannedTask> {
    plan.tasks.iter().find(|planned| planned.task == *task)
}
