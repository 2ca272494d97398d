//! Where every column of every table comes from: read from the queries' plans, declared by native stages, known of parsers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lakectl_core::{Contract, TableId, UtcTime};
use lakectl_dag::{StageDecl, StageKind};
use lakectl_sources::rejects_contract;
pub use lakectl_sql::{ColumnRef, Influence};
use lakectl_sql::{Literal, Query, SqlEngine};
use toml::Value;

use crate::PipelineError;
use crate::assembly::{Assembly, BoundDataset, literal};
use crate::compute::input_contract;
use crate::stages::{Made, NativeStage, Uses};

/// How one column is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who makes it: a query, a native stage, a parser, a union, a source.
    pub maker: String,
    /// The expression, for a query; `None` if the column is one of an input as it is.
    pub expression: Option<String>,
    /// What it is made of.
    pub inputs: BTreeMap<ColumnRef, Influence>,
}

/// The columns of all tables with what each is made of.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    origins: BTreeMap<ColumnRef, Origin>,
    readers: BTreeMap<ColumnRef, BTreeMap<ColumnRef, Influence>>,
}

/// Which way to follow the lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what columns are made of.
    Up,
    /// To what is made of them.
    Down,
}

/// One step of lineage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The column that is made.
    pub output: ColumnRef,
    /// What it is made of.
    pub input: ColumnRef,
    /// How.
    pub kind: Influence,
}

/// The columns that are found from some others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The columns with the fewest steps to each, those that were asked for included.
    pub columns: BTreeMap<ColumnRef, usize>,
    /// The steps.
    pub edges: BTreeSet<Edge>,
    /// Columns next to these that only decide about rows and were not followed.
    pub conditions: BTreeSet<ColumnRef>,
}

impl Lineage {
    /// Reads the lineage of a project.
    ///
    /// # Errors
    /// [`PipelineError::Sql`] if a query cannot be planned over the declared columns.
    pub(crate) fn of(
        assembly: &Assembly,
        params: &BTreeMap<String, Value>,
    ) -> Result<Self, PipelineError> {
        let engine = SqlEngine::new();
        let mut lineage = Self::default();
        for stage in assembly.pipeline.stages() {
            match &stage.kind {
                StageKind::Harvest => lineage.add_declared(stage, "source", &[]),
                StageKind::Normalize => lineage.add_parsed(assembly, stage),
                StageKind::Native(name) => {
                    let made = NativeStage::find(name).map_or(&[][..], |native| native.made);
                    lineage.add_declared(stage, &format!("native stage `{name}`"), made);
                }
                StageKind::Sql => {
                    if let Some(query) = assembly.queries.get(&stage.table) {
                        lineage.add_query(&engine, assembly, stage, query, params)?;
                    }
                }
            }
        }
        for (union, members) in assembly.pipeline.unions() {
            lineage.add_union(union, members, &input_contract(assembly, union));
        }
        Ok(lineage)
    }

    fn add(&mut self, table: &TableId, column: &str, origin: Origin) {
        let output = ColumnRef {
            table: table.clone(),
            column: column.to_owned(),
        };
        for (input, kind) in &origin.inputs {
            let readers = self.readers.entry(input.clone()).or_default();
            readers.insert(output.clone(), *kind);
        }
        self.origins.insert(output, origin);
    }

    fn add_query(
        &mut self,
        engine: &SqlEngine,
        assembly: &Assembly,
        stage: &StageDecl,
        query: &Query,
        params: &BTreeMap<String, Value>,
    ) -> Result<(), PipelineError> {
        let inputs = stage.inputs.iter();
        let tables = inputs
            .map(|input| (input.table.clone(), input_contract(assembly, &input.table)))
            .collect();
        let words = Words::of(stage);
        let columns = engine.lineage(query, &tables, &words.literals(query, params)?)?;
        let maker = format!("sql/{}/{}.sql", stage.table.schema(), stage.table.name());
        for column in columns {
            let origin = Origin {
                maker: maker.clone(),
                expression: column.expression.map(|text| words.written(text)),
                inputs: column.inputs,
            };
            self.add(&stage.table, &column.name, origin);
        }
        Ok(())
    }

    /// Columns that say themselves what they are made of; the others come from the partition alone.
    fn add_declared(&mut self, stage: &StageDecl, maker: &str, made: &[Made]) {
        for column in stage.contract.columns() {
            let name = column.name.as_str();
            let made = made.iter().find(|made| made.columns.contains(&name));
            let refs = |uses: &[Uses], kind: Influence| -> Vec<(ColumnRef, Influence)> {
                let named = uses.iter().flat_map(|(table, columns)| {
                    columns
                        .iter()
                        .filter_map(move |column| reference(table, column))
                });
                named.map(|column| (column, kind)).collect()
            };
            let mut inputs = BTreeMap::new();
            if let Some(made) = made {
                inputs.extend(refs(made.conditions, Influence::Condition));
                inputs.extend(refs(made.values, Influence::Value));
            }
            let origin = Origin {
                maker: maker.to_owned(),
                expression: None,
                inputs,
            };
            self.add(&stage.table, name, origin);
        }
    }

    /// Rows and rejects come from the bodies; which body of a name counts is decided by arrival and time.
    fn add_parsed(&mut self, assembly: &Assembly, stage: &StageDecl) {
        let raw = stage.inputs.first().map(|input| &input.table);
        let Some(bound) = raw.and_then(|raw| assembly.datasets.get(raw)) else {
            return;
        };
        for column in stage.contract.columns() {
            self.add_parsed_column(bound, &bound.norm, &column.name);
        }
        for column in rejects_contract().columns() {
            self.add_parsed_column(bound, &bound.quarantine, &column.name);
        }
    }

    fn add_parsed_column(&mut self, bound: &BoundDataset, table: &TableId, column: &str) {
        let values: &[&str] = match column {
            "document_id" => &["request", "body"],
            "document" => &["name"],
            "document_time" => &["document_time"],
            "sequence" => &["sequence"],
            "dataset" | "replacement" => &[],
            "known_at" | "known_at_basis" => &["body", "document_time"],
            "asset" => &["body", "name"],
            _ => &["body"],
        };
        let of_raw = |columns: &[&str], kind: Influence| -> Vec<(ColumnRef, Influence)> {
            let columns = columns.iter().map(|column| ColumnRef {
                table: bound.raw.clone(),
                column: (*column).to_owned(),
            });
            columns.map(|column| (column, kind)).collect()
        };
        let deciding = ["name", "sequence", "document_time"];
        let mut inputs: BTreeMap<_, _> = of_raw(&deciding, Influence::Condition)
            .into_iter()
            .collect();
        inputs.extend(of_raw(values, Influence::Value));
        let maker = format!("parser of the dataset `{}`", bound.dataset.name);
        let expression = None;
        self.add(
            table,
            column,
            Origin {
                maker,
                expression,
                inputs,
            },
        );
    }

    fn add_union(&mut self, union: &TableId, members: &[TableId], contract: &Contract) {
        for column in contract.columns() {
            let inputs = members.iter().map(|member| {
                let table = member.clone();
                let column = column.name.clone();
                (ColumnRef { table, column }, Influence::Value)
            });
            let origin = Origin {
                maker: "union".to_owned(),
                expression: None,
                inputs: inputs.collect(),
            };
            self.add(union, &column.name, origin);
        }
    }

    /// Returns how a column is made.
    pub fn origin(&self, column: &ColumnRef) -> Option<&Origin> {
        self.origins.get(column)
    }

    /// Returns the columns of a table in the order of their names.
    pub fn columns<'a>(&'a self, table: &'a TableId) -> impl Iterator<Item = &'a ColumnRef> {
        let columns = self.origins.keys();
        columns.filter(move |column| column.table == *table)
    }

    /// Returns every step, in the order of output columns.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        self.origins.iter().flat_map(|(output, origin)| {
            origin.inputs.iter().map(|(input, kind)| Edge {
                output: output.clone(),
                input: input.clone(),
                kind: *kind,
            })
        })
    }

    /// Follows the lineage from some columns, at most `depth` steps; with `conditions` also to what only decides about rows.
    pub fn reach(
        &self,
        from: impl IntoIterator<Item = ColumnRef>,
        direction: Direction,
        depth: Option<usize>,
        conditions: bool,
    ) -> Reach {
        let mut reach = Reach::default();
        let mut open: VecDeque<ColumnRef> = VecDeque::new();
        for column in from {
            reach.columns.insert(column.clone(), 0);
            open.push_back(column);
        }
        while let Some(column) = open.pop_front() {
            let steps = reach.columns[&column];
            if depth.is_some_and(|depth| steps >= depth) {
                continue;
            }
            for (next, kind) in self.next(&column, direction) {
                if *kind == Influence::Condition && !conditions {
                    reach.conditions.insert(next.clone());
                    continue;
                }
                let (output, input) = match direction {
                    Direction::Up => (column.clone(), next.clone()),
                    Direction::Down => (next.clone(), column.clone()),
                };
                let kind = *kind;
                reach.edges.insert(Edge {
                    output,
                    input,
                    kind,
                });
                if !reach.columns.contains_key(next) {
                    reach.columns.insert(next.clone(), steps + 1);
                    open.push_back(next.clone());
                }
            }
        }
        let seen = &reach.columns;
        reach.conditions.retain(|column| !seen.contains_key(column));
        reach
    }

    fn next(
        &self,
        column: &ColumnRef,
        direction: Direction,
    ) -> impl Iterator<Item = (&ColumnRef, &Influence)> {
        let next = match direction {
            Direction::Up => self.origins.get(column).map(|origin| &origin.inputs),
            Direction::Down => self.readers.get(column),
        };
        next.into_iter().flatten()
    }
}

fn reference(table: &str, column: &str) -> Option<ColumnRef> {
    // Names of native stages are constants of the program and tested.
    Some(ColumnRef {
        table: table.parse().ok()?,
        column: column.to_owned(),
    })
}

/// Placeholders of a query as they are bound to plan it, and as people know them.
struct Words(Vec<(String, Literal, String)>);

impl Words {
    /// Keys of partitions are bound to a text that names them, the period to instants that no query writes.
    fn of(stage: &StageDecl) -> Self {
        let keys = stage.keys.iter().map(|key| {
            let word = format!("${key}");
            (
                key.clone(),
                Literal::Text(word.clone()),
                format!("'{word}'"),
            )
        });
        let period = [("start", 1_000_001), ("end", 1_000_002)].map(|(name, micros)| {
            let written = format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
            (
                name.to_owned(),
                Literal::Time(UtcTime::from_micros(micros)),
                written,
            )
        });
        Self(keys.chain(period).collect())
    }

    fn literals(
        &self,
        query: &Query,
        params: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Literal>, PipelineError> {
        let mut literals = BTreeMap::new();
        for name in &query.params {
            if let Some(value) = params.get(name) {
                literals.insert(name.clone(), literal(name, value)?);
            }
        }
        for (name, literal, _) in &self.0 {
            literals.insert(name.clone(), literal.clone());
        }
        Ok(literals)
    }

    /// Puts the placeholders back into the text of an expression.
    fn written(&self, mut text: String) -> String {
        for (name, _, bound) in &self.0 {
            text = text.replace(bound, &format!("${name}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Project, Workbench};

    #[test]
    fn every_column_of_every_shipped_table_has_an_origin_and_no_step_leads_nowhere() {
        for profile in ["demo", "archive"] {
            let bench = Workbench::open(Project::built_in(), profile, &[]).unwrap();
            let lineage = bench.lineage().unwrap();
            let pipeline = &bench.assembly.pipeline;
            let mut made_of_nothing = Vec::new();
            for stage in pipeline.stages() {
                for column in stage.contract.columns() {
                    let column = reference(stage.table.as_str(), &column.name).unwrap();
                    let origin = lineage.origin(&column);
                    let origin = origin.unwrap_or_else(|| panic!("{column} has no origin"));
                    let literal = origin.expression.is_some();
                    if origin.inputs.is_empty() && stage.kind != StageKind::Harvest && !literal {
                        made_of_nothing.push(column.to_string());
                    }
                }
            }
            for edge in lineage.edges() {
                assert!(
                    lineage.origin(&edge.input).is_some(),
                    "{edge:?} leads nowhere"
                );
                let read = edge.output.table != edge.input.table;
                assert!(read, "{edge:?} goes round");
            }
            // Keys of the partition, and times that are its beginning; without documents a union has no members.
            let known = |column: &String| {
                let word = column.rsplit('.').next().unwrap();
                [
                    "asset",
                    "fitted_at",
                    "known_at",
                    "horizon_hours",
                    "dataset",
                    "replacement",
                ]
                .contains(&word)
                    || column.starts_with("norm.")
            };
            let strange: Vec<_> = made_of_nothing.iter().filter(|c| !known(c)).collect();
            assert!(strange.is_empty(), "{profile}: {strange:?}");
        }
    }

    #[test]
    fn placeholders_are_written_as_people_know_them() {
        let bench = Workbench::open(Project::built_in(), "demo", &[]).unwrap();
        let lineage = bench.lineage().unwrap();
        let asset = reference("features.matrix", "asset").unwrap();
        let origin = lineage.origin(&asset).unwrap();
        assert_eq!(origin.expression.as_deref(), Some("$asset"));
        assert_eq!(origin.maker, "sql/features/matrix.sql");
    }

    #[test]
    fn lineage_is_followed_both_ways_and_so_far() {
        let bench = Workbench::open(Project::built_in(), "demo", &[]).unwrap();
        let lineage = bench.lineage().unwrap();
        let column = |table: &str, column: &str| reference(table, column).unwrap();
        let from = column("options.surface_nodes", "iv");
        let near = lineage.reach([from.clone()], Direction::Up, Some(1), false);
        assert!(near.columns.contains_key(&column("options.slices", "rho")));
        assert!(near.columns.values().all(|steps| *steps <= 1));
        assert!(
            near.conditions
                .contains(&column("options.slices", "event_time"))
        );
        let far = lineage.reach([from.clone()], Direction::Up, None, false);
        let body = column("raw.demo_deribit_options", "body");
        assert!(far.columns.contains_key(&body));
        let back = lineage.reach([body], Direction::Down, None, false);
        assert!(back.columns.contains_key(&from));
    }
}
