//! The documents of a damaged raw partition: what can still be read of its file, and what the source gives again.
//!
//! Raw rows are computed from nothing, so what comes back has to be proved: each document by its id, and all of them
//! together by the digest of the rows that were recorded.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use lakectl_core::{Cell, TableId};
use lakectl_sources::Document;
use lakectl_store::{Lake, Snapshot, StoreError, WriteSpec, rows_hash, schema_of};

use crate::PipelineError;
use crate::assembly::BoundDataset;
use crate::harvest::{self, RAW_CONTRACT, StoredDocument};

/// A document that the partition had.
pub(crate) struct Remembered {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    sequence: Option<i64>,
}

/// Returns the documents that a raw partition is known to have had, although its file is damaged: those that the file still
/// names, or else those that rows made of them name.
///
/// # Errors
/// [`PipelineError::Store`] if the disk refuses.
pub(crate) fn remembered(
    lake: &Lake,
    base: &Snapshot,
    bound: &BoundDataset,
    cell: &Cell,
) -> Result<Vec<Remembered>, PipelineError> {
    match catalogue(lake, cell)? {
        Some(known) => Ok(known),
        None => mentioned(lake, base, bound, cell),
    }
}

/// Returns the documents that `cell` had, and writes its file again. Of those that neither the damaged file nor the source
/// has, people may have given up some: without them the rest stands, each document proved by its own id alone.
///
/// # Errors
/// [`PipelineError::Lost`] naming the documents that nobody has and nobody gave up.
pub(crate) fn recover(
    lake: &Lake,
    base: &Snapshot,
    bound: &BoundDataset,
    cell: &Cell,
    fetched: &[Document],
    given_up: Option<&BTreeSet<String>>,
    damage: &StoreError,
) -> Result<Vec<StoredDocument>, PipelineError> {
    let schema = schema_of(&RAW_CONTRACT.parse()?);
    let mut pool: BTreeMap<String, StoredDocument> = BTreeMap::new();
    for document in fetched {
        let stored = StoredDocument {
            document: document.clone(),
            sequence: 0,
        };
        pool.insert(document.id.to_string(), stored);
    }
    for stored in readable(lake, cell)? {
        pool.insert(stored.document.id.to_string(), stored);
    }
    let known = remembered(lake, base, bound, cell)?;
    let (given_up, lost): (Vec<&Remembered>, Vec<&Remembered>) = known
        .iter()
        .filter(|one| !pool.contains_key(&one.id))
        .partition(|one| given_up.is_some_and(|given_up| given_up.contains(&one.id)));
    let lost: Vec<String> = lost
        .into_iter()
        .map(|one| one.name.clone().unwrap_or_else(|| one.id.clone()))
        .collect();
    let failed = |lost: Vec<String>| PipelineError::Lost {
        table: cell.table.clone(),
        partition: cell.partition.clone(),
        problem: damage.to_string(),
        lost,
        of: cell.rows,
    };
    if !lost.is_empty() {
        return Err(failed(lost));
    }
    if !given_up.is_empty() {
        return Ok(left(&known, &pool));
    }
    for found in [left(&known, &pool), pool.values().cloned().collect()] {
        let rows = harvest::rows(found.clone(), &schema)?;
        let rows = [rows];
        if rows_hash(&cell.table, &cell.partition, &rows, &schema)? == cell.rows_hash {
            let documents = found.iter().map(|one| &one.document);
            let spec = WriteSpec {
                compress: harvest::is_compressible(documents),
                ..WriteSpec::default()
            };
            lake.write_rows(&cell.table, &cell.partition, &rows, &schema, &spec)?;
            return Ok(found);
        }
    }
    Err(failed(vec![format!(
        "at least one, which nothing names any more (the source gives {} documents)",
        fetched.len()
    )]))
}

/// The documents that are known to have been there and can be had.
fn left(known: &[Remembered], pool: &BTreeMap<String, StoredDocument>) -> Vec<StoredDocument> {
    let remembered = known.iter().filter_map(|one| {
        let mut found = pool.get(&one.id)?.clone();
        found.sequence = one.sequence.unwrap_or(found.sequence);
        if let Some(name) = &one.name {
            found.document.name.clone_from(name);
        }
        Some(found)
    });
    remembered.collect()
}

/// Returns the documents of a damaged file whose bytes are those that their ids name.
fn readable(lake: &Lake, cell: &Cell) -> Result<Vec<StoredDocument>, PipelineError> {
    let mut found = Vec::new();
    for batch in lake.salvage(cell, None)? {
        let Some(ids) = batch.column_by_name("document_id") else {
            continue;
        };
        let ids = ids.as_string::<i32>();
        let stored = harvest::stored(std::slice::from_ref(&batch))?;
        let proved = stored.into_iter().enumerate().filter(|(row, one)| {
            ids.is_valid(*row) && ids.value(*row) == one.document.id.to_string()
        });
        found.extend(proved.map(|(_, one)| one));
    }
    Ok(found)
}

/// Returns what a damaged file says it had, if that part of it can be read to the last row.
fn catalogue(lake: &Lake, cell: &Cell) -> Result<Option<Vec<Remembered>>, PipelineError> {
    let columns = ["document_id", "name", "sequence"].map(str::to_owned);
    let mut known = Vec::new();
    for batch in lake.salvage(cell, Some(&columns))? {
        let (ids, names) = (
            batch.column(0).as_string::<i32>(),
            batch.column(1).as_string::<i32>(),
        );
        let sequences = batch.column(2).as_primitive::<Int64Type>();
        known.extend((0..batch.num_rows()).map(|row| Remembered {
            id: ids.value(row).to_owned(),
            name: Some(names.value(row).to_owned()),
            sequence: Some(sequences.value(row)),
        }));
    }
    Ok((known.len() as u64 == cell.rows).then_some(known))
}

/// Returns the documents that typed and rejected rows of the partition name.
fn mentioned(
    lake: &Lake,
    base: &Snapshot,
    bound: &BoundDataset,
    cell: &Cell,
) -> Result<Vec<Remembered>, PipelineError> {
    let mut names: BTreeMap<String, Option<String>> = BTreeMap::new();
    let ids = |table: &TableId| -> Result<BTreeSet<(String, Option<String>)>, PipelineError> {
        let Some(cell) = base.cell(table, &cell.partition) else {
            return Ok(BTreeSet::new());
        };
        let mut ids = BTreeSet::new();
        let rows = match lake.read(cell, None) {
            // Then they name nothing.
            Err(error) if error.is_damage() => Vec::new(),
            rows => rows?,
        };
        for batch in rows {
            let column = |name: &str| batch.column_by_name(name).map(|c| c.as_string::<i32>());
            let (Some(found), named) = (column("document_id"), column("document")) else {
                continue;
            };
            ids.extend((0..batch.num_rows()).map(|row| {
                let name = named.map(|named| named.value(row).to_owned());
                (found.value(row).to_owned(), name)
            }));
        }
        Ok(ids)
    };
    for table in [&bound.norm, &bound.quarantine] {
        for (id, name) in ids(table)? {
            let known = names.entry(id).or_default();
            *known = known.take().or(name);
        }
    }
    let known = names.into_iter().map(|(id, name)| Remembered {
        id,
        // Rejects show the document's name; it is the one that it was stored under.
        name,
        sequence: None,
    });
    Ok(known.collect())
}
