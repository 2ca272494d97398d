//! Arguments of `plot`.

use clap::{Args, ValueEnum};
use lakectl_core::{Day, UtcTime};

/// What to draw, of what, into which file.
#[derive(Debug, Args)]
pub(crate) struct PlotArgs {
    /// What to draw
    #[arg(value_enum)]
    pub(crate) picture: Picture,
    /// The asset
    #[arg(long, value_name = "ASSET")]
    pub(crate) asset: String,
    /// The file; its name says the format: .svg or .png
    #[arg(long, visible_alias = "output", value_name = "FILE")]
    pub(crate) out: String,
    /// Draw the last snapshot at or before this time (default: the last of all); a day is its beginning
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<UtcTime>,
    /// Only the expiry of this day, in full (`smile`, `density`)
    #[arg(long, value_name = "DAY")]
    pub(crate) expiry: Option<Day>,
    /// Dots of a PNG for each pixel of the drawing, which is 960 wide
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=6))]
    pub(crate) scale: u8,
}

/// The pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Picture {
    /// Quotes with bid-ask bars over the fitted smiles
    Smile,
    /// The surface as a heat map, and its constant-maturity nodes
    Surface,
    /// Volatility, risk reversals and butterflies over time to expiry
    Term,
    /// The risk-neutral density against the lognormal one
    Density,
    /// Dealer gamma over the spot price, with the level where it flips
    Exposure,
    /// The history of the surface's factors
    Factors,
}

impl Picture {
    /// Returns the word on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Smile => "smile",
            Self::Surface => "surface",
            Self::Term => "term",
            Self::Density => "density",
            Self::Exposure => "exposure",
            Self::Factors => "factors",
        }
    }
}
