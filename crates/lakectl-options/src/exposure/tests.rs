use super::*;
use crate::black::{BlackInput, greeks};
use proptest::prelude::*;

const SMILE: RawSvi = RawSvi {
    a: 0.006,
    b: 0.09,
    rho: -0.32,
    m: 0.02,
    sigma: 0.09,
};

fn holding(kind: OptionKind, strike: f64, days: f64, forward: f64, position: f64) -> Holding<1> {
    let years = days / 365.0;
    let k = libm::log(strike / forward);
    Holding {
        kind,
        strike,
        expiry_years: years,
        forward,
        vol: SMILE.vol(k, years).unwrap(),
        smile: Some(SMILE),
        positions: [position],
    }
}

fn book() -> Vec<Holding<1>> {
    vec![
        holding(OptionKind::Put, 90.0, 20.0, 101.0, -7.0),
        holding(OptionKind::Call, 110.0, 20.0, 101.0, 5.0),
        holding(OptionKind::Put, 110.0, 20.0, 101.0, -2.0),
        holding(OptionKind::Call, 100.0, 50.0, 102.0, 3.0),
    ]
}

#[test]
fn exposures_are_greeks_of_the_book() {
    let holdings = book();
    let found = Book::new(100.0, &holdings).unwrap();
    assert_eq!(
        found.lines.len(),
        3,
        "a call and a put of one strike are one line"
    );
    let (mut gamma, mut vanna, mut charm, mut delta, mut gross) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for h in &holdings {
        let g = greeks(&BlackInput::forward(
            h.kind,
            h.forward,
            h.strike,
            h.expiry_years,
            h.vol,
        ))
        .unwrap();
        let position = h.positions[0];
        gamma += position * g.gamma * h.forward * h.forward * 0.01;
        gross += position.abs() * g.gamma * h.forward * h.forward * 0.01;
        vanna += position * g.vanna * h.forward * 0.01;
        charm += position * g.charm * h.forward / 365.0;
        delta += position * g.delta * h.forward;
    }
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
    let [at] = found.at(1.0, Stickiness::Strike).unwrap();
    close(at.gamma_usd, gamma);
    close(at.vanna_usd, vanna);
    close(at.charm_usd, charm);
    close(found.delta_usd().unwrap()[0], delta);
    close(found.gross_gamma_usd().unwrap()[0], gross);
    // Smiles that fit exactly give the same where nothing has moved, and something else where it has.
    let [sticky] = found.at(1.0, Stickiness::Delta).unwrap();
    close(sticky.gamma_usd, gamma);
    let moved =
        [Stickiness::Strike, Stickiness::Delta].map(|s| found.at(1.1, s).unwrap()[0].gamma_usd);
    assert!((moved[0] / moved[1] - 1.0).abs() > 0.01);
}

#[test]
fn gamma_vanna_and_charm_are_what_the_ladder_trades() {
    let found = Book::new(100.0, &book()).unwrap();
    let [at] = found.at(1.0, Stickiness::Strike).unwrap();
    let hedge = |ratio: f64, vol: f64, hours: f64| {
        let ladder = Ladder {
            ratios: &[ratio],
            vol_shifts: &[vol],
            hours: &[hours],
        };
        found.ladder(ladder).unwrap()[0].hedge_coin[0]
    };
    let h = 1e-5;
    let per_pct = -(hedge(1.0 + h, 0.0, 0.0) - hedge(1.0 - h, 0.0, 0.0)) / (2.0 * h) * 100.0 * 0.01;
    assert!((per_pct / at.gamma_usd - 1.0).abs() < 1e-6);
    let per_point = -(hedge(1.0, h, 0.0) - hedge(1.0, -h, 0.0)) / (2.0 * h) * 100.0 * 0.01;
    assert!((per_point / at.vanna_usd - 1.0).abs() < 1e-6);
    let per_day = -hedge(1.0, 0.0, 0.01) * 100.0 * 2400.0;
    assert!(
        (per_day / at.charm_usd - 1.0).abs() < 1e-3,
        "{per_day} {}",
        at.charm_usd
    );
    // After 30 days only the 50-day call is left.
    let rung = found
        .ladder(Ladder {
            ratios: &[1.0],
            vol_shifts: &[0.0],
            hours: &[720.0],
        })
        .unwrap()[0];
    assert!(rung.delta_coin[0] > 0.0 && rung.delta_coin[0] < 3.06);
    assert!((rung.hedge_usd[0] - 100.0 * rung.hedge_coin[0]).abs() < 1e-12);
}

#[test]
fn short_dealers_only_accelerate() {
    let short: Vec<Holding<1>> = book()
        .into_iter()
        .map(|h| Holding {
            positions: [-h.positions[0].abs()],
            ..h
        })
        .collect();
    let found = Book::new(100.0, &short).unwrap();
    let shape = found
        .profile(grid(240), Stickiness::Strike)
        .unwrap()
        .shape(0)
        .unwrap();
    assert_eq!(
        (shape.flip, shape.zero_gamma_level),
        (FlipStatus::None, None)
    );
    assert_eq!(
        (shape.stabilization, shape.acceleration),
        (Some(0.0), Some(1.0))
    );
    let mixed = Book::new(100.0, &book()).unwrap();
    let shape = mixed
        .profile(grid(240), Stickiness::Strike)
        .unwrap()
        .shape(0)
        .unwrap();
    assert_eq!(shape.flip, FlipStatus::Found);
    let level = shape.zero_gamma_level.unwrap();
    let [at] = mixed.at(level / 100.0, Stickiness::Strike).unwrap();
    assert!(at.gamma_usd.abs() < 1e-9, "{at:?}");
    assert!((shape.stabilization.unwrap() + shape.acceleration.unwrap() - 1.0).abs() < 1e-14);
    assert!((-1.0..=1.0).contains(&shape.gamma_skew.unwrap()));
}

#[test]
fn an_empty_book_and_bad_questions() {
    let empty = Book::<2>::new(100.0, &[]).unwrap();
    let shape = empty
        .profile(grid(10), Stickiness::Delta)
        .unwrap()
        .shape(1)
        .unwrap();
    assert_eq!(
        (shape.flip, shape.stabilization, shape.gamma_skew),
        (FlipStatus::None, None, None)
    );
    assert!(
        empty
            .profile(grid(10), Stickiness::Delta)
            .unwrap()
            .shape(2)
            .is_none()
    );
    for spot in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            Book::<1>::new(spot, &[]).err(),
            Some(ExposureError::BadInput)
        );
        assert_eq!(
            empty.at(spot, Stickiness::Strike),
            Err(ExposureError::BadArgument)
        );
    }
    let falling = empty.profile(vec![1.0, 0.9], Stickiness::Strike);
    assert_eq!(falling.err(), Some(ExposureError::BadArgument));
    let bad = Holding {
        vol: f64::NAN,
        ..book()[0]
    };
    assert_eq!(
        Book::new(100.0, &[bad]).err(),
        Some(ExposureError::BadInput)
    );
}

#[test]
fn takers_who_buy_leave_dealers_short() {
    let mut inventory = DealerInventory::default();
    assert!(inventory.trade("C", Taker::Buy, 10.0) && inventory.trade("C", Taker::Sell, 4.0));
    for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(!inventory.trade("C", Taker::Buy, size));
    }
    assert_eq!(
        (inventory.contracts("C"), inventory.within("C", 5.0)),
        (-6.0, -5.0)
    );
    assert_eq!(
        (inventory.contracts("P"), inventory.within("C", f64::NAN)),
        (0.0, 0.0)
    );
    assert_eq!(
        Scenario::AllShort.position(OptionKind::Call, 3.0),
        Some(-3.0)
    );
    assert_eq!(Scenario::Naive.position(OptionKind::Call, 3.0), Some(3.0));
    assert_eq!(Scenario::Naive.position(OptionKind::Put, 3.0), Some(-3.0));
    assert_eq!(Scenario::TakerFlow.position(OptionKind::Put, 3.0), None);
}

#[test]
fn pain_is_least_where_least_is_paid() {
    let open = |kind, strike, contracts| OpenInterest {
        kind,
        strike,
        contracts,
    };
    let (call, put) = (OptionKind::Call, OptionKind::Put);
    let options = [
        open(call, 90.0, 10.0),
        open(put, 110.0, 1.0),
        open(call, 100.0, 1.0),
    ];
    assert_eq!(max_pain(&options), Some(90.0));
    assert_eq!(
        max_pain(&[open(put, 110.0, 1.0), open(put, 120.0, 0.0)]),
        Some(110.0)
    );
    assert_eq!(max_pain(&[]), None);
    assert_eq!(max_pain(&[open(call, 90.0, 0.0)]), None);
    assert_eq!(max_pain(&[open(call, f64::NAN, 1.0)]), None);
    assert_eq!(max_pain(&[open(call, 90.0, -1.0)]), None);
}

proptest! {
    #[test]
    fn any_book_gives_numbers_or_reasons(
        rows in prop::collection::vec((any::<bool>(), any::<[f64; 4]>(), any::<f64>()), 0..8),
        spot in any::<f64>(),
        tame in any::<bool>(),
    ) {
        let near = |x: f64, scale: f64| if tame { (x.abs() % scale) + 1e-3 } else { x };
        let holdings: Vec<Holding<1>> = rows
            .iter()
            .map(|(call, [strike, years, forward, vol], position)| Holding {
                kind: if *call { OptionKind::Call } else { OptionKind::Put },
                strike: near(*strike, 1e5),
                expiry_years: near(*years, 2.0),
                forward: near(*forward, 1e5),
                vol: near(*vol, 3.0),
                smile: Some(SMILE),
                positions: [if tame { position % 1e6 } else { *position }],
            })
            .collect();
        if let Ok(book) = Book::new(near(spot, 1e5), &holdings) {
            for sticky in [Stickiness::Strike, Stickiness::Delta] {
                if let Ok(profile) = book.profile(grid(20), sticky) {
                    prop_assert!(profile.cells.iter().flatten().all(Exposure::is_finite));
                    let shape = profile.shape(0).unwrap();
                    let all = [shape.zero_gamma_level, shape.stabilization, shape.acceleration, shape.gamma_skew];
                    prop_assert!(all.into_iter().flatten().all(f64::is_finite));
                    prop_assert!(shape.zero_gamma.windows(2).all(|p| p[0] <= p[1]));
                }
            }
            let ladder = Ladder { ratios: &[0.9, 1.1], vol_shifts: &[-0.05, 0.05], hours: &[0.0, 24.0] };
            if let Ok(rungs) = book.ladder(ladder) {
                prop_assert!(rungs.iter().all(|r| r.hedge_usd[0].is_finite() && r.delta_coin[0].is_finite()));
            }
            prop_assert!(book.gross_gamma_usd().is_ok_and(|g| g[0] >= 0.0) || !tame);
        }
    }
}
