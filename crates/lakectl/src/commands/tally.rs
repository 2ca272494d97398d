//! A plan in numbers: what `plan` and `status` say of it, counted in one place.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_pipeline::engine::{Change, Plan, PlannedTask, Reason, Verdict};
use serde::Serialize;

use crate::render;

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

/// Says which raw partitions stay although their source does not offer them any more. Tasks are `table partition`.
pub(crate) fn vanished(tasks: &[String]) -> Option<String> {
    by_table(
        tasks,
        "kept although the source does not list them any more",
    )
}

/// Says which partitions have no place any more; `what` becomes, or became, of them.
pub(crate) fn dropped(tasks: &[String], what: &str) -> Option<String> {
    let heading = format!("{what}, because the declarations have no place for them any more");
    by_table(tasks, &heading)
}

/// One line a table, however many partitions it has.
fn by_table(tasks: &[String], heading: &str) -> Option<String> {
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in tasks {
        let (table, partition) = task.split_once(' ').unwrap_or((task, ""));
        tables.entry(table).or_default().push(partition);
    }
    if tables.is_empty() {
        return None;
    }
    let mut lines = vec![format!("{heading}:")];
    for (table, mut partitions) in tables {
        partitions.sort_unstable();
        lines.push(match partitions.as_slice() {
            [first, .., last] => format!(
                "  {table}: {} partitions, {first} to {last}",
                render::count(partitions.len() as u64)
            ),
            _ => format!("  {table}: {}", partitions.join("")),
        });
    }
    Some(lines.join("\n"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_told_by_table() {
        let tasks: Vec<String> = (1..=1_200)
            .map(|n| format!("m.px asset=ETH/date={n:04}"))
            .chain(["m.avg all".to_owned()])
            .collect();
        assert_eq!(
            dropped(&tasks, "dropped").unwrap(),
            "dropped, because the declarations have no place for them any more:\n  m.avg: all\n  \
             m.px: 1,200 partitions, asset=ETH/date=0001 to asset=ETH/date=1200"
        );
        assert_eq!(dropped(&[], "dropped"), None);
    }
}
