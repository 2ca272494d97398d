//! Finding or making a lake: its profile, and what may be where it is to be.

use serde::{Deserialize, Serialize};

use crate::object::{Door, Entry, FORMAT, Put};
use crate::{LakeAddress, StoreError};

const LAKE_JSON: &str = "lake.json";
/// Files that may be in a folder before it becomes a lake.
const HARMLESS: [&str; 3] = ["README.md", ".gitkeep", ".gitignore"];

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

/// Returns the door of the lake at `address`, made if it is missing and may be.
pub(crate) fn door(address: &LakeAddress, profile: &str, mode: Open) -> Result<Door, StoreError> {
    let door = Door::at(address)?;
    admit(&door, profile, mode)?;
    Ok(door)
}

/// Makes sure that a lake of this profile is behind the door.
pub(crate) fn admit(door: &Door, profile: &str, mode: Open) -> Result<(), StoreError> {
    if check_identity(door, profile)? {
        return Ok(());
    }
    // Listed before lake.json is looked for again: what another process puts there meanwhile is then no stranger.
    let stranger = stranger(door)?;
    if check_identity(door, profile)? {
        return Ok(());
    }
    let path = door.root().to_owned();
    match (stranger, mode) {
        (Some(entry), _) => Err(StoreError::NotALake { path, entry }),
        (None, Open::Existing) => Err(StoreError::NoLake { path }),
        (None, Open::OrCreate) => create(door, profile),
    }
}

/// Returns something in the place that is not known to be harmless.
fn stranger(door: &Door) -> Result<Option<String>, StoreError> {
    let mut names = door.list("", Entry::File)?;
    names.extend(door.list("", Entry::Folder)?);
    names.sort_unstable();
    Ok(names
        .into_iter()
        .find(|name| !HARMLESS.contains(&name.as_str())))
}

/// Returns the profile of the lake behind the door, or `None` if there is no lake.
pub(crate) fn profile(door: &Door) -> Result<Option<String>, StoreError> {
    Ok(identity(door)?.map(|identity| identity.profile))
}

/// Returns false if there is no lake.json, an error if it says that this lake is not for us.
fn check_identity(door: &Door, profile: &str) -> Result<bool, StoreError> {
    match identity(door)? {
        None => Ok(false),
        Some(found) if found.profile == profile => Ok(true),
        Some(found) => Err(StoreError::OtherProfile {
            path: door.root().to_owned(),
            lake: found.profile,
            run: profile.to_owned(),
        }),
    }
}

fn identity(door: &Door) -> Result<Option<Identity>, StoreError> {
    let path = door.full(LAKE_JSON);
    let read = |bytes: Vec<u8>| {
        serde_json::from_slice::<Identity>(&bytes).map_err(|e| StoreError::Damaged {
            path: path.clone(),
            problem: e.to_string(),
            repair: "restore it: it holds {\"format\":2,\"profile\":\"<profile>\"}",
        })
    };
    let Some(found) = door.get_verified(LAKE_JSON, read)? else {
        return Ok(None);
    };
    if found.format > FORMAT {
        return Err(StoreError::NewerFormat {
            path,
            found: found.format,
            known: FORMAT,
        });
    }
    Ok(Some(found))
}

/// Makes the place ready and puts lake.json; another process may do the same at the same time.
fn create(door: &Door, profile: &str) -> Result<(), StoreError> {
    door.prepare()?;
    let identity = Identity {
        format: FORMAT,
        profile: profile.to_owned(),
    };
    let text = serde_json::json!(identity).to_string() + "\n";
    if door.put_new(LAKE_JSON, text.as_bytes())? == Put::Created {
        door.prove(LAKE_JSON, text.as_bytes())?;
    }
    match check_identity(door, profile)? {
        true => Ok(()),
        false => Err(StoreError::NoLake {
            path: door.root().to_owned(),
        }),
    }
}
