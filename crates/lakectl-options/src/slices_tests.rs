use super::*;

const SMILE: RawSvi = RawSvi {
    a: 0.006,
    b: 0.09,
    rho: -0.12,
    m: 0.02,
    sigma: 0.09,
};
const YEARS: f64 = 0.08;

fn slice(svi: &RawSvi, years: f64, ks: &[f64]) -> SliceQuotes {
    let quote = |&k: &f64| {
        let vol = svi.vol(k, years).unwrap();
        SliceQuote::weighted(k, vol, 0.1, Some((vol - 0.01, vol + 0.01)))
    };
    SliceQuotes {
        expiry_years: years,
        quotes: ks.iter().map(quote).collect(),
    }
}

fn wide() -> Vec<f64> {
    (0..15).map(|i| f64::from(i - 7) * 0.05).collect()
}

fn no_earlier(_: usize) -> Option<EarlierSlice> {
    None
}

#[test]
fn sound_slices_are_published_as_they_are() {
    let far = RawSvi { a: 0.02, ..SMILE };
    // The farther one first: the order of the input does not matter.
    let slices = [slice(&far, 0.2, &wide()), slice(&SMILE, YEARS, &wide())];
    let fits = slices.each_ref().map(fit_slice);
    let found = publish(&slices, &fits, no_earlier);
    let [far, near] = [&found[0], &found[1]].map(|f| f.as_ref().unwrap());
    assert_eq!(near.calendar, None);
    let calendar = far.calendar.as_ref().unwrap();
    assert!(calendar.free && (calendar.min_gap - 0.014).abs() < 1e-6);
    for one in [far, near] {
        assert!(one.origin == Origin::Fitted && one.mending == Mending::default());
        assert!(one.inside_share == Some(1.0) && one.certificate.free);
        assert!(one.quality.unwrap().rmse_vol < 1e-9);
        let range = one.certificate.fitted;
        assert!((range.low + 0.35).abs() < 1e-12 && (range.high - 0.35).abs() < 1e-12);
    }
}

#[test]
fn a_slice_below_the_nearer_one_is_lifted_and_pays_for_it() {
    let far = RawSvi { a: 0.0055, ..SMILE };
    let slices = [slice(&SMILE, YEARS, &wide()), slice(&far, 0.09, &wide())];
    let fits = slices.each_ref().map(fit_slice);
    let found = publish(&slices, &fits, no_earlier);
    let lifted = found[1].as_ref().unwrap();
    assert!(lifted.mending.calendar && lifted.mending.cost_vol > 1e-3);
    assert!(lifted.calendar.as_ref().unwrap().free && lifted.certificate.free_fitted);
}

#[test]
fn a_thin_slice_carries_a_shape_and_moves_its_level() {
    let earlier = EarlierSlice {
        svi: SMILE,
        range: Range::new(-0.35, 0.35).unwrap(),
        expiry_years: YEARS + 6.0 / 8760.0,
    };
    let mut thin = slice(&SMILE, earlier.expiry_years, &[-0.1, 0.05]);
    thin.expiry_years = YEARS;
    for quote in &mut thin.quotes {
        quote.vol *= 1.1;
    }
    let slices = [thin];
    let fits = slices.each_ref().map(fit_slice);
    assert_eq!(fits[0], Err(FitError::TooFewQuotes));
    let carry = |earlier| publish(&slices, &fits, |_| earlier).remove(0);
    let found = carry(Some(earlier)).unwrap();
    let Origin::Carried { hours, shift_vol } = found.origin else {
        panic!("{found:?}");
    };
    let level = SMILE.vol(0.0, earlier.expiry_years).unwrap();
    assert!((hours - 6.0).abs() < 1e-6 && (shift_vol - 0.1 * level).abs() < 1e-9);
    assert!(found.quality.unwrap().rmse_vol < 1e-9);
    assert!(
        (found.svi.vol(0.3, YEARS).unwrap() / SMILE.vol(0.3, earlier.expiry_years).unwrap() - 1.1)
            .abs()
            < 1e-9
    );
    let refused = Err(Unpublished::Fit(FitError::TooFewQuotes));
    let old = EarlierSlice {
        expiry_years: YEARS + 25.0 / 8760.0,
        ..earlier
    };
    let later = EarlierSlice {
        expiry_years: YEARS - 1.0 / 8760.0,
        ..earlier
    };
    for other in [None, Some(old), Some(later)] {
        assert_eq!(carry(other), refused);
    }
}

#[test]
fn without_quotes_there_is_nothing() {
    let slices = [SliceQuotes {
        expiry_years: YEARS,
        quotes: vec![],
    }];
    let fits = slices.each_ref().map(fit_slice);
    assert_eq!(
        publish(&slices, &fits, |_| panic!()),
        [Err(Unpublished::NoQuotes)]
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    /// Whatever the quotes are, a slice is published with finite numbers and its certificate, or says why not.
    #[test]
    fn arbitrary_quotes_never_panic_or_lie(
        quotes in proptest::collection::vec(
            (proptest::num::f64::ANY, proptest::num::f64::ANY, proptest::num::f64::ANY), 0..8),
        tame in proptest::collection::vec((-1.5_f64..1.5, 0.01_f64..3.0, 0.0_f64..10.0), 0..12),
        wild in proptest::bool::weighted(0.2), years in 1e-6_f64..3.0
    ) {
        let mut all: Vec<(f64, f64, f64)> = tame;
        if wild {
            all.extend(quotes);
        }
        let quotes = all.iter().map(|&(k, vol, vega)| {
            SliceQuote::weighted(k, vol, vega, Some((0.9 * vol, 1.1 * vol)))
        });
        let slices = [SliceQuotes { expiry_years: years, quotes: quotes.collect() }];
        let fits = slices.each_ref().map(fit_slice);
        let earlier = EarlierSlice { svi: SMILE, range: Range::WHOLE, expiry_years: years + 1e-3 };
        for found in publish(&slices, &fits, |_| Some(earlier)).into_iter().flatten() {
            proptest::prop_assert!(found.svi.validate().is_ok());
            proptest::prop_assert!(found.mending.cost_vol.is_finite());
            if found.origin == Origin::Fitted {
                proptest::prop_assert!(found.certificate.free_fitted, "{:?}", found);
                proptest::prop_assert!(found.quality.is_some_and(|q| q.rmse_vol.is_finite()));
            }
        }
    }
}

#[test]
fn a_slice_that_does_not_enclose_the_forward_is_no_fit() {
    // Six calls far out: whatever goes through them says nothing of the money.
    let calls: Vec<f64> = (0..6).map(|i| 0.48 + 0.032 * f64::from(i)).collect();
    let slices = [slice(&SMILE, YEARS, &calls)];
    let fits = slices.each_ref().map(fit_slice);
    assert_eq!(fits[0], Err(FitError::OneSided));
    let alone = publish(&slices, &fits, no_earlier);
    assert_eq!(alone[0], Err(Unpublished::Fit(FitError::OneSided)));
    let earlier = EarlierSlice {
        svi: SMILE,
        range: Range::new(-0.4, 0.7).unwrap(),
        expiry_years: YEARS + 8.0 / 24.0 / 365.0,
    };
    let carried = publish(&slices, &fits, |_| Some(earlier));
    let carried = carried[0].as_ref().unwrap();
    assert!(matches!(carried.origin, Origin::Carried { .. }));
    assert_eq!(carried.certificate.fitted, earlier.range);
}
