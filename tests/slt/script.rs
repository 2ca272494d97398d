//! The text form of cases.
//!
//! ```text
//! stage market.rates            the table; first line of a file
//! asset BTC                     partition column, if the table has it
//! param name 10                 replaces a parameter
//! default market.rates unit=x   values of columns that rows leave out
//!
//! case what is shown
//! partition 2026-01-05 2026-01-06
//! rows norm.rates               a header line, then one line a row, cells between bars
//! metric | value | known_at
//! sofr   | 0.04  | 2026-01-05 +9h
//! 0..3: x | 1/2/3 | 2026-01-05 +{i}h      three rows; {i} counts, a/b/c are taken in turn
//! expect                        or `expect nothing`, or `error some words`
//! metric | value
//! sofr   | 0.04
//! ```
//! `-` is null, `?` is not looked at, `#` begins a comment, a number agrees if it rounds to the digits that are written.

use std::collections::BTreeMap;

use lakectl_core::Day;

/// Cells by column.
pub(crate) type Row = BTreeMap<String, String>;

/// One file.
pub(crate) struct Script {
    pub(crate) stage: String,
    pub(crate) asset: Option<String>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) defaults: BTreeMap<String, Row>,
    pub(crate) cases: Vec<Case>,
}

/// Rows that a case expects, with the columns it looks at.
pub(crate) struct Expected {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One partition to compute.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) start: Day,
    pub(crate) end: Day,
    pub(crate) inputs: BTreeMap<String, Vec<Row>>,
    /// `None` expects no row at all.
    pub(crate) expected: Option<Expected>,
    pub(crate) error: Option<String>,
}

/// Where the lines of a table go.
enum Block {
    Nothing,
    Rows(String, Vec<String>),
    Expect,
}

impl Script {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut script = Self {
            stage: String::new(),
            asset: None,
            params: Vec::new(),
            defaults: BTreeMap::new(),
            cases: Vec::new(),
        };
        let mut block = Block::Nothing;
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if !line.contains('|') && script.keyword(word, rest.trim(), &mut block) {
                continue;
            }
            assert!(
                script.table_line(line, &mut block),
                "{path}:{}: {line}",
                number + 1
            );
        }
        script
    }

    fn keyword(&mut self, word: &str, rest: &str, block: &mut Block) -> bool {
        let pair = |text: &str| {
            let (a, b) = text.split_once(' ').unwrap_or((text, ""));
            (a.trim().to_owned(), b.trim().to_owned())
        };
        match word {
            "stage" => self.stage = rest.to_owned(),
            "asset" => self.asset = Some(rest.to_owned()),
            "param" => self.params.push(pair(rest)),
            "default" => {
                let (table, values) = pair(rest);
                let values = values.split(", ").map(|value| {
                    let (column, value) = value.split_once('=').unwrap();
                    (column.trim().to_owned(), value.trim().to_owned())
                });
                self.defaults.entry(table).or_default().extend(values);
            }
            "case" => {
                let day = Day::from_days(0);
                self.cases.push(Case {
                    name: rest.to_owned(),
                    start: day,
                    end: day,
                    inputs: BTreeMap::new(),
                    expected: None,
                    error: None,
                });
            }
            "partition" => {
                let (start, end) = pair(rest);
                let case = self.cases.last_mut().unwrap();
                (case.start, case.end) = (start.parse().unwrap(), end.parse().unwrap());
            }
            "rows" => *block = Block::Rows(rest.to_owned(), Vec::new()),
            "expect" if rest == "nothing" => *block = Block::Nothing,
            "expect" => *block = Block::Expect,
            "error" => self.cases.last_mut().unwrap().error = Some(rest.to_owned()),
            _ => return false,
        }
        true
    }

    fn table_line(&mut self, line: &str, block: &mut Block) -> bool {
        let Some(case) = self.cases.last_mut() else {
            return false;
        };
        let (count, line) = repeats(line);
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        match block {
            Block::Nothing => return false,
            Block::Rows(table, columns) if columns.is_empty() => {
                case.inputs.entry(table.clone()).or_default();
                *columns = cells;
            }
            Block::Rows(table, columns) => {
                let rows = case.inputs.get_mut(table).unwrap();
                rows.extend((0..count).map(|i| row(columns, &cells, i)));
            }
            Block::Expect => match &mut case.expected {
                None => {
                    case.expected = Some(Expected {
                        columns: cells,
                        rows: Vec::new(),
                    });
                }
                Some(expected) => {
                    let rows = (0..count).map(|i| row(&expected.columns, &cells, i));
                    let rows: Vec<Row> = rows.collect();
                    expected.rows.extend(rows);
                }
            },
        }
        true
    }
}

/// Takes `0..24:` from the front of a line.
fn repeats(line: &str) -> (usize, &str) {
    let found = line.strip_prefix("0..").and_then(|rest| {
        let (count, rest) = rest.split_once(':')?;
        Some((count.parse().ok()?, rest))
    });
    found.unwrap_or((1, line))
}

fn row(columns: &[String], cells: &[String], i: usize) -> Row {
    assert_eq!(columns.len(), cells.len(), "{cells:?}");
    let filled = cells.iter().map(|cell| {
        let choices: Vec<&str> = cell.split('/').collect();
        choices[i % choices.len()].replace("{i}", &i.to_string())
    });
    columns.iter().cloned().zip(filled).collect()
}
