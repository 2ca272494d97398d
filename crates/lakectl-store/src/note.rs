//! Notes that runs leave: what they did, what failed and why. They are for people; nothing is computed from them.

use crate::StoreError;
use crate::cell::check_run;
use crate::object::{Door, Entry};

const FOLDER: &str = "_runs";

/// Keeps the note of a run; the first one of a run stays.
pub(crate) fn put(door: &Door, run: &str, text: &[u8]) -> Result<(), StoreError> {
    check_run(run)?;
    door.put_new(&format!("{FOLDER}/{run}.json"), text)
        .map(|_| ())
}

/// Returns the newest notes, by the order of the runs' names, newest first.
pub(crate) fn newest(door: &Door, most: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let names = door.list(FOLDER, Entry::File)?;
    let mut notes = Vec::new();
    for name in names.iter().rev().take(most) {
        let path = format!("{FOLDER}/{name}");
        if let (Some(run), Some(text)) = (name.strip_suffix(".json"), door.get(&path)?) {
            notes.push((run.to_owned(), text));
        }
    }
    Ok(notes)
}
