//! Drawings as SVG: text stays text, and every series is a group with its name.

use std::fmt::Write as _;

use crate::canvas::{Anchor, Color, Drawing, Fill, Group, Point, Rect, Shape, Stroke, Text};
use crate::font::{FAMILIES, Face};

/// Writes a drawing. Equal drawings are equal bytes.
pub(crate) fn write(drawing: &Drawing) -> String {
    let mut writer = Writer::default();
    let (width, height) = (number(drawing.width), number(drawing.height));
    writer.line(&format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" font-family="{FAMILIES}">"#
    ));
    writer.line(&format!("<title>{}</title>", escaped(&drawing.title)));
    writer.line(&format!("<desc>{}</desc>", escaped(&drawing.description)));
    drawing.shapes.iter().for_each(|shape| writer.shape(shape));
    writer.line("</svg>");
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
    clips: usize,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Group(group) => self.group(group),
            Shape::Text(text) => self.line(&words(text)),
            Shape::Box { rect, fill } => {
                let (place, paint) = (place(rect), paint(Some(*fill), None));
                self.line(&format!("<rect {place}{paint}/>"));
            }
            Shape::Circles {
                centres,
                radius,
                fill,
                stroke,
            } => {
                let (paint, radius) = (paint(*fill, *stroke), number(*radius));
                self.line(&format!("<g{paint}>"));
                for (x, y) in centres {
                    let (x, y) = (number(*x), number(*y));
                    self.line(&format!(r#"<circle cx="{x}" cy="{y}" r="{radius}"/>"#));
                }
                self.line("</g>");
            }
            Shape::Lines {
                lines,
                closed,
                fill,
                stroke,
            } => {
                let (way, paint) = (way(lines, *closed), paint(*fill, *stroke));
                self.line(&format!(r#"<path d="{way}"{paint}/>"#));
            }
        }
    }

    fn group(&mut self, group: &Group) {
        let mut clip = String::new();
        if let Some(rect) = &group.clip {
            self.clips += 1;
            let (id, place) = (self.clips, place(rect));
            self.line(&format!(
                r#"<clipPath id="c{id}"><rect {place}/></clipPath>"#
            ));
            clip = format!(r#" clip-path="url(#c{id})""#);
        }
        let (class, name) = (group.class, escaped(&group.name));
        self.line(&format!(r#"<g class="{class}" data-name="{name}"{clip}>"#));
        group.shapes.iter().for_each(|shape| self.shape(shape));
        self.line("</g>");
    }
}

fn words(text: &Text) -> String {
    let (x, y) = (number(text.at.0), number(text.at.1));
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => r#" text-anchor="middle""#,
        Anchor::End => r#" text-anchor="end""#,
    };
    let weight = match text.face {
        Face::Regular => "",
        Face::Bold => r#" font-weight="bold""#,
    };
    let turned = match text.upwards {
        true => format!(r#" transform="rotate(-90 {x} {y})""#),
        false => String::new(),
    };
    let (size, color, words) = (number(text.size), hex(text.color), escaped(&text.words));
    format!(
        r#"<text x="{x}" y="{y}" font-size="{size}" fill="{color}"{anchor}{weight}{turned}>{words}</text>"#
    )
}

fn way(lines: &[Vec<Point>], closed: bool) -> String {
    let mut way = String::new();
    for line in lines {
        for (i, (x, y)) in line.iter().enumerate() {
            let step = match i {
                0 => 'M',
                _ => 'L',
            };
            // Writing to a string does not fail.
            let _ = write!(way, "{step}{} {}", number(*x), number(*y));
        }
        if closed {
            way.push('Z');
        }
    }
    way
}

fn place(rect: &Rect) -> String {
    format!(
        r#"x="{}" y="{}" width="{}" height="{}""#,
        number(rect.left),
        number(rect.top),
        number(rect.width),
        number(rect.height)
    )
}

fn paint(fill: Option<Fill>, stroke: Option<Stroke>) -> String {
    let mut text = match fill {
        None => r#" fill="none""#.to_owned(),
        Some(fill) => format!(
            r#" fill="{}"{}"#,
            hex(fill.color),
            opacity("fill", fill.opacity)
        ),
    };
    if let Some(stroke) = stroke {
        let (color, width) = (hex(stroke.color), number(stroke.width));
        text.push_str(&format!(r#" stroke="{color}" stroke-width="{width}""#));
        text.push_str(&opacity("stroke", stroke.opacity));
        text.push_str(r#" stroke-linejoin="round""#);
        if let Some((dash, gap)) = stroke.dash {
            let (dash, gap) = (number(dash), number(gap));
            text.push_str(&format!(r#" stroke-dasharray="{dash} {gap}""#));
        }
    }
    text
}

fn opacity(what: &str, value: f64) -> String {
    match value < 1.0 {
        true => format!(r#" {what}-opacity="{}""#, number(value)),
        false => String::new(),
    }
}

fn hex(color: Color) -> String {
    format!("#{:02x}{:02x}{:02x}", color.0, color.1, color.2)
}

/// A number with at most two digits after the point: a hundredth of a pixel is less than anyone sees.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [12.0, 0.1 + 0.2, -0.001, 100.0, -3.456].map(number);
        assert_eq!(texts, ["12", "0.3", "0", "100", "-3.46"]);
    }

    #[test]
    fn names_cannot_break_out_of_their_place() {
        let mut group = Group::new("series", r#"a"><script>&"#);
        let text = Text::new("1 < 2 & 3", (0.0, 0.0), 10.0, Color(0, 0, 0));
        group.shapes.push(Shape::Text(text));
        let drawing = Drawing {
            width: 10.0,
            height: 10.0,
            title: "<t>".to_owned(),
            description: String::new(),
            shapes: vec![Shape::Group(group)],
        };
        let svg = write(&drawing);
        assert!(svg.contains(r#"data-name="a&quot;&gt;&lt;script&gt;&amp;""#));
        assert!(svg.contains("1 &lt; 2 &amp; 3") && svg.contains("<title>&lt;t&gt;</title>"));
    }
}
