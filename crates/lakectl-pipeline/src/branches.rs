//! What a person does to the history of a lake: merging branches, going back.

use std::sync::Arc;

use lakectl_core::{Cell, TableId, TaskKey};
use lakectl_store::{Lake, Merge, MergeConflict, Signed, Snapshot, StoreError, VersionRef};

use crate::again::Sides;
use crate::{PipelineError, Workbench};

/// How often a merge or rollback is planned again because a run committed in between.
const ATTEMPTS: u32 = 100;

/// What a merge would do, and the raw partitions of which both sides' documents are kept.
#[derive(Clone, Debug)]
pub struct Merging {
    /// The merge; what is in `joined` is not in it.
    pub merge: Merge,
    /// Raw partitions that both sides have added documents to.
    pub joined: Vec<TaskKey>,
    /// By partition: what both began with, and what each has.
    sides: Vec<[Option<Arc<Cell>>; 3]>,
}

impl Workbench {
    /// Says what merging a branch would do.
    ///
    /// # Errors
    /// [`PipelineError::Store`] if there is no such branch, or the lake cannot be read.
    pub fn plan_merge(&self, into: &Lake, branch: &str) -> Result<Merging, PipelineError> {
        let mut merge = into.plan_merge(branch)?;
        let (mut joined, mut sides) = (Vec::new(), Vec::new());
        merge.conflicts.retain(|conflict| match conflict {
            MergeConflict::Partition {
                task,
                base,
                into: Some(into),
                from: Some(from),
            } if self.keeps_documents(&task.table) => {
                joined.push(task.clone());
                sides.push([base.clone(), Some(into.clone()), Some(from.clone())]);
                false
            }
            _ => true,
        });
        Ok(Merging {
            merge,
            joined,
            sides,
        })
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
    ) -> Result<(Merging, Snapshot), PipelineError> {
        settled(|| {
            let mut merging = self.plan_merge(into, branch)?;
            if merging.merge.conflicts.is_empty() {
                for sides in &merging.sides {
                    let [base, Some(ours), Some(theirs)] = sides else {
                        continue;
                    };
                    let base = base.as_deref();
                    let sides = Sides { base, ours, theirs };
                    let cell = self.join(into, &sides, &signed.run)?;
                    merging.merge.cells.push(Arc::new(cell));
                }
            }
            let version = into.merge(&merging.merge, signed)?;
            Ok((merging, version))
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
