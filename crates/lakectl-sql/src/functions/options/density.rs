//! Risk-neutral densities of smiles in SQL.

use lakectl_options::density::{cumulative, density, quantiles, tail_mass};

use super::super::FunctionInfo;
use super::super::scalar::{Body, ScalarSpec};
use super::smile::{SVI_AT, svi, svi_at};

pub(super) static SCALARS: &[ScalarSpec] = &[
    svi_at!(
        "svi_density",
        "k",
        "Risk-neutral density of ln(S_T / F) at `k`.",
        |row| density(&svi(row)?, row[5])
    ),
    svi_at!(
        "svi_cdf",
        "k",
        "Risk-neutral probability that ln(S_T / F) <= `k`.",
        |row| cumulative(&svi(row)?, row[5])
    ),
    svi_at!(
        "svi_quantile",
        "tau",
        "Risk-neutral quantile of ln(S_T / F) at probability `tau`.",
        |row| { quantiles(&svi(row)?, &row[5..6]).ok()?.first().copied() }
    ),
    svi_at!(
        "svi_tail_left",
        "share",
        "Risk-neutral probability of ending more than `share` below the forward.",
        |row| { tail_mass(&svi(row)?, row[5]).ok().map(|tails| tails.left) }
    ),
    svi_at!(
        "svi_tail_right",
        "share",
        "Risk-neutral probability of ending more than `share` above the forward.",
        |row| { tail_mass(&svi(row)?, row[5]).ok().map(|tails| tails.right) }
    ),
];
