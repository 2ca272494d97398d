//! A sheet on its page: title, legend, rows of panels, footnote.

use crate::canvas::{Anchor, Color, Drawing, Fill, Group, Rect, Shape, Stroke, Text};
use crate::chart::{self, Named, Rulers};
use crate::font::{self, Face};
use crate::palette::{GREY, INK, WHITE};
use crate::scale::FIGURES;
use crate::sheet::{ColorBar, Layer, Mark, Panel, Sheet};

/// Room at the sides of the page.
const MARGIN: f64 = 24.0;
/// Room between panels side by side.
const BETWEEN: f64 = 22.0;
/// Room for a scale of colours.
const COLORS: f64 = 84.0;
const TITLE: f64 = 18.0;
const SUBTITLE: f64 = 12.0;
const LEGEND: f64 = 11.0;
const PANEL_TITLE: f64 = 12.0;
const REMARK: f64 = 10.0;
const FOOTNOTE: f64 = 9.5;

/// Gives every part of a sheet its place.
pub(crate) fn drawing(sheet: &Sheet) -> Drawing {
    let mut shapes = Vec::new();
    let mut top = head(sheet, &mut shapes);
    top = legend(sheet, top, &mut shapes);
    let grid = Grid::new(sheet);
    for row in sheet.panels.chunks(sheet.columns.max(1)).enumerate() {
        top = grid.row(sheet, row, top, &mut shapes);
    }
    let bottom = foot(sheet, top + 14.0, &mut shapes);
    let height = (bottom + 10.0).ceil();
    let page = Rect {
        left: 0.0,
        top: 0.0,
        width: sheet.width,
        height,
    };
    shapes.insert(
        0,
        Shape::Box {
            rect: page,
            fill: Fill::solid(WHITE),
        },
    );
    Drawing {
        width: sheet.width,
        height,
        title: sheet.title.clone(),
        description: format!("{} {}", sheet.subtitle, sheet.footnote),
        shapes,
    }
}

fn head(sheet: &Sheet, shapes: &mut Vec<Shape>) -> f64 {
    let title = Text::new(sheet.title.clone(), (MARGIN, 34.0), TITLE, INK).bold();
    shapes.push(Shape::Text(title));
    let mut base = 34.0;
    for line in wrapped(&sheet.subtitle, SUBTITLE, sheet.width - 2.0 * MARGIN) {
        base += 18.0;
        shapes.push(Shape::Text(Text::new(line, (MARGIN, base), SUBTITLE, GREY)));
    }
    base
}

fn foot(sheet: &Sheet, top: f64, shapes: &mut Vec<Shape>) -> f64 {
    let rule = ((MARGIN, top), (sheet.width - MARGIN, top));
    shapes.push(Shape::line(rule.0, rule.1, Stroke::solid(GREY, 0.5)));
    let mut base = top + 1.0;
    for line in wrapped(&sheet.footnote, FOOTNOTE, sheet.width - 2.0 * MARGIN) {
        base += 14.0;
        shapes.push(Shape::Text(Text::new(line, (MARGIN, base), FOOTNOTE, GREY)));
    }
    base
}

/// Breaks a text at spaces into lines that fit.
fn wrapped(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if font::width(Face::Regular, &longer, size) <= width {
                *line = longer;
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

/// Every named series once, in rows under the title.
fn legend(sheet: &Sheet, base: f64, shapes: &mut Vec<Shape>) -> f64 {
    let mut keys: Vec<&Layer> = Vec::new();
    for layer in sheet.panels.iter().flat_map(|panel| &panel.layers) {
        let drawn = layer.count().is_some_and(|count| count > 0);
        let colored = matches!(layer.mark, Mark::Heat { .. } | Mark::Cells { .. });
        let known = |key: &&Layer| key.name == layer.name;
        if drawn && !colored && !keys.iter().any(known) {
            keys.push(layer);
        }
    }
    // One series is named by the axis.
    if keys.len() < 2 || !sheet.legend {
        return base;
    }
    let mut group = Group::new("legend", "");
    let (mut left, mut line) = (MARGIN, base + 24.0);
    for key in keys {
        let width = 30.0 + font::width(Face::Regular, &key.name, LEGEND);
        if left > MARGIN && left + width > sheet.width - MARGIN {
            (left, line) = (MARGIN, line + 18.0);
        }
        group.shapes.extend(sample(key, left, line - 4.0));
        let text = Text::new(key.name.clone(), (left + 30.0, line), LEGEND, INK);
        group.shapes.push(Shape::Text(text));
        left += width + 22.0;
    }
    shapes.push(Shape::Group(group));
    line
}

/// What a series looks like, 24 pixels wide.
fn sample(key: &Layer, left: f64, middle: f64) -> Vec<Shape> {
    let color = key.color;
    let block = |opacity: f64| Shape::Box {
        rect: Rect {
            left,
            top: middle - 5.0,
            width: 24.0,
            height: 10.0,
        },
        fill: Fill { color, opacity },
    };
    match &key.mark {
        Mark::Line { width, dash, .. } => {
            let stroke = Stroke {
                dash: *dash,
                ..Stroke::solid(color, *width)
            };
            vec![Shape::line((left, middle), (left + 24.0, middle), stroke)]
        }
        Mark::Dots { radius, open, .. } => vec![Shape::Circles {
            centres: vec![(left + 12.0, middle)],
            radius: *radius,
            fill: Some(Fill::solid(if *open { WHITE } else { color })),
            stroke: open.then(|| Stroke::solid(color, 1.3)),
        }],
        Mark::Bars { .. } => vec![upright_sample(color, left + 12.0, middle)],
        Mark::Band { .. } => vec![block(0.18)],
        _ => vec![block(0.75)],
    }
}

fn upright_sample(color: Color, x: f64, middle: f64) -> Shape {
    let stroke = Stroke {
        opacity: 0.55,
        ..Stroke::solid(color, 2.2)
    };
    Shape::line((x, middle - 6.0), (x, middle + 6.0), stroke)
}

/// The columns of a sheet.
struct Grid {
    /// The left side of each column's area, the room before it, and the width of all areas.
    columns: Vec<(f64, f64)>,
    width: f64,
}

impl Grid {
    fn new(sheet: &Sheet) -> Self {
        let count = sheet.columns.max(1).min(sheet.panels.len().max(1));
        let gutters: Vec<f64> = (0..count)
            .map(|column| {
                let panels = sheet
                    .panels
                    .iter()
                    .skip(column)
                    .step_by(sheet.columns.max(1));
                let figures = panels.map(figures_width).fold(0.0, f64::max);
                let named = (0..sheet.panels.len())
                    .any(|i| i % sheet.columns.max(1) == column && named(sheet, i).y);
                figures + 10.0 + if named { 22.0 } else { 0.0 }
            })
            .collect();
        let right = sheet.color_bar.as_ref().map_or(12.0, |_| COLORS);
        let gaps = BETWEEN * (count - 1) as f64 + gutters.iter().sum::<f64>();
        let width = (sheet.width - 2.0 * MARGIN - right - gaps) / count as f64;
        let mut left = MARGIN;
        let columns = gutters.iter().map(|gutter| {
            let place = left + gutter;
            left = place + width + BETWEEN;
            (place, *gutter)
        });
        Self {
            columns: columns.collect(),
            width,
        }
    }

    /// Draws a row below `top` and returns where it ends.
    fn row(
        &self,
        sheet: &Sheet,
        (row, panels): (usize, &[Panel]),
        top: f64,
        shapes: &mut Vec<Shape>,
    ) -> f64 {
        let most = |of: &dyn Fn(&Panel) -> f64| panels.iter().map(of).fold(0.0, f64::max);
        let head = most(&|panel| header_height(panel));
        let height = most(&|panel| panel.height);
        let area_top = top + 14.0 + head;
        let mut deepest: f64 = 0.0;
        for (column, panel) in panels.iter().enumerate() {
            let (left, gutter) = self.columns[column];
            let area = Rect {
                left,
                top: area_top,
                width: self.width,
                height: panel.height,
            };
            let named = named(sheet, row * sheet.columns.max(1) + column);
            header(panel, &area, shapes);
            let drawn = chart::draw(panel, &area, gutter, named, sheet.color_bar.as_ref());
            shapes.push(Shape::Group(drawn));
            deepest = deepest.max(if named.x && !panel.x.label.is_empty() {
                40.0
            } else {
                22.0
            });
        }
        if let (0, Some(bar)) = (row, &sheet.color_bar) {
            shapes.push(Shape::Group(self.bar(sheet, bar, area_top, height)));
        }
        area_top + height + deepest
    }

    fn bar(&self, sheet: &Sheet, bar: &ColorBar, top: f64, height: f64) -> Group {
        let area = Rect {
            left: sheet.width - MARGIN - COLORS + 18.0,
            top,
            width: 14.0,
            height,
        };
        chart::color_bar(bar, &area)
    }
}

fn header_height(panel: &Panel) -> f64 {
    let title = if panel.title.is_empty() { 0.0 } else { 18.0 };
    let top = if panel.top.is_some() { 36.0 } else { 6.0 };
    title + 14.0 * panel.remarks.len() as f64 + top
}

fn header(panel: &Panel, area: &Rect, shapes: &mut Vec<Shape>) {
    let left = area.left;
    let mut base = area.top - header_height(panel) + 12.0;
    if !panel.title.is_empty() {
        let title = Text::new(panel.title.clone(), (left, base), PANEL_TITLE, INK).bold();
        shapes.push(Shape::Text(title.anchored(Anchor::Start)));
        base += 15.0;
    }
    for remark in &panel.remarks {
        shapes.push(Shape::Text(Text::new(
            remark.clone(),
            (left, base),
            REMARK,
            GREY,
        )));
        base += 14.0;
    }
}

/// The room for the figures of the upright axis.
fn figures_width(panel: &Panel) -> f64 {
    // The width of the area changes no upright figure.
    let area = Rect {
        left: 0.0,
        top: 0.0,
        width: 300.0,
        height: panel.height,
    };
    let ticks = Rulers::new(panel, &area).y.ticks(&panel.y.ticks, false);
    let widths = ticks
        .iter()
        .map(|(_, figure)| font::width(Face::Regular, figure, FIGURES));
    widths.fold(0.0, f64::max)
}

/// A panel writes the name of an axis unless a neighbour on that side wrote the same.
fn named(sheet: &Sheet, index: usize) -> Named {
    let columns = sheet.columns.max(1);
    let panel = &sheet.panels[index];
    let before = (!index.is_multiple_of(columns)).then(|| &sheet.panels[index - 1]);
    let below = sheet.panels.get(index + columns);
    Named {
        x: below.is_none_or(|below| below.x.label != panel.x.label),
        y: before.is_none_or(|before| before.y.label != panel.y.label),
    }
}
