use super::*;

const SMILE: RawSvi = RawSvi {
    a: 0.006,
    b: 0.09,
    rho: -0.12,
    m: 0.02,
    sigma: 0.09,
};

fn quotes(svi: &RawSvi, years: f64, n: i32, reach: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let k: Vec<f64> = (0..n)
        .map(|i| reach * (2.0 * f64::from(i) / f64::from(n - 1) - 1.0))
        .collect();
    let iv = k.iter().map(|&k| svi.vol(k, years).unwrap()).collect();
    let weight = vec![1.0; k.len()];
    (k, iv, weight)
}

#[test]
fn order_and_ignored_quotes_do_not_matter() {
    let (mut k, mut iv, mut weight) = quotes(&SMILE, 0.08, 15, 0.4);
    iv[3] += 0.01;
    let fit = fit_svi(&k, &iv, &weight, 0.08).unwrap();
    k.reverse();
    iv.reverse();
    k.push(0.05);
    iv.push(3.0);
    weight.push(0.0);
    assert_eq!(fit_svi(&k, &iv, &weight, 0.08), Ok(fit));
    assert_eq!(fit.quotes, 15);
    assert!(fit.rmse_vol > 1e-4 && fit.rmse_vol < 4e-3 && fit.max_error_vol < 0.01);
}

#[test]
fn bad_slices_are_typed_errors() {
    let (k, iv, weight) = quotes(&SMILE, 0.08, 8, 0.4);
    let with = |k: &[f64], iv: &[f64], weight: &[f64], t| fit_svi(k, iv, weight, t).unwrap_err();
    assert_eq!(
        with(&k[..4], &iv[..4], &weight[..4], 0.08),
        FitError::TooFewQuotes
    );
    assert_eq!(with(&[0.1; 8], &iv, &weight, 0.08), FitError::TooFewQuotes);
    assert_eq!(with(&k, &iv, &[0.0; 8], 0.08), FitError::TooFewQuotes);
    assert_eq!(with(&k, &iv[1..], &weight, 0.08), FitError::LengthMismatch);
    assert_eq!(with(&k, &iv, &weight, 0.0), FitError::BadExpiry);
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let mut changed = iv.clone();
        changed[2] = bad;
        assert_eq!(with(&k, &changed, &weight, 0.08), FitError::BadQuote);
        let mut changed = weight.clone();
        changed[2] = bad;
        assert_eq!(with(&k, &iv, &changed, 0.08), FitError::BadQuote);
    }
}

#[test]
fn an_arbitrage_in_the_quotes_is_flagged() {
    let vogt = RawSvi {
        a: -0.041,
        b: 0.1331,
        rho: 0.306,
        m: 0.3586,
        sigma: 0.4153,
    };
    let (k, iv, weight) = quotes(&vogt, 1.0, 25, 1.0);
    let fit = fit_svi(&k, &iv, &weight, 1.0).unwrap();
    assert!(fit.rmse_vol < 1e-9 && !fit.butterfly_free);
    assert!((fit.g_min.unwrap() + 0.032_863_57).abs() < 1e-5);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn noise_never_makes_a_fit_fail_or_lie(
        noise in proptest::collection::vec(-0.05_f64..0.05, 5..30), reach in 0.02_f64..2.0
    ) {
        let (k, mut iv, weight) = quotes(&SMILE, 0.05, noise.len() as i32, reach);
        for (iv, e) in iv.iter_mut().zip(&noise) {
            *iv += e;
        }
        let fit = fit_svi(&k, &iv, &weight, 0.05).unwrap();
        proptest::prop_assert!(fit.rmse_vol <= 0.05 && fit.svi.validate().is_ok());
        proptest::prop_assert!(fit.svi.min_variance() >= -1e-15);
        proptest::prop_assert_eq!(fit.butterfly_free, fit.svi.butterfly().free);
    }

    #[test]
    fn the_inner_problem_is_solved(d in -0.9_f64..0.9, c in 0.0_f64..1.0, tilt in -2.0_f64..2.0) {
        // No point of the diamond does better than the answer.
        let mut form = Form::default();
        for (i, y) in [-1.5, -0.4, 0.2, 0.9, 2.0].into_iter().enumerate() {
            form.add(0.2, y, (y * y + 1.0_f64).sqrt() - 1.3, tilt * y + 0.3 * i as f64 - 1.0);
        }
        let sigma = 0.3;
        let best = form.minimum(4.0 * sigma);
        let top = c * 4.0 * sigma;
        let side = d * top.min(4.0 * sigma - top);
        proptest::prop_assert!(form.value(best.0, best.1) <= form.value(side, top) + 1e-12);
    }
}
