//! Series with a known shape, and ways to look at a drawing.

use lakectl_plot::Drawing;
use lakectl_plot::canvas::{Anchor, Group, Shape, Text};
use lakectl_plot::pictures::{
    About, Density, Exposure, Factor, Fitted, Flip, Forward, Node, Profile, Quote, Smile,
    StrikeColumn, Strip, Tenor, Term,
};

pub(crate) fn about() -> About {
    About {
        asset: "BTC".to_owned(),
        snapshot: "10 Mar 2026 21:29 UTC".to_owned(),
        footnote: "Source: lakectl, lake version 3 (main), tables options.slices.".to_owned(),
    }
}

/// A parabola of volatility.
fn iv(k: f64) -> f64 {
    0.5 - 0.2 * k + 0.8 * k * k
}

/// Twenty-one quotes half a point wide around a fit that lies a tenth of a point too high; the call at 0.15 has no bid.
pub(crate) fn smile(expiry: &str, days: f64) -> Smile {
    let places = (-10..=10).map(|i| f64::from(i) * 0.03);
    let quotes: Vec<Quote> = places
        .map(|k| Quote {
            log_moneyness: k,
            call: k >= 0.0,
            bid: ((k - 0.15).abs() > 0.01).then(|| iv(k) - 0.0025),
            ask: Some(iv(k) + 0.0025),
            mark: Some(iv(k)),
            fit: Some(iv(k) + 0.001),
        })
        .collect();
    let fit = (0..=100).map(|i| f64::from(i) * 0.006 - 0.3);
    let fit = fit.map(|k| Fitted {
        log_moneyness: k,
        iv: iv(k) + 0.001,
        g: Some(0.5 + k),
    });
    Smile {
        expiry: expiry.to_owned(),
        days,
        forward: 70_000.0,
        quotes,
        fit: fit.collect(),
        rmse_vol: Some(0.001),
        fitted_range: Some((-0.213, 0.213)),
        g_min: Some(0.2),
        status: "ok".to_owned(),
    }
}

pub(crate) fn strips() -> (Vec<Strip>, Vec<f64>, Vec<Node>) {
    let strip = |i: u32| Strip {
        days: f64::from(i * i) + 1.0,
        points: (-30..=30)
            .map(|j| (f64::from(j) / 10.0, iv(f64::from(j) / 10.0 * 0.2)))
            .collect(),
    };
    let node = |tenor_days: i64, node: &str, iv: f64| Node {
        tenor_days,
        node: node.to_owned(),
        iv,
    };
    let nodes = vec![
        node(7, "25c", 0.48),
        node(7, "10p", 0.66),
        node(7, "atm", 0.5),
        node(30, "atm", 0.51),
        node(30, "10p", 0.64),
    ];
    ((0..12).map(strip).collect(), vec![1.0, 26.0, 122.0], nodes)
}

/// Three expiries; total variance falls between the last two.
pub(crate) fn term() -> Term {
    let forward = |from_days: f64, to_days: f64, iv| Forward {
        from_days,
        to_days,
        iv,
    };
    Term {
        expiries: vec![(7.0, 0.5), (30.0, 0.6), (31.0, 0.4)],
        forwards: vec![forward(7.0, 30.0, Some(0.63)), forward(30.0, 31.0, None)],
        tenors: vec![
            Tenor {
                days: 7.0,
                put_25: Some(0.55),
                atm: Some(0.5),
                call_25: Some(0.49),
                ..Tenor::default()
            },
            Tenor {
                days: 30.0,
                atm: Some(0.6),
                ..Tenor::default()
            },
        ],
    }
}

/// The normal density of deviation 0.1, twice, the first with a dip below zero if asked for.
pub(crate) fn density(dip: bool) -> Density {
    let points = (-40..=40).map(|i| {
        let k = f64::from(i) * 0.01;
        let normal = (-k * k / 0.02).exp() / (0.1 * std::f64::consts::TAU.sqrt());
        let fitted = if dip && i == 30 { -0.05 } else { normal };
        (k, fitted, normal)
    });
    Density {
        expiry: "27 Mar 2026".to_owned(),
        days: 16.4,
        forward: 70_000.0,
        atm_iv: 0.47,
        points: points.collect(),
        quantiles: Some([-0.1645, 0.0, 0.1645]),
        tails: Some([0.159, 0.158]),
    }
}

/// A straight profile that is zero at 70,000.
pub(crate) fn exposure() -> Exposure {
    let points = (-30..=30).map(|i| (70_000.0 + 700.0 * f64::from(i), 1e6 * f64::from(i)));
    let profile = Profile {
        scenario: "naive".to_owned(),
        points: points.collect(),
        sticky_delta: Vec::new(),
        flip: Flip {
            status: "found".to_owned(),
            level: Some(70_000.0),
        },
        reason: String::new(),
    };
    let silent = Profile {
        scenario: "taker_flow".to_owned(),
        reason: "no_trades".to_owned(),
        ..Profile::default()
    };
    let column = |strike: f64| StrikeColumn {
        strike,
        calls: 2e6,
        puts: -1e6,
    };
    Exposure {
        spot: Some(72_000.0),
        profiles: vec![profile, silent],
        strikes_scenario: "naive".to_owned(),
        strikes: [20_000.0, 60_000.0, 65_000.0, 75_000.0]
            .map(column)
            .to_vec(),
        levels: vec![("max pain".to_owned(), 66_000.0)],
    }
}

pub(crate) fn factor(name: &str, values: &[Option<f64>]) -> Factor {
    let day = |i: usize| 1_770_000_000.0 + 86_400.0 * i as f64;
    Factor {
        name: name.to_owned(),
        meaning: "something".to_owned(),
        unit: "vol points".to_owned(),
        points: values
            .iter()
            .enumerate()
            .map(|(i, value)| (day(i), *value))
            .collect(),
        refits: Vec::new(),
    }
}

/// Every text of a drawing.
pub(crate) fn texts(drawing: &Drawing) -> Vec<&Text> {
    let mut found = Vec::new();
    walk(&drawing.shapes, &mut |shape| {
        if let Shape::Text(text) = shape {
            found.push(text);
        }
    });
    found
}

/// Every group of a class.
pub(crate) fn groups<'a>(shapes: &'a [Shape], class: &str) -> Vec<&'a Group> {
    let mut found = Vec::new();
    walk(shapes, &mut |shape| {
        if let Shape::Group(group) = shape
            && group.class == class
        {
            found.push(group);
        }
    });
    found
}

pub(crate) fn walk<'a>(shapes: &'a [Shape], see: &mut dyn FnMut(&'a Shape)) {
    for shape in shapes {
        see(shape);
        if let Shape::Group(group) = shape {
            walk(&group.shapes, see);
        }
    }
}

/// The left and the right end of a level text.
pub(crate) fn ends(text: &Text) -> (f64, f64) {
    let width = text.width();
    let left = match text.anchor {
        Anchor::Start => text.at.0,
        Anchor::Middle => text.at.0 - width / 2.0,
        Anchor::End => text.at.0 - width,
    };
    (left, left + width)
}
