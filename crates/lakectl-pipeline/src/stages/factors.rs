//! From surface nodes to principal components, shocks and ranks: everything that needs a history of surfaces.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_core::{Day, UtcTime};
use lakectl_models::{ModelError, PcaConfig, SurfacePca};
use lakectl_options::surface::{DELTA_NODES, MATURITY_DAYS};
use lakectl_stats::covariance::{Mahalanobis, ledoit_wolf};

use super::{Columns, Made, NativeTask, Out, batch};
use crate::PipelineError;

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
            "shock_distance",
            "shock_changes",
            "atm_percentile",
            "reason",
        ],
        values: &[("options.surface_nodes", &["iv"])],
        conditions: &[(
            "options.surface_nodes",
            &["event_time", "known_at", "tenor_days", "node"],
        )],
    },
];

const NODE_COUNT: usize = MATURITY_DAYS.len() * DELTA_NODES.len();
/// The node at the money, 30 days.
const LEVEL: usize = 2 * DELTA_NODES.len() + 2;
const DAY_MICROS: f64 = 86_400e6;

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
            values: vec![None; NODE_COUNT],
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

/// Scores, shock and rank of every snapshot.
///
/// Components and covariance are fitted to the snapshots known before the week of a snapshot began, so any
/// partition gives the same numbers when it is rebuilt alone. A change is measured against the last snapshot
/// that was known by then, and a rank among those known by then.
pub(super) fn pca(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let (window_days, fewest) = (
        task.count("pca_window_days")? as i32,
        task.count("pca_snapshots_min")?,
    );
    let grids = grids(task.input("options.surface_nodes")?)?;
    let mut fits: BTreeMap<Day, Week> = BTreeMap::new();
    let (mut assets, mut events, mut knowns) = (vec![], vec![], vec![]);
    let (mut counts, mut changes, mut reasons) = (vec![], vec![], vec![]);
    let mut numbers: [Vec<Option<f64>>; 7] = Default::default();
    let (mut distances, mut ranks) = (vec![], vec![]);
    for (i, grid) in grids.iter().enumerate() {
        if !task.period.contains(grid.event.day()) {
            continue;
        }
        let monday = grid.event.day().plus(-(grid.event.day().weekday() as i32));
        let week = fits
            .entry(monday)
            .or_insert_with(|| Week::before(&grids, monday, window_days, fewest));
        let (values, reason) = match &week.pca {
            Ok(pca) => project(pca, grid),
            Err(reason) => ([None; 7], Some(*reason)),
        };
        let earlier: Vec<&Grid> = grids[..i]
            .iter()
            .filter(|other| other.known_micros <= grid.known_micros)
            .collect();
        assets.push(Some(asset.clone()));
        events.push(Some(grid.event.micros()));
        knowns.push(Some(grid.known_micros));
        for (column, value) in numbers.iter_mut().zip(values) {
            column.push(value);
        }
        counts.push(Some(week.pca.as_ref().map_or(0, |pca| pca.rows() as i64)));
        let shock = week.shock.as_ref();
        distances.push(
            shock.and_then(|(metric, _)| metric.distance(&change(earlier.last()?, grid)?).ok()),
        );
        changes.push(Some(shock.map_or(0, |(_, count)| *count as i64)));
        let oldest = grid.event.day().plus(-window_days);
        ranks.push(rank(&earlier, grid, oldest, fewest));
        reasons.push(reason.map(str::to_owned));
    }
    let mut columns = vec![Out::Utf8(assets), Out::Ts(events), Out::Ts(knowns)];
    columns.extend(numbers.map(Out::F64));
    columns.extend([
        Out::I64(counts),
        Out::F64(distances),
        Out::I64(changes),
        Out::F64(ranks),
        Out::Utf8(reasons),
    ]);
    batch(&task.schema, columns)
}

/// What is fitted once for all snapshots of a week.
struct Week {
    pca: Result<SurfacePca, &'static str>,
    /// Distances under the shrunk covariance of changes, and the number of changes; none if they are too few.
    shock: Option<(Mahalanobis, usize)>,
}

impl Week {
    fn before(grids: &[Grid], monday: Day, window_days: i32, fewest: usize) -> Self {
        let oldest = monday.plus(-window_days);
        let known: Vec<&Grid> = grids
            .iter()
            .filter(|g| g.known_micros < monday.start().micros() && g.event.day() >= oldest)
            .collect();
        Self {
            pca: components(&known, fewest),
            shock: shocks(&known, fewest),
        }
    }
}

fn components(known: &[&Grid], fewest: usize) -> Result<SurfacePca, &'static str> {
    let rows: Vec<Vec<Option<f64>>> = known.iter().map(|grid| grid.values.clone()).collect();
    let config = PcaConfig {
        min_rows: fewest,
        ..PcaConfig::default()
    };
    SurfacePca::fit(&rows, &config).map_err(|error| match error {
        ModelError::TooFewRows { .. } => "short_pca_history",
        _ => "pca_failed",
    })
}

fn shocks(known: &[&Grid], fewest: usize) -> Option<(Mahalanobis, usize)> {
    let pairs = known.windows(2).filter_map(|pair| change(pair[0], pair[1]));
    let changes: Vec<f64> = pairs.flatten().collect();
    let count = changes.len() / NODE_COUNT;
    if count < fewest {
        return None;
    }
    let metric = ledoit_wolf(&changes, NODE_COUNT).and_then(|shrunk| shrunk.metric());
    metric.ok().map(|metric| (metric, count))
}

/// Change of every node for a square root of a day; none with a node missing on either side.
fn change(before: &Grid, after: &Grid) -> Option<Vec<f64>> {
    let days = (after.event.micros() - before.event.micros()) as f64 / DAY_MICROS;
    let scale = days.sqrt();
    let moves = before.values.iter().zip(&after.values);
    let moves = moves.map(|(before, after)| Some(((*after)? - (*before)?) / scale));
    (scale > 0.0).then(|| moves.collect())?
}

/// Share of the levels since a day that are at most that of the snapshot, itself among them.
fn rank(earlier: &[&Grid], grid: &Grid, oldest: Day, fewest: usize) -> Option<f64> {
    let level = grid.values[LEVEL]?;
    let recent = earlier.iter().filter(|other| other.event.day() >= oldest);
    let levels: Vec<f64> = recent.filter_map(|other| other.values[LEVEL]).collect();
    let below = 1 + levels.iter().filter(|other| **other <= level).count();
    let all = levels.len() + 1;
    (all >= fewest).then(|| below as f64 / all as f64)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit component with the same loadings over deltas at every maturity.
    fn over_deltas(loadings: [f64; 5]) -> Vec<f64> {
        let norm = (5.0 * loadings.iter().map(|x| x * x).sum::<f64>()).sqrt();
        let row = loadings.map(|x| x / norm);
        row.repeat(MATURITY_DAYS.len())
    }

    #[test]
    fn a_component_keeps_its_meaning_when_its_largest_loading_changes_sides() {
        // Dear puts and cheap calls, the largest loading on either side: the rule of the largest loading would turn the second.
        let puts = over_deltas([2.1, 1.0, 0.0, -1.0, -2.0]);
        let calls = over_deltas([-2.0, -1.0, 0.0, 1.0, 2.1]);
        assert_eq!((orientation(2, &puts), orientation(2, &calls)), (1.0, -1.0));
        let level = over_deltas([-1.0; 5]);
        assert_eq!(orientation(0, &level), -1.0);
        // A butterfly is like no template and stays as it is, as do the last two components.
        let butterfly = over_deltas([1.0, -1.0, -2.1, 0.5, 1.5]);
        assert_eq!(orientation(2, &butterfly), 1.0);
        assert_eq!(orientation(3, &calls), 1.0);
    }
}
