//! What single expressions are made of, and how they are written.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, plan_err};
use datafusion::logical_expr::{Expr, SortExpr, Subquery};
use datafusion::sql::unparser::expr_to_sql;

use super::{Scope, Source, Walker};

impl Walker<'_> {
    /// Returns what an expression is made of.
    pub(super) fn source(&mut self, expr: &Expr, scope: &Scope<'_>) -> DfResult<Source> {
        match expr {
            Expr::Alias(alias) => self.source(&alias.expr, scope),
            Expr::Column(column) => scope.find(column).cloned(),
            Expr::OuterReferenceColumn(_, column) => match scope.outer {
                Some(outer) => outer.find(column).cloned(),
                None => plan_err!("{column} belongs to no query around"),
            },
            Expr::Case(case) => {
                let tests = case.when_then_expr.iter().map(|(when, _)| &**when);
                let tests = tests.chain(case.expr.as_deref());
                let values = case.when_then_expr.iter().map(|(_, then)| &**then);
                self.split(values.chain(case.else_expr.as_deref()), tests, scope)
            }
            Expr::WindowFunction(window) => {
                let params = &window.params;
                let keys = params
                    .partition_by
                    .iter()
                    .chain(sort_keys(&params.order_by));
                self.split(
                    params.args.iter(),
                    keys.chain(params.filter.as_deref()),
                    scope,
                )
            }
            Expr::AggregateFunction(aggregate) => {
                let params = &aggregate.params;
                let keys = sort_keys(&params.order_by).chain(params.filter.as_deref());
                self.split(params.args.iter(), keys, scope)
            }
            Expr::ScalarSubquery(subquery) => self.subquery(subquery, scope),
            Expr::Exists(exists) => Ok(Source {
                condition: self.subquery(&exists.subquery, scope)?.condition,
                ..Source::default()
            }),
            Expr::InSubquery(test) => {
                let mut source = self.source(&test.expr, scope)?;
                source.add(self.subquery(&test.subquery, scope)?);
                Ok(bare(source))
            }
            Expr::SetComparison(test) => {
                let mut source = self.source(&test.expr, scope)?;
                source.add(self.subquery(&test.subquery, scope)?);
                Ok(bare(source))
            }
            other => {
                let mut source = Source::default();
                other.apply_children(|child| {
                    source.add(self.source(child, scope)?);
                    Ok(TreeNodeRecursion::Continue)
                })?;
                Ok(source)
            }
        }
    }

    fn split<'e>(
        &mut self,
        values: impl Iterator<Item = &'e Expr>,
        conditions: impl Iterator<Item = &'e Expr>,
        scope: &Scope<'_>,
    ) -> DfResult<Source> {
        let mut source = Source::default();
        for value in values {
            source.add(self.source(value, scope)?);
        }
        for condition in conditions {
            source
                .condition
                .extend(self.source(condition, scope)?.all());
        }
        Ok(source)
    }

    /// The values of a subquery's first column, and all that decides about its rows.
    fn subquery(&mut self, subquery: &Subquery, scope: &Scope<'_>) -> DfResult<Source> {
        let relation = self.relation(&subquery.subquery, Some(scope))?;
        let mut source = relation.columns.into_iter().next().unwrap_or_default();
        source.condition.extend(relation.condition);
        Ok(bare(source))
    }
}

fn sort_keys(keys: &[SortExpr]) -> impl Iterator<Item = &Expr> {
    keys.iter().map(|key| &key.expr)
}

/// A value that somebody else writes about.
fn bare(source: Source) -> Source {
    Source {
        expression: None,
        behind: None,
        ..source
    }
}

/// Takes the names off an expression.
pub(super) fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// Writes the expressions behind the planner's own names where the names stand.
pub(super) fn whole(expr: &Expr, scope: &Scope<'_>) -> DfResult<Expr> {
    let known = |expr: Expr| {
        let behind = match &expr {
            Expr::Column(column) => scope.find(column).ok().and_then(|s| s.behind.clone()),
            _ => None,
        };
        Ok(match behind {
            Some(behind) => Transformed::yes(behind),
            None => Transformed::no(expr),
        })
    };
    Ok(expr.clone().transform_up(known)?.data)
}

/// Writes an expression as SQL, or as the planner writes it where SQL has no words for it.
pub(super) fn text(expr: &Expr) -> String {
    match expr_to_sql(expr) {
        Ok(sql) => sql.to_string(),
        Err(_) => expr.human_display().to_string(),
    }
}
