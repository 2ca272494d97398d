use super::*;
use crate::normal::quantile;
use crate::smile::RawSvi;
use proptest::prelude::*;

const FLAT: RawSvi = RawSvi {
    a: 0.09,
    b: 0.0,
    rho: 0.0,
    m: 0.0,
    sigma: 0.1,
};
const SKEWED: RawSvi = RawSvi {
    a: 0.006,
    b: 0.09,
    rho: -0.32,
    m: 0.02,
    sigma: 0.09,
};

#[test]
fn a_flat_smile_is_lognormal() {
    let probs = [0.5, 0.05, 0.25, 0.75, 0.95, 1e-6, 1.0 - 1e-6];
    let found = quantiles(&FLAT, &probs).unwrap();
    for (p, k) in probs.iter().zip(found) {
        let exact = -0.045 + 0.3 * quantile(*p).unwrap();
        assert!((k - exact).abs() < 1e-9, "{p}: {k} {exact}");
    }
    let tails = tail_mass(&FLAT, 0.1).unwrap();
    assert!((tails.left - cdf((0.9_f64.ln() + 0.045) / 0.3)).abs() < 1e-14);
    assert!((tails.right - cdf(-(1.1_f64.ln() + 0.045) / 0.3)).abs() < 1e-14);
    let m = moments(&FLAT).unwrap();
    assert!((m.mass - 1.0).abs() < 1e-12 && (m.mean_ratio - 1.0).abs() < 1e-12);
    let m = m.log_return.unwrap();
    assert!((m.mean + 0.045).abs() < 1e-12 && (m.variance - 0.09).abs() < 1e-12);
    assert!(m.skewness.abs() < 1e-9 && (m.kurtosis - 3.0).abs() < 1e-9);
}

#[test]
fn a_skewed_smile_keeps_mass_and_forward() {
    let m = moments(&SKEWED).unwrap();
    assert!(
        (m.mass - 1.0).abs() < 1e-8 && (m.mean_ratio - 1.0).abs() < 1e-8,
        "{m:?}"
    );
    let log_return = m.log_return.unwrap();
    assert!(log_return.skewness < 0.0 && log_return.kurtosis > 3.0 && m.negative_mass == 0.0);
    let h = 1e-5;
    for k in [-0.3, -0.05, 0.0, 0.1, 0.4] {
        let slope =
            (cumulative(&SKEWED, k + h).unwrap() - cumulative(&SKEWED, k - h).unwrap()) / (2.0 * h);
        assert!((slope - density(&SKEWED, k).unwrap()).abs() < 1e-7);
        let whole = cumulative(&SKEWED, k).unwrap() + exceedance(&SKEWED, k).unwrap();
        assert!((whole - 1.0).abs() < 1e-14);
    }
    let q = quantiles(&SKEWED, &[0.05, 0.5, 0.95]).unwrap();
    for (p, k) in [0.05, 0.5, 0.95].iter().zip(&q) {
        assert!((cumulative(&SKEWED, *k).unwrap() - p).abs() < 1e-11);
    }
}

#[test]
fn bad_questions_are_typed_errors() {
    assert_eq!(quantiles(&FLAT, &[0.0]), Err(DensityError::BadArgument));
    assert_eq!(
        quantiles(&FLAT, &[f64::NAN]),
        Err(DensityError::BadArgument)
    );
    let below = RawSvi { a: -1.0, ..FLAT };
    assert_eq!(quantiles(&below, &[0.5]), Err(DensityError::NoVariance));
    assert_eq!(tail_mass(&below, 0.1), Err(DensityError::NoVariance));
    assert_eq!(tail_mass(&FLAT, 1.5), Err(DensityError::BadArgument));
    assert_eq!(moments(&below), Err(DensityError::NoVariance));
}

#[test]
fn three_ways_to_state_a_tail() {
    // Two deviations around the forward of a normal log return with mean -w/2.
    let tails = tail_mass_deviations(&FLAT, 2.0).unwrap();
    assert!((tails.left - cdf(-2.0 + 0.15)).abs() < 1e-14);
    assert!((tails.right - cdf(-2.0 - 0.15)).abs() < 1e-14);
    // N(d1) = 0.1 at the call, so N(d2) is the chance of ending above it; the put is its mirror.
    let tails = tail_mass_delta(&FLAT, 0.10).unwrap();
    let d1 = quantile(0.10).unwrap();
    assert!((tails.right - cdf(d1 - 0.3)).abs() < 1e-12);
    assert!((tails.left - cdf(d1 + 0.3)).abs() < 1e-12);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            tail_mass_deviations(&FLAT, bad),
            Err(DensityError::BadArgument)
        );
        assert_eq!(tail_mass_delta(&FLAT, bad), Err(DensityError::BadArgument));
    }
}

#[test]
fn jumps_show_in_the_put_wing_and_in_the_variance_swap() {
    let m = moments(&FLAT).unwrap().log_return.unwrap();
    assert!((m.variance_swap_vol(0.25).unwrap() - 0.6).abs() < 1e-10);
    assert!(m.variance_swap_vol(0.0).is_none() && m.variance_swap_vol(f64::NAN).is_none());
    assert!(put_wing_slope(&FLAT, 0.25).unwrap().abs() < 1e-12);
    assert!(risk_reversal_25(&FLAT, 0.25).unwrap().abs() < 1e-12);
    let m = moments(&SKEWED).unwrap();
    let swap = m.log_return.unwrap().variance_swap_vol(0.1);
    assert!(swap.unwrap() > SKEWED.vol(0.0, 0.1).unwrap());
    assert!(put_wing_slope(&SKEWED, 0.1).unwrap() > 0.0);
    assert!(risk_reversal_25(&SKEWED, 0.1).unwrap() < 0.0);
    assert!(m.mass_error() < 1e-8 && m.mean_error() < 1e-8);
}

proptest! {
    #[test]
    fn any_smile_gives_numbers_or_reasons(
        a in any::<f64>(), b in any::<f64>(), rho in any::<f64>(), m in any::<f64>(), sigma in any::<f64>(), x in any::<f64>(),
    ) {
        let wild = RawSvi { a, b, rho, m, sigma };
        let tame = RawSvi {
            a: (a.abs() % 1.0).max(0.0),
            b: b.abs() % 2.0,
            rho: rho % 1.0,
            m: m % 3.0,
            sigma: sigma.abs() % 2.0 + 1e-9,
        };
        for smile in [wild, tame] {
            let tails = [tail_mass(&smile, x), tail_mass_deviations(&smile, x), tail_mass_delta(&smile, x)];
            for tail in tails.into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&tail.left) && (0.0..=1.0).contains(&tail.right));
            }
            if let Ok(m) = moments(&smile) {
                let mut all = vec![m.mass, m.mean_ratio, m.negative_mass];
                if let Some(l) = m.log_return {
                    all.extend([l.mean, l.variance, l.skewness, l.kurtosis, l.beyond.first, l.beyond.second, l.beyond.fourth]);
                    prop_assert!(l.variance_swap_vol(x).is_none_or(f64::is_finite));
                }
                prop_assert!(all.iter().all(|v| v.is_finite()), "{smile:?} {m:?}");
            }
            if let Ok(q) = quantiles(&smile, &[0.05, 0.5, 0.95]) {
                prop_assert!(q.iter().all(|v| v.is_finite()) && q[0] <= q[1] && q[1] <= q[2]);
            }
            prop_assert!(put_wing_slope(&smile, x).is_none_or(f64::is_finite));
            prop_assert!(risk_reversal_25(&smile, x).is_none_or(f64::is_finite));
        }
    }
}

#[test]
fn the_distribution_in_dollars_is_that_of_the_log_return() {
    let (forward, price) = (60_000.0, 52_000.0_f64);
    let k = (price / forward).ln();
    let found = price_density(&SKEWED, forward, price).unwrap();
    assert!((found * price / density(&SKEWED, k).unwrap() - 1.0).abs() < 1e-12);
    let below = price_cumulative(&SKEWED, forward, price).unwrap();
    assert!((below - cumulative(&SKEWED, k).unwrap()).abs() < 1e-12);
    assert!((price_quantile(&SKEWED, forward, below).unwrap() / price - 1.0).abs() < 1e-9);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(price_density(&SKEWED, bad, price), None);
        assert_eq!(price_cumulative(&SKEWED, forward, bad), None);
        assert_eq!(
            price_quantile(&SKEWED, bad, 0.5),
            Err(DensityError::BadArgument)
        );
    }
}
