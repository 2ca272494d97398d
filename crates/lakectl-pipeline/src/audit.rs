//! The look-ahead audit: a row that could be used at an instant must not depend on what became known after it.
//!
//! [`Workbench::audit_lookahead`](crate::Workbench::audit_lookahead) proves three claims of a lake's rows, at chosen
//! instants, by computing them a second time from less:
//!
//! - [`Claim::LaterKnowledge`]: the normalised and canonical rows known after the instant are dropped and all that follows
//!   from the others is computed again; the rows known by the instant must be the same, bit for bit.
//! - [`Claim::EarlierStart`]: the partition that holds the instant is computed as if it began on the instant's day, so its
//!   inputs begin later as well; the rows of the remaining days must be the same, or the declared warm-up is too short.
//! - [`Claim::LaterDocuments`]: the documents recorded after the instant are dropped and the others are parsed again; the
//!   rows and the rejects that these give must be the same.
//!
//! The lake is only read. What is computed again goes to a scratch folder that is removed, and is what the project
//! says now: a query that was changed and never run is audited as it stands.

mod compare;
mod cut;
mod documents;
mod instants;
mod knowledge;
mod process;
mod starts;

use std::fmt;

use lakectl_core::{TableId, UtcTime};
use lakectl_dag::{Audit, StageDecl, StageKind};

pub use process::{AuditEvent, AuditOptions};

pub(crate) use cut::Cut;

use crate::Failure;

/// The column that says from when on a row could be used.
const KNOWN_AT: &str = "known_at";

/// What an audit holds a table to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Rows do not depend on what became known after them.
    LaterKnowledge,
    /// Rows do not depend on what lies before their windows, wherever these begin.
    EarlierStart,
    /// What a document gives does not depend on documents recorded after it.
    LaterDocuments,
}

impl Claim {
    /// Returns the word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::LaterKnowledge => "later_knowledge",
            Self::EarlierStart => "earlier_start",
            Self::LaterDocuments => "later_documents",
        }
    }

    /// Says what the audit left out when a row came out different.
    pub const fn left_out(self) -> &'static str {
        match self {
            Self::LaterKnowledge => "later knowledge",
            Self::EarlierStart => "what lies before the warm-up",
            Self::LaterDocuments => "later documents",
        }
    }
}

/// One column of a table, or its very rows, that refute a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The claim.
    pub claim: Claim,
    /// The instant at which it was tested.
    pub at: UtcTime,
    /// The table.
    pub table: TableId,
    /// The column; `None` if a row is there in one of the two computations only.
    pub column: Option<String>,
    /// The values of the key of the first such row: the one that was known first.
    pub key: String,
    /// From when on that row could be used; `None` for rows that do not say.
    pub known_at: Option<UtcTime>,
    /// What the lake says; `None` if it does not have the row.
    pub before: Option<String>,
    /// What is computed from less; `None` if the row is not there.
    pub after: Option<String>,
    /// How many rows differ in this column.
    pub rows: u64,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "no row".to_owned());
        let known = self.known_at.map(|time| format!(" (known {time})"));
        write!(
            f,
            "{}.{} at {}{}: {} with {what}, {} without; {} rows",
            self.table,
            self.column.as_deref().unwrap_or("*"),
            self.key,
            known.unwrap_or_default(),
            said(&self.before),
            said(&self.after),
            self.rows,
            what = self.claim.left_out()
        )
    }
}

/// What an audit says of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFindings {
    /// The table.
    pub table: TableId,
    /// Rows that were held against a computation without later knowledge, or without later documents, over all instants.
    pub rows: u64,
    /// Partitions of it that were computed for that; the others could not differ, because nothing that they read did.
    pub partitions: usize,
    /// Rows that were held against a computation that begins later, over all instants.
    pub start_rows: u64,
    /// Why the table is not audited at all, as it declares.
    pub exempt: Option<String>,
    /// Why its partitions cannot begin later.
    pub fixed_start: Option<String>,
}

/// What an audit has looked at and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// The audited version of the lake.
    pub version: u64,
    /// The instants, in order.
    pub instants: Vec<UtcTime>,
    /// The normalised and derived tables, in the order of the graph.
    pub tables: Vec<TableFindings>,
    /// What refutes a claim, causes before consequences: each column with the first instant at which it was noticed.
    pub leaks: Vec<Leak>,
    /// Tasks that could not be computed, so that nothing is known of their rows.
    pub failures: Vec<Failure>,
    /// Whether it was stopped; the findings are then those so far.
    pub interrupted: bool,
}

impl AuditReport {
    /// Tells whether everything was looked at and nothing refutes a claim.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty() && self.failures.is_empty() && !self.interrupted
    }
}

/// Tells whether a table has to pass: normalised and derived ones do, unless they declare `audit = "none"`.
pub fn is_audited(stage: &StageDecl) -> bool {
    stage.kind != StageKind::Harvest && stage.audit == Audit::Lookahead
}

/// Tells whether the audit leaves out rows of this stage: normalised rows, and those of the canonical tables made
/// from them, which know better when a restated value could be used.
fn is_cut(stage: &StageDecl) -> bool {
    let canonical = || {
        let mut inputs = stage.inputs.iter();
        inputs.any(|input| input.table.schema() == "norm")
    };
    stage.kind == StageKind::Normalize || canonical()
}
