//! Saved models: one JSON document with everything needed to apply a model and to know where it came from.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// A model family that can be saved.
pub trait ModelKind: Serialize + DeserializeOwned {
    /// Name of the family in saved documents.
    const KIND: &'static str;
    /// Format and meaning of the family; raised when a saved model of the former version must not be applied.
    const VERSION: u32;
}

/// A fitted model with its origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifact<M> {
    /// Family, as [`ModelKind::KIND`].
    pub kind: String,
    /// Version of the family, as [`ModelKind::VERSION`].
    pub version: u32,
    /// Names of the inputs in the order the model takes them.
    pub features: Vec<String>,
    /// Training rows used.
    pub rows: usize,
    /// Earliest training row, microseconds since 1970 in UTC.
    pub trained_from: i64,
    /// Time at which the last training row was known, microseconds since 1970 in UTC.
    pub trained_to: i64,
    /// Seed of the fit; 0 for fits without randomness.
    pub seed: u64,
    /// The model.
    pub model: M,
}

/// Head of a document, read first so that a wrong kind gives a clear error.
#[derive(Deserialize)]
struct Head {
    kind: String,
    version: u32,
}

impl<M: ModelKind> Artifact<M> {
    /// Wraps a fitted model; `range` is (earliest training row, time the last one was known).
    pub fn new(model: M, features: Vec<String>, rows: usize, range: (i64, i64), seed: u64) -> Self {
        let (trained_from, trained_to) = range;
        Self {
            kind: M::KIND.to_string(),
            version: M::VERSION,
            features,
            rows,
            trained_from,
            trained_to,
            seed,
            model,
        }
    }

    /// Writes the document; equal models give equal text.
    ///
    /// # Errors
    /// [`ModelError::Artifact`] if the model cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, ModelError> {
        serde_json::to_string(self).map_err(|e| ModelError::Artifact {
            kind: M::KIND,
            reason: e.to_string(),
        })
    }

    /// Reads a document written by [`Artifact::to_json`].
    ///
    /// # Errors
    /// [`ModelError::Artifact`] for text that is no such document, another kind or another version.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Artifact {
            kind: M::KIND,
            reason,
        };
        let head: Head = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if head.kind != M::KIND {
            return Err(wrong(format!("it holds a `{}` model", head.kind)));
        }
        if head.version != M::VERSION {
            return Err(wrong(format!(
                "version {}, this program reads {}",
                head.version,
                M::VERSION
            )));
        }
        serde_json::from_str(text).map_err(|e| wrong(e.to_string()))
    }
}
