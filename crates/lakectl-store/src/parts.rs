//! What the fingerprints of results were made of: one manifest a wave, named by its digest, and read only when somebody
//! asks why a task has to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakectl_core::{Cell, Fingerprint, Parts};
use serde::{Deserialize, Serialize};

use crate::object::{Door, Entry, FORMAT};
use crate::{StoreError, workers};

const FOLDER: &str = "_parts";
const MAGIC: &[u8; 4] = b"LKP1";
const MOST_BYTES: usize = 1 << 30;
const LEVEL: i32 = 3;
const REPAIR: &str = "move the file away: no row depends on it, only the reasons that `plan` tells of the tasks it describes";

#[derive(Serialize, Deserialize)]
struct Manifest<P> {
    format: u64,
    run: String,
    parts: P,
}

/// The parts of a wave's cells by their fingerprints.
type Wave = BTreeMap<Fingerprint, Parts>;

/// Where the cells of a run are described, by their fingerprints.
#[derive(Debug, Default)]
struct Places {
    manifests: usize,
    of: BTreeMap<Fingerprint, Arc<str>>,
}

/// What was read of manifests: where the cells of a run are described, and the manifest that was asked last.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    runs: BTreeMap<String, Places>,
    open: Option<(Arc<str>, Wave)>,
}

/// Writes the parts of some new cells. Durable after the next flush.
pub(crate) fn write(door: &Door, run: &str, cells: &[Cell]) -> Result<(), StoreError> {
    let described = cells.iter().filter(|cell| !cell.parts.is_empty());
    let parts: BTreeMap<Fingerprint, &Parts> = described
        .map(|cell| (cell.fingerprint, &cell.parts))
        .collect();
    let Some(first) = cells.first().filter(|_| !parts.is_empty()) else {
        return Ok(());
    };
    let manifest = Manifest {
        format: FORMAT,
        run: run.to_owned(),
        parts,
    };
    let failed = |e: &dyn std::fmt::Display| crate::parquet::rows_error("record", &first.table, e);
    let plain = serde_json::to_vec(&manifest).map_err(|e| failed(&e))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    bytes.extend(zstd::bulk::compress(&plain, LEVEL).map_err(|e| failed(&e))?);
    let hash = Fingerprint::of(&bytes);
    door.put_content_named(&format!("{FOLDER}/{run}/{hash}.parts"), &bytes)
}

/// Returns the parts of a cell's fingerprint; none if they are not kept any more.
pub(crate) fn find(door: &Door, shelf: &mut Shelf, cell: &Cell) -> Result<Parts, StoreError> {
    let known = shelf.runs.get(&cell.run);
    if known.is_none_or(|places| !places.of.contains_key(&cell.fingerprint)) {
        look(door, shelf, &cell.run)?;
    }
    let places = shelf.runs.get(&cell.run);
    let Some(path) = places.and_then(|places| places.of.get(&cell.fingerprint)) else {
        return Ok(Parts::new());
    };
    match &shelf.open {
        Some((open, wave)) if open == path => {
            Ok(wave.get(&cell.fingerprint).cloned().unwrap_or_default())
        }
        _ => {
            let wave = read(door, path)?.unwrap_or_default();
            let parts = wave.get(&cell.fingerprint).cloned().unwrap_or_default();
            shelf.open = Some((Arc::clone(path), wave));
            Ok(parts)
        }
    }
}

/// Looks through the manifests of a run, if there are more than at the last look.
fn look(door: &Door, shelf: &mut Shelf, run: &str) -> Result<(), StoreError> {
    let folder = format!("{FOLDER}/{run}");
    let names = door.list(&folder, Entry::File)?;
    let places = shelf.runs.entry(run.to_owned()).or_default();
    if places.manifests == names.len() {
        return Ok(());
    }
    places.manifests = names.len();
    for name in names {
        let path: Arc<str> = format!("{folder}/{name}").into();
        let wave = read(door, &path)?.unwrap_or_default();
        let described = wave.keys().map(|of| (*of, Arc::clone(&path)));
        places.of.extend(described);
        shelf.open = Some((path, wave));
    }
    Ok(())
}

/// Reads a manifest; `None` if it is gone, because nothing that is kept needs it.
fn read(door: &Door, path: &str) -> Result<Option<Wave>, StoreError> {
    let damaged = |problem: &str| StoreError::Damaged {
        path: door.full(path),
        problem: problem.to_owned(),
        repair: REPAIR,
    };
    let verified = |bytes: &[u8]| {
        if is_damaged(path, bytes) {
            return Err(damaged(
                "its content does not match its name (cut off or altered)",
            ));
        }
        decode(bytes).ok_or_else(|| damaged("it is of another make"))
    };
    door.get_verified(path, |bytes| verified(&bytes))
}

/// Reads every manifest, and returns their paths with what is wrong with those that cannot be read.
pub(crate) fn check_all(door: &Door) -> Result<Vec<(String, Option<StoreError>)>, StoreError> {
    let mut manifests = door.list_all(FOLDER)?;
    manifests.retain(|file| file.path.ends_with(".parts"));
    Ok(workers::map(&manifests, |file| {
        (file.path.clone(), read(door, &file.path).err())
    }))
}

/// Tells whether a file is a manifest whose name is not the digest of its bytes.
pub(crate) fn is_damaged(path: &str, bytes: &[u8]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let digest = name.strip_suffix(".parts");
    digest.is_some_and(|digest| digest != Fingerprint::of(bytes).to_string())
}

/// Returns the folder of the manifests of a run.
pub(crate) fn folder(run: &str) -> String {
    format!("{FOLDER}/{run}")
}

fn decode(bytes: &[u8]) -> Option<Wave> {
    let (length, packed) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let plain = zstd::bulk::decompress(packed, length.min(MOST_BYTES)).ok()?;
    let manifest: Manifest<Wave> = serde_json::from_slice(&plain).ok()?;
    Some(manifest.parts)
}
