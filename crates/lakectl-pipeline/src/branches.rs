//! What a person does to the history of a lake: merging branches, going back.

use lakectl_core::TableId;
use lakectl_store::{Lake, Merge, Signed, Snapshot, StoreError, VersionRef};

use crate::{PipelineError, Workbench};

/// How often a merge or rollback is planned again because a run committed in between.
const ATTEMPTS: u32 = 100;

impl Workbench {
    /// Says what merging a branch would do.
    ///
    /// # Errors
    /// [`PipelineError::Store`] if there is no such branch, or the lake cannot be read.
    pub fn plan_merge(&self, into: &Lake, branch: &str) -> Result<Merge, PipelineError> {
        Ok(into.plan_merge(branch)?)
    }

    /// Merges a branch, and returns what was done and the version that it made.
    ///
    /// # Errors
    /// [`PipelineError::Store`] with what both sides changed to different results; nothing is written then.
    pub fn merge(
        &self,
        into: &Lake,
        branch: &str,
        signed: &Signed,
    ) -> Result<(Merge, Snapshot), PipelineError> {
        settled(|| {
            let merge = self.plan_merge(into, branch)?;
            let version = into.merge(&merge, signed)?;
            Ok((merge, version))
        })
    }

    /// Goes back to an earlier version; raw tables stay as they are.
    ///
    /// # Errors
    /// [`PipelineError::Store`] if there is no such version.
    pub fn rollback(
        &self,
        lake: &Lake,
        to: VersionRef,
        signed: &Signed,
    ) -> Result<Snapshot, PipelineError> {
        let raw = |table: &TableId| table.schema() == "raw";
        settled(|| Ok(lake.rollback(to, &raw, signed)?))
    }
}

/// Tries again while others commit in between.
fn settled<T>(attempt: impl Fn() -> Result<T, PipelineError>) -> Result<T, PipelineError> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(PipelineError::Store(StoreError::HeadMoved { .. })) => {}
            result => return result,
        }
    }
    attempt()
}
