//! The one place where the engine, the lake and the domain meet.
//!
//! ```text
//! Project (files) + Settings --> Assembly (graph, definitions) --> Workbench: plan, run, query
//!                                                                     |
//!                             Sources (documents) --> LakeRunner (one task at a time) --> Lake
//! ```
//!
//! A stage is a query in `sql/`, or a native function in [`stages`]; both see only the rows they were granted.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod alive;
mod assembly;
pub mod audit;
mod branches;
mod compute;
mod error;
mod harvest;
mod memo;
mod notes;
mod outside;
mod project;
mod reader;
mod recover;
mod repair;
mod rows;
mod settings;
pub mod stages;
mod summary;
mod workbench;

pub use assembly::{Assembly, BoundDataset};
pub use error::PipelineError;
pub use harvest::Sources;
pub use lakectl_sources::PARSER_VERSION;
pub use project::Project;
pub use repair::{Fix, RepairOptions, RepairSummary, Repaired};
pub use settings::{
    CalendarSettings, CoverageSettings, RetentionSettings, RunSettings, Settings, SourceSettings,
};
pub use summary::{
    Failure, Forecast, OpenFailure, Quarantine, RunSummary, StageSummary, TaskCounts,
};
pub use workbench::{RunOptions, Selected, Workbench};

/// What commands need to know of the engine.
pub mod engine {
    pub use lakectl_dag::{
        Audit, Cancel, Change, Cost, Estimate, Outcome, Pipeline, Plan, PlannedTask, Reason,
        RunEvent, RunReport, StageDecl, StageKind, Verdict, nearest, render_dot, render_json,
        render_mermaid, render_text,
    };
}

/// What commands need to know of the lake.
pub mod lake {
    pub use lakectl_store::{
        BranchInfo, Cause, Collection, CommitInfo, Copied, Copying, Damage, DiskUse, FileKind,
        GcRequest, GcStep, Lake, LakeAddress, MAIN, Merge, MergeConflict, Open, Origin, Progress,
        Retention, Signed, Size, Snapshot, Span, StoreError, TableMeta, Verification,
        VerifyRequest, VersionRef,
    };
}

/// What commands need to know of queries.
pub mod query {
    pub use lakectl_sql::{ENGINE_VERSION, LakeSession, SqlError, functions};
}
