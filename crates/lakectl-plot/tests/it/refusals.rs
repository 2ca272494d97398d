//! What cannot be drawn is refused with a reason.

use lakectl_plot::pictures::{self, Density, Exposure, Term};
use lakectl_plot::{PlotError, Sheet};

use crate::common::{self, about};

fn empty(sheet: Result<Sheet, PlotError>) {
    assert!(matches!(sheet, Err(PlotError::Empty { .. })), "{sheet:?}");
}

#[test]
fn nothing_to_draw() {
    let (_, _, nodes) = common::strips();
    let mut bare = common::smile("27 Mar 2026", 16.4);
    bare.quotes.clear();
    bare.fit.clear();
    empty(pictures::smile(&about(), &[]));
    empty(pictures::smile(&about(), &[bare]));
    empty(pictures::surface(&about(), &[], &[], &[]));
    assert!(pictures::surface(&about(), &[], &[], &nodes).is_ok());
    empty(pictures::term(&about(), &Term::default()));
    let points = Vec::new();
    empty(pictures::density(
        &about(),
        &[Density {
            points,
            ..common::density(false)
        }],
    ));
    empty(pictures::exposure(&about(), &Exposure::default()));
    empty(pictures::factors(
        &about(),
        &[common::factor("Level", &[None])],
    ));
}

#[test]
fn numbers_without_a_place_are_named() {
    let mut term = common::term();
    term.expiries[1].1 = f64::NAN;
    let error = pictures::term(&about(), &term).unwrap().draw().unwrap_err();
    let words = "series `at the money` of panel `volatility` has a value that is not finite";
    assert_eq!(error.to_string(), words);
}

#[test]
fn pictures_of_no_or_too_many_dots() {
    let drawing = pictures::term(&about(), &common::term())
        .unwrap()
        .draw()
        .unwrap();
    for scale in [0.0, -1.0, 1e-9, 1e3, f64::NAN, f64::INFINITY] {
        assert!(
            matches!(drawing.png(scale), Err(PlotError::Size { .. })),
            "{scale}"
        );
    }
}
