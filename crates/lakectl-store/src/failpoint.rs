//! Points at which a test can make the process die, between the steps that make a result durable.
//!
//! They do something only if the environment variable `LAKE_FAILPOINT` names one, as `<point>` or `<point>:<n>`: then
//! the process ends on the spot when it gets there for the nth time, without unwinding, flushing or any farewell, as
//! if it had been killed. Nothing else reads or sets that variable.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A point between two steps. Words of [`Failpoint::word`] name them outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// A data file has its name; neither is flushed.
    FileWritten,
    /// All data files of a wave are durable, no cell says so.
    FilesFlushed,
    /// A name that had to be new is there; its folder is not flushed.
    NameLinked,
    /// The cells of a wave are durable; the run does not know it yet.
    CellsRecorded,
    /// A run is about to commit.
    BeforeCommit,
    /// A run has committed; nobody was told.
    Committed,
    /// A file of a projection is written; others may not be, and nothing says how far it is.
    Projecting,
    /// Collection has said which versions are not kept any more.
    VersionsExpired,
    /// Collection has committed the names of what it is going to remove to one branch.
    NamesCondemned,
    /// No recorded result refers to what collection is going to remove.
    ResultsForgotten,
    /// Collection has removed some files.
    FilesRemoved,
}

impl Failpoint {
    /// Every point, in the order in which a run gets there.
    pub const ALL: [Self; 7] = [
        Self::FileWritten,
        Self::FilesFlushed,
        Self::NameLinked,
        Self::CellsRecorded,
        Self::BeforeCommit,
        Self::Committed,
        Self::Projecting,
    ];

    /// Every point of a collection, in the order in which it gets there.
    pub const COLLECTION: [Self; 4] = [
        Self::VersionsExpired,
        Self::NamesCondemned,
        Self::ResultsForgotten,
        Self::FilesRemoved,
    ];

    /// Its name in `LAKE_FAILPOINT`.
    pub fn word(self) -> &'static str {
        match self {
            Self::FileWritten => "file-written",
            Self::FilesFlushed => "files-flushed",
            Self::NameLinked => "name-linked",
            Self::CellsRecorded => "cells-recorded",
            Self::BeforeCommit => "before-commit",
            Self::Committed => "committed",
            Self::Projecting => "projecting",
            Self::VersionsExpired => "versions-expired",
            Self::NamesCondemned => "names-condemned",
            Self::ResultsForgotten => "results-forgotten",
            Self::FilesRemoved => "files-removed",
        }
    }

    /// Ends the process if this is the point, and the time, at which it was told to die.
    pub fn reached(self) {
        static DEATH: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static TIMES: AtomicU64 = AtomicU64::new(0);
        let death = DEATH.get_or_init(|| std::env::var("LAKE_FAILPOINT").ok().map(parse));
        if let Some((word, nth)) = death
            && word == self.word()
            && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == *nth
        {
            std::process::abort();
        }
    }
}

/// `<point>:<n>`, the first time if there is no number.
fn parse(text: String) -> (String, u64) {
    match text.split_once(':') {
        Some((word, nth)) => (word.to_owned(), nth.parse().unwrap_or(1)),
        None => (text, 1),
    }
}
