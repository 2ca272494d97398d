//! Option functions over the kernels of `lakectl-options`.

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::scalar::ScalarStructBuilder;
use datafusion::common::{Result, ScalarValue};
use lakectl_options::OptionKind;
use lakectl_options::black::{self, BlackError, BlackInput, Greeks};
use lakectl_options::contract::year_fraction;
use lakectl_options::density::{cumulative, density, quantiles, tail_mass};
use lakectl_options::implied::implied_vol;
use lakectl_options::smile::{FitError, RawSvi, Smile, SviFit, fit_svi};
use lakectl_options::strike::{DeltaConvention, smile_delta, strike_from_delta};

use super::FunctionInfo;
use super::aggregate::AggregateSpec;
use super::scalar::{Arg, Body, ScalarSpec};

const BLACK_ARGS: &[Arg] = &[
    Arg::Kind,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
];
const SVI_AT: &[Arg] = &[Arg::Number; 6];
const SVI_AT_EXPIRY: &[Arg] = &[Arg::Number; 7];

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

fn kind(sign: f64) -> Option<OptionKind> {
    match sign {
        1.0 => Some(OptionKind::Call),
        -1.0 => Some(OptionKind::Put),
        _ => None,
    }
}

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

/// Reads (a, b, rho, m, sigma) from the beginning of `row`.
fn svi(row: &[f64]) -> Option<RawSvi> {
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
fn svi_delta(row: &[f64]) -> Option<f64> {
    smile_delta(&svi(&row[2..])?, kind(row[0])?, row[1])
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
                    " The five parameters are those of raw SVI, as `svi_fit` returns them."
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
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_vol",
            version: 1,
            signature: "svi_vol(a, b, rho, m, sigma, k, expiry_years) -> double",
            doc: "Volatility of a smile at log moneyness `k`. Null where the variance is not positive.",
            example: "svi_vol(svi_a, svi_b, svi_rho, svi_m, svi_sigma, k, expiry_years)",
        },
        args: SVI_AT_EXPIRY,
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
        args: &[
            Arg::Kind,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
        ],
        required: 7,
        body: Body::Number(svi_delta),
    },
];

pub(super) static AGGREGATES: &[AggregateSpec] = &[AggregateSpec {
    info: FunctionInfo {
        name: "svi_fit",
        version: 1,
        signature: "svi_fit(k, iv, weight, expiry_years) -> struct{a, b, rho, m, sigma, rmse_vol, quotes, g_min, butterfly_free, status}",
        doc: "Raw SVI through the quotes of one slice: log moneyness, volatility, weight (vega over spread, or 1) and the one time to \
              expiry. Rows with a missing value are left out; the order of rows does not matter. `rmse_vol` is unweighted and a \
              fraction (0.005 is half a vol point); `g_min` is the smallest g(k). `status` is `ok`, `too_few_quotes` (less than five), \
              `bad_quote`, `bad_expiry`, `several_expiries` or `no_fit`; the other fields are null unless it is `ok`.",
        example: "svi_fit(k, iv, weight, 0.25)",
    },
    args: 4,
    required: 4,
    ordered: false,
    output: svi_fit_type,
    evaluate: svi_fit_value,
}];

fn svi_fit_fields() -> Fields {
    let number = |name| Field::new(name, DataType::Float64, true);
    vec![
        number("a"),
        number("b"),
        number("rho"),
        number("m"),
        number("sigma"),
        number("rmse_vol"),
        Field::new("quotes", DataType::Int64, true),
        number("g_min"),
        Field::new("butterfly_free", DataType::Boolean, true),
        Field::new("status", DataType::Utf8, true),
    ]
    .into()
}

fn svi_fit_type() -> DataType {
    DataType::Struct(svi_fit_fields())
}

fn svi_fit_value(columns: &[&[f64]]) -> Result<ScalarValue> {
    let (fit, status) = match fit_slice(columns) {
        Ok(fit) => (Some(fit), "ok"),
        Err(status) => (None, status),
    };
    let number = |pick: fn(&SviFit) -> f64| ScalarValue::Float64(fit.as_ref().map(pick));
    let values = [
        number(|f| f.svi.a),
        number(|f| f.svi.b),
        number(|f| f.svi.rho),
        number(|f| f.svi.m),
        number(|f| f.svi.sigma),
        number(|f| f.rmse_vol),
        ScalarValue::Int64(fit.map(|f| f.quotes as i64)),
        ScalarValue::Float64(fit.and_then(|f| f.g_min)),
        ScalarValue::Boolean(fit.map(|f| f.butterfly_free)),
        ScalarValue::Utf8(Some(status.to_owned())),
    ];
    svi_fit_fields()
        .iter()
        .zip(values)
        .fold(ScalarStructBuilder::new(), |row, (field, value)| {
            row.with_scalar(field.clone(), value)
        })
        .build()
}

fn fit_slice(columns: &[&[f64]]) -> Result<SviFit, &'static str> {
    let rows = columns.first().map_or(0, |column| column.len());
    let complete = |row: &usize| columns.iter().all(|column| !column[*row].is_nan());
    let kept: Vec<usize> = (0..rows).filter(complete).collect();
    let column = |i: usize| {
        kept.iter()
            .map(|row| columns[i][*row])
            .collect::<Vec<f64>>()
    };
    let expiries = column(3);
    let Some(expiry_years) = expiries.first().copied() else {
        return Err("too_few_quotes");
    };
    if expiries.iter().any(|expiry| *expiry != expiry_years) {
        return Err("several_expiries");
    }
    fit_svi(&column(0), &column(1), &column(2), expiry_years).map_err(|error| match error {
        FitError::TooFewQuotes => "too_few_quotes",
        FitError::LengthMismatch | FitError::BadQuote => "bad_quote",
        FitError::BadExpiry => "bad_expiry",
        FitError::NoFit => "no_fit",
    })
}
