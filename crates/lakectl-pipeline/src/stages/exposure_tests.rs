use lakectl_options::OptionKind;
use lakectl_options::smile::RawSvi;

use super::*;

fn holding(strike: f64, positions: [f64; 2]) -> Positions {
    let [short, naive] = positions;
    Positions {
        kind: OptionKind::Call,
        strike,
        expiry_years: 0.1,
        forward: 101.0,
        vol: 0.5,
        smile: None,
        positions: [short, naive, 0.5 * naive],
    }
}

#[test]
fn the_spot_price_is_the_median_index_and_else_named() {
    let mut snapshot = Snapshot {
        index_prices: vec![103.0, 99.0, 100.0, 101.0],
        nearest_forward: Some((0.01, 98.0)),
        ..Snapshot::default()
    };
    assert_eq!(snapshot.spot(), Some((100.5, "index")));
    assert_eq!(snapshot.book().err(), Some("no_open_interest"));
    snapshot.index_prices.clear();
    assert_eq!(snapshot.spot(), Some((98.0, "nearest_forward")));
    snapshot.nearest_forward = None;
    assert_eq!(snapshot.book().err(), Some("no_spot"));
}

#[test]
fn smiles_are_counted_by_open_interest() {
    let smile = RawSvi {
        a: 0.02,
        b: 0.05,
        rho: -0.2,
        m: 0.0,
        sigma: 0.1,
    };
    let with = Positions {
        smile: Some(smile),
        ..holding(100.0, [-3.0, 3.0])
    };
    let mut snapshot = Snapshot {
        index_prices: vec![100.0],
        holdings: vec![with, holding(110.0, [-1.0, 1.0])],
        ..Snapshot::default()
    };
    let (book, source) = snapshot.book().unwrap();
    let [short, naive, flow] = measured(&book, source, &snapshot, Stickiness::Delta).unwrap();
    assert_eq!(
        (short.smile_share, short.spot_source.as_deref()),
        (Some(0.75), Some("index"))
    );
    assert_eq!(
        flow.now.unwrap().gamma_usd,
        0.5 * naive.now.unwrap().gamma_usd
    );
    assert_eq!(short.now.unwrap().gamma_usd, -naive.now.unwrap().gamma_usd);
    assert!(short.walls.call_wall.is_none() && naive.walls.call_wall == Some(100.0));
    let [kept, ..] = measured(&book, source, &snapshot, Stickiness::Strike).unwrap();
    assert!(
        kept.smile_share.is_none() && kept.now.unwrap().gamma_usd < short.now.unwrap().gamma_usd
    );
}
