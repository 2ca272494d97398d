//! Pricing in SQL: Black-76, Black-Scholes-Merton, coin and venue units, times and strikes.

use lakectl_options::black::{self, BlackError, BlackInput, CoinGreeks, Greeks};
use lakectl_options::contract::year_fraction;
use lakectl_options::display::deribit_greeks;
use lakectl_options::strike::{DeltaConvention, strike_from_delta};

use super::super::FunctionInfo;
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::{kind, settlement};

const BLACK_ARGS: &[Arg] = &[
    Arg::Kind,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
];

const SCHOLES_ARGS: &[Arg] = &[
    Arg::Kind,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
];

/// The names of the fields that `coin_greeks` returns.
const COIN_GREEKS: &[&str] = &[
    "price",
    "delta",
    "premium_adjusted_delta",
    "gamma",
    "vega",
    "theta",
    "vanna",
    "volga",
    "charm",
];

/// The names of the fields that `deribit_greeks` returns.
const DERIBIT_GREEKS: &[&str] = &[
    "mark_price",
    "delta",
    "net_delta",
    "gamma",
    "vega",
    "theta",
    "rho",
];

/// The names of the fields that `black76_greeks` and `black_scholes_greeks` return.
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

/// (option_type, spot, strike, expiry_years, sigma [, rate [, yield_rate]])
fn scholes_input(row: &[f64]) -> Option<BlackInput> {
    let input = BlackInput::forward(kind(row[0])?, row[1], row[2], row[3], row[4]);
    let rate = |i: usize| row.get(i).copied().unwrap_or(0.0);
    Some(input.on_spot(rate(5), rate(6)))
}

fn greeks(row: &[f64]) -> Option<Greeks> {
    black::greeks(&black_input(row)?).ok()
}

fn coin_greeks(row: &[f64]) -> Option<CoinGreeks> {
    black::coin_greeks(&black_input(row)?).ok()
}

/// Why there are no greeks; `underlying` is the name of the argument.
fn status(input: Option<BlackInput>, underlying: &'static str) -> &'static str {
    let Some(input) = input else {
        return "option_type";
    };
    match black::greeks(&input) {
        Ok(_) => "ok",
        Err(BlackError::Underlying) => underlying,
        Err(BlackError::Strike) => "strike",
        Err(BlackError::Expiry) => "expiry_years",
        Err(BlackError::Volatility) => "sigma",
        Err(BlackError::Rate) => "rate",
        Err(BlackError::Overflow) => "overflow",
    }
}

fn write_greeks(g: &Greeks, out: &mut [f64]) {
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
}

fn all_greeks(row: &[f64], out: &mut [f64]) -> Option<()> {
    write_greeks(&greeks(row)?, out);
    Some(())
}

fn all_scholes(row: &[f64], out: &mut [f64]) -> Option<()> {
    write_greeks(&black::greeks(&scholes_input(row)?).ok()?, out);
    Some(())
}

fn all_coin(row: &[f64], out: &mut [f64]) -> Option<()> {
    let g = coin_greeks(row)?;
    out.copy_from_slice(&[
        g.price,
        g.delta,
        g.premium_adjusted_delta,
        g.gamma,
        g.vega,
        g.theta,
        g.vanna,
        g.volga,
        g.charm,
    ]);
    Some(())
}

/// (option_type, settlement, forward, strike, expiry_years, sigma)
fn all_deribit(row: &[f64], out: &mut [f64]) -> Option<()> {
    let (kind, settlement) = (kind(row[0])?, settlement(row[1])?);
    let g = deribit_greeks(kind, settlement, row[2], row[3], row[4], row[5]).ok()?;
    out.copy_from_slice(&[
        g.mark_price,
        g.delta,
        g.net_delta,
        g.gamma,
        g.vega,
        g.theta,
        g.rho,
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
        "black76_vomma",
        volga,
        "Vomma d2V/dsigma2, another name of volga,"
    ),
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
        body: Body::Word(|row| status(black_input(row), "forward")),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "black_scholes_greeks",
            version: 1,
            signature: "black_scholes_greeks(option_type, spot, strike, expiry_years, sigma [, rate [, yield_rate]]) -> struct{price, delta, gamma, vega, theta, rho, vanna, volga, charm, speed, dual_delta}",
            doc: "Premium and ten greeks of a European option on a spot price (Black-Scholes-Merton; rates continuous, 0 unless given): \
                  `black_scholes_greeks(...)['price']`. Rho holds the spot. A null struct where `black_scholes_status` is not `ok`.",
            example: "black_scholes_greeks(option_type, forward, strike, expiry_years, sigma, y, 0.01)",
        },
        args: SCHOLES_ARGS,
        required: 5,
        body: Body::Record(GREEKS, all_scholes),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "black_scholes_status",
            version: 1,
            signature: "black_scholes_status(option_type, spot, strike, expiry_years, sigma [, rate [, yield_rate]]) -> text",
            doc: "Why `black_scholes_greeks` is null: `ok`, `missing_input`, `overflow`, or the argument outside its domain (`option_type`, \
                  `spot`, `strike`, `expiry_years`, `sigma`, `rate`).",
            example: "black_scholes_status(option_type, forward, strike, expiry_years, sigma)",
        },
        args: SCHOLES_ARGS,
        required: 5,
        body: Body::Word(|row| status(scholes_input(row), "spot")),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "coin_greeks",
            version: 1,
            signature: "coin_greeks(option_type, forward, strike, expiry_years, sigma [, rate]) -> struct{price, delta, premium_adjusted_delta, gamma, vega, theta, vanna, volga, charm}",
            doc: "Premium and greeks of a coin-settled option in coin, `C = V / F`: derivatives of C, and the premium-adjusted delta, \
                  which is the Black delta less C. A null struct where `black76_status` is not `ok`.",
            example: "coin_greeks(option_type, forward, strike, expiry_years, sigma)",
        },
        args: BLACK_ARGS,
        required: 5,
        body: Body::Record(COIN_GREEKS, all_coin),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "premium_adjusted_delta",
            version: 1,
            signature: "premium_adjusted_delta(option_type, forward, strike, expiry_years, sigma [, rate]) -> double",
            doc: "Delta of an option whose premium is paid in coin, `(K/F) N(d2)` for a call: the Black delta less the premium in coin. \
                  Null where `black76_status` is not `ok`.",
            example: "premium_adjusted_delta(option_type, forward, strike, expiry_years, sigma)",
        },
        args: BLACK_ARGS,
        required: 5,
        body: Body::Number(|row| coin_greeks(row).map(|g| g.premium_adjusted_delta)),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "deribit_greeks",
            version: 1,
            signature: "deribit_greeks(option_type, settlement, forward, strike, expiry_years, sigma) -> struct{mark_price, delta, net_delta, gamma, vega, theta, rho}",
            doc: "An option as Deribit's ticker shows it: mark in coin (`inverse`) or dollars (`linear`), Black delta, delta less the coin \
                  premium, vega and rho in dollars a percentage point, theta in dollars a day (over the rest of the life when that is \
                  less than a day), rho with the spot held. A null struct where `black76_status` is not `ok` or the settlement is neither.",
            example: "deribit_greeks(option_type, settlement, forward, strike, expiry_years, sigma)",
        },
        args: &[
            Arg::Kind,
            Arg::Settlement,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
        ],
        required: 6,
        body: Body::Record(DERIBIT_GREEKS, all_deribit),
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
            name: "seconds_between",
            version: 1,
            signature: "seconds_between(from_time, to_time) -> double",
            doc: "Time between two instants in seconds with its fraction, negative if the second is earlier. (`extract(epoch FROM a - b)` \
                  gives whole seconds.)",
            example: "seconds_between(event_time, expiry)",
        },
        args: &[Arg::Time, Arg::Time],
        required: 2,
        // The microseconds of two instants are whole numbers that a double holds, and so is their difference.
        body: Body::Number(|row| Some((row[1] - row[0]) / 1e6)),
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
