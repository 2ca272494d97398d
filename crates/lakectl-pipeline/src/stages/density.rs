//! The risk-neutral distribution over constant horizons and of every expiry: quantiles, tails, moments and what they say of jumps.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_options::density::{
    LogReturn, Moments, TailMass, moments, put_wing_slope, quantiles, risk_reversal_25, tail_mass,
    tail_mass_delta, tail_mass_deviations,
};
use lakectl_options::smile::Smile;
use lakectl_options::surface::Surface;

use super::surface::{
    DAYS_PER_YEAR, EVENT, KNOWN, SMILE, of_smiles, of_snapshots, smiles, snapshots,
};
use super::{Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

/// Horizons, days: those of the forecasts, and the thirty days of the factors.
const HORIZON_DAYS: [f64; 3] = [1.0, 7.0, 30.0];
/// The horizon with which the put wing of others is compared.
const REFERENCE_DAYS: f64 = 30.0;
const LEVELS: [f64; 5] = [0.05, 0.25, 0.50, 0.75, 0.95];
/// Tails: a move of ten per cent, one of two deviations at the money, one beyond the 25-delta and 10-delta strikes.
const MOVE: f64 = 0.10;
const DEVIATIONS: f64 = 2.0;
const DELTAS: [f64; 2] = [0.25, 0.10];
/// A density is sound whose mass and whose mean of `S_T / F` are this close to one, and whose negative part is this small.
const MASS_ERROR: f64 = 0.01;
const MEAN_ERROR: f64 = 0.001;
const NEGATIVE_MASS: f64 = 0.0001;
/// A moment stands if no more of it than this comes from beyond every price that means anything.
const BEYOND: f64 = 0.01;
/// The numbers of a row.
const NUMBERS: usize = 27;

type Numbers = [Option<f64>; NUMBERS];

const NAMES: &[&str] = &[
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
];

/// What the columns of `density` are made of.
pub(super) const DENSITY_MADE: &[Made] = &[
    EVENT,
    KNOWN,
    of_snapshots(&["asset", "tenor_days"]),
    of_smiles(NAMES),
    of_smiles(&["reason"]),
];

/// What the columns of `expiry_density` are made of.
pub(super) const EXPIRY_MADE: &[Made] = &[
    EVENT,
    KNOWN,
    of_snapshots(&["asset"]),
    of_itself(&["expiry"], &[("options.slices", &["expiry"])]),
    of_itself(&["expiry_years"], &[("options.slices", &["expiry_years"])]),
    of_smiles(NAMES),
    of_itself(&["reason"], &[SMILE, ("options.slices", &["status"])]),
];

const fn of_itself(columns: &'static [&'static str], values: &'static [Uses]) -> Made {
    Made {
        columns,
        values,
        conditions: &[],
    }
}

/// One row a snapshot and horizon.
pub(super) fn density(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let mut times: [Vec<Option<i64>>; 2] = Default::default();
    let mut tenors = vec![];
    let mut rows = Rows::default();
    for snapshot in snapshots(task.input("options.slices")?)? {
        let reference = snapshot.surface.as_ref().and_then(reference_slope);
        for days in HORIZON_DAYS {
            times[0].push(Some(snapshot.event_micros));
            times[1].push(Some(snapshot.known_micros));
            tenors.push(Some(days));
            rows.push(horizon(snapshot.surface.as_ref(), days, reference));
        }
    }
    let mut columns = vec![Out::Utf8(vec![Some(asset); tenors.len()])];
    columns.extend(times.map(Out::Ts));
    columns.push(Out::F64(tenors));
    columns.extend(rows.columns());
    batch(&task.schema, columns)
}

/// One row a snapshot and expiry, also those too near to be part of the surface.
pub(super) fn expiry_density(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let slices = task.input("options.slices")?;
    let references: BTreeMap<i64, f64> = snapshots(slices)?
        .into_iter()
        .filter_map(|s| Some((s.event_micros, reference_slope(s.surface.as_ref()?)?)))
        .collect();
    let names = ["event_time", "known_at", "expiry"];
    let [events, knowns, expiries] = names.map(|name| slices.micros(name));
    let (events, knowns, expiries) = (events?, knowns?, expiries?);
    let mut times: [Vec<Option<i64>>; 3] = Default::default();
    let (years, forwards) = (slices.f64s("expiry_years")?, slices.f64s("forward")?);
    let mut rows = Rows::default();
    let statuses = slices.texts("status")?;
    for (row, smile) in smiles(slices)?.into_iter().enumerate() {
        for (column, micros) in times
            .iter_mut()
            .zip([events[row], knowns[row], expiries[row]])
        {
            column.push(Some(micros));
        }
        let reference = references.get(&events[row]).copied();
        rows.push(match smile.zip(years[row]) {
            None => ([None; NUMBERS], Some("no_smile")),
            Some((smile, years)) => {
                let (values, reason) = numbers(&smile, years, forwards[row], reference);
                let carried = statuses[row].as_deref() == Some("carried");
                (values, reason.or(carried.then_some("carried")))
            }
        });
    }
    let mut columns = vec![Out::Utf8(vec![Some(asset); events.len()])];
    columns.extend(times.map(Out::Ts));
    columns.push(Out::F64(years));
    columns.extend(rows.columns());
    batch(&task.schema, columns)
}

/// Numbers and reasons, column by column.
#[derive(Default)]
struct Rows {
    numbers: [Vec<Option<f64>>; NUMBERS],
    reasons: Vec<Option<String>>,
}

impl Rows {
    fn push(&mut self, (values, reason): (Numbers, Option<&'static str>)) {
        for (column, value) in self.numbers.iter_mut().zip(values) {
            column.push(value);
        }
        self.reasons.push(reason.map(str::to_owned));
    }

    fn columns(self) -> impl Iterator<Item = Out> {
        let numbers = self.numbers.into_iter().map(Out::F64);
        numbers.chain([Out::Utf8(self.reasons)])
    }
}

/// The put wing's slope at the horizon with which others are compared.
fn reference_slope(surface: &Surface) -> Option<f64> {
    let years = REFERENCE_DAYS / DAYS_PER_YEAR;
    put_wing_slope(&surface.smile_within_reach(years)?, years)
}

/// The numbers of one horizon, or why there are none.
fn horizon(
    surface: Option<&Surface>,
    days: f64,
    reference: Option<f64>,
) -> (Numbers, Option<&'static str>) {
    let Some(surface) = surface else {
        return ([None; NUMBERS], Some("no_slices"));
    };
    let years = days / DAYS_PER_YEAR;
    let Some(smile) = surface.smile_within_reach(years) else {
        return ([None; NUMBERS], Some("out_of_reach"));
    };
    let (values, reason) = numbers(&smile, years, surface.forward_at(years).ok(), reference);
    // Before the first expiry or after the last one the nearest smile's volatility stands.
    (
        values,
        reason.or(smile.extrapolated.then_some("extrapolated")),
    )
}

/// The numbers of one smile in the order of the tables, and why some are missing.
fn numbers(
    smile: &impl Smile,
    years: f64,
    forward: Option<f64>,
    reference: Option<f64>,
) -> (Numbers, Option<&'static str>) {
    let levels = quantiles(smile, &LEVELS).ok();
    let whole = moments(smile).ok();
    // Quantiles in the middle stand; moments over negative densities and bottomless wings mean nothing.
    let positive = whole.filter(|m| m.negative_mass <= NEGATIVE_MASS);
    let sound = positive
        .filter(|m| m.mass_error() <= MASS_ERROR && m.mean_error() <= MEAN_ERROR)
        .and_then(|m| m.log_return);
    let stands = |share: fn(&LogReturn) -> f64| sound.filter(|l| share(l) <= BEYOND);
    let (first, second, fourth) = (
        stands(|l| l.beyond.first),
        stands(|l| l.beyond.second),
        stands(|l| l.beyond.fourth),
    );
    let reason = match (&levels, positive, fourth) {
        (None, ..) => Some("wings_break_down"),
        (_, None, _) => Some("smile_arbitrage"),
        (_, _, None) => Some("fat_wings"),
        _ => None,
    };
    let mut values: Vec<Option<f64>> = match levels {
        Some(levels) => levels.into_iter().map(Some).collect(),
        None => vec![None; LEVELS.len()],
    };
    let [mid, far] = DELTAS.map(|delta| tail_mass_delta(smile, delta).ok());
    let tails = [
        tail_mass(smile, MOVE).ok(),
        tail_mass_deviations(smile, DEVIATIONS).ok(),
        mid,
        far,
    ];
    values.extend(tails.into_iter().flat_map(both));
    let error = |pick: fn(&Moments) -> f64| whole.as_ref().map(pick);
    values.extend([
        error(Moments::mass_error),
        error(Moments::mean_error),
        error(|m| m.negative_mass),
        first.map(|l| l.mean),
        second.map(|l| l.variance),
        fourth.map(|l| l.skewness),
        fourth.map(|l| l.kurtosis),
        forward,
    ]);
    let swap = first.and_then(|l| l.variance_swap_vol(years));
    values.extend(jumps(smile, years, swap, reference));
    let mut row = [None; NUMBERS];
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
fn jumps(
    smile: &impl Smile,
    years: f64,
    swap: Option<f64>,
    reference: Option<f64>,
) -> [Option<f64>; 6] {
    let atm = smile.vol(0.0, years);
    let slope = put_wing_slope(smile, years);
    let ratio = slope.zip(reference).map(|(slope, at)| slope / at);
    [
        atm,
        risk_reversal_25(smile, years),
        swap,
        swap.zip(atm).map(|(swap, atm)| swap - atm),
        slope,
        ratio.filter(|ratio| ratio.is_finite()),
    ]
}
