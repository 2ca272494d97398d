//! What each picture shows: panels, series, words, places.

use lakectl_plot::canvas::Shape;
use lakectl_plot::{Drawing, Sheet, pictures};

use crate::common::{self, about, ends, groups, texts};

/// Panels and series as lines.
fn lines(sheet: &Sheet) -> Vec<String> {
    let panel = |panel: &lakectl_plot::PanelLine| {
        let series = panel
            .series
            .iter()
            .map(|s| format!("{} x{}", s.name, s.points));
        format!("{}: {}", panel.title, series.collect::<Vec<_>>().join(", "))
    };
    sheet.series().iter().map(panel).collect()
}

fn says(drawing: &Drawing, words: &str) -> bool {
    texts(drawing).iter().any(|text| text.words.contains(words))
}

#[test]
fn one_smile_has_quotes_residuals_and_certificate() {
    let sheet = pictures::smile(&about(), &[common::smile("27 Mar 2026", 16.4)]).unwrap();
    assert_eq!(
        lines(&sheet),
        [
            "27 Mar 2026 · 16.4 days · forward 70,000 USD: puts, bid to ask x10, calls, bid to ask x10, \
             ask without a bid x1, venue's mark x20, SVI, extrapolated x32, SVI fit x71",
            ": puts, bid to ask x10, calls, bid to ask x10, venue's mark x20",
            ": g(k): no butterfly where ≥ 0 x101",
        ]
    );
    let drawing = sheet.draw().unwrap();
    for words in [
        "BTC implied-volatility smile, expiry 27 Mar 2026",
        "Snapshot 10 Mar 2026 21:29 UTC.",
        // Of the quotes on the fitted range all are inside; those beyond do not count.
        "rmse 0.10 vol pts · 14 of 14 inside · min g 0.20",
        "implied volatility (%)",
        "quote − fit (vol pts)",
        "log-moneyness ln(K/F)",
        "strike (USD)",
        "70,000",
        "lake version 3",
    ] {
        assert!(says(&drawing, words), "{words}");
    }
}

#[test]
fn many_smiles_share_a_legend_and_their_names_of_axes() {
    let mut thin = common::smile("28 Mar 2026", 17.4);
    thin.fit.clear();
    thin.status = "too_few_quotes".to_owned();
    let smiles = [
        common::smile("27 Mar 2026", 16.4),
        thin,
        common::smile("24 Apr 2026", 130.2),
    ];
    let drawing = pictures::smile(&about(), &smiles).unwrap().draw().unwrap();
    assert_eq!(groups(&drawing.shapes, "panel").len(), 3);
    assert!(says(&drawing, "no fit: too few quotes") && says(&drawing, "24 Apr 2026 · 130 days"));
    let count = |words: &str| {
        texts(&drawing)
            .iter()
            .filter(|text| text.words == words)
            .count()
    };
    assert_eq!((count("implied volatility (%)"), count("SVI fit")), (1, 1));
    // The last row's panels each name the axis below them.
    assert_eq!(count("log-moneyness ln(K/F)"), 3);
}

#[test]
fn a_carried_shape_is_not_drawn_as_a_fit() {
    let carried = common::smile("28 Mar 2026", 0.4);
    let carried = pictures::Smile {
        status: "carried".to_owned(),
        ..carried
    };
    let alone = pictures::smile(&about(), std::slice::from_ref(&carried));
    let alone = alone.unwrap().draw().unwrap();
    assert!(says(&alone, "SVI of an earlier snapshot") && says(&alone, "carried"));
    assert!(
        texts(&alone)
            .iter()
            .all(|text| text.words != "SVI fit" && text.words != "SVI, extrapolated")
    );
    let both = [common::smile("27 Mar 2026", 16.4), carried];
    let both = pictures::smile(&about(), &both).unwrap().draw().unwrap();
    assert!(says(&both, "SVI of an earlier snapshot") && says(&both, "SVI fit"));
}

#[test]
fn factors_show_where_they_were_fitted_anew() {
    let mut score = common::factor("PCA 1", &[Some(1.0), Some(2.0), Some(-1.0)]);
    let shapes = |factor: &pictures::Factor| {
        let factors = std::slice::from_ref(factor);
        pictures::factors(&about(), factors)
            .unwrap()
            .draw()
            .unwrap()
    };
    assert!(!says(&shapes(&score), "fitted anew"));
    let lines = |drawing: &lakectl_plot::Drawing| {
        format!("{:?}", drawing.shapes).matches("Lines {").count()
    };
    let before = lines(&shapes(&score));
    score.refits = vec![score.points[1].0 + 3_600.0];
    let after = shapes(&score);
    assert!(says(&after, "fitted anew"));
    assert_eq!(lines(&after), before + 1);
}

#[test]
fn nodes_are_cells_from_the_far_put_to_the_far_call() {
    let (strips, expiries, nodes) = common::strips();
    let drawing = pictures::surface(&about(), &strips, &expiries, &nodes)
        .unwrap()
        .draw()
        .unwrap();
    let place = |words: &str| {
        texts(&drawing)
            .iter()
            .find(|text| text.words == words)
            .unwrap()
            .at
    };
    assert!(place("10P").0 < place("ATM").0 && place("ATM").0 < place("25C").0);
    // The figure of a node stands above its column's name, beside its row's; longer maturities are higher.
    assert!((place("66.0").0 - place("10P").0).abs() < 1e-9);
    assert!(place("64.0").1 < place("66.0").1);
    let cells = groups(&drawing.shapes, "series");
    let cells = cells.iter().find(|group| group.name == "nodes").unwrap();
    let mut light: Vec<(u32, f64)> = cells
        .shapes
        .chunks(2)
        .map(|pair| match pair {
            [Shape::Box { fill, .. }, Shape::Text(figure)] => {
                let light = 299 * u32::from(fill.color.0)
                    + 587 * u32::from(fill.color.1)
                    + 114 * u32::from(fill.color.2);
                (light, figure.words.parse().unwrap())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(light.len(), 5);
    light.sort_by(|a, b| a.1.total_cmp(&b.1));
    assert!(
        light.windows(2).all(|pair| pair[0].0 <= pair[1].0),
        "more volatility is lighter: {light:?}"
    );
}

#[test]
fn a_strip_of_the_surface_is_coloured_without_gaps() {
    let (strips, expiries, nodes) = common::strips();
    let drawing = pictures::surface(&about(), &strips, &expiries, &nodes)
        .unwrap()
        .draw()
        .unwrap();
    let all = groups(&drawing.shapes, "series");
    let heat = all.iter().find(|group| group.name == "surface").unwrap();
    let boxes: Vec<_> = heat
        .shapes
        .iter()
        .map(|shape| match shape {
            Shape::Box { rect, .. } => *rect,
            other => panic!("{other:?}"),
        })
        .collect();
    let mut edges: Vec<(i64, i64)> = boxes
        .iter()
        .map(|b| (b.top as i64, b.bottom() as i64))
        .collect();
    edges.sort_unstable();
    edges.dedup();
    assert!(
        boxes
            .iter()
            .all(|b| b.top.fract() == 0.0 && b.bottom().fract() == 0.0)
    );
    assert!(
        edges.windows(2).all(|pair| pair[0].1 == pair[1].0),
        "{edges:?}"
    );
}

#[test]
fn falling_total_variance_leaves_a_gap_in_forward_volatility() {
    let drawing = pictures::term(&about(), &common::term())
        .unwrap()
        .draw()
        .unwrap();
    let all = groups(&drawing.shapes, "series");
    let steps = all
        .iter()
        .find(|group| group.name.starts_with("forward volatility"))
        .unwrap();
    let Shape::Lines { lines, .. } = &steps.shapes[0] else {
        panic!("{steps:?}");
    };
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    // A tenor without wings has no risk reversal.
    let reversal = all
        .iter()
        .find(|group| group.name == "25Δ risk reversal")
        .unwrap();
    let Shape::Lines { lines, .. } = &reversal.shapes[0] else {
        panic!("{reversal:?}");
    };
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
    assert!(!all.iter().any(|group| group.name == "10Δ risk reversal"));
}

#[test]
fn a_density_says_its_tails_and_whether_it_is_negative() {
    let drawing = pictures::density(&about(), &[common::density(false)])
        .unwrap()
        .draw()
        .unwrap();
    assert!(says(
        &drawing,
        "at the money 47.0 % · below −10 %: 15.9 % · above +10 %: 15.8 %"
    ));
    assert!(says(&drawing, "70,000 USD") && !says(&drawing, "negative"));
    let dipped = pictures::density(&about(), &[common::density(true)])
        .unwrap()
        .draw()
        .unwrap();
    assert!(says(&dipped, "· negative"));
}

#[test]
fn the_flip_stands_where_the_profile_is_zero() {
    let sheet = pictures::exposure(&about(), &common::exposure()).unwrap();
    assert_eq!(
        lines(&sheet),
        [
            "profile over the spot price: naive, sticky strike x61",
            "by strike, scenario naive: calls x3, puts x3"
        ]
    );
    let drawing = sheet.draw().unwrap();
    assert!(says(
        &drawing,
        "naive: zero gamma at 70,000 USD · taker flow: no trades"
    ));
    let guide = |words: &str| {
        let all = texts(&drawing);
        ends(
            all.into_iter()
                .find(|text| text.words.starts_with(words))
                .unwrap(),
        )
    };
    let tick = |words: &str| {
        texts(&drawing)
            .into_iter()
            .find(|text| text.words == words)
            .unwrap()
            .at
            .0
    };
    // Words stand five pixels beside their line; those of a level below the spot price on its left.
    assert!((guide("zero gamma 70,000").1 + 5.0 - tick("70,000")).abs() < 1e-6);
    let spot = tick("70,000") + (tick("80,000") - tick("70,000")) * 0.2;
    assert!((guide("spot 72,000").0 - 5.0 - spot).abs() < 1e-6);
    let Shape::Lines { lines, .. } = &groups(&drawing.shapes, "series")[0].shapes[0] else {
        panic!("the profile is a line");
    };
    let zero = texts(&drawing)
        .into_iter()
        .find(|text| text.words == "0")
        .unwrap()
        .at
        .1
        - 3.8;
    assert!((lines[0][30].0 - tick("70,000")).abs() < 1e-6 && (lines[0][30].1 - zero).abs() < 1e-6);
}

#[test]
fn levels_outside_the_picture_are_named_below_its_title() {
    let mut exposure = common::exposure();
    exposure.levels = vec![
        ("put wall".to_owned(), 10_000.0),
        ("call wall".to_owned(), 89_000.0),
        ("max pain".to_owned(), 250_000.0),
    ];
    let drawing = pictures::exposure(&about(), &exposure)
        .unwrap()
        .draw()
        .unwrap();
    assert!(says(
        &drawing,
        "outside the picture: put wall 10,000 to the left, max pain 250,000 to the right"
    ));
    let all = texts(&drawing);
    let words = |start: &str| {
        all.iter()
            .filter(|text| text.words.starts_with(start))
            .count()
    };
    assert_eq!(
        (
            words("put wall"),
            words("call wall 89,000"),
            words("max pain")
        ),
        (0, 1, 0)
    );
    // Words of a level at the right edge stand on its left.
    let wall = all
        .iter()
        .find(|text| text.words.starts_with("call wall"))
        .unwrap();
    let tick = all
        .iter()
        .filter(|text| text.words == "90,000")
        .map(|text| text.at.0);
    assert!(ends(wall).1 < tick.fold(f64::INFINITY, f64::min));
}

#[test]
fn factors_break_where_a_value_is_missing() {
    let some = common::factor("Level", &[Some(1.0), Some(2.0), None, Some(-1.5)]);
    let none = common::factor("PCA 1", &[None, None]);
    let sheet = pictures::factors(&about(), &[some, none]).unwrap();
    assert_eq!(lines(&sheet), ["Level: Level x3"]);
    let drawing = sheet.draw().unwrap();
    assert!(says(&drawing, "something: −1.50"));
    assert!(groups(&drawing.shapes, "legend").is_empty());
}
