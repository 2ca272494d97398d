//! The engine's runner over the lake: grants in, cells out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use lakectl_core::{Cell, CheckResult, Contract, DayRange, Grain, PartitionKey, TableId, TaskKey};
use lakectl_dag::{
    CheckAsk, CheckSpec, Grant, Member, Runner, StageDecl, StageKind, State, TaskFailure, TaskSpec,
    state_of,
};
use lakectl_sources::{Document, rejects_contract, row_contract};
use lakectl_sql::{Literal, Query, SqlError, StageTable, conform, sort_unique};
use lakectl_store::{Snapshot, WriteSpec, schema_of};
use toml::Value;

use crate::PipelineError;
use crate::assembly::{Assembly, BoundDataset, literal, union_contract};
use crate::audit::Cut;
use crate::checks::{Subject, evaluate};
use crate::harvest::{self, Sources, StoredDocument, parse_standing};
use crate::memory::peak_memory_bytes;
use crate::outside::{Reach, Taken};
use crate::overrides::Overrides;
use crate::reader::CellReader;
use crate::recover::recover;
use crate::rows::{NORM_ORDER, REJECTS_ORDER, check_membership, cut_rows, in_order, sorted};
use crate::stages::{Columns, NativeStage, NativeTask};

/// Computes tasks of one run.
pub(crate) struct LakeRunner {
    shared: Arc<Shared>,
}

/// What the tasks of a run have in common.
pub(crate) struct Shared {
    /// Where rows come from and go to.
    pub(crate) reader: Arc<CellReader>,
    /// The definitions.
    pub(crate) assembly: Arc<Assembly>,
    /// The documents.
    pub(crate) sources: Arc<Sources>,
    /// The settings' parameters.
    pub(crate) params: BTreeMap<String, Value>,
    /// The version that the run reads; harvest continues its raw partitions.
    pub(crate) base: Snapshot,
    /// What people decided, as of that version.
    pub(crate) overrides: Arc<Overrides>,
    /// Names the run.
    pub(crate) run: String,
    /// By task: the most memory that the process had had when it ended.
    pub(crate) peaks: Mutex<BTreeMap<TaskKey, u64>>,
    /// For audits: rows known after an instant are left out.
    pub(crate) cut: Option<Cut>,
}

/// The rows of one output table.
pub(crate) struct Output {
    pub(crate) table: TableId,
    pub(crate) schema: SchemaRef,
    pub(crate) rows: RecordBatch,
    pub(crate) spec: WriteSpec,
}

impl LakeRunner {
    /// Builds the runner of one run.
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns the most memory that the process had had when each task ended, and forgets it.
    pub(crate) fn peaks(&self) -> BTreeMap<TaskKey, u64> {
        let peaks = &self.shared.peaks;
        std::mem::take(&mut peaks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Runner for LakeRunner {
    async fn run(&self, task: TaskSpec) -> Result<Vec<Cell>, TaskFailure> {
        let shared = Arc::clone(&self.shared);
        let job = tokio::task::spawn_blocking(move || {
            let computed = shared.compute(&task);
            if let Some(peak) = peak_memory_bytes() {
                let mut peaks = shared.peaks.lock().unwrap_or_else(PoisonError::into_inner);
                peaks.insert(task.task.clone(), peak);
            }
            computed.map_err(|error| failure_of(&task.stage, error))
        });
        job.await.unwrap_or_else(|error| {
            Err(TaskFailure {
                message: format!("the computation stopped: {error}"),
                hint: Some("this is a defect of the program; the lake is as it was".to_owned()),
                transient: false,
            })
        })
    }

    async fn check(&self, spec: CheckSpec) -> Vec<Result<CheckResult, TaskFailure>> {
        let shared = Arc::clone(&self.shared);
        let count = spec.asks.len();
        let job = tokio::task::spawn_blocking(move || shared.check(&spec));
        job.await.unwrap_or_else(|error| {
            let stopped = PipelineError::stage(format!("the check stopped: {error}"));
            vec![Err(failure(stopped)); count]
        })
    }

    fn flush(&self, cells: &[Cell]) -> Result<(), TaskFailure> {
        let reader = &self.shared.reader;
        if reader.is_scratch() {
            return Ok(());
        }
        let recorded = reader.target().record(&self.shared.run, cells);
        recorded.map_err(|error| failure(error.into()))
    }
}

/// Says of a failure what only its stage's declaration can tell.
fn failure_of(stage: &StageDecl, error: PipelineError) -> TaskFailure {
    let twice = matches!(error, PipelineError::Sql(SqlError::DuplicateKey { .. }));
    let mut failure = failure(error);
    if twice {
        let rows = match &stage.kind {
            StageKind::Sql => format!(
                "let sql/{}/{}.sql give one row a key",
                stage.table.schema(),
                stage.table.name()
            ),
            _ => "let the stage give one row a key".to_owned(),
        };
        failure.hint = Some(format!(
            "{rows}, or name more columns in its `primary_key` ({})",
            stage.origin
        ));
    }
    failure
}

fn failure(error: PipelineError) -> TaskFailure {
    TaskFailure {
        transient: error.is_transient(),
        hint: error.hint(),
        message: error.to_string(),
    }
}

impl Shared {
    fn compute(&self, spec: &TaskSpec) -> Result<Vec<Cell>, PipelineError> {
        let clock = Instant::now();
        if let Some(cut) = &self.cut
            && let Some(cells) = cut.cells(self, spec)?
        {
            return Ok(cells);
        }
        let outputs = match &spec.stage.kind {
            StageKind::Harvest => vec![self.harvest(spec)?],
            StageKind::Normalize => self.normalize(spec)?,
            StageKind::Sql => vec![self.query(spec)?],
            StageKind::Native(name) => vec![self.native(spec, name)?],
        };
        outputs
            .into_iter()
            .map(|output| self.write(spec, output, clock))
            .collect()
    }

    /// Evaluates the checks of one partition. Its rows are decoded once, and only if a check looks at them.
    fn check(&self, spec: &CheckSpec) -> Vec<Result<CheckResult, TaskFailure>> {
        let own = [Grant {
            member: Member {
                table: spec.cell.table.clone(),
                partition: spec.cell.partition.clone(),
                cut: None,
            },
            cell: Some(Arc::clone(&spec.cell)),
            state: state_of(&spec.cell, None),
        }];
        let one = |ask: &CheckAsk| {
            let check = spec.stage.checks.get(ask.check);
            let check = check.ok_or_else(|| missing(&spec.stage, "check of that number"))?;
            let name = (spec.stage.table.clone(), check.name.clone());
            let query = match self.assembly.checks.queries.get(&name) {
                Some(query) => Some((query, self.literals(query, &spec.task, spec.period)?)),
                None => None,
            };
            evaluate(
                check,
                &Subject {
                    stage: &spec.stage,
                    cell: &spec.cell,
                    rows: &|| self.granted(&spec.stage.table, &own),
                    grants: &ask.grants,
                    granted: &|table| {
                        let grants = ask.grants.get(table).map_or(&[][..], Vec::as_slice);
                        self.granted(table, grants)
                    },
                    query,
                    engine: &self.assembly.engine,
                },
            )
        };
        spec.asks
            .iter()
            .map(|ask| one(ask).map_err(failure))
            .collect()
    }

    /// Writes the rows of one output.
    pub(crate) fn write(
        &self,
        spec: &TaskSpec,
        output: Output,
        clock: Instant,
    ) -> Result<Cell, PipelineError> {
        let partition = &spec.task.partition;
        let written = self.reader.target().write_rows(
            &output.table,
            partition,
            &[output.rows],
            &output.schema,
            &output.spec,
        )?;
        let task = TaskKey {
            table: output.table,
            partition: partition.clone(),
        };
        let seconds = clock.elapsed().as_secs_f64();
        Ok(written.into_cell(
            task,
            spec.fingerprint,
            spec.parts.clone(),
            &self.run,
            seconds,
        ))
    }

    /// Fetches a raw partition and joins it with what is stored of it.
    fn harvest(&self, spec: &TaskSpec) -> Result<Output, PipelineError> {
        let bound = self.dataset(&spec.stage.table)?;
        let schema = schema_of(&spec.stage.contract);
        let fetched = self.sources.fetch(bound, &spec.task.partition)?;
        let stored = match self.base.cell(&spec.task.table, &spec.task.partition) {
            // A simulated document can be made again at any time, and another market must not mix with this one.
            Some(cell) if !self.sources.can_repeat(bound) => self.stored(bound, cell, &fetched)?,
            _ => Vec::new(),
        };
        let compress = harvest::is_compressible(fetched.iter());
        let rows = harvest::merge(stored, fetched, &schema)?;
        let spec = WriteSpec {
            compress,
            ..WriteSpec::default()
        };
        Ok(Output {
            table: bound.raw.clone(),
            schema,
            rows,
            spec,
        })
    }

    /// Returns what a raw partition holds already, and its documents again where its file is damaged.
    fn stored(
        &self,
        bound: &BoundDataset,
        cell: &Cell,
        fetched: &[Document],
    ) -> Result<Vec<StoredDocument>, PipelineError> {
        let home = self.reader.home(cell);
        match home.read(cell, None) {
            Ok(rows) => harvest::stored(&rows),
            // An audit only reads.
            Err(damage) if damage.is_damage() && !self.reader.is_scratch() => {
                let given_up = self.overrides.excluded(&bound.raw, &cell.partition);
                recover(home, &self.base, bound, cell, fetched, given_up, &damage)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Parses a raw partition into typed rows and rejects.
    fn normalize(&self, spec: &TaskSpec) -> Result<Vec<Output>, PipelineError> {
        let raw = spec.stage.inputs.first().map(|input| &input.table);
        let bound = self.dataset(raw.unwrap_or(&spec.stage.table))?;
        let mut stored = Vec::new();
        for grant in spec.grants.values().flatten() {
            if let Some(cell) = grant.cell.as_ref().filter(|cell| cell.rows > 0) {
                // Bodies are read once, so they would only push others out of the reader's memory.
                let rows = self.reader.home(cell).read(cell, None)?;
                let mut documents = harvest::stored(&rows)?;
                self.overrides
                    .leave_out(&bound.raw, &spec.task.partition, &mut documents);
                stored.push(documents);
            }
        }
        let (rows, rejects) = parse_partition(
            &self.assembly,
            bound,
            &spec.task.partition,
            spec.period,
            stored,
        )?;
        let norm = Output {
            table: bound.norm.clone(),
            schema: rows.schema(),
            rows,
            spec: write_spec(&spec.stage),
        };
        let quarantine = Output {
            table: bound.quarantine.clone(),
            schema: rejects.schema(),
            rows: rejects,
            spec: WriteSpec {
                compress: true,
                ..WriteSpec::default()
            },
        };
        Ok(vec![norm, quarantine])
    }

    fn query(&self, spec: &TaskSpec) -> Result<Output, PipelineError> {
        let stage = &spec.stage;
        let query = self
            .assembly
            .queries
            .get(&stage.table)
            .ok_or_else(|| missing(stage, "query"))?;
        let mut tables = Vec::new();
        for (name, grants) in &spec.grants {
            let (schema, batches) = self.granted(name, grants)?;
            tables.push(StageTable {
                id: name.clone(),
                schema,
                batches,
            });
        }
        let (schema, batches) = self.assembly.engine.run_query(
            query,
            tables,
            &self.literals(query, &spec.task, spec.period)?,
        )?;
        let batches = conform(&schema, &batches, &stage.contract)?;
        let mut output = self.finish(spec, &batches)?;
        if let Some(cut) = &self.cut {
            output.rows = cut.known(stage, output.rows)?;
        }
        Ok(output)
    }

    /// Values of a query's placeholders: partition keys, the period, parameters.
    fn literals(
        &self,
        query: &Query,
        task: &TaskKey,
        period: DayRange,
    ) -> Result<BTreeMap<String, Literal>, PipelineError> {
        let mut literals = BTreeMap::new();
        for name in &query.params {
            if let Some(value) = self.params.get(name) {
                literals.insert(name.clone(), literal(name, value)?);
            }
        }
        for (column, value) in task.partition.pairs() {
            literals.insert(column.clone(), Literal::Text(value.clone()));
        }
        if period != DayRange::ALL {
            literals.insert("start".to_owned(), Literal::Time(period.start.start()));
            literals.insert("end".to_owned(), Literal::Time(period.end.start()));
        }
        Ok(literals)
    }

    fn native(&self, spec: &TaskSpec, name: &str) -> Result<Output, PipelineError> {
        let stage = &spec.stage;
        let native = NativeStage::find(name).ok_or_else(|| missing(stage, "native stage"))?;
        let mut inputs = BTreeMap::new();
        for (name, grants) in &spec.grants {
            let (schema, batches) = self.granted(name, grants)?;
            let columns = Columns::of(&schema, &batches, &native.granted(name.as_str()))?;
            inputs.insert(name.clone(), columns);
        }
        let declared = self
            .params
            .iter()
            .filter(|(name, _)| stage.params.contains(name));
        let task = NativeTask {
            key: spec.task.clone(),
            period: spec.period,
            schema: schema_of(&stage.contract),
            params: declared
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            seed: spec.seed,
            inputs,
        };
        self.finish(spec, &[(native.run)(&task)?])
    }

    /// Sorts by the primary key, checks that it is unique and that every row belongs to the partition.
    fn finish(&self, spec: &TaskSpec, batches: &[RecordBatch]) -> Result<Output, PipelineError> {
        let stage = &spec.stage;
        let schema = schema_of(&stage.contract);
        let rows = sort_unique(&schema, batches, &stage.primary_key)?;
        check_membership(stage, &spec.task.partition, spec.period, &rows)?;
        Ok(Output {
            table: stage.table.clone(),
            schema,
            rows,
            spec: write_spec(stage),
        })
    }

    /// Reads the granted rows of one input, oldest partition first.
    fn granted(
        &self,
        name: &TableId,
        grants: &[Grant],
    ) -> Result<(SchemaRef, Vec<RecordBatch>), PipelineError> {
        let schema = schema_of(&input_contract(&self.assembly, name));
        let mut batches = Vec::new();
        for grant in grants {
            let stage = self.assembly.pipeline.stage_of(&grant.member.table);
            let time_column = stage.and_then(|stage| stage.time_column.as_deref());
            for batch in self.read(grant, time_column)? {
                batches.push(in_order(&grant.member, &schema, batch)?);
            }
        }
        Ok((schema, batches))
    }

    fn read(
        &self,
        grant: &Grant,
        time_column: Option<&str>,
    ) -> Result<Vec<RecordBatch>, PipelineError> {
        let (Some(cell), State::Rows(_)) = (&grant.cell, &grant.state) else {
            return Ok(Vec::new());
        };
        let batches = self.reader.read(cell)?;
        match (grant.member.cut, time_column) {
            (Some(cut), Some(column)) => batches
                .iter()
                .map(|batch| cut_rows(batch, column, cut))
                .collect(),
            _ => Ok(batches.to_vec()),
        }
    }

    fn dataset(&self, raw: &TableId) -> Result<&BoundDataset, PipelineError> {
        let bound = self.assembly.datasets.get(raw);
        bound.ok_or_else(|| PipelineError::stage(format!("`{raw}` belongs to no declared dataset")))
    }
}

/// Parses documents of one partition into typed rows and rejects, both in their order.
pub(crate) fn parse_partition(
    assembly: &Assembly,
    bound: &BoundDataset,
    partition: &PartitionKey,
    period: DayRange,
    stored: Vec<Vec<StoredDocument>>,
) -> Result<(RecordBatch, RecordBatch), PipelineError> {
    let reach = Reach::of(assembly, bound, period);
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    for documents in stored {
        for (document, parsed) in parse_standing(bound, documents, partition) {
            let Taken { inside, outside } = reach.take(&document, parsed.rows)?;
            rows.push(inside);
            rejects.push(parsed.rejects);
            rejects.extend(outside);
        }
    }
    let schema = schema_of(&row_contract(bound.dataset.feeds));
    let rejects_schema = schema_of(&rejects_contract());
    Ok((
        sorted(&concat_batches(&schema, &rows)?, &NORM_ORDER)?,
        sorted(&concat_batches(&rejects_schema, &rejects)?, &REJECTS_ORDER)?,
    ))
}

fn missing(stage: &StageDecl, what: &str) -> PipelineError {
    PipelineError::stage(format!("`{}` has no {what}", stage.table))
}

/// Returns the columns of an input: those of a table, or of a union.
pub(crate) fn input_contract(assembly: &Assembly, name: &TableId) -> Contract {
    union_contract(name).unwrap_or_else(|| declared_contract(assembly, name))
}

/// Returns the columns of a table as the pipeline declares them.
pub(crate) fn declared_contract(assembly: &Assembly, table: &TableId) -> Contract {
    let stage = assembly.pipeline.stage_of(table);
    match stage {
        Some(stage) if stage.table == *table => stage.contract.clone(),
        Some(_) => rejects_contract(),
        None => Contract::default(),
    }
}

/// Says how the rows of a stage's main table are written.
pub(crate) fn write_spec(stage: &StageDecl) -> WriteSpec {
    WriteSpec {
        time_column: stage.time_column.clone(),
        daily: stage.time_column.is_some() && stage.grain != Grain::Day,
        compress: true,
    }
}
