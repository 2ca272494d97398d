//! A plan in numbers: what `plan` and `status` say of it, counted in one place.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_pipeline::engine::{Change, Plan, PlannedTask, Reason, Verdict};
use serde::Serialize;

/// Numbers of tasks by verdict.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) total: usize,
    pub(crate) reuse: usize,
    pub(crate) restore: usize,
    pub(crate) run: usize,
    pub(crate) pending: usize,
    pub(crate) blocked: usize,
}

impl Counts {
    pub(crate) fn of<'a>(tasks: impl IntoIterator<Item = &'a PlannedTask>) -> Self {
        let mut counts = Self::default();
        for task in tasks {
            counts.total += 1;
            *match task.verdict {
                Verdict::Reuse => &mut counts.reuse,
                Verdict::Restore => &mut counts.restore,
                Verdict::Run(_) => &mut counts.run,
                Verdict::Pending(_) => &mut counts.pending,
                Verdict::Blocked(_) => &mut counts.blocked,
            } += 1;
        }
        counts
    }

    /// The verdicts in the order in which they are told.
    pub(crate) fn named(&self) -> [(&'static str, usize); 5] {
        [
            ("reuse", self.reuse),
            ("restore", self.restore),
            ("run", self.run),
            ("pending", self.pending),
            ("blocked", self.blocked),
        ]
    }

    /// Tasks that are not as they should be.
    pub(crate) fn stale(&self) -> usize {
        self.total - self.reuse
    }
}

/// Brings the places of a plan's tasks together by their stage, stages in the order of the graph.
pub(crate) fn by_stage(plan: &Plan) -> BTreeMap<usize, Vec<usize>> {
    let mut stages: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, task) in plan.tasks.iter().enumerate() {
        stages.entry(task.stage).or_default().push(i);
    }
    stages
}

/// Changes of the program itself that reach several stages, with their tasks and stages: they are told once.
pub(crate) struct Causes(BTreeMap<Change, (usize, BTreeSet<usize>)>);

impl Causes {
    /// Tells nothing once, so that every reason is told in full.
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn of(plan: &Plan) -> Self {
        let mut causes: BTreeMap<Change, (usize, BTreeSet<usize>)> = BTreeMap::new();
        for task in &plan.tasks {
            for change in changes(&task.verdict).iter().filter(|c| c.program) {
                let (tasks, stages) = causes.entry(change.clone()).or_default();
                *tasks += 1;
                stages.insert(task.stage);
            }
        }
        causes.retain(|_, (_, stages)| stages.len() > 1);
        Self(causes)
    }

    /// (change, its tasks, its stages)
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Change, usize, usize)> {
        let causes = self.0.iter();
        causes.map(|(change, (tasks, stages))| (change, *tasks, stages.len()))
    }

    /// The reason for a verdict beside what is told for all stages.
    pub(crate) fn reason_beside(&self, verdict: &Verdict) -> String {
        let told = |change: &&Change| self.0.contains_key(*change);
        let all = changes(verdict);
        if !all.iter().any(|change| told(&change)) {
            return reason(verdict);
        }
        let others: Vec<Change> = all.iter().filter(|c| !told(c)).cloned().collect();
        match others.is_empty() {
            true => {
                let names: Vec<&str> = all.iter().map(|change| change.part.as_str()).collect();
                format!("{}, as above", names.join(", "))
            }
            false => Reason::Changed { changes: others }.to_string(),
        }
    }
}

fn changes(verdict: &Verdict) -> &[Change] {
    match verdict.reason() {
        Some(Reason::Changed { changes }) => changes,
        _ => &[],
    }
}

/// Every task has a reason, also for being left alone.
pub(crate) fn reason(verdict: &Verdict) -> String {
    match (verdict, verdict.reason()) {
        (_, Some(reason)) => reason.to_string(),
        (Verdict::Restore, None) => "computed before; its rows are published again".to_owned(),
        (_, None) => "nothing it is made from has changed".to_owned(),
    }
}
