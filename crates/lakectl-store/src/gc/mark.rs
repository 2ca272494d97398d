//! Marking: what every kept version, branch and recent result uses, and how old everything is.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::UtcTime;

use super::{GcRequest, Retention};
use crate::object::Stored;
use crate::uses::{Use, Uses};
use crate::{Lake, Snapshot, StoreError, lease};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// A condemned name whose file is gone may be used again after so many days: nobody who saw it condemned is still at work.
const FORGET_DAYS: i64 = 7;

/// What is known when everything is marked.
pub(super) struct Marked {
    pub(super) now: UtcTime,
    pub(super) files: Vec<Stored>,
    pub(super) uses: Uses,
    /// By branch: the version up to which the log was read.
    pub(super) heads: BTreeMap<String, u64>,
    /// By branch: the first version to keep.
    pub(super) oldest: BTreeMap<String, u64>,
    /// Files older than this belong to no live run.
    pub(super) horizon: UtcTime,
    pub(super) stale: Vec<String>,
}

impl Lake {
    pub(super) fn mark(&self, request: &GcRequest<'_>) -> Result<Marked, StoreError> {
        let door = self.door();
        // What only lost versions hold looks like garbage.
        self.check_newest()?;
        let leases = lease::all(door)?;
        let now = leases
            .get(&request.run)
            .map_or(request.now, |own| own.since);
        let (stale, live): (Vec<_>, Vec<_>) = leases
            .into_iter()
            .partition(|(_, alive)| alive.is_stale(now));
        let young = i64::try_from(request.young.as_micros()).unwrap_or(i64::MAX);
        let horizon = live
            .iter()
            .map(|(_, alive)| alive.since)
            .chain([UtcTime::from_micros(now.micros().saturating_sub(young))])
            .min()
            .unwrap_or(now);
        // Listed before the records are read: whatever is written from here on is not among the candidates.
        let files = door.list_all("")?;
        let branches = self.branches()?;
        let heads: BTreeMap<String, u64> = branches
            .into_iter()
            .map(|branch| (branch.name, branch.version))
            .collect();
        let mut oldest = BTreeMap::new();
        for branch in heads.keys() {
            let first = self.beside(branch).first_kept(&request.keep, now, &files)?;
            oldest.insert(branch.clone(), first);
        }
        Ok(Marked {
            now,
            uses: Uses::strict(self)?,
            files,
            heads,
            oldest,
            horizon,
            stale: stale.into_iter().map(|(run, _)| run).collect(),
        })
    }

    /// Returns the first version of this branch's own log that is young enough or among the newest.
    fn first_kept(
        &self,
        keep: &Retention,
        now: UtcTime,
        files: &[Stored],
    ) -> Result<u64, StoreError> {
        let log = self.files();
        let known = self.oldest()?;
        let Some(span) = log.span()? else {
            return Ok(known);
        };
        let since = now.micros() - i64::from(keep.days) * MICROS_PER_DAY;
        let (mut first, mut counted) = (span.last, 0);
        for version in (known.max(span.first)..=span.last).rev() {
            let written = find(files, &log.path_of(version));
            // A version that came after the listing is young.
            let young = written.is_none_or(|file| file.modified.micros() >= since);
            if !young && counted >= keep.versions.max(1) {
                break;
            }
            first = version;
            let (commit, _) = log.read(version)?;
            counted += u64::from(!commit.is_collection());
        }
        Ok(first.max(known))
    }
}

impl Marked {
    /// Tells whether a version that is kept or a recent result needs a file.
    pub(super) fn needs(&self, used: &Use, keep: &Retention) -> bool {
        let kept = |branch: &str| self.oldest.get(branch).copied().unwrap_or(1);
        let held = used
            .spans
            .iter()
            .any(|span| span.last >= kept(&span.branch));
        held || used.recorded.is_some_and(|time| time >= self.recent(keep))
    }

    fn recent(&self, keep: &Retention) -> UtcTime {
        UtcTime::from_micros(self.now.micros() - i64::from(keep.cache_days) * MICROS_PER_DAY)
    }

    pub(super) fn why(&self, used: Option<&Use>, keep: &Retention) -> String {
        let Some(used) = used else {
            return "nothing refers to it".to_owned();
        };
        match used.spans.as_slice() {
            [] => format!(
                "no version holds it, and its result is older than {} days",
                keep.cache_days
            ),
            spans => {
                let spans: Vec<String> = spans.iter().map(ToString::to_string).collect();
                format!(
                    "only held by {}: older than {} days and not among the newest {}",
                    spans.join(" and "),
                    keep.days,
                    keep.versions.max(1)
                )
            }
        }
    }

    /// Returns the branches of which versions lose files, with the first version that keeps its own.
    pub(super) fn expired(&self, condemned: &BTreeSet<String>) -> BTreeMap<String, u64> {
        let used = condemned
            .iter()
            .filter_map(|name| self.uses.files.get(name));
        let branches = used.flat_map(|used| used.spans.iter().map(|span| span.branch.as_str()));
        let branches: BTreeSet<&str> = branches.collect();
        let oldest = |branch: &str| Some((branch.to_owned(), *self.oldest.get(branch)?));
        branches.into_iter().filter_map(oldest).collect()
    }

    /// Returns names that a branch condemned so long ago that they may be used again: their files are gone.
    pub(super) fn forgiven(
        &self,
        lake: &Lake,
        snapshot: &Snapshot,
        condemned: &BTreeSet<String>,
    ) -> Vec<String> {
        let since = self.now.micros() - FORGET_DAYS * MICROS_PER_DAY;
        let log = lake.files();
        let past = |(name, version): &(&String, &u64)| {
            let log = find(&self.files, &log.path_of(**version));
            log.is_some_and(|log| log.modified.micros() < since)
                && find(&self.files, name).is_none()
                && !condemned.contains(*name)
                && !self.uses.files.contains_key(*name)
        };
        let past = snapshot.condemned.iter().filter(past);
        past.map(|(name, _)| name.clone()).collect()
    }
}

/// Finds a file in a listing.
fn find<'f>(files: &'f [Stored], path: &str) -> Option<&'f Stored> {
    let at = files.binary_search_by(|file| file.path.as_str().cmp(path));
    at.ok().map(|at| &files[at])
}
