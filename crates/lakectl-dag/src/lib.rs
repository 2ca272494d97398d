//! The engine: which partitions exist, which of them have to be computed and in what order, and the doing of it.
//!
//! ```text
//!  StageDecl --+                                        World (what is published and cached)
//!  (declare)   |                                          |
//!              +-> Pipeline --> partitions --> windows --> verdict --> Plan --> execute --> RunReport
//!  unions -----+   (graph)     (coverage,     (who may    (reuse, restore,      |  ^
//!                               listings)      read what)  run, pending,        v  |
//!                                                          blocked)            Runner
//! ```
//!
//! A *stage* makes one table (and perhaps secondary ones in the same task); a *task* is a stage and a partition.
//! A task's fingerprint covers its definition and the rows that its windows grant it, so a task whose fingerprint is
//! already published is reused, one whose fingerprint was computed before is restored, and only the rest runs. Rows that
//! come out equal end the chain of recomputation there, because readers hash rows and not fingerprints.
//!
//! This crate knows no Parquet, no SQL, no HTTP, no finance and no terminal. The world outside is two traits: [`World`]
//! answers what is published, [`Runner`] computes rows.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod board;
mod change;
mod declare;
mod estimate;
mod event;
mod execute;
mod fingerprint;
mod graph;
mod nearest;
mod outline;
mod partition;
mod plan;
mod runner;
mod scope;
mod verdict;
mod window;

pub use board::{CheckAsk, CheckReport, CheckSpec, FailedCheck, Grant, OpenCheck, TaskSpec, World};
pub use change::Change;
pub use declare::{
    Audit, CheckDecl, CheckRule, DeclareError, Missing, Origin, SqlText, StageDecl, StageInput,
    StageKind, parse_stages, parse_stages_with,
};
pub use estimate::{Cost, Estimate};
pub use event::{Outcome, RunEvent, RunReport, TaskReport, Totals};
pub use execute::execute;
pub use fingerprint::{State, output_fingerprint, state_of};
pub use graph::{
    BoundInput, GraphError, Pipeline, SelectError, check_writers, render_dot, render_json,
    render_mermaid, render_svg, render_text,
};
pub use nearest::nearest;
pub use outline::outline;
pub use partition::{Coverage, Entry, Listing, TablePartitions};
pub use plan::{Plan, PlanError, PlanRequest, PlannedTask, Selection, plan};
pub use runner::{Cancel, Options, Order, Runner, Sleep, TaskFailure};
pub use verdict::{Reason, Verdict};
pub use window::{Member, Window};

/// The version of the engine's own semantics: windows, partitions and fingerprints. It is a part of every fingerprint.
pub const ENGINE_VERSION: u32 = 1;

#[cfg(test)]
mod tests;
