//! Option functions over the kernels of `lakectl-options`, one file per topic.

mod density;
mod exposure;
mod index;
mod pricing;
mod smile;

use lakectl_options::OptionKind;

use super::aggregate::AggregateSpec;
use super::scalar::ScalarSpec;

/// The scalar functions of every topic.
pub(super) static SCALARS: &[&[ScalarSpec]] = &[
    pricing::SCALARS,
    smile::SCALARS,
    density::SCALARS,
    index::SCALARS,
    exposure::SCALARS,
];

/// The aggregates of every topic.
pub(super) static AGGREGATES: &[&[AggregateSpec]] =
    &[smile::AGGREGATES, index::AGGREGATES, exposure::AGGREGATES];

/// An option type from the number that [`super::scalar::Arg::Kind`] gives for its text.
fn kind(sign: f64) -> Option<OptionKind> {
    match sign {
        1.0 => Some(OptionKind::Call),
        -1.0 => Some(OptionKind::Put),
        _ => None,
    }
}
