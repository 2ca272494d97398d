//! Features in, predictions out: the learners of the pipeline.
//!
//! ```text
//! feature frame + daily closes -> Dataset (purged by label time) -> QuantileModel -> Forecast
//! surface grids                -> SurfacePca                     -> five factor scores
//! state features               -> RegimeModel                    -> filtered state probabilities
//! daily returns                -> baselines                      -> quantiles to be beaten
//! ```
//!
//! Nothing here knows where rows are stored, and nothing reads a clock: the caller passes rows whose times
//! are microseconds since 1970 in UTC and asks for a fit on what was known at one of them. All fits are
//! deterministic; the only randomness (starts of the mixture) comes from a seed of the caller. Fitted models
//! are plain values that round-trip through JSON without losing a bit (see [`artifact`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod artifact;
pub mod baseline;
pub mod dataset;
mod error;
mod exact;
mod linalg;
pub mod pca;
pub mod quantile;
pub mod regime;

pub use artifact::Artifact;
pub use dataset::{Dataset, DatasetSpec, Feature, Label, Role};
pub use error::ModelError;
pub use pca::{PcaConfig, SurfacePca};
pub use quantile::{FitConfig, Forecast, LEVELS, QuantileModel};
pub use regime::{RegimeConfig, RegimeModel};
