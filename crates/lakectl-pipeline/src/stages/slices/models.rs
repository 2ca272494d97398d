//! SABR and surface SVI beside the published smiles.

use arrow::array::RecordBatch;
use lakectl_options::slices::SliceQuote;
use lakectl_options::smile::{
    FitError, Phi, SabrFit, SabrFormula, SsviFit, SsviQuotes, fit_sabr, fit_ssvi,
};

use super::super::{Made, NativeTask, Out, batch};
use super::{
    ASSET, EVENT, EXPIRY, FORWARD, Group, KNOWN, Keys, Snapshot, YEARS, known_micros, of_quotes,
    push_all, snapshots,
};
use crate::PipelineError;

/// With less time left than this a smile says nothing about the surface, which SSVI fits as a whole.
const SURFACE_YEARS_MIN: f64 = 0.5 / 365.0;
/// Lognormal SABR: what a coin's smile is commonly quoted in.
const SABR_BETA: f64 = 1.0;

/// What the columns of `smile_models` are made of.
pub(in crate::stages) const MODELS_MADE: &[Made] = &[
    ASSET,
    EVENT,
    KNOWN,
    EXPIRY,
    YEARS,
    FORWARD,
    of_quotes(&[
        "sabr_alpha",
        "sabr_beta",
        "sabr_rho",
        "sabr_nu",
        "sabr_rmse_vol",
        "sabr_status",
        "ssvi_theta",
        "ssvi_rho",
        "ssvi_eta",
        "ssvi_gamma",
        "ssvi_rmse_vol",
        "ssvi_status",
    ]),
];

/// SABR of every slice and one SSVI of every snapshot, beside the published smiles.
pub(in crate::stages) fn models(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let all = snapshots(task.input("options.greeks")?)?;
    let mut keys = Keys::default();
    let mut sabrs: [Vec<Option<f64>>; 5] = Default::default();
    let mut ssvis: [Vec<Option<f64>>; 5] = Default::default();
    let (mut sabr_status, mut ssvi_status) = (vec![], vec![]);
    for (event, snapshot) in &all {
        let known = known_micros(snapshot);
        let columns: Vec<[Vec<f64>; 3]> = snapshot.values().map(quote_columns).collect();
        let surface = surface_fit(snapshot, &columns);
        for (i, (expiry, group)) in snapshot.iter().enumerate() {
            let [k, vol, weight] = &columns[i];
            let (forward, years) = (group.forward, group.expiry_years);
            let fit = fit_sabr(
                k,
                vol,
                weight,
                forward,
                years,
                SABR_BETA,
                SabrFormula::Hagan,
            );
            keys.push(&asset, *event, known, *expiry, group);
            push_all(&mut sabrs, sabr_values(fit.as_ref().ok()));
            sabr_status.push(Some(fit.err().map_or("ok", FitError::word).to_owned()));
            let (values, status) = ssvi_values(&surface, i);
            push_all(&mut ssvis, values);
            ssvi_status.push(Some(status.to_owned()));
        }
    }
    let mut columns = keys.columns();
    columns.extend(sabrs.map(Out::F64));
    columns.push(Out::Utf8(sabr_status));
    columns.extend(ssvis.map(Out::F64));
    columns.push(Out::Utf8(ssvi_status));
    batch(&task.schema, columns)
}

fn quote_columns(group: &Group) -> [Vec<f64>; 3] {
    let column = |pick: fn(&SliceQuote) -> f64| group.quotes.iter().map(|q| pick(&q.1)).collect();
    [column(|q| q.k), column(|q| q.vol), column(|q| q.weight)]
}

/// The surface of the expiries that it can take, with the positions of these.
fn surface_fit(
    snapshot: &Snapshot,
    columns: &[[Vec<f64>; 3]],
) -> Result<(SsviFit, Vec<usize>), &'static str> {
    let used: Vec<usize> = snapshot
        .values()
        .enumerate()
        .filter(|(_, g)| g.expiry_years >= SURFACE_YEARS_MIN && !g.quotes.is_empty())
        .map(|(i, _)| i)
        .collect();
    let years: Vec<f64> = snapshot.values().map(|g| g.expiry_years).collect();
    let quotes: Vec<SsviQuotes> = used
        .iter()
        .map(|&i| SsviQuotes {
            expiry_years: years[i],
            k: &columns[i][0],
            iv: &columns[i][1],
            weight: &columns[i][2],
        })
        .collect();
    fit_ssvi(&quotes)
        .map(|fit| (fit, used))
        .map_err(FitError::word)
}

fn sabr_values(fit: Option<&SabrFit>) -> [Option<f64>; 5] {
    [
        fit.map(|f| f.sabr.alpha),
        fit.map(|f| f.sabr.beta),
        fit.map(|f| f.sabr.rho),
        fit.map(|f| f.sabr.nu),
        fit.map(|f| f.rmse_vol),
    ]
}

/// Values and status of one expiry.
fn ssvi_values(
    surface: &Result<(SsviFit, Vec<usize>), &'static str>,
    expiry: usize,
) -> ([Option<f64>; 5], &'static str) {
    let (fit, used) = match surface {
        Ok(surface) => surface,
        Err(status) => return ([None; 5], status),
    };
    let Some(i) = used.iter().position(|used| *used == expiry) else {
        return ([None; 5], "not_in_surface");
    };
    let Phi::Power { eta, gamma } = fit.ssvi.phi else {
        return ([None; 5], "no_fit");
    };
    let values = [fit.theta[i], fit.ssvi.rho, eta, gamma, fit.rmse_vol[i]];
    (values.map(Some), "ok")
}
