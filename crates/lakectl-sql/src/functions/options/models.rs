//! SABR and surface SVI in SQL.

use lakectl_options::smile::{Phi, Sabr, SabrFormula, Ssvi};

use super::super::FunctionInfo;
use super::super::scalar::{Arg, Body, ScalarSpec};

const SABR_ARGS: &[Arg] = &[
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Part("alpha"),
    Arg::Part("beta"),
    Arg::Part("rho"),
    Arg::Part("nu"),
];
const SSVI_ARGS: &[Arg] = &[
    Arg::Number,
    Arg::Part("rho"),
    Arg::Part("eta"),
    Arg::Part("gamma"),
];
const SSVI_AT: &[Arg] = &[
    Arg::Number,
    Arg::Part("rho"),
    Arg::Part("eta"),
    Arg::Part("gamma"),
    Arg::Number,
];

/// (forward, strike, expiry_years, alpha, beta, rho, nu)
fn sabr(row: &[f64], formula: SabrFormula) -> Option<f64> {
    let sabr = Sabr {
        alpha: row[3],
        beta: row[4],
        rho: row[5],
        nu: row[6],
    };
    sabr.vol(row[0], row[1], row[2], formula)
}

/// (theta, rho, eta, gamma)
fn ssvi(row: &[f64]) -> Ssvi {
    Ssvi {
        rho: row[1],
        phi: Phi::Power {
            eta: row[2],
            gamma: row[3],
        },
    }
}

fn slice(row: &[f64], out: &mut [f64]) -> Option<()> {
    let raw = ssvi(row).slice(row[0]).ok()?;
    out.copy_from_slice(&[raw.a, raw.b, raw.rho, raw.m, raw.sigma]);
    Some(())
}

fn arbitrage(row: &[f64]) -> &'static str {
    match ssvi(row).conditions(row[0]) {
        None => "parameters",
        Some(found) if !found.butterfly_free => "butterfly_possible",
        Some(found) if !found.calendar_free => "calendar_possible",
        Some(_) => "none",
    }
}

pub(super) static SCALARS: &[ScalarSpec] = &[
    ScalarSpec {
        info: FunctionInfo {
            name: "sabr_vol",
            version: 1,
            signature: "sabr_vol(forward, strike, expiry_years, alpha, beta, rho, nu) -> double",
            doc: "Black volatility of a strike under SABR by the expansion of Hagan et al. (2002). A record with the last four, as \
                  `sabr_fit` returns it, stands for them. Null for input outside its domain and where the expansion is not positive.",
            example: "sabr_vol(forward, strike, expiry_years, sigma, 1, svi_rho, 1.5)",
        },
        args: SABR_ARGS,
        required: 7,
        body: Body::Number(|row| sabr(row, SabrFormula::Hagan)),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "sabr_vol_obloj",
            version: 1,
            signature: "sabr_vol_obloj(forward, strike, expiry_years, alpha, beta, rho, nu) -> double",
            doc: "As `sabr_vol`, with the leading term of Obloj (2008), which stays right far from the money for `beta` below 1.",
            example: "sabr_vol_obloj(forward, strike, expiry_years, 10 * sigma, 0.5, svi_rho, 1.5)",
        },
        args: SABR_ARGS,
        required: 7,
        body: Body::Number(|row| sabr(row, SabrFormula::Obloj)),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "ssvi_total_variance",
            version: 1,
            signature: "ssvi_total_variance(theta, rho, eta, gamma, k) -> double",
            doc: "Total variance at log moneyness `k` of the expiry with total variance `theta` at the money, under the power-law surface \
                  `phi = eta / (theta^gamma (1 + theta)^(1 - gamma))`. A record with `rho`, `eta`, `gamma`, as `ssvi_fit` returns it, \
                  stands for them.",
            example: "ssvi_total_variance(svi_a, svi_rho, 1.2, 0.4, k)",
        },
        args: SSVI_AT,
        required: 5,
        body: Body::Number(|row| ssvi(row).total_variance(row[0], row[4])),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "ssvi_svi",
            version: 1,
            signature: "ssvi_svi(theta, rho, eta, gamma) -> struct{a, b, rho, m, sigma}",
            doc: "The raw SVI slice of a power-law surface at `theta`, for every function that takes one.",
            example: "ssvi_svi(svi_a, svi_rho, 1.2, 0.4)",
        },
        args: SSVI_ARGS,
        required: 4,
        body: Body::Record(&["a", "b", "rho", "m", "sigma"], slice),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "ssvi_arbitrage",
            version: 1,
            signature: "ssvi_arbitrage(theta, rho, eta, gamma) -> text",
            doc: "What Gatheral and Jacquier's theorems exclude at `theta`: `none` (free of butterflies by theorem 4.2 and of calendars by \
                  4.1), `butterfly_possible`, `calendar_possible` (their conditions are sufficient only), `parameters`, `missing_input`.",
            example: "ssvi_arbitrage(svi_a, svi_rho, 8 * svi_b, 0.4)",
        },
        args: SSVI_ARGS,
        required: 4,
        body: Body::Word(arbitrage),
    },
];
