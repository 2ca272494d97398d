//! The engine's runner over the lake: grants in, cells out.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use lakectl_core::{Cell, Contract, DayRange, Grain, TableId, TaskKey, UtcTime};
use lakectl_dag::{Grant, Runner, StageDecl, StageKind, State, TaskFailure, TaskSpec};
use lakectl_sources::rejects_contract;
use lakectl_sql::{Literal, Query, SqlEngine, SqlError, StageTable, conform, sort_unique};
use lakectl_store::{Lake, Snapshot, WriteSpec, schema_of};
use toml::Value;

use crate::PipelineError;
use crate::assembly::{Assembly, BoundDataset, literal, union_contract};
use crate::audit;
use crate::harvest::{self, Sources, parse_standing};
use crate::outside::{Reach, Taken};
use crate::reader::CellReader;
use crate::recover::recover;
use crate::rows::{NORM_ORDER, REJECTS_ORDER, check_membership, cut_rows, in_order, sorted};
use crate::stages::{Columns, NATIVE_STAGES, NativeTask};

/// Computes tasks of one run.
pub(crate) struct LakeRunner {
    shared: Arc<Shared>,
}

struct Shared {
    lake: Arc<Lake>,
    reader: CellReader,
    assembly: Arc<Assembly>,
    sources: Arc<Sources>,
    /// Made by the first query: a run that computes none does without.
    engine: LazyLock<SqlEngine>,
    params: BTreeMap<String, Value>,
    /// The version that the run reads; harvest continues its raw partitions.
    base: Snapshot,
    run: String,
    /// For audits: normalised rows known after this instant are left out.
    known_until: Option<UtcTime>,
}

/// The rows of one output table.
struct Output {
    table: TableId,
    schema: SchemaRef,
    rows: RecordBatch,
    spec: WriteSpec,
}

impl LakeRunner {
    /// Builds the runner of one run.
    pub(crate) fn new(
        lake: Arc<Lake>,
        assembly: Arc<Assembly>,
        sources: Arc<Sources>,
        params: BTreeMap<String, Value>,
        base: Snapshot,
        run: String,
        known_until: Option<UtcTime>,
    ) -> Self {
        let reader = CellReader::new(Arc::clone(&lake));
        Self {
            shared: Arc::new(Shared {
                lake,
                reader,
                assembly,
                sources,
                engine: LazyLock::new(SqlEngine::new),
                params,
                base,
                run,
                known_until,
            }),
        }
    }
}

impl Runner for LakeRunner {
    async fn run(&self, task: TaskSpec) -> Result<Vec<Cell>, TaskFailure> {
        let shared = Arc::clone(&self.shared);
        let job = tokio::task::spawn_blocking(move || {
            let computed = shared.compute(&task);
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

    fn flush(&self, cells: &[Cell]) -> Result<(), TaskFailure> {
        self.shared
            .lake
            .record(&self.shared.run, cells)
            .map_err(|error| failure(error.into()))
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

    fn write(
        &self,
        spec: &TaskSpec,
        output: Output,
        clock: Instant,
    ) -> Result<Cell, PipelineError> {
        let partition = &spec.task.partition;
        let written = self.lake.write_rows(
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
        let written = harvest::write_spec(&fetched);
        let stored = match self.base.cell(&spec.task.table, &spec.task.partition) {
            // A simulated document can be made again at any time, and another market must not mix with this one.
            Some(cell) if !self.sources.can_repeat(bound) => match self.lake.read(cell, None) {
                Ok(rows) => harvest::stored(&rows)?,
                Err(error) if error.is_damage() => {
                    recover(&self.lake, &self.base, bound, cell, &fetched, &error)?
                }
                Err(error) => return Err(error.into()),
            },
            _ => Vec::new(),
        };
        let rows = harvest::merge(stored, fetched, &schema)?;
        Ok(Output {
            table: bound.raw.clone(),
            schema,
            rows,
            spec: written,
        })
    }

    /// Parses a raw partition into typed rows and rejects.
    fn normalize(&self, spec: &TaskSpec) -> Result<Vec<Output>, PipelineError> {
        let raw = spec.stage.inputs.first().map(|input| &input.table);
        let bound = self.dataset(raw.unwrap_or(&spec.stage.table))?;
        let (schema, rejects_schema) = (
            schema_of(&spec.stage.contract),
            schema_of(&rejects_contract()),
        );
        let reach = Reach::of(&self.assembly, bound, spec.period);
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        for grant in spec.grants.values().flatten() {
            let Some(cell) = grant.cell.as_ref().filter(|cell| cell.rows > 0) else {
                continue;
            };
            // Bodies are read once, so they would only push others out of the reader's memory.
            let stored = harvest::stored(&self.lake.read(cell, None)?)?;
            for (document, parsed) in parse_standing(bound, stored, &spec.task.partition) {
                let Taken { inside, outside } = reach.take(&document, parsed.rows)?;
                rows.push(self.known(inside)?);
                rejects.push(parsed.rejects);
                rejects.extend(outside);
            }
        }
        let rows = sorted(&concat_batches(&schema, &rows)?, &NORM_ORDER)?;
        let rejects = sorted(&concat_batches(&rejects_schema, &rejects)?, &REJECTS_ORDER)?;
        let norm = Output {
            table: bound.norm.clone(),
            schema,
            rows,
            spec: write_spec(&spec.stage),
        };
        let quarantine = Output {
            table: bound.quarantine.clone(),
            schema: rejects_schema,
            rows: rejects,
            spec: WriteSpec {
                compress: true,
                ..WriteSpec::default()
            },
        };
        Ok(vec![norm, quarantine])
    }

    /// Leaves out what an audit pretends not to know yet.
    fn known(&self, rows: RecordBatch) -> Result<RecordBatch, PipelineError> {
        match self.known_until {
            Some(until) => audit::known_by(&rows, until),
            None => Ok(rows),
        }
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
        let (schema, batches) =
            self.engine
                .run_query(query, tables, &self.literals(query, spec)?)?;
        let batches = conform(&schema, &batches, &stage.contract)?;
        let mut output = self.finish(spec, &batches)?;
        if audit::is_cut(stage) {
            output.rows = self.known(output.rows)?;
        }
        Ok(output)
    }

    /// Values of a query's placeholders: partition keys, the period, parameters.
    fn literals(
        &self,
        query: &Query,
        spec: &TaskSpec,
    ) -> Result<BTreeMap<String, Literal>, PipelineError> {
        let mut literals = BTreeMap::new();
        for name in &query.params {
            if let Some(value) = self.params.get(name) {
                literals.insert(name.clone(), literal(name, value)?);
            }
        }
        for (column, value) in spec.task.partition.pairs() {
            literals.insert(column.clone(), Literal::Text(value.clone()));
        }
        if spec.period != DayRange::ALL {
            literals.insert("start".to_owned(), Literal::Time(spec.period.start.start()));
            literals.insert("end".to_owned(), Literal::Time(spec.period.end.start()));
        }
        Ok(literals)
    }

    fn native(&self, spec: &TaskSpec, name: &str) -> Result<Output, PipelineError> {
        let stage = &spec.stage;
        let native = NATIVE_STAGES.iter().find(|native| native.name == name);
        let native = native.ok_or_else(|| missing(stage, "native stage"))?;
        let mut inputs = BTreeMap::new();
        for (name, grants) in &spec.grants {
            let (schema, batches) = self.granted(name, grants)?;
            inputs.insert(name.clone(), Columns::new(&schema, &batches)?);
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
        let contract = match union_contract(name) {
            Some(contract) => contract,
            None => {
                let stage = self.assembly.pipeline.stage_of(name);
                stage
                    .map(|stage| stage.contract.clone())
                    .unwrap_or_default()
            }
        };
        let schema = schema_of(&contract);
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

fn missing(stage: &StageDecl, what: &str) -> PipelineError {
    PipelineError::stage(format!("`{}` has no {what}", stage.table))
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

fn write_spec(stage: &StageDecl) -> WriteSpec {
    WriteSpec {
        time_column: stage.time_column.clone(),
        daily: stage.time_column.is_some() && stage.grain != Grain::Day,
        compress: true,
    }
}
