//! The law of returns, volatility and surfaces.

use super::{correlation, json, market};
use crate::{Asset, Market};

const DENSE: [f64; 99] = {
    let mut levels = [0.0; 99];
    let mut i = 0;
    while i < 99 {
        levels[i] = (i + 1) as f64 / 100.0;
        i += 1;
    }
    levels
};
const KNOTS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Gatheral's g at `k`, by differences.
fn butterfly(w: impl Fn(f64) -> f64, k: f64) -> f64 {
    let h = 1e-3;
    let (low, mid, high) = (w(k - h), w(k), w(k + h));
    let (first, second) = ((high - low) / (2.0 * h), (high - 2.0 * mid + low) / (h * h));
    let a = 1.0 - k * first / (2.0 * mid);
    a * a - first * first / 4.0 * (1.0 / mid + 0.25) + second / 2.0
}

#[test]
fn surfaces_are_free_of_arbitrage() {
    for seed in 1..=5 {
        let market = market(seed);
        for asset in Asset::ALL {
            for n in (0..420).step_by(6) {
                let seconds = market.config().start.plus(n).start().micros() / 1_000_000 + 76_200;
                let surface = market.surface(asset, seconds);
                let tenors = [
                    0.5, 1.5, 2.5, 6.0, 13.0, 20.0, 27.0, 55.0, 90.0, 180.0, 270.0,
                ];
                let smiles = tenors.map(|days| surface.smile(days));
                for (i, smile) in smiles.iter().enumerate() {
                    let root = smile.total_variance(0.0).sqrt();
                    for u in -40..=40 {
                        let k = f64::from(u) * 0.1 * root;
                        let w = smile.total_variance(k);
                        assert!(w > 0.0);
                        let g = butterfly(|k| smile.total_variance(k), k);
                        // Below 1e-3 the difference quotient itself is too coarse for the shortest smile.
                        assert!(
                            g > -1e-3 || root < 0.02,
                            "{seed} {asset} {n} {} {u}: {g}",
                            tenors[i]
                        );
                        if i > 0 {
                            assert!(
                                w > smiles[i - 1].total_variance(k),
                                "{seed} {n} {} {u}",
                                tenors[i]
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Mean pinball loss over levels of a quantile vector, doubled: the CRPS when the levels are dense.
fn loss(levels: &[f64], quantiles: &[f64], y: f64) -> f64 {
    let one = |(p, q): (&f64, &f64)| {
        2.0 * if y >= *q {
            p * (y - q)
        } else {
            (1.0 - p) * (q - y)
        }
    };
    levels.iter().zip(quantiles).map(one).sum::<f64>() / levels.len() as f64
}

fn sample_quantiles(sample: &[f64], levels: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len() - 1;
    levels
        .iter()
        .map(|p| {
            let at = p * last as f64;
            let low = at as usize;
            sorted[low] + (at - low as f64) * (sorted[(low + 1).min(last)] - sorted[low])
        })
        .collect()
}

/// Summed losses of the truth and of the climatology of the trailing `window` returns.
fn scores(market: &Market, hours: u32, window: usize, levels: &[f64]) -> (f64, f64, f64) {
    let (mut truth_sum, mut climate_sum, mut inside, mut count) = (0.0, 0.0, 0, 0);
    let ahead = (hours / 24) as i32;
    for asset in Asset::ALL {
        for n in (200..420 - ahead).step_by(ahead as usize) {
            let as_of = market.config().start.plus(n);
            let past: Vec<f64> = (1..=window as i32)
                .map(|back| n - back - ahead + 1)
                .filter(|from| *from >= 0)
                .map(|from| market.config().start.plus(from).start())
                .map(|from| market.realised_return(asset, from, hours).unwrap())
                .collect();
            let y = market.realised_return(asset, as_of.start(), hours).unwrap();
            let truth = market
                .truth_quantiles(asset, as_of.start(), hours, levels)
                .unwrap();
            truth_sum += loss(levels, &truth, y);
            climate_sum += loss(levels, &sample_quantiles(&past, levels), y);
            let ends = market
                .truth_quantiles(asset, as_of.start(), hours, &[0.05, 0.95])
                .unwrap();
            inside += usize::from(ends[0] <= y && y <= ends[1]);
            count += 1;
        }
    }
    (truth_sum, climate_sum, inside as f64 / f64::from(count))
}

#[test]
fn the_truth_beats_climatology_by_a_little() {
    for (hours, seeds, band) in [(24, 1..=10, 0.01..0.10), (168, 1..=3, 0.0..0.12)] {
        for (window, label, levels) in [(180, "dense", &DENSE[..]), (365, "knots", &KNOTS[..])] {
            let (mut truth, mut climate, mut cover) = (0.0, 0.0, Vec::new());
            let mut each = Vec::new();
            for seed in seeds.clone() {
                let (t, c, inside) = scores(&market(seed), hours, window, levels);
                truth += t;
                climate += c;
                cover.push(inside);
                each.push(format!("{:.1}", 100.0 * (1.0 - t / c)));
            }
            let skill = 1.0 - truth / climate;
            let cover = cover.iter().sum::<f64>() / cover.len() as f64;
            eprintln!(
                "{hours} h, climatology {window} d, {label}: skill {:.2} %, 90 % interval holds {cover:.3}; by seed {}",
                100.0 * skill,
                each.join(" ")
            );
            assert!(
                band.contains(&skill),
                "{hours} h {window} d {label}: {skill}"
            );
            assert!((0.86..0.94).contains(&cover), "{cover}");
        }
    }
}

#[test]
fn day_returns_are_drawn_from_the_stated_law() {
    let (mut below, mut count) = ([0; 5], 0);
    for seed in 100..160 {
        let market = market(seed);
        for n in 0..420 {
            let as_of = market.config().start.plus(n).start();
            let y = market.realised_return(Asset::Eth, as_of, 24).unwrap();
            let q = market
                .truth_quantiles(Asset::Eth, as_of, 24, &KNOTS)
                .unwrap();
            below
                .iter_mut()
                .zip(q)
                .for_each(|(sum, q)| *sum += i32::from(y < q));
            count += 1;
        }
    }
    for (sum, p) in below.into_iter().zip(KNOTS) {
        let share = f64::from(sum) / f64::from(count);
        // Five standard errors of 25,200 draws.
        let error = (p * (1.0 - p) / f64::from(count)).sqrt();
        assert!((share - p).abs() < 5.0 * error, "{p}: {share}");
    }
}

#[test]
fn the_volatility_ahead_can_be_seen_in_the_surface() {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for seed in 1..=4 {
        let market = market(seed);
        for n in 1..420 {
            let day = market.config().start.plus(n);
            let evening = day.start().micros() / 1_000_000 - 86_400 + 76_200;
            let surface = market.surface(Asset::Btc, evening);
            x.push((surface.forward_variance(7.0) / 7.0).ln());
            y.push(market.day_truth(Asset::Btc, day).unwrap().daily_vol.ln() * 2.0);
        }
    }
    let r = correlation(&x, &y);
    eprintln!("correlation of the 7-day implied variance with tomorrow's: {r:.3}");
    assert!(r > 0.93, "{r}");
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let sd = (y.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / y.len() as f64).sqrt() / 2.0;
    eprintln!("standard deviation of the log daily volatility: {sd:.3}");
    assert!((0.25..0.55).contains(&sd));
}

#[test]
fn returns_have_the_stated_correlation_and_scale() {
    let market = market(1);
    let of = |asset| -> Vec<f64> {
        (0..420)
            .map(|n| market.config().start.plus(n).start())
            .map(|from| market.realised_return(asset, from, 24).unwrap())
            .collect()
    };
    let (btc, eth) = (of(Asset::Btc), of(Asset::Eth));
    let r = correlation(&btc, &eth);
    assert!((0.7..0.93).contains(&r), "{r}");
    let z: Vec<f64> = (0..420)
        .map(|n| {
            market
                .day_truth(Asset::Btc, market.config().start.plus(n))
                .unwrap()
        })
        .map(|truth| truth.log_return.unwrap() / truth.daily_vol)
        .collect();
    let variance = z.iter().map(|v| v * v).sum::<f64>() / 420.0;
    assert!((0.7..1.4).contains(&variance), "{variance}");
    assert!(
        market
            .day_truth(Asset::Btc, market.config().end.plus(1))
            .unwrap()
            .log_return
            .is_none()
    );
}

#[test]
fn the_volatility_index_follows_the_surface() {
    let market = market(9);
    let (mut index, mut level) = (Vec::new(), Vec::new());
    for entry in market.list("deribit_dvol").unwrap() {
        if entry.asset != Some(Asset::Btc) {
            continue;
        }
        let body = json(&market.document("deribit_dvol", &entry.name).unwrap());
        for row in body["result"]["data"].as_array().unwrap() {
            let value = |i: usize| row[i].as_f64().unwrap();
            let (o, h, l, c) = (value(1), value(2), value(3), value(4));
            assert!(l <= o.min(c) && o.max(c) <= h, "{row}");
            let end = row[0].as_i64().unwrap() / 1_000 + 86_400;
            let w = market.surface(Asset::Btc, end).forward_variance(30.0);
            index.push(c);
            level.push(100.0 * (w * 365.0 / 30.0).sqrt());
        }
    }
    assert_eq!(index.len(), 420);
    let r = correlation(&index, &level);
    eprintln!(
        "index against 30-day level: correlation {r:.4}, last {:.2} {:.2}",
        index[419], level[419]
    );
    assert!(r > 0.98);
    assert!(
        index
            .iter()
            .zip(&level)
            .all(|(i, l)| i > l && *i < 1.25 * l)
    );
}
