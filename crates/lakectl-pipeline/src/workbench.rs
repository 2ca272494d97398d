//! Plan, run and query: what the commands are made of.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use lakectl_core::{Cell, Day, DayRange, ErrorKind, Parts, TableId, TaskKey, UtcTime};
use lakectl_dag::{
    Cancel, Options, Plan, PlanRequest, RunEvent, RunReport, Selection, Verdict, execute, plan,
};
use lakectl_sql::{LakeSession, SessionOptions};
use lakectl_store::{
    CommitRequest, Lake, LakeAddress, Lease, MAIN, Open, Snapshot, StoreError, TableMeta,
    VersionRef,
};
use tracing::Instrument;

use crate::again::Earlier;
use crate::alive::Alive;
use crate::assembly::Assembly;
use crate::checks;
use crate::compute::{LakeRunner, Shared, declared_contract};
use crate::evolution;
use crate::harvest::Sources;
use crate::lineage::Lineage;
use crate::memo::FileMemo;
use crate::notes;
use crate::reader::CellReader;
use crate::stages::Columns;
use crate::summary::{self, Failure, Forecast, Quarantine, RunSummary};
use crate::world::LakeWorld;
use crate::{PipelineError, Project, Settings};

/// How often a run is planned again because another one committed what it had read. Each time somebody's work was
/// published, so only a crowd gets near this.
const COMMIT_ATTEMPTS: u32 = 100;

/// Which tasks are wanted, as a command says it. Days are included at both ends.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// A goal: a table, a schema or a tag.
    pub until: Option<String>,
    /// Selectors.
    pub select: Vec<String>,
    /// First day.
    pub from: Option<Day>,
    /// Last day, at most the calendar's.
    pub to: Option<Day>,
    /// Only partitions of this asset.
    pub asset: Option<String>,
    /// Only these tasks, of those that the rest selects.
    pub tasks: Option<BTreeSet<TaskKey>>,
    /// Stages to compute again.
    pub force: Vec<String>,
    /// Raw tables to fetch again.
    pub refresh: Vec<String>,
}

/// How to run.
pub struct RunOptions<'a> {
    /// Names the run.
    pub run_id: String,
    /// Who runs it, as `user@host`; may be empty.
    pub who: String,
    /// The time of the run, by the caller's clock.
    pub now: UtcTime,
    /// Tasks at the same time.
    pub jobs: usize,
    /// Told what happens.
    pub events: &'a (dyn Fn(RunEvent) + Sync),
    /// Asks the run to end.
    pub cancel: Cancel,
}

/// A checked project with its settings.
pub struct Workbench {
    /// The project.
    pub project: Project,
    /// The settings.
    pub settings: Settings,
    /// The graph and the definitions.
    pub assembly: Arc<Assembly>,
}

impl Workbench {
    /// Checks the project under the settings of a profile.
    ///
    /// # Errors
    /// [`PipelineError`] for whatever is declared wrongly.
    pub fn open(
        project: Project,
        profile: &str,
        overrides: &[String],
    ) -> Result<Self, PipelineError> {
        let settings = Settings::load(&project, profile, overrides)?;
        let assembly = Arc::new(Assembly::build(&project, &settings)?);
        Ok(Self {
            project,
            settings,
            assembly,
        })
    }

    /// Opens the lake at an address, making it if it is not there.
    ///
    /// # Errors
    /// [`PipelineError::Store`] for a place that is no lake, holds one of another profile, or cannot be reached.
    pub fn lake(&self, address: impl Into<LakeAddress>, open: Open) -> Result<Lake, PipelineError> {
        Ok(Lake::open(address, &self.settings.profile, open)?)
    }

    /// Returns the last planned day: the profile's, else the last complete day.
    ///
    /// `--to` only selects, because the rows of a partition must not depend on what was asked for.
    ///
    /// # Errors
    /// [`PipelineError::Usage`] for a `--to` after it.
    pub fn last_day(&self, selected: &Selected, now: UtcTime) -> Result<Day, PipelineError> {
        let end = self
            .settings
            .calendar
            .end
            .unwrap_or_else(|| now.day().plus(-1));
        match selected.to {
            Some(to) if to > end => Err(PipelineError::usage(
                format!("`--to {to}` is after {end}, the last day of the calendar"),
                format!("`--set calendar.end={to}` makes the calendar longer"),
            )),
            _ => Ok(end),
        }
    }

    /// Lists what the sources offer; with a lake, recorded files that it remembers are not read again.
    ///
    /// # Errors
    /// [`PipelineError`] if a source is not configured or its root cannot be read.
    pub fn sources(&self, lake: Option<&Lake>) -> Result<Sources, PipelineError> {
        let memo = lake.map(FileMemo::of).transpose()?.unwrap_or_default();
        Sources::list_with(&self.settings, &self.assembly.datasets, &memo)
    }

    /// Plans without a lake, or against its newest version, and looks at the queries that are to run. Nothing is written.
    ///
    /// # Errors
    /// [`PipelineError`] for a wrong selection, a wrong query, an unreadable source or a damaged lake.
    pub fn plan(
        &self,
        lake: Option<&Lake>,
        selected: &Selected,
        now: UtcTime,
    ) -> Result<Plan, PipelineError> {
        let sources = self.sources(lake)?;
        for (raw, error) in sources.closed() {
            tracing::warn!("new documents of {raw} are not planned: {error}");
        }
        let plan = self.plan_with(&sources, lake, selected, now)?;
        self.check_queries(&plan)?;
        Ok(plan)
    }

    /// Like [`Workbench::plan`], with sources that were listed before, or not at all.
    ///
    /// # Errors
    /// [`PipelineError`] for a wrong selection or a damaged lake.
    pub fn plan_with(
        &self,
        sources: &Sources,
        lake: Option<&Lake>,
        selected: &Selected,
        now: UtcTime,
    ) -> Result<Plan, PipelineError> {
        let world = LakeWorld::newest(lake)?;
        self.plan_against(&world, sources, selected, now, &self.assembly.definitions)
    }

    pub(crate) fn plan_against(
        &self,
        world: &LakeWorld<'_>,
        sources: &Sources,
        selected: &Selected,
        now: UtcTime,
        definitions: &BTreeMap<TableId, Parts>,
    ) -> Result<Plan, PipelineError> {
        let mut keys = BTreeMap::new();
        if let Some(asset) = &selected.asset {
            keys.insert("asset".to_owned(), BTreeSet::from([asset.clone()]));
        }
        let end = self.last_day(selected, now)?.plus(1);
        let to = selected.to.map_or(end, |to| to.plus(1));
        let days = DayRange::new(selected.from.unwrap_or(DayRange::ALL.start), to);
        let request = PlanRequest {
            selection: Selection {
                until: selected.until.clone(),
                select: selected.select.clone(),
                days,
                keys,
                tasks: selected.tasks.clone(),
            },
            force: selected.force.clone(),
            refresh: selected.refresh.clone(),
            end,
            coverages: &self.assembly.coverages,
            listings: sources.listings(),
            definitions,
        };
        let plan = plan(&self.assembly.pipeline, world, &request)?;
        world.check()?;
        evolution::check(&self.assembly.pipeline, world, &world.snapshot, &plan)?;
        world.check()?;
        if plan.tasks.is_empty() {
            return Err(PipelineError::usage(
                "the selection holds no partition",
                "`lakectl plan` without `--from`, `--to` and `--asset` shows what there is",
            ));
        }
        Ok(plan)
    }

    /// Computes what is missing or stale and publishes it as one version.
    ///
    /// # Errors
    /// [`PipelineError`] if the run could not be planned or published; failed tasks are in the summary.
    pub async fn run(
        &self,
        lake: Arc<Lake>,
        selected: &Selected,
        options: RunOptions<'_>,
    ) -> Result<(RunSummary, RunReport), PipelineError> {
        let memo = FileMemo::of(&lake)?;
        let sources = Sources::list_with(&self.settings, &self.assembly.datasets, &memo)?;
        memo.keep(&lake, sources.files(), options.now);
        self.run_with(lake, &Arc::new(sources), selected, options)
            .await
    }

    /// Like [`Workbench::run`], with sources that were listed before.
    ///
    /// # Errors
    /// As [`Workbench::run`].
    pub async fn run_with(
        &self,
        lake: Arc<Lake>,
        sources: &Arc<Sources>,
        selected: &Selected,
        options: RunOptions<'_>,
    ) -> Result<(RunSummary, RunReport), PipelineError> {
        let span = tracing::info_span!("run", run = %options.run_id);
        self.attempts(lake, sources, selected, options)
            .instrument(span)
            .await
    }

    /// Plans, computes and commits, again if another run came in between.
    async fn attempts(
        &self,
        lake: Arc<Lake>,
        sources: &Arc<Sources>,
        selected: &Selected,
        options: RunOptions<'_>,
    ) -> Result<(RunSummary, RunReport), PipelineError> {
        let clock = Instant::now();
        let definitions = &self.assembly.definitions;
        let began = lake.head()?;
        let mut head = began.clone();
        let mut earlier = Earlier::default();
        let mut selected = Cow::Borrowed(selected);
        let (mut alive, mut lost) = (None, None);
        let mut peaks = BTreeMap::new();
        for _ in 0..COMMIT_ATTEMPTS {
            let fetched = earlier.fetched(self, &lake, (&began, &head), &options)?;
            let world = LakeWorld::of_run(&lake, &head, fetched, (&began, &options.run_id))?;
            let plan = tracing::info_span!("plan").in_scope(|| {
                let plan =
                    self.plan_against(&world, sources, &selected, options.now, definitions)?;
                self.check_queries(&plan).map(|()| plan)
            })?;
            let idle = plan.tasks.iter().all(|task| task.verdict == Verdict::Reuse);
            if alive.is_none() && !idle {
                alive = Some(Alive::begin(&lake, &options.run_id)?);
                lost = lake.check_last_run().err();
            }
            let runner = self.runner(&lake, sources, &world, &options);
            let engine = Options {
                jobs: options.jobs.max(1),
                ..Options::default()
            };
            let report = execute(
                &self.assembly.pipeline,
                &plan,
                &world,
                &runner,
                &engine,
                options.events,
                &options.cancel,
            )
            .await;
            world.check()?;
            peaks.extend(runner.peaks());
            let found = checks::records(&report.checks, options.now, &options.run_id);
            lake.record_checks(&options.run_id, &found)?;
            let lease = alive.as_ref().map(Alive::lease);
            let done = (&plan, &report);
            let published = tracing::info_span!("commit")
                .in_scope(|| self.publish(&lake, &head, &world, done, &options, clock, lease));
            if let Err(PipelineError::Store(error)) = &published
                && error.kind() == ErrorKind::Conflict
            {
                // What is computed stays in the cells, so planning again costs only what really changed.
                earlier.add(report);
                // What was asked for again is done.
                selected.to_mut().force.clear();
                selected.to_mut().refresh.clear();
                head = lake.head()?;
                continue;
            }
            let version = published.as_ref().unwrap_or(&head).clone();
            if version.version > head.version {
                let version = version.version;
                (options.events)(RunEvent::Committed { version });
            }
            let late = self.freshness(&lake, &version, world.checks(), &options)?;
            let report = earlier.joined_to(report);
            let complete = published.is_ok() && !report.interrupted && report.fatal.is_none();
            let behind = complete.then(|| self.project(&lake, Some(head)));
            let mut summary = self.summarise(&lake, &plan, &report, version, &options, clock);
            summary.checks = checks::failures(&report.checks, &late);
            if complete {
                summary.dropped = dropped(&plan, &world).map(TaskKey::to_string).collect();
            }
            summary.warnings.extend(behind.flatten());
            if let Err(error) = &published {
                summary.failures.insert(0, Failure::of_run(error));
            }
            summary
                .failures
                .extend(summary::closed(&self.assembly.pipeline, &plan, sources));
            summary.warnings.extend(lost.as_ref().map(summary::lost));
            let unnoted = notes::leave(&lake, &summary, &report, &peaks, &options);
            if let (Err(_), Some(unnoted)) = (&published, &unnoted) {
                tracing::warn!("{unnoted}");
            }
            summary.warnings.extend(unnoted);
            return published.map(|_| (summary, report));
        }
        Err(StoreError::Busy {
            run: options.run_id,
            attempts: COMMIT_ATTEMPTS,
        }
        .into())
    }

    pub(crate) fn runner(
        &self,
        lake: &Arc<Lake>,
        sources: &Arc<Sources>,
        world: &LakeWorld<'_>,
        options: &RunOptions<'_>,
    ) -> LakeRunner {
        LakeRunner::new(Shared {
            reader: Arc::new(CellReader::new(Arc::clone(lake))),
            assembly: Arc::clone(&self.assembly),
            sources: Arc::clone(sources),
            params: self.settings.params.clone(),
            base: world.snapshot.clone(),
            overrides: Arc::clone(&world.overrides),
            run: options.run_id.clone(),
            peaks: Mutex::default(),
            cut: None,
        })
    }

    /// Commits what a run has made. An interrupted run keeps its cells and commits nothing.
    #[allow(clippy::too_many_arguments, reason = "all of what one run knows")]
    fn publish(
        &self,
        lake: &Lake,
        base: &Snapshot,
        world: &LakeWorld<'_>,
        (plan, report): (&Plan, &RunReport),
        options: &RunOptions<'_>,
        clock: Instant,
        lease: Option<&Lease>,
    ) -> Result<Snapshot, PipelineError> {
        if report.interrupted || report.fatal.is_some() {
            return Ok(base.clone());
        }
        // A version is there from its commit on, not from the start of its run.
        let took = i64::try_from(clock.elapsed().as_micros()).unwrap_or(0);
        let time = UtcTime::from_micros((options.now.micros() + took).max(base.time.micros() + 1));
        let mut request = CommitRequest::new(base, &options.run_id, time, "run");
        request.who.clone_from(&options.who);
        request.lease = lease;
        request.dropped = dropped(plan, world).cloned().collect();
        let new = report.new_cells();
        request.cells = new.iter().map(|cell| (**cell).clone()).collect();
        let computed: BTreeSet<TaskKey> = request.cells.iter().map(Cell::task).collect();
        let fetched = world
            .fetched
            .iter()
            .filter(|cell| !computed.contains(&cell.task()));
        request.cells.extend(fetched.map(|cell| (**cell).clone()));
        let tables: BTreeSet<&TableId> = request.cells.iter().map(|cell| &cell.table).collect();
        request.tables = tables
            .into_iter()
            .map(|table| (table.clone(), self.meta(table)))
            .collect();
        let stages = plan
            .tasks
            .iter()
            .map(|task| task.stage)
            .collect::<BTreeSet<_>>();
        for stage in stages {
            let of_checks = self.assembly.pipeline.check_inputs(stage).iter().flatten();
            for input in self.assembly.pipeline.inputs(stage).iter().chain(of_checks) {
                let names = input
                    .tables
                    .iter()
                    .map(|table| self.assembly.pipeline.tables()[*table].0.clone());
                request.reads.extend(names);
            }
        }
        Ok(lake.commit(request)?)
    }

    /// Brings what is kept for other engines up to the newest version, if the settings want it. `base` is a version that
    /// is at hand. Only `main` is kept so. It is no part of the lake and can be made again, so what goes wrong is returned as a warning.
    pub fn project(&self, lake: &Lake, base: Option<Snapshot>) -> Option<String> {
        if !self.settings.projections.delta || lake.branch() != MAIN {
            return None;
        }
        let error = lake.project_delta(base).err()?;
        Some(format!(
            "the Delta logs for other engines are behind the lake: {error}; `project` brings them up to date"
        ))
    }

    fn meta(&self, table: &TableId) -> TableMeta {
        let contract = declared_contract(&self.assembly, table);
        let stage = self.assembly.pipeline.stage_of(table);
        let main = stage.filter(|stage| stage.table == *table);
        TableMeta {
            contract,
            keys: stage.map(|stage| stage.keys.clone()).unwrap_or_default(),
            grain: stage.map(|stage| stage.grain).unwrap_or_default(),
            time_column: main.and_then(|stage| stage.time_column.clone()),
            primary_key: main
                .map(|stage| stage.primary_key.clone())
                .unwrap_or_default(),
        }
    }

    fn summarise(
        &self,
        lake: &Lake,
        plan: &Plan,
        report: &RunReport,
        version: Snapshot,
        options: &RunOptions<'_>,
        clock: Instant,
    ) -> RunSummary {
        let pipeline = &self.assembly.pipeline;
        let planned = plan
            .tasks
            .iter()
            .map(|task| task.stage)
            .collect::<BTreeSet<_>>();
        let quarantine = planned
            .iter()
            .flat_map(|stage| &pipeline.stages()[*stage].also);
        RunSummary {
            run_id: options.run_id.clone(),
            version: version.version,
            profile: self.settings.profile.clone(),
            tasks: summary::counts(report),
            stages: summary::stages(pipeline, report),
            seconds: clock.elapsed().as_secs_f64(),
            lake: lake.root().display().to_string(),
            interrupted: report.interrupted,
            failures: summary::failures(report),
            checks: Vec::new(),
            stale: summary::stale(report),
            vanished: plan.vanished.iter().map(TaskKey::to_string).collect(),
            dropped: Vec::new(),
            warnings: Vec::new(),
            quarantined: quarantine.map(|table| version.rows(table)).sum(),
        }
    }

    /// Opens one version of a lake for queries.
    ///
    /// # Errors
    /// [`PipelineError`] if there is no such version.
    pub fn session(
        &self,
        lake: Arc<Lake>,
        at: Option<VersionRef>,
    ) -> Result<LakeSession, PipelineError> {
        self.session_within(lake, at, SessionOptions::default())
    }

    /// [`Self::session`] within given bounds of memory and threads.
    ///
    /// # Errors
    /// [`PipelineError`] if there is no such version.
    pub fn session_within(
        &self,
        lake: Arc<Lake>,
        at: Option<VersionRef>,
        options: SessionOptions,
    ) -> Result<LakeSession, PipelineError> {
        let snapshot = match at {
            Some(version) => lake.at(version)?,
            None => lake.head()?,
        };
        let unions = self.assembly.pipeline.unions().clone();
        let system = self.system_tables(&lake)?;
        Ok(LakeSession::with_options(
            lake, snapshot, unions, system, options,
        )?)
    }

    /// Reads where every column comes from.
    ///
    /// # Errors
    /// [`PipelineError::Sql`] if a query cannot be planned over the declared columns.
    pub fn lineage(&self) -> Result<Lineage, PipelineError> {
        Lineage::of(&self.assembly, &self.settings.params)
    }

    /// Lists what is in quarantine at the newest version, by table and reason.
    ///
    /// # Errors
    /// [`PipelineError`] if the lake cannot be read.
    pub fn quarantine(&self, lake: &Arc<Lake>) -> Result<Vec<Quarantine>, PipelineError> {
        // Preparing a session takes longer than planning, so there is none where there is nothing to ask.
        let head = lake.head()?;
        let tables: Vec<TableId> = head
            .tables
            .keys()
            .filter(|table| table.schema() == "quarantine" && head.rows(table) > 0)
            .cloned()
            .collect();
        let mut entries = Vec::new();
        if tables.is_empty() {
            return Ok(entries);
        }
        let session = self.session(Arc::clone(lake), None)?;
        for table in tables {
            let sql = format!(
                "SELECT reason, severity, count(*) AS rows, count(DISTINCT document_id) AS documents, min(detail) AS example \
                 FROM {table} GROUP BY reason, severity ORDER BY severity, count(*) DESC, reason"
            );
            let (schema, batches) = session.collect_blocking(&sql)?;
            let rows = Columns::new(&schema, &batches)?;
            let (reasons, severities, examples) = (
                rows.texts("reason")?,
                rows.texts("severity")?,
                rows.texts("example")?,
            );
            let (counts, documents) = (rows.i64s("rows")?, rows.i64s("documents")?);
            for i in 0..rows.rows() {
                entries.push(Quarantine {
                    table: table.to_string(),
                    reason: reasons[i].clone().unwrap_or_default(),
                    severity: severities[i].clone().unwrap_or_default(),
                    rows: counts[i].unwrap_or(0).unsigned_abs(),
                    documents: documents[i].unwrap_or(0).unsigned_abs(),
                    example: examples[i].clone().unwrap_or_default(),
                });
            }
        }
        Ok(entries)
    }

    /// Returns the newest forecast of each asset and horizon; none before the first forecasting run.
    ///
    /// # Errors
    /// [`PipelineError`] if the lake cannot be read.
    pub fn newest_forecasts(&self, lake: &Arc<Lake>) -> Result<Vec<Forecast>, PipelineError> {
        let table: TableId = "forecast.quantiles".parse()?;
        if lake.head()?.rows(&table) == 0 {
            return Ok(Vec::new());
        }
        let session = self.session(Arc::clone(lake), None)?;
        let (schema, batches) = session.collect_blocking(
            "SELECT * FROM forecast.quantiles \
             QUALIFY row_number() OVER (PARTITION BY asset, horizon_hours ORDER BY as_of DESC) = 1 \
             ORDER BY asset, horizon_hours",
        )?;
        let rows = Columns::new(&schema, &batches)?;
        let (assets, bases, times) = (
            rows.texts("asset")?,
            rows.texts("basis")?,
            rows.micros("as_of")?,
        );
        let (horizons, prices) = (rows.i64s("horizon_hours")?, rows.f64s("price")?);
        let quantiles = ["q05", "q25", "q50", "q75", "q95"].map(|name| rows.f64s(name));
        let quantiles = quantiles.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok((0..rows.rows())
            .map(|i| Forecast {
                asset: assets[i].clone().unwrap_or_default(),
                as_of: UtcTime::from_micros(times[i]).to_string(),
                horizon_hours: horizons[i].unwrap_or_default(),
                price: prices[i].unwrap_or_default(),
                quantiles: std::array::from_fn(|q| quantiles[q][i].unwrap_or_default()),
                basis: bases[i].clone().unwrap_or_default(),
            })
            .collect())
    }
}

/// The partitions without a place that a run drops: not those that another run has published meanwhile.
fn dropped<'a>(plan: &'a Plan, world: &LakeWorld<'_>) -> impl Iterator<Item = &'a TaskKey> {
    let abandoned = plan.abandoned.iter();
    abandoned.filter(|task| !world.is_newer(task))
}
