//! Declared stages as a checked, ordered graph.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Grain, TableId};
use petgraph::Direction;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use thiserror::Error;

use crate::{CheckDecl, Missing, Origin, StageDecl, StageInput, StageKind, Window, nearest::hint};

mod layout;
mod render;
mod select;
mod svg;

pub use render::{render_dot, render_json, render_mermaid, render_text};
pub use select::SelectError;
pub use svg::render_svg;

/// Stages that do not make a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// Stages that need each other.
    #[error("stages need each other: {}", loop_text(path))]
    Cycle {
        /// The loop, each stage with its place; the first is repeated at the end.
        path: Vec<(TableId, Origin)>,
    },
    /// Two stages that make the same table.
    #[error("{second}: table `{table}` is already made by the stage at {first}")]
    TwoWriters {
        /// The table.
        table: TableId,
        /// The first stage.
        first: Origin,
        /// The second stage.
        second: Origin,
    },
    /// An input that nobody makes.
    #[error("{origin}: `{reader}` reads `{input}`, which no stage makes{}", hint_line(hint.as_deref()))]
    UnknownInput {
        /// The reading stage or union.
        reader: TableId,
        /// The input.
        input: TableId,
        /// Where the reader is declared.
        origin: Origin,
        /// What was perhaps meant.
        hint: Option<String>,
    },
    /// A window that would have to cut an input whose rows have no time.
    #[error(
        "{origin}: `{reader}` reads `{input}` by the window `{window}`, but `{table}` has no time column to cut by{}",
        hint_line(Some("use the window \"all\", or declare a `time_column`"))
    )]
    NoTimeColumn {
        /// The reading stage.
        reader: TableId,
        /// The declared input.
        input: TableId,
        /// The table: the input or a member of the union.
        table: TableId,
        /// The window.
        window: Window,
        /// Where the reader is declared.
        origin: Origin,
    },
    /// A normalising stage whose partitions are not those of its raw table.
    #[error(
        "{origin}: `{table}` normalises `{raw}` but has other partition columns; they must be the same"
    )]
    Partitions {
        /// The normalising stage.
        table: TableId,
        /// Its input.
        raw: TableId,
        /// Where it is declared.
        origin: Origin,
    },
}

fn loop_text(path: &[(TableId, Origin)]) -> String {
    let names: Vec<&str> = path.iter().map(|(table, _)| table.as_str()).collect();
    let mut text = names.join(" -> ");
    for (table, origin) in &path[..path.len().saturating_sub(1)] {
        text.push_str(&format!("\n  {origin}: `{table}`"));
    }
    text + &hint_line(Some(
        "take one of these inputs away, or read what stands before the loop",
    ))
}

fn hint_line(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\n  hint: {hint}"))
        .unwrap_or_default()
}

/// An input with the tables behind its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundInput {
    /// The name in the declaration, and in the query.
    pub name: TableId,
    /// The window.
    pub window: Window,
    /// What happens without withheld rows.
    pub missing: Missing,
    /// Indices into [`Pipeline::tables`]: one, or those of a union in the order of their names; a union may have none.
    pub tables: Vec<usize>,
}

/// A checked graph of stages in an order in which each comes after all that it reads.
#[derive(Clone, Debug)]
pub struct Pipeline {
    stages: Vec<Arc<StageDecl>>,
    inputs: Vec<Vec<BoundInput>>,
    /// By stage and check: what the check reads besides the checked partition.
    check_inputs: Vec<Vec<Vec<BoundInput>>>,
    tables: Vec<(TableId, usize)>,
    main_tables: Vec<usize>,
    by_table: BTreeMap<TableId, usize>,
    unions: BTreeMap<TableId, Vec<TableId>>,
    graph: DiGraph<usize, ()>,
}

/// Looks for two stages that make one table, before anything else is known of them.
///
/// # Errors
/// [`GraphError::TwoWriters`].
pub fn check_writers(stages: &[StageDecl]) -> Result<(), GraphError> {
    writers(stages).map(|_| ())
}

impl Pipeline {
    /// Checks and orders stages. `unions` names tables that stand for the rows of several others.
    ///
    /// # Errors
    /// [`GraphError`] for a loop, a table with two writers, an input that nobody makes, and a window that cannot be applied.
    pub fn build(
        mut stages: Vec<StageDecl>,
        unions: BTreeMap<TableId, Vec<TableId>>,
    ) -> Result<Self, GraphError> {
        stages.sort_by(|a, b| a.table.cmp(&b.table));
        let writers = writers(&stages)?;
        for (union, members) in &unions {
            if let Some(writer) = writers.get(union) {
                return Err(GraphError::TwoWriters {
                    table: union.clone(),
                    first: stages[*writer].origin.clone(),
                    second: Origin::default(),
                });
            }
            for member in members {
                if !writers.contains_key(member) {
                    return Err(unknown(
                        union,
                        member,
                        &Origin::default(),
                        &writers,
                        &unions,
                    ));
                }
            }
        }
        let order = order(&stages, &writers, &unions)?;
        let mut slots: Vec<Option<StageDecl>> = stages.into_iter().map(Some).collect();
        let stages: Vec<Arc<StageDecl>> = order
            .into_iter()
            .filter_map(|i| slots[i].take())
            .map(Arc::new)
            .collect();
        let mut pipeline = Self {
            inputs: Vec::new(),
            check_inputs: Vec::new(),
            tables: Vec::new(),
            main_tables: Vec::new(),
            by_table: BTreeMap::new(),
            unions,
            graph: DiGraph::new(),
            stages,
        };
        pipeline.bind()?;
        Ok(pipeline)
    }

    /// Numbers the tables, resolves the inputs and draws the edges.
    fn bind(&mut self) -> Result<(), GraphError> {
        for (index, stage) in self.stages.iter().enumerate() {
            self.graph.add_node(index);
            self.main_tables.push(self.tables.len());
            for table in stage.outputs() {
                self.by_table.insert(table.clone(), self.tables.len());
                self.tables.push((table.clone(), index));
            }
        }
        let mut edges = BTreeSet::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let bind = |input: &StageInput| self.bind_input(stage, input);
            let inputs: Vec<BoundInput> =
                stage.inputs.iter().map(bind).collect::<Result<_, _>>()?;
            let of_check = |check: &CheckDecl| check.inputs.iter().map(bind).collect();
            let checks: Vec<Vec<BoundInput>> = stage
                .checks
                .iter()
                .map(of_check)
                .collect::<Result<_, _>>()?;
            let read = inputs.iter().chain(checks.iter().flatten());
            for table in read.flat_map(|input| &input.tables) {
                let writer = self.tables[*table].1;
                if writer != index {
                    edges.insert((writer, index));
                }
            }
            self.inputs.push(inputs);
            self.check_inputs.push(checks);
        }
        for (writer, reader) in edges {
            let (from, to) = (NodeIndex::new(writer), NodeIndex::new(reader));
            self.graph.update_edge(from, to, ());
        }
        Ok(())
    }

    fn bind_input(&self, stage: &StageDecl, input: &StageInput) -> Result<BoundInput, GraphError> {
        let mut tables: Vec<usize> = Vec::new();
        for name in members_of(&input.table, &self.unions) {
            let table = self.by_table[name];
            let writer = &self.stages[self.tables[table].1];
            check_window(stage, input.table.clone(), input.window, name, writer)?;
            tables.push(table);
        }
        Ok(BoundInput {
            name: input.table.clone(),
            window: input.window,
            missing: input.missing,
            tables,
        })
    }

    /// Returns the stages, each after all that it reads.
    pub fn stages(&self) -> &[Arc<StageDecl>] {
        &self.stages
    }

    /// Returns every table with the index of its stage.
    pub fn tables(&self) -> &[(TableId, usize)] {
        &self.tables
    }

    /// Returns the declared unions.
    pub fn unions(&self) -> &BTreeMap<TableId, Vec<TableId>> {
        &self.unions
    }

    /// Returns the inputs of a stage, in the order of their names.
    pub fn inputs(&self, stage: usize) -> &[BoundInput] {
        &self.inputs[stage]
    }

    /// Returns what the tasks of a stage read: the inputs of its rows, then those of its checks, in their order.
    pub(crate) fn windows(&self, stage: usize) -> impl Iterator<Item = &BoundInput> {
        let of_checks = self.check_inputs(stage).iter().flatten();
        self.inputs(stage).iter().chain(of_checks)
    }

    /// Returns the input of that place in [`Pipeline::windows`].
    pub(crate) fn window(&self, stage: usize, place: usize) -> &BoundInput {
        let own = self.inputs(stage);
        match own.get(place) {
            Some(input) => input,
            None => self
                .check_inputs(stage)
                .iter()
                .flatten()
                .nth(place - own.len())
                .expect("a place among the windows"),
        }
    }

    /// Returns what each check of a stage reads besides the checked partition.
    pub fn check_inputs(&self, stage: usize) -> &[Vec<BoundInput>] {
        &self.check_inputs[stage]
    }

    /// Returns the index of a table in [`Pipeline::tables`].
    pub fn table(&self, table: &TableId) -> Option<usize> {
        self.by_table.get(table).copied()
    }

    /// Returns the index of a stage's main table; its secondary tables follow it.
    pub(crate) fn main_table(&self, stage: usize) -> usize {
        self.main_tables[stage]
    }

    /// Returns the stage that makes a table.
    pub fn stage_of(&self, table: &TableId) -> Option<&Arc<StageDecl>> {
        let (_, stage) = self.tables[self.table(table)?];
        self.stages.get(stage)
    }

    /// Returns the stages that these stages read, directly or not, without themselves.
    pub fn ancestors(&self, stages: &BTreeSet<usize>) -> BTreeSet<usize> {
        self.reach(stages, Direction::Incoming)
    }

    /// Returns the stages that read these stages, directly or not, without themselves.
    pub fn descendants(&self, stages: &BTreeSet<usize>) -> BTreeSet<usize> {
        self.reach(stages, Direction::Outgoing)
    }

    fn reach(&self, from: &BTreeSet<usize>, direction: Direction) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<usize> = from.iter().copied().collect();
        while let Some(stage) = open.pop() {
            let next = self
                .graph
                .neighbors_directed(NodeIndex::new(stage), direction);
            open.extend(next.map(NodeIndex::index).filter(|i| reached.insert(*i)));
        }
        reached.difference(from).copied().collect()
    }

    /// Returns the pairs (read stage, reading stage), sorted.
    pub(crate) fn edges(&self) -> BTreeSet<(usize, usize)> {
        self.graph
            .edge_indices()
            .filter_map(|edge| self.graph.edge_endpoints(edge))
            .map(|(from, to)| (from.index(), to.index()))
            .collect()
    }
}

fn writers(stages: &[StageDecl]) -> Result<BTreeMap<TableId, usize>, GraphError> {
    let mut writers = BTreeMap::new();
    for (index, stage) in stages.iter().enumerate() {
        for table in stage.outputs() {
            if let Some(first) = writers.insert(table.clone(), index) {
                return Err(GraphError::TwoWriters {
                    table: table.clone(),
                    first: stages[first].origin.clone(),
                    second: stage.origin.clone(),
                });
            }
        }
    }
    Ok(writers)
}

fn members_of<'a>(
    name: &'a TableId,
    unions: &'a BTreeMap<TableId, Vec<TableId>>,
) -> Vec<&'a TableId> {
    match unions.get(name) {
        Some(members) => members
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        None => vec![name],
    }
}

/// Returns the indices of the stages in a topological order.
fn order(
    stages: &[StageDecl],
    writers: &BTreeMap<TableId, usize>,
    unions: &BTreeMap<TableId, Vec<TableId>>,
) -> Result<Vec<usize>, GraphError> {
    let mut graph: DiGraph<(), ()> = DiGraph::new();
    for _ in stages {
        graph.add_node(());
    }
    for (reader, stage) in stages.iter().enumerate() {
        let of_checks = stage.checks.iter().flat_map(|check| {
            let inputs = check.inputs.iter();
            inputs.map(|input| (input, &check.origin, true))
        });
        let inputs = stage.inputs.iter();
        let inputs = inputs.map(|input| (input, &stage.origin, false));
        for (input, origin, by_check) in inputs.chain(of_checks) {
            for table in members_of(&input.table, unions) {
                let writer = writers
                    .get(table)
                    .ok_or_else(|| unknown(&stage.table, table, origin, writers, unions))?;
                // A check may look at the partitions of its own table that lie before.
                if *writer != reader || !by_check {
                    graph.update_edge(NodeIndex::new(*writer), NodeIndex::new(reader), ());
                }
            }
        }
    }
    match toposort(&graph, None) {
        Ok(order) => Ok(order.into_iter().map(NodeIndex::index).collect()),
        Err(_) => Err(GraphError::Cycle {
            path: find_loop(&graph)
                .into_iter()
                .map(|i| (stages[i].table.clone(), stages[i].origin.clone()))
                .collect(),
        }),
    }
}

/// Returns one loop of a graph that has one, its first node repeated at the end.
fn find_loop(graph: &DiGraph<(), ()>) -> Vec<usize> {
    for component in tarjan_scc(graph) {
        let inside: BTreeSet<NodeIndex> = component.iter().copied().collect();
        let mut path: Vec<NodeIndex> = Vec::new();
        let mut node = component[0];
        loop {
            if let Some(seen) = path.iter().position(|n| *n == node) {
                path.push(node);
                return path[seen..].iter().map(|n| n.index()).collect();
            }
            path.push(node);
            // Inside a strongly connected component every node has a successor, but a lone node need not.
            match graph.neighbors(node).filter(|n| inside.contains(n)).min() {
                Some(next) => node = next,
                None => break,
            }
        }
    }
    Vec::new()
}

fn unknown(
    reader: &TableId,
    input: &TableId,
    origin: &Origin,
    writers: &BTreeMap<TableId, usize>,
    unions: &BTreeMap<TableId, Vec<TableId>>,
) -> GraphError {
    let known = writers.keys().chain(unions.keys()).map(TableId::as_str);
    GraphError::UnknownInput {
        reader: reader.clone(),
        input: input.clone(),
        origin: origin.clone(),
        hint: hint(input.as_str(), known),
    }
}

/// Refuses a window that may have to cut a partition whose rows have no time. Partitions of a day are never cut, and a
/// table without grain and time is granted whole to `self` and `all`.
fn check_window(
    reader: &StageDecl,
    input: TableId,
    window: Window,
    table: &TableId,
    writer: &StageDecl,
) -> Result<(), GraphError> {
    if reader.kind == StageKind::Normalize
        && (reader.keys != writer.keys || reader.grain != writer.grain)
    {
        return Err(GraphError::Partitions {
            table: reader.table.clone(),
            raw: table.clone(),
            origin: reader.origin.clone(),
        });
    }
    let timed = writer.time_column.is_some() && writer.table == *table;
    let never_cut = match window {
        Window::All => true,
        Window::SelfPeriod => writer.grain == Grain::None || writer.grain >= reader.grain,
        _ => writer.grain == Grain::Day,
    };
    if timed || never_cut {
        return Ok(());
    }
    Err(GraphError::NoTimeColumn {
        reader: reader.table.clone(),
        input,
        table: table.clone(),
        window,
        origin: reader.origin.clone(),
    })
}
