//! Native stages: read columns, call one domain crate, return columns. No stage knows another.

mod book;
mod columns;
mod density;
mod exposure;
mod factors;
mod forecast;
mod index;
mod regime;
mod slices;
mod surface;
mod synthetic;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakectl_core::{DayRange, TableId, TaskKey};
use toml::Value;

pub use columns::{Columns, Out, batch};

use crate::PipelineError;

/// What a native stage is given.
pub struct NativeTask {
    /// The stage's table and the partition to compute.
    pub key: TaskKey,
    /// The partition's days.
    pub period: DayRange,
    /// The columns to return.
    pub schema: SchemaRef,
    /// The parameters that the stage declares.
    pub params: BTreeMap<String, Value>,
    /// A seed that belongs to this task alone.
    pub seed: u64,
    /// The granted rows.
    pub inputs: BTreeMap<TableId, Columns>,
}

impl NativeTask {
    /// Returns the granted rows of one input.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if the stage does not declare it.
    pub fn input(&self, table: &str) -> Result<&Columns, PipelineError> {
        self.inputs
            .iter()
            .find(|(id, _)| id.as_str() == table)
            .map(|(_, columns)| columns)
            .ok_or_else(|| {
                PipelineError::stage(format!(
                    "`{}` needs the input `{table}`, which is not declared",
                    self.key.table
                ))
            })
    }

    /// Returns a whole, positive parameter.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if it is not declared or not a positive integer.
    pub fn count(&self, name: &str) -> Result<usize, PipelineError> {
        let value = self.params.get(name);
        value
            .and_then(Value::as_integer)
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0)
            .ok_or_else(|| {
                PipelineError::stage(format!(
                    "parameter `{name}` must be a positive whole number, found {value:?}"
                ))
            })
    }

    /// Returns the value of the partition column `asset`.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if the table has no such column.
    pub fn asset(&self) -> Result<String, PipelineError> {
        let asset = self.key.partition.get("asset");
        asset
            .map(str::to_owned)
            .ok_or_else(|| PipelineError::stage("the stage needs the partition column `asset`"))
    }
}

/// An input of a native stage and columns of it.
pub type Uses = (&'static str, &'static [&'static str]);

/// What some output columns of a native stage are made of.
pub struct Made {
    /// The output columns.
    pub columns: &'static [&'static str],
    /// Columns whose values are part of theirs.
    pub values: &'static [Uses],
    /// Columns that only decide which rows count, and for which times.
    pub conditions: &'static [Uses],
}

/// A function of the program that makes a table.
pub struct NativeStage {
    /// The word used in declarations.
    pub name: &'static str,
    /// Raised whenever its rows change for the same input.
    pub version: u32,
    /// What its columns are made of; output columns that are not named come from the partition alone. A stage is granted the
    /// named columns of its inputs and no others.
    pub made: &'static [Made],
    /// Computes one partition.
    pub run: fn(&NativeTask) -> Result<RecordBatch, PipelineError>,
}

impl NativeStage {
    /// Returns the stage of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        NATIVE_STAGES.iter().find(|native| native.name == name)
    }

    /// Returns the columns of an input that the stage may see.
    pub fn granted(&self, input: &str) -> BTreeSet<&'static str> {
        let uses = self
            .made
            .iter()
            .flat_map(|made| made.values.iter().chain(made.conditions));
        uses.filter(|(table, _)| *table == input)
            .flat_map(|(_, columns)| columns.iter().copied())
            .collect()
    }
}

/// Every native stage, by name.
pub static NATIVE_STAGES: &[NativeStage] = &[
    NativeStage {
        name: "density",
        version: 3,
        made: density::DENSITY_MADE,
        run: density::density,
    },
    NativeStage {
        name: "expiry_density",
        version: 1,
        made: density::EXPIRY_MADE,
        run: density::expiry_density,
    },
    NativeStage {
        name: "exposure",
        version: 2,
        made: exposure::EXPOSURE_MADE,
        run: exposure::exposure,
    },
    NativeStage {
        name: "exposure_profile",
        version: 2,
        made: exposure::PROFILE_MADE,
        run: exposure::profile,
    },
    NativeStage {
        name: "hedge_ladder",
        version: 2,
        made: exposure::LADDER_MADE,
        run: exposure::hedge_ladder,
    },
    NativeStage {
        name: "quantile_fit",
        version: 2,
        made: forecast::FIT_MADE,
        run: forecast::fit,
    },
    NativeStage {
        name: "quantile_predict",
        version: 2,
        made: forecast::PREDICT_MADE,
        run: forecast::predict,
    },
    NativeStage {
        name: "regime_filter",
        version: 1,
        made: regime::FILTER_MADE,
        run: regime::filter,
    },
    NativeStage {
        name: "regime_fit",
        version: 1,
        made: regime::FIT_MADE,
        run: regime::fit,
    },
    NativeStage {
        name: "skew_fit",
        version: 1,
        made: synthetic::FIT_MADE,
        run: synthetic::fit,
    },
    NativeStage {
        name: "skew_report",
        version: 1,
        made: synthetic::REPORT_MADE,
        run: synthetic::report,
    },
    NativeStage {
        name: "slices",
        version: 2,
        made: slices::SLICES_MADE,
        run: slices::slices,
    },
    NativeStage {
        name: "smile_models",
        version: 1,
        made: slices::MODELS_MADE,
        run: slices::models,
    },
    NativeStage {
        name: "surface_nodes",
        version: 3,
        made: surface::NODES_MADE,
        run: surface::nodes,
    },
    NativeStage {
        name: "surface_pca",
        version: 2,
        made: factors::PCA_MADE,
        run: factors::pca,
    },
    NativeStage {
        name: "term_structure",
        version: 1,
        made: surface::TERM_MADE,
        run: surface::term_structure,
    },
    NativeStage {
        name: "variance_index",
        version: 2,
        made: index::INDEX_MADE,
        run: index::variance_index,
    },
];
