//! Which cells of a table can hold a row that a filter lets through, from what the catalogue knows of each cell.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use lakectl_core::{Cell, Grain, MICROS_PER_DAY, UtcTime};

/// Nanoseconds, wide enough for every time unit there is.
type Nanos = i128;
const NANOS_PER_DAY: Nanos = MICROS_PER_DAY as Nanos * 1000;

/// What is known of a cell's rows before its file is opened.
pub(crate) struct CellFacts<'a> {
    cell: &'a Cell,
    time_column: Option<&'a str>,
}

impl<'a> CellFacts<'a> {
    pub(crate) fn new(cell: &'a Cell, time_column: Option<&'a str>) -> Self {
        Self { cell, time_column }
    }

    /// Tells whether a row of the cell may pass all filters; wrong only on the safe side.
    pub(crate) fn may_match(&self, filters: &[Expr]) -> bool {
        self.cell.rows > 0 && filters.iter().all(|filter| self.may_pass(filter))
    }

    fn may_pass(&self, filter: &Expr) -> bool {
        match filter {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And,
                right,
            }) => self.may_pass(left) && self.may_pass(right),
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Or,
                right,
            }) => self.may_pass(left) || self.may_pass(right),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.may_compare(left, *op, right),
            Expr::Between(Between {
                expr,
                negated: false,
                low,
                high,
            }) => {
                self.may_compare(expr, Operator::GtEq, low)
                    && self.may_compare(expr, Operator::LtEq, high)
            }
            Expr::InList(list) if !list.negated => list
                .list
                .iter()
                .any(|value| self.may_compare(&list.expr, Operator::Eq, value)),
            Expr::Literal(ScalarValue::Boolean(Some(false)), _) => false,
            Expr::Alias(alias) => self.may_pass(&alias.expr),
            _ => true,
        }
    }

    fn may_compare(&self, left: &Expr, op: Operator, right: &Expr) -> bool {
        match (left, right) {
            (column, Expr::Literal(value, _)) => self.column_may(column, op, value),
            (Expr::Literal(value, _), column) => op
                .swap()
                .is_none_or(|op| self.column_may(column, op, value)),
            _ => true,
        }
    }

    /// `column`, or `CAST(column AS date)`, which rounds down to the day.
    fn column_may(&self, column: &Expr, op: Operator, value: &ScalarValue) -> bool {
        let (column, unit) = match column {
            Expr::Column(column) => (column.name.as_str(), 1),
            Expr::Cast(cast) => match (cast.expr.as_ref(), cast.field.data_type()) {
                (Expr::Column(column), DataType::Date32) => (column.name.as_str(), NANOS_PER_DAY),
                _ => return true,
            },
            _ => return true,
        };
        // The label of a period is not a value of the rows, the other partition columns are.
        if unit == 1
            && Grain::of_column(column).is_none()
            && let (Some(own), Some(Some(asked))) =
                (self.cell.partition.get(column), value.try_as_str())
        {
            return range_may(op, own, own, asked);
        }
        if self.time_column != Some(column) {
            return true;
        }
        match (self.times(), nanos_of(value)) {
            (Some((first, last)), Some(asked)) => {
                let floor = |nanos: Nanos| nanos.div_euclid(unit) * unit;
                range_may(op, floor(first), floor(last), asked)
            }
            _ => true,
        }
    }

    /// First and last instant of the cell's rows, both included.
    fn times(&self) -> Option<(Nanos, Nanos)> {
        let (first, last) = self.cell.times?;
        let nanos = |time: UtcTime| Nanos::from(time.micros()) * 1000;
        Some((nanos(first), nanos(last)))
    }
}

/// Whether some value of [first, last] compares so with `asked`.
fn range_may<T: PartialOrd>(op: Operator, first: T, last: T, asked: T) -> bool {
    match op {
        Operator::Eq => first <= asked && asked <= last,
        Operator::NotEq => !(first == asked && last == asked),
        Operator::Lt => first < asked,
        Operator::LtEq => first <= asked,
        Operator::Gt => last > asked,
        Operator::GtEq => last >= asked,
        _ => true,
    }
}

fn nanos_of(value: &ScalarValue) -> Option<Nanos> {
    Some(match value {
        ScalarValue::TimestampSecond(Some(v), _) => Nanos::from(*v) * 1_000_000_000,
        ScalarValue::TimestampMillisecond(Some(v), _) | ScalarValue::Date64(Some(v)) => {
            Nanos::from(*v) * 1_000_000
        }
        ScalarValue::TimestampMicrosecond(Some(v), _) => Nanos::from(*v) * 1000,
        ScalarValue::TimestampNanosecond(Some(v), _) => Nanos::from(*v),
        ScalarValue::Date32(Some(v)) => Nanos::from(*v) * NANOS_PER_DAY,
        _ => return None,
    })
}
