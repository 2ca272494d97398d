//! What a fit over lists measures of one list.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, ListArray, ListBuilder, StructArray};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use lakectl_stats::components::scores;
use lakectl_stats::covariance::{Mahalanobis, Shrunk};

use super::super::FunctionInfo;
use super::super::scalar::check_count;
use super::{coerced_list, list_type, row_of};

pub(super) const MAHALANOBIS: FunctionInfo = FunctionInfo {
    name: "mahalanobis",
    version: 1,
    signature: "mahalanobis(x, fit) -> double",
    doc: "Distance of a list from the mean of a `ledoit_wolf` fit under its covariance, in standard deviations: for an ordinary row about \
          the root of the width. Null where a value is missing, the widths differ, or the covariance is singular.",
    example: "mahalanobis([q05, q25, y], ledoit_wolf([q05, q25, y]) OVER (ORDER BY event_time ROWS BETWEEN 59 PRECEDING AND 1 PRECEDING))",
};

pub(super) const PCA_SCORES: FunctionInfo = FunctionInfo {
    name: "pca_scores",
    version: 1,
    signature: "pca_scores(x, fit) -> list",
    doc: "Scores of a list on the components of a `pca_fit`: its standardised distance from the mean along each. Null where a value is \
          missing or the widths differ.",
    example: "pca_scores([q05, q25, y], pca_fit([q05, q25, y]) OVER (ORDER BY event_time ROWS BETWEEN 59 PRECEDING AND 1 PRECEDING))",
};

/// A function of a list and of the record that a fit returns.
#[derive(Debug)]
pub(super) struct Measure {
    info: &'static FunctionInfo,
    /// The lists that the record must have.
    needs: &'static [&'static str],
    kind: Kind,
    signature: Signature,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Distance,
    Scores,
}

impl Measure {
    pub(super) fn mahalanobis() -> Self {
        Self {
            info: &MAHALANOBIS,
            needs: &["mean", "covariance"],
            kind: Kind::Distance,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    pub(super) fn pca_scores() -> Self {
        Self {
            info: &PCA_SCORES,
            needs: &["mean", "scale", "loadings"],
            kind: Kind::Scores,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl PartialEq for Measure {
    fn eq(&self, other: &Self) -> bool {
        self.info.name == other.info.name
    }
}

impl Eq for Measure {}

impl Hash for Measure {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.info.name.hash(state);
    }
}

impl ScalarUDFImpl for Measure {
    fn name(&self) -> &str {
        self.info.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let info = self.info;
        check_count(info, 2, 2, found.len())?;
        let fit = match &found[1] {
            DataType::Struct(fields) => self.needs.iter().all(|name| {
                let field = fields.iter().find(|field| field.name() == name);
                field.is_some_and(|field| *field.data_type() == needed(name))
            }),
            _ => false,
        };
        if !fit {
            return plan_err!(
                "{} takes {}; the fit must have the lists {}",
                info.name,
                info.signature,
                self.needs.join(", ")
            );
        }
        Ok(vec![coerced_list(info, &found[0])?, found[1].clone()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Distance => DataType::Float64,
            Kind::Scores => list_type(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let constant = args.args.iter().all(scalar);
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [rows, fits] = arrays.as_slice() else {
            return exec_err!("{} takes {}", self.info.name, self.info.signature);
        };
        let (rows, fits) = (rows.as_list::<i32>(), fits.as_struct());
        let fits = self.columns(fits)?;
        let result: ArrayRef = match self.kind {
            Kind::Distance => distances(rows, &fits),
            Kind::Scores => projections(rows, &fits),
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The type of a list of a fit.
fn needed(name: &str) -> DataType {
    match name {
        "loadings" => DataType::List(Arc::new(Field::new_list_field(list_type(), true))),
        _ => list_type(),
    }
}

/// The lists of the fits, with the record's own nulls.
struct Fits<'a> {
    records: &'a StructArray,
    lists: Vec<&'a ListArray>,
}

impl Measure {
    fn columns<'a>(&self, records: &'a StructArray) -> Result<Fits<'a>> {
        let mut lists = Vec::new();
        for name in self.needs {
            match records.column_by_name(name).and_then(|c| c.as_list_opt()) {
                Some(list) => lists.push(list),
                None => return exec_err!("the fit has no list `{name}`"),
            }
        }
        Ok(Fits { records, lists })
    }
}

impl Fits<'_> {
    fn list(&self, which: usize, row: usize) -> Option<Vec<f64>> {
        row_of(self.lists[which], row).filter(|_| self.records.is_valid(row))
    }
}

fn distances(rows: &ListArray, fits: &Fits) -> ArrayRef {
    let mut out = Float64Builder::with_capacity(rows.len());
    // Neighbours often share a fit, whose factor is most of the work.
    let mut last: Option<(Shrunk, Option<Mahalanobis>)> = None;
    for row in 0..rows.len() {
        let mut distance = || {
            let point = row_of(rows, row)?;
            let shrunk = Shrunk {
                mean: fits.list(0, row)?,
                covariance: fits.list(1, row)?,
                shrinkage: 0.0,
            };
            if shrunk.covariance.len() != shrunk.mean.len() * shrunk.mean.len() {
                return None;
            }
            let known = last.take().filter(|(fit, _)| *fit == shrunk);
            let (_, metric) = last.insert(known.unwrap_or_else(|| {
                let metric = shrunk.metric().ok();
                (shrunk, metric)
            }));
            metric.as_ref()?.distance(&point).ok()
        };
        out.append_option(distance());
    }
    Arc::new(out.finish())
}

fn projections(rows: &ListArray, fits: &Fits) -> ArrayRef {
    let mut out = ListBuilder::new(Float64Builder::new());
    for row in 0..rows.len() {
        let found = || {
            let point = row_of(rows, row)?;
            let (mean, scale) = (fits.list(0, row)?, fits.list(1, row)?);
            let loadings = fits.lists[2];
            let loadings = loadings.is_valid(row).then(|| loadings.value(row))?;
            let loadings = loadings.as_list_opt::<i32>()?;
            let loadings: Option<Vec<Vec<f64>>> =
                (0..loadings.len()).map(|i| row_of(loadings, i)).collect();
            scores(&point, &mean, &scale, &loadings?).ok()
        };
        match found() {
            Some(scores) => out.append_value(scores.into_iter().map(Some)),
            None => out.append_null(),
        }
    }
    Arc::new(out.finish())
}
