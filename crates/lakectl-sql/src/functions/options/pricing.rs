//! Pricing in SQL: Black-76, implied volatility, times and strikes.

use lakectl_options::black::{self, BlackError, BlackInput, Greeks};
use lakectl_options::contract::year_fraction;
use lakectl_options::implied::implied_vol;
use lakectl_options::strike::{DeltaConvention, strike_from_delta};

use super::super::FunctionInfo;
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::kind;

const BLACK_ARGS: &[Arg] = &[
    Arg::Kind,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
];

/// The names of the fields that `black76_greeks` returns.
const GREEKS: &[&str] = &[
    "price",
    "delta",
    "gamma",
    "vega",
    "theta",
    "rho",
    "vanna",
    "volga",
    "charm",
    "speed",
    "dual_delta",
];

/// (option_type, forward, strike, expiry_years, sigma [, rate])
fn black_input(row: &[f64]) -> Option<BlackInput> {
    let input = BlackInput::forward(kind(row[0])?, row[1], row[2], row[3], row[4]);
    Some(input.discounted(row.get(5).copied().unwrap_or(0.0)))
}

fn greeks(row: &[f64]) -> Option<Greeks> {
    black::greeks(&black_input(row)?).ok()
}

fn black_status(row: &[f64]) -> &'static str {
    let Some(input) = black_input(row) else {
        return "option_type";
    };
    match black::greeks(&input) {
        Ok(_) => "ok",
        Err(BlackError::Underlying) => "forward",
        Err(BlackError::Strike) => "strike",
        Err(BlackError::Expiry) => "expiry_years",
        Err(BlackError::Volatility) => "sigma",
        Err(BlackError::Rate) => "rate",
        Err(BlackError::Overflow) => "overflow",
    }
}

fn all_greeks(row: &[f64], out: &mut [f64]) -> Option<()> {
    let g = greeks(row)?;
    out.copy_from_slice(&[
        g.price,
        g.delta,
        g.gamma,
        g.vega,
        g.theta,
        g.rho,
        g.vanna,
        g.volga,
        g.charm,
        g.speed,
        g.dual_delta,
    ]);
    Some(())
}

/// Price, or one greek, of an option on a forward.
macro_rules! black76 {
    ($name:literal, $field:ident, $what:literal) => {
        ScalarSpec {
            info: FunctionInfo {
                name: $name,
                version: 1,
                signature: concat!($name, "(option_type, forward, strike, expiry_years, sigma [, rate]) -> double"),
                doc: concat!(
                    $what,
                    " of a European option on a forward (Black-76, `rate` continuous, 0 unless given), in dollars. \
                     `option_type` is `call` or `put`; forward, strike, time and volatility must be positive. Null \
                     otherwise: see `black76_status`."
                ),
                example: concat!($name, "(option_type, forward, strike, expiry_years, sigma)"),
            },
            args: BLACK_ARGS,
            required: 5,
            body: Body::Number(|row| greeks(row).map(|g| g.$field)),
        }
    };
}

/// (option_type, forward, strike, expiry_years, price)
fn implied(row: &[f64]) -> Option<f64> {
    implied_vol(kind(row[0])?, row[4], row[1], row[2], row[3]).ok()
}

fn implied_status(row: &[f64]) -> &'static str {
    let Some(kind) = kind(row[0]) else {
        return "option_type";
    };
    match implied_vol(kind, row[4], row[1], row[2], row[3]) {
        Ok(_) => "ok",
        Err(error) => error.word(),
    }
}

/// (option_type, delta, forward, expiry_years, sigma)
fn strike_at(row: &[f64], convention: DeltaConvention) -> Option<f64> {
    strike_from_delta(kind(row[0])?, row[1], row[2], row[3], row[4], convention).ok()
}

pub(super) static SCALARS: &[ScalarSpec] = &[
    black76!("black76_price", price, "Premium"),
    black76!("black76_delta", delta, "Delta dV/dF"),
    black76!("black76_gamma", gamma, "Gamma d2V/dF2"),
    black76!(
        "black76_vega",
        vega,
        "Vega dV/dsigma per 1.00 of volatility"
    ),
    black76!("black76_theta", theta, "Theta dV/dt per year"),
    black76!(
        "black76_rho",
        rho,
        "Rho dV/drate per 1.00 with the forward held"
    ),
    black76!("black76_vanna", vanna, "Vanna d2V/dF dsigma"),
    black76!("black76_volga", volga, "Volga d2V/dsigma2"),
    black76!(
        "black76_charm",
        charm,
        "Charm, the change of delta per year of passing time"
    ),
    ScalarSpec {
        info: FunctionInfo {
            name: "black76_greeks",
            version: 1,
            signature: "black76_greeks(option_type, forward, strike, expiry_years, sigma [, rate]) -> struct{price, delta, gamma, vega, theta, rho, vanna, volga, charm, speed, dual_delta}",
            doc: "Premium and ten greeks in one call, about the cost of one of them: `black76_greeks(...)['gamma']`. A null struct where \
                  `black76_status` is not `ok`.",
            example: "black76_greeks(option_type, forward, strike, expiry_years, sigma)",
        },
        args: BLACK_ARGS,
        required: 5,
        body: Body::Record(GREEKS, all_greeks),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "black76_status",
            version: 1,
            signature: "black76_status(option_type, forward, strike, expiry_years, sigma [, rate]) -> text",
            doc: "Why the Black-76 functions are null: `ok`, `missing_input`, `overflow`, or the argument outside its domain \
                  (`option_type`, `forward`, `strike`, `expiry_years`, `sigma`, `rate`).",
            example: "black76_status(option_type, forward, strike, expiry_years, sigma)",
        },
        args: BLACK_ARGS,
        required: 5,
        body: Body::Word(black_status),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "implied_vol",
            version: 1,
            signature: "implied_vol(option_type, forward, strike, expiry_years, price) -> double",
            doc: "Black-76 volatility of an undiscounted price in dollars (a coin price times the forward). Null without one: see \
                  `implied_vol_status`.",
            example: "implied_vol(option_type, forward, strike, expiry_years, price)",
        },
        args: &[
            Arg::Kind,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
        ],
        required: 5,
        body: Body::Number(implied),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "implied_vol_status",
            version: 1,
            signature: "implied_vol_status(option_type, forward, strike, expiry_years, price) -> text",
            doc: "Why `implied_vol` is null: `ok`, `missing_input`, `option_type`, `no_time_value`, `below_intrinsic`, `above_max`, `bad_input`.",
            example: "implied_vol_status(option_type, forward, strike, expiry_years, price)",
        },
        args: &[
            Arg::Kind,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
        ],
        required: 5,
        body: Body::Word(implied_status),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "year_fraction",
            version: 1,
            signature: "year_fraction(from_time, to_time) -> double",
            doc: "Time between two instants in years of 365 days, negative if the second is earlier.",
            example: "year_fraction(event_time, expiry)",
        },
        args: &[Arg::Time, Arg::Time],
        required: 2,
        body: Body::Number(|row| Some(year_fraction(row[0] as i64, row[1] as i64))),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "strike_from_delta",
            version: 1,
            signature: "strike_from_delta(option_type, delta, forward, expiry_years, sigma) -> double",
            doc: "Strike with this forward delta (`N(d1)`, negative for puts) at one volatility. Null if there is none.",
            example: "strike_from_delta(option_type, delta, forward, expiry_years, sigma)",
        },
        args: BLACK_ARGS.split_at(5).0,
        required: 5,
        body: Body::Number(|row| strike_at(row, DeltaConvention::Forward)),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "strike_from_coin_delta",
            version: 1,
            signature: "strike_from_coin_delta(option_type, delta, forward, expiry_years, sigma) -> double",
            doc: "Strike with this premium-adjusted delta (`(K/F) N(d2)`, negative for puts) at one volatility; of two call strikes the one \
                  out of the money. Null if there is none.",
            example: "strike_from_coin_delta(option_type, delta, forward, expiry_years, sigma)",
        },
        args: BLACK_ARGS.split_at(5).0,
        required: 5,
        body: Body::Number(|row| strike_at(row, DeltaConvention::PremiumAdjusted)),
    },
];
