//! The two faces that are inside the program, so that a machine without fonts writes text too.
//!
//! Their widths set the layout of both outputs. A reader of the SVG without DejaVu Sans takes Verdana, whose widths are
//! close.

use std::sync::LazyLock;

use ttf_parser::{GlyphId, OutlineBuilder};

static REGULAR: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../fonts/DejaVuSans-Bold.ttf");

/// The families that a reader of the SVG shall try.
pub(crate) const FAMILIES: &str = "DejaVu Sans, Verdana, Geneva, sans-serif";

/// Which letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Face {
    /// Of usual weight.
    Regular,
    /// Of heavy weight.
    Bold,
}

impl Face {
    /// The parsed face; none if the file inside the program is damaged, which a test rules out.
    fn parsed(self) -> Option<&'static ttf_parser::Face<'static>> {
        static FACES: LazyLock<[Option<ttf_parser::Face<'static>>; 2]> =
            LazyLock::new(|| [REGULAR, BOLD].map(|file| ttf_parser::Face::parse(file, 0).ok()));
        FACES[usize::from(self == Self::Bold)].as_ref()
    }
}

/// The length of words in pixels.
pub(crate) fn width(face: Face, words: &str, size: f64) -> f64 {
    glyphs(face, words, size).map(|glyph| glyph.advance).sum()
}

/// One letter of a line.
pub(crate) struct Glyph {
    id: GlyphId,
    /// How far the next letter is, in pixels.
    pub(crate) advance: f64,
}

/// The letters of a line; what the face lacks is its sign for that.
pub(crate) fn glyphs(face: Face, words: &str, size: f64) -> impl Iterator<Item = Glyph> {
    let parsed = face.parsed();
    let scale = scale(face, size);
    words.chars().filter_map(move |letter| {
        let parsed = parsed?;
        let id = parsed.glyph_index(letter).unwrap_or_default();
        let advance = f64::from(parsed.glyph_hor_advance(id).unwrap_or_default()) * scale;
        Some(Glyph { id, advance })
    })
}

/// Gives the outline of a letter to a builder, in units of the face, upwards.
pub(crate) fn outline(face: Face, glyph: &Glyph, builder: &mut dyn OutlineBuilder) {
    // A letter without an outline is a space.
    let _ = face
        .parsed()
        .and_then(|parsed| parsed.outline_glyph(glyph.id, builder));
}

/// Pixels for one unit of the face.
pub(crate) fn scale(face: Face, size: f64) -> f64 {
    face.parsed()
        .map_or(0.0, |parsed| size / f64::from(parsed.units_per_em()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_have_every_sign_that_pictures_write() {
        let signs = "AZaz09 %−–·Δσ×≤≥±√ρ→∞().,:/@_'²…";
        for face in [Face::Regular, Face::Bold] {
            let parsed = face.parsed().unwrap();
            for sign in signs.chars() {
                assert!(
                    parsed.glyph_index(sign).is_some(),
                    "{face:?} lacks `{sign}`"
                );
            }
        }
    }

    #[test]
    fn widths_add_up_and_follow_the_size() {
        let wide = width(Face::Regular, "implied", 20.0);
        let half = width(Face::Regular, "implied", 10.0);
        assert!((wide - 2.0 * half).abs() < 1e-9 && half > 30.0 && half < 45.0);
        assert!(width(Face::Bold, "implied", 10.0) > half);
        assert_eq!(width(Face::Regular, "", 10.0), 0.0);
    }
}
