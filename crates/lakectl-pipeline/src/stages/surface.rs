//! From fitted smiles to constant maturities and term structures.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_options::smile::{Range, RawSvi};
use lakectl_options::strike::{DeltaConvention, delta_quotes};
use lakectl_options::surface::{
    NODES, NodeReason, Slice, Surface, SurfaceSmile, TENOR_DAYS, forward_vol,
};

use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

pub(super) const DAYS_PER_YEAR: f64 = 365.0;
/// A smile with less time left than this says more about its last trades than about volatility.
const EXPIRY_YEARS_MIN: f64 = 0.5 / DAYS_PER_YEAR;

/// What makes a smile of a snapshot.
pub(super) const SMILE: Uses = (
    "options.slices",
    &[
        "expiry_years",
        "forward",
        "a",
        "b",
        "rho",
        "m",
        "sigma",
        "k_min",
        "k_max",
    ],
);
const SMILES: &[Uses] = &[SMILE];
const SLICE_TIME: &[Uses] = &[("options.slices", &["event_time"])];
/// Rows are those of snapshots, whose times come from their slices.
pub(super) const EVENT: Made = Made {
    columns: &["event_time"],
    values: SLICE_TIME,
    conditions: &[],
};
pub(super) const KNOWN: Made = Made {
    columns: &["known_at"],
    values: &[("options.slices", &["known_at"])],
    conditions: SLICE_TIME,
};

pub(super) const fn of_smiles(columns: &'static [&'static str]) -> Made {
    Made {
        columns,
        values: SMILES,
        conditions: SLICE_TIME,
    }
}

pub(super) const fn of_snapshots(columns: &'static [&'static str]) -> Made {
    Made {
        columns,
        values: &[],
        conditions: SLICE_TIME,
    }
}

/// What the columns of `surface_nodes` are made of.
pub(super) const NODES_MADE: &[Made] = &[
    EVENT,
    KNOWN,
    of_snapshots(&["asset", "tenor_days", "node"]),
    of_smiles(&["log_moneyness", "iv", "reason"]),
];
/// What the columns of `term_structure` are made of.
pub(super) const TERM_MADE: &[Made] = &[
    EVENT,
    KNOWN,
    of_snapshots(&["asset", "tenor_days"]),
    of_smiles(&[
        "atm_iv",
        "atm_neutral_iv",
        "forward_iv",
        "slope_per_root_year",
        "rr25",
        "bf25",
        "rr10",
        "bf10",
        "rr25_adjusted",
        "bf25_adjusted",
        "rr10_adjusted",
        "bf10_adjusted",
        "reason",
    ]),
];

/// The fitted slices of one snapshot.
pub(super) struct Snapshot {
    pub(super) event_micros: i64,
    pub(super) known_micros: i64,
    pub(super) surface: Option<Surface>,
}

/// The smile of every row of `options.slices`, where it has one.
pub(super) fn smiles(slices: &Columns) -> Result<Vec<Option<RawSvi>>, PipelineError> {
    let [a, b, rho, m, sigma] = ["a", "b", "rho", "m", "sigma"].map(|name| slices.f64s(name));
    let (a, b, rho, m, sigma) = (a?, b?, rho?, m?, sigma?);
    let smile = |row: usize| {
        Some(RawSvi {
            a: a[row]?,
            b: b[row]?,
            rho: rho[row]?,
            m: m[row]?,
            sigma: sigma[row]?,
        })
    };
    Ok((0..slices.rows()).map(smile).collect())
}

/// Groups fitted slices by snapshot. A snapshot without any usable slice stays, with no surface.
pub(super) fn snapshots(slices: &Columns) -> Result<Vec<Snapshot>, PipelineError> {
    let (events, knowns) = (slices.micros("event_time")?, slices.micros("known_at")?);
    let [years, forwards, lows, highs] =
        ["expiry_years", "forward", "k_min", "k_max"].map(|name| slices.f64s(name));
    let (years, forwards, lows, highs) = (years?, forwards?, lows?, highs?);
    let smiles = smiles(slices)?;
    let slice = |row: usize| {
        Some(Slice {
            expiry_years: years[row].filter(|years| *years >= EXPIRY_YEARS_MIN)?,
            forward: forwards[row]?,
            svi: smiles[row]?,
            quoted: Range::new(lows[row]?, highs[row]?)?,
        })
    };
    let mut groups: BTreeMap<i64, (i64, Vec<Slice>)> = BTreeMap::new();
    for row in 0..slices.rows() {
        let group = groups
            .entry(events[row])
            .or_insert((knowns[row], Vec::new()));
        group.0 = group.0.max(knowns[row]);
        group.1.extend(slice(row));
    }
    Ok(groups
        .into_iter()
        .map(|(event_micros, (known_micros, slices))| Snapshot {
            event_micros,
            known_micros,
            surface: Surface::new(slices).ok(),
        })
        .collect())
}

/// Constant maturities and delta nodes of every snapshot.
pub(super) fn nodes(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let (mut assets, mut events, mut knowns, mut tenors) = (vec![], vec![], vec![], vec![]);
    let (mut names, mut ks, mut ivs, mut reasons) = (vec![], vec![], vec![], vec![]);
    for snapshot in snapshots(task.input("options.slices")?)? {
        let grid = snapshot.surface.as_ref().map(Surface::nodes);
        for (row, days) in TENOR_DAYS.iter().enumerate() {
            for (column, name) in NODES.iter().enumerate() {
                assets.push(Some(asset.clone()));
                events.push(Some(snapshot.event_micros));
                knowns.push(Some(snapshot.known_micros));
                tenors.push(Some(*days as i64));
                names.push(Some((*name).to_owned()));
                ks.push(grid.and_then(|grid| grid.log_moneyness[row][column]));
                ivs.push(grid.and_then(|grid| grid.vol[row][column]));
                reasons.push(match &grid {
                    Some(grid) => grid.reason[row][column].map(|reason| reason.word().to_owned()),
                    None => Some("no_slices".to_owned()),
                });
            }
        }
    }
    let columns = vec![
        Out::Utf8(assets),
        Out::Ts(events),
        Out::Ts(knowns),
        Out::I64(tenors),
        Out::Utf8(names),
        Out::F64(ks),
        Out::F64(ivs),
        Out::Utf8(reasons),
    ];
    batch(&task.schema, columns)
}

/// Levels, slopes, risk reversals and butterflies at the constant maturities of every snapshot.
pub(super) fn term_structure(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let (mut assets, mut events, mut knowns, mut tenors, mut reasons) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut numbers: [Vec<Option<f64>>; 12] = Default::default();
    for snapshot in snapshots(task.input("options.slices")?)? {
        // Time and volatility at the money of the maturity before.
        let mut near: Option<(f64, f64)> = None;
        for days in TENOR_DAYS {
            let years = days / DAYS_PER_YEAR;
            let surface = snapshot.surface.as_ref();
            let smile = surface.and_then(|s| s.smile_within_reach(years));
            let (values, reason) = term(smile.as_ref(), near);
            near = values[0].map(|atm| (years, atm));
            assets.push(Some(asset.clone()));
            events.push(Some(snapshot.event_micros));
            knowns.push(Some(snapshot.known_micros));
            tenors.push(Some(days as i64));
            for (column, value) in numbers.iter_mut().zip(values) {
                column.push(value);
            }
            let reason = if surface.is_none() {
                Some("no_slices")
            } else {
                reason
            };
            reasons.push(reason.map(str::to_owned));
        }
    }
    let mut columns = vec![
        Out::Utf8(assets),
        Out::Ts(events),
        Out::Ts(knowns),
        Out::I64(tenors),
    ];
    columns.extend(numbers.map(Out::F64));
    columns.push(Out::Utf8(reasons));
    batch(&task.schema, columns)
}

/// The numbers of one maturity in the order of the table, with what there is to say about them.
fn term(
    smile: Option<&SurfaceSmile>,
    near: Option<(f64, f64)>,
) -> ([Option<f64>; 12], Option<&'static str>) {
    let mut values = [None; 12];
    let Some(smile) = smile else {
        return (values, Some(NodeReason::OutOfReach.word()));
    };
    let years = smile.expiry_years;
    let forward = delta_quotes(smile, years, DeltaConvention::Forward);
    let adjusted = delta_quotes(smile, years, DeltaConvention::PremiumAdjusted);
    if let Some(quotes) = forward {
        values[0] = Some(quotes.atm_forward);
        values[1] = quotes.atm_neutral;
        if let Some((near_years, near_vol)) = near {
            values[2] = forward_vol(near_vol, near_years, quotes.atm_forward, years);
            let roots = years.sqrt() - near_years.sqrt();
            values[3] = Some((quotes.atm_forward - near_vol) / roots);
        }
        values[4..8].copy_from_slice(&[quotes.rr25, quotes.bf25, quotes.rr10, quotes.bf10]);
    }
    if let Some(quotes) = adjusted {
        values[8..].copy_from_slice(&[quotes.rr25, quotes.bf25, quotes.rr10, quotes.bf10]);
    }
    let reason = match forward {
        None => Some("no_variance"),
        Some(_) if smile.extrapolated => Some(NodeReason::Extrapolated.word()),
        Some(_) => None,
    };
    (values, reason)
}
