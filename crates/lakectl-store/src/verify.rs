//! Looking at every file that somebody may come to need: is it there, and is it what was written?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId};
use serde::Serialize;

use crate::object::Stored;
use crate::uses::{Cause, Span, Unreadable, Use, Uses};
use crate::{Lake, StoreError, VersionRef, parquet, workers};

/// What to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyRequest {
    /// Read every data file, hash it and decode its rows, instead of asking for its size only.
    pub deep: bool,
    /// Only the data files of this version.
    pub at: Option<VersionRef>,
}

/// How far a long walk over files has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files that are done.
    pub files: u64,
    /// All files.
    pub files_total: u64,
    /// Bytes that are done.
    pub bytes: u64,
    /// All bytes.
    pub bytes_total: u64,
}

/// Which kind of file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A version of the log, or cells of one.
    Log,
    /// The whole of a version, which the log says as well.
    Checkpoint,
    /// A record of results.
    Cells,
    /// What fingerprints of results were made of.
    Parts,
    /// A record of checks.
    Checks,
    /// What is kept for other engines.
    Projection,
    /// What a run did.
    Note,
    /// Rows of a partition.
    Data,
}

/// One file that is missing or not what was written.
#[derive(Clone, Debug, Serialize)]
pub struct Damage {
    /// Path below the lake's root.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Its table, for rows.
    pub table: Option<TableId>,
    /// Its partition, for rows.
    pub partition: Option<PartitionKey>,
    /// Who needs it, for rows.
    pub cause: Option<Cause>,
    /// The versions that hold it, for rows.
    pub versions: Vec<Span>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
    /// The checkpoints that name it and are of no use without it, for cells of checkpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// The results that were kept in it.
    #[serde(skip)]
    pub cells: Vec<Arc<Cell>>,
}

/// What was looked at and what is wrong.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// Whether data files were read.
    pub deep: bool,
    /// Versions and records of results that were read.
    pub records: u64,
    /// Data files that were looked at.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// What is wrong, records before rows.
    pub damages: Vec<Damage>,
}

impl Lake {
    /// Looks at every version of every branch, every recorded result, and every data file that a kept version or a
    /// recorded result refers to. Nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`]; [`StoreError::Io`] if a folder cannot be listed. What is damaged is no error.
    pub fn verify(
        &self,
        request: &VerifyRequest,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Verification, StoreError> {
        let (notes, wrong) = self.check_notes()?;
        let mut uses = Uses::gather(self)?;
        uses.records += notes;
        uses.unreadable.extend(wrong);
        if request.deep && request.at.is_none() {
            uses.unreadable.extend(self.check_delta()?);
        }
        let only = request.at.map(|at| self.at(at)).transpose()?;
        let wanted: Vec<&Use> = uses
            .files
            .values()
            .filter(|used| only.as_ref().is_none_or(|only| holds(only, used)))
            .collect();
        // Listed after the records were read: a file that a record names was written before it.
        let there = self.door().list_all("data")?;
        let there: BTreeMap<&str, &Stored> = there
            .iter()
            .map(|file| (file.path.as_str(), file))
            .collect();
        let bytes = wanted.iter().map(|used| used.file.bytes).sum();
        let (files_done, bytes_done) = (AtomicU64::new(0), AtomicU64::new(0));
        let problems = workers::map(&wanted, |used| {
            let found = there.get(used.file.path.as_str()).map(|file| file.bytes);
            let problem = self.problem(used, found, request.deep);
            let done = bytes_done.fetch_add(used.file.bytes, Ordering::Relaxed);
            progress(Progress {
                files: files_done.fetch_add(1, Ordering::Relaxed) + 1,
                files_total: wanted.len() as u64,
                bytes: done + used.file.bytes,
                bytes_total: bytes,
            });
            problem
        });
        let mut damages: Vec<Damage> = uses.unreadable.iter().map(record_damage).collect();
        let damaged = wanted.iter().zip(problems);
        damages.extend(damaged.filter_map(|(used, problem)| Some(data_damage(used, problem?))));
        Ok(Verification {
            deep: request.deep,
            records: uses.records,
            files: wanted.len() as u64,
            bytes,
            damages,
        })
    }

    /// Returns what is wrong with a data file of which a listing found so many bytes.
    fn problem(&self, used: &Use, found: Option<u64>, deep: bool) -> Option<String> {
        let file = &used.file;
        match found {
            None => return Some("it is missing".to_owned()),
            Some(found) if found != file.bytes => {
                return Some(format!("it has {found} bytes, {} were written", file.bytes));
            }
            Some(_) if !deep => return None,
            Some(_) => {}
        }
        let bytes = match self.door().get(&file.path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Some("it is missing".to_owned()),
            Err(error) => return Some(error.to_string()),
        };
        let digest = Fingerprint::of(&bytes);
        if digest != file.hash {
            let (expected, found) = (file.hash.short(), digest.short());
            return Some(format!("its digest is {found}, {expected} was written"));
        }
        let cell = used.cells.first()?;
        let decoded = parquet::decode(cell, bytes, None);
        decoded.err().map(|error| error.to_string())
    }
}

fn holds(version: &crate::Snapshot, used: &Use) -> bool {
    used.cells.iter().any(|cell| {
        let held = version.cell(&cell.table, &cell.partition);
        held.is_some_and(|held| held.file.as_ref() == Some(&used.file))
    })
}

fn record_damage(record: &Unreadable) -> Damage {
    let kind = match &record.path {
        path if path.starts_with("_cells/") => FileKind::Cells,
        path if path.starts_with("_parts/") => FileKind::Parts,
        path if path.starts_with("_checks/") => FileKind::Checks,
        path if path.contains("_delta_log/") || path.starts_with("_projections/") => {
            FileKind::Projection
        }
        path if path.starts_with("_runs/") => FileKind::Note,
        path if path.contains("/checkpoints/") => FileKind::Checkpoint,
        _ if !record.holders.is_empty() => FileKind::Checkpoint,
        _ => FileKind::Log,
    };
    let problem = match &record.error {
        StoreError::Damaged { problem, .. } => problem.clone(),
        error => error.to_string(),
    };
    let advice = match kind {
        FileKind::Cells => {
            "`repair` moves it aside and records anew what is published; the rest is computed when it is needed".to_owned()
        }
        FileKind::Parts => {
            "`repair` moves it aside: only the reasons that `plan` tells are lost".to_owned()
        }
        FileKind::Checks => {
            "`repair` moves it aside: its checks are evaluated again by the next run".to_owned()
        }
        FileKind::Projection => {
            "`repair` makes it again from the log; no command of this program reads it".to_owned()
        }
        FileKind::Checkpoint if !record.holders.is_empty() => format!(
            "`repair` moves {} aside, of no use without it: the log says the same, and a later commit writes a new one",
            record.holders.join(", ")
        ),
        FileKind::Checkpoint => {
            "`repair` moves it aside: the log says the same, and a later commit writes a new one".to_owned()
        }
        _ => record.error.hint().unwrap_or_default(),
    };
    Damage {
        path: record.path.clone(),
        kind,
        table: None,
        partition: None,
        cause: None,
        versions: Vec::new(),
        problem,
        advice,
        holders: record.holders.clone(),
        cells: Vec::new(),
    }
}

fn data_damage(used: &Use, problem: String) -> Damage {
    let cell = used.cells.first();
    let advice = match used.cause {
        Cause::Cache => {
            "no version needs it: `repair` forgets the result, and a run that needs it computes it"
        }
        _ => "`repair` computes or fetches it again; or copy the lake's backup over it with `copy`",
    };
    Damage {
        path: used.file.path.clone(),
        kind: FileKind::Data,
        table: cell.map(|cell| cell.table.clone()),
        partition: cell.map(|cell| cell.partition.clone()),
        cause: Some(used.cause),
        versions: used.spans.clone(),
        problem,
        advice: advice.to_owned(),
        holders: Vec::new(),
        cells: used.cells.clone(),
    }
}
