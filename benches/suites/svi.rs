//! SVI: fits of 25-quote slices, certificates, surface nodes.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lakectl_options::density::quantiles;
use lakectl_options::smile::{RawSvi, Smile, fit_svi};
use lakectl_options::surface::{Slice, Surface};

const MONTH: RawSvi = RawSvi {
    a: 0.006,
    b: 0.09,
    rho: -0.12,
    m: 0.02,
    sigma: 0.09,
};
const YEARS: f64 = 30.0 / 365.0;

/// 25 quotes within two deviations, with an error of up to `noise` in volatility.
fn slice(noise: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let reach = 2.0 * MONTH.total_variance(0.0).sqrt();
    let k: Vec<f64> = (0..25)
        .map(|i| reach * (f64::from(i) / 12.0 - 1.0))
        .collect();
    let iv = k.iter().enumerate().map(|(i, &k)| {
        let error = ((i * 7919 % 25) as f64 / 12.0 - 1.0) * noise;
        MONTH.vol(k, YEARS).expect("positive variance") + error
    });
    let iv = iv.collect();
    (k, iv, vec![1.0; 25])
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("svi");
    for (name, noise) in [
        ("fit, 25 exact quotes", 0.0),
        ("fit, 25 quotes off by 0.2 points", 0.002),
    ] {
        let (k, iv, weight) = slice(noise);
        group.bench_function(name, |b| {
            b.iter(|| black_box(fit_svi(black_box(&k), &iv, &weight, YEARS)));
        });
    }
    group.bench_function("butterfly certificate", |b| {
        b.iter(|| black_box(black_box(&MONTH).butterfly()))
    });
    let slices = [5.0, 12.0, 20.0, 40.0, 100.0].map(|days| {
        let years = days / 365.0;
        let scale = years / YEARS;
        let svi = RawSvi {
            a: MONTH.a * scale,
            b: MONTH.b * scale.sqrt(),
            ..MONTH
        };
        Slice {
            expiry_years: years,
            forward: 60_000.0,
            svi,
        }
    });
    let surface = Surface::new(slices.to_vec()).expect("a sound surface");
    group.bench_function("25 surface nodes", |b| {
        b.iter(|| black_box(black_box(&surface).nodes()))
    });
    group.bench_function("five density quantiles", |b| {
        b.iter(|| black_box(quantiles(black_box(&MONTH), &[0.05, 0.25, 0.5, 0.75, 0.95])));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
