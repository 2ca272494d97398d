//! Coins that age and move: every on-chain series of a coin comes from one ledger of cohorts by day of last move,
//! so realised cap, MVRV, invested age, holder supply and spent-output profit agree with each other and with the price.

use crate::config::Asset;
use crate::path::Path;
use crate::rng::{Stream, StreamKey};
use crate::surface::{Factor, Surfaces};

/// Age from which a holder counts as long term, in days.
const LONG_TERM_DAYS: usize = 155;
/// Cohorts that exist when the warm-up begins.
const OLD_COHORTS: usize = 1_800;
/// Windows of the time-bound MVRV ratios, in days.
pub(crate) const MVRV_WINDOWS: [usize; 7] = [1, 7, 30, 60, 90, 180, 365];
/// Balance bands of holders, coins.
pub(crate) const HOLDER_BANDS: usize = 4;

/// One coin's chain on one UTC day. Supplies and flows in coins, caps in USD.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChainDay {
    /// Price at the end of the day, USD.
    pub price: f64,
    pub supply: f64,
    pub issuance: f64,
    pub realised_cap: f64,
    pub mvrv: f64,
    /// Ratio of the price to the mean acquisition price of the coins moved within each window.
    pub mvrv_windows: [f64; 7],
    /// Mean age of invested dollars, days.
    pub invested_age: f64,
    pub long_term_supply: f64,
    pub short_term_supply: f64,
    /// Mean age of the coins spent, days.
    pub dormancy: f64,
    /// Price over acquisition price of the short-term coins spent.
    pub short_term_sopr: f64,
    pub exchange_supply: f64,
    pub inflow: f64,
    pub outflow: f64,
    pub holders: [f64; HOLDER_BANDS],
    pub active_addresses: f64,
    pub transactions: f64,
    pub hash_rate: f64,
    pub sentiment: f64,
}

/// Sizes that differ between the coins.
struct Scale {
    supply: f64,
    issuance: f64,
    exchange: f64,
    flow: f64,
    holders: [f64; HOLDER_BANDS],
    addresses: f64,
    transactions: f64,
}

const fn scale(asset: Asset) -> Scale {
    match asset {
        Asset::Btc => Scale {
            supply: 19.65e6,
            issuance: 450.0,
            exchange: 2.45e6,
            flow: 38_000.0,
            holders: [2.10e6, 4.30e6, 4.65e6, 4.55e6],
            addresses: 780_000.0,
            transactions: 410_000.0,
        },
        Asset::Eth => Scale {
            supply: 120.4e6,
            issuance: 1_750.0,
            exchange: 17.5e6,
            flow: 520_000.0,
            holders: [6.9e6, 9.8e6, 13.1e6, 21.0e6],
            addresses: 520_000.0,
            transactions: 1_250_000.0,
        },
    }
}

/// Coins by day of last move.
struct Ledger {
    /// Coins and acquisition price, oldest first.
    cohorts: Vec<(f64, f64)>,
    /// Share of a cohort that moves a day, by age.
    hazard: Vec<f64>,
}

/// What one day of moving left behind.
#[derive(Default)]
struct Moved {
    coins: f64,
    coin_days: f64,
    short_value: f64,
    short_cost: f64,
}

impl Ledger {
    /// A ledger in which coins have aged at the usual pace, bought at prices that rose to `price`.
    fn aged(supply: f64, price: f64, days: usize) -> Self {
        let hazard: Vec<f64> = (0..OLD_COHORTS + days + 2)
            .map(|age| 0.30 / libm::pow(1.0 + age as f64, 0.90))
            .collect();
        let mut surviving = 1.0;
        let mut cohorts: Vec<(f64, f64)> = (0..OLD_COHORTS)
            .map(|age| {
                surviving *= 1.0 - hazard[age];
                (surviving, price * libm::exp(-0.001_4 * age as f64))
            })
            .collect();
        // What is older than the table sits in its oldest row.
        cohorts[OLD_COHORTS - 1].0 *= 250.0;
        cohorts.reverse();
        let total: f64 = cohorts.iter().map(|cohort| cohort.0).sum();
        cohorts.iter_mut().for_each(|c| c.0 *= supply / total);
        Self { cohorts, hazard }
    }

    /// Moves coins for a day at `price`; `young` and `old` scale the usual pace on both sides of the long-term age.
    fn step(&mut self, price: f64, issuance: f64, young: f64, old: f64) -> Moved {
        let mut moved = Moved::default();
        let newest = self.cohorts.len() - 1;
        for (index, cohort) in self.cohorts.iter_mut().enumerate() {
            let age = newest - index + 1;
            let pace = if age <= LONG_TERM_DAYS { young } else { old };
            let coins = cohort.0 * (self.hazard[age] * pace).min(0.9);
            cohort.0 -= coins;
            moved.coins += coins;
            moved.coin_days += coins * age as f64;
            if age <= LONG_TERM_DAYS {
                moved.short_value += coins * price;
                moved.short_cost += coins * cohort.1;
            }
        }
        self.cohorts.push((moved.coins + issuance, price));
        moved
    }

    /// Fills in what is a sum over cohorts.
    fn measure(&self, day: &mut ChainDay) {
        let (mut coins, mut cost, mut dollar_days) = (0.0, 0.0, 0.0);
        let mut windows = MVRV_WINDOWS.iter().enumerate().peekable();
        for (age, cohort) in self.cohorts.iter().rev().enumerate() {
            if let Some((i, _)) = windows.next_if(|(_, days)| **days == age) {
                day.mvrv_windows[i] = day.price * coins / cost;
            }
            if age == LONG_TERM_DAYS {
                day.short_term_supply = coins;
            }
            coins += cohort.0;
            cost += cohort.0 * cohort.1;
            dollar_days += cohort.0 * cohort.1 * age as f64;
        }
        day.supply = coins;
        day.long_term_supply = coins - day.short_term_supply;
        day.realised_cap = cost;
        day.mvrv = day.price * coins / cost;
        day.invested_age = dollar_days / cost;
    }
}

/// Slow numbers behind the flows, each an autoregression.
#[derive(Default)]
struct Moods {
    activity: f64,
    profit_taking: f64,
    deposits: f64,
    holders: [f64; HOLDER_BANDS],
    network: f64,
    sentiment: f64,
}

/// Runs a coin's chain from the warm-up to `end`; element 0 is `start`.
pub(crate) fn simulate(
    seed: u64,
    path: &Path,
    surfaces: &Surfaces,
    asset: Asset,
    (start, end): (i32, i32),
) -> Vec<ChainDay> {
    let scale = scale(asset);
    let first = path.first_day;
    let length = (end - first + 1) as usize;
    let first_price = path.price(asset, i64::from(first) * 86_400);
    let mut ledger = Ledger::aged(scale.supply, first_price, length);
    let mut moods = Moods::default();
    let mut exchange = scale.exchange;
    let mut holders = scale.holders;
    let mut result = Vec::with_capacity((end - start + 1) as usize);
    for day in first..=end {
        let mut stream = Stream::new(StreamKey {
            seed,
            purpose: "chain",
            sub: asset.index() as u64,
            day,
        });
        let mut row = ChainDay {
            price: path.price(asset, i64::from(day + 1) * 86_400),
            ..ChainDay::default()
        };
        let now = Now {
            stress: stress(path, asset, day),
            shock: path.standardised(asset, day).clamp(-5.0, 5.0),
            month: path.trailing_return(asset, day.max(first + 30), 30),
            greed: surfaces.factor(asset, day, Factor::Funding),
        };
        moods.step(&now, &mut stream);
        row.issuance = scale.issuance * libm::exp(0.06 * stream.normal());
        let young = libm::exp(0.25 * moods.activity + 0.30 * now.stress - 0.05);
        let old = libm::exp(0.35 * moods.profit_taking + 0.8 * now.month - 0.05);
        let moved = ledger.step(mean_price(path, asset, day), row.issuance, young, old);
        row.dormancy = moved.coin_days / moved.coins;
        row.short_term_sopr = moved.short_value / moved.short_cost;
        ledger.measure(&mut row);
        flows(&mut row, &scale, &moods, &now, &mut exchange, &mut stream);
        for (i, balance) in holders.iter_mut().enumerate() {
            let pull = 0.006 * libm::log(scale.holders[i] / *balance);
            *balance *= libm::exp(pull + 0.000_9 * moods.holders[i] + 0.000_4 * stream.normal());
            row.holders[i] = *balance;
        }
        network(&mut row, &scale, &moods, &now, day - first, &mut stream);
        row.sentiment = moods.sentiment;
        if day >= start {
            result.push(row);
        }
    }
    result
}

/// What moves people on one day.
struct Now {
    stress: f64,
    shock: f64,
    month: f64,
    greed: f64,
}

impl Moods {
    fn step(&mut self, now: &Now, stream: &mut Stream) {
        let mut next = |last: f64, memory: f64, push: f64| {
            memory * last + libm::sqrt(1.0 - memory * memory) * (stream.normal() + push)
        };
        self.activity = next(self.activity, 0.75, 0.4 * now.shock.abs() - 0.3);
        self.profit_taking = next(self.profit_taking, 0.85, 0.3 * now.shock);
        self.deposits = next(self.deposits, 0.80, -0.5 * now.shock);
        for (i, mood) in self.holders.iter_mut().enumerate() {
            // Large holders buy weakness, small ones strength.
            let push = if i >= 2 { -3.0 } else { 3.0 } * now.month;
            *mood = next(*mood, 0.90, push);
        }
        self.network = next(self.network, 0.90, 0.0);
        self.sentiment = next(self.sentiment, 0.88, 0.8 * now.shock + 0.4 * now.greed);
    }
}

fn stress(path: &Path, asset: Asset, day: i32) -> f64 {
    let vol = path.state(asset, day).daily_vol(asset);
    libm::log(vol / crate::path::usual_daily_vol(asset))
}

/// Mean of the day's hourly prices: what the coins that moved were worth.
fn mean_price(path: &Path, asset: Asset, day: i32) -> f64 {
    let from = i64::from(day) * 86_400;
    (0..24)
        .map(|hour| path.price(asset, from + hour * 3_600 + 1_800))
        .sum::<f64>()
        / 24.0
}

/// Exchange flows and the balance they add up to.
fn flows(
    row: &mut ChainDay,
    scale: &Scale,
    moods: &Moods,
    now: &Now,
    exchange: &mut f64,
    stream: &mut Stream,
) {
    let busy = 0.45 * now.stress + 0.12 * now.shock.abs() + 0.10 * moods.activity - 0.1;
    let fear = 0.035 * moods.deposits - 0.02 * now.shock;
    let noise = [0.06 * stream.normal(), 0.02 * stream.normal()];
    let full = libm::log(*exchange / scale.exchange);
    row.inflow = scale.flow * libm::exp(busy + noise[0] + fear);
    row.outflow = scale.flow * libm::exp(busy + noise[0] + noise[1] - fear + 0.8 * full);
    *exchange += row.inflow - row.outflow;
    row.exchange_supply = *exchange;
}

/// Addresses, transactions and hash rate.
fn network(
    row: &mut ChainDay,
    scale: &Scale,
    moods: &Moods,
    now: &Now,
    age_days: i32,
    stream: &mut Stream,
) {
    let busy = 0.08 * moods.network + 0.06 * moods.activity + 0.10 * now.stress;
    let growth = libm::exp(0.000_6 * f64::from(age_days));
    row.active_addresses = scale.addresses * libm::exp(busy + 0.03 * stream.normal());
    row.transactions = scale.transactions * libm::exp(0.8 * busy + 0.04 * stream.normal());
    // Exahashes a second; the chain that stakes has none.
    row.hash_rate = 620.0 * growth * libm::exp(0.02 * moods.network + 0.04 * stream.normal());
}
