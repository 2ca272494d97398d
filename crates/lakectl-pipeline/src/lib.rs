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

mod again;
mod alive;
mod assembly;
pub mod audit;
mod backfill;
mod branches;
mod checks;
mod compute;
mod diff;
mod error;
mod evolution;
mod harvest;
pub mod lineage;
mod memo;
mod memory;
mod notes;
mod outside;
mod overrides;
mod project;
mod queries;
mod reader;
mod recover;
mod repair;
mod retry;
mod rows;
mod settings;
pub mod stages;
mod summary;
mod system;
mod workbench;
mod world;

pub use assembly::{Assembly, BoundDataset};
pub use backfill::{Backfill, BackfillSummary, Chunk, ChunkOrder, Step};
pub use branches::Merging;
pub use checks::{CheckFailure, failures as check_failures};
pub use diff::{Diff, DiffRequest, Example, TableDiff, diff};
pub use error::PipelineError;
pub use harvest::Sources;
pub use lakectl_sources::PARSER_VERSION;
pub use memory::peak_memory_bytes;
pub use notes::{RunNote, TaskNote};
pub use overrides::{Act, Override, Ruling};
pub use project::Project;
pub use repair::{Fix, RepairOptions, RepairSummary, Repaired};
pub use retry::Undone;
pub use settings::{
    CalendarSettings, CoverageSettings, ProjectionSettings, RetentionSettings, RunSettings,
    Settings, SourceSettings, SqlSettings,
};
pub use summary::{
    Attempt, Failure, Forecast, OpenFailure, Quarantine, RunSummary, StageSummary, TaskCounts,
};
pub use workbench::{RunOptions, Selected, Workbench};

/// What commands need to know of the engine.
pub mod engine {
    pub use lakectl_dag::{
        Audit, Cancel, Change, CheckReport, Cost, Estimate, OpenCheck, Outcome, Pipeline, Plan,
        PlannedTask, Reason, RunEvent, RunReport, StageDecl, StageKind, Verdict, nearest,
        render_dot, render_json, render_mermaid, render_svg, render_text,
    };
}

/// What commands need to know of the lake.
pub mod lake {
    pub use lakectl_store::{
        BranchInfo, Cause, Collection, CommitInfo, Copied, Copying, Damage, DeltaTable,
        DeltaVersion, DiskUse, Failpoint, FileKind, GcRequest, GcStep, Lake, LakeAddress, MAIN,
        Merge, MergeConflict, Open, Origin, Place, Progress, Projected, Retention, Signed, Size,
        Snapshot, Span, StoreError, TableMeta, Verification, VerifyRequest, VersionRef,
        duckdb_views,
    };
}

/// What commands need to know of queries.
pub mod query {
    pub use lakectl_sql::{
        ENGINE_VERSION, FunctionLine, LakeSession, Literal, Rows, Script, ScriptStatement,
        SessionOptions, SqlError, TableInfo, TableKind, functions, locate, parse_param,
        placeholders,
    };
}
