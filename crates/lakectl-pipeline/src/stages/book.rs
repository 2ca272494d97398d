//! The open options of a snapshot, and the trades before it: what a dealers' book is made of.

use std::collections::BTreeMap;

use lakectl_core::MICROS_PER_DAY;
use lakectl_options::OptionKind;
use lakectl_options::exposure::{
    Book, DealerInventory, EXPIRY_YEARS_MIN, Holding, OpenInterest, Scenario, Taker,
};
use lakectl_options::smile::RawSvi;

use super::{Columns, NativeTask};
use crate::PipelineError;

/// Positions of every scenario, in the order of [`Scenario::ALL`].
pub(super) type Positions = Holding<3>;
/// The place of taker flow among them.
const FLOW: usize = 2;

/// The open options of one snapshot.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) known_micros: i64,
    pub(super) index_prices: Vec<f64>,
    pub(super) nearest_forward: Option<(f64, f64)>,
    pub(super) holdings: Vec<Positions>,
    /// The names of the options held.
    pub(super) instruments: Vec<String>,
    /// What is open in them.
    pub(super) open: Vec<OpenInterest>,
    pub(super) left_out: i64,
    /// Whether there were trades to tell what takers did.
    pub(super) has_trades: bool,
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

    /// The scenarios with their places in the book, or the reason why one has no position.
    pub(super) fn scenarios(&self) -> [(usize, Scenario, Result<(), &'static str>); 3] {
        std::array::from_fn(|n| {
            let known = match n == FLOW && !self.has_trades {
                true => Err("no_trades"),
                false => Ok(()),
            };
            (n, Scenario::ALL[n], known)
        })
    }

    /// The book of all scenarios, its spot price and that price's source, or why there is none.
    pub(super) fn book(&mut self) -> Result<(Book<3>, &'static str), &'static str> {
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
    let instruments = greeks.texts("instrument")?;
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
        // Taker flow has its positions from the trades below.
        let positions = Scenario::ALL.map(|s| s.position(kind, contracts).unwrap_or(0.0));
        match (
            years.filter(|years| *years > EXPIRY_YEARS_MIN && !stale),
            forward,
            vol,
        ) {
            (Some(expiry_years), Some(forward), Some(vol)) => {
                let name = instruments[row].clone().unwrap_or_default();
                snapshot.instruments.push(name);
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
    let days = task.count("taker_flow_days")? as i64;
    let trades = task.input("market.option_trades")?;
    taker_flow(trades, days.saturating_mul(MICROS_PER_DAY), &mut snapshots)?;
    Ok(snapshots)
}

/// Dealers' positions against the takers of the last `window_micros`: trades up to the snapshot that were known with it.
fn taker_flow(
    trades: &Columns,
    window_micros: i64,
    snapshots: &mut BTreeMap<i64, Snapshot>,
) -> Result<(), PipelineError> {
    let (events, knowns) = (trades.micros("event_time")?, trades.micros("known_at")?);
    let (instruments, sides) = (trades.texts("instrument")?, trades.texts("taker_side")?);
    let contracts = trades.f64s("contracts")?;
    for (event, snapshot) in snapshots {
        let mut inventory = DealerInventory::default();
        for row in 0..trades.rows() {
            let age = event - events[row];
            let counts = (0..window_micros).contains(&age) && knowns[row] <= snapshot.known_micros;
            let taker = match sides[row].as_deref() {
                Some("buy") => Taker::Buy,
                Some("sell") => Taker::Sell,
                _ => continue,
            };
            if let (true, Some(name), Some(size)) = (counts, &instruments[row], contracts[row]) {
                snapshot.has_trades |= inventory.trade(name, taker, size);
            }
        }
        let held = snapshot.holdings.iter_mut().zip(&snapshot.instruments);
        for ((holding, name), open) in held.zip(&snapshot.open) {
            holding.positions[FLOW] = inventory.within(name, open.contracts);
        }
    }
    Ok(())
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
