//! What commands remember between runs to be quicker. Losing a memo costs time and nothing else, so one that is damaged is
//! as good as none.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::object::{Door, FORMAT, seal, unseal};

const FOLDER: &str = "_memo";

#[derive(serde::Serialize, serde::Deserialize)]
struct Memo<T> {
    format: u64,
    memo: T,
}

fn path_of(name: &str) -> String {
    format!("{FOLDER}/{name}.json")
}

/// Returns a memo that is whole.
pub(crate) fn get<T: DeserializeOwned>(door: &Door, name: &str) -> Result<Option<T>, StoreError> {
    let path = path_of(name);
    let bytes = door.get(&path)?;
    let memo = bytes.and_then(|bytes| unseal::<Memo<T>>(&door.full(&path), &bytes, "").ok());
    Ok(memo.map(|(memo, _)| memo.memo))
}

/// Replaces a memo.
pub(crate) fn put<T: Serialize>(door: &Door, name: &str, memo: &T) -> Result<(), StoreError> {
    let format = FORMAT;
    match seal(&Memo { format, memo }) {
        Ok((bytes, _)) => door.put_content_named(&path_of(name), &bytes),
        // What JSON cannot say is not remembered.
        Err(_) => Ok(()),
    }
}
