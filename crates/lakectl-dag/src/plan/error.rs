//! Requests that cannot be planned.

use lakectl_core::{CoreError, PartitionKey, TableId};
use thiserror::Error;

use crate::SelectError;

/// A request that cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A name in the selection.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A coverage that is not configured.
    #[error("stage `{table}`: there is no `[coverage.{coverage}]`{}", hint_line(hint.as_deref()))]
    Coverage {
        /// The stage.
        table: TableId,
        /// The coverage.
        coverage: String,
        /// What was perhaps meant.
        hint: Option<String>,
    },
    /// A coverage without values for one of the stage's keys.
    #[error("stage `{table}`: `[coverage.{coverage}]` gives no values for the key `{key}`")]
    CoverageKey {
        /// The stage.
        table: TableId,
        /// The coverage.
        coverage: String,
        /// The key.
        key: String,
    },
    /// A listed partition with other columns than the stage declares.
    #[error("the source of `{table}` lists `{partition}`, which is not a partition of that table")]
    Listing {
        /// The raw table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
    },
    /// A normalising stage that does not read exactly one table.
    #[error("stage `{0}` normalises, so its first input has to be one raw table")]
    NormalizeInput(TableId),
    /// A filter value that no partition has.
    #[error("no partition has {key} `{value}`{}", hint_line(hint.as_deref()))]
    NoSuchValue {
        /// The partition key.
        key: String,
        /// What was given.
        value: String,
        /// What was perhaps meant.
        hint: Option<String>,
    },
    /// The stages to refresh have no source.
    #[error(
        "none of `{0}` is harvested\n  hint: refresh fetches again; to compute a stage again, force it"
    )]
    NothingToRefresh(String),
    /// `--select` names no stage that the goal needs.
    #[error("nothing selected: no stage of `{select}` is needed for `{until}`{}", hint_line(hint.as_deref()))]
    NothingSelected {
        /// The selector.
        select: String,
        /// The goal.
        until: String,
        /// Stages that are.
        hint: Option<String>,
    },
    /// A stage to compute or fetch again has no task in the plan.
    #[error("`{flag} {select}`: no task of it is in this plan{}", hint_line(hint.as_deref()))]
    NotInPlan {
        /// `--force` or `--refresh`.
        flag: &'static str,
        /// The selector.
        select: String,
        /// Stages that are.
        hint: Option<String>,
    },
    /// A value that cannot be a partition's.
    #[error(transparent)]
    Core(CoreError),
}

fn hint_line(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\n  hint: {hint}"))
        .unwrap_or_default()
}
