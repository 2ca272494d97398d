//! A small workload on a lake anywhere: it writes, records, commits, reads, and says what must be there.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use lakectl_core::{Cell, Contract, Fingerprint, Grain, PartitionKey, TableId, TaskKey, UtcTime};
use lakectl_store::{
    CommitRequest, Lake, LakeAddress, Open, Snapshot, StoreError, TableMeta, WriteSpec, schema_of,
};

pub(crate) fn open(address: &LakeAddress) -> Result<Lake, StoreError> {
    Lake::open(address, "test", Open::OrCreate)
}

pub(crate) fn table() -> TableId {
    "a.b".parse().unwrap()
}

fn contract() -> Contract {
    "n i64".parse().unwrap()
}

fn meta() -> TableMeta {
    TableMeta {
        contract: contract(),
        keys: vec!["writer".to_owned()],
        grain: Grain::None,
        time_column: None,
        primary_key: vec!["n".to_owned()],
    }
}

/// Writes the rows `0..rows` as one partition.
pub(crate) fn write(
    lake: &Lake,
    partition: &str,
    run: &str,
    rows: i64,
) -> Result<Cell, StoreError> {
    let schema = schema_of(&contract());
    let column = Int64Array::from_iter_values(0..rows);
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(column)]).unwrap();
    let partition: PartitionKey = partition.parse().unwrap();
    let written = lake.write_rows(
        &table(),
        &partition,
        &[batch],
        &schema,
        &WriteSpec::default(),
    )?;
    let fingerprint = Fingerprint::of(format!("{partition} {rows}").as_bytes());
    let task = TaskKey {
        table: table(),
        partition,
    };
    Ok(written.into_cell(task, fingerprint, Default::default(), run, 0.5))
}

/// Writes, records and commits one partition on top of `base`.
pub(crate) fn publish(
    lake: &Lake,
    base: &Snapshot,
    partition: &str,
    run: &str,
    rows: i64,
) -> Result<Snapshot, StoreError> {
    let cell = write(lake, partition, run, rows)?;
    lake.record(run, std::slice::from_ref(&cell))?;
    let mut request = CommitRequest::new(base, run, UtcTime::from_micros(rows), "test");
    request.tables.insert(table(), meta());
    request.cells.push(cell);
    lake.commit(request)
}

/// Makes the lake and publishes `versions` versions, each a partition more.
pub(crate) fn work(address: &LakeAddress, versions: u64) -> Result<Lake, StoreError> {
    let lake = open(address)?;
    for n in lake.head()?.version + 1..=versions {
        let head = lake.head()?;
        let (partition, run) = (format!("n={n}"), format!("run-{n}"));
        publish(&lake, &head, &partition, &run, n as i64 + 1)?;
    }
    lake.leave_note("run-1", versions, &"a note")?;
    Ok(lake)
}

/// Checks through a fresh handle that the lake holds what [`work`] made: nothing less, nothing twice.
pub(crate) fn check(address: &LakeAddress, versions: u64) -> Result<(), StoreError> {
    let lake = Lake::open(address, "test", Open::Existing)?;
    let numbers: Vec<u64> = lake.log()?.iter().map(|info| info.version).collect();
    assert_eq!(numbers, (1..=versions).collect::<Vec<_>>());
    let head = lake.head()?;
    let mut rows = Vec::new();
    for (_, cell) in head.partitions(&table()) {
        let read = lake.read(cell, None)?;
        rows.push(read.iter().map(RecordBatch::num_rows).sum::<usize>() as u64);
    }
    rows.sort_unstable();
    assert_eq!(rows, (2..versions + 2).collect::<Vec<_>>());
    assert_eq!(lake.cells()?.len() as u64, versions);
    let notes: Vec<String> = lake.notes(9)?.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(notes, ["a note"]);
    lake.check_newest()?;
    Ok(())
}

/// Whether the long forms of tests are wanted.
pub(crate) fn full() -> bool {
    std::env::var_os("LAKE_TEST_FULL").is_some_and(|value| value == "1")
}

/// A line for `cargo xtask faults`, past the capture of test output.
pub(crate) fn tell(what: &str, count: usize, result: &str) {
    if std::env::var_os("LAKE_FAULTS").is_some() {
        let line = format!("FAULTS|{what}|{count}|{result}\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
}
