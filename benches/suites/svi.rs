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

/// Raw SVI by a plain simplex over all five parameters from one start, as most scripts do it.
fn plain_simplex(k: &[f64], iv: &[f64]) -> [f64; 5] {
    let cost = |p: &[f64; 5]| {
        let [a, b, rho, m, sigma] = *p;
        if b < 0.0 || rho.abs() >= 1.0 || sigma <= 0.0 {
            return 1e9;
        }
        let error = |(k, iv): (&f64, &f64)| {
            let w = a + b * (rho * (k - m) + ((k - m).powi(2) + sigma * sigma).sqrt());
            (w - iv * iv * YEARS).powi(2)
        };
        k.iter().zip(iv).map(error).sum::<f64>()
    };
    let start = [0.005, 0.1, -0.1, 0.0, 0.1];
    let mut simplex = vec![(cost(&start), start)];
    for i in 0..5 {
        let mut p = start;
        p[i] += 0.05;
        simplex.push((cost(&p), p));
    }
    for _ in 0..2_000 {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        if simplex[5].0 - simplex[0].0 < 1e-14 {
            break;
        }
        let centre: [f64; 5] =
            std::array::from_fn(|i| simplex[..5].iter().map(|v| v.1[i]).sum::<f64>() / 5.0);
        let along = |t: f64| {
            let p = std::array::from_fn(|i| centre[i] + t * (simplex[5].1[i] - centre[i]));
            (cost(&p), p)
        };
        let reflected = along(-1.0);
        let next = if reflected.0 < simplex[0].0 {
            let far = along(-2.0);
            if far.0 < reflected.0 { far } else { reflected }
        } else if reflected.0 < simplex[4].0 {
            reflected
        } else {
            along(if reflected.0 < simplex[5].0 {
                -0.5
            } else {
                0.5
            })
        };
        if next.0 < simplex[5].0 {
            simplex[5] = next;
        } else {
            let best = simplex[0].1;
            for vertex in &mut simplex[1..] {
                let p = std::array::from_fn(|i| best[i] + 0.5 * (vertex.1[i] - best[i]));
                *vertex = (cost(&p), p);
            }
        }
    }
    simplex[0].1
}

/// Exact smiles: plain ones, sharp ones as before an event, and ones whose bend lies aside.
fn shapes() -> Vec<(Vec<f64>, Vec<f64>)> {
    let shapes = [
        (-0.1, 0.0, 0.09),
        (-0.6, 0.02, 0.05),
        (0.5, -0.1, 0.2),
        (-0.3, 0.0, 0.003),
        (0.2, 0.12, 0.004),
        (-0.8, 0.15, 0.02),
        (0.0, 0.0, 0.6),
    ];
    let each = |(rho, m, sigma): (f64, f64, f64)| {
        let svi = RawSvi {
            a: 0.003,
            b: 0.12,
            rho,
            m,
            sigma,
        };
        let reach = 3.0 * svi.total_variance(0.0).sqrt();
        let k: Vec<f64> = (0..25)
            .map(|i| reach * (f64::from(i) / 12.0 - 1.0))
            .collect();
        let iv = k
            .iter()
            .map(|k| svi.vol(*k, YEARS).expect("positive variance"))
            .collect();
        (k, iv)
    };
    shapes.into_iter().map(each).collect()
}

/// The largest root mean square error over [`shapes`], in points of volatility.
fn worst(fit: impl Fn(&[f64], &[f64]) -> Option<RawSvi>) -> f64 {
    let error = |(k, iv): &(Vec<f64>, Vec<f64>)| {
        let Some(svi) = fit(k, iv) else {
            return f64::INFINITY;
        };
        let miss =
            |(k, iv): (&f64, &f64)| (svi.vol(*k, YEARS).unwrap_or(f64::INFINITY) - iv).powi(2);
        100.0 * (k.iter().zip(iv).map(miss).sum::<f64>() / k.len() as f64).sqrt()
    };
    shapes().iter().map(error).fold(0.0, f64::max)
}

#[allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]
fn ratio(_: &mut Criterion) {
    let (k, iv, weight) = slice(0.002);
    lakectl_benches::compare(
        "SVI fit of 25 quotes",
        1,
        || {
            let _ = black_box(fit_svi(black_box(&k), &iv, &weight, YEARS));
        },
        "plain simplex from one start",
        || {
            black_box(plain_simplex(black_box(&k), &iv));
        },
    );
    let ours = worst(|k, iv| {
        fit_svi(k, iv, &vec![1.0; k.len()], YEARS)
            .ok()
            .map(|fit| fit.svi)
    });
    let plain = worst(|k, iv| {
        let [a, b, rho, m, sigma] = plain_simplex(k, iv);
        Some(RawSvi {
            a,
            b,
            rho,
            m,
            sigma,
        })
    });
    println!(
        "worst error on exact smiles: ours {ours:.1e} points, plain simplex {plain:.1e} points"
    );
}

criterion_group!(benches, bench, ratio);
criterion_main!(benches);
