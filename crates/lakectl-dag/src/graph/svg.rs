//! The graph as a picture.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Pipeline;
use super::layout::layout;
use crate::StageDecl;

/// Height of a row, of a box in it, and room around, in pixels.
const ROW: f64 = 30.0;
const BOX: f64 = 22.0;
const MARGIN: f64 = 20.0;
/// Between two layers, for the edges.
const GAP: f64 = 90.0;
/// Width of a character of the labels, and room beside them.
const CHARACTER: f64 = 6.7;
const PADDING: f64 = 16.0;
/// Height of the line of schemas.
const LEGEND: f64 = 34.0;
/// Fills of the schemas in the order of the graph, light enough for black text.
const FILLS: [&str; 12] = [
    "#e3e7ee", "#d5e3f5", "#d3efe3", "#fdeccb", "#f9d9d4", "#e6daf3", "#d8f0f5", "#f3e3d3",
    "#e9f2cf", "#f6d7e8", "#dfe3d6", "#d9d9f7",
];

/// Returns the graph as a drawing in SVG: one box a stage, coloured by schema, what it reads to its left.
pub fn render_svg(pipeline: &Pipeline) -> String {
    let stages = pipeline.stages();
    let edges: Vec<(usize, usize)> = pipeline.edges().into_iter().collect();
    let found = layout(stages.len(), &edges);
    let mut widths = vec![0.0_f64; found.layers];
    for (stage, (layer, _)) in stages.iter().zip(&found.nodes) {
        widths[*layer] = widths[*layer].max(width(stage));
    }
    let mut lefts = Vec::with_capacity(widths.len());
    let mut right = MARGIN;
    for width in &widths {
        lefts.push(right);
        right += width + GAP;
    }
    let y = |row: f64| LEGEND + MARGIN + row * ROW;
    let rows = found.nodes.iter().map(|(_, row)| *row).fold(0.0, f64::max) + 0.5;
    let fills = fills(stages.iter().map(|stage| stage.table.schema()));
    let whole = (
        legend_width(&fills).max(right - GAP + MARGIN),
        y(rows) + MARGIN,
    );
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0}\" height=\"{1:.0}\" viewBox=\"0 0 {0:.0} {1:.0}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        whole.0, whole.1
    );
    legend(&mut text, &fills);
    text.push_str(
        "<g fill=\"none\" stroke=\"#8a94a6\" stroke-width=\"1\" stroke-opacity=\"0.75\">\n",
    );
    for (way, (from, to)) in found.ways.iter().zip(&edges) {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (i, (layer, row)) in way.iter().enumerate() {
            // An edge leaves its box on the right, crosses whole layers, and ends on the left of the other box.
            if i > 0 {
                points.push((lefts[*layer], y(*row)));
            }
            if i + 1 < way.len() {
                let stage = (i == 0).then(|| width(&stages[*from]));
                points.push((lefts[*layer] + stage.unwrap_or(widths[*layer]), y(*row)));
            }
        }
        let _ = writeln!(
            text,
            "<path d=\"{}\"><title>{} reads {}</title></path>",
            curve(&points),
            stages[*to].table,
            stages[*from].table
        );
    }
    text.push_str("</g>\n");
    for (stage, (layer, row)) in stages.iter().zip(&found.nodes) {
        let fill = fills
            .iter()
            .find(|(schema, _)| *schema == stage.table.schema());
        boxed(
            &mut text,
            stage,
            lefts[*layer],
            y(*row),
            fill.map_or("#ffffff", |(_, fill)| fill),
        );
    }
    text.push_str("</svg>\n");
    text
}

fn width(stage: &StageDecl) -> f64 {
    stage.table.as_str().chars().count() as f64 * CHARACTER + PADDING
}

/// A line through the points: level at each of them, so that edges flow.
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let mut last: Option<(f64, f64)> = None;
    for (x, y) in points {
        let _ = match last {
            None => write!(path, "M{x:.1},{y:.1}"),
            Some((_, before)) if (before - y).abs() < 0.05 => write!(path, " L{x:.1},{y:.1}"),
            Some((left, before)) => {
                let middle = (left + x) / 2.0;
                write!(
                    path,
                    " C{middle:.1},{before:.1} {middle:.1},{y:.1} {x:.1},{y:.1}"
                )
            }
        };
        last = Some((*x, *y));
    }
    path
}

fn boxed(text: &mut String, stage: &StageDecl, left: f64, middle: f64, fill: &str) {
    let also: Vec<String> = stage
        .also
        .iter()
        .map(|table| format!(" and {table}"))
        .collect();
    let _ = writeln!(
        text,
        "<g><title>{}{} ({}): {}</title><rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BOX}\" rx=\"4\" \
         fill=\"{fill}\" stroke=\"#5b6675\" stroke-width=\"0.8\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
        escaped(stage.table.as_str()),
        escaped(&also.concat()),
        stage.kind.word(),
        escaped(&stage.description),
        middle - BOX / 2.0,
        width(stage),
        left + PADDING / 2.0,
        middle + 4.0,
        escaped(stage.table.as_str())
    );
}

/// Each schema with its fill, in the order of the graph.
fn fills<'a>(schemas: impl Iterator<Item = &'a str>) -> Vec<(&'a str, &'static str)> {
    let mut found: Vec<(&str, &'static str)> = Vec::new();
    let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
    for schema in schemas {
        if seen.insert(schema, ()).is_none() {
            found.push((schema, FILLS[found.len() % FILLS.len()]));
        }
    }
    found
}

fn legend_entry(schema: &str) -> f64 {
    schema.chars().count() as f64 * CHARACTER + 34.0
}

fn legend_width(fills: &[(&str, &str)]) -> f64 {
    fills
        .iter()
        .map(|(schema, _)| legend_entry(schema))
        .sum::<f64>()
        + 2.0 * MARGIN
}

fn legend(text: &mut String, fills: &[(&str, &str)]) {
    let mut left = MARGIN;
    for (schema, fill) in fills {
        let _ = writeln!(
            text,
            "<rect x=\"{left:.1}\" y=\"{MARGIN}\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{fill}\" stroke=\"#5b6675\" \
             stroke-width=\"0.8\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left + 19.0,
            MARGIN + 11.0,
            escaped(schema)
        );
        left += legend_entry(schema);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
