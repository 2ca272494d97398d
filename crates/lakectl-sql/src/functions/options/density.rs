//! Risk-neutral densities of smiles in SQL.

use lakectl_options::density::{
    cumulative, density, moments, price_cumulative, price_density, price_quantile, put_wing_slope,
    quantiles, tail_mass, tail_mass_delta, tail_mass_deviations,
};

use super::super::FunctionInfo;
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::smile::{SVI_AT, svi, svi_at};

/// One function of the distribution in dollars: a smile, its forward and one more argument.
macro_rules! in_dollars {
    ($name:literal, $arg:literal, $doc:literal, $body:expr) => {
        ScalarSpec {
            info: FunctionInfo {
                name: $name,
                version: 1,
                signature: concat!(
                    $name,
                    "(a, b, rho, m, sigma, forward, ",
                    $arg,
                    ") -> double"
                ),
                doc: concat!(
                    $doc,
                    " Null where the variance or the forward is not positive."
                ),
                example: concat!(
                    $name,
                    "(svi_a, svi_b, svi_rho, svi_m, svi_sigma, forward, ",
                    $arg,
                    ")"
                ),
            },
            args: &[Arg::Number; 7],
            required: 7,
            body: Body::Number($body),
        }
    };
}

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
    in_dollars!(
        "density_pdf",
        "price",
        "Risk-neutral density of the settlement price, per dollar, at a price.",
        |row| price_density(&svi(row)?, row[5], row[6])
    ),
    in_dollars!(
        "density_cdf",
        "price",
        "Risk-neutral probability that the settlement price is at most a price.",
        |row| price_cumulative(&svi(row)?, row[5], row[6])
    ),
    in_dollars!(
        "density_quantile",
        "tau",
        "Settlement price, dollars, below which the risk-neutral probability is `tau`.",
        |row| price_quantile(&svi(row)?, row[5], row[6]).ok()
    ),
    ScalarSpec {
        info: FunctionInfo {
            name: "density_mass",
            version: 1,
            signature: "density_mass(a, b, rho, m, sigma) -> struct{mass, mean_ratio, negative_mass}",
            doc: "How well the density of ln(S_T / F) under a smile holds together over |k| <= 12.04, in closed form: its mass and the mean \
                  of S_T / F (both one for a sound smile), and the mass of its negative part. A null record where the total variance is \
                  not positive at some |k| <= 12.04.",
            example: "density_mass(svi_a, svi_b, svi_rho, svi_m, svi_sigma)",
        },
        args: &[Arg::Number; 5],
        required: 5,
        body: Body::Record(&["mass", "mean_ratio", "negative_mass"], |row, out| {
            let m = moments(&svi(row)?).ok()?;
            out.copy_from_slice(&[m.mass, m.mean_ratio, m.negative_mass]);
            Some(())
        }),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "density_moments",
            version: 2,
            signature: "density_moments(a, b, rho, m, sigma) -> struct{mass, mean_ratio, negative_mass, mean, variance, skewness, kurtosis, beyond_share}",
            doc: "What the density of ln(S_T / F) under a smile integrates to: the numbers of `density_mass`, and over all log returns, good \
                  to about 1e-9, mean, variance, skewness and kurtosis, with the share of the mean square that comes from beyond \
                  |k| = 12.04 and is extrapolation. A null record where that of `density_mass` is, and where there are no moments: a wing \
                  beyond Lee's bound (the mass over all log returns is not one), or so much negative density that the variance is not \
                  positive.",
            example: "density_moments(svi_a, svi_b, svi_rho, svi_m, svi_sigma)",
        },
        args: &[Arg::Number; 5],
        required: 5,
        body: Body::Record(
            &[
                "mass",
                "mean_ratio",
                "negative_mass",
                "mean",
                "variance",
                "skewness",
                "kurtosis",
                "beyond_share",
            ],
            |row, out| {
                let m = moments(&svi(row)?).ok()?;
                let l = m.log_return?;
                out.copy_from_slice(&[
                    m.mass,
                    m.mean_ratio,
                    m.negative_mass,
                    l.mean,
                    l.variance,
                    l.skewness,
                    l.kurtosis,
                    l.beyond.second,
                ]);
                Some(())
            },
        ),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "density_tails",
            version: 1,
            signature: "density_tails(a, b, rho, m, sigma, share, deviations, delta) -> struct{left_share, right_share, left_deviations, right_deviations, left_delta, right_delta}",
            doc: "Risk-neutral probabilities of ending further from the forward than `share` of it, than so many standard deviations at the \
                  money, and beyond the put and the call of a forward delta. Null if one of the six has no value.",
            example: "density_tails(svi_a, svi_b, svi_rho, svi_m, svi_sigma, share, 2, 0.10)",
        },
        args: &[Arg::Number; 8],
        required: 8,
        body: Body::Record(
            &[
                "left_share",
                "right_share",
                "left_deviations",
                "right_deviations",
                "left_delta",
                "right_delta",
            ],
            |row, out| {
                let smile = svi(row)?;
                let tails = [
                    tail_mass(&smile, row[5]).ok()?,
                    tail_mass_deviations(&smile, row[6]).ok()?,
                    tail_mass_delta(&smile, row[7]).ok()?,
                ];
                for (pair, tail) in out.chunks_exact_mut(2).zip(tails) {
                    pair.copy_from_slice(&[tail.left, tail.right]);
                }
                Some(())
            },
        ),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "variance_swap_vol",
            version: 2,
            signature: "variance_swap_vol(a, b, rho, m, sigma, expiry_years) -> double",
            doc: "Volatility of a variance swap under a smile: the root of -2 E[ln(S_T / F)] a year over the whole density, tails included, \
                  which is the price of a log contract and of the strip of out-of-the-money options over all strikes. Null where the \
                  density's mass is not one (a wing beyond Lee's bound) or the variance not positive. `beyond_share` of `density_moments` \
                  says how much of a variance is extrapolated beyond every price.",
            example: "variance_swap_vol(svi_a, svi_b, svi_rho, svi_m, svi_sigma, expiry_years)",
        },
        args: SVI_AT,
        required: 6,
        body: Body::Number(|row| {
            let whole = moments(&svi(row)?).ok()?.log_return?;
            whole.variance_swap_vol(row[5])
        }),
    },
    svi_at!(
        "put_wing_slope",
        "expiry_years",
        "How volatility climbs into the put wing, (IV(10p) - IV(25p)) / (k(25p) - k(10p)): positive when far puts are dearer.",
        |row| put_wing_slope(&svi(row)?, row[5])
    ),
];
