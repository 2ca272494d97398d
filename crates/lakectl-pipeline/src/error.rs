//! What can go wrong above the engine, the lake and the domain.

use std::path::PathBuf;

use lakectl_core::{CoreError, ErrorKind, PartitionKey, TableId};
use lakectl_sources::SourceError;
use thiserror::Error;

/// An error that reaches the user.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// A configuration file or `--set` is wrong.
    #[error("{place}: {message}")]
    Config {
        /// The file, or the flag.
        place: String,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A command's argument is wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file of the project could not be read or written.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stage's computation failed.
    #[error("{message}")]
    Stage {
        /// What is wrong, with row and key where known.
        message: String,
    },
    /// Documents of a damaged raw partition that nobody has any more.
    #[error(
        "{table} {partition}: {problem}, and {} of its {of} documents cannot be had again: {}", lost.len(), few(lost)
    )]
    Lost {
        /// The raw table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
        /// What is wrong with its file.
        problem: String,
        /// The documents, by their names, or by their ids where these are not known.
        lost: Vec<String>,
        /// All documents that the file had.
        of: u64,
    },
    /// A shared word is malformed.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A declaration or selection is wrong.
    #[error(transparent)]
    Declare(#[from] lakectl_dag::DeclareError),
    /// Stages that do not make a graph.
    #[error(transparent)]
    Graph(#[from] lakectl_dag::GraphError),
    /// A selector that finds nothing, or too much.
    #[error(transparent)]
    Select(#[from] lakectl_dag::SelectError),
    /// A request that cannot be planned.
    #[error(transparent)]
    Plan(#[from] lakectl_dag::PlanError),
    /// The lake refused.
    #[error(transparent)]
    Store(#[from] lakectl_store::StoreError),
    /// A query is wrong or failed.
    #[error(transparent)]
    Sql(#[from] lakectl_sql::SqlError),
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The simulated market cannot be made.
    #[error(transparent)]
    Market(#[from] lakectl_market::MarketError),
    /// Arrow refused a batch: a defect of ours.
    #[error("cannot assemble rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl PipelineError {
    /// Builds a configuration error.
    pub fn config(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config {
            place: place.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// Builds a usage error.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// Builds a stage error.
    pub fn stage(message: impl Into<String>) -> Self {
        Self::Stage {
            message: message.into(),
        }
    }

    /// Tells whether trying the same again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Io { .. } => true,
            _ => false,
        }
    }

    /// Returns whose move it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::Sql(error) => error.kind(),
            // What fails on its way, not for what was asked.
            Self::Io { .. } | Self::Stage { .. } | Self::Lost { .. } => ErrorKind::Environment,
            Self::Arrow(_) => ErrorKind::Bug,
            _ => ErrorKind::Input,
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config { hint, .. } | Self::Usage { hint, .. } => hint.clone(),
            Self::Store(error) => error.hint(),
            Self::Declare(error) => error.hint.clone(),
            Self::Source(SourceError::Read { .. }) => Some(
                "let the program read it, then run again; `exclude` in the dataset's declaration leaves a file out for good"
                    .to_owned(),
            ),
            Self::Lost { .. } => Some(
                "put them back where the source reads them, or restore the file from a copy of the lake (`lakectl copy` mends what is damaged); or give each of them up with `lakectl override exclude-document <name or digest> --why ...` and run again: the partition then goes on without them. What was computed from them stays published until then"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// So many names are told in a message.
const NAMES_TOLD: usize = 10;

fn few(names: &[String]) -> String {
    let told = names[..names.len().min(NAMES_TOLD)].join(", ");
    match names.len().saturating_sub(NAMES_TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}
