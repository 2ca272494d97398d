//! The open options of a snapshot: what a dealers' book is made of.

use std::collections::BTreeMap;

use lakectl_options::OptionKind;
use lakectl_options::exposure::{Book, EXPIRY_YEARS_MIN, Holding, OpenInterest, Scenario};
use lakectl_options::smile::RawSvi;

use super::{Columns, NativeTask};
use crate::PipelineError;

/// The scenarios that open interest decides, in the order of a book's positions.
pub(super) const SIGNED: [Scenario; 2] = [Scenario::AllShort, Scenario::Naive];

/// The open options of one snapshot.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) known_micros: i64,
    pub(super) index_prices: Vec<f64>,
    pub(super) nearest_forward: Option<(f64, f64)>,
    pub(super) holdings: Vec<Holding<2>>,
    /// What is open in the options held.
    pub(super) open: Vec<OpenInterest>,
    pub(super) left_out: i64,
}

impl Snapshot {
    /// The spot price and where it comes from: the venue's index, else the forward of the nearest expiry.
    pub(super) fn spot(&mut self) -> Option<(f64, &'static str)> {
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
    pub(super) fn book(&mut self) -> Result<(Book<2>, &'static str), &'static str> {
        let (spot, source) = self.spot().ok_or("no_spot")?;
        if self.holdings.is_empty() {
            return Err("no_open_interest");
        }
        let book = Book::new(spot, &self.holdings).map_err(|error| error.word())?;
        Ok((book, source))
    }
}

/// Groups options by snapshot. Options without open interest do not count; those without a volatility, with less than an
/// hour left or with a stale quote are left out and counted.
pub(super) fn snapshots(task: &NativeTask) -> Result<BTreeMap<i64, Snapshot>, PipelineError> {
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
    let (kinds, exclusions) = (greeks.texts("option_type")?, greeks.texts("exclusion")?);
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
        let stale = exclusions[row].as_deref().is_some_and(is_stale);
        let positions = SIGNED.map(|scenario| scenario.position(kind, contracts).unwrap_or(0.0));
        match (
            years.filter(|years| *years > EXPIRY_YEARS_MIN && !stale),
            forward,
            vol,
        ) {
            (Some(expiry_years), Some(forward), Some(vol)) => {
                snapshot.open.push(OpenInterest {
                    kind,
                    strike,
                    contracts,
                });
                snapshot.holdings.push(Holding {
                    kind,
                    strike,
                    expiry_years,
                    forward,
                    vol,
                    smile: smiles
                        .get(&(events[row], expiries[row]))
                        .map(|(_, smile)| *smile),
                    positions,
                });
            }
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

/// Whether `stale` is among the reasons, which a plus sign joins.
fn is_stale(exclusion: &str) -> bool {
    exclusion.split('+').any(|reason| reason == "stale")
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
