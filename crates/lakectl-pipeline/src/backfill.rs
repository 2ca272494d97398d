//! Computing a long stretch of days in pieces: each piece is a run of its own that publishes one version, so that a
//! stretch of any length needs the memory of a piece, a crash loses at most a piece, and readers see whole pieces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use lakectl_core::{Day, DayRange, UtcTime};
use lakectl_dag::{Plan, RunReport, Verdict};
use lakectl_store::Lake;
use serde::Serialize;

use crate::checks::CheckFailure;
use crate::retry::Undone;
use crate::summary::{Failure, OpenFailure, RunSummary};
use crate::{PipelineError, RunOptions, Selected, Sources, Workbench};

/// Which end of the stretch comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChunkOrder {
    /// The first day.
    #[default]
    Oldest,
    /// The last day.
    Newest,
}

/// What to compute.
#[derive(Clone, Debug)]
pub struct Backfill {
    /// Which tasks; its days are the stretch.
    pub selected: Selected,
    /// Days of a chunk, at least; chunks end where the selected partitions do.
    pub chunk_days: u32,
    /// Where to begin.
    pub order: ChunkOrder,
}

/// One chunk that is done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chunk {
    /// First day.
    pub from: Day,
    /// Last day.
    pub to: Day,
    /// Selected tasks.
    pub tasks: usize,
    /// Tasks computed, those that the selected ones need included.
    pub ran: usize,
    /// Tasks whose earlier rows were published again.
    pub restored: usize,
    /// Tasks failed or blocked.
    pub failed: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The run; `None` if all was published already.
    pub run: Option<String>,
    /// The lake's version after it.
    pub version: u64,
}

/// How far a backfill is.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'a> {
    /// The chunk that ended.
    pub chunk: &'a Chunk,
    /// Chunks that are done.
    pub done: usize,
    /// All chunks.
    pub of: usize,
    /// Seconds that the rest will take, if it goes on like this.
    pub left: f64,
}

/// What came of a backfill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackfillSummary {
    /// Names the backfill; its runs begin with this.
    pub run_id: String,
    /// The lake's version after it.
    pub version: u64,
    /// The chunks in the order in which they were computed.
    pub chunks: Vec<Chunk>,
    /// Chunks that were not reached.
    pub left: usize,
    /// Tasks that failed, were tried again alone, and failed again.
    pub failures: Vec<Failure>,
    /// Tasks that failed and did well when they were tried again alone.
    pub mended: usize,
    /// Checks that rows failed.
    pub checks: Vec<CheckFailure>,
    /// Published partitions that were dropped, because the declarations have no place for them any more.
    pub dropped: Vec<String>,
    /// Whether it was asked to stop.
    pub interrupted: bool,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Where the lake is.
    pub lake: String,
}

impl BackfillSummary {
    /// Tells whether every selected task has valid rows.
    pub fn is_success(&self) -> bool {
        let bad = self.checks.iter().any(CheckFailure::counts);
        !self.interrupted && self.left == 0 && self.failures.is_empty() && !bad
    }
}

impl Workbench {
    /// Computes a stretch of days chunk by chunk. What is published already is passed over, so that an interrupted
    /// backfill goes on where it was. Tasks that fail hold nothing up; they are tried again at the end.
    ///
    /// # Errors
    /// [`PipelineError`] if it could not be planned or published; failed tasks are in the summary.
    pub async fn backfill(
        &self,
        lake: Arc<Lake>,
        wanted: &Backfill,
        options: RunOptions<'_>,
        steps: &(dyn Fn(&Step<'_>) + Sync),
    ) -> Result<BackfillSummary, PipelineError> {
        let clock = Instant::now();
        let sources = Arc::new(Sources::list(&self.settings, &self.assembly.datasets)?);
        let plan = self.plan_with(&sources, Some(&lake), &wanted.selected, options.now)?;
        let mut pieces = pieces(&plan, wanted.chunk_days);
        drop(plan);
        if wanted.order == ChunkOrder::Newest {
            pieces.reverse();
        }
        let mut state = State {
            bench: self,
            lake,
            sources,
            options,
            clock,
            failed: BTreeMap::new(),
            checks: BTreeMap::new(),
            dropped: Vec::new(),
            version: 0,
        };
        state.version = state.lake.head()?.version;
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut interrupted = false;
        for piece in &pieces {
            if state.options.cancel.is_cancelled() {
                interrupted = true;
                break;
            }
            let (chunk, stopped) = state.chunk(wanted, piece, chunks.len()).await?;
            if stopped {
                interrupted = true;
                break;
            }
            chunks.push(chunk);
            let done = chunks.len();
            if let Some(chunk) = chunks.last() {
                let left = left(&chunks, pieces.len() - done);
                let of = pieces.len();
                steps(&Step {
                    chunk,
                    done,
                    of,
                    left,
                });
            }
        }
        let mended = match interrupted {
            true => 0,
            false => state.again().await?,
        };
        Ok(BackfillSummary {
            run_id: state.options.run_id.clone(),
            version: state.version,
            left: pieces.len() - chunks.len(),
            chunks,
            failures: state
                .failed
                .into_values()
                .map(|(_, failure)| failure)
                .collect(),
            mended,
            checks: state.checks.into_values().flatten().collect(),
            dropped: state.dropped,
            interrupted,
            seconds: clock.elapsed().as_secs_f64(),
            lake: state.lake.root().display().to_string(),
        })
    }
}

/// Guesses the seconds of the chunks to come from those that had something to do.
fn left(chunks: &[Chunk], more: usize) -> f64 {
    let busy = chunks.iter().filter(|chunk| chunk.run.is_some());
    let (count, seconds) = busy.fold((0, 0.0), |(n, sum), chunk| (n + 1, sum + chunk.seconds));
    match count {
        0 => 0.0,
        count => seconds / f64::from(count) * more as f64,
    }
}

/// Days that are computed and published together.
struct Piece {
    days: DayRange,
    tasks: usize,
    /// Whether all of it is published already.
    done: bool,
}

/// Cuts the selected partitions into pieces of at least so many days that part no partition.
fn pieces(plan: &Plan, chunk_days: u32) -> Vec<Piece> {
    let mut periods: BTreeMap<(Day, Day), (usize, bool)> = BTreeMap::new();
    for task in plan.tasks.iter().filter(|task| task.selected) {
        let days = task.task.partition.days().unwrap_or(DayRange::ALL);
        let (tasks, done) = periods.entry((days.start, days.end)).or_insert((0, true));
        *tasks += 1;
        *done &= task.verdict == Verdict::Reuse;
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for ((start, end), (tasks, done)) in periods {
        match pieces.last_mut() {
            Some(piece) if joins(&piece.days, start, chunk_days) => {
                piece.days.end = piece.days.end.max(end);
                piece.tasks += tasks;
                piece.done &= done;
            }
            _ => pieces.push(Piece {
                days: DayRange::new(start, end),
                tasks,
                done,
            }),
        }
    }
    pieces
}

fn joins(piece: &DayRange, start: Day, chunk_days: u32) -> bool {
    let length = i64::from(piece.end.days()) - i64::from(piece.start.days());
    start < piece.end || length < i64::from(chunk_days)
}

/// A backfill under way.
struct State<'a> {
    bench: &'a Workbench,
    lake: Arc<Lake>,
    sources: Arc<Sources>,
    options: RunOptions<'a>,
    clock: Instant,
    /// What failed, with the run.
    failed: BTreeMap<String, (String, Failure)>,
    /// Failed checks by task.
    checks: BTreeMap<(String, String), Vec<CheckFailure>>,
    dropped: Vec<String>,
    version: u64,
}

impl State<'_> {
    async fn chunk(
        &mut self,
        wanted: &Backfill,
        piece: &Piece,
        number: usize,
    ) -> Result<(Chunk, bool), PipelineError> {
        let clock = Instant::now();
        let (from, to) = (piece.days.start, piece.days.end.plus(-1));
        let mut chunk = Chunk {
            from: wanted.selected.from.map_or(from, |first| first.max(from)),
            to: wanted.selected.to.map_or(to, |last| last.min(to)),
            tasks: piece.tasks,
            ran: 0,
            restored: 0,
            failed: 0,
            seconds: 0.0,
            run: None,
            version: self.version,
        };
        if piece.done {
            return Ok((chunk, false));
        }
        let selected = Selected {
            from: Some(chunk.from),
            to: Some(chunk.to),
            ..wanted.selected.clone()
        };
        let (summary, report) = self.run(&selected, &format!("{number:04}")).await?;
        self.note(&summary, &report);
        chunk.ran = summary.tasks.ran;
        chunk.restored = summary.tasks.restored;
        chunk.failed = summary.tasks.failed + summary.tasks.blocked;
        chunk.version = summary.version;
        chunk.run = Some(summary.run_id);
        chunk.seconds = clock.elapsed().as_secs_f64();
        if let Some(fatal) = report.fatal {
            return Err(PipelineError::stage(format!(
                "the backfill gave up at {} to {}: {fatal}",
                chunk.from, chunk.to
            )));
        }
        Ok((chunk, summary.interrupted))
    }

    /// Runs a selection as a run of its own.
    async fn run(
        &self,
        selected: &Selected,
        suffix: &str,
    ) -> Result<(RunSummary, RunReport), PipelineError> {
        let took = i64::try_from(self.clock.elapsed().as_micros()).unwrap_or(0);
        let options = RunOptions {
            run_id: format!("{}-{suffix}", self.options.run_id),
            who: self.options.who.clone(),
            now: UtcTime::from_micros(self.options.now.micros() + took),
            jobs: self.options.jobs,
            events: self.options.events,
            cancel: self.options.cancel.clone(),
        };
        let lake = Arc::clone(&self.lake);
        self.bench
            .run_with(lake, &self.sources, selected, options)
            .await
    }

    /// Notes what failed, and what does not fail any more.
    fn note(&mut self, summary: &RunSummary, report: &RunReport) {
        self.version = summary.version;
        self.dropped.extend(summary.dropped.iter().cloned());
        for task in &report.tasks {
            if !task.cells.is_empty() {
                self.failed.remove(&task.task.to_string());
            }
            let key = (task.task.table.to_string(), task.task.partition.to_string());
            self.checks.remove(&key);
        }
        for failure in &summary.failures {
            let failure = (summary.run_id.clone(), failure.clone());
            self.failed.insert(failure.1.task.clone(), failure);
        }
        for check in &summary.checks {
            let key = (check.table.clone(), check.partition.clone());
            let of_task = self.checks.entry(key).or_default();
            of_task.retain(|known| known.check != check.check);
            of_task.push(check.clone());
        }
    }

    /// Tries the failed tasks again, without the rest of their chunks. Returns how many of them did well.
    async fn again(&mut self) -> Result<usize, PipelineError> {
        let failed = self.failed.len();
        let failures = self
            .failed
            .values()
            .map(|(run, failure)| OpenFailure {
                run: run.clone(),
                failure: failure.clone(),
            })
            .collect();
        let before = Undone {
            failures,
            ..Undone::default()
        };
        let tasks = before.tasks();
        if tasks.is_empty() {
            return Ok(0);
        }
        let selected = Selected {
            tasks: Some(tasks),
            ..Selected::default()
        };
        let (mut summary, report) = self.run(&selected, "again").await?;
        before.tell(&mut summary);
        self.note(&summary, &report);
        Ok(failed.saturating_sub(self.failed.len()))
    }
}
