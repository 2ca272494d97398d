//! The words every other crate shares: names of tables and partitions, days and microseconds,
//! fingerprints, column contracts and the [`Cell`] that records one task's result.
//!
//! This crate knows no Arrow, no Parquet, no SQL, no clock and no file. Everything here is a plain value.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cell;
mod check;
mod error;
mod fingerprint;
mod id;
mod schema;
mod time;

pub use cell::{Cell, CellFile, Parts};
pub use check::{CheckRecord, CheckResult, Severity};
pub use error::{CoreError, ErrorKind};
pub use fingerprint::{Fingerprint, FingerprintBuilder};
pub use id::{PartitionKey, TableId, TaskKey};
pub use schema::{Column, ColumnType, Contract};
pub use time::{Day, DayRange, Grain, MICROS_PER_DAY, UtcTime, parse_days, parse_hours};
