//! What a drawing is made of: shapes at places in pixels, from the upper left corner.

use crate::font::{self, Face};

/// A place: to the right, and down.
pub type Point = (f64, f64);

/// A colour of the screen: red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Color(pub u8, pub u8, pub u8);

/// A box with its sides along the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// The left side.
    pub left: f64,
    /// The upper side.
    pub top: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

impl Rect {
    /// The right side.
    #[must_use]
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// The lower side.
    #[must_use]
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// How the inside of a shape is painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    /// The colour.
    pub color: Color,
    /// From 0, not to be seen, to 1.
    pub opacity: f64,
}

impl Fill {
    /// Paints over what is below.
    #[must_use]
    pub const fn solid(color: Color) -> Self {
        Self {
            color,
            opacity: 1.0,
        }
    }
}

/// How a line is painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// The colour.
    pub color: Color,
    /// The width in pixels.
    pub width: f64,
    /// From 0, not to be seen, to 1.
    pub opacity: f64,
    /// Lengths of a dash and of the gap after it; none is a line without gaps.
    pub dash: Option<(f64, f64)>,
}

impl Stroke {
    /// A line without gaps that covers what is below.
    #[must_use]
    pub const fn solid(color: Color, width: f64) -> Self {
        Self {
            color,
            width,
            opacity: 1.0,
            dash: None,
        }
    }
}

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// One line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The words.
    pub words: String,
    /// Where the anchor stands, on the base line.
    pub at: Point,
    /// The size of the letters in pixels.
    pub size: f64,
    /// The face.
    pub face: Face,
    /// The colour.
    pub color: Color,
    /// What stands at the place.
    pub anchor: Anchor,
    /// Whether it is written upwards.
    pub upwards: bool,
}

impl Text {
    /// Plain words that begin at a place.
    #[must_use]
    pub fn new(words: impl Into<String>, at: Point, size: f64, color: Color) -> Self {
        Self {
            words: words.into(),
            at,
            size,
            face: Face::Regular,
            color,
            anchor: Anchor::Start,
            upwards: false,
        }
    }

    /// Puts another part of the text at its place.
    #[must_use]
    pub fn anchored(mut self, anchor: Anchor) -> Self {
        self.anchor = anchor;
        self
    }

    /// Takes the bold face.
    #[must_use]
    pub fn bold(mut self) -> Self {
        self.face = Face::Bold;
        self
    }

    /// Writes upwards.
    #[must_use]
    pub fn upwards(mut self) -> Self {
        self.upwards = true;
        self
    }

    /// Its length in pixels.
    #[must_use]
    pub fn width(&self) -> f64 {
        font::width(self.face, &self.words, self.size)
    }
}

/// Shapes that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What kind of thing it is, for programs that read the picture: `panel`, `series`, `axis`, ...
    pub class: &'static str,
    /// Its name.
    pub name: String,
    /// Nothing is painted outside of it.
    pub clip: Option<Rect>,
    /// What is in it, the lowest first.
    pub shapes: Vec<Shape>,
}

impl Group {
    /// A group without bounds.
    #[must_use]
    pub fn new(class: &'static str, name: impl Into<String>) -> Self {
        Self {
            class,
            name: name.into(),
            clip: None,
            shapes: Vec::new(),
        }
    }
}

/// Something to paint.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Lines through points, painted as one.
    Lines {
        /// The points of each.
        lines: Vec<Vec<Point>>,
        /// Whether each ends where it began.
        closed: bool,
        /// The inside.
        fill: Option<Fill>,
        /// The line.
        stroke: Option<Stroke>,
    },
    /// Circles of one size.
    Circles {
        /// Their centres.
        centres: Vec<Point>,
        /// Their radius.
        radius: f64,
        /// The inside.
        fill: Option<Fill>,
        /// The line around.
        stroke: Option<Stroke>,
    },
    /// A box.
    Box {
        /// Where.
        rect: Rect,
        /// The inside.
        fill: Fill,
    },
    /// Words.
    Text(Text),
    /// Shapes that belong together.
    Group(Group),
}

impl Shape {
    /// One straight line.
    #[must_use]
    pub fn line(from: Point, to: Point, stroke: Stroke) -> Self {
        Self::Lines {
            lines: vec![vec![from, to]],
            closed: false,
            fill: None,
            stroke: Some(stroke),
        }
    }
}

/// A finished drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Its width in pixels.
    pub width: f64,
    /// Its height in pixels.
    pub height: f64,
    /// What it shows, in a few words.
    pub title: String,
    /// What it shows, in a sentence.
    pub description: String,
    /// What is on it, the lowest first.
    pub shapes: Vec<Shape>,
}
