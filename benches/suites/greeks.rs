//! Black-76 prices and greeks, one core.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lakectl_benches::peers;
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

/// Price and five greeks as a text book writes them, one formula after the other.
fn text_book(o: &BlackInput) -> [f64; 6] {
    let (f, k, t, v) = (o.underlying, o.strike, o.expiry_years, o.vol);
    let cdf = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
    let pdf = |x: f64| libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * std::f64::consts::PI);
    let d1 = || (libm::log(f / k) + 0.5 * v * v * t) / (v * t.sqrt());
    let d2 = || d1() - v * t.sqrt();
    let sign = if o.kind == OptionKind::Call {
        1.0
    } else {
        -1.0
    };
    [
        sign * (f * cdf(sign * d1()) - k * cdf(sign * d2())),
        sign * cdf(sign * d1()),
        pdf(d1()) / (f * v * t.sqrt()),
        f * pdf(d1()) * t.sqrt(),
        -f * pdf(d1()) * v / (2.0 * t.sqrt()),
        -t * sign * (f * cdf(sign * d1()) - k * cdf(sign * d2())),
    ]
}

fn ratio(_: &mut Criterion) {
    let options = options();
    let ours = lakectl_benches::compare(
        "price and ten greeks",
        options.len(),
        || {
            for option in &options {
                let _ = black_box(greeks(black_box(option)));
            }
        },
        "text-book price and five greeks",
        || {
            for option in &options {
                black_box(text_book(black_box(option)));
            }
        },
    );
    let rows: Vec<peers::Quote> = options
        .iter()
        .map(|o| {
            let premium = price(o).expect("a priced option");
            let sign = o.kind.sign();
            [sign, o.underlying, o.strike, o.expiry_years, o.vol, premium]
        })
        .collect();
    let peers = peers::measure(&rows);
    peers::report("price and ten greeks", ours, &peers, |peer| {
        (peer.greeks_ns, &peer.greeks)
    });
}

criterion_group!(benches, bench, ratio);
criterion_main!(benches);
