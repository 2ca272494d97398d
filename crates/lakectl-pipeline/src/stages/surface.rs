//! From fitted smiles to constant maturities and principal components.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_core::{Day, UtcTime};
use lakectl_models::{ModelError, PcaConfig, SurfacePca};
use lakectl_options::smile::RawSvi;
use lakectl_options::surface::{DELTA_NODES, MATURITY_DAYS, Slice, Surface, node_log_moneyness};

use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

pub(super) const DAYS_PER_YEAR: f64 = 365.0;
/// A smile with less time left than this says more about its last trades than about volatility.
const EXPIRY_YEARS_MIN: f64 = 0.5 / DAYS_PER_YEAR;

/// What makes a smile of a snapshot.
const SMILES: &[Uses] = &[(
    "options.slices",
    &["expiry_years", "forward", "a", "b", "rho", "m", "sigma"],
)];
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
/// What the columns of `surface_pca` are made of: a fit takes the snapshots known before its week.
pub(super) const PCA_MADE: &[Made] = &[
    Made {
        columns: &["event_time"],
        values: &[("options.surface_nodes", &["event_time"])],
        conditions: &[],
    },
    Made {
        columns: &["known_at"],
        values: &[("options.surface_nodes", &["known_at"])],
        conditions: &[("options.surface_nodes", &["event_time"])],
    },
    Made {
        columns: &["asset"],
        values: &[],
        conditions: &[("options.surface_nodes", &["event_time"])],
    },
    Made {
        columns: &[
            "pca_1",
            "pca_2",
            "pca_3",
            "pca_4",
            "pca_5",
            "explained_share",
            "reconstruction_error",
            "fitted_snapshots",
            "reason",
        ],
        values: &[("options.surface_nodes", &["iv"])],
        conditions: &[(
            "options.surface_nodes",
            &["event_time", "known_at", "tenor_days", "node"],
        )],
    },
];

/// The fitted slices of one snapshot.
pub(super) struct Snapshot {
    pub(super) event_micros: i64,
    pub(super) known_micros: i64,
    pub(super) surface: Option<Surface>,
}

/// Groups fitted slices by snapshot. A snapshot without any usable slice stays, with no surface.
pub(super) fn snapshots(slices: &Columns) -> Result<Vec<Snapshot>, PipelineError> {
    let (events, knowns) = (slices.micros("event_time")?, slices.micros("known_at")?);
    let numbers = ["expiry_years", "forward", "a", "b", "rho", "m", "sigma"]
        .map(|name| slices.f64s(name))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let mut groups: BTreeMap<i64, (i64, Vec<Slice>)> = BTreeMap::new();
    for row in 0..slices.rows() {
        let group = groups
            .entry(events[row])
            .or_insert((knowns[row], Vec::new()));
        group.0 = group.0.max(knowns[row]);
        let values: Option<Vec<f64>> = numbers.iter().map(|column| column[row]).collect();
        if let Some([expiry_years, forward, a, b, rho, m, sigma]) = values.as_deref()
            && *expiry_years >= EXPIRY_YEARS_MIN
        {
            let svi = RawSvi {
                a: *a,
                b: *b,
                rho: *rho,
                m: *m,
                sigma: *sigma,
            };
            group.1.push(Slice {
                expiry_years: *expiry_years,
                forward: *forward,
                svi,
            });
        }
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
        for (row, days) in MATURITY_DAYS.iter().enumerate() {
            let smile = snapshot
                .surface
                .as_ref()
                .and_then(|s| s.smile_at(days / DAYS_PER_YEAR).ok());
            let strikes = smile.as_ref().map(node_log_moneyness);
            for (column, name) in DELTA_NODES.iter().enumerate() {
                let iv = grid.as_ref().and_then(|grid| grid.vol[row][column]);
                assets.push(Some(asset.clone()));
                events.push(Some(snapshot.event_micros));
                knowns.push(Some(snapshot.known_micros));
                tenors.push(Some(*days as i64));
                names.push(Some((*name).to_owned()));
                ks.push(strikes.and_then(|k| k[column]).filter(|_| iv.is_some()));
                ivs.push(iv);
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

/// One snapshot of the grid, node by node.
struct Grid {
    event: UtcTime,
    known_micros: i64,
    values: Vec<Option<f64>>,
}

fn grids(nodes: &Columns) -> Result<Vec<Grid>, PipelineError> {
    let (events, knowns) = (nodes.micros("event_time")?, nodes.micros("known_at")?);
    let (tenors, names, ivs) = (
        nodes.i64s("tenor_days")?,
        nodes.texts("node")?,
        nodes.f64s("iv")?,
    );
    let mut grids: BTreeMap<i64, Grid> = BTreeMap::new();
    for row in 0..nodes.rows() {
        let grid = grids.entry(events[row]).or_insert_with(|| Grid {
            event: UtcTime::from_micros(events[row]),
            known_micros: knowns[row],
            values: vec![None; MATURITY_DAYS.len() * DELTA_NODES.len()],
        });
        let tenor = MATURITY_DAYS
            .iter()
            .position(|days| Some(*days as i64) == tenors[row]);
        let node = DELTA_NODES
            .iter()
            .position(|name| names[row].as_deref() == Some(name));
        if let (Some(tenor), Some(node)) = (tenor, node) {
            grid.values[tenor * DELTA_NODES.len() + node] = ivs[row];
        }
    }
    Ok(grids.into_values().collect())
}

/// Scores on components fitted to the snapshots known before the week of each snapshot began.
///
/// The fit is anchored to Mondays, so any partition gives the same scores when it is rebuilt alone.
pub(super) fn pca(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let (window_days, fewest) = (
        task.count("pca_window_days")? as i32,
        task.count("pca_snapshots_min")?,
    );
    let grids = grids(task.input("options.surface_nodes")?)?;
    let mut fits: BTreeMap<Day, Result<SurfacePca, &'static str>> = BTreeMap::new();
    let (mut assets, mut events, mut knowns, mut counts, mut reasons) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut numbers: [Vec<Option<f64>>; 7] = Default::default();
    for grid in grids
        .iter()
        .filter(|grid| task.period.contains(grid.event.day()))
    {
        let monday = grid.event.day().plus(-(grid.event.day().weekday() as i32));
        let fit = fits
            .entry(monday)
            .or_insert_with(|| fit_before(&grids, monday, window_days, fewest));
        let (values, reason) = match fit {
            Ok(pca) => project(pca, grid),
            Err(reason) => ([None; 7], Some(*reason)),
        };
        assets.push(Some(asset.clone()));
        events.push(Some(grid.event.micros()));
        knowns.push(Some(grid.known_micros));
        for (column, value) in numbers.iter_mut().zip(values) {
            column.push(value);
        }
        counts.push(Some(fit.as_ref().map_or(0, |pca| pca.rows() as i64)));
        reasons.push(reason.map(str::to_owned));
    }
    let mut columns = vec![Out::Utf8(assets), Out::Ts(events), Out::Ts(knowns)];
    columns.extend(numbers.map(Out::F64));
    columns.push(Out::I64(counts));
    columns.push(Out::Utf8(reasons));
    batch(&task.schema, columns)
}

fn fit_before(
    grids: &[Grid],
    monday: Day,
    window_days: i32,
    fewest: usize,
) -> Result<SurfacePca, &'static str> {
    let oldest = monday.plus(-window_days);
    let rows: Vec<Vec<Option<f64>>> = grids
        .iter()
        .filter(|grid| grid.known_micros < monday.start().micros() && grid.event.day() >= oldest)
        .map(|grid| grid.values.clone())
        .collect();
    let config = PcaConfig {
        min_rows: fewest,
        ..PcaConfig::default()
    };
    SurfacePca::fit(&rows, &config).map_err(|error| match error {
        ModelError::TooFewRows { .. } => "short_pca_history",
        _ => "pca_failed",
    })
}

/// Five scores, the share of variance explained and the reconstruction error.
fn project(pca: &SurfacePca, grid: &Grid) -> ([Option<f64>; 7], Option<&'static str>) {
    let mut values = [None; 7];
    let Ok(projection) = pca.project(&grid.values) else {
        return (values, Some("incomplete_surface"));
    };
    let scores = pca.components().iter().zip(projection.scores);
    for (k, (value, (component, score))) in values.iter_mut().zip(scores).enumerate() {
        *value = Some(orientation(k, component) * score);
    }
    values[5] = Some(pca.explained_ratio().iter().sum());
    values[6] = Some(projection.reconstruction_error);
    (values, None)
}

/// The least cosine with its template at which a component is turned by it.
const LIKENESS_MIN: f64 = 0.3;

/// Returns 1 or -1, so that a component keeps its meaning from one weekly fit to the next: the first three point towards a
/// higher level, dearer long maturities, dearer puts. One that is unlike its template keeps the sign of its largest loading.
fn orientation(k: usize, component: &[f64]) -> f64 {
    let (tenors, nodes) = (
        MATURITY_DAYS.len() as f64 - 1.0,
        DELTA_NODES.len() as f64 - 1.0,
    );
    let template = |node: usize| {
        let (tenor, delta) = (node / DELTA_NODES.len(), node % DELTA_NODES.len());
        match k {
            0 => 1.0,
            1 => tenor as f64 - tenors / 2.0,
            2 => nodes / 2.0 - delta as f64,
            _ => 0.0,
        }
    };
    let dot: f64 = component
        .iter()
        .enumerate()
        .map(|(i, loading)| loading * template(i))
        .sum();
    let norm: f64 = (0..component.len())
        .map(|i| template(i) * template(i))
        .sum();
    if dot < 0.0 && dot.abs() >= LIKENESS_MIN * norm.sqrt() {
        -1.0
    } else {
        1.0
    }
}
