//! What can be wrong with a declaration or with reading a file.

use std::path::PathBuf;

use lakectl_core::ErrorKind;
use thiserror::Error;

/// A declaration that cannot be used, or a file that cannot be read. What is wrong *inside* a document is a reject.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A key of a dataset's declaration is wrong.
    #[error("sources.{source_name}.datasets.{dataset}: `{key}`: {problem}")]
    Declaration {
        /// The source, for example `archive`.
        source_name: String,
        /// The dataset.
        dataset: String,
        /// The key inside the dataset's block.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The root folder of the archive is not there.
    #[error(
        "the archive's root `{}` is not a folder; set it with `--set sources.archive.root=<folder>`",
        path.display()
    )]
    RootMissing {
        /// The configured root.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl SourceError {
    /// Tells whose move it is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Declaration { .. } | Self::RootMissing { .. } => ErrorKind::Input,
            Self::Read { .. } => ErrorKind::Environment,
        }
    }
}
