//! A Delta log beside each table's files.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::{Fingerprint, TableId, UtcTime};
use serde::{Deserialize, Serialize};

use super::action;
use super::change::{Origin, TableChange};
use super::checkpoint::{Checkpoint, checkpoint_of};
use super::data_folder;
use crate::branch::MAIN;
use crate::object::{Entry, FORMAT, seal, unseal};
use crate::uses::Unreadable;
use crate::{Failpoint, Lake, Snapshot, StoreError, VersionRef};

/// How far the log is projected. Written last: whatever a crash leaves undone is done again.
const STATE: &str = "_projections/delta.json";
/// To be raised with every change that gives other bytes for the same log; all is then written again.
const LAYOUT: u64 = 1;
const REPAIR: &str = "`lakectl project --rebuild` writes it again";

/// A checkpoint is due after so many versions,
pub(crate) const COMMITS_MIN: u64 = 10;
/// or one for so many files: writing a checkpoint of a large table costs more than reading some more small files.
pub(crate) const FILES_PER_COMMIT: u64 = 1_000;
/// It is also due after so many bytes of log,
const BYTES_MIN: u64 = 1 << 20;
/// or so many for each file, which is more than a checkpoint takes.
pub(crate) const BYTES_PER_FILE: u64 = 128;

/// What was written by a projection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Projected {
    /// The lake's version that is now projected.
    pub version: u64,
    /// Delta versions written, over all tables.
    pub commits: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Whether all of it was made anew.
    pub rebuilt: bool,
}

/// A table as its Delta log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaTable {
    /// The table.
    pub table: TableId,
    /// Its folder below the lake's root.
    pub folder: String,
    /// The newest Delta version.
    pub version: u64,
    /// The lake's version that it comes from: no later one touched the table.
    pub lake_version: u64,
    /// Files of that version.
    pub files: u64,
}

/// One Delta version of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaVersion {
    /// The Delta version.
    pub version: u64,
    /// The lake's version that it comes from.
    pub lake_version: u64,
    /// When that was committed, in whole milliseconds.
    pub time: UtcTime,
    /// Files that became part of the table.
    pub added: u64,
    /// Files that no longer are.
    pub removed: u64,
}

/// A function of the log up to `version`, whoever wrote it and in however many pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    format: u64,
    layout: u64,
    version: u64,
    id: Option<Fingerprint>,
    tables: BTreeMap<TableId, Progress>,
}

impl State {
    fn new() -> Self {
        Self {
            format: FORMAT,
            layout: LAYOUT,
            version: 0,
            id: None,
            tables: BTreeMap::new(),
        }
    }
}

/// Where one table's Delta log has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The number of Delta versions.
    versions: u64,
    lake_version: u64,
    files: u64,
    /// Versions and bytes of log since the last checkpoint.
    commits: u64,
    bytes: u64,
}

impl Progress {
    fn checkpoint_is_due(&self) -> bool {
        self.commits >= COMMITS_MIN.max(self.files / FILES_PER_COMMIT)
            || self.bytes >= BYTES_MIN.max(self.files * BYTES_PER_FILE)
    }
}

impl Lake {
    /// Brings the Delta logs up to the newest version of `main`, the one branch that is projected. `base` is a version that the caller has at hand: if it is the
    /// one projected last, no older one has to be read.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a damaged log of the lake; [`StoreError::Io`] or [`StoreError::FlushFailed`] if the
    /// disk refuses.
    pub fn project_delta(&self, base: Option<Snapshot>) -> Result<Projected, StoreError> {
        if self.branch() != MAIN {
            return self.on_branch(MAIN)?.project_delta(None);
        }
        let head = self.newest()?;
        if let Some(state) = self.delta_state()?
            && state.version <= head.version
        {
            if (state.version, state.id) == (head.version, head.id) {
                return Ok(Projected {
                    version: head.version,
                    ..Projected::default()
                });
            }
            let base = base.filter(|base| base.version == state.version);
            let start = match base {
                Some(base) => base,
                None => self.at(VersionRef::Number(state.version))?,
            };
            // If not, the lake was restored from a copy, and has another history under the same numbers.
            if start.id == state.id {
                return Projector::new(self, state).finish(start);
            }
        }
        self.rebuild_delta(&BTreeSet::new())
    }

    /// Makes the Delta logs of these tables anew, or of all if none is named, and removes what does not belong there.
    ///
    /// # Errors
    /// As [`Lake::project_delta`].
    pub fn rebuild_delta(&self, tables: &BTreeSet<TableId>) -> Result<Projected, StoreError> {
        if self.branch() != MAIN {
            return self.on_branch(MAIN)?.rebuild_delta(tables);
        }
        let mut known = State::new();
        let mut until = self.newest()?.version;
        if !tables.is_empty() {
            self.project_delta(None)?;
            known = self.delta_state()?.unwrap_or_else(State::new);
            until = known.version;
            known.tables.retain(|table, _| !tables.contains(table));
        }
        // Whoever dies from here on leaves no state, so that the next projection makes everything anew.
        if self.door().size(STATE)?.is_some() {
            self.door().delete(STATE)?;
        }
        let mut projector = Projector::new(self, known);
        projector.done.rebuilt = true;
        let mut snapshot = Snapshot::empty();
        projector.advance(&mut snapshot, until, |table| {
            tables.is_empty() || tables.contains(table)
        })?;
        projector.sweep(&mut snapshot, tables)?;
        projector.finish(snapshot)
    }

    /// Compares what is projected with what the log gives, and returns the files that are something else.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the disk refuses. A log that is damaged itself gives nothing to compare with.
    pub(crate) fn check_delta(&self) -> Result<Vec<Unreadable>, StoreError> {
        if self.branch() != MAIN {
            return self.on_branch(MAIN)?.check_delta();
        }
        let mut projector = Projector::new(self, State::new());
        projector.wrong = Some(Vec::new());
        let projected = self.delta_state()?;
        let until = projected.map_or(0, |state| state.version);
        let compared = self
            .newest()
            .and_then(|newest| match newest.version < until {
                // Restored from a copy: the next projection makes everything anew.
                true => Ok(()),
                false => projector.compare(until),
            });
        match compared {
            Err(error) if !error.is_damage() => Err(error),
            _ => Ok(projector.wrong.unwrap_or_default()),
        }
    }

    /// Returns the tables that have a Delta log, as far as they are projected.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the disk refuses.
    pub fn delta_tables(&self) -> Result<Vec<DeltaTable>, StoreError> {
        let tables = self.delta_state()?.unwrap_or_else(State::new).tables;
        let tables = tables.into_iter().map(|(table, progress)| DeltaTable {
            folder: data_folder(&table),
            table,
            version: progress.versions.saturating_sub(1),
            lake_version: progress.lake_version,
            files: progress.files,
        });
        Ok(tables.collect())
    }

    /// Returns the Delta versions of a table, oldest first, as they say themselves; none if it has no Delta log.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming a file that is none of ours.
    pub fn delta_versions(&self, table: &TableId) -> Result<Vec<DeltaVersion>, StoreError> {
        let folder = log_folder(table);
        let names = self.door().list(&folder, Entry::File)?;
        let commits = names.iter().filter(|name| name.ends_with(".json"));
        let versions = commits.map(|name| {
            let path = format!("{folder}/{name}");
            let bytes = self.door().get(&path)?.unwrap_or_default();
            read_commit(name, &bytes).ok_or_else(|| StoreError::Damaged {
                path: self.door().full(&path),
                problem: "it does not say which version of the lake it comes from".to_owned(),
                repair: REPAIR,
            })
        });
        versions.collect()
    }

    /// Returns how far the log was projected; nothing if it never was, or by another program, or if a crash of the
    /// machine left half a file: what can be made anew is not worth an error.
    /// Returns the version of `main` that was projected last.
    pub(crate) fn projected_version(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.delta_state()?.map(|state| state.version))
    }

    fn delta_state(&self) -> Result<Option<State>, StoreError> {
        let Some(bytes) = self.door().get(STATE)? else {
            return Ok(None);
        };
        let state = unseal::<State>(&self.door().full(STATE), &bytes, REPAIR).ok();
        Ok(state.map(|(state, _)| state).filter(|s| s.layout == LAYOUT))
    }
}

/// Reads back what a commit says of itself.
fn read_commit(name: &str, bytes: &[u8]) -> Option<DeltaVersion> {
    let text = std::str::from_utf8(bytes).ok()?;
    let first: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    let info = first.get("commitInfo")?;
    let count = |kind: &str| text.lines().filter(|line| line.starts_with(kind)).count() as u64;
    Some(DeltaVersion {
        version: name.strip_suffix(".json")?.parse().ok()?,
        lake_version: info.get("lakeVersion")?.as_u64()?,
        time: UtcTime::from_micros(info.get("timestamp")?.as_i64()?.checked_mul(1000)?),
        added: count(r#"{"add":"#),
        removed: count(r#"{"remove":"#),
    })
}

fn log_folder(table: &TableId) -> String {
    format!("{}/_delta_log", data_folder(table))
}

/// One projection under way.
struct Projector<'a> {
    lake: &'a Lake,
    state: State,
    /// Paths written, to tell what does not belong there.
    written: BTreeSet<String>,
    /// Where the newest checkpoints are, by the path that is to say so: written when the checkpoints are there.
    pointers: BTreeMap<String, Vec<u8>>,
    /// Files that are not as they would be written, if nothing is to be written.
    wrong: Option<Vec<Unreadable>>,
    done: Projected,
}

impl<'a> Projector<'a> {
    fn new(lake: &'a Lake, state: State) -> Self {
        Self {
            lake,
            state,
            written: BTreeSet::new(),
            pointers: BTreeMap::new(),
            wrong: None,
            done: Projected::default(),
        }
    }

    /// Projects the versions after `snapshot` up to the newest, and says so in the state.
    fn finish(mut self, mut snapshot: Snapshot) -> Result<Projected, StoreError> {
        self.advance_to_newest(&mut snapshot)?;
        let (version, id) = (snapshot.version, snapshot.id);
        (self.state.version, self.state.id) = (version, id);
        self.done.version = version;
        let door = self.lake.door();
        door.sync_pending()?;
        for (path, bytes) in &self.pointers {
            door.put_content_named(path, bytes)?;
        }
        door.sync_pending()?;
        let (bytes, _) = seal(&self.state).map_err(|e| StoreError::Damaged {
            path: door.full(STATE),
            problem: format!("it cannot be written as JSON: {e}"),
            repair: REPAIR,
        })?;
        door.put_content_named(STATE, &bytes)?;
        door.sync_pending()?;
        Ok(self.done)
    }

    /// Goes through the versions up to `until` without writing.
    fn compare(&mut self, until: u64) -> Result<(), StoreError> {
        self.advance(&mut Snapshot::empty(), until, |_| true)?;
        for (path, bytes) in std::mem::take(&mut self.pointers) {
            self.put(path, &bytes)?;
        }
        Ok(())
    }

    fn advance_to_newest(&mut self, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let until = self.lake.newest()?.version;
        self.advance(snapshot, until, |_| true)
    }

    /// Projects the versions after `snapshot` up to `until`, as far as they touch the `wanted` tables.
    fn advance(
        &mut self,
        snapshot: &mut Snapshot,
        until: u64,
        wanted: impl Fn(&TableId) -> bool,
    ) -> Result<(), StoreError> {
        while snapshot.version < until {
            let step = self.lake.step(snapshot)?;
            for (table, change) in step.tables.iter().filter(|(table, _)| wanted(table)) {
                self.project(table, change, &step.origin, snapshot)?;
            }
        }
        Ok(())
    }

    /// Writes the next Delta version of one table.
    fn project(
        &mut self,
        table: &TableId,
        change: &TableChange,
        origin: &Origin,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let mut progress = self.state.tables.get(table).copied().unwrap_or_default();
        let version = progress.versions;
        let meta = snapshot.tables.get(table);
        let actions = action::commit_of(table, meta, change, origin, version == 0)?;
        let bytes = action::lines(table, &actions)?;
        progress.versions += 1;
        progress.lake_version = origin.version;
        progress.files += change.added.len() as u64;
        progress.files -= change.removed.len() as u64;
        progress.commits += 1;
        progress.bytes += bytes.len() as u64;
        let folder = log_folder(table);
        self.put(format!("{folder}/{version:020}.json"), &bytes)?;
        self.done.commits += 1;
        // A table that was given up has no columns that a checkpoint could name.
        if let Some(meta) = meta.filter(|_| progress.checkpoint_is_due()) {
            let Checkpoint { parquet, pointer } = checkpoint_of(table, meta, snapshot, version)?;
            self.put(
                format!("{folder}/{version:020}.checkpoint.parquet"),
                &parquet,
            )?;
            let place = format!("{folder}/_last_checkpoint");
            self.written.insert(place.clone());
            self.pointers.insert(place, pointer);
            (progress.commits, progress.bytes) = (0, 0);
            self.done.checkpoints += 1;
        }
        self.state.tables.insert(table.clone(), progress);
        Ok(())
    }

    /// Other writers of the same log bring the same bytes, so it does not matter whose are kept.
    fn put(&mut self, path: String, bytes: &[u8]) -> Result<(), StoreError> {
        if let Some(wrong) = &mut self.wrong {
            let problem = match self.lake.door().get(&path)? {
                Some(found) if found == bytes => return Ok(()),
                Some(_) => "it is not what the log of the lake gives",
                None => "it is missing",
            };
            let error = StoreError::Damaged {
                path: self.lake.door().full(&path),
                problem: problem.to_owned(),
                repair: REPAIR,
            };
            wrong.push(Unreadable::new(path, error));
            return Ok(());
        }
        self.lake.door().put_content_named(&path, bytes)?;
        Failpoint::Projecting.reached();
        self.done.bytes += bytes.len() as u64;
        if self.done.rebuilt {
            self.written.insert(path);
        }
        Ok(())
    }

    /// Removes from the Delta logs of these tables, or of all there are, what was not written now.
    fn sweep(
        &mut self,
        snapshot: &mut Snapshot,
        tables: &BTreeSet<TableId>,
    ) -> Result<(), StoreError> {
        loop {
            self.advance_to_newest(snapshot)?;
            let strange = self.strange(tables)?;
            // What another run put there meanwhile is of a commit that it made before.
            if self.lake.newest()?.version == snapshot.version {
                let door = self.lake.door();
                return strange.iter().try_for_each(|path| door.delete(path));
            }
        }
    }

    fn strange(&self, tables: &BTreeSet<TableId>) -> Result<Vec<String>, StoreError> {
        let door = self.lake.door();
        let mut folders: Vec<String> = tables.iter().map(log_folder).collect();
        if tables.is_empty() {
            for schema in door.list("data", Entry::Folder)? {
                let names = door.list(&format!("data/{schema}"), Entry::Folder)?;
                let logs = names
                    .iter()
                    .map(|name| format!("data/{schema}/{name}/_delta_log"));
                folders.extend(logs);
            }
        }
        let mut strange = Vec::new();
        for folder in folders {
            let names = door.list(&folder, Entry::File)?.into_iter();
            let paths = names.map(|name| format!("{folder}/{name}"));
            strange.extend(paths.filter(|path| !self.written.contains(path)));
        }
        Ok(strange)
    }
}
