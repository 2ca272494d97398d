//! Option functions over the kernels of `lakectl-options`, one file per topic.

mod contracts;
mod density;
mod exposure;
mod fits;
mod forwards;
mod index;
mod models;
mod pricing;
mod quotes;
mod smile;
mod synthetic;

use lakectl_options::{OptionKind, Settlement};

use super::OwnFunction;
use super::aggregate::AggregateSpec;
use super::scalar::ScalarSpec;

/// The scalar functions of every topic.
pub(super) static SCALARS: &[&[ScalarSpec]] = &[
    pricing::SCALARS,
    quotes::SCALARS,
    forwards::SCALARS,
    synthetic::SCALARS,
    smile::SCALARS,
    models::SCALARS,
    density::SCALARS,
    index::SCALARS,
    exposure::SCALARS,
];

/// The aggregates of every topic.
pub(super) static AGGREGATES: &[&[AggregateSpec]] = &[
    fits::AGGREGATES,
    forwards::AGGREGATES,
    synthetic::AGGREGATES,
    index::AGGREGATES,
    exposure::AGGREGATES,
];

/// Functions of texts.
pub(super) static OWN: &[OwnFunction] = contracts::OWN;

/// An option type from the number that [`super::scalar::Arg::Kind`] gives for its text.
fn kind(sign: f64) -> Option<OptionKind> {
    match sign {
        1.0 => Some(OptionKind::Call),
        -1.0 => Some(OptionKind::Put),
        _ => None,
    }
}

/// A settlement from the number that [`super::scalar::Arg::Settlement`] gives for its text.
fn settlement(sign: f64) -> Option<Settlement> {
    match sign {
        1.0 => Some(Settlement::Linear),
        -1.0 => Some(Settlement::Inverse),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
