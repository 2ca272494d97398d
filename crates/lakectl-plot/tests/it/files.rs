//! The two files: a well-formed SVG, and a PNG that decodes to what the drawing is.

use std::io::Read as _;

use flate2::Crc;
use flate2::read::ZlibDecoder;
use lakectl_plot::{Drawing, pictures};

use crate::common::{self, about};

fn drawing() -> Drawing {
    let smiles = [common::smile("27 Mar 2026", 16.4)];
    pictures::smile(&about(), &smiles).unwrap().draw().unwrap()
}

/// Elements begin and end in order, attributes are quoted; returns the names of the elements that began.
fn elements(svg: &str) -> Vec<String> {
    let (mut open, mut begun) = (Vec::new(), Vec::new());
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(
            !text.contains('>') && tag.matches('"').count() % 2 == 0,
            "{part}"
        );
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None => {
                let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
                begun.push(name.clone());
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    begun
}

#[test]
fn svg_is_well_formed_and_names_its_series() {
    let svg = drawing().svg();
    let names = elements(&svg);
    let count = |name: &str| names.iter().filter(|found| *found == name).count();
    // The marks of 20 quotes over two panels, one ask without a bid, and the legend's two dots.
    assert_eq!(count("circle"), 20 + 20 + 1 + 2);
    assert_eq!(
        (
            count("svg"),
            count("title"),
            count("desc"),
            count("clipPath")
        ),
        (1, 1, 1, 3)
    );
    for series in ["puts, bid to ask", "SVI fit", "SVI, extrapolated"] {
        assert!(
            svg.contains(&format!(r#"<g class="series" data-name="{series}">"#)),
            "{series}"
        );
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn equal_rows_are_equal_bytes() {
    let (first, second) = (drawing(), drawing());
    assert_eq!(first.svg(), second.svg());
    assert_eq!(first.png(1.0).unwrap(), second.png(1.0).unwrap());
}

/// Width, height, and red, green and blue of each dot, after a check of every chunk.
fn decoded(png: &[u8]) -> (usize, usize, Vec<u8>) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let (mut at, mut header, mut body) = (8, Vec::new(), Vec::new());
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    loop {
        let length = number(at) as usize;
        let (kind, data) = (&png[at + 4..at + 8], &png[at + 8..at + 8 + length]);
        let mut crc = Crc::new();
        crc.update(&png[at + 4..at + 8 + length]);
        assert_eq!(crc.sum(), number(at + 8 + length), "{kind:?}");
        match kind {
            b"IHDR" => header = data.to_vec(),
            b"IDAT" => body.extend(data),
            b"IEND" => break,
            _ => {}
        }
        at += 12 + length;
    }
    assert_eq!(at + 12, png.len());
    let side = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(header[8..], [8, 2, 0, 0, 0]);
    let mut rows = Vec::new();
    ZlibDecoder::new(&body[..]).read_to_end(&mut rows).unwrap();
    let (width, height) = (side(0), side(4));
    assert_eq!(rows.len(), height * (width * 3 + 1));
    let rows = rows.chunks(width * 3 + 1);
    let dots = rows.flat_map(|row| {
        assert_eq!(row[0], 0, "rows have no filter");
        row[1..].to_vec()
    });
    (width, height, dots.collect())
}

#[test]
fn png_has_the_size_the_ground_and_the_colours_of_the_drawing() {
    let drawing = drawing();
    for scale in [1.0, 2.0] {
        let (width, height, dots) = decoded(&drawing.png(scale).unwrap());
        assert_eq!(width as f64, (drawing.width * scale).round());
        assert_eq!(height as f64, (drawing.height * scale).round());
        let share = |color: [u8; 3]| {
            let found = dots.chunks_exact(3).filter(|dot| **dot == color).count();
            found as f64 / (width * height) as f64
        };
        assert_eq!(dots[..3], [255, 255, 255]);
        // Mostly paper; the fit's green and the ink of letters are there.
        assert!(share([255, 255, 255]) > 0.8 && share([255, 255, 255]) < 0.99);
        assert!(share([0, 158, 115]) > 1e-4 && share([34, 34, 34]) > 1e-3);
    }
}

#[test]
fn letters_are_drawn_where_the_layout_has_them() {
    let drawing = drawing();
    let (width, _, dots) = decoded(&drawing.png(1.0).unwrap());
    let title = common::texts(&drawing)
        .into_iter()
        .find(|text| text.words == drawing.title)
        .unwrap();
    let (left, right) = common::ends(title);
    let (top, base) = ((title.at.1 - title.size) as usize, title.at.1 as usize);
    let dark = |from: f64, to: f64| {
        let row = |y: usize| (from as usize..to as usize).map(move |x| (y, x));
        let places = (top..base).flat_map(row);
        places
            .filter(|(y, x)| dots[(y * width + x) * 3] < 128)
            .count()
    };
    assert!(dark(left, right) > 500, "{}", dark(left, right));
    assert_eq!(
        (dark(0.0, left - 2.0), dark(right + 2.0, drawing.width)),
        (0, 0)
    );
}
