//! What dealers' positions make them trade: sensitivities now, over the spot price, and after a move.

use arrow::array::RecordBatch;
use lakectl_options::exposure::{
    Book, Exposure, Ladder, Scenario, Shape, Stickiness, Walls, grid, max_pain,
};

use super::book::{Positions, Snapshot, snapshots};
use super::{Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

const STICKY: [Stickiness; 2] = [Stickiness::Strike, Stickiness::Delta];
/// Steps of the grid on which sign changes are looked for, a quarter of a per cent each, and of the one that is kept.
const FINE_STEPS: u32 = 240;
const KEPT_STEPS: u32 = 60;
/// Rungs of the hedge ladder.
const LADDER: Ladder<'static> = Ladder {
    ratios: &[0.90, 0.95, 0.98, 1.0, 1.02, 1.05, 1.10],
    vol_shifts: &[-0.05, 0.0, 0.05],
    hours: &[0.0, 8.0, 24.0],
};

const EVENTS: &[Uses] = &[("options.greeks", &["event_time"])];
const POSITIONS: &[Uses] = &[
    (
        "options.greeks",
        &["expiry_years", "forward", "strike", "iv", "open_interest"],
    ),
    ("options.slices", &["a", "b", "rho", "m", "sigma"]),
    ("market.option_quotes", &["index_price"]),
    ("market.option_trades", &["contracts", "taker_side"]),
];
const CHOICE: &[Uses] = &[
    (
        "options.greeks",
        &[
            "event_time",
            "expiry",
            "option_type",
            "exclusion",
            "instrument",
        ],
    ),
    ("options.slices", &["event_time", "expiry"]),
    ("market.option_quotes", &["event_time"]),
    TRADES,
];
/// Which trades count.
const TRADES: Uses = (
    "market.option_trades",
    &["event_time", "known_at", "instrument"],
);
const EVENT: Made = Made {
    columns: &["event_time"],
    values: EVENTS,
    conditions: &[],
};
const KNOWN: Made = Made {
    columns: &["known_at"],
    values: &[
        ("options.greeks", &["known_at"]),
        ("options.slices", &["known_at"]),
        ("market.option_quotes", &["known_at"]),
    ],
    conditions: CHOICE,
};

/// Profiles and ladders have rows only for snapshots with a book.
const BOOKS: &[Uses] = &[
    (
        "options.greeks",
        &[
            "event_time",
            "expiry",
            "option_type",
            "expiry_years",
            "forward",
            "strike",
            "iv",
            "open_interest",
            "exclusion",
        ],
    ),
    (
        "options.slices",
        &["event_time", "expiry", "a", "b", "rho", "m", "sigma"],
    ),
    ("market.option_quotes", &["event_time", "index_price"]),
    (
        "market.option_trades",
        &[
            "event_time",
            "known_at",
            "instrument",
            "contracts",
            "taker_side",
        ],
    ),
];

const fn of_events(columns: &'static [&'static str]) -> Made {
    Made {
        columns,
        values: &[],
        conditions: EVENTS,
    }
}

const BOOK_EVENT: Made = Made {
    conditions: BOOKS,
    ..EVENT
};
const BOOK_KNOWN: Made = Made {
    conditions: BOOKS,
    ..KNOWN
};

const fn of_books(columns: &'static [&'static str]) -> Made {
    Made {
        columns,
        values: &[],
        conditions: BOOKS,
    }
}

const fn of_positions(columns: &'static [&'static str]) -> Made {
    Made {
        columns,
        values: POSITIONS,
        conditions: CHOICE,
    }
}

/// What the columns of `exposure` are made of.
pub(super) const EXPOSURE_MADE: &[Made] = &[
    EVENT,
    KNOWN,
    of_events(&["asset", "scenario", "sticky"]),
    of_positions(&[
        "spot",
        "spot_source",
        "options",
        "left_out",
        "open_interest",
        "smile_share",
        "gamma_usd_per_pct",
        "vanna_usd_per_volpt",
        "charm_usd_per_day",
        "gross_gamma_usd_per_pct",
        "delta_usd",
        "hedge_usd_per_pct",
        "zero_gamma_level",
        "flip_status",
        "zero_gamma_levels",
        "stabilization",
        "acceleration",
        "gamma_skew",
        "call_wall",
        "put_wall",
        "max_gamma_strike",
        "max_pain",
        "reason",
    ]),
];
/// What the columns of `exposure_profile` are made of.
pub(super) const PROFILE_MADE: &[Made] = &[
    BOOK_EVENT,
    BOOK_KNOWN,
    of_books(&["asset", "scenario", "sticky", "spot_ratio"]),
    of_positions(&[
        "level",
        "gamma_usd_per_pct",
        "vanna_usd_per_volpt",
        "charm_usd_per_day",
    ]),
];
/// What the columns of `hedge_ladder` are made of.
pub(super) const LADDER_MADE: &[Made] = &[
    BOOK_EVENT,
    BOOK_KNOWN,
    of_books(&["asset", "scenario", "hours", "vol_shift", "spot_ratio"]),
    of_positions(&["level", "delta_coin", "hedge_coin", "hedge_usd"]),
];

/// The columns that name a row.
#[derive(Default)]
struct Names {
    assets: Vec<Option<String>>,
    events: Vec<Option<i64>>,
    knowns: Vec<Option<i64>>,
    scenarios: Vec<Option<String>>,
}

impl Names {
    fn push(&mut self, asset: &str, event: i64, known: i64, scenario: Scenario) {
        self.assets.push(Some(asset.to_owned()));
        self.events.push(Some(event));
        self.knowns.push(Some(known));
        self.scenarios.push(Some(scenario.word().to_owned()));
    }

    fn out(self) -> Vec<Out> {
        vec![
            Out::Utf8(self.assets),
            Out::Ts(self.events),
            Out::Ts(self.knowns),
            Out::Utf8(self.scenarios),
        ]
    }
}

/// One row of `exposure`, without its names.
#[derive(Default)]
struct Row {
    sticky: Option<String>,
    spot: Option<f64>,
    spot_source: Option<String>,
    options: i64,
    left_out: i64,
    open_interest: Option<f64>,
    smile_share: Option<f64>,
    now: Option<Exposure>,
    gross_gamma: Option<f64>,
    delta: Option<f64>,
    shape: Option<Shape>,
    walls: Walls,
    max_pain: Option<f64>,
    reason: Option<&'static str>,
}

/// One row a snapshot, scenario and stickiness.
pub(super) fn exposure(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let mut names = Names::default();
    let mut rows: Vec<Row> = Vec::new();
    for (event, mut snapshot) in snapshots(task)? {
        let pain = max_pain(&snapshot.open);
        let book = snapshot.book();
        for sticky in STICKY {
            let found = match &book {
                Ok((book, source)) => measured(book, source, &snapshot, sticky),
                Err(reason) => Err(*reason),
            };
            let measured = match found {
                Ok(rows) => rows.map(Ok),
                Err(reason) => [Err(reason), Err(reason), Err(reason)],
            };
            for ((_, scenario, known), found) in snapshot.scenarios().into_iter().zip(measured) {
                names.push(&asset, event, snapshot.known_micros, scenario);
                let mut row = known.and(found).unwrap_or_else(|reason| Row {
                    reason: Some(reason),
                    ..Row::default()
                });
                row.sticky = Some(sticky.word().to_owned());
                row.options = snapshot.holdings.len() as i64;
                row.left_out = snapshot.left_out;
                row.open_interest = Some(snapshot.open.iter().map(|o| o.contracts).sum());
                row.max_pain = pain;
                rows.push(row);
            }
        }
    }
    table(task, names, &rows)
}

/// The rows of all scenarios.
fn measured(
    book: &Book<3>,
    source: &str,
    snapshot: &Snapshot,
    sticky: Stickiness,
) -> Result<[Row; 3], &'static str> {
    let word = |error: lakectl_options::exposure::ExposureError| error.word();
    let now = book.at(1.0, sticky).map_err(word)?;
    let gross = book.gross_gamma_usd().map_err(word)?;
    let delta = book.delta_usd().map_err(word)?;
    let profile = book.profile(grid(FINE_STEPS), sticky).map_err(word)?;
    let sum = |with: fn(&Positions) -> bool| -> f64 {
        let held = snapshot.holdings.iter().filter(|h| with(h));
        held.map(|h| h.positions[0].abs()).sum()
    };
    let smile_share = match sticky {
        Stickiness::Strike => None,
        Stickiness::Delta => Some(sum(|h| h.smile.is_some()) / sum(|_| true)),
    };
    let mut rows = [Row::default(), Row::default(), Row::default()];
    for (n, row) in rows.iter_mut().enumerate() {
        *row = Row {
            spot: Some(book.spot()),
            spot_source: Some(source.to_owned()),
            smile_share,
            now: Some(now[n]),
            gross_gamma: Some(gross[n]),
            delta: Some(delta[n]),
            shape: profile.shape(n),
            walls: book.walls(n).map_err(word)?,
            ..Row::default()
        };
    }
    Ok(rows)
}

/// The scenarios that have positions, with their places in the book.
fn known(snapshot: &Snapshot) -> impl Iterator<Item = (usize, Scenario)> {
    let all = snapshot.scenarios().into_iter();
    all.filter_map(|(n, scenario, known)| known.is_ok().then_some((n, scenario)))
}

fn table(task: &NativeTask, names: Names, rows: &[Row]) -> Result<RecordBatch, PipelineError> {
    let numbers = |pick: &dyn Fn(&Row) -> Option<f64>| Out::F64(rows.iter().map(pick).collect());
    let now = |pick: fn(&Exposure) -> f64| numbers(&move |row| row.now.as_ref().map(pick));
    let shape =
        |pick: fn(&Shape) -> Option<f64>| numbers(&move |row| row.shape.as_ref().and_then(pick));
    let texts = |pick: &dyn Fn(&Row) -> Option<String>| Out::Utf8(rows.iter().map(pick).collect());
    let levels = |shape: &Shape| {
        let levels: Vec<String> = shape
            .zero_gamma
            .iter()
            .map(|level| format!("{level:.2}"))
            .collect();
        levels.join(" ")
    };
    let mut columns = names.out();
    columns.extend([
        texts(&|row| row.sticky.clone()),
        numbers(&|row| row.spot),
        texts(&|row| row.spot_source.clone()),
        Out::I64(rows.iter().map(|row| Some(row.options)).collect()),
        Out::I64(rows.iter().map(|row| Some(row.left_out)).collect()),
        numbers(&|row| row.open_interest),
        numbers(&|row| row.smile_share),
        now(|e| e.gamma_usd),
        now(|e| e.vanna_usd),
        now(|e| e.charm_usd),
        numbers(&|row| row.gross_gamma),
        numbers(&|row| row.delta),
        now(|e| -e.gamma_usd),
        shape(|s| s.zero_gamma_level),
        texts(&|row| row.shape.as_ref().map(|s| s.flip.word().to_owned())),
        texts(&|row| row.shape.as_ref().map(levels)),
        shape(|s| s.stabilization),
        shape(|s| s.acceleration),
        shape(|s| s.gamma_skew),
        numbers(&|row| row.walls.call_wall),
        numbers(&|row| row.walls.put_wall),
        numbers(&|row| row.walls.max_gamma),
        numbers(&|row| row.max_pain),
        texts(&|row| row.reason.map(str::to_owned)),
    ]);
    batch(&task.schema, columns)
}

/// One row a snapshot, scenario, stickiness and level of the spot price. Snapshots without a book have none.
pub(super) fn profile(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let mut names = Names::default();
    let (mut stickies, mut ratios, mut levels) = (vec![], vec![], vec![]);
    let (mut gammas, mut vannas, mut charms) = (vec![], vec![], vec![]);
    for (event, mut snapshot) in snapshots(task)? {
        let Ok((book, _)) = snapshot.book() else {
            continue;
        };
        for sticky in STICKY {
            let Ok(profile) = book.profile(grid(KEPT_STEPS), sticky) else {
                continue;
            };
            for (n, scenario) in known(&snapshot) {
                for (ratio, cell) in profile.ratios.iter().zip(&profile.cells) {
                    names.push(&asset, event, snapshot.known_micros, scenario);
                    stickies.push(Some(sticky.word().to_owned()));
                    ratios.push(Some(*ratio));
                    levels.push(Some(ratio * book.spot()));
                    gammas.push(Some(cell[n].gamma_usd));
                    vannas.push(Some(cell[n].vanna_usd));
                    charms.push(Some(cell[n].charm_usd));
                }
            }
        }
    }
    let mut columns = names.out();
    columns.push(Out::Utf8(stickies));
    columns.extend([ratios, levels, gammas, vannas, charms].map(Out::F64));
    batch(&task.schema, columns)
}

/// One row a snapshot, scenario and rung. Snapshots without a book have none.
pub(super) fn hedge_ladder(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let mut names = Names::default();
    let mut numbers: [Vec<Option<f64>>; 7] = Default::default();
    for (event, mut snapshot) in snapshots(task)? {
        let Ok((book, _)) = snapshot.book() else {
            continue;
        };
        let Ok(rungs) = book.ladder(LADDER) else {
            continue;
        };
        for (n, scenario) in known(&snapshot) {
            for rung in &rungs {
                names.push(&asset, event, snapshot.known_micros, scenario);
                let row = [
                    rung.hours,
                    rung.vol_shift,
                    rung.ratio,
                    rung.ratio * book.spot(),
                    rung.delta_coin[n],
                    rung.hedge_coin[n],
                    rung.hedge_usd[n],
                ];
                for (column, value) in numbers.iter_mut().zip(row) {
                    column.push(Some(value));
                }
            }
        }
    }
    let mut columns = names.out();
    columns.extend(numbers.map(Out::F64));
    batch(&task.schema, columns)
}

#[cfg(test)]
#[path = "exposure_tests.rs"]
mod tests;
