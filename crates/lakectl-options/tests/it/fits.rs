//! Recovery of known smiles from exact volatilities.

use lakectl_options::smile::{RawSvi, Smile, fit_svi};

use crate::oracles::{cases, float, floats, raw};

fn grid(n: i32, reach: f64) -> Vec<f64> {
    (0..n)
        .map(|i| reach * (2.0 * f64::from(i) / f64::from(n - 1) - 1.0))
        .collect()
}

/// Largest error of total variance on the quotes after a fit to exact volatilities.
fn recovery(svi: &RawSvi, k: &[f64], years: f64) -> f64 {
    let iv: Vec<f64> = k.iter().map(|&k| svi.vol(k, years).unwrap()).collect();
    let fit = fit_svi(k, &iv, &vec![1.0; k.len()], years).unwrap();
    let miss = |k: f64| (fit.svi.total_variance(k) - svi.total_variance(k)).abs();
    k.iter().map(|&k| miss(k)).fold(0.0, f64::max)
}

#[test]
fn clean_slices_are_recovered() {
    let mut worst = (0.0_f64, String::new());
    let mut missed = Vec::new();
    let mut total = 0;
    for case in cases("svi_cases.json") {
        let svi = raw(&case["params"]);
        if svi.min_variance() <= 0.0 {
            continue;
        }
        let years = float(&case["t"]);
        let deviation = svi.total_variance(0.0).sqrt();
        let mut grids = vec![("own".to_owned(), floats(&case["k"]))];
        for (n, reach) in [
            (25, 0.3),
            (25, 0.6),
            (25, 1.0),
            (25, 2.0),
            (25, 2.5 * deviation),
            (12, 0.5),
            (9, 1.0),
        ] {
            grids.push((format!("{n} x {reach:.3}"), grid(n, reach)));
        }
        for (what, k) in grids {
            let error = recovery(&svi, &k, years);
            total += 1;
            let name = format!("{} {what}", case["name"]);
            if error > worst.0 {
                worst = (error, name.clone());
            }
            if error > 1e-8 {
                missed.push((name, error));
            }
        }
    }
    eprintln!("fits: {total} clean slices, largest error of w {worst:?}");
    assert!(
        missed.is_empty(),
        "{} of {total} missed: {missed:#?}",
        missed.len()
    );
}

/// A small generator of its own, so that the cases never change.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn pick(&mut self, from: &[f64]) -> f64 {
        from[(self.next() * from.len() as f64) as usize]
    }
}

#[test]
fn random_clean_slices_are_recovered() {
    let mut random = Uniform(7);
    for _ in 0..400 {
        let (b, rho, m) = (
            0.6 * random.next(),
            1.6 * random.next() - 0.8,
            0.6 * random.next() - 0.3,
        );
        let sigma = random.pick(&[0.03, 0.08, 0.15, 0.3, 0.6]);
        let lowest = random.pick(&[0.0005, 0.003, 0.01, 0.05]) * (0.2 + random.next());
        let a = lowest - b * sigma * (1.0 - rho * rho).sqrt();
        let svi = RawSvi {
            a,
            b,
            rho,
            m,
            sigma,
        };
        let years = random.pick(&[0.0192, 0.0822, 0.25, 0.5, 1.0]);
        let deviation = svi.total_variance(0.0).sqrt();
        for reach in [0.5, 2.0, 2.0 * deviation] {
            let error = recovery(&svi, &grid(25, reach), years);
            assert!(error <= 1e-8, "{error:e} {svi:?} {years} {reach}");
        }
    }
}
