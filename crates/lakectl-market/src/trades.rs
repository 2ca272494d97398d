//! Trades of options, in Deribit's `get_last_trades_by_currency_and_time` form.

use crate::bodies::{Page, envelope_end, list, midnight, stream};
use crate::calendar::{SECONDS_PER_DAY, expiries};
use crate::chain::{Slice, Snapshot, ceil_tick, floor_tick, slice, strikes};
use crate::config::Asset;
use crate::market::Market;
use crate::rng::Stream;
use crate::smile::black;
use crate::surface::DAYS_PER_YEAR;
use crate::write::{fixed, integer, text};

/// Trades of a coin and day: a sample, as a venue has thousands.
const TRADES_A_DAY: usize = 30;
/// How often a taker buys: puts are bought for protection, calls sold against coins.
const BUYS_OF_PUTS: f64 = 0.60;
const BUYS_OF_CALLS: f64 = 0.42;

/// All trades of the page's days in the order of their times.
pub(crate) fn trades(market: &Market, page: Page) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"result\":{\"trades\":[".to_vec();
    let all = page.days().flat_map(|day| {
        let mut source = stream(market, "trades", page.asset, day);
        let mut times: Vec<i64> = (0..TRADES_A_DAY)
            .map(|_| (source.uniform() * SECONDS_PER_DAY as f64 * 1_000.0) as i64)
            .collect();
        times.sort_unstable();
        let numbered = times.into_iter().enumerate();
        numbered.map(move |(n, millis)| (day, n, midnight(day) * 1_000 + millis))
    });
    let (mut source, mut source_day) = (None::<Stream>, None);
    list(&mut out, all, |out, (day, n, millis)| {
        if source_day != Some(day) {
            source = Some(stream(market, "trade", page.asset, day));
            source_day = Some(day);
        }
        if let Some(source) = &mut source {
            trade(out, market, page.asset, (day, n, millis), source);
        }
    });
    text(&mut out, "],\"has_more\":false}");
    envelope_end(&mut out, page);
    out
}

fn trade(
    out: &mut Vec<u8>,
    market: &Market,
    asset: Asset,
    (day, n, millis): (i32, usize, i64),
    source: &mut Stream,
) {
    let seconds = millis.div_euclid(1_000);
    let surface = market.surface(asset, seconds);
    let moment = Snapshot {
        asset,
        seconds,
        fault: None,
    };
    // Near expiries and strikes near the money trade most.
    let listed = expiries(seconds);
    let near = source.uniform();
    let place = (near * near * listed.len() as f64) as usize;
    let slice = slice(
        &surface,
        moment,
        listed[place.min(listed.len() - 1)],
        source,
    );
    let strikes = strikes(&slice);
    let middle = (strikes.len() / 2) as f64 + 1.8 * source.normal();
    let strike = strikes[(middle.max(0.0) as usize).min(strikes.len() - 1)];
    let call = strike as f64 >= slice.forward;
    let buys = if call { BUYS_OF_CALLS } else { BUYS_OF_PUTS };
    let buy = source.uniform() < buys;
    let size = match asset {
        Asset::Btc => 2.0,
        Asset::Eth => 20.0,
    };
    let amount = libm::ceil(10.0 * size * libm::exp(1.1 * source.normal())) / 10.0;
    let (mark, iv) = priced(&slice, strike, call);
    // A buyer pays up to the next price step, a seller gets the one below.
    let price = match buy {
        true => ceil_tick(mark),
        false => floor_tick(mark).max(0.000_1),
    };
    text(out, "{\"trade_seq\":");
    integer(out, n as i64 + 1);
    text(out, ",\"trade_id\":\"");
    if asset == Asset::Eth {
        text(out, "ETH-");
    }
    integer(out, i64::from(day) * 1_000 + n as i64);
    text(out, "\",\"timestamp\":");
    integer(out, millis);
    text(out, ",\"tick_direction\":");
    integer(out, if buy { 0 } else { 2 });
    text(out, ",\"price\":");
    fixed(out, price, 4);
    text(out, ",\"mark_price\":");
    fixed(out, mark, 8);
    text(out, ",\"iv\":");
    fixed(out, 100.0 * iv, 2);
    text(out, ",\"instrument_name\":\"");
    text(out, asset.ticker());
    text(out, "-");
    text(out, &slice.name);
    text(out, "-");
    integer(out, strike);
    text(out, if call { "-C" } else { "-P" });
    text(out, "\",\"index_price\":");
    fixed(out, surface.spot, 2);
    text(out, ",\"direction\":\"");
    text(out, if buy { "buy" } else { "sell" });
    text(out, "\",\"contracts\":");
    fixed(out, amount, 1);
    text(out, ",\"amount\":");
    fixed(out, amount, 1);
    out.push(b'}');
}

/// Price in coin and volatility of an option on the smile.
fn priced(slice: &Slice, strike: i64, call: bool) -> (f64, f64) {
    let k = libm::log(strike as f64 / slice.forward);
    let total_vol = libm::sqrt(slice.smile.total_variance(k));
    let (call_price, put_price, _) = black(k, total_vol);
    let price = if call { call_price } else { put_price };
    let years = slice.days / DAYS_PER_YEAR;
    (price.max(0.0), total_vol / libm::sqrt(years))
}
