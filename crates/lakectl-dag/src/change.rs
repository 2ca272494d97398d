//! Which parts of a fingerprint differ, in words.

use std::collections::BTreeMap;
use std::fmt;

use lakectl_core::{Contract, Parts};
use serde::Serialize;

use crate::fingerprint::{INPUT, MEMBERS_KEPT, NOTE};
use crate::outline::{column_changes, contract_changes, first_difference};

/// Digits of a digest that are told.
const DIGEST_TOLD: usize = 4;
/// The longest value that is told.
const VALUE_TOLD: usize = 40;
/// Columns that are told.
const COLUMNS_TOLD: usize = 3;

/// One difference between two definitions of the same task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The part, in words: `sql`, `parameter z_window`, `input options.slices`, `engine version`.
    pub part: String,
    /// What it was and what it is, as far as that fits on a line: `90 -> 60`, `changed at line 14`.
    pub detail: String,
    /// Whether the part belongs to the program and not to the project: every task of an older version of the program differs
    /// by it.
    pub program: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} {}", self.part, separator(&self.part), self.detail)
    }
}

fn separator(part: &str) -> &'static str {
    match part {
        "contract" | "primary key" => ":",
        _ => "",
    }
}

/// How a part is spoken of.
struct Words {
    /// Those that explain others come first.
    rank: u8,
    name: String,
    program: bool,
}

/// Returns the words for a part; `None` for one that this version does not know.
fn words(part: &str) -> Option<Words> {
    let told = |rank: u8, name: String, program: bool| {
        Some(Words {
            rank,
            name,
            program,
        })
    };
    if let Some(name) = part.strip_prefix("param.") {
        return told(5, format!("parameter {name}"), false);
    }
    if let Some(name) = part.strip_prefix("function ") {
        return told(6, format!("function {name} version"), true);
    }
    if part.starts_with(INPUT) {
        return told(9, part.to_owned(), false);
    }
    let (rank, name, program) = match part {
        "engine" => (0, "engine version", true),
        "query engine" => (0, "query engine", true),
        "parser" => (0, "parser version", true),
        "native version" => (1, "native stage version", true),
        "version" => (1, "stage version", false),
        "kind" => (2, "kind", false),
        "native" => (2, "native stage", false),
        "sql" => (3, "sql", false),
        "dataset" => (3, "dataset", false),
        "contract" => (4, "contract", false),
        "primary_key" => (4, "primary key", false),
        "time_column" => (4, "time column", false),
        "rejects" => (4, "contract of rejects", true),
        "assumed_availability" => (5, "assumed availability", false),
        "reach" => (7, "coverage of its readers", false),
        "days" => (8, "days", false),
        "token" => (8, "token", false),
        _ => return None,
    };
    told(rank, name.to_owned(), program)
}

/// Returns the parts that differ, the definition before the inputs. `contract` is that of the new parts.
pub(crate) fn diff(old: &Parts, new: &Parts, contract: &Contract) -> Vec<Change> {
    let names = old
        .keys()
        .chain(new.keys().filter(|n| !old.contains_key(*n)));
    let names = names.filter(|name| !name.starts_with(NOTE));
    let mut changes: Vec<(u8, &String, Change)> = names
        .filter_map(|name| {
            let known = words(name);
            let detail = match (old.get(name), new.get(name)) {
                (Some(old), Some(new)) if old == new => return None,
                (Some(before), Some(now)) => match name.as_str() {
                    "sql" => query_change(old, new),
                    "contract" => contract_change(old, contract),
                    _ if name.starts_with(INPUT) => window_change(before, now),
                    _ => value_change(before, now),
                },
                (None, Some(_)) => appeared(name),
                _ if known.is_none() => {
                    "of another version of lakectl, not known to this one".to_owned()
                }
                _ => vanished(name),
            };
            let Words {
                rank,
                name: part,
                program,
            } = known.unwrap_or_else(|| match new.contains_key(name) {
                true => Words {
                    rank: 2,
                    name: name.clone(),
                    program: false,
                },
                false => Words {
                    rank: 0,
                    name: format!("part `{name}`"),
                    program: true,
                },
            });
            let change = Change {
                part,
                detail,
                program,
            };
            Some((rank, name, change))
        })
        .collect();
    changes.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    changes.into_iter().map(|(_, _, change)| change).collect()
}

/// Like [`diff`] for parts that hold no digests of inputs yet: only the definition and the names of inputs count.
pub(crate) fn definition_diff(old: &Parts, new: &Parts, contract: &Contract) -> Vec<Change> {
    let both = |name: &String| old.contains_key(name) && new.contains_key(name);
    let without = |parts: &Parts| -> Parts {
        let kept = parts
            .iter()
            .filter(|(name, _)| !(name.starts_with(INPUT) && both(name)));
        kept.map(|(n, v)| (n.clone(), v.clone())).collect()
    };
    diff(&without(old), &without(new), contract)
}

fn appeared(part: &str) -> String {
    match part {
        _ if part.starts_with("function ") => "is new: the query calls it now",
        _ if part.starts_with(INPUT) => "is new",
        _ if part.starts_with("param.") => "is new",
        "days" => "cut the partition short now",
        _ => "was not recorded by the version of lakectl that computed it",
    }
    .to_owned()
}

fn vanished(part: &str) -> String {
    match part {
        _ if part.starts_with("function ") => "is gone: the query calls it no more",
        "days" => "do not cut the partition short any more",
        _ => "is gone",
    }
    .to_owned()
}

fn query_change(old: &Parts, new: &Parts) -> String {
    let note = format!("{NOTE}sql");
    let line = old
        .get(&note)
        .zip(new.get(&note))
        .and_then(|(old, new)| first_difference(old, new));
    match line {
        Some(line) => format!("changed at line {line}"),
        None => "changed".to_owned(),
    }
}

fn contract_change(old: &Parts, new: &Contract) -> String {
    let whole = old.get("contract").and_then(|text| text.parse().ok());
    let changes = match (whole, old.get(&format!("{NOTE}contract"))) {
        (Some(whole), _) => contract_changes(&whole, new),
        (None, Some(outline)) => match column_changes(outline, new) {
            Some(changes) => changes,
            None => return "changed".to_owned(),
        },
        (None, None) => return "changed".to_owned(),
    };
    match changes.len() {
        0 => "columns in another order".to_owned(),
        1..=COLUMNS_TOLD => changes.join(", "),
        more => format!(
            "{} and {} more",
            changes[..COLUMNS_TOLD].join(", "),
            more - COLUMNS_TOLD
        ),
    }
}

fn value_change(old: &str, new: &str) -> String {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest(old) && is_digest(new) {
        let (old, new) = told(old, new);
        return format!("{old} -> {new}");
    }
    let short = |text: &str| text.len() <= VALUE_TOLD && !text.contains('\n');
    match short(old) && short(new) {
        true => format!("{old} -> {new}"),
        false => "changed".to_owned(),
    }
}

/// As few digits of two digests as tell them apart.
fn told<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let short = |text: &'a str| match text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => text.get(..DIGEST_TOLD).unwrap_or(text),
        false => text,
    };
    match short(old) == short(new) {
        true => (old, new),
        false => (short(old), short(new)),
    }
}

fn window_change(old: &str, new: &str) -> String {
    let (old_total, old) = members(old);
    let (new_total, new) = members(new);
    // Only the digest of the window is known, or the part was written by a version that wrote it otherwise.
    if (old.is_empty() && old_total != Some(0)) || new.is_empty() {
        return "changed".to_owned();
    }
    let (old_total, new_total) = (old_total.unwrap_or(0), new_total.unwrap_or(0));
    let short = |state: &str| told(state, "").0.to_owned();
    let mut changes = Vec::new();
    for (name, state) in &new {
        match old.get(name) {
            Some(before) if before == state => {}
            Some(before) => {
                let (before, now) = told(before, state);
                changes.push(format!("{name}: {before} -> {now}"));
            }
            // Of a long window only the newest are kept by name, so an unknown older one need not be new.
            None if old_total <= MEMBERS_KEPT || new_total <= MEMBERS_KEPT => {
                changes.push(format!("{name}: new, {}", short(state)));
            }
            None => changes.push(format!("{name}: {}", short(state))),
        }
    }
    if new_total <= MEMBERS_KEPT {
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        changes.extend(gone.map(|name| format!("{name}: gone")));
    }
    match changes.len() {
        0 => "a member further back".to_owned(),
        1 => changes.remove(0),
        more => format!("{} and {} more", changes[0], more - 1),
    }
}

/// Reads the part of a window: the number of its members, and those that are kept by name.
fn members(part: &str) -> (Option<usize>, BTreeMap<&str, &str>) {
    let mut lines = part.lines();
    let head = lines.next().unwrap_or_default();
    let total = head.split(' ').nth(1).and_then(|n| n.parse().ok());
    (
        total,
        lines.filter_map(|line| line.rsplit_once('=')).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(list: &[(&str, &str)]) -> Parts {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn told_of(old: &[(&str, &str)], new: &[(&str, &str)]) -> String {
        let contract: Contract = "a utf8, b f64?".parse().unwrap();
        let changes = diff(&parts(old), &parts(new), &contract);
        let texts: Vec<String> = changes.iter().map(ToString::to_string).collect();
        texts.join("; ")
    }

    #[test]
    fn every_part_has_its_words() {
        let window = |state: &str| format!("0f 1\nasset=BTC/date=2026-02-05={state}");
        for (name, old, new, told) in [
            ("param.z_window", "90", "60", "parameter z_window 90 -> 60"),
            ("engine", "1", "2", "engine version 1 -> 2"),
            ("version", "1", "2", "stage version 1 -> 2"),
            ("function iv", "1", "2", "function iv version 1 -> 2"),
            ("native version", "3", "4", "native stage version 3 -> 4"),
            ("sql", "0f", "ff", "sql changed"),
            (
                "contract",
                "a utf8",
                "a utf8, b f64?",
                "contract: column `b` added",
            ),
            ("primary_key", "a", "a, b", "primary key: a -> a, b"),
            (
                "input options.slices",
                &window("3f2a1111"),
                &window("91c02222"),
                "input options.slices asset=BTC/date=2026-02-05: 3f2a -> 91c0",
            ),
            (
                "input options.slices",
                &window("3f2a1111"),
                &window("3f2a2222"),
                "input options.slices asset=BTC/date=2026-02-05: 3f2a1111 -> 3f2a2222",
            ),
            (
                "input options.slices",
                &window("empty"),
                &window("3f2a2222"),
                "input options.slices asset=BTC/date=2026-02-05: empty -> 3f2a",
            ),
        ] {
            assert_eq!(told_of(&[(name, old)], &[(name, new)]), told);
        }
    }

    #[test]
    fn what_explains_others_stands_first() {
        let told = told_of(
            &[
                ("engine", "1"),
                ("function iv", "1"),
                ("input a.b", "0 0"),
                ("sql", "0"),
            ],
            &[("engine", "2"), ("input a.b", "1 0"), ("sql", "1")],
        );
        assert_eq!(
            told,
            "engine version 1 -> 2; sql changed; function iv version is gone: the query calls it no more; \
             input a.b changed"
        );
    }

    #[test]
    fn parts_of_another_version_are_shown_as_such() {
        assert_eq!(
            told_of(
                &[("rounding", "half even"), ("engine", "1")],
                &[("engine", "1")]
            ),
            "part `rounding` of another version of lakectl, not known to this one"
        );
        assert_eq!(
            told_of(&[], &[("time_column", "t")]),
            "time column was not recorded by the version of lakectl that computed it"
        );
        // A window that an older version wrote in its own way.
        assert_eq!(
            told_of(&[("input a.b", "{json}")], &[("input a.b", "0f 1\nall=0f")]),
            "input a.b changed"
        );
    }

    #[test]
    fn notes_are_no_changes() {
        assert_eq!(told_of(&[("note sql", "0")], &[("note sql", "1")]), "");
    }
}
