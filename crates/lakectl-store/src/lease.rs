//! Leases: a run says that it is alive, so that collection leaves alone what it has written and not yet published.
//!
//! `_runs/leases/<run>.begin.json` appears when the run begins, and a numbered file each time it renews. All ages are
//! told by the clock of the store: that of whoever runs may be wrong. There is no folder for each run, which would stay.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakectl_core::UtcTime;

use crate::cell::check_run;
use crate::object::{Door, lock};
use crate::{Lake, StoreError};

pub(crate) const FOLDER: &str = "_runs/leases";
const BEGIN: &str = "begin";
/// A run that has not renewed its lease for so long counts as dead.
const EXPIRY: Duration = Duration::from_secs(15 * 60);

/// The sign of life of one run. Given back when it is dropped.
#[derive(Debug)]
pub struct Lease {
    lake: Arc<Lake>,
    run: String,
    renewals: Mutex<u64>,
}

impl Lease {
    /// How often to renew.
    pub const RENEWAL: Duration = Duration::from_secs(60);

    /// Announces a run, before it writes its first file. A run of that name that died left a lease: it is continued.
    ///
    /// # Errors
    /// [`StoreError::RunName`]; [`StoreError::Io`] if the disk refuses.
    pub fn take(lake: Arc<Lake>, run: &str) -> Result<Self, StoreError> {
        check_run(run)?;
        put(lake.door(), run, BEGIN)?;
        Ok(Self {
            lake,
            run: run.to_owned(),
            renewals: Mutex::new(0),
        })
    }

    /// Says that the run is alive.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if collection has taken the run for dead; [`StoreError::Io`] if the disk refuses.
    pub fn renew(&self) -> Result<(), StoreError> {
        let mut renewals = lock(&self.renewals);
        let (door, former) = (self.lake.door(), *renewals);
        *renewals += 1;
        put(door, &self.run, &format!("{:06}", *renewals))?;
        if former > 0 {
            door.delete(&path(&self.run, &format!("{former:06}")))?;
        }
        match door.size(&path(&self.run, BEGIN))? {
            Some(_) => Ok(()),
            None => Err(StoreError::LeaseLost {
                run: self.run.clone(),
            }),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What cannot be removed now expires.
        let _ = end(self.lake.door(), &self.run);
    }
}

/// What is known of a run that has a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alive {
    /// When it began.
    pub(crate) since: UtcTime,
    /// When it last renewed.
    pub(crate) seen: UtcTime,
}

impl Alive {
    /// Tells whether the run counts as dead.
    pub(crate) fn is_stale(&self, now: UtcTime) -> bool {
        now.micros() - self.seen.micros() > EXPIRY.as_micros() as i64
    }
}

/// Returns the leases by their runs.
pub(crate) fn all(door: &Door) -> Result<BTreeMap<String, Alive>, StoreError> {
    let mut leases: BTreeMap<String, Alive> = BTreeMap::new();
    for file in door.list_all(FOLDER)? {
        let Some(run) = run_of(&file.path) else {
            continue;
        };
        let alive = leases.entry(run.to_owned()).or_insert(Alive {
            since: file.modified,
            seen: file.modified,
        });
        alive.since = alive.since.min(file.modified);
        alive.seen = alive.seen.max(file.modified);
    }
    Ok(leases)
}

/// Takes a run's lease away, its beginning first: from then on it can neither renew nor commit.
pub(crate) fn end(door: &Door, run: &str) -> Result<(), StoreError> {
    door.delete(&path(run, BEGIN))?;
    let left = door.list_all(FOLDER)?.into_iter().map(|file| file.path);
    let left: Vec<String> = left.filter(|path| run_of(path) == Some(run)).collect();
    door.delete_all(&left)
}

fn path(run: &str, sign: &str) -> String {
    format!("{FOLDER}/{run}.{sign}.json")
}

/// The run whose sign of life a file is. Earlier versions of this program have a folder for each run.
fn run_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
    match inside.split_once('/') {
        Some((run, _)) => Some(run),
        None => Some(inside.strip_suffix(".json")?.rsplit_once('.')?.0),
    }
}

fn put(door: &Door, run: &str, name: &str) -> Result<(), StoreError> {
    let text = format!("{{\"run\":\"{run}\",\"process\":{}}}\n", std::process::id());
    door.put_new(&path(run, name), text.as_bytes()).map(|_| ())
}
