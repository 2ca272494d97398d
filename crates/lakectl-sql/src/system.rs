//! What the lake knows of itself, as tables: `system.commits`, `system.cells`, `system.tables`.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use lakectl_core::{Contract, Fingerprint, TableId, UtcTime};
use lakectl_store::{Lake, Snapshot, schema_of};

type Make = dyn Fn() -> DfResult<RecordBatch> + Send + Sync;

/// A table of the schema `system` whose rows are made when it is read, by somebody who knows more than the lake does.
#[derive(Clone)]
pub struct SystemTable {
    name: String,
    schema: SchemaRef,
    make: Arc<Make>,
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemTable({})", self.name)
    }
}

impl SystemTable {
    /// Builds `system.<name>`; `make` gives its rows in the columns of the contract, or says why it cannot.
    pub fn new(
        name: &str,
        contract: Contract,
        make: impl Fn() -> Result<RecordBatch, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            schema: schema_of(&contract),
            make: Arc::new(move || make().map_err(DataFusionError::Execution)),
        }
    }
}

/// Names a caller's tables; one with a name that no table can have is left out.
pub(crate) fn given(
    tables: &[SystemTable],
) -> impl Iterator<Item = (TableId, Arc<dyn TableProvider>)> {
    tables.iter().filter_map(|table| {
        let id = TableId::new("system", &table.name).ok()?;
        let SystemTable { schema, make, .. } = table.clone();
        let provider: Arc<dyn TableProvider> = Arc::new(MadeTable { schema, make });
        Some((id, provider))
    })
}

/// The system tables of one snapshot; they are filled when they are read.
pub(crate) fn tables(
    lake: &Arc<Lake>,
    snapshot: &Arc<Snapshot>,
) -> BTreeMap<TableId, Arc<dyn TableProvider>> {
    let (of_lake, of_cells, of_tables) =
        (Arc::clone(lake), Arc::clone(snapshot), Arc::clone(snapshot));
    let until = snapshot.id;
    let all = [
        made(
            "commits",
            COMMITS,
            Arc::new(move || commits(&of_lake, until)),
        ),
        made("cells", CELLS, Arc::new(move || Ok(cells(&of_cells)))),
        made(
            "tables",
            TABLES,
            Arc::new(move || Ok(lake_tables(&of_tables))),
        ),
    ];
    all.into_iter().flatten().collect()
}

const COMMITS: &str = "version i64, time ts, run utf8, reason utf8, message utf8, tables i64, changed i64, dropped i64, \
                       rows i64, id utf8, parent utf8?, who utf8, branch utf8";
const CELLS: &str = "table utf8, partition utf8, rows i64, bytes i64, first_time ts?, last_time ts?, fingerprint utf8, \
                     rows_hash utf8, file utf8?, file_hash utf8?, run utf8, seconds f64";
const TABLES: &str = "schema utf8, name utf8, partitions i64, empty_partitions i64, rows i64, bytes i64, first_time ts?, \
                      last_time ts?, grain utf8, keys utf8, time_column utf8?, primary_key utf8, columns utf8";

fn made(
    name: &str,
    columns: &str,
    make: Arc<dyn Fn() -> DfResult<Vec<ArrayRef>> + Send + Sync>,
) -> Option<(TableId, Arc<dyn TableProvider>)> {
    let contract: Contract = columns.parse().ok()?;
    let id = TableId::new("system", name).ok()?;
    let schema = schema_of(&contract);
    let own = Arc::clone(&schema);
    let make: Arc<Make> = Arc::new(move || Ok(RecordBatch::try_new(Arc::clone(&own), make()?)?));
    Some((id, Arc::new(MadeTable { schema, make })))
}

fn commits(lake: &Lake, until: Option<Fingerprint>) -> DfResult<Vec<ArrayRef>> {
    let mut log = lake
        .log()
        .map_err(|e| DataFusionError::External(Box::new(e)))?;
    let newest = log.iter().position(|commit| Some(commit.id) == until);
    log.truncate(newest.map_or(0, |place| place + 1));
    Ok(vec![
        integers(log.iter().map(|c| c.version)),
        times(log.iter().map(|c| Some(c.time))),
        texts(log.iter().map(|c| Some(c.run.clone()))),
        texts(log.iter().map(|c| Some(c.reason.clone()))),
        texts(log.iter().map(|c| Some(c.message.clone()))),
        integers(log.iter().map(|c| c.changed.len() as u64)),
        integers(log.iter().map(|c| c.changed.values().sum())),
        integers(log.iter().map(|c| c.dropped)),
        integers(log.iter().map(|c| c.rows)),
        texts(log.iter().map(|c| Some(c.id.to_string()))),
        texts(log.iter().map(|c| c.parent.map(|id| id.to_string()))),
        texts(log.iter().map(|c| Some(c.who.clone()))),
        texts(log.iter().map(|c| Some(c.branch.clone()))),
    ])
}

fn cells(snapshot: &Snapshot) -> Vec<ArrayRef> {
    let all: Vec<_> = snapshot
        .cells
        .values()
        .flat_map(|cells| cells.values())
        .collect();
    vec![
        texts(all.iter().map(|c| Some(c.table.to_string()))),
        texts(all.iter().map(|c| Some(c.partition.to_string()))),
        integers(all.iter().map(|c| c.rows)),
        integers(all.iter().map(|c| c.file.as_ref().map_or(0, |f| f.bytes))),
        times(all.iter().map(|c| c.times.map(|(first, _)| first))),
        times(all.iter().map(|c| c.times.map(|(_, last)| last))),
        texts(all.iter().map(|c| Some(c.fingerprint.to_string()))),
        texts(all.iter().map(|c| Some(c.rows_hash.to_string()))),
        texts(all.iter().map(|c| c.file.as_ref().map(|f| f.path.clone()))),
        texts(
            all.iter()
                .map(|c| c.file.as_ref().map(|f| f.hash.to_string())),
        ),
        texts(all.iter().map(|c| Some(c.run.clone()))),
        Arc::new(
            all.iter()
                .map(|c| Some(c.seconds))
                .collect::<Float64Array>(),
        ),
    ]
}

fn lake_tables(snapshot: &Snapshot) -> Vec<ArrayRef> {
    let ids: Vec<&TableId> = snapshot.tables.keys().collect();
    let metas: Vec<_> = snapshot.tables.values().collect();
    let of = |id: &TableId| {
        snapshot
            .cells
            .get(id)
            .into_iter()
            .flat_map(|cells| cells.values())
    };
    let bytes = |id: &TableId| {
        of(id)
            .filter_map(|c| c.file.as_ref())
            .map(|f| f.bytes)
            .sum()
    };
    vec![
        texts(ids.iter().map(|id| Some(id.schema().to_owned()))),
        texts(ids.iter().map(|id| Some(id.name().to_owned()))),
        integers(ids.iter().map(|id| of(id).count() as u64)),
        integers(
            ids.iter()
                .map(|id| of(id).filter(|c| c.rows == 0).count() as u64),
        ),
        integers(ids.iter().map(|id| snapshot.rows(id))),
        integers(ids.iter().map(|id| bytes(id))),
        times(
            ids.iter()
                .map(|id| of(id).filter_map(|c| c.times).map(|(first, _)| first).min()),
        ),
        times(
            ids.iter()
                .map(|id| of(id).filter_map(|c| c.times).map(|(_, last)| last).max()),
        ),
        texts(
            metas
                .iter()
                .map(|m| Some(m.grain.column().unwrap_or("none").replace("date", "day"))),
        ),
        texts(metas.iter().map(|m| Some(m.keys.join(", ")))),
        texts(metas.iter().map(|m| m.time_column.clone())),
        texts(metas.iter().map(|m| Some(m.primary_key.join(", ")))),
        texts(metas.iter().map(|m| Some(m.contract.to_string()))),
    ]
}

fn integers(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(
        values
            .map(|v| i64::try_from(v).ok())
            .collect::<Int64Array>(),
    )
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn times(values: impl Iterator<Item = Option<UtcTime>>) -> ArrayRef {
    let micros: TimestampMicrosecondArray = values.map(|time| time.map(UtcTime::micros)).collect();
    Arc::new(micros.with_timezone("UTC"))
}

/// A table whose rows are made when it is read.
struct MadeTable {
    schema: SchemaRef,
    make: Arc<Make>,
}

impl fmt::Debug for MadeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadeTable({})", self.schema)
    }
}

impl MadeTable {
    fn plan(&self, projection: Option<&Vec<usize>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let batch = (self.make)()?;
        let plan = MemorySourceConfig::try_new_exec(
            &[vec![batch]],
            Arc::clone(&self.schema),
            projection.cloned(),
        )?;
        Ok(plan)
    }
}

impl TableProvider for MadeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        _: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        _: &'life3 [Expr],
        _: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = DfResult<Arc<dyn ExecutionPlan>>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(std::future::ready(self.plan(projection)))
    }
}
