//! The lake as its users see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakectl_core::{
    Cell, CellFile, CheckRecord, Day, Fingerprint, PartitionKey, Parts, TableId, TaskKey, UtcTime,
};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::branch::MAIN;
use crate::error::DATA_REPAIR;
use crate::history::Head;
use crate::object::{Door, lock};
use crate::open::{self, Open};
use crate::parts::{self, Shelf};
use crate::rows::{Times, conform, digest};
use crate::{
    CellIndex, CheckIndex, LakeAddress, StoreError, cell, check, contract_of, memo, note, parquet,
    schema_of,
};

/// How rows are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSpec {
    /// The time or date column of the table: gives `times`, and `days` if these are wanted.
    pub time_column: Option<String>,
    /// Digest each day's rows; for tables coarser than a day. No time may then be null.
    pub daily: bool,
    /// Compress the column `body`; all other columns always are.
    pub compress: bool,
}

/// Rows that were written and are not yet recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Digest of the logical rows.
    pub rows_hash: Fingerprint,
    /// Digest of each day's rows, if wanted.
    pub days: BTreeMap<Day, Fingerprint>,
    /// Number of rows.
    pub rows: u64,
    /// The file; `None` if there are no rows.
    pub file: Option<CellFile>,
    /// Smallest and largest value of the time column.
    pub times: Option<(UtcTime, UtcTime)>,
}

impl Written {
    /// Returns the record of the task that made these rows in `seconds`.
    pub fn into_cell(
        self,
        task: TaskKey,
        fingerprint: Fingerprint,
        parts: Parts,
        run: &str,
        seconds: f64,
    ) -> Cell {
        Cell {
            table: task.table,
            partition: task.partition,
            fingerprint,
            parts,
            rows_hash: self.rows_hash,
            days: self.days,
            rows: self.rows,
            file: self.file,
            times: self.times,
            run: run.to_owned(),
            seconds,
        }
    }
}

/// An open lake, on one of its branches. Shared by threads; any number of processes may use one lake at a time.
#[derive(Debug)]
pub struct Lake {
    pub(crate) door: Arc<Door>,
    profile: String,
    pub(crate) branch: String,
    /// The newest version seen; the log only grows.
    pub(crate) head: Mutex<Head>,
    shelf: Mutex<Shelf>,
}

impl Lake {
    /// Opens the lake at an address on its branch `main`. If it is to be made in a folder, the grandparent must exist;
    /// the bucket must exist.
    ///
    /// # Errors
    /// [`StoreError::NotALake`], [`StoreError::NoLake`], [`StoreError::OtherProfile`], [`StoreError::NewerFormat`],
    /// [`StoreError::Io`] if the folder cannot be read or made, [`StoreError::Access`] or [`StoreError::Remote`] if the
    /// bucket cannot.
    pub fn open(
        address: impl Into<LakeAddress>,
        profile: &str,
        mode: Open,
    ) -> Result<Self, StoreError> {
        let door = open::door(&address.into(), profile, mode)?;
        Ok(Self::behind(door, profile))
    }

    /// Opens the lake at an address, whatever its profile.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub fn open_any(address: impl Into<LakeAddress>) -> Result<Self, StoreError> {
        let door = Door::at(&address.into())?;
        match open::profile(&door)? {
            Some(profile) => Ok(Self::behind(door, &profile)),
            None => Err(StoreError::NoLake {
                path: door.root().to_owned(),
            }),
        }
    }

    /// The lake behind a door that was found to lead to one.
    pub(crate) fn behind(door: Door, profile: &str) -> Self {
        Self {
            door: Arc::new(door),
            profile: profile.to_owned(),
            branch: MAIN.to_owned(),
            head: Mutex::default(),
            shelf: Mutex::default(),
        }
    }

    /// Returns the same lake on another branch, whether there is one of that name or not.
    pub(crate) fn beside(&self, branch: &str) -> Self {
        Self {
            door: Arc::clone(&self.door),
            profile: self.profile.clone(),
            branch: branch.to_owned(),
            head: Mutex::default(),
            shelf: Mutex::default(),
        }
    }

    /// Returns the door to the lake's files, for other parts of the store.
    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// Returns where the lake is, for people: its folder, or `s3://bucket/prefix`, which no file system opens.
    pub fn root(&self) -> &Path {
        self.door.root()
    }

    /// Returns the profile the lake was made with.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// Returns where a cell's file is, in the form of [`Lake::root`]. Readers that go there themselves do not verify its
    /// digest.
    pub fn path_of(&self, file: &CellFile) -> PathBuf {
        self.door.full(&file.path)
    }

    /// Writes the rows of one partition, already sorted by the table's primary key, in the types of `schema`.
    ///
    /// The file becomes durable with the next [`Lake::record`] or [`Lake::commit`]. No rows write no file.
    ///
    /// # Errors
    /// [`StoreError::ColumnType`], [`StoreError::Columns`], [`StoreError::TimeColumn`] for a wrong schema;
    /// [`StoreError::Value`] for a float that is not finite, a null where none may be, or a missing time;
    /// [`StoreError::Io`] if the disk refuses.
    pub fn write_rows(
        &self,
        table: &TableId,
        partition: &PartitionKey,
        batches: &[RecordBatch],
        schema: &SchemaRef,
        spec: &WriteSpec,
    ) -> Result<Written, StoreError> {
        let contract = contract_of(schema)?;
        // Made anew from the contract: no metadata of the caller's schema may reach the file.
        let batch = conform(table, partition, batches, &schema_of(&contract))?;
        let times = times_of(table, partition, &batch, spec)?;
        let digests = digest(&batch, &contract, times.as_ref().filter(|_| spec.daily));
        let mut file = None;
        if batch.num_rows() > 0 {
            let bytes = parquet::encode(table, &batch, &contract, spec.compress)?;
            file = Some(self.put_file(table, partition, &bytes)?);
        }
        Ok(Written {
            rows_hash: digests.rows,
            days: digests.days,
            rows: batch.num_rows() as u64,
            file,
            times: times.and_then(|times| times.range),
        })
    }

    fn put_file(
        &self,
        table: &TableId,
        partition: &PartitionKey,
        bytes: &[u8],
    ) -> Result<CellFile, StoreError> {
        let hash = Fingerprint::of(bytes);
        let mut path = format!("data/{}/{}/", table.schema(), table.name());
        if !partition.is_all() {
            path.push_str(&format!("{partition}/"));
        }
        // A name that was condemned stays so: who removes its file may come at any time.
        let condemned = Arc::clone(&lock(&self.head).snapshot.condemned);
        let mut name = format!("{path}{hash}.parquet");
        let mut number = 0;
        while condemned.contains_key(&name) {
            number += 1;
            name = format!("{path}{hash}-{number}.parquet");
        }
        let path = name;
        self.door.put_content_named(&path, bytes)?;
        Ok(CellFile {
            path,
            hash,
            bytes: bytes.len() as u64,
        })
    }

    /// Records the results of one wave of tasks; when it returns, they and their files are durable.
    ///
    /// # Errors
    /// [`StoreError::RunName`]; [`StoreError::Io`] or [`StoreError::FlushFailed`] if the disk refuses.
    pub fn record(&self, run: &str, cells: &[Cell]) -> Result<(), StoreError> {
        cell::record(&self.door, run, cells)
    }

    /// Records what checks found; durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::RunName`]; [`StoreError::Io`] or [`StoreError::FlushFailed`] if the disk refuses.
    pub fn record_checks(&self, run: &str, checks: &[CheckRecord]) -> Result<(), StoreError> {
        check::record(&self.door, run, checks)
    }

    /// Returns every check ever recorded.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the segment that is.
    pub fn checks(&self) -> Result<CheckIndex, StoreError> {
        check::read_all(&self.door)
    }

    /// Keeps what a run has to say, for people, beside the newest version of this branch when it ended; the first note of
    /// a run stays.
    ///
    /// # Errors
    /// [`StoreError::RunName`]; [`StoreError::Io`] or [`StoreError::FlushFailed`] if the disk refuses.
    pub fn leave_note<T: Serialize>(
        &self,
        run: &str,
        version: u64,
        note: &T,
    ) -> Result<(), StoreError> {
        let left = note::Left {
            run: run.to_owned(),
            branch: self.branch.clone(),
            version,
        };
        note::put(&self.door, left, note)
    }

    /// Returns the newest notes by the order of the runs' names, newest first; in place of one that is damaged, the error
    /// that names it.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the disk refuses.
    pub fn notes<T: DeserializeOwned>(
        &self,
        most: usize,
    ) -> Result<Vec<Result<T, StoreError>>, StoreError> {
        note::newest(&self.door, most)
    }

    /// Returns what was remembered under a name, if it is there and whole. Nothing may depend on it but speed.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it cannot be read.
    pub fn recall<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        memo::get(&self.door, name)
    }

    /// Remembers something under a name, in place of what was there.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the disk refuses.
    pub fn remember<T: Serialize>(&self, name: &str, memo: &T) -> Result<(), StoreError> {
        memo::put(&self.door, name, memo)
    }

    /// Returns every result ever recorded.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the segment that is.
    pub fn cells(&self) -> Result<CellIndex, StoreError> {
        let condemned = Arc::clone(&self.newest()?.condemned);
        Ok(cell::read_all(&self.door)?.without(&condemned))
    }

    /// Returns what a result's fingerprint was made of; nothing if that is not kept any more.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the manifest that is.
    pub fn parts(&self, cell: &Cell) -> Result<Parts, StoreError> {
        match cell.parts.is_empty() {
            true => parts::find(&self.door, &mut lock(&self.shelf), cell),
            false => Ok(cell.parts.clone()),
        }
    }

    /// Returns the rows of a cell, all columns or those of `projection` in its order; no batches if it is empty.
    ///
    /// # Errors
    /// [`StoreError::DamagedData`] if the file is not the one that was written, [`StoreError::Damaged`] if it is
    /// gone; [`StoreError::NoColumn`] for an unknown column.
    pub fn read(
        &self,
        cell: &Cell,
        projection: Option<&[String]>,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        let Some(file) = &cell.file else {
            return Ok(Vec::new());
        };
        parquet::decode(cell, self.read_file(file)?, projection)
    }

    /// Returns the bytes of a cell's file.
    ///
    /// # Errors
    /// [`StoreError::DamagedData`] if the file is not the one that was written, [`StoreError::Damaged`] if it is gone.
    pub fn read_file(&self, file: &CellFile) -> Result<Vec<u8>, StoreError> {
        let verify = |bytes: Vec<u8>| match Fingerprint::of(&bytes) {
            found if found == file.hash => Ok(bytes),
            found => Err(StoreError::DamagedData {
                path: self.path_of(file),
                expected: file.hash,
                found,
            }),
        };
        let read = self.door.get_verified(&file.path, verify)?;
        read.ok_or_else(|| self.missing(file, "it is missing"))
    }

    pub(crate) fn missing(&self, file: &CellFile, problem: &str) -> StoreError {
        StoreError::Damaged {
            path: self.path_of(file),
            problem: problem.to_owned(),
            repair: DATA_REPAIR,
        }
    }
}

fn times_of(
    table: &TableId,
    partition: &PartitionKey,
    batch: &RecordBatch,
    spec: &WriteSpec,
) -> Result<Option<Times>, StoreError> {
    let Some(column) = &spec.time_column else {
        return Ok(None);
    };
    let times = Times::of(batch, column).ok_or_else(|| StoreError::TimeColumn {
        table: table.clone(),
        column: column.clone(),
    })?;
    match times.first_null().filter(|_| spec.daily) {
        Some(row) => Err(StoreError::Value {
            table: table.clone(),
            partition: partition.clone(),
            column: column.clone(),
            row,
            problem: "is the time column but null",
        }),
        None => Ok(Some(times)),
    }
}
