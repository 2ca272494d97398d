//! The lake: immutable Parquet files, a record of every task's result, and a log of commits.
//!
//! ```text
//! <root>/lake.json                                        format and profile
//!        data/<schema>/<table>/<partition>/<hash>.parquet  rows, named by the digest of the file
//!        _cells/<run>/<wave>.json                          every result ever produced: the build cache
//!        _log/<branch>/<version>.json                      one commit for the whole lake
//!        _log/<branch>/checkpoints/<version>.json          the whole of a version, so that few commits are replayed
//!        _chunks/<hash>.cells                              cells of large commits and of checkpoints
//!        _parts/<run>/<hash>.parts                         what the fingerprints of results were made of
//!        _checks/<run>/<n>.json                            what every check found: none is evaluated twice
//!        _runs/<run>.json                                  what a run did and could not do, for people
//!        _runs/leases/<run>.<n>.json                       signs of life of the runs under way
//!        _aside/                                           damaged files that repair moved out of the way
//!        data/<schema>/<table>/_delta_log, _projections     the same for other engines, made from the log
//! ```
//!
//! Files are written first, then cells, then the commit, so a crash leaves garbage and never damage. Nothing is
//! overwritten; every file carries or is named by its BLAKE3 digest, so damage is an error and never a wrong row.
//! The store knows no stages and no domain: it keeps rows under (table, partition) and publishes them together.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod branch;
mod cell;
mod check;
mod checkpoint;
mod chunk;
mod commit;
mod copy;
mod disk;
mod error;
mod failpoint;
mod gc;
mod history;
mod lake;
mod lease;
mod log;
mod lost;
mod memo;
mod mend;
mod merge;
mod note;
mod object;
mod open;
mod parquet;
mod parts;
mod projection;
mod request;
mod rows;
mod snapshot;
mod uses;
mod verify;
mod versions;
mod workers;

pub use crate::parquet::{contract_of, schema_of};
pub use branch::{BranchInfo, MAIN, Origin, Signed};
pub use cell::{CellIndex, Nondeterminism};
pub use check::CheckIndex;
pub use commit::CommitInfo;
pub use copy::{Copied, Copying};
pub use disk::{DiskUse, Size};
pub use error::StoreError;
pub use failpoint::Failpoint;
pub use gc::{Collection, GcRequest, GcStep, Removal, Retention, Spared};
pub use lake::{Lake, WriteSpec, Written};
pub use lease::Lease;
pub use mend::rows_hash;
pub use merge::{Merge, MergeConflict};
pub use object::{Bucket, LakeAddress};
pub use open::Open;
pub use projection::{DeltaTable, DeltaVersion, Projected, duckdb_views};
pub use request::CommitRequest;
pub use snapshot::{Partitions, Place, Snapshot, TableMeta, VersionRef};
pub use uses::{Cause, Span};
pub use verify::{Damage, FileKind, Progress, Verification, VerifyRequest};

#[cfg(test)]
mod tests;
