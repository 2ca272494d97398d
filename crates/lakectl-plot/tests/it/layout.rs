//! Nothing is cut off, nothing is written over, whatever the numbers are.

use lakectl_plot::pictures::{self, About};
use lakectl_plot::{Drawing, PlotError};
use proptest::prelude::*;

use crate::common::{self, about, ends, texts};

fn all() -> Vec<Drawing> {
    let about = About {
        asset: "BTC <&\"> with a long name".to_owned(),
        footnote: "every word of a footnote that does not fit on one line ".repeat(5),
        ..about()
    };
    let (strips, expiries, nodes) = common::strips();
    let one = [common::smile("27 Mar 2026", 16.4)];
    let many = [0, 1, 2, 3, 4].map(|i| common::smile("27 Mar 2026", 300.0 + f64::from(i)));
    let many = many.map(|slice| pictures::Smile {
        rmse_vol: Some(0.1274),
        g_min: Some(-13.35),
        ..slice
    });
    let carried = many.clone().map(|slice| pictures::Smile {
        status: "carried".to_owned(),
        ..slice
    });
    let factors = [
        common::factor("Level", &[Some(1.0), Some(2.0)]),
        common::factor("Skew", &[Some(0.0)]),
    ];
    let sheets = [
        pictures::smile(&about, &one),
        pictures::smile(&about, &many),
        pictures::smile(&about, &carried),
        pictures::surface(&about, &strips, &expiries, &nodes),
        pictures::surface(&about, &[], &[], &nodes),
        pictures::term(&about, &common::term()),
        pictures::density(&about, &[common::density(false)]),
        pictures::density(&about, &[common::density(false), common::density(true)]),
        pictures::density(&about, &[0, 1, 2].map(|_| common::density(true))),
        pictures::exposure(&about, &common::exposure()),
        pictures::factors(&about, &factors),
    ];
    sheets
        .into_iter()
        .map(|sheet| sheet.unwrap().draw().unwrap())
        .collect()
}

#[test]
fn every_word_is_on_the_page() {
    for drawing in all() {
        for text in texts(&drawing).into_iter().filter(|text| !text.upwards) {
            let (left, right) = ends(text);
            assert!(
                left >= 0.0 && right <= drawing.width,
                "{}: {text:?}",
                drawing.title
            );
            assert!(
                text.at.1 > 0.0 && text.at.1 < drawing.height,
                "{}: {text:?}",
                drawing.title
            );
        }
    }
}

#[test]
fn words_do_not_touch() {
    for drawing in all() {
        let texts: Vec<_> = texts(&drawing)
            .into_iter()
            .filter(|text| !text.upwards)
            .collect();
        for (i, a) in texts.iter().enumerate() {
            for b in &texts[i + 1..] {
                let ((a0, a1), (b0, b1)) = (ends(a), ends(b));
                let apart =
                    a1 <= b0 || b1 <= a0 || (a.at.1 - b.at.1).abs() >= a.size.min(b.size) * 0.9;
                assert!(apart, "{}: `{}` and `{}`", drawing.title, a.words, b.words);
            }
        }
    }
}

/// A volatility, with what a bad fit or a bad quote may give.
fn iv() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        4 => (0.01..3.0).prop_map(Some),
        1 => Just(None),
        1 => prop_oneof![Just(Some(0.0)), Just(Some(1e6)), Just(Some(1e-12)), Just(Some(f64::NAN)), Just(Some(f64::INFINITY))],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_quotes_are_drawn_or_refused(
        quotes in prop::collection::vec((-20.0..20.0_f64, iv(), iv(), iv()), 0..12),
        days in prop_oneof![Just(0.0), 1e-6..1.0, 1.0..1000.0],
        forward in prop_oneof![Just(0.05), 1.0..10.0, 1e3..1e7],
    ) {
        let mut slice = common::smile("27 Mar 2026", days);
        slice.forward = forward;
        slice.fitted_range = None;
        slice.quotes = quotes
            .iter()
            .map(|(k, bid, ask, fit)| pictures::Quote {
                log_moneyness: *k,
                call: *k > 0.0,
                bid: *bid,
                ask: *ask,
                mark: *ask,
                fit: *fit,
            })
            .collect();
        let drawn = pictures::smile(&about(), &[slice]).and_then(|sheet| sheet.draw());
        match drawn {
            Ok(drawing) => {
                let svg = drawing.svg();
                prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
            }
            Err(PlotError::NotFinite { .. } | PlotError::Empty { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
