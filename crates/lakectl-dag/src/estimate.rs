//! What a plan will cost, by what the same stages took before.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use lakectl_core::Cell;
use serde::Serialize;

use crate::{Pipeline, Plan, Verdict};

/// What a task takes and makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Seconds of computation.
    pub seconds: f64,
    /// Rows of the main table.
    pub rows: u64,
    /// Bytes of all its files.
    pub bytes: u64,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// What some tasks of a plan will take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Tasks to compute.
    pub tasks: usize,
    /// Those of them whose stage has no earlier result to go by; they count nothing.
    pub unknown: usize,
    /// The sum over the others.
    #[serde(flatten)]
    pub cost: Cost,
}

impl Estimate {
    /// Adds a task to compute.
    pub fn add(&mut self, cost: Option<&Cost>) {
        self.tasks += 1;
        match cost {
            Some(cost) => self.cost.add(cost),
            None => self.unknown += 1,
        }
    }
}

impl Plan {
    /// Returns the expected cost of each task: that of its own published result, else the median of the results of its stage
    /// that are published or taken up again; `None` if there are none.
    pub fn costs(&self, pipeline: &Pipeline) -> Vec<Option<Cost>> {
        let own: Vec<Option<Cost>> = (0..self.tasks.len())
            .map(|task| self.earlier(pipeline, task))
            .collect();
        let mut by_stage: Vec<Vec<Cost>> = vec![Vec::new(); pipeline.stages().len()];
        for (task, cost) in self.tasks.iter().zip(&own) {
            by_stage[task.stage].extend(cost);
        }
        // Results that no task of this plan stands for, such as those beyond the selected days, are of use too.
        for (stage, costs) in by_stage
            .iter_mut()
            .enumerate()
            .filter(|(_, c)| c.is_empty())
        {
            let entries = &self.scope.partitions[pipeline.main_table(stage)].entries;
            let cells = entries.iter().filter_map(|entry| entry.published.as_ref());
            costs.extend(cells.map(|cell| cost_of([cell.as_ref()])));
        }
        let medians: Vec<Option<Cost>> = by_stage.into_iter().map(median).collect();
        let tasks = self.tasks.iter().zip(own);
        tasks
            .map(|(task, own)| own.or(medians[task.stage]))
            .collect()
    }

    /// The cost of the results that a task has already.
    fn earlier(&self, pipeline: &Pipeline, task: usize) -> Option<Cost> {
        let published: Option<Vec<&Cell>> = self
            .published(pipeline, task)
            .map(|cell| cell.map(AsRef::as_ref))
            .collect();
        let cells = published.or_else(|| {
            let restored = &self.tasks[task].cells;
            (!restored.is_empty()).then(|| restored.iter().map(AsRef::as_ref).collect())
        });
        cells.map(cost_of)
    }

    /// Sums up the tasks whose verdict `counts`.
    pub fn estimate(&self, costs: &[Option<Cost>], counts: impl Fn(&Verdict) -> bool) -> Estimate {
        let mut sum = Estimate::default();
        for (task, cost) in self.tasks.iter().zip(costs) {
            if counts(&task.verdict) {
                sum.add(cost.as_ref());
            }
        }
        sum
    }

    /// Returns the seconds from beginning to end of the tasks whose verdict `counts`, as if all others took no time: of the
    /// tasks that are ready, the first of the plan begins as soon as one of the `jobs` is free.
    pub fn elapsed(
        &self,
        costs: &[Option<Cost>],
        jobs: usize,
        counts: impl Fn(&Verdict) -> bool,
    ) -> f64 {
        let jobs = jobs.max(1);
        let seconds = |task: usize| match costs[task] {
            Some(cost) if counts(&self.tasks[task].verdict) => cost.seconds,
            _ => 0.0,
        };
        let mut unsettled = vec![0_u32; self.tasks.len()];
        for reader in self.readers.all() {
            unsettled[*reader as usize] += 1;
        }
        let mut ready: BTreeSet<usize> = (0..self.tasks.len())
            .filter(|task| unsettled[*task] == 0)
            .collect();
        // (microseconds at which it ends, task)
        let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        let mut now = 0;
        loop {
            while running.len() < jobs
                && let Some(task) = ready.pop_first()
            {
                running.push(Reverse((now + (seconds(task) * 1e6) as u64, task)));
            }
            let Some(Reverse((end, task))) = running.pop() else {
                return now as f64 / 1e6;
            };
            now = end;
            for reader in self.readers(task) {
                let reader = *reader as usize;
                unsettled[reader] -= 1;
                if unsettled[reader] == 0 {
                    ready.insert(reader);
                }
            }
        }
    }
}

fn cost_of<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> Cost {
    let mut cells = cells.into_iter();
    let Some(main) = cells.next() else {
        return Cost::default();
    };
    let size = |cell: &Cell| cell.file.as_ref().map_or(0, |file| file.bytes);
    Cost {
        seconds: main.seconds,
        rows: main.rows,
        bytes: size(main) + cells.map(size).sum::<u64>(),
    }
}

fn median(costs: Vec<Cost>) -> Option<Cost> {
    let middle = costs.len() / 2;
    let of = |mut values: Vec<u64>| {
        values.sort_unstable();
        values.get(middle).copied()
    };
    let mut seconds: Vec<f64> = costs.iter().map(|cost| cost.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    Some(Cost {
        seconds: *seconds.get(middle)?,
        rows: of(costs.iter().map(|cost| cost.rows).collect())?,
        bytes: of(costs.iter().map(|cost| cost.bytes).collect())?,
    })
}
