//! From quotes with volatilities to published slices and to the models beside them.

mod models;
mod rows;

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use lakectl_core::UtcTime;
use lakectl_options::slices::{
    CARRY_HOURS_MAX, EarlierSlice, FittedSlice, SliceQuote, SliceQuotes, fit_slice, publish,
};
use lakectl_options::smile::{Change, FitError, Range, change};

use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

pub(super) use models::{MODELS_MADE, models};
use rows::SliceRows;

const HOUR_MICROS: i64 = 3_600_000_000;

const GROUPS: &[Uses] = &[("options.greeks", &["event_time", "expiry"])];
const QUOTES: &[Uses] = &[(
    "options.greeks",
    &[
        "log_moneyness",
        "iv",
        "bid_iv",
        "ask_iv",
        "delta",
        "vega",
        "forward",
        "expiry_years",
    ],
)];
/// Which quotes a slice has, and which earlier ones it may look at.
const CHOICE: &[Uses] = &[(
    "options.greeks",
    &[
        "event_time",
        "known_at",
        "expiry",
        "two_sided",
        "out_of_the_money",
    ],
)];

const fn of_groups(columns: &'static [&'static str], values: &'static [Uses]) -> Made {
    Made {
        columns,
        values,
        conditions: GROUPS,
    }
}

const fn of_quotes(columns: &'static [&'static str]) -> Made {
    Made {
        columns,
        values: QUOTES,
        conditions: CHOICE,
    }
}

const EVENT: Made = of_groups(&["event_time"], GROUPS);
const EXPIRY: Made = of_groups(&["expiry"], GROUPS);
const KNOWN: Made = of_groups(&["known_at"], &[("options.greeks", &["known_at"])]);
const ASSET: Made = of_groups(&["asset"], &[]);
const YEARS: Made = of_groups(&["expiry_years"], &[("options.greeks", &["expiry_years"])]);
const FORWARD: Made = of_groups(&["forward"], &[("options.greeks", &["forward"])]);

/// What the columns of `slices` are made of.
pub(super) const SLICES_MADE: &[Made] = &[
    ASSET,
    EVENT,
    KNOWN,
    EXPIRY,
    YEARS,
    FORWARD,
    of_quotes(&SLICE_COLUMNS),
];

/// Columns of `slices` that come from quotes, in the order of the table.
const SLICE_COLUMNS: [&str; 34] = [
    "a",
    "b",
    "rho",
    "m",
    "sigma",
    "rmse_vol",
    "quotes",
    "two_sided_quotes",
    "g_min",
    "butterfly_free",
    "status",
    "max_error_vol",
    "leave_one_out_vol",
    "inside_share",
    "k_min",
    "k_max",
    "g_argmin",
    "g_min_fitted",
    "g_argmin_fitted",
    "butterfly_free_fitted",
    "lee_left",
    "lee_right",
    "lee_ok",
    "calendar_gap",
    "calendar_gap_k",
    "calendar_crossings",
    "calendar_free",
    "repair",
    "repair_cost_vol",
    "carried_hours",
    "level_shift_vol",
    "change_hours",
    "level_change_vol",
    "shape_change_vol",
];

/// The quotes of one expiry at one time.
#[derive(Default)]
struct Group {
    expiry_years: f64,
    forward: f64,
    /// The latest time at which one of its rows could be known.
    known_micros: i64,
    /// Usable quotes with the time from which each could be known.
    quotes: Vec<(i64, SliceQuote)>,
    two_sided: i64,
}

impl Group {
    fn slice(&self, known_by: i64) -> SliceQuotes {
        let known = self.quotes.iter().filter(|(known, _)| *known <= known_by);
        SliceQuotes {
            expiry_years: self.expiry_years,
            quotes: known.map(|(_, quote)| *quote).collect(),
        }
    }
}

/// Expiries of one snapshot, nearest first.
type Snapshot = BTreeMap<i64, Group>;

fn known_micros(snapshot: &Snapshot) -> i64 {
    snapshot
        .values()
        .map(|g| g.known_micros)
        .max()
        .unwrap_or(i64::MIN)
}

/// All snapshots that were granted, those before the task's period included.
fn snapshots(greeks: &Columns) -> Result<BTreeMap<i64, Snapshot>, PipelineError> {
    let [events, knowns, expiries] = ["event_time", "known_at", "expiry"].map(|c| greeks.micros(c));
    let (events, knowns, expiries) = (events?, knowns?, expiries?);
    let numbers = [
        "expiry_years",
        "forward",
        "log_moneyness",
        "iv",
        "bid_iv",
        "ask_iv",
        "delta",
        "vega",
    ]
    .map(|name| greeks.f64s(name))
    .into_iter()
    .collect::<Result<Vec<_>, _>>()?;
    let (two_sided, outside) = (
        greeks.bools("two_sided")?,
        greeks.bools("out_of_the_money")?,
    );
    let mut all: BTreeMap<i64, Snapshot> = BTreeMap::new();
    for row in 0..greeks.rows() {
        let group = all
            .entry(events[row])
            .or_default()
            .entry(expiries[row])
            .or_insert(Group {
                known_micros: i64::MIN,
                ..Group::default()
            });
        group.known_micros = group.known_micros.max(knowns[row]);
        let [years, forward, k, vol, bid, ask, delta, vega] =
            std::array::from_fn(|i| numbers[i][row]);
        group.expiry_years = group.expiry_years.max(years.unwrap_or(0.0));
        group.forward = group.forward.max(forward.unwrap_or(0.0));
        let (Some(k), Some(vol), Some(delta), Some(vega), Some(forward), Some(true)) =
            (k, vol, delta, vega, forward, outside[row])
        else {
            continue;
        };
        let both = two_sided[row] == Some(true);
        let sides = bid.zip(ask).filter(|_| both);
        if let Some(quote) = SliceQuote::usable(k, vol, delta, vega / forward, sides) {
            group.quotes.push((knowns[row], quote));
            group.two_sided += i64::from(both);
        }
    }
    Ok(all)
}

/// Fits by snapshot and expiry, each computed once.
struct Fits<'a> {
    all: &'a BTreeMap<i64, Snapshot>,
    done: HashMap<(i64, i64), Result<FittedSlice, FitError>>,
}

impl Fits<'_> {
    /// The fit of one slice to the quotes that were known by a time.
    fn at(
        &mut self,
        event: i64,
        expiry: i64,
        known_by: i64,
    ) -> Option<Result<FittedSlice, FitError>> {
        let group = self.all.get(&event)?.get(&expiry)?;
        if group.known_micros > known_by {
            return Some(fit_slice(&group.slice(known_by)));
        }
        let fit = self.done.entry((event, expiry));
        Some(*fit.or_insert_with(|| fit_slice(&group.slice(known_by))))
    }

    /// The newest fit of an expiry in the 24 hours before a snapshot, from quotes known by then.
    fn before(&mut self, event: i64, expiry: i64, known_by: i64) -> Option<EarlierSlice> {
        let oldest = event - (CARRY_HOURS_MAX as i64) * HOUR_MICROS;
        let all = self.all;
        all.range(oldest..event)
            .rev()
            .find_map(|(earlier, snapshot)| {
                let fit = self.at(*earlier, expiry, known_by)?.ok()?;
                Some(EarlierSlice {
                    svi: fit.svi,
                    range: fit.range,
                    expiry_years: snapshot.get(&expiry)?.expiry_years,
                })
            })
    }
}

/// One published slice an expiry and snapshot, with its certificate.
pub(super) fn slices(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let all = snapshots(task.input("options.greeks")?)?;
    let mut fits = Fits {
        all: &all,
        done: HashMap::new(),
    };
    let mut rows = SliceRows::default();
    for (event, snapshot) in &all {
        if !task.period.contains(UtcTime::from_micros(*event).day()) {
            continue;
        }
        let known = known_micros(snapshot);
        let expiries: Vec<i64> = snapshot.keys().copied().collect();
        let slices: Vec<SliceQuotes> = snapshot.values().map(|g| g.slice(known)).collect();
        let own: Vec<_> = expiries
            .iter()
            .map(|expiry| {
                fits.at(*event, *expiry, known)
                    .unwrap_or(Err(FitError::NoFit))
            })
            .collect();
        let published = publish(&slices, &own, |i| fits.before(*event, expiries[i], known));
        for (i, group) in snapshot.values().enumerate() {
            let moved = own[i].ok().and_then(|fit| {
                let earlier = fits.before(*event, expiries[i], known)?;
                moved(&earlier, &fit, group.expiry_years)
            });
            rows.keys.push(&asset, *event, known, expiries[i], group);
            rows.push(group, &published[i], moved);
        }
    }
    batch(&task.schema, rows.columns())
}

/// Hours since the earlier fit and the movement since then.
fn moved(earlier: &EarlierSlice, fit: &FittedSlice, years: f64) -> Option<(f64, Change)> {
    let range: Range = earlier.range.common(fit.range)?;
    let change = change(
        (&earlier.svi, earlier.expiry_years),
        (&fit.svi, years),
        range,
    )?;
    Some(((earlier.expiry_years - years) * 365.0 * 24.0, change))
}

/// The columns that name a slice.
#[derive(Default)]
struct Keys {
    assets: Vec<Option<String>>,
    times: [Vec<Option<i64>>; 3],
    numbers: [Vec<Option<f64>>; 2],
}

impl Keys {
    fn push(&mut self, asset: &str, event: i64, known: i64, expiry: i64, group: &Group) {
        self.assets.push(Some(asset.to_owned()));
        for (column, time) in self.times.iter_mut().zip([event, known, expiry]) {
            column.push(Some(time));
        }
        for (column, number) in self
            .numbers
            .iter_mut()
            .zip([group.expiry_years, group.forward])
        {
            column.push(Some(number));
        }
    }

    fn columns(self) -> Vec<Out> {
        let mut columns = vec![Out::Utf8(self.assets)];
        columns.extend(self.times.map(Out::Ts));
        columns.extend(self.numbers.map(Out::F64));
        columns
    }
}

fn push_all<const N: usize, T>(columns: &mut [Vec<Option<T>>; N], values: [Option<T>; N]) {
    for (column, value) in columns.iter_mut().zip(values) {
        column.push(value);
    }
}
