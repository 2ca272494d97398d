//! The fixed part of a plan: which partitions and tasks there are, and which of them may read which.

use lakectl_core::TaskKey;

use crate::Pipeline;
use crate::fingerprint::Definition;
use crate::partition::{Entry, TablePartitions};
use crate::verdict::Demand;
use crate::window::{Pick, picks};

/// A task by its place in the partitions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskRef {
    pub(crate) key: TaskKey,
    pub(crate) stage: usize,
    /// Index into the entries of the stage's main table.
    pub(crate) entry: usize,
    pub(crate) demand: Demand,
}

/// By group of a stage's main table: the groups of one table of an input that its tasks may read.
pub(crate) type Links = Vec<Vec<u32>>;

/// The fixed part of a plan: partitions, definitions and tasks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scope {
    /// By table, in the pipeline's order.
    pub(crate) partitions: Vec<TablePartitions>,
    /// By stage.
    pub(crate) definitions: Vec<Definition>,
    /// By stage, input and table of the input.
    links: Vec<Vec<Vec<Links>>>,
    /// In an order in which each comes after all that it reads.
    pub(crate) tasks: Vec<TaskRef>,
}

impl Scope {
    /// Finds which groups of key values belong together, once for all the days of a group.
    pub(crate) fn new(
        pipeline: &Pipeline,
        partitions: Vec<TablePartitions>,
        definitions: Vec<Definition>,
    ) -> Self {
        let of_stage = |stage: usize| {
            let main = &partitions[pipeline.main_table(stage)];
            let of_table = |table: &usize| -> Links {
                let like = |group| partitions[*table].groups_like(main, group);
                (0..main.groups()).map(like).collect()
            };
            let inputs = pipeline.inputs(stage).iter();
            inputs
                .map(|input| input.tables.iter().map(of_table).collect())
                .collect()
        };
        let links = (0..pipeline.stages().len()).map(of_stage).collect();
        Self {
            partitions,
            definitions,
            links,
            tasks: Vec::new(),
        }
    }

    pub(crate) fn entry(&self, pipeline: &Pipeline, task: &TaskRef) -> &Entry {
        &self.partitions[pipeline.main_table(task.stage)].entries[task.entry]
    }

    /// Hands over the granted partitions of an input as (table, pick), those of `latest_before` as candidates.
    pub(crate) fn picks(
        &self,
        pipeline: &Pipeline,
        (stage, entry): (usize, usize),
        input: usize,
        found: &mut impl FnMut(usize, Pick),
    ) {
        let main = &self.partitions[pipeline.main_table(stage)];
        let (output, group) = (&main.entries[entry], main.group_of(entry));
        let bound = &pipeline.inputs(stage)[input];
        for (&table, links) in bound.tables.iter().zip(&self.links[stage][input]) {
            let partitions = &self.partitions[table];
            picks(bound.window, output, partitions, &links[group], |pick| {
                found(table, pick);
            });
        }
    }
}
