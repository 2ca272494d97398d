//! Finding or making a lake: its address, its profile, and what may be in its folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::object::{Door, FORMAT, TEMPORARY, make_folder};

const LAKE_JSON: &str = "lake.json";
/// Files that may be in a folder before it becomes a lake.
const HARMLESS: [&str; 3] = ["README.md", ".gitkeep", ".gitignore"];

/// Where a lake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeAddress {
    /// A local folder.
    Folder(PathBuf),
}

impl LakeAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// [`StoreError::ObjectStore`] for `s3://bucket/prefix` and every other `scheme://`.
    pub fn parse(address: &str) -> Result<Self, StoreError> {
        if address.contains("://") {
            return Err(StoreError::ObjectStore {
                address: address.to_owned(),
            });
        }
        Ok(Self::Folder(PathBuf::from(address)))
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        let Self::Folder(path) = self;
        path
    }
}

/// Whether a lake may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// The lake must exist; nothing is written.
    Existing,
    /// The lake is made if there is none.
    OrCreate,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    format: u64,
    profile: String,
}

/// Returns the door of the lake in `root`, made if it is missing and may be.
pub(crate) fn door(root: &Path, profile: &str, mode: Open) -> Result<Door, StoreError> {
    let root = std::path::absolute(root).map_err(|e| StoreError::io("find", root, e))?;
    // Listed before lake.json is looked for: what another process puts there meanwhile is then no stranger.
    let stranger = stranger(&root)?;
    let door = Door::new(root.clone());
    if !check_identity(&door, profile)? {
        if let Some(entry) = stranger {
            return Err(StoreError::NotALake { path: root, entry });
        }
        if mode == Open::Existing {
            return Err(StoreError::NoLake { path: root });
        }
        create(&door, profile)?;
    }
    Ok(door)
}

/// Returns something in the folder that is not known to be harmless.
fn stranger(root: &Path) -> Result<Option<String>, StoreError> {
    let failed = |e| StoreError::io("list", root, e);
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(
            entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort_unstable();
    let harmless = |name: &String| HARMLESS.contains(&name.as_str()) || name.starts_with(TEMPORARY);
    Ok(names.into_iter().find(|name| !harmless(name)))
}

/// Returns false if there is no lake.json, an error if it says that this lake is not for us.
fn check_identity(door: &Door, profile: &str) -> Result<bool, StoreError> {
    let Some(bytes) = door.get(LAKE_JSON)? else {
        return Ok(false);
    };
    let path = door.full(LAKE_JSON);
    let found: Identity = serde_json::from_slice(&bytes).map_err(|e| StoreError::Damaged {
        path: path.clone(),
        problem: e.to_string(),
        repair: "restore it: it holds {\"format\":2,\"profile\":\"<profile>\"}",
    })?;
    if found.format > FORMAT {
        return Err(StoreError::NewerFormat {
            path,
            found: found.format,
            known: FORMAT,
        });
    }
    if found.profile != profile {
        return Err(StoreError::OtherProfile {
            path: door.root().to_owned(),
            lake: found.profile,
            run: profile.to_owned(),
        });
    }
    Ok(true)
}

/// Makes the folder, its parent if need be, and lake.json; another process may do the same at the same time.
fn create(door: &Door, profile: &str) -> Result<(), StoreError> {
    if let Some(parent) = door.root().parent() {
        make_folder(parent)?;
    }
    make_folder(door.root())?;
    let identity = Identity {
        format: FORMAT,
        profile: profile.to_owned(),
    };
    let text = serde_json::json!(identity).to_string() + "\n";
    door.put_new(LAKE_JSON, text.as_bytes())?;
    check_identity(door, profile).map(|_| ())
}
