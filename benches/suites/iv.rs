//! Implied volatility: our checked entry points beside the bare solver that they call.
#![allow(missing_docs)]

use std::hint::black_box;

use ::implied_vol::{DefaultSpecialFn, ImpliedBlackVolatility};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lakectl_benches::peers;
use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, price};
use lakectl_options::implied::{implied_vol, implied_vol_coin, quote_vol};

/// Out-of-the-money quotes on a smile, two hours to six months.
fn quotes() -> Vec<(BlackInput, f64)> {
    (0..1024)
        .map(|i| {
            let years = 0.003 + 0.5 * f64::from(i * 37 % 1024) / 1024.0;
            let k = 2.5 * (f64::from(i) / 512.0 - 1.0) * 0.5 * f64::sqrt(years);
            let kind = if k < 0.0 {
                OptionKind::Put
            } else {
                OptionKind::Call
            };
            let option = BlackInput::forward(
                kind,
                60_000.0,
                60_000.0 * k.exp(),
                years,
                0.45 + 0.3 * k * k,
            );
            (option, price(&option).expect("a priced quote"))
        })
        .collect()
}

fn bench(c: &mut Criterion) {
    let quotes = quotes();
    let mut group = c.benchmark_group("iv");
    group.throughput(Throughput::Elements(quotes.len() as u64));
    group.bench_function("implied_vol", |b| {
        b.iter(|| {
            for (o, premium) in &quotes {
                let _ = black_box(implied_vol(
                    o.kind,
                    *premium,
                    o.underlying,
                    o.strike,
                    o.expiry_years,
                ));
            }
        });
    });
    group.bench_function("implied_vol_coin", |b| {
        b.iter(|| {
            for (o, premium) in &quotes {
                let coin = premium / o.underlying;
                let _ = black_box(implied_vol_coin(
                    o.kind,
                    coin,
                    o.underlying,
                    o.strike,
                    o.expiry_years,
                ));
            }
        });
    });
    group.bench_function("quote_vol (three inversions)", |b| {
        b.iter(|| {
            for (o, premium) in &quotes {
                let (bid, ask) = (premium * 0.99, premium * 1.01);
                let _ = black_box(quote_vol(
                    o.kind,
                    bid,
                    ask,
                    o.underlying,
                    o.strike,
                    o.expiry_years,
                ));
            }
        });
    });
    group.bench_function("peer: implied-vol crate alone", |b| {
        b.iter(|| {
            for (o, premium) in &quotes {
                let option = bare_solver(o, *premium);
                black_box(option);
            }
        });
    });
    group.finish();
}

fn ratio(_: &mut Criterion) {
    let quotes = quotes();
    let ours = lakectl_benches::compare(
        "implied volatility",
        quotes.len(),
        || {
            for (o, premium) in &quotes {
                let _ = black_box(implied_vol(
                    o.kind,
                    *premium,
                    o.underlying,
                    o.strike,
                    o.expiry_years,
                ));
            }
        },
        "the implied-vol crate alone",
        || {
            for (o, premium) in &quotes {
                let _ = black_box(bare_solver(o, *premium));
            }
        },
    );
    let rows: Vec<peers::Quote> = quotes
        .iter()
        .map(|(o, premium)| {
            let sign = o.kind.sign();
            [
                sign,
                o.underlying,
                o.strike,
                o.expiry_years,
                o.vol,
                *premium,
            ]
        })
        .collect();
    let peers = peers::measure(&rows);
    peers::report("implied volatility", ours, &peers, |peer| {
        (peer.iv_ns, "one volatility")
    });
}

fn bare_solver(o: &BlackInput, premium: f64) -> Option<f64> {
    ImpliedBlackVolatility::builder()
        .option_price(premium)
        .forward(o.underlying)
        .strike(o.strike)
        .expiry(o.expiry_years)
        .is_call(o.kind == OptionKind::Call)
        .build()?
        .calculate::<DefaultSpecialFn>()
}

criterion_group!(benches, bench, ratio);
criterion_main!(benches);
