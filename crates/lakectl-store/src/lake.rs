//! The lake as its users see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakectl_core::{
    Cell, CellFile, Day, Fingerprint, PartitionKey, Parts, TableId, TaskKey, UtcTime,
};

use crate::commit::Commit;
use crate::error::DATA_REPAIR;
use crate::object::{Door, lock};
use crate::open::{self, Open};
use crate::rows::{Times, conform, digest};
use crate::{
    CellIndex, CommitInfo, CommitRequest, Failpoint, LakeAddress, Lease, Snapshot, StoreError,
    VersionRef, cell, commit, contract_of, note, parquet, schema_of,
};

/// Each lost race means that another run committed, so only a crowd gets near this.
const COMMIT_ATTEMPTS: u32 = 1_000;

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

/// An open lake. Shared by threads; any number of processes may use one lake at a time.
#[derive(Debug)]
pub struct Lake {
    door: Door,
    profile: String,
    /// The newest version seen; the log only grows.
    head: Mutex<Arc<Snapshot>>,
}

impl Lake {
    /// Opens the lake at an address. If it is to be made in a folder, the grandparent must exist; the bucket must exist.
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
            door,
            profile: profile.to_owned(),
            head: Mutex::new(Arc::new(Snapshot::empty())),
        }
    }

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
        let condemned = Arc::clone(&lock(&self.head).condemned);
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

    /// Keeps what a run has to say, for people; the first note of a run stays.
    ///
    /// # Errors
    /// [`StoreError::RunName`]; [`StoreError::Io`] or [`StoreError::FlushFailed`] if the disk refuses.
    pub fn leave_note(&self, run: &str, text: &[u8]) -> Result<(), StoreError> {
        note::put(&self.door, run, text)
    }

    /// Returns the newest notes as (run, text), newest first by the runs' names.
    ///
    /// # Errors
    /// [`StoreError::Io`] if one cannot be read.
    pub fn notes(&self, most: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        note::newest(&self.door, most)
    }

    /// Returns every result ever recorded.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the segment that is.
    pub fn cells(&self) -> Result<CellIndex, StoreError> {
        let condemned = Arc::clone(&self.newest()?.condemned);
        Ok(cell::read_all(&self.door)?.without(&condemned))
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

    fn missing(&self, file: &CellFile, problem: &str) -> StoreError {
        StoreError::Damaged {
            path: self.path_of(file),
            problem: problem.to_owned(),
            repair: DATA_REPAIR,
        }
    }

    /// Returns the newest version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the first version of the log that is.
    pub fn head(&self) -> Result<Snapshot, StoreError> {
        self.newest().map(|head| Snapshot::clone(&head))
    }

    fn newest(&self) -> Result<Arc<Snapshot>, StoreError> {
        let mut head = lock(&self.head);
        let newest = commit::newest(&self.door)?;
        if newest < head.version {
            // Reading the missing version names it.
            commit::read(&self.door, newest + 1, None)?;
        }
        if newest > head.version {
            self.replay(Arc::make_mut(&mut head), newest)?;
        }
        Ok(Arc::clone(&head))
    }

    fn replay(&self, snapshot: &mut Snapshot, until: u64) -> Result<(), StoreError> {
        while snapshot.version < until {
            let (commit, id) = commit::read(&self.door, snapshot.version + 1, snapshot.id)?;
            commit.apply(id, snapshot);
        }
        Ok(())
    }

    /// Returns an older version.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`] with the range there is; [`StoreError::Damaged`] as [`Lake::head`].
    pub fn at(&self, version: VersionRef) -> Result<Snapshot, StoreError> {
        let known = commit::newest(&self.door)?;
        let number = match version {
            VersionRef::Number(number) => Some(number).filter(|number| *number <= known),
            VersionRef::Time(time) => {
                let log = self.log()?.into_iter().rev();
                let mut earlier = log.filter(|info| info.time <= time);
                earlier.next().map(|info| info.version)
            }
        };
        let Some(number) = number else {
            return Err(StoreError::NoVersion {
                asked: version.to_string(),
                known: known_versions(&self.log()?),
            });
        };
        let oldest = self.oldest()?;
        if number > 0 && number < oldest {
            return Err(StoreError::Expired {
                version: number,
                oldest,
            });
        }
        let mut snapshot = Snapshot::empty();
        self.replay(&mut snapshot, number)?;
        Ok(snapshot)
    }

    /// Returns the newest version of a branch.
    pub(crate) fn head_of(&self, branch: &str) -> Result<Snapshot, StoreError> {
        debug_assert_eq!(branch, commit::MAIN);
        self.head()
    }

    /// Returns what the log says, oldest version first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] as [`Lake::head`].
    pub fn log(&self) -> Result<Vec<CommitInfo>, StoreError> {
        let commits = self.commits_after(0, None)?;
        Ok(commits.iter().map(|(c, id)| c.info(*id)).collect())
    }

    fn commits_after(
        &self,
        version: u64,
        id: Option<Fingerprint>,
    ) -> Result<Vec<(Commit, Fingerprint)>, StoreError> {
        let mut parent = id;
        let versions = version + 1..=commit::newest(&self.door)?;
        let commits = versions.map(|version| {
            let (commit, id) = commit::read(&self.door, version, parent)?;
            parent = Some(id);
            Ok((commit, id))
        });
        commits.collect()
    }

    /// Publishes results as the next version and returns it; the head if all of them are published already.
    ///
    /// If other runs committed since `base`, the request is moved onto the head, provided that nothing it read or
    /// writes has changed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] naming the other run if something has; [`StoreError::Damaged`] if a cell's file is
    /// missing; [`StoreError::Io`] or [`StoreError::FlushFailed`] if the disk refuses.
    pub fn commit(&self, request: CommitRequest<'_>) -> Result<Snapshot, StoreError> {
        request.check()?;
        for _ in 0..COMMIT_ATTEMPTS {
            let head = self.newest()?;
            if let Some(task) = request.conflict(&head) {
                return Err(self.conflict(&request, task)?);
            }
            if let Some(record) = request.record_conflict(&head) {
                return Err(self.fought_over(&request, record)?);
            }
            let Some(commit) = request.after(&head) else {
                return Ok(Snapshot::clone(&head));
            };
            if let Some(cell) = commit.condemned_by(&head) {
                return Err(StoreError::Condemned {
                    run: request.run,
                    table: cell.table.clone(),
                    partition: cell.partition.clone(),
                });
            }
            self.check_files(&commit)?;
            request.lease.map_or(Ok(()), Lease::renew)?;
            Failpoint::BeforeCommit.reached();
            if let Some(id) = commit::put(&self.door, commit::MAIN, &commit)? {
                Failpoint::Committed.reached();
                let mut snapshot = Snapshot::clone(&head);
                commit.apply(id, &mut snapshot);
                let mut newest = lock(&self.head);
                if newest.version < snapshot.version {
                    *newest = Arc::new(snapshot.clone());
                }
                return Ok(snapshot);
            }
        }
        Err(StoreError::Busy {
            run: request.run,
            attempts: COMMIT_ATTEMPTS,
        })
    }

    /// Names the run that committed `task` since the base.
    fn conflict(
        &self,
        request: &CommitRequest<'_>,
        task: TaskKey,
    ) -> Result<StoreError, StoreError> {
        let since = self.commits_after(request.base.version, request.base.id)?;
        let theirs = since.iter().rev().find(|(commit, _)| commit.touches(&task));
        Ok(StoreError::Conflict {
            ours: request.run.clone(),
            theirs_run: theirs.map_or_else(String::new, |(commit, _)| commit.run().to_owned()),
            table: task.table,
            partition: task.partition,
        })
    }

    /// Names the run that set the note `record` since the base.
    fn fought_over(
        &self,
        request: &CommitRequest<'_>,
        record: String,
    ) -> Result<StoreError, StoreError> {
        let since = self.commits_after(request.base.version, request.base.id)?;
        let theirs = since.iter().rev().find(|(commit, _)| commit.notes(&record));
        Ok(StoreError::RecordConflict {
            ours: request.run.clone(),
            theirs_run: theirs.map_or_else(String::new, |(commit, _)| commit.run().to_owned()),
            record,
        })
    }

    /// Refuses to publish what nobody could read.
    fn check_files(&self, commit: &Commit) -> Result<(), StoreError> {
        let files = commit.cells.iter().filter_map(|cell| cell.file.as_ref());
        let files: Vec<&CellFile> = files.collect();
        let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        for (file, size) in files.into_iter().zip(self.door.sizes(&paths)?) {
            match size {
                Some(bytes) if bytes == file.bytes => {}
                Some(_) => return Err(self.missing(file, "it has another size than recorded")),
                None => return Err(self.missing(file, "it is missing")),
            }
        }
        Ok(())
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

fn known_versions(log: &[CommitInfo]) -> String {
    match (log.first(), log.last()) {
        (Some(first), Some(last)) => format!(
            "it has versions 1 to {}, committed from {} to {}",
            last.version, first.time, last.time
        ),
        _ => "nothing was committed yet, there is only version 0".to_owned(),
    }
}
