//! Snapshots of the option chain and of the futures, in Deribit's `get_book_summary_by_currency` form.

use lakectl_core::Day;

use crate::calendar::{Expiry, SECONDS_PER_DAY, expiries, expiry_name};
use crate::config::Asset;
use crate::market::Market;
use crate::rng::{Stream, StreamKey, fnv, mix_all, unit};
use crate::smile::{Smile, black};
use crate::surface::{DAYS_PER_YEAR, Factor, Surface};
use crate::write::{fixed, fixed_or_null, integer, round, text};

/// Standardised strikes of one expiry reach this far to both sides, in steps of [`STRIKE_STEP`].
const STRIKES_EACH_SIDE: i32 = 8;
const STRIKE_STEP: f64 = 0.36;

/// What is wrong with a planted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DirtyKind {
    /// The bid is above the ask.
    Crossed,
    /// The bid and the mark are negative.
    Negative,
    /// The same instrument stands in the document twice, with the same values.
    Duplicate,
}

/// A row that is wrong on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyRow {
    /// Dataset of the document.
    pub dataset: &'static str,
    /// Name of the document.
    pub document: String,
    /// The instrument.
    pub instrument: String,
    /// What is wrong.
    pub kind: DirtyKind,
}

/// The fault planted in the day's last chain, if it is one of the days that have one.
pub(crate) fn planted(day: Day) -> Option<DirtyKind> {
    match day.days().rem_euclid(20) {
        7 => Some(DirtyKind::Crossed),
        12 => Some(DirtyKind::Negative),
        17 => Some(DirtyKind::Duplicate),
        _ => None,
    }
}

/// One moment at which the venue is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub asset: Asset,
    /// Seconds since 1970.
    pub seconds: i64,
    pub fault: Option<DirtyKind>,
}

/// One option's row.
struct Quote {
    bid: Option<f64>,
    ask: Option<f64>,
    mark: f64,
    mark_iv: f64,
    open_interest: f64,
    volume: f64,
}

/// What all rows of an expiry share.
pub(crate) struct Slice {
    pub(crate) name: String,
    underlying: String,
    pub(crate) forward: f64,
    pub(crate) smile: Smile,
    pub(crate) days: f64,
    expiry: Expiry,
}

/// The whole chain as one response body, and the instrument with the planted fault.
pub(crate) fn options_body(market: &Market, snapshot: Snapshot) -> (Vec<u8>, Option<String>) {
    let mut stream = snapshot_stream(market, "options", snapshot);
    let surface = market.surface(snapshot.asset, snapshot.seconds);
    let mut out = Vec::with_capacity(200_000);
    let mut planted = None;
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"result\":[");
    for (index, expiry) in expiries(snapshot.seconds).into_iter().enumerate() {
        let slice = slice(&surface, snapshot, expiry, &mut stream);
        for (position, strike) in strikes(&slice).into_iter().enumerate() {
            let pair = quotes(market, snapshot, &slice, strike, &surface, &mut stream);
            // The fault sits on the call just above the forward of the fourth expiry: a row that matters.
            let here = index == 3 && position == STRIKES_EACH_SIDE as usize + 1;
            for (mut quote, letter) in pair.into_iter().zip(["C", "P"]) {
                let fault = snapshot.fault.filter(|_| here && letter == "C");
                let name = format!("{}-{}-{strike}-{letter}", snapshot.asset, slice.name);
                spoil(&mut quote, fault);
                let copies = if fault == Some(DirtyKind::Duplicate) {
                    2
                } else {
                    1
                };
                for _ in 0..copies {
                    option_row(&mut out, snapshot, &slice, &name, &quote, surface.spot);
                }
                if fault.is_some() {
                    planted = Some(name);
                }
            }
        }
    }
    close(&mut out, snapshot.seconds);
    (out, planted)
}

fn snapshot_stream(market: &Market, purpose: &'static str, snapshot: Snapshot) -> Stream {
    Stream::new(StreamKey {
        seed: market.seed(),
        purpose,
        sub: (snapshot.asset.index() as u64) << 32
            | snapshot.seconds.rem_euclid(SECONDS_PER_DAY) as u64,
        day: snapshot.seconds.div_euclid(SECONDS_PER_DAY) as i32,
    })
}

pub(crate) fn slice(
    surface: &Surface<'_>,
    snapshot: Snapshot,
    expiry: Expiry,
    stream: &mut Stream,
) -> Slice {
    let days = (expiry.seconds() - snapshot.seconds) as f64 / SECONDS_PER_DAY as f64;
    let noise = libm::exp(0.006 * stream.normal());
    let carry = surface.carry(days) + 2e-5 * stream.normal();
    let name = expiry_name(expiry.day);
    let prefix = if expiry.listed_future { "" } else { "SYN." };
    Slice {
        underlying: format!("{prefix}{}-{name}", snapshot.asset),
        name,
        forward: round(surface.spot * libm::exp(carry), 2),
        smile: surface.smile_of(surface.forward_variance(days) * noise, days),
        days,
        expiry,
    }
}

/// Strikes at even standardised distances, rounded to a step that keeps them apart.
pub(crate) fn strikes(slice: &Slice) -> Vec<i64> {
    // A coarse volatility keeps the strikes of one expiry from moving every day.
    let coarse = |x: f64| libm::exp(libm::round(libm::log(x) * 5.0) / 5.0);
    let width =
        coarse(libm::sqrt(slice.smile.total_variance(0.0) / slice.days)) * libm::sqrt(slice.days);
    (-STRIKES_EACH_SIDE..=STRIKES_EACH_SIDE)
        .map(|n| {
            let wanted = slice.forward * libm::exp(f64::from(n) * STRIKE_STEP * width);
            let step = round_step(0.55 * STRIKE_STEP * width * wanted);
            (libm::round(wanted / step) * step) as i64
        })
        .fold(Vec::new(), |mut list, strike| {
            if strike > 0 && list.last() != Some(&strike) {
                list.push(strike);
            }
            list
        })
}

/// The largest of 1, 2, 5, 10, 20, ... that is not above `x`.
fn round_step(x: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for factor in [2.0, 5.0, 10.0] {
            if step * factor > x {
                let below = match factor {
                    2.0 => 1.0,
                    5.0 => 2.0,
                    _ => 5.0,
                };
                return step * below;
            }
        }
        step *= 10.0;
    }
}

/// Call and put at one strike.
fn quotes(
    market: &Market,
    snapshot: Snapshot,
    slice: &Slice,
    strike: i64,
    surface: &Surface<'_>,
    stream: &mut Stream,
) -> [Quote; 2] {
    let k = libm::log(strike as f64 / slice.forward);
    let total_vol = libm::sqrt(slice.smile.total_variance(k));
    let iv = total_vol * libm::sqrt(DAYS_PER_YEAR / slice.days);
    let (call, put, vega) = black(k, total_vol);
    let u = k / total_vol;
    let spread = libm::exp(0.25 * surface.factor(Factor::Spread) + 0.4 * surface.stress);
    // Half the spread as a share of the volatility: wide in the wings and close to expiry.
    let half = spread * (0.006 + 0.004 * u * u + 0.012 * libm::exp(-slice.days / 3.0));
    [(call, 1_u64, u), (put, 2, -u)].map(|(price, side, away)| {
        let mark = round(price, 8);
        let depth = half * (0.6 + 0.8 * stream.uniform()) * total_vol * vega;
        let lean = depth * 0.5 * (stream.uniform() - 0.5);
        let mut bid = Some(floor_tick(mark + lean - depth)).filter(|bid| *bid > 0.0);
        let mut ask = Some(ceil_tick(mark + lean + depth));
        let (a, b) = (stream.uniform(), stream.uniform());
        // Deep in the money nobody need quote; far wings are one-sided.
        if (away < -1.6 && a < 0.35) || (away > 2.4 && a < 0.3) || a < 0.004 {
            bid = None;
        }
        if (away < -1.9 && b < 0.25) || b < 0.003 {
            ask = None;
        }
        let (open_interest, volume) = interest(market, snapshot, slice, strike, side, away);
        Quote {
            bid,
            ask,
            mark,
            mark_iv: 100.0 * iv,
            open_interest,
            volume,
        }
    })
}

const fn tick(price: f64) -> f64 {
    if price < 0.005 { 0.000_1 } else { 0.000_5 }
}

pub(crate) fn floor_tick(price: f64) -> f64 {
    let tick = tick(price);
    round(libm::floor(price / tick + 1e-9) * tick, 4)
}

pub(crate) fn ceil_tick(price: f64) -> f64 {
    let tick = tick(price);
    round(libm::ceil(price / tick - 1e-9).max(1.0) * tick, 4)
}

/// Open interest and volume in coins: an instrument keeps its size and breathes a little from day to day.
fn interest(
    market: &Market,
    snapshot: Snapshot,
    slice: &Slice,
    strike: i64,
    side: u64,
    away: f64,
) -> (f64, f64) {
    let day = snapshot.seconds.div_euclid(SECONDS_PER_DAY) as u64;
    let words = [
        market.seed(),
        snapshot.asset.index() as u64,
        slice.expiry.day as u64,
        strike as u64,
        side,
    ];
    let own = mix_all(&words);
    let daily = mix_all(&[own, day]);
    let size = match snapshot.asset {
        Asset::Btc => 1.0,
        Asset::Eth => 9.0,
    };
    let listed = if slice.expiry.listed_future { 3.0 } else { 1.0 };
    let shape = libm::exp(-0.28 * (away - 0.5) * (away - 0.5));
    let level = 90.0 * size * listed * shape * libm::exp(2.2 * (unit(own) - 0.5));
    let breath = 0.85 + 0.3 * unit(mix_all(&[daily, 1]));
    let dead = unit(mix_all(&[own, 2])) < 0.06;
    let open_interest = if dead { 0.0 } else { round(level * breath, 1) };
    let quiet = dead || unit(mix_all(&[daily, 3])) < 0.3;
    let turnover = 0.35 * unit(mix_all(&[daily, snapshot.seconds as u64]));
    let volume = if quiet {
        0.0
    } else {
        round(level * turnover * turnover, 1)
    };
    (open_interest, volume)
}

fn spoil(quote: &mut Quote, fault: Option<DirtyKind>) {
    match fault {
        Some(DirtyKind::Crossed) => {
            quote.bid = Some(ceil_tick(quote.mark + 0.004));
            quote.ask = Some(floor_tick((quote.mark - 0.004).max(0.000_1)));
        }
        Some(DirtyKind::Negative) => {
            quote.bid = Some(-0.000_5);
            quote.mark = -quote.mark;
        }
        Some(DirtyKind::Duplicate) | None => {}
    }
}

fn option_row(
    out: &mut Vec<u8>,
    snapshot: Snapshot,
    slice: &Slice,
    name: &str,
    quote: &Quote,
    spot: f64,
) {
    let mid = quote.bid.zip(quote.ask).map(|(bid, ask)| 0.5 * (bid + ask));
    let last = (quote.volume > 0.0).then(|| ceil_tick(quote.mark.max(0.0)));
    if out.last() == Some(&b'}') {
        out.push(b',');
    }
    number_field(out, "{\"mid_price\":", mid, 6);
    number_field(out, ",\"estimated_delivery_price\":", Some(spot), 2);
    let usd = quote.volume * quote.mark.max(0.0) * spot;
    number_field(out, ",\"volume_usd\":", Some(usd), 2);
    text(out, ",\"quote_currency\":\"");
    text(out, snapshot.asset.ticker());
    text(out, "\",\"creation_timestamp\":");
    integer(out, snapshot.seconds * 1_000 + 137);
    text(out, ",\"base_currency\":\"");
    text(out, snapshot.asset.ticker());
    number_field(out, "\",\"interest_rate\":", Some(0.0), 1);
    number_field(out, ",\"volume\":", Some(quote.volume), 1);
    text(out, ",\"underlying_index\":\"");
    text(out, &slice.underlying);
    number_field(out, "\",\"underlying_price\":", Some(slice.forward), 2);
    number_field(out, ",\"mark_iv\":", Some(quote.mark_iv), 2);
    number_field(out, ",\"mark_price\":", Some(quote.mark), 8);
    number_field(out, ",\"open_interest\":", Some(quote.open_interest), 1);
    number_field(out, ",\"ask_price\":", quote.ask, 4);
    number_field(out, ",\"bid_price\":", quote.bid, 4);
    text(out, ",\"instrument_name\":\"");
    text(out, name);
    number_field(out, "\",\"last\":", last, 4);
    text(out, ",\"price_change\":null,\"low\":null,\"high\":null}");
}

fn number_field(out: &mut Vec<u8>, label: &str, value: Option<f64>, decimals: usize) {
    text(out, label);
    fixed_or_null(out, value, decimals);
}

fn close(out: &mut Vec<u8>, seconds: i64) {
    let micros = seconds * 1_000_000 + 137_000;
    text(out, "],\"usIn\":");
    integer(out, micros);
    text(out, ",\"usOut\":");
    integer(out, micros + 4_211);
    text(out, ",\"usDiff\":4211,\"testnet\":false}");
}

/// Perpetual and dated futures as one response body.
pub(crate) fn futures_body(market: &Market, snapshot: Snapshot) -> Vec<u8> {
    let mut stream = snapshot_stream(market, "futures", snapshot);
    let surface = market.surface(snapshot.asset, snapshot.seconds);
    let mut out = Vec::with_capacity(6_000);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"result\":[");
    let day = snapshot.seconds.div_euclid(SECONDS_PER_DAY) as i32;
    let trend = market.path.trailing_return(snapshot.asset, day, 3);
    let premium = surface.perpetual_premium(trend);
    let perpetual = surface.spot * (1.0 + premium);
    let name = format!("{}-PERPETUAL", snapshot.asset);
    future_row(&mut out, snapshot, &name, perpetual, &surface, &mut stream);
    text(&mut out, ",\"funding_8h\":");
    fixed(&mut out, premium, 8);
    text(&mut out, ",\"current_funding\":");
    fixed(&mut out, premium * 0.6, 8);
    out.push(b'}');
    for expiry in expiries(snapshot.seconds) {
        if !expiry.listed_future {
            continue;
        }
        let days = (expiry.seconds() - snapshot.seconds) as f64 / SECONDS_PER_DAY as f64;
        let price = surface.spot * libm::exp(surface.carry(days));
        let name = format!("{}-{}", snapshot.asset, expiry_name(expiry.day));
        future_row(&mut out, snapshot, &name, price, &surface, &mut stream);
        out.push(b'}');
    }
    close(&mut out, snapshot.seconds);
    out
}

/// One future's row without its closing brace.
fn future_row(
    out: &mut Vec<u8>,
    snapshot: Snapshot,
    name: &str,
    price: f64,
    surface: &Surface<'_>,
    stream: &mut Stream,
) {
    let (tick, contracts) = match snapshot.asset {
        Asset::Btc => (0.5, 4.0e8),
        Asset::Eth => (0.05, 1.5e8),
    };
    let bid = libm::floor(price / tick) * tick;
    let ask = bid + tick * libm::ceil(3.0 * stream.uniform());
    // A contract keeps its size; it grows with the premium that longs pay.
    let own = unit(mix_all(&[fnv(name.as_bytes()), 1]));
    let share = if name.ends_with("PERPETUAL") {
        1.6
    } else {
        0.1 + 0.5 * own
    };
    let mood = 0.2 * surface.factor(Factor::Basis) + 0.1 * surface.factor(Factor::Funding);
    let open_interest = contracts * share * libm::exp(mood + 0.02 * stream.normal());
    let open_interest = libm::round(open_interest / 10.0) * 10.0;
    let usd = open_interest * (0.2 + 0.3 * stream.uniform()) * libm::exp(0.8 * surface.stress);
    if out.last() == Some(&b'}') {
        out.push(b',');
    }
    text(out, "{\"instrument_name\":\"");
    text(out, name);
    number_field(out, "\",\"bid_price\":", Some(bid), 2);
    number_field(out, ",\"ask_price\":", Some(ask), 2);
    number_field(out, ",\"mid_price\":", Some(0.5 * (bid + ask)), 3);
    number_field(out, ",\"mark_price\":", Some(price), 2);
    number_field(out, ",\"last\":", Some(bid), 2);
    number_field(out, ",\"estimated_delivery_price\":", Some(surface.spot), 2);
    number_field(out, ",\"open_interest\":", Some(open_interest), 1);
    number_field(out, ",\"volume_usd\":", Some(usd), 2);
    number_field(out, ",\"volume_notional\":", Some(usd), 2);
    number_field(out, ",\"volume\":", Some(usd / price), 8);
    text(out, ",\"quote_currency\":\"USD\",\"base_currency\":\"");
    text(out, snapshot.asset.ticker());
    text(out, "\",\"creation_timestamp\":");
    integer(out, snapshot.seconds * 1_000 + 137);
    text(out, ",\"price_change\":null,\"high\":null,\"low\":null");
}
