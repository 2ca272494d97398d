//! Raw SVI in SQL: values, deltas, certificate and repair of a smile.

use lakectl_options::smile::{Range, RawSvi, Smile, calendar_on, certify, lowest_g, repair};
use lakectl_options::strike::{DeltaConvention, delta_quotes, smile_delta_in};
use lakectl_options::surface::forward_vol;

use super::super::FunctionInfo;
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::kind;

const A: Arg = Arg::Part("a");
const B: Arg = Arg::Part("b");
const RHO: Arg = Arg::Part("rho");
const M: Arg = Arg::Part("m");
const SIGMA: Arg = Arg::Part("sigma");
const NUMBER: Arg = Arg::Number;
/// Five parameters, or a record of them, and one number more.
pub(super) const SVI_AT: &[Arg] = &[A, B, RHO, M, SIGMA, NUMBER];
const SVI_AT_TWO: &[Arg] = &[A, B, RHO, M, SIGMA, NUMBER, NUMBER];
const SVI_AT_THREE: &[Arg] = &[A, B, RHO, M, SIGMA, NUMBER, NUMBER, NUMBER];
const KIND_SIZE_SVI: &[Arg] = &[Arg::Kind, NUMBER, A, B, RHO, M, SIGMA];
const TWO_SVI_AND_RANGE: &[Arg] = &[A, B, RHO, M, SIGMA, A, B, RHO, M, SIGMA, NUMBER, NUMBER];

/// Reads (a, b, rho, m, sigma) from the beginning of `row`.
pub(super) fn svi(row: &[f64]) -> Option<RawSvi> {
    let smile = RawSvi {
        a: row[0],
        b: row[1],
        rho: row[2],
        m: row[3],
        sigma: row[4],
    };
    smile.validate().ok().map(|()| smile)
}

fn svi_g(row: &[f64]) -> Option<f64> {
    let smile = svi(row)?;
    (smile.total_variance(row[5]) > 0.0).then(|| smile.density_factor(row[5]))
}

/// (option_type, size, a, b, rho, m, sigma)
fn svi_delta(row: &[f64], convention: DeltaConvention) -> Option<f64> {
    smile_delta_in(&svi(&row[2..])?, kind(row[0])?, row[1], convention)
}

/// One function of a smile at a log moneyness or another sixth argument.
macro_rules! svi_at {
    ($name:literal, $arg:literal, $doc:literal, $body:expr) => {
        ScalarSpec {
            info: FunctionInfo {
                name: $name,
                version: 1,
                signature: concat!($name, "(a, b, rho, m, sigma, ", $arg, ") -> double"),
                doc: concat!(
                    $doc,
                    " The five parameters are those of raw SVI; a record with these fields, as `svi_fit` returns it, stands for them."
                ),
                example: concat!(
                    $name,
                    "(svi_a, svi_b, svi_rho, svi_m, svi_sigma, ",
                    $arg,
                    ")"
                ),
            },
            args: SVI_AT,
            required: 6,
            body: Body::Number($body),
        }
    };
}
pub(super) use svi_at;

pub(super) static SCALARS: &[ScalarSpec] = &[
    svi_at!(
        "svi_total_variance",
        "k",
        "Total variance of a smile at log moneyness `k`.",
        |row| { Some(svi(row)?.total_variance(row[5])) }
    ),
    svi_at!(
        "svi_g",
        "k",
        "Durrleman's g(k): butterfly-free where it is not negative. Null where the variance is not positive.",
        svi_g
    ),
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_vol",
            version: 1,
            signature: "svi_vol(a, b, rho, m, sigma, k, expiry_years) -> double",
            doc: "Volatility of a smile at log moneyness `k`. Null where the variance is not positive.",
            example: "svi_vol(svi_a, svi_b, svi_rho, svi_m, svi_sigma, k, expiry_years)",
        },
        args: SVI_AT_TWO,
        required: 7,
        body: Body::Number(|row| svi(row)?.vol(row[5], row[6])),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_delta_k",
            version: 1,
            signature: "svi_delta_k(option_type, size, a, b, rho, m, sigma) -> double",
            doc: "Log moneyness on a smile at which the forward delta has the size `size` (0.25 for a 25-delta put or call), the root \
                  nearest to the money. Null if the smile never reaches it.",
            example: "svi_delta_k(option_type, tau, svi_a, svi_b, svi_rho, svi_m, svi_sigma)",
        },
        args: KIND_SIZE_SVI,
        required: 7,
        body: Body::Number(|row| svi_delta(row, DeltaConvention::Forward)),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_coin_delta_k",
            version: 1,
            signature: "svi_coin_delta_k(option_type, size, a, b, rho, m, sigma) -> double",
            doc: "Log moneyness out of the money at which the premium-adjusted delta `(K/F) N(d2)` has the size `size`. Null if it is \
                  reached nowhere: long expiries have calls of at most a small adjusted delta.",
            example: "svi_coin_delta_k(option_type, tau, svi_a, svi_b, svi_rho, svi_m, svi_sigma)",
        },
        args: KIND_SIZE_SVI,
        required: 7,
        body: Body::Number(|row| svi_delta(row, DeltaConvention::PremiumAdjusted)),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_delta_quotes",
            version: 1,
            signature: "svi_delta_quotes(a, b, rho, m, sigma, expiry_years) -> struct{atm_forward, atm_neutral, rr25, bf25, rr10, bf10}",
            doc: "A smile as traders quote it, in forward deltas: volatility at the forward and where a straddle has no delta, risk \
                  reversals (call less put, so negative when puts are dearer) and butterflies (mean of both less at the forward). A null \
                  record if one of them is not there.",
            example: "svi_delta_quotes(svi_a, svi_b, svi_rho, svi_m, svi_sigma, expiry_years)",
        },
        args: SVI_AT,
        required: 6,
        body: Body::Record(DELTA_QUOTES, |row, out| {
            quotes(row, out, DeltaConvention::Forward)
        }),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_coin_delta_quotes",
            version: 1,
            signature: "svi_coin_delta_quotes(a, b, rho, m, sigma, expiry_years) -> struct{atm_forward, atm_neutral, rr25, bf25, rr10, bf10}",
            doc: "As `svi_delta_quotes` in premium-adjusted deltas, the convention of options paid in the coin.",
            example: "svi_coin_delta_quotes(svi_a, svi_b, svi_rho, svi_m, svi_sigma, expiry_years)",
        },
        args: SVI_AT,
        required: 6,
        body: Body::Record(DELTA_QUOTES, |row, out| {
            quotes(row, out, DeltaConvention::PremiumAdjusted)
        }),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_jump_wings",
            version: 1,
            signature: "svi_jump_wings(a, b, rho, m, sigma, expiry_years) -> struct{v, psi, p, c, vt}",
            doc: "The jump-wings form: variance a year at the money, its skew, slopes of the put and the call wing, smallest variance a \
                  year. What to compare from one day to the next; the raw parameters of one smile can differ widely.",
            example: "svi_jump_wings(svi_a, svi_b, svi_rho, svi_m, svi_sigma, expiry_years)",
        },
        args: SVI_AT,
        required: 6,
        body: Body::Record(&["v", "psi", "p", "c", "vt"], jump_wings),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_certificate",
            version: 1,
            signature: "svi_certificate(a, b, rho, m, sigma, k_low, k_high) -> struct{g_min, g_argmin, g_min_range, g_argmin_range, lee_left, lee_right}",
            doc: "Smallest g(k) and its place, anywhere (|k| <= 12.04) and on a range, and the slopes of both wings (Lee: at most 2). A null \
                  record where the variance is not positive or the range is empty: see `svi_arbitrage`.",
            example: "svi_certificate(svi_a, svi_b, svi_rho, svi_m, svi_sigma, -share, share)",
        },
        args: SVI_AT_TWO,
        required: 7,
        body: Body::Record(CERTIFICATE, certificate),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_arbitrage",
            version: 1,
            signature: "svi_arbitrage(a, b, rho, m, sigma, k_low, k_high) -> text",
            doc: "The verdict of the certificate: `none`, `wings` (butterfly arbitrage or a wing beyond Lee's bound outside of the range \
                  only), `butterfly` (on the range), `no_variance` (not positive on the range), `parameters`, `range`, `missing_input`.",
            example: "svi_arbitrage(svi_a, svi_b, svi_rho, svi_m, svi_sigma, -share, share)",
        },
        args: SVI_AT_TWO,
        required: 7,
        body: Body::Word(arbitrage),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_calendar",
            version: 1,
            signature: "svi_calendar(near..., far..., k_low, k_high) -> struct{gap_min, gap_argmin, crossings}",
            doc: "Total variance of a far smile less that of a near one on a range: the smallest gap (negative is calendar arbitrage), its \
                  place, and how often they cross. Each smile is five parameters or a record of them. Null for parameters outside their \
                  domain or an empty range.",
            example: "svi_calendar(svi_a, svi_b, svi_rho, svi_m, svi_sigma, svi_a + 0.01, svi_b, -svi_rho, svi_m, svi_sigma, -share, share)",
        },
        args: TWO_SVI_AND_RANGE,
        required: 12,
        body: Body::Record(&["gap_min", "gap_argmin", "crossings"], calendar),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_repair",
            version: 1,
            signature: "svi_repair(a, b, rho, m, sigma, expiry_years, k_low, k_high) -> struct{a, b, rho, m, sigma, distance_vol}",
            doc: "The nearest smile without butterfly arbitrage on a range, and how far it is: root mean square volatility over the range. \
                  The smile itself where it has none. A null record if none was found or the input is outside its domain.",
            example: "svi_repair(svi_a, svi_b, svi_rho, svi_m, svi_sigma, expiry_years, -share, share)",
        },
        args: SVI_AT_THREE,
        required: 8,
        body: Body::Record(&["a", "b", "rho", "m", "sigma", "distance_vol"], repaired),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "forward_vol",
            version: 1,
            signature: "forward_vol(near_vol, near_years, far_vol, far_years) -> double",
            doc: "Volatility between two times from the volatilities to each. Null unless the times rise, and where total variance falls \
                  (calendar arbitrage).",
            example: "forward_vol(sigma, expiry_years, sigma, expiry_years + 0.1)",
        },
        args: &[NUMBER; 4],
        required: 4,
        body: Body::Number(|row| forward_vol(row[0], row[1], row[2], row[3])),
    },
];

const DELTA_QUOTES: &[&str] = &["atm_forward", "atm_neutral", "rr25", "bf25", "rr10", "bf10"];
const CERTIFICATE: &[&str] = &[
    "g_min",
    "g_argmin",
    "g_min_range",
    "g_argmin_range",
    "lee_left",
    "lee_right",
];
/// Strikes at which a repair measures its distance.
const REPAIR_POINTS: i32 = 33;

fn quotes(row: &[f64], out: &mut [f64], convention: DeltaConvention) -> Option<()> {
    let found = delta_quotes(&svi(row)?, row[5], convention)?;
    out.copy_from_slice(&[
        found.atm_forward,
        found.atm_neutral?,
        found.rr25?,
        found.bf25?,
        found.rr10?,
        found.bf10?,
    ]);
    Some(())
}

fn jump_wings(row: &[f64], out: &mut [f64]) -> Option<()> {
    let found = svi(row)?.to_jump_wings(row[5]).ok()?;
    out.copy_from_slice(&[found.v, found.psi, found.p, found.c, found.vt]);
    Some(())
}

fn certificate(row: &[f64], out: &mut [f64]) -> Option<()> {
    let found = certify(&svi(row)?, Range::new(row[5], row[6])?);
    let (all, range) = (found.lowest?, found.lowest_fitted?);
    out.copy_from_slice(&[all.g, all.k, range.g, range.k, found.wings.0, found.wings.1]);
    Some(())
}

fn arbitrage(row: &[f64]) -> &'static str {
    let Some(svi) = svi(row) else {
        return "parameters";
    };
    let Some(range) = Range::new(row[5], row[6]) else {
        return "range";
    };
    let found = certify(&svi, range);
    match found.lowest_fitted {
        None => "no_variance",
        Some(_) if !found.free_fitted => "butterfly",
        Some(_) if !found.free => "wings",
        Some(_) => "none",
    }
}

fn calendar(row: &[f64], out: &mut [f64]) -> Option<()> {
    let range = Range::new(row[10], row[11])?;
    let found = calendar_on((&svi(row)?, range), (&svi(&row[5..])?, range))?;
    out.copy_from_slice(&[found.min_gap, found.argmin, found.crossings.len() as f64]);
    Some(())
}

fn repaired(row: &[f64], out: &mut [f64]) -> Option<()> {
    let (smile, years, range) = (svi(row)?, row[5], Range::new(row[6], row[7])?);
    let mut found = (smile, 0.0);
    if !lowest_g(&smile, range).is_some_and(|lowest| lowest.g >= 0.0) {
        let step = (range.high - range.low) / f64::from(REPAIR_POINTS - 1);
        let sample = |i: i32| {
            let k = (range.low + f64::from(i) * step).min(range.high);
            Some((k, smile.vol(k, years)?, 1.0))
        };
        let quotes = (0..REPAIR_POINTS).map(sample).collect::<Option<Vec<_>>>()?;
        let free = repair(&smile, &quotes, years, range, None)?;
        found = (free.svi, free.distance_vol);
    }
    let (svi, distance) = found;
    out.copy_from_slice(&[svi.a, svi.b, svi.rho, svi.m, svi.sigma, distance]);
    Some(())
}

#[cfg(test)]
#[path = "smile_tests.rs"]
mod tests;
