//! Pictures of option surfaces: plain numbers in, one drawing out, as SVG or PNG.
//!
//! ```text
//! Smiles, Surface, Term, ... --> Sheet (panels of layers) --> Drawing (shapes) --> svg() | png()
//!        [`pictures`]              [`Sheet`]                   [`canvas`]
//! ```
//!
//! Nothing here reads a lake, a clock or the fonts of the machine: the same numbers are the same bytes.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod canvas;
mod chart;
mod font;
mod layout;
mod palette;
pub mod pictures;
mod png;
mod scale;
mod sheet;
mod svg;

pub use canvas::Drawing;
pub use font::Face;
pub use scale::{long_day, number};
pub use sheet::{PanelLine, SeriesLine, Sheet};

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlotError {
    /// Nothing to draw.
    #[error("there is nothing to draw: {what}")]
    Empty {
        /// What is missing.
        what: String,
    },
    /// A value that has no place.
    #[error("series `{series}` of panel `{panel}` has a value that is not finite")]
    NotFinite {
        /// The panel's title.
        panel: String,
        /// The series.
        series: String,
    },
    /// More dots than a picture may have, or none.
    #[error("a picture of {width} x {height} dots cannot be made")]
    Size {
        /// Dots side by side.
        width: f64,
        /// Rows of dots.
        height: f64,
    },
    /// The file could not be packed.
    #[error("the picture could not be packed")]
    Encode,
}

impl Drawing {
    /// The drawing as an SVG document. Equal drawings are equal bytes.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::write(self)
    }

    /// The drawing as a PNG file with `scale` dots for each pixel of the drawing. Equal drawings are equal bytes.
    ///
    /// # Errors
    /// [`PlotError::Size`] for no dot at all or more than 64 million.
    pub fn png(&self, scale: f64) -> Result<Vec<u8>, PlotError> {
        png::write(self, scale)
    }
}
