//! The risk-neutral distribution over constant horizons: quantiles, tails, moments and what they say of jumps.

use arrow::array::RecordBatch;
use lakectl_options::density::{
    Moments, TailMass, moments, put_wing_slope, quantiles, risk_reversal_25, tail_mass,
    tail_mass_delta, tail_mass_deviations,
};
use lakectl_options::surface::{Surface, SurfaceSmile};

use super::surface::{DAYS_PER_YEAR, EVENT, KNOWN, of_smiles, of_snapshots, snapshots};
use super::{Made, NativeTask, Out, batch};
use crate::PipelineError;

/// Horizons, days: those of the forecasts, and the thirty days of the factors.
const HORIZON_DAYS: [f64; 3] = [1.0, 7.0, 30.0];
/// The horizon with which the put wing of shorter ones is compared.
const REFERENCE_DAYS: f64 = 30.0;
const LEVELS: [f64; 5] = [0.05, 0.25, 0.50, 0.75, 0.95];
/// Tails: a move of ten per cent, one of two deviations at the money, one beyond the 25-delta and 10-delta strikes.
const MOVE: f64 = 0.10;
const DEVIATIONS: f64 = 2.0;
const DELTAS: [f64; 2] = [0.25, 0.10];
/// A density is sound whose mass and whose mean of `S_T / F` are this close to one.
const MASS_ERROR: f64 = 0.01;
const MEAN_ERROR: f64 = 0.001;
/// The numbers of a row.
const NUMBERS: usize = 27;

/// What the columns of `density` are made of.
pub(super) const DENSITY_MADE: &[Made] = &[
    EVENT,
    KNOWN,
    of_snapshots(&["asset", "tenor_days"]),
    of_smiles(&[
        "q05",
        "q25",
        "q50",
        "q75",
        "q95",
        "left_tail",
        "right_tail",
        "left_tail_2sd",
        "right_tail_2sd",
        "left_tail_25d",
        "right_tail_25d",
        "left_tail_10d",
        "right_tail_10d",
        "mass_error",
        "mean_error",
        "negative_mass",
        "mean",
        "variance",
        "skewness",
        "kurtosis",
        "forward",
        "atm_iv",
        "risk_reversal_25",
        "variance_swap_vol",
        "jump_vol",
        "put_wing_slope",
        "put_wing_ratio_30d",
        "reason",
    ]),
];

/// One row a snapshot and horizon.
pub(super) fn density(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let (mut assets, mut events, mut knowns, mut tenors, mut reasons) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut numbers: [Vec<Option<f64>>; NUMBERS] = std::array::from_fn(|_| Vec::new());
    for snapshot in snapshots(task.input("options.slices")?)? {
        for days in HORIZON_DAYS {
            let (values, reason) = horizon(snapshot.surface.as_ref(), days);
            assets.push(Some(asset.clone()));
            events.push(Some(snapshot.event_micros));
            knowns.push(Some(snapshot.known_micros));
            tenors.push(Some(days));
            for (column, value) in numbers.iter_mut().zip(values) {
                column.push(value);
            }
            reasons.push(reason.map(str::to_owned));
        }
    }
    let mut columns = vec![
        Out::Utf8(assets),
        Out::Ts(events),
        Out::Ts(knowns),
        Out::F64(tenors),
    ];
    columns.extend(numbers.map(Out::F64));
    columns.push(Out::Utf8(reasons));
    batch(&task.schema, columns)
}

/// The numbers of one horizon, or why there are none.
fn horizon(surface: Option<&Surface>, days: f64) -> ([Option<f64>; NUMBERS], Option<&'static str>) {
    let nothing = [None; NUMBERS];
    let Some(surface) = surface else {
        return (nothing, Some("no_slices"));
    };
    let years = days / DAYS_PER_YEAR;
    let Ok(smile) = surface.smile_at(years) else {
        return (nothing, Some("out_of_reach"));
    };
    let levels = quantiles(&smile, &LEVELS).ok();
    let moments = moments(&smile).ok();
    let sound = moments.filter(|m| m.mass_error() <= MASS_ERROR && m.mean_error() <= MEAN_ERROR);
    let reason = match (&levels, sound, smile.extrapolated) {
        (None, _, _) => Some("wings_break_down"),
        // Quantiles in the middle stand; moments over such wings mean nothing.
        (_, None, _) => Some("smile_arbitrage"),
        // Before the first expiry or after the last one the nearest smile's volatility stands.
        (_, _, true) => Some("extrapolated"),
        _ => None,
    };
    let mut values: Vec<Option<f64>> = match levels {
        Some(levels) => levels.into_iter().map(Some).collect(),
        None => vec![None; LEVELS.len()],
    };
    let [mid, far] = DELTAS.map(|delta| tail_mass_delta(&smile, delta).ok());
    let tails = [
        tail_mass(&smile, MOVE).ok(),
        tail_mass_deviations(&smile, DEVIATIONS).ok(),
        mid,
        far,
    ];
    values.extend(tails.into_iter().flat_map(both));
    let error = |pick: fn(&Moments) -> f64| moments.as_ref().map(pick);
    let moment = |pick: fn(&Moments) -> f64| sound.as_ref().map(pick);
    values.extend([
        error(Moments::mass_error),
        error(Moments::mean_error),
        error(|m| m.negative_mass),
        moment(|m| m.mean),
        moment(|m| m.variance),
        moment(|m| m.skewness),
        moment(|m| m.kurtosis),
        surface.forward_at(years).ok(),
    ]);
    values.extend(jumps(surface, &smile, sound.as_ref()));
    let mut row = nothing;
    row.iter_mut()
        .zip(values)
        .for_each(|(cell, value)| *cell = value);
    (row, reason)
}

fn both(tails: Option<TailMass>) -> [Option<f64>; 2] {
    [tails.map(|t| t.left), tails.map(|t| t.right)]
}

/// Volatility at the money, risk reversal, variance-swap volatility, its excess over the one at the money, the put wing's slope,
/// and that slope in units of the 30-day one.
fn jumps(surface: &Surface, smile: &SurfaceSmile, moments: Option<&Moments>) -> [Option<f64>; 6] {
    let years = smile.expiry_years;
    let atm = smile.vol_at(0.0);
    let swap = moments.and_then(|m| m.variance_swap_vol(years));
    let slope = put_wing_slope(smile, years);
    let reference = REFERENCE_DAYS / DAYS_PER_YEAR;
    let at_reference = if years == reference {
        slope
    } else {
        let smile = surface.smile_at(reference).ok();
        smile.and_then(|smile| put_wing_slope(&smile, reference))
    };
    let ratio = slope.zip(at_reference).map(|(slope, at)| slope / at);
    [
        atm,
        risk_reversal_25(smile, years),
        swap,
        swap.zip(atm).map(|(swap, atm)| swap - atm),
        slope,
        ratio.filter(|ratio| ratio.is_finite()),
    ]
}
