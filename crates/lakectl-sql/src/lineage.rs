//! Column lineage: which columns of which tables each output column of a query is made of.
//!
//! The walk is over the planner's tree before any optimisation, where `SELECT *`, `EXCLUDE`, names from `WITH` and the
//! columns of joins are resolved already. A column reaches the output as a *value* where it is part of the expression
//! that makes it, and as a *condition* where it only decides which rows count or in which order: filters, join keys,
//! group and partition keys, the tests of a `CASE`.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::{
    Column, DFSchema, JoinType, Result as DfResult, TableReference, not_impl_err, plan_err,
};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::sql::parser::Statement;
use lakectl_core::{Contract, TableId};
use lakectl_store::schema_of;

use crate::SqlError;

mod expression;

use crate::engine::{SqlEngine, block_on};
use crate::plans::over;
use crate::query::{Literal, Query, bind};
use expression::{text, unaliased, whole};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnRef {
    /// The table.
    pub table: TableId,
    /// The column.
    pub column: String,
}

impl std::fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

/// How a column reaches another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Influence {
    /// Its values are part of the other's.
    Value,
    /// It decides which rows count, or in which order.
    Condition,
}

impl Influence {
    /// Returns `value` or `condition`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Condition => "condition",
        }
    }
}

/// One output column of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// The expression that makes it, in SQL; `None` if it is a column of an input as it is.
    pub expression: Option<String>,
    /// What it is made of; a column that is both value and condition counts as value.
    pub inputs: BTreeMap<ColumnRef, Influence>,
}

impl SqlEngine {
    /// Returns what each output column of a query is made of, in the query's order.
    ///
    /// # Errors
    /// [`SqlError::UnknownParam`] for a placeholder without a value; [`SqlError::UnknownColumn`] and [`SqlError::Plan`] for a
    /// query that cannot be planned over these tables.
    pub fn lineage(
        &self,
        query: &Query,
        tables: &BTreeMap<TableId, Contract>,
        params: &BTreeMap<String, Literal>,
    ) -> Result<Vec<OutputColumn>, SqlError> {
        let planning = |e: DataFusionError| SqlError::planning(&e);
        let statement = Statement::Statement(Box::new(bind(query, params)?));
        let columns = tables.iter().map(|(id, c)| (id.clone(), schema_of(c)));
        let read = block_on(over(self.state(), statement, columns))?;
        let (_, plan) = read.map_err(planning)?;
        let mut walker = Walker {
            tables,
            working: BTreeMap::new(),
        };
        let relation = walker.relation(&plan, None).map_err(planning)?;
        let names = plan.schema().fields().iter().map(|field| field.name());
        let columns = names.zip(relation.columns);
        Ok(columns
            .map(|(name, source)| output(name, source, &relation.condition))
            .collect())
    }
}

fn output(name: &str, source: Source, rows: &Refs) -> OutputColumn {
    let conditions = source.condition.into_iter().chain(rows.iter().cloned());
    let mut inputs: BTreeMap<ColumnRef, Influence> = conditions
        .map(|column| (column, Influence::Condition))
        .collect();
    inputs.extend(source.value.into_iter().map(|c| (c, Influence::Value)));
    OutputColumn {
        name: name.to_owned(),
        expression: source.expression,
        inputs,
    }
}

type Refs = BTreeSet<ColumnRef>;

/// What one column of a relation is made of.
#[derive(Clone, Debug, Default, PartialEq)]
struct Source {
    value: Refs,
    condition: Refs,
    /// The expression that made it, for people.
    expression: Option<String>,
    /// For a column that the planner computes under a name of its own: the expression behind the name.
    behind: Option<Expr>,
}

impl Source {
    fn add(&mut self, other: Self) {
        self.value.extend(other.value);
        self.condition.extend(other.condition);
    }

    /// All of it decides something.
    fn all(self) -> Refs {
        let mut refs = self.value;
        refs.extend(self.condition);
        refs
    }
}

/// A table, or what a part of a query makes of tables.
#[derive(Clone, Debug, Default)]
struct Relation {
    columns: Vec<Source>,
    /// What decides which rows there are.
    condition: Refs,
    /// What orders them: it decides once rows are counted off.
    order: Refs,
}

/// The columns that an expression may name, and those around its subquery.
struct Scope<'a> {
    schema: &'a DFSchema,
    columns: &'a [Source],
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn find(&self, column: &Column) -> DfResult<&Source> {
        let index = self.schema.index_of_column(column)?;
        match self.columns.get(index) {
            Some(source) => Ok(source),
            None => plan_err!("{column} has no place in its relation"),
        }
    }
}

struct Walker<'a> {
    tables: &'a BTreeMap<TableId, Contract>,
    /// Working tables of the recursive queries around, by name.
    working: BTreeMap<String, Vec<Source>>,
}

impl Walker<'_> {
    fn relation(&mut self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> DfResult<Relation> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(&scan.table_name, plan.schema()),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => Ok(Relation {
                columns: vec![Source::default(); plan.schema().fields().len()],
                ..Relation::default()
            }),
            LogicalPlan::SubqueryAlias(alias) => self.relation(&alias.input, outer),
            LogicalPlan::Subquery(subquery) => self.relation(&subquery.subquery, outer),
            LogicalPlan::Repartition(repartition) => self.relation(&repartition.input, outer),
            LogicalPlan::Projection(projection) => {
                let input = self.relation(&projection.input, outer)?;
                let schema = projection.input.schema();
                self.computed(input, schema, outer, &projection.expr, false)
            }
            LogicalPlan::Window(window) => {
                let input = self.relation(&window.input, outer)?;
                let before = input.columns.clone();
                let schema = window.input.schema();
                let mut made = self.computed(input, schema, outer, &window.window_expr, true)?;
                made.columns.splice(0..0, before);
                Ok(made)
            }
            LogicalPlan::Filter(filter) => {
                let input = self.relation(&filter.input, outer)?;
                let schema = filter.input.schema();
                self.decided(input, schema, outer, std::iter::once(&filter.predicate))
            }
            LogicalPlan::Sort(sort) => {
                let mut input = self.relation(&sort.input, outer)?;
                let schema = sort.input.schema();
                let keys = sort.expr.iter().map(|key| &key.expr);
                let mut order = input.clone();
                order.condition.clear();
                let order = self.decided(order, schema, outer, keys)?.condition;
                input.order = order;
                if sort.fetch.is_some() {
                    input.condition.extend(input.order.iter().cloned());
                }
                Ok(input)
            }
            LogicalPlan::Limit(limit) => {
                let mut input = self.relation(&limit.input, outer)?;
                input.condition.extend(input.order.iter().cloned());
                Ok(input)
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, outer),
            LogicalPlan::Join(join) => self.join(join, outer),
            LogicalPlan::Union(union) => {
                let mut parts = union.inputs.iter();
                let mut all = match parts.next() {
                    Some(first) => self.relation(first, outer)?,
                    None => Relation::default(),
                };
                for part in parts {
                    let part = self.relation(part, outer)?;
                    for (column, more) in all.columns.iter_mut().zip(part.columns) {
                        column.expression = both(column.expression.take(), &more.expression);
                        column.add(more);
                        column.behind = None;
                    }
                    all.condition.extend(part.condition);
                }
                all.order.clear();
                Ok(all)
            }
            LogicalPlan::Distinct(Distinct::All(input)) => self.relation(input, outer),
            LogicalPlan::Distinct(Distinct::On(on)) => {
                let input = self.relation(&on.input, outer)?;
                let schema = on.input.schema();
                let sorts = on.sort_expr.iter().flatten().map(|key| &key.expr);
                let keys = on.on_expr.iter().chain(sorts);
                let input = self.decided(input, schema, outer, keys)?;
                self.computed(input, schema, outer, &on.select_expr, false)
            }
            LogicalPlan::Unnest(unnest) => {
                let input = self.relation(&unnest.input, outer)?;
                let lists: BTreeSet<usize> =
                    unnest.list_type_columns.iter().map(|(i, _)| *i).collect();
                let columns = unnest.dependency_indices.iter().map(|index| {
                    let mut source = input.columns.get(*index).cloned().unwrap_or_default();
                    if lists.contains(index) {
                        let inner = source.expression.take();
                        source.expression = inner.map(|text| format!("unnest({text})"));
                    }
                    source
                });
                Ok(Relation {
                    columns: columns.collect(),
                    ..input
                })
            }
            LogicalPlan::RecursiveQuery(query) => self.recursive(query, outer),
            other => not_impl_err!("the lineage of {}", other.display()),
        }
    }

    /// A table of the lake, the working table of a recursive query, or a function that makes rows of nothing.
    fn scan(&self, name: &TableReference, schema: &DFSchema) -> DfResult<Relation> {
        let fields = schema.fields().iter();
        let id = name
            .schema()
            .and_then(|s| TableId::new(s, name.table()).ok());
        let columns = match (id, self.working.get(name.table())) {
            (Some(table), _) if self.tables.contains_key(&table) => fields
                .map(|field| Source {
                    value: Refs::from([ColumnRef {
                        table: table.clone(),
                        column: field.name().clone(),
                    }]),
                    ..Source::default()
                })
                .collect(),
            (_, Some(columns)) => columns.clone(),
            _ => vec![Source::default(); schema.fields().len()],
        };
        Ok(Relation {
            columns,
            ..Relation::default()
        })
    }

    /// Replaces the columns of a relation by expressions over them. `named` ones are known by the text of their expression.
    fn computed(
        &mut self,
        input: Relation,
        schema: &DFSchema,
        outer: Option<&Scope<'_>>,
        exprs: &[Expr],
        named: bool,
    ) -> DfResult<Relation> {
        let scope = Scope {
            schema,
            columns: &input.columns,
            outer,
        };
        let mut columns = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let mut source = self.source(expr, &scope)?;
            let bare = unaliased(expr);
            if !matches!(bare, Expr::Column(_)) {
                let whole = whole(bare, &scope)?;
                source.expression = Some(text(&whole));
                source.behind = named.then_some(whole);
            } else if !named && let Some(made) = source.behind.take() {
                source.expression = Some(text(&made));
            }
            columns.push(source);
        }
        Ok(Relation {
            columns,
            condition: input.condition,
            order: input.order,
        })
    }

    /// Lets expressions decide which rows of a relation count.
    fn decided<'e>(
        &mut self,
        mut input: Relation,
        schema: &DFSchema,
        outer: Option<&Scope<'_>>,
        exprs: impl Iterator<Item = &'e Expr>,
    ) -> DfResult<Relation> {
        let mut refs = Refs::new();
        let scope = Scope {
            schema,
            columns: &input.columns,
            outer,
        };
        for expr in exprs {
            refs.extend(self.source(expr, &scope)?.all());
        }
        input.condition.extend(refs);
        Ok(input)
    }

    fn aggregate(
        &mut self,
        aggregate: &datafusion::logical_expr::Aggregate,
        outer: Option<&Scope<'_>>,
    ) -> DfResult<Relation> {
        let input = self.relation(&aggregate.input, outer)?;
        let schema = aggregate.input.schema();
        let groups: Vec<Expr> = grouping_set_to_exprlist(&aggregate.group_expr)?
            .into_iter()
            .cloned()
            .collect();
        let input = self.decided(input, schema, outer, groups.iter())?;
        let mut made = self.computed(input.clone(), schema, outer, &groups, true)?;
        // Beside the keys of grouping sets the planner keeps the number of the set.
        let extra = aggregate.schema.fields().len() - groups.len() - aggregate.aggr_expr.len();
        made.columns.extend(vec![Source::default(); extra]);
        let values = self.computed(input, schema, outer, &aggregate.aggr_expr, true)?;
        made.columns.extend(values.columns);
        made.order.clear();
        Ok(made)
    }

    fn join(
        &mut self,
        join: &datafusion::logical_expr::Join,
        outer: Option<&Scope<'_>>,
    ) -> DfResult<Relation> {
        let left = self.relation(&join.left, outer)?;
        // The right side of a lateral join names columns of the left one.
        let beside = Scope {
            schema: join.left.schema(),
            columns: &left.columns,
            outer,
        };
        let right = self.relation(&join.right, Some(&beside))?;
        let mut both = Relation {
            columns: left.columns.clone(),
            condition: left.condition,
            order: Refs::new(),
        };
        both.columns.extend(right.columns);
        both.condition.extend(right.condition);
        let schema = join.left.schema().join(join.right.schema())?;
        let pairs = join.on.iter().flat_map(|(a, b)| [a, b]);
        let keys = pairs.chain(&join.filter);
        let mut both = self.decided(both, &schema, outer, keys)?;
        let lefts = join.left.schema().fields().len();
        match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => both.columns.truncate(lefts),
            JoinType::RightSemi | JoinType::RightAnti => {
                both.columns.drain(..lefts);
            }
            JoinType::LeftMark => {
                both.columns.truncate(lefts);
                both.columns.push(mark(&both.condition));
            }
            JoinType::RightMark => {
                both.columns.drain(..lefts);
                both.columns.push(mark(&both.condition));
            }
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
        }
        Ok(both)
    }

    /// Goes around until the working table has no new source: values may move from column to column.
    fn recursive(
        &mut self,
        query: &datafusion::logical_expr::RecursiveQuery,
        outer: Option<&Scope<'_>>,
    ) -> DfResult<Relation> {
        let mut all = self.relation(&query.static_term, outer)?;
        let shadowed = self.working.get(&query.name).cloned();
        loop {
            let before = (all.columns.clone(), all.condition.clone());
            self.working.insert(query.name.clone(), all.columns.clone());
            let step = self.relation(&query.recursive_term, outer)?;
            for (column, more) in all.columns.iter_mut().zip(step.columns) {
                column.add(more);
            }
            all.condition.extend(step.condition);
            if before == (all.columns.clone(), all.condition.clone()) {
                break;
            }
        }
        match shadowed {
            Some(columns) => self.working.insert(query.name.clone(), columns),
            None => self.working.remove(&query.name),
        };
        Ok(all)
    }
}

/// Whether a row found a partner.
fn mark(condition: &Refs) -> Source {
    Source {
        condition: condition.clone(),
        ..Source::default()
    }
}

/// Both expressions of a union, once if they are the same.
fn both(first: Option<String>, second: &Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) if first != *second => Some(format!("{first} | {second}")),
        (first, second) => first.or_else(|| second.clone()),
    }
}
