//! What a picture shows, before anything has a place: panels of layers over axes.

use crate::PlotError;
use crate::canvas::{Color, Drawing, Point};
use crate::layout;
use crate::scale::Axis;

/// A page of panels under one title.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// Where the numbers come from.
    pub(crate) footnote: String,
    pub(crate) width: f64,
    /// Panels side by side.
    pub(crate) columns: usize,
    pub(crate) panels: Vec<Panel>,
    /// Whether the series are named in a legend; not where each panel's title names its one series.
    pub(crate) legend: bool,
    pub(crate) color_bar: Option<ColorBar>,
}

/// What the colours of a heat map mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColorBar {
    pub(crate) axis: Axis,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// One pair of axes with what is drawn between them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) remarks: Vec<String>,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// A second way to read `x`: its name, and values of `x` with theirs.
    pub(crate) top: Option<(String, Vec<(f64, String)>)>,
    /// The height of the area between the axes in pixels.
    pub(crate) height: f64,
    /// The lowest first.
    pub(crate) layers: Vec<Layer>,
}

impl Panel {
    pub(crate) fn new(title: impl Into<String>, x: Axis, y: Axis, height: f64) -> Self {
        Self {
            title: title.into(),
            remarks: Vec::new(),
            x,
            y,
            top: None,
            height,
            layers: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, color: Color, mark: Mark) -> &mut Self {
        self.layers.push(Layer {
            name: name.to_owned(),
            color,
            mark,
        });
        self
    }
}

/// One series, or one thing that helps to read the others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// Its name in the legend; empty for what belongs to another layer.
    pub(crate) name: String,
    pub(crate) color: Color,
    pub(crate) mark: Mark,
}

impl Layer {
    /// How many data it shows; none if it only helps to read another.
    pub(crate) fn count(&self) -> Option<usize> {
        self.mark.count().filter(|_| !self.name.is_empty())
    }
}

/// How a layer is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    /// Lines through points; a gap begins another run.
    Line {
        runs: Vec<Vec<Point>>,
        width: f64,
        dash: Option<(f64, f64)>,
    },
    /// Filled or open dots.
    Dots {
        points: Vec<Point>,
        radius: f64,
        open: bool,
    },
    /// Upright bars from a low to a high value: (x, low, high).
    Bars { spans: Vec<(f64, f64, f64)> },
    /// An area between a low and a high line: (x, low, high).
    Band { spans: Vec<(f64, f64, f64)> },
    /// Columns between two values of x, from zero: (from, to, y).
    Columns { columns: Vec<(f64, f64, f64)> },
    /// Strips of colour: see [`Strip`].
    Heat { strips: Vec<Strip> },
    /// Boxes with a colour and a figure in each.
    Cells { cells: Vec<Cell> },
    /// An upright line with words beside it, to the left if there is room; no series.
    Upright { at: f64, words: String, left: bool },
    /// A level line; no series.
    Level { at: f64 },
}

/// A strip of a heat map: the colour changes along x, between two values of y.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strip {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Values of x with what is coloured there, in order.
    pub(crate) points: Vec<Point>,
}

/// A box of a table of colours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) column: f64,
    pub(crate) row: f64,
    pub(crate) value: f64,
    pub(crate) figure: String,
}

impl Mark {
    pub(crate) fn line(points: Vec<Point>) -> Self {
        Self::Line {
            runs: vec![points],
            width: 1.8,
            dash: None,
        }
    }

    pub(crate) fn dashed(points: Vec<Point>) -> Self {
        Self::dashed_runs(vec![points])
    }

    pub(crate) fn dashed_runs(runs: Vec<Vec<Point>>) -> Self {
        Self::Line {
            runs,
            width: 1.4,
            dash: Some((5.0, 3.5)),
        }
    }

    /// A line with gaps where there is no value.
    pub(crate) fn gapped(points: &[(f64, Option<f64>)]) -> Self {
        let runs = points.split(|(_, y)| y.is_none());
        let run = |run: &[(f64, Option<f64>)]| {
            run.iter().filter_map(|(x, y)| Some((*x, (*y)?))).collect()
        };
        Self::Line {
            runs: runs.filter(|points| !points.is_empty()).map(run).collect(),
            width: 1.5,
            dash: None,
        }
    }

    /// The values of x and y that it spans; x alone for an upright line.
    pub(crate) fn points(&self) -> Vec<Point> {
        match self {
            Self::Line { runs, .. } => runs.concat(),
            Self::Dots { points, .. } => points.clone(),
            Self::Bars { spans } | Self::Band { spans } => spans
                .iter()
                .flat_map(|(x, low, high)| [(*x, *low), (*x, *high)])
                .collect(),
            Self::Columns { columns } => columns
                .iter()
                .flat_map(|(from, to, y)| [(*from, 0.0), (*to, *y)])
                .collect(),
            Self::Heat { strips } => strips
                .iter()
                .flat_map(|strip| {
                    strip
                        .points
                        .iter()
                        .flat_map(|(x, _)| [(*x, strip.low), (*x, strip.high)])
                })
                .collect(),
            Self::Cells { cells } => cells
                .iter()
                .flat_map(|c| [(c.column - 0.5, c.row - 0.5), (c.column + 0.5, c.row + 0.5)])
                .collect(),
            Self::Upright { .. } | Self::Level { .. } => Vec::new(),
        }
    }

    fn count(&self) -> Option<usize> {
        match self {
            Self::Line { runs, .. } => Some(runs.iter().map(Vec::len).sum()),
            Self::Dots { points, .. } => Some(points.len()),
            Self::Bars { spans } | Self::Band { spans } => Some(spans.len()),
            Self::Columns { columns } => Some(columns.len()),
            Self::Heat { strips } => Some(strips.iter().map(|strip| strip.points.len()).sum()),
            Self::Cells { cells } => Some(cells.len()),
            Self::Upright { .. } | Self::Level { .. } => None,
        }
    }

    /// Whether every number in it is finite.
    fn is_finite(&self) -> bool {
        let own = match self {
            Self::Heat { strips } => strips
                .iter()
                .flat_map(|s| &s.points)
                .all(|(_, z)| z.is_finite()),
            Self::Cells { cells } => cells.iter().all(|cell| cell.value.is_finite()),
            Self::Upright { at, .. } | Self::Level { at } => at.is_finite(),
            _ => true,
        };
        own && self
            .points()
            .iter()
            .all(|(x, y)| x.is_finite() && y.is_finite())
    }
}

/// A panel, for a list of what was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelLine {
    /// Its title.
    pub title: String,
    /// What is in it.
    pub series: Vec<SeriesLine>,
}

/// A series, for a list of what was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesLine {
    /// Its name in the legend.
    pub name: String,
    /// How many points, bars or cells it has.
    pub points: usize,
}

impl Sheet {
    /// Gives everything its place.
    ///
    /// # Errors
    /// [`PlotError::NotFinite`] for a number without a place, [`PlotError::Empty`] if no panel has a series.
    pub fn draw(&self) -> Result<Drawing, PlotError> {
        let mut series = 0;
        for panel in &self.panels {
            for layer in &panel.layers {
                if !layer.mark.is_finite() {
                    return Err(PlotError::NotFinite {
                        panel: panel.title.clone(),
                        series: layer.name.clone(),
                    });
                }
                series += usize::from(layer.count().is_some_and(|count| count > 0));
            }
        }
        match series {
            0 => Err(PlotError::Empty {
                what: "no series has a value".to_owned(),
            }),
            _ => Ok(layout::drawing(self)),
        }
    }

    /// What is drawn, panel by panel.
    #[must_use]
    pub fn series(&self) -> Vec<PanelLine> {
        let series = |panel: &Panel| {
            let counted = panel.layers.iter().filter_map(|layer| {
                let points = layer.count()?;
                let name = layer.name.clone();
                Some(SeriesLine { name, points })
            });
            counted.collect()
        };
        let lines = self.panels.iter().map(|panel| PanelLine {
            title: panel.title.clone(),
            series: series(panel),
        });
        lines.collect()
    }
}
