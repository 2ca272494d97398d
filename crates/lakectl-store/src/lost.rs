//! The newest versions gone: a log that ends too early looks whole, so what knows how far it went is asked.

use std::collections::BTreeMap;

use crate::branch::MAIN;
use crate::log::Log;
use crate::uses::Unreadable;
use crate::{Lake, StoreError, checkpoint, note, versions};

const REPAIR: &str = "restore it from a copy of the lake; without one, run again: what the lost run computed is recorded and is published anew, and `gc` waits until then. After a log was cut on purpose, move the notes of the lost versions out of `_runs` and call `lakectl project --rebuild`";

/// The newest version that somebody knows of a branch, and who that is.
type Known = BTreeMap<String, (u64, String)>;

impl Lake {
    /// Makes sure that every branch still has the versions that runs and projections have seen.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the first version that is gone.
    pub fn check_newest(&self) -> Result<(), StoreError> {
        self.check_by(usize::MAX)
    }

    /// As [`Lake::check_newest`], by the newest note only: cheap enough for every run.
    ///
    /// # Errors
    /// As [`Lake::check_newest`].
    pub fn check_last_run(&self) -> Result<(), StoreError> {
        self.check_by(1)
    }

    fn check_by(&self, notes: usize) -> Result<(), StoreError> {
        let mut known = self.followed()?;
        for (_, left) in note::left(self.door(), notes)? {
            // A note that is damaged is reported by whoever reads it.
            learn(&mut known, left.ok().flatten());
        }
        self.gone(known)?.map_or(Ok(()), |gone| Err(gone.error))
    }

    /// Reads every note, and returns their number, those that cannot be read and the first version that is gone.
    pub(crate) fn check_notes(&self) -> Result<(u64, Vec<Unreadable>), StoreError> {
        let mut known = self.followed()?;
        let (mut records, mut wrong) = (0, Vec::new());
        for (path, left) in note::left(self.door(), usize::MAX)? {
            records += 1;
            match left {
                Ok(left) => learn(&mut known, left),
                Err(error) => wrong.push(Unreadable::new(path, error)),
            }
        }
        wrong.extend(self.gone(known)?);
        Ok((records, wrong))
    }

    /// What is known without notes: checkpoints and projections follow the version that they are of.
    fn followed(&self) -> Result<Known, StoreError> {
        let mut known = Known::new();
        for branch in versions::branches(self.door())? {
            if let Some(version) = checkpoint::last(self.log_of(&branch))? {
                known.insert(branch, (version, "there is a checkpoint of".to_owned()));
            }
        }
        if let Some(version) = self.projected_version()? {
            let main = known.entry(MAIN.to_owned()).or_default();
            if version > main.0 {
                *main = (version, "the projections for other engines hold".to_owned());
            }
        }
        Ok(known)
    }

    fn log_of<'a>(&'a self, branch: &'a str) -> Log<'a> {
        Log {
            door: self.door(),
            branch,
        }
    }

    /// Looks for the end of each log, after what is known of it was read.
    fn gone(&self, known: Known) -> Result<Option<Unreadable>, StoreError> {
        for (branch, (version, who)) in known {
            let last = versions::newest(self.door(), &branch)?;
            if version > last {
                let path = self.log_of(&branch).path_of(last + 1);
                let error = StoreError::Damaged {
                    path: self.door().full(&path),
                    problem: format!(
                        "it is missing: {who} version {version}, and the log ends with version {last}"
                    ),
                    repair: REPAIR,
                };
                return Ok(Some(Unreadable::new(path, error)));
            }
        }
        Ok(None)
    }
}

fn learn(known: &mut Known, left: Option<note::Left>) {
    let Some(left) = left else {
        return;
    };
    let known = known.entry(left.branch).or_default();
    if left.version >= known.0 {
        *known = (left.version, format!("run {} ended with", left.run));
    }
}
