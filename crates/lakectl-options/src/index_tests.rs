use super::*;
use crate::black::{BlackInput, price};
use proptest::prelude::*;

fn chain(
    forward: f64,
    years: f64,
    vol: f64,
    strikes: impl Iterator<Item = f64>,
) -> Vec<StripOption> {
    strikes
        .flat_map(|strike| [OptionKind::Call, OptionKind::Put].map(|kind| (kind, strike)))
        .map(|(kind, strike)| StripOption {
            kind,
            strike,
            price: price(&BlackInput::forward(kind, forward, strike, years, vol)).unwrap(),
        })
        .collect()
}

#[test]
fn a_wide_strip_of_one_volatility_gives_it_back() {
    let options = chain(60_123.0, 0.08, 0.5, (1..=400).map(|i| 500.0 * f64::from(i)));
    let strip = variance_strip(&options, 60_123.0, 0.08).unwrap();
    assert!((strip.vol() - 0.5).abs() < 2e-4, "{}", strip.vol());
    assert!(strip.cut_off_strike == 60_000.0 && strip.strikes == 400);
    // Cutting the wings takes variance away.
    let near: Vec<StripOption> = options
        .iter()
        .copied()
        .filter(|o| (56_000.0..=65_000.0).contains(&o.strike))
        .collect();
    assert!(variance_strip(&near, 60_123.0, 0.08).unwrap().vol() < 0.45);
}

#[test]
fn an_option_without_a_premium_is_as_good_as_not_listed() {
    let mut options = chain(
        60_123.0,
        0.08,
        0.5,
        (80..=180).map(|i| 500.0 * f64::from(i)),
    );
    let strip = variance_strip(&options, 60_123.0, 0.08).unwrap();
    for (kind, strike) in [(OptionKind::Call, 1e6), (OptionKind::Put, 1e3)] {
        let price = 0.0;
        options.push(StripOption {
            kind,
            strike,
            price,
        });
    }
    assert_eq!(variance_strip(&options, 60_123.0, 0.08).unwrap(), strip);
    let put = |o: &&mut StripOption| o.kind == OptionKind::Put && o.strike == 60_000.0;
    options.iter_mut().find(put).unwrap().price = 0.0;
    let moved = variance_strip(&options, 60_123.0, 0.08).unwrap();
    assert_eq!(moved.cut_off_strike, 59_500.0);
}

#[test]
fn coin_premiums_times_the_forward_are_dollar_premiums() {
    let options = chain(3_010.0, 0.1, 0.7, (10..=120).map(|i| 50.0 * f64::from(i)));
    let coin = options.iter().map(|o| StripOption {
        price: o.price / 3_010.0,
        ..*o
    });
    let back: Vec<StripOption> = coin
        .map(|o| StripOption {
            price: o.price * 3_010.0,
            ..o
        })
        .collect();
    let (a, b) = (
        variance_strip(&options, 3_010.0, 0.1).unwrap(),
        variance_strip(&back, 3_010.0, 0.1).unwrap(),
    );
    assert!((a.variance / b.variance - 1.0).abs() < 1e-14);
}

#[test]
fn what_makes_no_strip_says_why() {
    let good = chain(
        100.0,
        0.1,
        0.5,
        [90.0, 95.0, 100.0, 105.0, 110.0].into_iter(),
    );
    let strip = |options: &[StripOption]| variance_strip(options, 100.0, 0.1).map(|s| s.strikes);
    assert_eq!(strip(&good), Ok(5));
    assert_eq!(
        variance_strip(&good, f64::NAN, 0.1),
        Err(IndexError::BadInput)
    );
    assert_eq!(variance_strip(&good, 100.0, 0.0), Err(IndexError::BadInput));
    let mut twice = good.clone();
    twice.push(good[0]);
    assert_eq!(strip(&twice), Err(IndexError::DuplicateStrike));
    let calls: Vec<StripOption> = good
        .iter()
        .copied()
        .filter(|o| o.kind == OptionKind::Call)
        .collect();
    assert_eq!(strip(&calls), Err(IndexError::NoCutOff));
    assert_eq!(variance_strip(&good, 80.0, 0.1), Err(IndexError::NoCutOff));
    assert_eq!(strip(&good[4..8]), Err(IndexError::TooFewStrikes));
    let worthless: Vec<StripOption> = good
        .iter()
        .map(|o| StripOption { price: 0.0, ..*o })
        .collect();
    assert_eq!(strip(&worthless), Err(IndexError::NoCutOff));
    let mut negative = good;
    negative[3].price = -1e-9;
    assert_eq!(strip(&negative), Err(IndexError::BadInput));
}

#[test]
fn the_horizon_lies_between_two_expiries() {
    let term = |days: f64, vol: f64| Term {
        expiry_years: days / 365.0,
        variance: vol * vol,
    };
    let at = |near, next| constant_maturity(near, next, 30.0 / 365.0);
    let found = at(term(23.0, 0.4), term(37.0, 0.6)).unwrap();
    let total: f64 = 0.5 * (0.16 * 23.0 + 0.36 * 37.0) / 30.0;
    assert!((found.vol - total.sqrt()).abs() < 1e-15 && (found.near_weight - 0.5).abs() < 1e-14);
    assert!((at(term(30.0, 0.4), term(37.0, 0.6)).unwrap().vol - 0.4).abs() < 1e-15);
    assert_eq!(
        at(term(16.0, 0.4), term(23.0, 0.6)),
        Err(IndexError::NoBracket)
    );
    assert_eq!(
        at(term(23.0, 0.4), term(37.0, f64::NAN)),
        Err(IndexError::BadInput)
    );
    assert_eq!(bracket(&[0.3, 0.05, 0.02, 0.1, -1.0], 0.08), Some((1, 3)));
    assert_eq!(bracket(&[0.08, 0.09], 0.08), Some((0, 1)));
    assert_eq!(bracket(&[0.05, f64::NAN], 0.08), None);
}

#[test]
fn the_interquartile_mean_forgets_the_outer_half() {
    let mut values: Vec<f64> = (0..120).map(f64::from).collect();
    values[0] = -1e9;
    values[119] = 1e9;
    assert!((interquartile_mean(&values).unwrap() - 59.5).abs() < 1e-12);
    assert_eq!(interquartile_mean(&[3.0]), Some(3.0));
    // Three values: a quarter of the outer ones lies inside.
    assert_eq!(
        interquartile_mean(&[6.0, 1.0, 2.0]),
        Some((0.25 + 2.0 + 0.25 * 6.0) / 1.5)
    );
    assert_eq!(interquartile_mean(&[]), None);
    assert_eq!(interquartile_mean(&[f64::NAN]), None);
}

proptest! {
    #[test]
    fn any_input_gives_a_number_or_a_reason(
        options in prop::collection::vec((any::<bool>(), any::<f64>(), any::<f64>()), 0..12),
        forward in any::<f64>(),
        years in any::<f64>(),
    ) {
        let options: Vec<StripOption> = options
            .into_iter()
            .map(|(call, strike, price)| StripOption {
                kind: if call { OptionKind::Call } else { OptionKind::Put },
                strike,
                price,
            })
            .collect();
        if let Ok(strip) = variance_strip(&options, forward, years) {
            prop_assert!(strip.variance > 0.0 && strip.variance.is_finite());
        }
        let values: Vec<f64> = options.iter().map(|o| o.price).collect();
        prop_assert!(interquartile_mean(&values).is_none_or(f64::is_finite));
    }

    #[test]
    fn the_order_and_the_currency_do_not_matter(
        vol in 0.1..1.5_f64, years in 0.01..1.0_f64, scale in 1e-3..1e3_f64, seed in 0..1000_usize,
    ) {
        let options = chain(100.0, years, vol, (1..=60).map(|i| 5.0 * f64::from(i)));
        let base = variance_strip(&options, 100.0, years).unwrap();
        let mut scaled: Vec<StripOption> = options
            .iter()
            .map(|o| StripOption { kind: o.kind, strike: o.strike * scale, price: o.price * scale })
            .collect();
        scaled.rotate_left(seed % options.len());
        let other = variance_strip(&scaled, 100.0 * scale, years).unwrap();
        prop_assert!((base.variance / other.variance - 1.0).abs() < 1e-11);
    }
}
