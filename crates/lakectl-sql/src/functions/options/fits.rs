//! Fits of smiles in SQL: aggregates over the quotes of a group.

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::scalar::ScalarStructBuilder;
use datafusion::common::{Result, ScalarValue};
use lakectl_options::smile::{
    Certificate, FitError, Phi, Range, SabrFit, SabrFormula, SsviFit, SsviQuotes, SviFit, certify,
    fit_sabr, fit_ssvi, fit_svi, quality,
};

use super::super::FunctionInfo;
use super::super::aggregate::AggregateSpec;

pub(super) static AGGREGATES: &[AggregateSpec] = &[
    AggregateSpec {
        info: FunctionInfo {
            name: "svi_fit",
            version: 3,
            signature: "svi_fit(k, iv, weight, expiry_years) or svi_fit(k, w, weight) -> struct{a, b, rho, m, sigma, rmse_vol, quotes, g_min, butterfly_free, status, leave_one_out_vol, k_min, k_max, g_argmin, g_min_fitted, butterfly_free_fitted, lee_left, lee_right, repaired}",
            doc: "Raw SVI through the quotes of one slice: log moneyness, volatility, weight (vega over spread, or 1) and the one time to \
                  expiry. With three arguments the second one is total variance; errors are then in its square root, as for an expiry of \
                  one year. Rows with a missing value are left out; the order of rows does not matter. `rmse_vol` is unweighted and a \
                  fraction (0.005 is half a vol point); `g_min` is the smallest g(k) anywhere, `g_min_fitted` that between `k_min` and \
                  `k_max`, the range of the quotes. `repaired`: the best fit had butterfly arbitrage beyond the quotes, and this one, at most \
                  0.05 vol points worse, has none anywhere. `status` is `ok`, for a fit without butterfly arbitrage between its quotes and \
                  with both wings within Lee's bound; `butterfly_arbitrage` (between the quotes: `svi_repair` gives the nearest smile \
                  without) or `lee_bound` (a wing steeper than two) for a fit to be used with care; and, with all other fields null, \
                  `too_few_quotes` (less than five strikes), `bad_quote`, `bad_expiry`, `several_expiries` or `no_fit`.",
            example: "svi_fit(k, iv, weight, 0.25)",
        },
        args: 4,
        required: 3,
        ordered: false,
        output: || DataType::Struct(svi_fields()),
        evaluate: |columns| record(&svi_fields(), svi_values(columns)),
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "sabr_fit",
            version: 1,
            signature: "sabr_fit(k, iv, weight, expiry_years [, forward [, beta]]) -> struct{alpha, beta, rho, nu, rmse_vol, quotes, status}",
            doc: "SABR (Hagan's volatility) through the quotes of one slice, `beta` given (1 unless it is, where the forward does not \
                  matter; the forward is 1 unless given). `rmse_vol` is unweighted. `status` as for `svi_fit`; four strikes are the fewest.",
            example: "sabr_fit(k, iv, weight, 0.25)",
        },
        args: 6,
        required: 4,
        ordered: false,
        output: || DataType::Struct(sabr_fields()),
        evaluate: |columns| record(&sabr_fields(), sabr_values(columns)),
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "ssvi_fit",
            version: 1,
            signature: "ssvi_fit(k, iv, weight, expiry_years) -> struct{rho, eta, gamma, rmse_vol, quotes, expiries, thetas, status}",
            doc: "One power-law SSVI, free of static arbitrage, through the quotes of all expiries of a group. `expiries` are the times to \
                  expiry, rising, and `thetas` their total variances at the money; a slice is `ssvi_svi(theta, rho, eta, gamma)`. `status` \
                  as for `svi_fit`; four quotes more than there are expiries are the fewest.",
            example: "ssvi_fit(k, iv, weight, 0.25 * (1 + floor(3 * tau)))",
        },
        args: 4,
        required: 4,
        ordered: false,
        output: || DataType::Struct(ssvi_fields()),
        evaluate: |columns| record(&ssvi_fields(), ssvi_values(columns)),
    },
];

fn number(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn count(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn truth(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

fn word(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn record(fields: &Fields, values: Vec<ScalarValue>) -> Result<ScalarValue> {
    let pairs = fields.iter().zip(values);
    pairs
        .fold(ScalarStructBuilder::new(), |row, (field, value)| {
            row.with_scalar(field.clone(), value)
        })
        .build()
}

fn status(error: Option<&'static str>) -> ScalarValue {
    ScalarValue::Utf8(Some(error.unwrap_or("ok").to_owned()))
}

/// The rows without a missing value, column by column.
fn complete(columns: &[&[f64]]) -> Vec<Vec<f64>> {
    let rows = columns.first().map_or(0, |column| column.len());
    let complete = |row: &usize| columns.iter().all(|column| !column[*row].is_nan());
    let kept: Vec<usize> = (0..rows).filter(complete).collect();
    let column = |column: &&[f64]| kept.iter().map(|row| column[*row]).collect();
    columns.iter().map(column).collect()
}

/// The one value of a column.
fn single(column: &[f64], several: &'static str) -> std::result::Result<f64, &'static str> {
    let first = *column.first().ok_or(FitError::TooFewQuotes.word())?;
    if column.iter().all(|value| *value == first) {
        Ok(first)
    } else {
        Err(several)
    }
}

fn svi_fields() -> Fields {
    let fields = vec![
        number("a"),
        number("b"),
        number("rho"),
        number("m"),
        number("sigma"),
        number("rmse_vol"),
        count("quotes"),
        number("g_min"),
        truth("butterfly_free"),
        word("status"),
        number("leave_one_out_vol"),
        number("k_min"),
        number("k_max"),
        number("g_argmin"),
        number("g_min_fitted"),
        truth("butterfly_free_fitted"),
        number("lee_left"),
        number("lee_right"),
        truth("repaired"),
    ];
    fields.into()
}

/// A fit with its certificate and its leave-one-out error.
type Certified = (SviFit, Certificate, Option<f64>);

fn svi_values(columns: &[&[f64]]) -> Vec<ScalarValue> {
    let fit = svi_slice(columns);
    let (found, error) = (fit.as_ref().ok(), fit.as_ref().err().copied());
    let value = |pick: fn(&Certified) -> Option<f64>| ScalarValue::Float64(found.and_then(pick));
    let flag = |pick: fn(&Certified) -> bool| ScalarValue::Boolean(found.map(pick));
    vec![
        value(|f| Some(f.0.svi.a)),
        value(|f| Some(f.0.svi.b)),
        value(|f| Some(f.0.svi.rho)),
        value(|f| Some(f.0.svi.m)),
        value(|f| Some(f.0.svi.sigma)),
        value(|f| Some(f.0.rmse_vol)),
        ScalarValue::Int64(found.map(|f| f.0.quotes as i64)),
        value(|f| f.0.g_min),
        flag(|f| f.0.butterfly_free),
        status(error.or(found.and_then(|f| caution(&f.1)))),
        value(|f| f.2),
        value(|f| Some(f.1.fitted.low)),
        value(|f| Some(f.1.fitted.high)),
        value(|f| f.1.lowest.map(|l| l.k)),
        value(|f| f.1.lowest_fitted.map(|l| l.g)),
        flag(|f| f.1.free_fitted),
        value(|f| Some(f.1.wings.0)),
        value(|f| Some(f.1.wings.1)),
        flag(|f| f.0.repaired),
    ]
}

/// What a fit that exists must not be trusted with.
fn caution(certificate: &Certificate) -> Option<&'static str> {
    if !certificate.free_fitted {
        Some(FitError::Arbitrage.word())
    } else if !certificate.lee_ok {
        Some("lee_bound")
    } else {
        None
    }
}

fn svi_slice(columns: &[&[f64]]) -> std::result::Result<Certified, &'static str> {
    let rows = complete(columns);
    let (k, weight) = (&rows[0], &rows[2]);
    let (iv, years) = match rows.get(3) {
        Some(expiries) => (rows[1].clone(), single(expiries, "several_expiries")?),
        // Total variance; a negative one becomes a volatility that is refused.
        None => (
            rows[1]
                .iter()
                .map(|w| w.signum() * w.abs().sqrt())
                .collect(),
            1.0,
        ),
    };
    let fit = fit_svi(k, &iv, weight, years).map_err(FitError::word)?;
    let weighted = || {
        k.iter()
            .zip(weight)
            .filter(|(_, w)| **w > 0.0)
            .map(|(k, _)| *k)
    };
    let low = weighted().fold(f64::INFINITY, f64::min);
    let high = weighted().fold(f64::NEG_INFINITY, f64::max);
    let range = Range::new(low, high).ok_or(FitError::TooFewQuotes.word())?;
    let triples: Vec<_> = (0..k.len()).map(|i| (k[i], iv[i], weight[i])).collect();
    let left_out = quality(&fit.svi, &triples, years).and_then(|q| q.leave_one_out_vol);
    Ok((fit, certify(&fit.svi, range), left_out))
}

fn sabr_fields() -> Fields {
    let fields = vec![
        number("alpha"),
        number("beta"),
        number("rho"),
        number("nu"),
        number("rmse_vol"),
        count("quotes"),
        word("status"),
    ];
    fields.into()
}

fn sabr_values(columns: &[&[f64]]) -> Vec<ScalarValue> {
    let fit = sabr_slice(columns);
    let (found, error) = (fit.as_ref().ok(), fit.as_ref().err().copied());
    let value = |pick: fn(&SabrFit) -> f64| ScalarValue::Float64(found.map(pick));
    vec![
        value(|f| f.sabr.alpha),
        value(|f| f.sabr.beta),
        value(|f| f.sabr.rho),
        value(|f| f.sabr.nu),
        value(|f| f.rmse_vol),
        ScalarValue::Int64(found.map(|f| f.quotes as i64)),
        status(error),
    ]
}

fn sabr_slice(columns: &[&[f64]]) -> std::result::Result<SabrFit, &'static str> {
    let rows = complete(columns);
    let years = single(&rows[3], "several_expiries")?;
    let given = |column: Option<&Vec<f64>>| column.map_or(Ok(1.0), |c| single(c, "several_values"));
    let (forward, beta) = (given(rows.get(4))?, given(rows.get(5))?);
    let formula = SabrFormula::Hagan;
    fit_sabr(&rows[0], &rows[1], &rows[2], forward, years, beta, formula).map_err(FitError::word)
}

fn ssvi_fields() -> Fields {
    let list =
        |name: &str| Field::new_list(name, Field::new_list_field(DataType::Float64, true), true);
    let fields = vec![
        number("rho"),
        number("eta"),
        number("gamma"),
        number("rmse_vol"),
        count("quotes"),
        list("expiries"),
        list("thetas"),
        word("status"),
    ];
    fields.into()
}

fn ssvi_values(columns: &[&[f64]]) -> Vec<ScalarValue> {
    let rows = complete(columns);
    let fit = ssvi_surface(&rows);
    let (found, error) = (fit.as_ref().ok(), fit.as_ref().err().copied());
    let power = found.and_then(|(fit, ..)| match fit.ssvi.phi {
        Phi::Power { eta, gamma } => Some((eta, gamma)),
        Phi::SimplePower { .. } | Phi::Heston { .. } => None,
    });
    let list = |values: &[f64]| {
        let values: Vec<ScalarValue> = values
            .iter()
            .map(|v| ScalarValue::Float64(Some(*v)))
            .collect();
        ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Float64))
    };
    let no_list = || ScalarValue::new_null_list(DataType::Float64, true, 1);
    let rmse = found.map(|(fit, _, counts)| {
        let squares = fit
            .rmse_vol
            .iter()
            .zip(counts)
            .map(|(e, n)| e * e * *n as f64);
        (squares.sum::<f64>() / counts.iter().sum::<usize>() as f64).sqrt()
    });
    vec![
        ScalarValue::Float64(found.map(|f| f.0.ssvi.rho)),
        ScalarValue::Float64(power.map(|p| p.0)),
        ScalarValue::Float64(power.map(|p| p.1)),
        ScalarValue::Float64(rmse),
        ScalarValue::Int64(found.map(|f| f.2.iter().sum::<usize>() as i64)),
        found.map_or_else(no_list, |f| list(&f.1)),
        found.map_or_else(no_list, |f| list(&f.0.theta)),
        status(error),
    ]
}

/// A fitted surface, its times to expiry (rising) and the number of weighted quotes of each.
type Fitted = (SsviFit, Vec<f64>, Vec<usize>);

fn ssvi_surface(rows: &[Vec<f64>]) -> std::result::Result<Fitted, &'static str> {
    let mut order: Vec<usize> = (0..rows[0].len()).filter(|i| rows[2][*i] != 0.0).collect();
    order.sort_by(|&i, &j| rows[3][i].total_cmp(&rows[3][j]));
    let groups: Vec<&[usize]> = order.chunk_by(|&i, &j| rows[3][i] == rows[3][j]).collect();
    let column =
        |group: &[usize], c: usize| group.iter().map(|&i| rows[c][i]).collect::<Vec<f64>>();
    let owned: Vec<[Vec<f64>; 3]> = groups
        .iter()
        .map(|group| [column(group, 0), column(group, 1), column(group, 2)])
        .collect();
    let years: Vec<f64> = groups.iter().map(|group| rows[3][group[0]]).collect();
    let quotes: Vec<SsviQuotes> = owned
        .iter()
        .zip(&years)
        .map(|([k, iv, weight], years)| SsviQuotes {
            expiry_years: *years,
            k,
            iv,
            weight,
        })
        .collect();
    let fit = fit_ssvi(&quotes).map_err(FitError::word)?;
    let counts = groups.iter().map(|group| group.len()).collect();
    Ok((fit, years, counts))
}
