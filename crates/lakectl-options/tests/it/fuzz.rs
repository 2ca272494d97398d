//! Smiles over any double: a typed failure or finite numbers, never a panic.

use lakectl_options::OptionKind;
use lakectl_options::smile::{
    Phi, Range, RawSvi, Sabr, SabrFormula, Ssvi, SsviQuotes, calendar_on, certify, change,
    fit_sabr, fit_ssvi, fit_svi, repair,
};
use lakectl_options::strike::{DeltaConvention, delta_quotes, neutral_k, smile_delta_in};
use lakectl_options::surface::{Slice, Surface, forward_vol};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any bits, and numbers of every size that a market might give by mistake.
fn any() -> impl Strategy<Value = f64> {
    prop_oneof![
        proptest::num::f64::ANY,
        -1e3..1e3,
        -1.0..1.0,
        Just(0.0),
        Just(1e-300),
        Just(1e300)
    ]
}

fn svi() -> impl Strategy<Value = RawSvi> {
    (any(), any(), any(), any(), any()).prop_map(|(a, b, rho, m, sigma)| RawSvi {
        a,
        b,
        rho,
        m,
        sigma,
    })
}

fn finite(value: Option<f64>) -> bool {
    value.is_none_or(f64::is_finite)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn certificates_are_finite(near in svi(), far in svi(), low in any(), high in any(), years in any()) {
        let range = Range::new(low, high).unwrap_or(Range::WHOLE);
        let found = certify(&near, range);
        for lowest in [found.lowest, found.lowest_fitted].into_iter().flatten() {
            prop_assert!(lowest.g.is_finite() && lowest.k.is_finite(), "{found:?}");
        }
        if near.validate().is_err() {
            prop_assert!(!found.free && !found.free_fitted);
        }
        if near.validate().is_ok() && far.validate().is_ok() {
            let calendar = calendar_on((&near, range), (&far, range));
            prop_assert!(calendar.is_none_or(|c| c.min_gap.is_finite()));
        }
        if let Some(moved) = change((&near, years), (&far, years), range) {
            prop_assert!(!moved.level_vol.is_nan() && !moved.shape_vol.is_nan());
        }
    }

    #[test]
    fn strikes_and_quotes_of_a_smile_are_finite(smile in svi(), size in any(), years in any()) {
        if smile.validate().is_ok() {
            for convention in [DeltaConvention::Forward, DeltaConvention::PremiumAdjusted] {
                prop_assert!(finite(neutral_k(&smile, convention)));
                for kind in [OptionKind::Call, OptionKind::Put] {
                    prop_assert!(finite(smile_delta_in(&smile, kind, size, convention)));
                }
                if let Some(q) = delta_quotes(&smile, years, convention) {
                    for value in [Some(q.atm_forward), q.atm_neutral, q.rr25, q.bf25, q.rr10, q.bf10] {
                        prop_assert!(finite(value), "{q:?}");
                    }
                }
            }
        }
        let slice = Slice { expiry_years: years, forward: 100.0, svi: smile, quoted: Range::WHOLE };
        if let Ok(surface) = Surface::new(vec![slice]) {
            let nodes = surface.nodes();
            prop_assert!(nodes.vol.iter().flatten().all(|vol| finite(*vol)), "{nodes:?}");
        }
    }

    #[test]
    fn models_are_finite(
        a in any(), b in any(), c in any(), d in any(), f in any(), k in any(), t in any()
    ) {
        let sabr = Sabr { alpha: a, beta: b, rho: c, nu: d };
        for formula in [SabrFormula::Hagan, SabrFormula::Obloj] {
            prop_assert!(finite(sabr.vol(f, k, t, formula)));
        }
        for phi in [
            Phi::Power { eta: a, gamma: b },
            Phi::SimplePower { eta: a, gamma: b },
            Phi::Heston { lambda: a },
        ] {
            let ssvi = Ssvi { rho: c, phi };
            prop_assert!(finite(ssvi.total_variance(t, k)));
            if let Ok(raw) = ssvi.slice(t) {
                prop_assert!(raw.validate().is_ok());
            }
        }
        prop_assert!(finite(forward_vol(a, b, c, d)));
    }

    #[test]
    fn fits_are_finite(
        quotes in vec((any(), any(), any()), 0..7), tame in vec((-2.0..2.0, 0.0..4.0, 0.0..9.0), 0..9),
        years in any(), forward in any(), beta in any()
    ) {
        // Some are all wild, some all tame, some mixed; duplicated strikes among them.
        let mut all: Vec<(f64, f64, f64)> = quotes;
        all.extend(&tame);
        all.extend(tame.first());
        for all in [&all[..], &tame[..]] {
            let column = |pick: fn(&(f64, f64, f64)) -> f64| all.iter().map(pick).collect::<Vec<f64>>();
            let (k, iv, weight) = (column(|q| q.0), column(|q| q.1), column(|q| q.2));
            for years in [years, 0.1] {
                if let Ok(fit) = fit_svi(&k, &iv, &weight, years) {
                    prop_assert!(fit.svi.validate().is_ok() && fit.rmse_vol.is_finite());
                }
                let fit = fit_sabr(&k, &iv, &weight, forward, years, beta, SabrFormula::Hagan);
                prop_assert!(fit.is_err() || fit.is_ok_and(|f| f.sabr.is_valid() && f.rmse_vol.is_finite()));
                let quotes = SsviQuotes { expiry_years: years, k: &k, iv: &iv, weight: &weight };
                let later = SsviQuotes { expiry_years: 2.0 * years, ..quotes };
                if let Ok(fit) = fit_ssvi(&[quotes, later]) {
                    prop_assert!(fit.ssvi.is_valid() && fit.theta.iter().all(|t| t.is_finite()));
                }
            }
        }
    }

    #[test]
    fn repairs_are_free_or_refused(smile in svi(), quotes in vec((any(), any(), any()), 0..9), years in any()) {
        let range = Range::new(-0.5, 0.5).unwrap();
        if let Some(found) = repair(&smile, &quotes, years, range, None) {
            prop_assert!(found.cost_vol.is_finite() && found.distance_vol.is_finite());
            prop_assert!(certify(&found.svi, range).free_fitted, "{found:?}");
        }
    }
}

/// Slices that markets do have at times, by name.
#[test]
fn odd_slices_have_typed_answers() {
    let fit = |k: &[f64], iv: &[f64]| fit_svi(k, iv, &vec![1.0; k.len()], 0.1).map(|f| f.rmse_vol);
    use lakectl_options::smile::FitError::TooFewQuotes;
    assert_eq!(fit(&[0.0; 6], &[0.5; 6]), Err(TooFewQuotes), "one strike");
    assert_eq!(
        fit(&[-0.1, 0.1], &[0.5, 0.6]),
        Err(TooFewQuotes),
        "two strikes"
    );
    let k: Vec<f64> = (0..9).map(|i| f64::from(i) * 0.05 - 0.2).collect();
    assert!(fit(&k, &[0.5; 9]).unwrap() < 1e-9, "a constant smile");
    let twice: Vec<f64> = k.iter().chain(&k).copied().collect();
    let iv: Vec<f64> = twice.iter().map(|k| 0.5 + 0.3 * k * k).collect();
    assert!(fit(&twice, &iv).unwrap() < 1e-3, "every strike twice");
    let far: Vec<f64> = k.iter().map(|k| k + 5.0).collect();
    assert!(
        fit(&far, &[0.5; 9]).unwrap() < 1e-6,
        "a forward far from every strike"
    );
    let beyond: Vec<f64> = k.iter().map(|k| k + 20.0).collect();
    assert!(fit(&beyond, &[0.5; 9]).is_err());
}
