//! One panel on its place: grid, axes, layers.

use crate::canvas::{Anchor, Color, Fill, Group, Point, Rect, Shape, Stroke, Text};
use crate::palette::{self, GREY, INK, PALE, WHITE};
use crate::scale::{FIGURES, Ruler};
use crate::sheet::{ColorBar, Layer, Mark, Panel, Strip};

/// Steps of colour in a heat map: as many as an eye tells apart, so that their edges read as contours.
const HEAT_STEPS: usize = 24;
/// The size of the names of axes, in pixels.
pub(crate) const NAMES: f64 = 11.5;
/// The size of words beside lines, in pixels.
const WORDS: f64 = 10.0;

/// The two axes of a panel, settled.
pub(crate) struct Rulers {
    pub(crate) x: Ruler,
    pub(crate) y: Ruler,
}

impl Rulers {
    /// Settles the axes of a panel over an area.
    pub(crate) fn new(panel: &Panel, area: &Rect) -> Self {
        let points: Vec<Point> = panel
            .layers
            .iter()
            .flat_map(|layer| layer.mark.points())
            .collect();
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(None, |ends: Option<(f64, f64)>, value| {
                let (low, high) = ends.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            })
        };
        let x = ends(&mut points.iter().map(|point| point.0));
        let x = Ruler::new(&panel.x, x, area.left, area.right());
        // What lies outside of the one axis does not stretch the other.
        let seen = |point: &&Point| point.0 >= x.low && point.0 <= x.high;
        let y = ends(&mut points.iter().filter(seen).map(|point| point.1));
        let y = Ruler::new(&panel.y, y, area.bottom(), area.top);
        Self { x, y }
    }

    fn place(&self, (x, y): Point) -> Point {
        (self.x.place(x), self.y.place(y))
    }
}

/// Which names of axes a panel writes; neighbours share them.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) x: bool,
    pub(crate) y: bool,
}

/// Draws a panel whose area between the axes is given. `gutter` is the room to the left for figures and name.
pub(crate) fn draw(
    panel: &Panel,
    area: &Rect,
    gutter: f64,
    named: Named,
    bar: Option<&ColorBar>,
) -> Group {
    let rulers = Rulers::new(panel, area);
    let mut group = Group::new("panel", panel.title.clone());
    axes(&mut group, panel, &rulers, area, named, gutter);
    let mut inside = Group::new("data", panel.title.clone());
    inside.clip = Some(*area);
    for layer in &panel.layers {
        let class = match layer.count() {
            Some(_) => "series",
            None => "guide",
        };
        let mut series = Group::new(class, layer.name.clone());
        series.shapes = shapes(layer, &rulers, area, bar);
        inside.shapes.push(Shape::Group(series));
    }
    group.shapes.push(Shape::Group(inside));
    frame(&mut group, area);
    group
}

fn axes(group: &mut Group, panel: &Panel, rulers: &Rulers, area: &Rect, named: Named, gutter: f64) {
    let mut axes = Group::new("axes", "");
    let grid = Stroke::solid(PALE, 0.8);
    let tick = Stroke::solid(GREY, 0.8);
    for (value, figure) in rulers.x.ticks(&panel.x.ticks, true) {
        let (x, bottom) = (rulers.x.place(value), area.bottom());
        axes.shapes
            .push(Shape::line((x, area.top), (x, bottom), grid));
        axes.shapes
            .push(Shape::line((x, bottom), (x, bottom + 4.0), tick));
        let text = Text::new(figure, (x, bottom + 16.0), FIGURES, INK).anchored(Anchor::Middle);
        axes.shapes.push(Shape::Text(text));
    }
    for (value, figure) in rulers.y.ticks(&panel.y.ticks, false) {
        let (y, left) = (rulers.y.place(value), area.left);
        axes.shapes
            .push(Shape::line((left, y), (area.right(), y), grid));
        axes.shapes
            .push(Shape::line((left - 4.0, y), (left, y), tick));
        let text = Text::new(figure, (left - 7.0, y + 3.8), FIGURES, INK).anchored(Anchor::End);
        axes.shapes.push(Shape::Text(text));
    }
    let (middle, centre) = (area.left + area.width / 2.0, area.top + area.height / 2.0);
    if named.x {
        let name = Text::new(
            panel.x.label.clone(),
            (middle, area.bottom() + 34.0),
            NAMES,
            INK,
        );
        axes.shapes.push(Shape::Text(name.anchored(Anchor::Middle)));
    }
    if named.y {
        let place = (area.left - gutter + NAMES, centre);
        let name = Text::new(panel.y.label.clone(), place, NAMES, INK);
        axes.shapes
            .push(Shape::Text(name.anchored(Anchor::Middle).upwards()));
    }
    if let Some((name, ticks)) = &panel.top {
        let ticks = rulers
            .x
            .ticks(&crate::scale::Ticks::At(ticks.clone()), true);
        for (value, figure) in ticks {
            let x = rulers.x.place(value);
            axes.shapes
                .push(Shape::line((x, area.top - 4.0), (x, area.top), tick));
            let text = Text::new(figure, (x, area.top - 7.0), FIGURES, GREY);
            axes.shapes.push(Shape::Text(text.anchored(Anchor::Middle)));
        }
        let name = Text::new(name.clone(), (middle, area.top - 23.0), FIGURES, GREY);
        axes.shapes.push(Shape::Text(name.anchored(Anchor::Middle)));
    }
    group.shapes.push(Shape::Group(axes));
}

/// The left and the lower side, over what is drawn.
fn frame(group: &mut Group, area: &Rect) {
    let side = Stroke::solid(GREY, 1.0);
    let corner = (area.left, area.bottom());
    group
        .shapes
        .push(Shape::line((area.left, area.top), corner, side));
    group
        .shapes
        .push(Shape::line(corner, (area.right(), area.bottom()), side));
}

fn shapes(layer: &Layer, rulers: &Rulers, area: &Rect, bar: Option<&ColorBar>) -> Vec<Shape> {
    let color = layer.color;
    let faint = Fill {
        color,
        opacity: 0.18,
    };
    match &layer.mark {
        Mark::Line { runs, width, dash } => {
            let placed = |run: &Vec<Point>| run.iter().map(|point| rulers.place(*point)).collect();
            let dash = *dash;
            vec![Shape::Lines {
                lines: runs.iter().map(placed).collect(),
                closed: false,
                fill: None,
                stroke: Some(Stroke {
                    dash,
                    ..Stroke::solid(color, *width)
                }),
            }]
        }
        Mark::Dots {
            points,
            radius,
            open,
        } => vec![dots(points, rulers, color, *radius, *open)],
        Mark::Bars { spans } => {
            let ends = |(x, low, high): &(f64, f64, f64)| {
                vec![rulers.place((*x, *low)), rulers.place((*x, *high))]
            };
            let opacity = 0.55;
            vec![Shape::Lines {
                lines: spans.iter().map(ends).collect(),
                closed: false,
                fill: None,
                stroke: Some(Stroke {
                    opacity,
                    ..Stroke::solid(color, 2.2)
                }),
            }]
        }
        Mark::Band { spans } => {
            let lower = spans.iter().map(|(x, low, _)| rulers.place((*x, *low)));
            let upper = spans
                .iter()
                .rev()
                .map(|(x, _, high)| rulers.place((*x, *high)));
            vec![filled(vec![lower.chain(upper).collect()], faint)]
        }
        Mark::Columns { columns } => {
            let corners = |(from, to, y): &(f64, f64, f64)| {
                [(*from, 0.0), (*to, 0.0), (*to, *y), (*from, *y)]
                    .map(|point| rulers.place(point))
                    .to_vec()
            };
            let opacity = 0.75;
            vec![filled(
                columns.iter().map(corners).collect(),
                Fill { color, opacity },
            )]
        }
        Mark::Heat { strips } => strips
            .iter()
            .flat_map(|strip| heat(strip, rulers, bar))
            .collect(),
        Mark::Cells { cells } => cells
            .iter()
            .flat_map(|cell| {
                let (from, to) = (
                    (cell.column - 0.5, cell.row + 0.5),
                    (cell.column + 0.5, cell.row - 0.5),
                );
                let (from, to) = (rulers.place(from), rulers.place(to));
                let fill = Fill::solid(color_of(cell.value, bar));
                let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0 + 4.0);
                let figure = Text::new(cell.figure.clone(), middle, 11.0, palette::on(fill.color));
                [
                    Shape::Box {
                        rect: inset(between(from, to)),
                        fill,
                    },
                    Shape::Text(figure.anchored(Anchor::Middle)),
                ]
            })
            .collect(),
        Mark::Upright { at, words, left } => upright((*at, words, *left), color, rulers, area),
        Mark::Level { at } => {
            let y = rulers.y.place(*at);
            vec![Shape::line(
                (area.left, y),
                (area.right(), y),
                Stroke::solid(color, 1.0),
            )]
        }
    }
}

fn dots(points: &[Point], rulers: &Rulers, color: Color, radius: f64, open: bool) -> Shape {
    Shape::Circles {
        centres: points.iter().map(|point| rulers.place(*point)).collect(),
        radius,
        fill: Some(Fill::solid(if open { WHITE } else { color })),
        stroke: open.then(|| Stroke::solid(color, 1.3)),
    }
}

fn filled(lines: Vec<Vec<Point>>, fill: Fill) -> Shape {
    Shape::Lines {
        lines,
        closed: true,
        fill: Some(fill),
        stroke: None,
    }
}

fn between(a: Point, b: Point) -> Rect {
    Rect {
        left: a.0.min(b.0),
        top: a.1.min(b.1),
        width: (a.0 - b.0).abs(),
        height: (a.1 - b.1).abs(),
    }
}

/// An upright line, its words on the wanted side unless they would leave the area.
fn upright(
    (at, words, left): (f64, &str, bool),
    color: Color,
    rulers: &Rulers,
    area: &Rect,
) -> Vec<Shape> {
    let x = rulers.x.place(at);
    let dash = Some((3.0, 3.0));
    let stroke = Stroke {
        dash,
        ..Stroke::solid(color, 1.3)
    };
    let mut shapes = vec![Shape::line((x, area.top), (x, area.bottom()), stroke)];
    // Words one below the other begin with empty lines.
    for (i, words) in words
        .lines()
        .enumerate()
        .filter(|(_, words)| !words.is_empty())
    {
        let text = Text::new(words, (x, area.top + 12.0 + 14.0 * i as f64), WORDS, color);
        let width = text.width();
        let fits = match left {
            true => x - 5.0 - width >= area.left,
            false => x + 5.0 + width <= area.right(),
        };
        let start = match left == fits {
            true => x - 5.0 - width,
            false => x + 5.0,
        };
        // Paper behind the words keeps lines out of them.
        shapes.push(Shape::Box {
            rect: Rect {
                left: start - 2.0,
                top: text.at.1 - WORDS,
                width: width + 4.0,
                height: WORDS + 3.0,
            },
            fill: Fill {
                color: WHITE,
                opacity: 0.8,
            },
        });
        shapes.push(Shape::Text(Text {
            at: (start, text.at.1),
            ..text
        }));
    }
    shapes
}

/// A box without its rim, so that neighbours of one colour stay apart.
fn inset(rect: Rect) -> Rect {
    Rect {
        left: rect.left + 1.0,
        top: rect.top + 1.0,
        width: (rect.width - 2.0).max(0.0),
        height: (rect.height - 2.0).max(0.0),
    }
}

/// Moves the upper and the lower side to whole pixels, so that no seam shows between boxes one above the other.
fn whole_rows(rect: Rect) -> Rect {
    let (top, bottom) = (rect.top.round(), rect.bottom().round());
    Rect {
        top,
        height: bottom - top,
        ..rect
    }
}

fn level(value: f64, bar: Option<&ColorBar>) -> usize {
    let (low, high) = bar.map_or((0.0, 1.0), |bar| (bar.low, bar.high));
    let share = (value - low) / (high - low);
    ((share * HEAT_STEPS as f64).floor().max(0.0) as usize).min(HEAT_STEPS - 1)
}

fn color_of(value: f64, bar: Option<&ColorBar>) -> Color {
    palette::heat((level(value, bar) as f64 + 0.5) / HEAT_STEPS as f64)
}

/// A strip as boxes that each reach to its end, so that no seam shows between one and the next.
fn heat(strip: &Strip, rulers: &Rulers, bar: Option<&ColorBar>) -> Vec<Shape> {
    let Some((end, _)) = strip.points.last() else {
        return Vec::new();
    };
    let mut boxes = Vec::new();
    let mut add = |from: f64, color: Color| {
        let corners = (
            rulers.place((from, strip.high)),
            rulers.place((*end, strip.low)),
        );
        let (rect, fill) = (
            whole_rows(between(corners.0, corners.1)),
            Fill::solid(color),
        );
        boxes.push(Shape::Box { rect, fill });
    };
    let mut last = None;
    for pair in strip.points.windows(2) {
        let ((x0, z0), (x1, z1)) = (pair[0], pair[1]);
        for (share, step) in crossings(z0, z1, bar) {
            if last != Some(step) {
                add(
                    x0 + (x1 - x0) * share,
                    palette::heat((step as f64 + 0.5) / HEAT_STEPS as f64),
                );
                last = Some(step);
            }
        }
    }
    boxes
}

/// The steps of colour from one value to the next, each with the share of the way where it begins.
fn crossings(from: f64, to: f64, bar: Option<&ColorBar>) -> Vec<(f64, usize)> {
    let (low, high) = bar.map_or((0.0, 1.0), |bar| (bar.low, bar.high));
    let (first, last) = (level(from, bar), level(to, bar));
    let edge = |step: usize| low + (high - low) * step as f64 / HEAT_STEPS as f64;
    let share = |edge: f64| ((edge - from) / (to - from)).clamp(0.0, 1.0);
    let mut steps = vec![(0.0, first)];
    match first <= last {
        true => steps.extend((first + 1..=last).map(|step| (share(edge(step)), step))),
        false => steps.extend(
            (last..first)
                .rev()
                .map(|step| (share(edge(step + 1)), step)),
        ),
    }
    steps
}

/// The scale of colours beside the panels.
pub(crate) fn color_bar(bar: &ColorBar, area: &Rect) -> Group {
    let mut group = Group::new("colors", bar.axis.label.clone());
    let axis = bar.axis.clone().between(bar.low, bar.high);
    let ruler = Ruler::new(&axis, None, area.bottom(), area.top);
    let height = area.height / HEAT_STEPS as f64;
    for step in 0..HEAT_STEPS {
        let top = area.bottom() - height * (step + 1) as f64;
        let rect = Rect {
            left: area.left,
            top,
            width: area.width,
            height,
        };
        let rect = whole_rows(rect);
        let color = palette::heat((step as f64 + 0.5) / HEAT_STEPS as f64);
        group.shapes.push(Shape::Box {
            rect,
            fill: Fill::solid(color),
        });
    }
    for (value, figure) in ruler.ticks(&axis.ticks, false) {
        let (x, y) = (area.right(), ruler.place(value));
        group
            .shapes
            .push(Shape::line((x, y), (x + 4.0, y), Stroke::solid(GREY, 0.8)));
        group.shapes.push(Shape::Text(Text::new(
            figure,
            (x + 7.0, y + 3.8),
            FIGURES,
            INK,
        )));
    }
    let centre = (area.right() + 48.0, area.top + area.height / 2.0);
    let name = Text::new(axis.label, centre, NAMES, INK);
    group
        .shapes
        .push(Shape::Text(name.anchored(Anchor::Middle).upwards()));
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::Axis;

    #[test]
    fn colours_change_where_the_value_does() {
        let bar = ColorBar {
            axis: Axis::new("z"),
            low: 0.0,
            high: 24.0,
        };
        let up = crossings(0.5, 2.5, Some(&bar));
        assert_eq!(up, [(0.0, 0), (0.25, 1), (0.75, 2)]);
        let down = crossings(2.5, 0.5, Some(&bar));
        assert_eq!(down, [(0.0, 2), (0.25, 1), (0.75, 0)]);
        assert_eq!(crossings(7.2, 7.2, Some(&bar)), [(0.0, 7)]);
        assert_eq!(level(-5.0, Some(&bar)), 0);
        assert_eq!(level(99.0, Some(&bar)), HEAT_STEPS - 1);
    }
}
