//! From quotes with volatilities to published slices and to the models beside them.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use lakectl_core::UtcTime;
use lakectl_options::slices::{
    CARRY_HOURS_MAX, EarlierSlice, FittedSlice, Origin, PublishedSlice, SliceQuote, SliceQuotes,
    Unpublished, fit_slice, publish,
};
use lakectl_options::smile::{
    Change, FitError, Phi, Range, SabrFit, SabrFormula, SsviFit, SsviQuotes, change, fit_sabr,
    fit_ssvi,
};

use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

const HOUR_MICROS: i64 = 3_600_000_000;
/// With less time left than this a smile says nothing about the surface, which SSVI fits as a whole.
const SURFACE_YEARS_MIN: f64 = 0.5 / 365.0;
/// Lognormal SABR: what a coin's smile is commonly quoted in.
const SABR_BETA: f64 = 1.0;

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

/// What the columns of `smile_models` are made of.
pub(super) const MODELS_MADE: &[Made] = &[
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

/// Rows of `options.slices`, column by column.
#[derive(Default)]
struct SliceRows {
    keys: Keys,
    parameters: [Vec<Option<f64>>; 6],
    counts: [Vec<Option<i64>>; 2],
    g_min: Vec<Option<f64>>,
    butterfly_free: Vec<Option<bool>>,
    status: Vec<Option<String>>,
    quality: [Vec<Option<f64>>; 8],
    free_fitted: Vec<Option<bool>>,
    wings: [Vec<Option<f64>>; 2],
    lee_ok: Vec<Option<bool>>,
    gaps: [Vec<Option<f64>>; 2],
    crossings: Vec<Option<i64>>,
    calendar_free: Vec<Option<bool>>,
    repair: Vec<Option<String>>,
    costs: [Vec<Option<f64>>; 6],
}

fn push_all<const N: usize, T>(columns: &mut [Vec<Option<T>>; N], values: [Option<T>; N]) {
    for (column, value) in columns.iter_mut().zip(values) {
        column.push(value);
    }
}

impl SliceRows {
    fn push(
        &mut self,
        group: &Group,
        published: &Result<PublishedSlice, Unpublished>,
        moved: Option<(f64, Change)>,
    ) {
        let slice = published.as_ref().ok();
        let quality = slice.and_then(|s| s.quality);
        let svi = slice.map(|s| s.svi);
        let of = |pick: fn(&PublishedSlice) -> f64| slice.map(pick);
        let lowest = slice.and_then(|s| s.certificate.lowest);
        let fitted = slice.and_then(|s| s.certificate.lowest_fitted);
        let calendar = slice.and_then(|s| s.calendar.as_ref());
        let carried = slice.and_then(|s| match s.origin {
            Origin::Fitted => None,
            Origin::Carried { hours, shift_vol } => Some((hours, shift_vol)),
        });
        push_all(
            &mut self.parameters,
            [
                svi.map(|s| s.a),
                svi.map(|s| s.b),
                svi.map(|s| s.rho),
                svi.map(|s| s.m),
                svi.map(|s| s.sigma),
                quality.map(|q| q.rmse_vol),
            ],
        );
        push_all(
            &mut self.counts,
            [Some(group.quotes.len() as i64), Some(group.two_sided)],
        );
        self.g_min.push(lowest.map(|l| l.g));
        self.butterfly_free.push(slice.map(|s| s.certificate.free));
        self.status.push(Some(status(published).to_owned()));
        push_all(
            &mut self.quality,
            [
                quality.map(|q| q.max_error_vol),
                quality.and_then(|q| q.leave_one_out_vol),
                slice.and_then(|s| s.inside_share),
                of(|s| s.certificate.fitted.low),
                of(|s| s.certificate.fitted.high),
                lowest.map(|l| l.k),
                fitted.map(|l| l.g),
                fitted.map(|l| l.k),
            ],
        );
        self.free_fitted
            .push(slice.map(|s| s.certificate.free_fitted));
        push_all(
            &mut self.wings,
            [of(|s| s.certificate.wings.0), of(|s| s.certificate.wings.1)],
        );
        self.lee_ok.push(slice.map(|s| s.certificate.lee_ok));
        push_all(
            &mut self.gaps,
            [calendar.map(|c| c.min_gap), calendar.map(|c| c.argmin)],
        );
        self.crossings
            .push(calendar.map(|c| c.crossings.len() as i64));
        self.calendar_free.push(calendar.map(|c| c.free));
        self.repair.push(slice.map(|s| repair_word(s).to_owned()));
        push_all(
            &mut self.costs,
            [
                of(|s| s.mending.cost_vol),
                carried.map(|c| c.0),
                carried.map(|c| c.1),
                moved.map(|m| m.0),
                moved.map(|m| m.1.level_vol),
                moved.map(|m| m.1.shape_vol),
            ],
        );
    }

    /// All columns in the order of the table.
    fn columns(self) -> Vec<Out> {
        let mut columns = self.keys.columns();
        columns.extend(self.parameters.map(Out::F64));
        columns.extend(self.counts.map(Out::I64));
        columns.extend([
            Out::F64(self.g_min),
            Out::Bool(self.butterfly_free),
            Out::Utf8(self.status),
        ]);
        columns.extend(self.quality.map(Out::F64));
        columns.push(Out::Bool(self.free_fitted));
        columns.extend(self.wings.map(Out::F64));
        columns.push(Out::Bool(self.lee_ok));
        columns.extend(self.gaps.map(Out::F64));
        columns.extend([
            Out::I64(self.crossings),
            Out::Bool(self.calendar_free),
            Out::Utf8(self.repair),
        ]);
        columns.extend(self.costs.map(Out::F64));
        columns
    }
}

fn status(published: &Result<PublishedSlice, Unpublished>) -> &'static str {
    match published {
        Ok(slice) if slice.origin == Origin::Fitted => "ok",
        Ok(_) => "carried",
        Err(Unpublished::NoQuotes) => "no_usable_quotes",
        Err(Unpublished::Fit(error)) => error.word(),
    }
}

fn repair_word(slice: &PublishedSlice) -> &'static str {
    match (slice.mending.butterfly, slice.mending.calendar) {
        (false, false) => "none",
        (true, false) => "butterfly",
        (false, true) => "calendar",
        (true, true) => "both",
    }
}

/// SABR of every slice and one SSVI of every snapshot, beside the published smiles.
pub(super) fn models(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
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
