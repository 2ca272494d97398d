//! What can go wrong in the store, whose move it then is, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use lakectl_core::{CoreError, ErrorKind, Fingerprint, PartitionKey, TableId};
use thiserror::Error;

use crate::Nondeterminism;
use crate::object::FORMAT;

/// What to do about rows that are gone.
pub(crate) const DATA_REPAIR: &str = "`lakectl repair` writes the file again from its inputs or its source, as a run of its stage with `--force` does; or restore it from a copy of the lake";

/// An error of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder holds other things.
    #[error("{} is not a lake: it holds `{entry}` but no lake.json", path.display())]
    NotALake {
        /// The folder.
        path: PathBuf,
        /// One of the things it holds.
        entry: String,
    },
    /// There is no lake and none was to be made.
    #[error("there is no lake at {}", path.display())]
    NoLake {
        /// The folder.
        path: PathBuf,
    },
    /// The lake belongs to another profile.
    #[error("the lake at {} was made with profile {lake}, this run uses {run}", path.display())]
    OtherProfile {
        /// The folder.
        path: PathBuf,
        /// The lake's profile.
        lake: String,
        /// The caller's profile.
        run: String,
    },
    /// A newer program wrote the file.
    #[error("{} has format {found}, this program reads formats up to {known}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format that is understood.
        known: u64,
    },
    /// An address that names no place for a lake.
    #[error("`{address}` is no address of a lake: {problem}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An object store that cannot be used as it is set up.
    #[error("cannot use {address}: {problem}")]
    Access {
        /// The lake's address.
        address: String,
        /// What is missing or wrong.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The object store refused, or could not be reached.
    #[error("cannot {action} {}: {problem}", path.display())]
    Remote {
        /// What was tried.
        action: &'static str,
        /// The object's address.
        path: PathBuf,
        /// The store's answer.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Fewer bytes arrived in a file than were written.
    #[error("{} has {found} bytes after {expected} were written", path.display())]
    ShortWrite {
        /// The file.
        path: PathBuf,
        /// Bytes written.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// An earlier flush failed, so it is unknown which files are on the disk.
    #[error("an earlier flush to {} failed: nothing more is recorded in this process", path.display())]
    FlushFailed {
        /// The lake's folder.
        path: PathBuf,
    },
    /// A record of the lake is damaged or missing.
    #[error("damaged file {}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        repair: &'static str,
    },
    /// A data file is not the one that was written.
    #[error("damaged file {}: expected digest {}, found {}", path.display(), expected.short(), found.short())]
    DamagedData {
        /// The file.
        path: PathBuf,
        /// The digest recorded in the cell.
        expected: Fingerprint,
        /// The digest of the file.
        found: Fingerprint,
    },
    /// A column of a type that tables do not have.
    #[error("column `{column}` has type {found}, tables hold {known}")]
    ColumnType {
        /// The column.
        column: String,
        /// The Arrow type.
        found: String,
        /// The types there are.
        known: &'static str,
    },
    /// Rows that do not have the declared columns.
    #[error("{table}: expected columns ({expected}), the rows have ({found})")]
    Columns {
        /// The table.
        table: TableId,
        /// Declared columns.
        expected: String,
        /// The columns of the rows.
        found: String,
    },
    /// A value that may not be stored.
    #[error("{table} {partition}: column `{column}` {problem} in row {row}")]
    Value {
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
        /// The column.
        column: String,
        /// The row, counted from 0.
        row: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A time column that does not exist or holds no times.
    #[error("{table}: `{column}` is not a time or date column of this table")]
    TimeColumn {
        /// The table.
        table: TableId,
        /// The column.
        column: String,
    },
    /// A column that a reader asked for and the file does not have.
    #[error("{table} has no column `{column}`; it has {known}")]
    NoColumn {
        /// The table.
        table: TableId,
        /// The column.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// Rows could not be encoded or decoded.
    #[error("cannot {action} rows of {table}: {problem}")]
    Rows {
        /// What was tried.
        action: &'static str,
        /// The table.
        table: TableId,
        /// The library's answer.
        problem: String,
    },
    /// A run's name that could not be part of a path.
    #[error("`{run}` cannot name a run: expected letters, digits, `-`, `_` and `.`")]
    RunName {
        /// What was given.
        run: String,
    },
    /// One commit sets a partition twice.
    #[error("one commit sets {table} {partition} twice")]
    Twice {
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
    },
    /// Another run changed what this run read or wrote.
    #[error(
        "run {ours} cannot be published: run {theirs_run} changed {table} {partition} meanwhile"
    )]
    Conflict {
        /// The run that wanted to commit.
        ours: String,
        /// The run that committed first.
        theirs_run: String,
        /// The table that both concern.
        table: TableId,
        /// The partition that changed.
        partition: PartitionKey,
    },
    /// Another run set the same note of the lake.
    #[error("run {ours} cannot be published: run {theirs_run} changed `{record}` meanwhile")]
    RecordConflict {
        /// The run that wanted to commit.
        ours: String,
        /// The run that committed first.
        theirs_run: String,
        /// The note.
        record: String,
    },
    /// Another run committed where nobody else may have.
    #[error("run {ours} cannot be published: run {theirs_run} committed meanwhile")]
    HeadMoved {
        /// The run that wanted to commit.
        ours: String,
        /// The run that committed first.
        theirs_run: String,
    },
    /// Both sides of a merge changed the same things.
    #[error(
        "`{from}` cannot be merged into `{into}`: both changed {}",
        listed(conflicts)
    )]
    MergeConflicts {
        /// The branch that the changes come from.
        from: String,
        /// The branch that they should go into.
        into: String,
        /// What both changed.
        conflicts: Vec<String>,
    },
    /// A branch that does not exist, or was deleted.
    #[error("there is no branch `{branch}`; there is {known}")]
    NoBranch {
        /// What was asked for.
        branch: String,
        /// The branches there are.
        known: String,
    },
    /// A branch that is to be made and is there.
    #[error("there is a branch `{branch}` already")]
    BranchExists {
        /// Its name.
        branch: String,
    },
    /// The branch that every lake has.
    #[error("`main` cannot be deleted: every lake has it")]
    MainBranch,
    /// A name that no branch can have.
    #[error(
        "`{name}` cannot name a branch: expected a small letter, then small letters, digits, `-`, `_` and `.`, 64 at most"
    )]
    BranchName {
        /// What was given.
        name: String,
    },
    /// Others committed first every time.
    #[error("run {run} could not commit in {attempts} attempts: others were always first")]
    Busy {
        /// The run.
        run: String,
        /// Attempts made.
        attempts: u32,
    },
    /// A lake that cannot take over the versions of another one.
    #[error("the lake at {} has another version {version} of branch {branch}", path.display())]
    Diverged {
        /// The lake that was to be copied to.
        path: PathBuf,
        /// The branch.
        branch: String,
        /// The first version that differs.
        version: u64,
    },
    /// A version whose rows were collected.
    #[error(
        "the rows of version {version} are not kept any more: the oldest version kept is {oldest}"
    )]
    Expired {
        /// What was asked for.
        version: u64,
        /// The oldest version whose rows are kept.
        oldest: u64,
    },
    /// A result whose file is being removed.
    #[error("run {run} cannot be published: collection is removing a file of {table} {partition}")]
    Condemned {
        /// The run that wanted to commit.
        run: String,
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
    },
    /// A run that gave no sign of life for so long that collection took it for dead.
    #[error(
        "run {run} gave no sign of life for too long, so collection may have removed its files"
    )]
    LeaseLost {
        /// The run.
        run: String,
    },
    /// A version or time that the lake does not have.
    #[error("the lake has no version {asked}: {known}")]
    NoVersion {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// One fingerprint gave two different results.
    #[error(transparent)]
    Nondeterministic(Box<Nondeterminism>),
    /// A shared word that cannot be read.
    #[error(transparent)]
    Core(#[from] CoreError),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Tells whether what was to be written may stand there all the same: the answer of an object store was lost. What a
    /// local disk refused may be found there too and still not survive, so that is none of these.
    pub(crate) fn is_unsettled(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }

    /// Tells whose move it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. }
            | Self::RecordConflict { .. }
            | Self::Condemned { .. }
            | Self::LeaseLost { .. }
            | Self::HeadMoved { .. }
            | Self::Busy { .. } => ErrorKind::Conflict,
            // An address that leads through a file is a wrong one.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
                ErrorKind::Input
            }
            Self::Io { .. }
            | Self::Remote { .. }
            | Self::ShortWrite { .. }
            | Self::FlushFailed { .. }
            | Self::Damaged { .. }
            | Self::DamagedData { .. } => ErrorKind::Environment,
            Self::Nondeterministic(_) | Self::Twice { .. } => ErrorKind::Bug,
            _ => ErrorKind::Input,
        }
    }

    /// Tells whether trying the same again may help: what is damaged stays so.
    pub fn is_transient(&self) -> bool {
        self.kind() == ErrorKind::Environment
            && !self.is_damage()
            && !matches!(self, Self::FlushFailed { .. })
    }

    /// Tells whether a file of the lake is missing or not what was written.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::DamagedData { .. })
    }

    /// Returns advice, if there is any.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotALake { entry, .. } if entry.starts_with('_') => {
                return Some(format!(
                    "this looks like a lake without its lake.json: bring that file back from a copy of the lake, or write it again: {{\"format\":{FORMAT},\"profile\":\"<the profile it was made with>\"}}"
                ));
            }
            Self::NotALake { .. } => {
                "give `--lake` an empty folder, or one that does not exist yet"
            }
            Self::NoLake { .. } => "`lakectl run` makes one; check `--lake` and `--profile`",
            Self::OtherProfile { lake, .. } => {
                return Some(format!(
                    "use `--profile {lake}`, or `--lake` with another folder"
                ));
            }
            Self::NewerFormat { .. } => "use the newer lakectl that wrote it",
            Self::Address { .. } => "give `--lake` a folder, or `s3://bucket/prefix`",
            Self::Access { hint, .. } | Self::Remote { hint, .. } => hint,
            Self::Io { source, .. } => return io_hint(source.kind()).map(str::to_owned),
            Self::ShortWrite { .. } => {
                "the disk may be full or failing; free some space and run again"
            }
            Self::FlushFailed { .. } => {
                "look at the disk, then run again: finished results are reused"
            }
            Self::Damaged { repair, .. } => repair,
            Self::DamagedData { .. } => DATA_REPAIR,
            Self::Value { .. } => {
                "quarantine such rows, or write null into a column that allows it"
            }
            Self::Diverged { .. } => {
                "copy to a new folder, or to a lake that was copied from this one and not written to since"
            }
            Self::Expired { oldest, .. } => {
                return Some(format!(
                    "ask for version {oldest} or a later one; `[retention]` in configs/ says how long versions are kept"
                ));
            }
            Self::NoBranch { branch, .. } => {
                return Some(format!("`lakectl branch create {branch}` makes one"));
            }
            Self::BranchExists { .. } => {
                "choose another name, or delete it first: `lakectl branch delete`"
            }
            Self::MainBranch => "`lakectl rollback` goes back to an earlier version",
            Self::MergeConflicts { .. } => {
                "nothing was written; bring both to the same result, for example by a run on one after its definitions are those of the other, and merge again"
            }
            Self::Conflict { .. }
            | Self::RecordConflict { .. }
            | Self::HeadMoved { .. }
            | Self::Condemned { .. }
            | Self::LeaseLost { .. }
            | Self::Busy { .. } => {
                "run again: finished results are reused and only what changed is computed"
            }
            Self::Nondeterministic(_) => {
                "the stage depends on something that is not in its fingerprint (order, clock, randomness); mend it and raise its `version`"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Names the first of many things.
fn listed(things: &[String]) -> String {
    const MOST: usize = 20;
    let mut text = things[..things.len().min(MOST)].join(", ");
    if things.len() > MOST {
        text.push_str(&format!(" and {} more", things.len() - MOST));
    }
    text
}

fn io_hint(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; nothing published was touched: free some space and run again"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only; give `--lake` a folder that can be written"
        }
        io::ErrorKind::PermissionDenied => {
            "you may not use it; change its permissions or give `--lake` another folder"
        }
        io::ErrorKind::NotFound => {
            "a folder above it does not exist; make it, or check the spelling"
        }
        io::ErrorKind::NotADirectory => "a file stands where a folder is needed; check `--lake`",
        io::ErrorKind::Unsupported => {
            "the file system has no hard links, which safe commits need; use another disk"
        }
        _ => return None,
    })
}
