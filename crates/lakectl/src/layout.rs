//! Tables as text: columns side by side, cut to the width that there is.

use crate::render;

/// Between two columns.
const GAP: &str = "  ";
/// The width where there is no terminal to ask.
const WIDTH: usize = 120;
/// A cut column is never narrower.
const CUT_MIN: usize = 12;

/// The characters of a line: `LAKE_WIDTH`, else the terminal's width, else 120.
pub(crate) fn width() -> usize {
    told_width().unwrap_or(WIDTH)
}

/// The characters of a line if somebody says how many there are: `LAKE_WIDTH`, or a terminal.
pub(crate) fn told_width() -> Option<usize> {
    let set = std::env::var("LAKE_WIDTH")
        .ok()
        .and_then(|text| text.parse().ok());
    // Asks the terminal on standard output, and knows when there is none.
    let terminal = || comfy_table::Table::new().width().map(usize::from);
    set.or_else(terminal).filter(|width| *width > 0)
}

/// Lays out rows under headers; columns named in `right` are numbers. The last column is cut to fit the line.
pub(crate) fn table(headers: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> String {
    table_within(Some(width()), headers, right, rows)
}

/// Like [`table`] for a given width; without one nothing is cut.
pub(crate) fn table_within(
    width: Option<usize>,
    headers: &[&str],
    right: &[usize],
    rows: Vec<Vec<String>>,
) -> String {
    let grid = Grid::of(width, headers, right, &rows);
    let mut lines = vec![grid.header(headers)];
    lines.retain(|header| !header.is_empty());
    lines.extend(grid.rows(&rows));
    lines.join("\n")
}

/// The widths of a table's columns, for rows that come one after the other.
pub(crate) struct Grid {
    widths: Vec<usize>,
    right: Vec<usize>,
    cuts: bool,
}

impl Grid {
    /// Takes the widths from headers and rows; columns named in `right` are numbers. The last one gives way to a width.
    pub(crate) fn of(
        width: Option<usize>,
        headers: &[&str],
        right: &[usize],
        rows: &[Vec<String>],
    ) -> Self {
        let mut widths: Vec<usize> = headers.iter().map(|header| chars(header)).collect();
        for row in rows {
            for (column, cell) in widths.iter_mut().zip(row) {
                let longest = cell.lines().map(chars).max().unwrap_or(0);
                *column = (*column).max(longest);
            }
        }
        if let (Some(width), Some((last, before))) = (width, widths.split_last_mut()) {
            let taken: usize = before
                .iter()
                .map(|column| column + GAP.len())
                .sum::<usize>()
                + 1;
            *last = (*last).min(width.saturating_sub(taken).max(CUT_MIN));
        }
        Self {
            widths,
            right: right.to_vec(),
            cuts: width.is_some(),
        }
    }

    /// The line of the headers; empty if all of them are.
    pub(crate) fn header(&self, headers: &[impl AsRef<str>]) -> String {
        if headers.iter().all(|header| header.as_ref().is_empty()) {
            return String::new();
        }
        let cells: Vec<String> = headers
            .iter()
            .map(|header| header.as_ref().to_owned())
            .collect();
        self.line(&cells, render::faint)
    }

    /// The lines of rows: a row whose cells have several lines is several lines.
    pub(crate) fn rows(&self, rows: &[Vec<String>]) -> Vec<String> {
        let lines = rows.iter().flat_map(|row| lines_of(row));
        lines.map(|line| self.line(&line, str::to_owned)).collect()
    }

    fn line(&self, cells: &[String], dress: fn(&str) -> String) -> String {
        let mut text = String::from(" ");
        for (i, (cell, column)) in cells.iter().zip(&self.widths).enumerate() {
            let cell = if self.cuts {
                cut(cell, *column)
            } else {
                cell.clone()
            };
            let padding = " ".repeat(column.saturating_sub(chars(&cell)));
            let (left, after) = if self.right.contains(&i) {
                (padding.as_str(), "")
            } else {
                ("", padding.as_str())
            };
            let gap = if i == 0 { "" } else { GAP };
            text.push_str(&format!("{gap}{left}{}{after}", dress(&cell)));
        }
        text.trim_end().to_owned()
    }
}

/// Cuts text to so many characters, and shows that it did.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if chars(text) <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Breaks text at spaces into lines of the given width; those after the first begin with `indent`.
pub(crate) fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if chars(line) + 1 + chars(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{indent}{word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// A row whose cells have several lines is several rows.
fn lines_of(row: &[String]) -> Vec<Vec<String>> {
    let cells: Vec<Vec<String>> = row
        .iter()
        .map(|cell| cell.lines().map(|line| line.replace('\t', " ")).collect())
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
    (0..height)
        .map(|i| {
            cells
                .iter()
                .map(|lines| lines.get(i).cloned().unwrap_or_default())
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_gives_way() {
        let rows = || {
            vec![vec![
                "a.b".to_owned(),
                "7".to_owned(),
                "a long text that does not fit".to_owned(),
            ]]
        };
        let text = table_within(Some(30), &["table", "rows", "why"], &[1], rows());
        assert_eq!(text, " table  rows  why\n a.b       7  a long text tha…");
        assert!(text.lines().all(|line| line.chars().count() <= 30));
        let whole = table_within(None, &["table", "rows", "why"], &[1], rows());
        assert!(whole.ends_with("does not fit"));
    }

    #[test]
    fn lines_in_cells_are_lines_of_the_table() {
        let text = table_within(
            None,
            &["x", "y"],
            &[1],
            vec![vec!["one\ntwo".to_owned(), "3".to_owned()]],
        );
        assert_eq!(text, " x    y\n one  3\n two");
    }

    #[test]
    fn words_are_wrapped() {
        assert_eq!(wrap("one two three", 8, "  "), "one two\n  three");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abc", 3), "abc");
    }
}
