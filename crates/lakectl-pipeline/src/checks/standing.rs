//! What is known to fail, asked of a lake and a clock.

use lakectl_core::{CheckRecord, UtcTime};
use lakectl_dag::Plan;
use lakectl_store::{CheckIndex, Lake, Snapshot};

use crate::checks;
use crate::workbench::RunOptions;
use crate::{CheckFailure, PipelineError, Workbench};

impl Workbench {
    /// Lists the checks that rows are known to fail, by a plan and by the clock.
    ///
    /// # Errors
    /// [`PipelineError`] if the lake cannot be read.
    pub fn check_failures(
        &self,
        lake: &Lake,
        plan: &Plan,
        now: UtcTime,
    ) -> Result<Vec<CheckFailure>, PipelineError> {
        let now = self.reference(now);
        let late = checks::freshness(&self.assembly, &lake.head()?, now, "")?;
        Ok(checks::failures(&plan.checks, &late))
    }

    /// The time that tables are held against: a calendar that ends in the past has no newer rows to give.
    fn reference(&self, now: UtcTime) -> UtcTime {
        let end = self.settings.calendar.end;
        end.map_or(now, |end| now.min(end.plus(1).start()))
    }

    /// Evaluates what depends on the clock, and records it where the answer is another one than last time.
    pub(crate) fn freshness(
        &self,
        lake: &Lake,
        version: &Snapshot,
        known: &CheckIndex,
        options: &RunOptions<'_>,
    ) -> Result<Vec<CheckRecord>, PipelineError> {
        let now = self.reference(options.now);
        let found = checks::freshness(&self.assembly, version, now, &options.run_id)?;
        let news = |record: &&CheckRecord| {
            let mut before = known.iter().rev().filter(|old| old.key.is_none());
            let before =
                before.find(|old| old.digest == record.digest && old.task() == record.task());
            before.is_none_or(|old| old.result.passed != record.result.passed)
        };
        let news: Vec<CheckRecord> = found.iter().filter(news).cloned().collect();
        lake.record_checks(&options.run_id, &news)?;
        Ok(found)
    }
}
