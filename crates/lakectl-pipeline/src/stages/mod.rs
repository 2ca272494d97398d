//! Native stages: read columns, call one domain crate, return columns. No stage knows another.

mod columns;
mod forecast;
mod regime;
mod surface;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

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

/// A function of the program that makes a table.
pub struct NativeStage {
    /// The word used in declarations.
    pub name: &'static str,
    /// Raised whenever its rows change for the same input.
    pub version: u32,
    /// Computes one partition.
    pub run: fn(&NativeTask) -> Result<RecordBatch, PipelineError>,
}

/// Every native stage, by name.
pub const NATIVE_STAGES: [NativeStage; 7] = [
    NativeStage {
        name: "density",
        version: 1,
        run: surface::density,
    },
    NativeStage {
        name: "quantile_fit",
        version: 2,
        run: forecast::fit,
    },
    NativeStage {
        name: "quantile_predict",
        version: 2,
        run: forecast::predict,
    },
    NativeStage {
        name: "regime_filter",
        version: 1,
        run: regime::filter,
    },
    NativeStage {
        name: "regime_fit",
        version: 1,
        run: regime::fit,
    },
    NativeStage {
        name: "surface_nodes",
        version: 1,
        run: surface::nodes,
    },
    NativeStage {
        name: "surface_pca",
        version: 1,
        run: surface::pca,
    },
];
