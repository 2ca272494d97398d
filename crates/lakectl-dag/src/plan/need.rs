//! Which tasks a selection needs: those selected, and all that they read.

use std::collections::BTreeSet;
use std::ops::Range;

use lakectl_core::TaskKey;

use super::{Selection, named, wanted};
use crate::Pipeline;
use crate::board::needed_windows;
use crate::partition::Entry;
use crate::scope::{Scope, TaskRef};
use crate::verdict::Demand;

/// Which entries of each stage's main table are selected, and which are needed by those.
pub(crate) struct Need {
    /// By stage and entry.
    pub(crate) selected: Vec<Vec<bool>>,
    needed: Vec<Vec<bool>>,
    /// By stage and entry: the place in `reads` of what it reads.
    reads_of: Vec<Vec<Range<u32>>>,
    /// (stage, entry) pairs, sorted for each reader.
    reads: Vec<(u32, u32)>,
}

impl Need {
    /// Stages stand after what they read, so one sweep from the last to the first finds everything.
    pub(crate) fn of(
        pipeline: &Pipeline,
        scope: &Scope,
        stages: &BTreeSet<usize>,
        selection: &Selection,
    ) -> Self {
        let entries = |stage: usize| &scope.partitions[pipeline.main_table(stage)].entries;
        let count = pipeline.stages().len();
        let selected: Vec<Vec<bool>> = (0..count)
            .map(|stage| {
                let chosen = stages.contains(&stage);
                let table = &pipeline.stages()[stage].table;
                let wanted = |entry: &Entry| {
                    chosen && wanted(entry, selection) && named(table, entry, selection)
                };
                entries(stage).iter().map(wanted).collect()
            })
            .collect();
        let mut need = Self {
            needed: selected.clone(),
            reads_of: (0..count)
                .map(|stage| vec![0..0; entries(stage).len()])
                .collect(),
            selected,
            reads: Vec::new(),
        };
        for stage in (0..count).rev() {
            for entry in 0..need.needed[stage].len() {
                if need.needed[stage][entry] {
                    need.read(pipeline, scope, stage, entry);
                }
            }
        }
        need
    }

    /// Notes the planned partitions that a task may read, each once.
    fn read(&mut self, pipeline: &Pipeline, scope: &Scope, stage: usize, entry: usize) {
        let start = self.reads.len();
        for input in 0..pipeline.inputs(stage).len() {
            planned_reads(pipeline, scope, (stage, entry), input, &mut self.reads);
        }
        let own = &mut self.reads[start..];
        own.sort_unstable();
        let mut kept = start;
        for at in start..self.reads.len() {
            if at == start || self.reads[at] != self.reads[kept - 1] {
                self.reads[kept] = self.reads[at];
                kept += 1;
            }
        }
        self.reads.truncate(kept);
        for (stage, entry) in &self.reads[start..] {
            self.needed[*stage as usize][*entry as usize] = true;
        }
        self.reads_of[stage][entry] = start as u32..kept as u32;
        // What its checks read is needed as well, but its rows do not wait for it.
        let mut checked = Vec::new();
        for input in needed_windows(pipeline, stage) {
            planned_reads(pipeline, scope, (stage, entry), input, &mut checked);
        }
        for (stage, entry) in checked {
            self.needed[stage as usize][entry as usize] = true;
        }
    }

    /// Numbers the needed tasks and lists the readers of each.
    pub(crate) fn number(
        &self,
        pipeline: &Pipeline,
        scope: &Scope,
        selection: &Selection,
        demands: &[Demand],
    ) -> (Vec<TaskRef>, Readers) {
        let mut tasks = Vec::new();
        let mut numbers: Vec<Vec<u32>> = Vec::with_capacity(self.needed.len());
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(self.reads.len());
        for (stage, needed) in self.needed.iter().enumerate() {
            let partitions = &scope.partitions[pipeline.main_table(stage)];
            numbers.push(vec![u32::MAX; needed.len()]);
            for entry in (0..needed.len()).filter(|entry| needed[*entry]) {
                // Forcing and refreshing are for the selected days, values and tasks only.
                let asked = &partitions.entries[entry];
                let demand = match demands[stage] {
                    Demand::None => Demand::None,
                    demand
                        if wanted(asked, selection)
                            && named(&partitions.table, asked, selection) =>
                    {
                        demand
                    }
                    _ => Demand::None,
                };
                let number = tasks.len() as u32;
                numbers[stage][entry] = number;
                let Range { start, end } = self.reads_of[stage][entry];
                for (stage, entry) in &self.reads[start as usize..end as usize] {
                    pairs.push((numbers[*stage as usize][*entry as usize], number));
                }
                tasks.push(TaskRef {
                    key: TaskKey {
                        table: partitions.table.clone(),
                        partition: partitions.entries[entry].key.clone(),
                    },
                    stage,
                    entry,
                    demand,
                });
            }
        }
        let readers = Readers::new(tasks.len(), &pairs);
        (tasks, readers)
    }
}

/// Adds the planned partitions that a task may read through one of its windows, as (stage, entry of its main table).
pub(crate) fn planned_reads(
    pipeline: &Pipeline,
    scope: &Scope,
    place: (usize, usize),
    input: usize,
    reads: &mut Vec<(u32, u32)>,
) {
    scope.picks(pipeline, place, input, &mut |table, pick| {
        let picked = &scope.partitions[table].entries[pick.entry as usize];
        if !picked.planned {
            return;
        }
        let (_, writer) = pipeline.tables()[table];
        let main = pipeline.main_table(writer);
        let found = match main == table {
            true => Some(pick.entry as usize),
            false => scope.partitions[main].find(&picked.key),
        };
        reads.extend(found.map(|found| (writer as u32, found as u32)));
    });
}

/// By task: the tasks that read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Readers {
    /// By task: where its readers begin; one more ends the last ones.
    starts: Vec<u32>,
    readers: Vec<u32>,
}

impl Readers {
    /// Brings (read task, reader) pairs into the order of the read tasks.
    fn new(tasks: usize, pairs: &[(u32, u32)]) -> Self {
        let mut starts = vec![0_u32; tasks + 1];
        for (read, _) in pairs {
            starts[*read as usize + 1] += 1;
        }
        for task in 0..tasks {
            starts[task + 1] += starts[task];
        }
        let mut next = starts.clone();
        let mut readers = vec![0; pairs.len()];
        for (read, reader) in pairs {
            let place = &mut next[*read as usize];
            readers[*place as usize] = *reader;
            *place += 1;
        }
        Self { starts, readers }
    }

    /// Returns the readers of one task, in order.
    pub(crate) fn of(&self, task: usize) -> &[u32] {
        &self.readers[self.starts[task] as usize..self.starts[task + 1] as usize]
    }

    /// Returns every task as often as it reads one.
    pub(crate) fn all(&self) -> &[u32] {
        &self.readers
    }
}
