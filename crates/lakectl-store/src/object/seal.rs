//! Records that carry their digest.

use std::path::Path;

use lakectl_core::Fingerprint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The newest format of records that this program reads, and the one it writes.
pub(crate) const FORMAT: u64 = 2;
const TRAILER_BYTES: usize = 79;

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn trailer(id: Fingerprint) -> String {
    format!("\n{{\"blake3\":\"{id}\"}}\n")
}

/// Writes a record as one line of JSON and a second line with its digest, which is returned too.
///
/// The record's first field must be `format`.
pub(crate) fn seal(record: &impl Serialize) -> Result<(Vec<u8>, Fingerprint), serde_json::Error> {
    let mut bytes = serde_json::to_vec(record)?;
    let id = Fingerprint::of(&bytes);
    bytes.extend_from_slice(trailer(id).as_bytes());
    Ok((bytes, id))
}

/// Reads what [`seal`] wrote and returns its digest; any change of any byte is an error.
pub(crate) fn unseal<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    repair: &'static str,
) -> Result<(T, Fingerprint), StoreError> {
    let damaged = |problem: String| StoreError::Damaged {
        path: path.to_owned(),
        problem,
        repair,
    };
    let split = bytes.len().saturating_sub(TRAILER_BYTES);
    let (payload, end) = bytes.split_at(split);
    let id = Fingerprint::of(payload);
    if end != trailer(id).as_bytes() {
        return Err(damaged(
            "its content does not match its digest (cut off or altered)".to_owned(),
        ));
    }
    let known = |format: u64| payload.starts_with(format!("{{\"format\":{format},").as_bytes());
    if !(1..=FORMAT).rev().any(known) {
        let found: FormatOnly =
            serde_json::from_slice(payload).map_err(|e| damaged(e.to_string()))?;
        return Err(StoreError::NewerFormat {
            path: path.to_owned(),
            found: found.format,
            known: FORMAT,
        });
    }
    let record = serde_json::from_slice(payload).map_err(|e| damaged(e.to_string()))?;
    Ok((record, id))
}
