//! Drawings as PNG: outlines of shapes and letters, filled with anti-aliasing.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use ttf_parser::OutlineBuilder;
use zeno::{Cap, Command, Join, Mask, PathBuilder as _, Placement, Vector};

use crate::PlotError;
use crate::canvas::{Anchor, Color, Drawing, Fill, Point, Rect, Shape, Stroke, Text};
use crate::font;

/// The most pixels of a picture: what a report prints on a page at 600 dots an inch.
const PIXELS_MAX: f64 = 64e6;
const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// Writes a drawing with `scale` dots for each of its pixels on white. Equal drawings are equal bytes.
pub(crate) fn write(drawing: &Drawing, scale: f64) -> Result<Vec<u8>, PlotError> {
    let (width, height) = (drawing.width * scale, drawing.height * scale);
    let fits = width >= 1.0 && height >= 1.0 && width * height <= PIXELS_MAX;
    if !fits || !(width * height).is_finite() {
        return Err(PlotError::Size { width, height });
    }
    let mut image = Image::white(width.round() as usize, height.round() as usize, scale);
    let bounds = Rect {
        left: 0.0,
        top: 0.0,
        width: drawing.width,
        height: drawing.height,
    };
    image.shapes(&drawing.shapes, &bounds);
    image.encoded(scale).map_err(|_| PlotError::Encode)
}

struct Image {
    width: usize,
    height: usize,
    scale: f64,
    /// Red, green and blue of each dot, row by row.
    dots: Vec<u8>,
}

impl Image {
    fn white(width: usize, height: usize, scale: f64) -> Self {
        Self {
            width,
            height,
            scale,
            dots: vec![255; width * height * 3],
        }
    }

    fn shapes(&mut self, shapes: &[Shape], clip: &Rect) {
        for shape in shapes {
            match shape {
                Shape::Group(group) => {
                    let clip = group.clip.map_or(*clip, |inner| common(clip, &inner));
                    self.shapes(&group.shapes, &clip);
                }
                Shape::Text(text) => self.text(text, clip),
                Shape::Box { rect, fill } => {
                    self.painted(&rectangle(rect), Some(*fill), None, clip);
                }
                Shape::Circles {
                    centres,
                    radius,
                    fill,
                    stroke,
                } => {
                    for centre in centres {
                        let mut path = Vec::new();
                        path.add_circle(vector(*centre), *radius as f32);
                        self.painted(&path, *fill, *stroke, clip);
                    }
                }
                Shape::Lines {
                    lines,
                    closed,
                    fill,
                    stroke,
                } => {
                    let path = polygon(lines, *closed);
                    self.painted(&path, *fill, *stroke, clip);
                }
            }
        }
    }

    fn painted(
        &mut self,
        path: &[Command],
        fill: Option<Fill>,
        stroke: Option<Stroke>,
        clip: &Rect,
    ) {
        let transform = Some(zeno::Transform::scale(self.scale as f32, self.scale as f32));
        if let Some(fill) = fill {
            let (mask, placement) = Mask::new(path).transform(transform).render();
            self.blend(&mask, &placement, fill.color, fill.opacity, clip);
        }
        if let Some(stroke) = stroke {
            let dashes = stroke.dash.map(|(dash, gap)| [dash as f32, gap as f32]);
            let mut style = zeno::Stroke::new(stroke.width as f32);
            style.join(Join::Round).cap(Cap::Butt);
            if let Some(dashes) = &dashes {
                style.dash(dashes, 0.0);
            }
            let (mask, placement) = Mask::new(path).style(style).transform(transform).render();
            self.blend(&mask, &placement, stroke.color, stroke.opacity, clip);
        }
    }

    fn text(&mut self, text: &Text, clip: &Rect) {
        let back = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => text.width() / 2.0,
            Anchor::End => text.width(),
        };
        let mut pen = Pen {
            commands: Vec::new(),
            origin: text.at,
            along: -back,
            scale: font::scale(text.face, text.size),
            upwards: text.upwards,
        };
        for glyph in font::glyphs(text.face, &text.words, text.size) {
            font::outline(text.face, &glyph, &mut pen);
            pen.along += glyph.advance;
        }
        self.painted(&pen.commands, Some(Fill::solid(text.color)), None, clip);
    }

    /// Lays a colour over the dots where a mask is set.
    fn blend(
        &mut self,
        mask: &[u8],
        placement: &Placement,
        color: Color,
        opacity: f64,
        clip: &Rect,
    ) {
        let inside = |from: f64, to: f64, most: usize| {
            let from = (from * self.scale).round().max(0.0) as i64;
            let to = (to * self.scale).round().max(0.0) as i64;
            (from, to.min(most as i64))
        };
        let (left, right) = inside(clip.left, clip.right(), self.width);
        let (top, bottom) = inside(clip.top, clip.bottom(), self.height);
        let width = placement.width as usize;
        for (row, alphas) in mask.chunks_exact(width.max(1)).enumerate() {
            let y = i64::from(placement.top) + row as i64;
            if y < top || y >= bottom {
                continue;
            }
            for (column, alpha) in alphas.iter().enumerate() {
                let x = i64::from(placement.left) + column as i64;
                if *alpha == 0 || x < left || x >= right {
                    continue;
                }
                let at = (y as usize * self.width + x as usize) * 3;
                let share = f64::from(*alpha) / 255.0 * opacity;
                for (dot, new) in self.dots[at..at + 3]
                    .iter_mut()
                    .zip([color.0, color.1, color.2])
                {
                    let mixed = f64::from(*dot) * (1.0 - share) + f64::from(new) * share;
                    *dot = mixed.round() as u8;
                }
            }
        }
    }

    fn encoded(&self, scale: f64) -> std::io::Result<Vec<u8>> {
        let mut file = SIGNATURE.to_vec();
        let mut header = Vec::new();
        header.extend((self.width as u32).to_be_bytes());
        header.extend((self.height as u32).to_be_bytes());
        // Eight bits of red, green and blue; deflate, the usual filters, no interlacing.
        header.extend([8, 2, 0, 0, 0]);
        chunk(&mut file, *b"IHDR", &header);
        // Dots a metre, so that a report prints it in its size: a pixel is 1/96 of an inch.
        let density = (96.0 * scale / 0.0254).round() as u32;
        let mut physical = [density.to_be_bytes(), density.to_be_bytes()].concat();
        physical.push(1);
        chunk(&mut file, *b"pHYs", &physical);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        for row in self.dots.chunks_exact(self.width * 3) {
            // No filter: flat colours repeat as they are.
            zlib.write_all(&[0])?;
            zlib.write_all(row)?;
        }
        chunk(&mut file, *b"IDAT", &zlib.finish()?);
        chunk(&mut file, *b"IEND", &[]);
        Ok(file)
    }
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) {
    let mut crc = Crc::new();
    crc.update(&kind);
    crc.update(body);
    file.extend((body.len() as u32).to_be_bytes());
    file.extend(kind);
    file.extend(body);
    file.extend(crc.sum().to_be_bytes());
}

fn common(a: &Rect, b: &Rect) -> Rect {
    let (left, top) = (a.left.max(b.left), a.top.max(b.top));
    Rect {
        left,
        top,
        width: (a.right().min(b.right()) - left).max(0.0),
        height: (a.bottom().min(b.bottom()) - top).max(0.0),
    }
}

fn vector(point: Point) -> Vector {
    Vector::new(point.0 as f32, point.1 as f32)
}

fn rectangle(rect: &Rect) -> Vec<Command> {
    let corners = vec![
        (rect.left, rect.top),
        (rect.right(), rect.top),
        (rect.right(), rect.bottom()),
        (rect.left, rect.bottom()),
    ];
    polygon(&[corners], true)
}

fn polygon(lines: &[Vec<Point>], closed: bool) -> Vec<Command> {
    let mut path = Vec::new();
    for line in lines {
        for (i, point) in line.iter().enumerate() {
            path.push(match i {
                0 => Command::MoveTo(vector(*point)),
                _ => Command::LineTo(vector(*point)),
            });
        }
        if closed && !line.is_empty() {
            path.push(Command::Close);
        }
    }
    path
}

/// Puts outlines of letters side by side.
struct Pen {
    commands: Vec<Command>,
    origin: Point,
    along: f64,
    scale: f64,
    upwards: bool,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> Vector {
        let (along, above) = (
            self.along + f64::from(x) * self.scale,
            f64::from(y) * self.scale,
        );
        vector(match self.upwards {
            false => (self.origin.0 + along, self.origin.1 - above),
            true => (self.origin.0 - above, self.origin.1 - along),
        })
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.commands.push(Command::MoveTo(self.at(x, y)));
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.commands.push(Command::LineTo(self.at(x, y)));
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (control, to) = (self.at(x1, y1), self.at(x, y));
        self.commands.push(Command::QuadTo(control, to));
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (first, second, to) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.commands.push(Command::CurveTo(first, second, to));
    }

    fn close(&mut self) {
        self.commands.push(Command::Close);
    }
}
