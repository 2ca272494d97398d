//! Colours that people with any kind of colour vision tell apart.

use crate::canvas::Color;

/// The colours of Okabe and Ito ("Color universal design", 2008), without the yellow that is lost on white.
pub(crate) const BLUE: Color = Color(0, 114, 178);
pub(crate) const VERMILION: Color = Color(213, 94, 0);
pub(crate) const GREEN: Color = Color(0, 158, 115);
pub(crate) const PURPLE: Color = Color(204, 121, 167);
pub(crate) const SKY: Color = Color(86, 180, 233);
pub(crate) const ORANGE: Color = Color(230, 159, 0);
pub(crate) const INK: Color = Color(34, 34, 34);
pub(crate) const GREY: Color = Color(105, 105, 105);
pub(crate) const PALE: Color = Color(228, 228, 228);
pub(crate) const WHITE: Color = Color(255, 255, 255);

/// The colour of the n-th of several lines.
pub(crate) fn line(n: usize) -> Color {
    [BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE][n % 6]
}

/// Every eighth of viridis (matplotlib, public domain): even steps of lightness, also in grey.
const VIRIDIS: [Color; 9] = [
    Color(68, 1, 84),
    Color(72, 40, 120),
    Color(62, 74, 137),
    Color(49, 104, 142),
    Color(38, 130, 142),
    Color(31, 158, 137),
    Color(53, 183, 121),
    Color(110, 206, 88),
    Color(253, 231, 37),
];

/// The colour of a share from 0, dark, to 1, light.
pub(crate) fn heat(share: f64) -> Color {
    let steps = (VIRIDIS.len() - 1) as f64;
    let place = share.clamp(0.0, 1.0) * steps;
    let below = (place.floor() as usize).min(VIRIDIS.len() - 2);
    let (a, b, part) = (VIRIDIS[below], VIRIDIS[below + 1], place - below as f64);
    let mixed = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
    Color(mixed(a.0, b.0), mixed(a.1, b.1), mixed(a.2, b.2))
}

/// Black or white, whichever is read on a colour.
pub(crate) fn on(color: Color) -> Color {
    let light =
        0.299 * f64::from(color.0) + 0.587 * f64::from(color.1) + 0.114 * f64::from(color.2);
    match light > 140.0 {
        true => INK,
        false => WHITE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_gets_lighter_all_the_way() {
        let light = |c: Color| 299 * u32::from(c.0) + 587 * u32::from(c.1) + 114 * u32::from(c.2);
        let steps: Vec<u32> = (0..=64).map(|i| light(heat(f64::from(i) / 64.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!(heat(-1.0), heat(0.0));
        assert_eq!((on(heat(0.0)), on(heat(1.0))), (WHITE, INK));
    }
}
