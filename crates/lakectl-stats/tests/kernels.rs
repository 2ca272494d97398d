//! Special functions, trailing windows and least squares through the public interface.
#![allow(clippy::unwrap_used)]

use lakectl_stats::quantiles::{empirical_quantiles, median, sample_sd};
use lakectl_stats::regression::{least_squares, newey_west, rolling_line};
use lakectl_stats::special::{
    normal_cdf, normal_quantile, student_t_cdf, student_t_quantile, student_t_sd,
};
use lakectl_stats::{StatsError, rolling};

#[test]
fn normal_quantile_inverts_the_distribution_function() {
    for i in 1..200 {
        let p = libm_pow10(-f64::from(i) * 1.4);
        let x = normal_quantile(p).unwrap();
        assert!((normal_cdf(x) / p - 1.0).abs() < 1e-11, "p = {p}");
    }
    for i in 1..1000 {
        let p = f64::from(i) / 1000.0;
        assert!((normal_cdf(normal_quantile(p).unwrap()) - p).abs() < 1e-15);
    }
    assert!((normal_quantile(0.975).unwrap() - 1.959963984540054).abs() < 1e-14);
    assert_eq!(normal_quantile(0.0), Err(StatsError::OutOfDomain));
}

fn libm_pow10(x: f64) -> f64 {
    10f64.powf(x)
}

#[test]
fn student_t_has_its_closed_forms() {
    // df 1 is Cauchy, df 2 is x / sqrt(2 + x^2); df 5 at the 95 % level is a table value.
    for x in [-30.0, -2.0, -0.1, 0.0, 0.7, 12.0] {
        let cauchy = 0.5 + f64::atan(x) / std::f64::consts::PI;
        assert!((student_t_cdf(x, 1.0).unwrap() - cauchy).abs() < 1e-14);
        let two = 0.5 * (1.0 + x / f64::sqrt(2.0 + x * x));
        assert!((student_t_cdf(x, 2.0).unwrap() - two).abs() < 1e-14);
    }
    assert!((student_t_quantile(0.95, 5.0).unwrap() - 2.015_048_373_333_023_3).abs() < 1e-11);
    for i in 1..100 {
        let p = f64::from(i) / 100.0;
        assert!(
            (student_t_cdf(student_t_quantile(p, 3.5).unwrap(), 3.5).unwrap() - p).abs() < 1e-13
        );
    }
    assert_eq!(student_t_sd(2.0), Err(StatsError::OutOfDomain));
}

#[test]
fn empirical_quantiles_interpolate() {
    let xs = [4.0, 1.0, 3.0, 2.0];
    assert_eq!(
        empirical_quantiles(&xs, &[0.0, 0.25, 0.5, 1.0]).unwrap(),
        vec![1.0, 1.75, 2.5, 4.0]
    );
    assert_eq!(median(&[1.0]).unwrap(), 1.0);
    assert_eq!(median(&[]), Err(StatsError::Empty));
    assert_eq!(
        sample_sd(&[1.0]),
        Err(StatsError::TooFew {
            found: 1,
            needed: 2
        })
    );
}

#[test]
fn windows_are_trailing_null_aware_and_independent_of_the_start() {
    let xs: Vec<Option<f64>> = (0..200)
        .map(|i| (i % 7 != 3).then(|| f64::sin(f64::from(i)) * 3.0 + 0.01 * f64::from(i)))
        .collect();
    type Window = fn(&[Option<f64>], usize, usize) -> Vec<Option<f64>>;
    let all: [(&str, Window); 6] = [
        ("z", rolling::z_score),
        ("rank", rolling::percent_rank),
        ("min", rolling::min),
        ("max", rolling::max),
        ("mean", rolling::mean),
        ("ema", |x, w, m| rolling::ema(x, 4, w, m)),
    ];
    for (name, f) in all {
        let whole = f(&xs, 30, 10);
        assert!(
            whole[3].is_none() && whole[5].is_none(),
            "{name}: missing row, then too few"
        );
        assert!(whole[50].is_some(), "{name}");
        assert_eq!(
            f(&xs[..120], 30, 10),
            whole[..120],
            "{name}: the future changes nothing"
        );
        assert_eq!(
            f(&xs[100..], 30, 10)[29..],
            whole[129..],
            "{name}: nor does the distant past"
        );
    }
}

#[test]
fn window_values() {
    let xs = [Some(1.0), Some(2.0), None, Some(4.0), Some(f64::NAN)];
    assert_eq!(
        rolling::mean(&xs, 3, 2),
        vec![None, Some(1.5), None, Some(3.0), None]
    );
    assert_eq!(rolling::percent_rank(&xs, 5, 1)[3], Some(1.0));
    let z = rolling::z_score(&xs, 2, 2)[1].unwrap();
    assert!((z - 0.5 / (f64::sqrt(0.5) + 1e-9)).abs() < 1e-15);
    assert_eq!(
        rolling::z_score(&[Some(2.0), Some(2.0)], 2, 2)[1],
        Some(0.0)
    );
    // span 3 halves the weight each row: (4 + 2/4 + 1/8) / (1 + 1/4 + 1/8)
    assert_eq!(rolling::ema(&xs, 3, 4, 1)[3], Some(4.625 / 1.375));
}

#[test]
fn least_squares_recovers_a_line_and_refuses_dependence() {
    let mut x = Vec::new();
    let mut y = Vec::new();
    for i in 0..20 {
        let t = f64::from(i);
        x.extend([1.0, t, t * t]);
        y.push(3.0 - 2.0 * t + 0.5 * t * t + if i % 2 == 0 { 0.1 } else { -0.1 });
    }
    let fit = least_squares(&x, 3, &y).unwrap();
    assert!((fit.coefficients[1] + 2.0).abs() < 0.02 && fit.r_squared > 0.9999);
    assert!(fit.standard_errors.iter().all(|s| *s > 0.0 && *s < 0.1));
    let same: Vec<f64> = (0..20)
        .flat_map(|i| [f64::from(i), 2.0 * f64::from(i)])
        .collect();
    assert_eq!(least_squares(&same, 2, &y), Err(StatsError::Singular));
    assert_eq!(
        least_squares(&x[..6], 3, &y[..2]),
        Err(StatsError::TooFew {
            found: 2,
            needed: 3
        })
    );
    let xs: Vec<Option<f64>> = (0..10).map(|i| Some(f64::from(i))).collect();
    let ys: Vec<Option<f64>> = (0..10)
        .map(|i| (i != 4).then(|| 1.0 + 2.0 * f64::from(i)))
        .collect();
    let lines = rolling_line(&xs, &ys, 5, 3).unwrap();
    assert!(lines[1].is_none());
    let (intercept, slope) = lines[9].unwrap();
    assert!((intercept - 1.0).abs() < 1e-9 && (slope - 2.0).abs() < 1e-9);
}

#[test]
fn newey_west_errors_meet_the_oracle() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/oracles/ols_newey_west.json"
    );
    let file: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        let values = value.as_array().unwrap().iter();
        values.map(|v| v.as_f64().unwrap()).collect()
    };
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 3);
    for case in cases {
        let y = numbers(&case["y"]);
        let design: Vec<f64> = case["X"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| std::iter::once(1.0).chain(numbers(row)))
            .collect();
        let lags = case["lags"].as_u64().unwrap() as usize;
        let found = newey_west(&design, design.len() / y.len(), &y, lags).unwrap();
        let pairs = [
            (&found.fit.coefficients, "params"),
            (&found.standard_errors, "nw_se"),
        ];
        for (values, name) in pairs {
            for (value, wanted) in values.iter().zip(numbers(&case[name])) {
                assert!(
                    (value / wanted - 1.0).abs() < 1e-9,
                    "{name} {value} {wanted}"
                );
            }
        }
    }
    let line = [1.0, 0.0, 1.0, 1.0];
    assert_eq!(
        newey_west(&line, 2, &[0.0, 1.0], 0),
        Err(StatsError::TooFew {
            found: 2,
            needed: 3
        })
    );
}
