//! Black-76 prices and greeks, one core.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, coin_greeks, greeks, price};

/// Both sides of the money on a smile, two hours to six months.
fn options() -> Vec<BlackInput> {
    (0..1024)
        .map(|i| {
            let years = 0.003 + 0.5 * f64::from(i * 37 % 1024) / 1024.0;
            let k = 2.5 * (f64::from(i) / 512.0 - 1.0) * 0.5 * f64::sqrt(years);
            let kind = if i % 2 == 0 {
                OptionKind::Put
            } else {
                OptionKind::Call
            };
            BlackInput::forward(
                kind,
                60_000.0,
                60_000.0 * k.exp(),
                years,
                0.45 + 0.3 * k * k,
            )
        })
        .collect()
}

fn bench(c: &mut Criterion) {
    let options = options();
    let mut group = c.benchmark_group("greeks");
    group.throughput(Throughput::Elements(options.len() as u64));
    group.bench_function("price", |b| {
        b.iter(|| {
            for option in &options {
                let _ = black_box(price(black_box(option)));
            }
        });
    });
    group.bench_function("price and ten greeks", |b| {
        b.iter(|| {
            for option in &options {
                let _ = black_box(greeks(black_box(option)));
            }
        });
    });
    group.bench_function("coin price and greeks", |b| {
        b.iter(|| {
            for option in &options {
                let _ = black_box(coin_greeks(black_box(option)));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
