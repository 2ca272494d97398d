//! Texts as marks: small enough to stay with every result, and enough to say later where another text differs.

use lakectl_core::{Column, ColumnType, Contract};

/// The digits of marks, six bits each.
const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
/// A line without words.
const BLANK: char = '.';
/// A line of more words than one digit counts: two digits follow.
const MANY: char = '+';

/// Returns the outline of a text of `lines`, each given as its words: for each line how many words it has, and a short
/// digest of all words so far. Spacing, remarks and line breaks are for the caller to leave out of the words.
///
/// Two outlines say at which line their texts part, as far as both break their lines between the same words.
pub fn outline<'a, L, W>(lines: L) -> String
where
    L: IntoIterator<Item = W>,
    W: IntoIterator<Item = &'a str>,
{
    let mut text = String::new();
    let mut state = Mix::new();
    for line in lines {
        let mut words = 0_usize;
        for word in line {
            state.add(word);
            words += 1;
        }
        match words {
            0 => text.push(BLANK),
            1..=63 => {
                text.push(digit(words));
                text.push_str(&state.digits(2));
            }
            _ => {
                let words = words.min(4_095);
                text.extend([MANY, digit(words >> 6), digit(words)]);
                text.push_str(&state.digits(2));
            }
        }
    }
    text
}

/// Returns the line of the new text, counted from 1, at which it parts from the old one; `None` if the outlines do not
/// tell, because one of them is none or because they are equal.
pub(crate) fn first_difference(old: &str, new: &str) -> Option<usize> {
    let (old, new) = (marks(old)?, marks(new)?);
    // The line after the last line end up to which both have the same words.
    let mut line = 1;
    let mut theirs = old.iter().peekable();
    for (i, mark) in new.iter().enumerate() {
        if mark.blank {
            continue;
        }
        while theirs.next_if(|old| old.words < mark.words).is_some() {}
        match theirs.peek() {
            Some(old) if old.words == mark.words && old.digest == mark.digest => line = i + 2,
            Some(old) if old.words == mark.words => break,
            _ => {}
        }
    }
    let ends_alike = |a: &[Mark], b: &[Mark]| match (a.last(), b.last()) {
        (Some(a), Some(b)) => a.words == b.words && a.digest == b.digest,
        (a, b) => a.is_none() && b.is_none(),
    };
    if ends_alike(&old, &new) {
        return None;
    }
    // Remarks between the two lines are passed over; a text that was cut off differs at its end.
    let after = new.iter().enumerate().skip(line - 1);
    let next = after.filter(|(_, mark)| !mark.blank).map(|(i, _)| i + 1);
    next.min().or(Some(new.len().max(1)))
}

/// The end of a line.
struct Mark<'a> {
    /// Words up to here.
    words: usize,
    digest: &'a str,
    blank: bool,
}

fn marks(outline: &str) -> Option<Vec<Mark<'_>>> {
    let value = |at: usize| {
        let byte = outline.as_bytes().get(at)?;
        DIGITS.iter().position(|digit| digit == byte)
    };
    let mut found: Vec<Mark<'_>> = Vec::new();
    let (mut at, mut words) = (0, 0);
    while let Some(first) = outline.get(at..)?.chars().next() {
        let (count, width) = match first {
            BLANK => {
                let digest = found.last().map_or("", |mark| mark.digest);
                found.push(Mark {
                    words,
                    digest,
                    blank: true,
                });
                at += 1;
                continue;
            }
            MANY => ((value(at + 1)? << 6) + value(at + 2)?, 3),
            _ => (value(at)?, 1),
        };
        words += count;
        at += width;
        found.push(Mark {
            words,
            digest: outline.get(at..at + 2)?,
            blank: false,
        });
        at += 2;
    }
    Some(found)
}

fn digit(value: usize) -> char {
    char::from(DIGITS[value & 63])
}

/// A running digest of words. It explains and decides nothing, so that it need not resist anybody.
struct Mix(u64);

impl Mix {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, word: &str) {
        // The zero ends the word.
        for byte in word.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn digits(&self, count: u32) -> String {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..count)
            .map(|i| digit((mixed >> (58 - 6 * i)) as usize))
            .collect()
    }
}

/// Characters of a column in its outline: three of its name, one of its type.
const COLUMN_CHARS: usize = 4;

/// Returns the outline of a contract: for each column a short digest of its name, and its type.
pub(crate) fn of_columns(contract: &Contract) -> String {
    contract.columns().iter().map(column).collect()
}

fn column(column: &Column) -> String {
    let mut name = Mix::new();
    name.add(&column.name);
    let kind = match column.kind {
        ColumnType::Utf8 => 'u',
        ColumnType::I64 => 'i',
        ColumnType::F64 => 'f',
        ColumnType::Bool => 'b',
        ColumnType::Ts => 't',
        ColumnType::Date => 'd',
        ColumnType::Binary => 'x',
    };
    let kind = match column.nullable {
        true => kind.to_ascii_uppercase(),
        false => kind,
    };
    name.digits(3) + &kind.to_string()
}

/// Returns what became of the columns of an outline in a newer contract, one entry a change; `None` if it is no outline.
pub(crate) fn column_changes(old: &str, new: &Contract) -> Option<Vec<String>> {
    let valid = old.is_ascii() && !old.is_empty() && old.len().is_multiple_of(COLUMN_CHARS);
    let mut left: Vec<&str> = match valid {
        true => (0..old.len() / COLUMN_CHARS)
            .map(|i| &old[i * COLUMN_CHARS..(i + 1) * COLUMN_CHARS])
            .collect(),
        false => return None,
    };
    let mut changes = Vec::new();
    for (new, mark) in new.columns().iter().map(|c| (c, column(c))) {
        match left.iter().position(|old| old[..3] == mark[..3]) {
            None => changes.push(format!("column `{}` added", new.name)),
            Some(at) if left.remove(at) == mark => {}
            Some(_) => changes.push(format!("column `{}` is now {}", new.name, typed(new))),
        }
    }
    match left.len() {
        0 => {}
        1 => changes.push("a column removed".to_owned()),
        several => changes.push(format!("{several} columns removed")),
    }
    Some(changes)
}

/// Like [`column_changes`] for a contract that is known in full.
pub(crate) fn contract_changes(old: &Contract, new: &Contract) -> Vec<String> {
    let mut changes = Vec::new();
    for column in new.columns() {
        match old.get(&column.name) {
            None => changes.push(format!("column `{}` added", column.name)),
            Some(old) if old == column => {}
            Some(old) => changes.push(format!(
                "column `{}` {} -> {}",
                column.name,
                typed(old),
                typed(column)
            )),
        }
    }
    let gone = old.columns().iter().filter(|c| new.get(&c.name).is_none());
    changes.extend(gone.map(|column| format!("column `{}` removed", column.name)));
    changes
}

fn typed(column: &Column) -> String {
    let mark = if column.nullable { "?" } else { "" };
    format!("{}{mark}", column.kind.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        outline(text.lines().map(str::split_whitespace))
    }

    #[test]
    fn the_line_at_which_texts_part() {
        let old = "a b\nc d e\n\nf g\nh";
        for (new, line) in [
            ("a x\nc d e\n\nf g\nh", Some(1)),
            ("a b\nc d e\n\nf x\nh", Some(4)),
            // Blank lines and spacing count as little as in the text.
            ("\n\na  b\n\nc d e\nf x\nh", Some(6)),
            ("a b\nc d e\n\nf g\nh i", Some(5)),
            ("a b\nc d e\n\nf g\nh\ni", Some(6)),
            ("a b\nc d e\n\nf g", Some(4)),
            ("a b\nnew\nc d e\nf g\nh", Some(2)),
            // Broken at other places: the line after the last common one.
            ("a b\nc d\ne f\nx h", Some(2)),
            (old, None),
            ("a\nb c d e f g h", None),
        ] {
            assert_eq!(first_difference(&of(old), &of(new)), line, "{new:?}");
        }
        assert_eq!(first_difference("", &of("a")), Some(1));
        assert_eq!(first_difference("no outline!", &of("a")), None);
    }

    #[test]
    fn long_lines_have_outlines_too() {
        let many = "w ".repeat(200);
        let old = format!("{many}\nlast");
        let new = format!("{many}\nother");
        assert_eq!(first_difference(&of(&old), &of(&new)), Some(2));
    }

    #[test]
    fn columns_that_came_and_went() {
        let old: Contract = "a utf8, b f64, c ts".parse().unwrap();
        let new: Contract = "a utf8, b f64?, d i64".parse().unwrap();
        let told = column_changes(&of_columns(&old), &new).unwrap();
        assert_eq!(
            told,
            [
                "column `b` is now f64?",
                "column `d` added",
                "a column removed"
            ]
        );
        assert_eq!(
            contract_changes(&old, &new),
            [
                "column `b` f64 -> f64?",
                "column `d` added",
                "column `c` removed"
            ]
        );
        assert_eq!(column_changes("abc", &new), None);
    }
}
