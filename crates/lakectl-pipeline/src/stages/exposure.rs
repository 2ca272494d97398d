//! What dealers' positions make them trade: sensitivities now, over the spot price, and after a move.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_options::OptionKind;
use lakectl_options::exposure::{
    Book, EXPIRY_YEARS_MIN, Exposure, Holding, Ladder, OpenInterest, Scenario, Shape, Stickiness,
    Walls, grid, max_pain,
};
use lakectl_options::smile::RawSvi;

use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

/// The scenarios that open interest decides, in the order of a book's positions.
const SIGNED: [Scenario; 2] = [Scenario::AllShort, Scenario::Naive];
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
];
const CHOICE: &[Uses] = &[
    ("options.greeks", &["event_time", "expiry", "option_type"]),
    ("options.slices", &["event_time", "expiry"]),
    ("market.option_quotes", &["event_time"]),
];
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
        ],
    ),
    (
        "options.slices",
        &["event_time", "expiry", "a", "b", "rho", "m", "sigma"],
    ),
    ("market.option_quotes", &["event_time", "index_price"]),
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

/// The open options of one snapshot.
#[derive(Default)]
struct Snapshot {
    known_micros: i64,
    index_prices: Vec<f64>,
    nearest_forward: Option<(f64, f64)>,
    holdings: Vec<Holding<2>>,
    open: Vec<OpenInterest>,
    left_out: i64,
}

impl Snapshot {
    /// The spot price and where it comes from: the venue's index, else the forward of the nearest expiry.
    fn spot(&mut self) -> Option<(f64, &'static str)> {
        self.index_prices.sort_by(f64::total_cmp);
        let count = self.index_prices.len();
        let index = (count > 0)
            .then(|| 0.5 * (self.index_prices[(count - 1) / 2] + self.index_prices[count / 2]));
        let forward = self.nearest_forward.map(|(_, forward)| forward);
        index
            .map(|spot| (spot, "index"))
            .or(forward.map(|spot| (spot, "nearest_forward")))
    }

    /// The book of the signed scenarios, its spot price and that price's source, or why there is none.
    fn book(&mut self) -> Result<(Book<2>, &'static str), &'static str> {
        let (spot, source) = self.spot().ok_or("no_spot")?;
        if self.holdings.is_empty() {
            return Err("no_open_interest");
        }
        let book = Book::new(spot, &self.holdings).map_err(|error| error.word())?;
        Ok((book, source))
    }
}

/// Groups options by snapshot. Options without open interest do not count; those without a volatility or with less than an
/// hour left are left out and counted.
fn snapshots(task: &NativeTask) -> Result<BTreeMap<i64, Snapshot>, PipelineError> {
    let greeks = task.input("options.greeks")?;
    let smiles = smiles(task.input("options.slices")?)?;
    let (events, knowns, expiries) = (
        greeks.micros("event_time")?,
        greeks.micros("known_at")?,
        greeks.micros("expiry")?,
    );
    let columns = ["expiry_years", "forward", "strike", "iv", "open_interest"]
        .map(|name| greeks.f64s(name))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let kinds = greeks.texts("option_type")?;
    let mut snapshots: BTreeMap<i64, Snapshot> = BTreeMap::new();
    for row in 0..greeks.rows() {
        let snapshot = snapshots.entry(events[row]).or_default();
        snapshot.known_micros = snapshot.known_micros.max(knowns[row]);
        let [years, forward, strike, vol, open] =
            [0, 1, 2, 3, 4].map(|i: usize| columns[i][row].filter(|x| *x > 0.0));
        if let (Some(years), Some(forward)) = (years, forward)
            && snapshot
                .nearest_forward
                .is_none_or(|(nearest, _)| years < nearest)
        {
            snapshot.nearest_forward = Some((years, forward));
        }
        let kind = match kinds[row].as_deref() {
            Some("call") => OptionKind::Call,
            Some("put") => OptionKind::Put,
            _ => continue,
        };
        let (Some(strike), Some(contracts)) = (strike, open) else {
            continue;
        };
        snapshot.open.push(OpenInterest {
            kind,
            strike,
            contracts,
        });
        let positions = SIGNED.map(|scenario| scenario.position(kind, contracts).unwrap_or(0.0));
        match (
            years.filter(|years| *years > EXPIRY_YEARS_MIN),
            forward,
            vol,
        ) {
            (Some(expiry_years), Some(forward), Some(vol)) => snapshot.holdings.push(Holding {
                kind,
                strike,
                expiry_years,
                forward,
                vol,
                smile: smiles
                    .get(&(events[row], expiries[row]))
                    .map(|(_, smile)| *smile),
                positions,
            }),
            _ => snapshot.left_out += 1,
        }
    }
    for ((event, _), (known, _)) in smiles {
        if let Some(snapshot) = snapshots.get_mut(&event) {
            snapshot.known_micros = snapshot.known_micros.max(known);
        }
    }
    index_prices(task.input("market.option_quotes")?, &mut snapshots)?;
    Ok(snapshots)
}

type Smiles = BTreeMap<(i64, i64), (i64, RawSvi)>;

/// Fitted smiles by snapshot and expiry, with the time at which each was known.
fn smiles(slices: &Columns) -> Result<Smiles, PipelineError> {
    let (events, knowns, expiries) = (
        slices.micros("event_time")?,
        slices.micros("known_at")?,
        slices.micros("expiry")?,
    );
    let columns = ["a", "b", "rho", "m", "sigma"]
        .map(|name| slices.f64s(name))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let mut smiles = Smiles::new();
    for row in 0..slices.rows() {
        if let [Some(a), Some(b), Some(rho), Some(m), Some(sigma)] =
            [0, 1, 2, 3, 4].map(|i: usize| columns[i][row])
        {
            let smile = RawSvi {
                a,
                b,
                rho,
                m,
                sigma,
            };
            smiles.insert((events[row], expiries[row]), (knowns[row], smile));
        }
    }
    Ok(smiles)
}

fn index_prices(
    quotes: &Columns,
    snapshots: &mut BTreeMap<i64, Snapshot>,
) -> Result<(), PipelineError> {
    let (events, knowns, prices) = (
        quotes.micros("event_time")?,
        quotes.micros("known_at")?,
        quotes.f64s("index_price")?,
    );
    for row in 0..quotes.rows() {
        if let Some(snapshot) = snapshots.get_mut(&events[row]) {
            snapshot.known_micros = snapshot.known_micros.max(knowns[row]);
            snapshot
                .index_prices
                .extend(prices[row].filter(|price| *price > 0.0));
        }
    }
    Ok(())
}

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
                Err(reason) => [Err(reason), Err(reason)],
            };
            // No table of the lake holds trades: their scenario is there with its reason, not with a guess.
            let all = measured.into_iter().chain([Err("no_trades")]);
            for (scenario, found) in Scenario::ALL.into_iter().zip(all) {
                names.push(&asset, event, snapshot.known_micros, scenario);
                let mut row = found.unwrap_or_else(|reason| Row {
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

/// The rows of the signed scenarios.
fn measured(
    book: &Book<2>,
    source: &str,
    snapshot: &Snapshot,
    sticky: Stickiness,
) -> Result<[Row; 2], &'static str> {
    let word = |error: lakectl_options::exposure::ExposureError| error.word();
    let now = book.at(1.0, sticky).map_err(word)?;
    let gross = book.gross_gamma_usd().map_err(word)?;
    let delta = book.delta_usd().map_err(word)?;
    let profile = book.profile(grid(FINE_STEPS), sticky).map_err(word)?;
    let sum = |with: fn(&Holding<2>) -> bool| -> f64 {
        let held = snapshot.holdings.iter().filter(|h| with(h));
        held.map(|h| h.positions[0].abs()).sum()
    };
    let smile_share = match sticky {
        Stickiness::Strike => None,
        Stickiness::Delta => Some(sum(|h| h.smile.is_some()) / sum(|_| true)),
    };
    let mut rows = [Row::default(), Row::default()];
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
            for (n, scenario) in SIGNED.into_iter().enumerate() {
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
        for (n, scenario) in SIGNED.into_iter().enumerate() {
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
