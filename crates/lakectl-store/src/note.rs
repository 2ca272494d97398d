//! Notes that runs leave: what they did, what failed and why. They are for people; nothing is computed from them. Each
//! also says which version its run left behind, so that the loss of the newest ones can be noticed.

use lakectl_core::Fingerprint;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::cell::check_run;
use crate::object::{Door, Entry, FORMAT, seal, unseal};

const FOLDER: &str = "_runs";
const REPAIR: &str =
    "`lakectl repair` moves it aside: no row depends on it, and only what its run did is lost";
/// How a note began before notes carried their digest.
const BARE: &[u8] = b"{\"run\":";

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    format: u64,
    run: String,
    branch: String,
    version: u64,
    note: T,
}

/// What a note says of the lake.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) run: String,
    pub(crate) branch: String,
    /// The newest version when its run ended.
    pub(crate) version: u64,
}

/// The path of a note, with what it says of the lake or what is wrong with it.
pub(crate) type Witness = (String, Result<Option<Left>, StoreError>);

/// Keeps the note of a run; the first one of a run stays.
pub(crate) fn put<T: Serialize>(door: &Door, left: Left, note: &T) -> Result<(), StoreError> {
    check_run(&left.run)?;
    let path = path_of(&format!("{}.json", left.run));
    let sealed = Sealed {
        format: FORMAT,
        run: left.run,
        branch: left.branch,
        version: left.version,
        note,
    };
    let (bytes, _) = seal(&sealed).map_err(|error| StoreError::Damaged {
        path: door.full(&path),
        problem: format!("it cannot be written as JSON: {error}"),
        repair: REPAIR,
    })?;
    door.put_new(&path, &bytes).map(|_| ())
}

/// Returns the newest notes by the order of the runs' names, newest first, each with what is wrong with it if it cannot be
/// read.
pub(crate) fn newest<T: DeserializeOwned>(
    door: &Door,
    most: usize,
) -> Result<Vec<Result<T, StoreError>>, StoreError> {
    let names = door.list(FOLDER, Entry::File)?;
    let mut notes = Vec::new();
    for name in names.iter().rev().take(most) {
        notes.extend(read(door, name)?.map(|read| read.map(|(note, _)| note)));
    }
    Ok(notes)
}

/// Returns what the newest notes say of the lake, by their paths.
pub(crate) fn left(door: &Door, most: usize) -> Result<Vec<Witness>, StoreError> {
    let names = door.list(FOLDER, Entry::File)?;
    let mut all = Vec::new();
    for name in names.iter().rev().take(most) {
        let read = read::<IgnoredAny>(door, name)?;
        all.extend(read.map(|read| (path_of(name), read.map(|(_, left)| left))));
    }
    Ok(all)
}

/// Tells whether a file is a note that cannot be read.
pub(crate) fn is_damaged(door: &Door, path: &str, bytes: &[u8]) -> bool {
    let name = path.strip_prefix(FOLDER).unwrap_or_default();
    let name = name.trim_start_matches('/');
    path.starts_with(FOLDER) && open::<IgnoredAny>(door, name, bytes).is_err()
}

fn path_of(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

/// A note, and what it says of the lake.
type Read<T> = Result<(T, Option<Left>), StoreError>;

/// Reads a note; `None` if it is gone since it was listed.
fn read<T: DeserializeOwned>(door: &Door, name: &str) -> Result<Option<Read<T>>, StoreError> {
    match door.get_verified(&path_of(name), |bytes| open(door, name, &bytes)) {
        Ok(read) => Ok(read.map(Ok)),
        Err(error) if error.is_damage() => Ok(Some(Err(error))),
        Err(error) => Err(error),
    }
}

fn open<T: DeserializeOwned>(door: &Door, name: &str, bytes: &[u8]) -> Read<T> {
    let path = door.full(&path_of(name));
    let damaged = |problem: String| StoreError::Damaged {
        path: path.clone(),
        problem,
        repair: REPAIR,
    };
    if bytes.starts_with(BARE) {
        let note = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        return Ok((note, None));
    }
    let (sealed, _): (Sealed<T>, Fingerprint) = unseal(&path, bytes, REPAIR)?;
    let Sealed {
        run,
        branch,
        version,
        note,
        ..
    } = sealed;
    if name.strip_suffix(".json") != Some(&run) {
        return Err(damaged(format!("it is the note of run {run}")));
    }
    let left = Left {
        run,
        branch,
        version,
    };
    Ok((note, Some(left)))
}
