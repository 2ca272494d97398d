//! What a task's result depends on, as one digest and as parts that people can compare.

use std::collections::BTreeMap;

use lakectl_core::{Cell, DayRange, Fingerprint, FingerprintBuilder, Parts, TableId, TaskKey};
use serde::Serialize;

/// How many members of a window are kept by name beside the digest of all of them.
const MEMBERS_KEPT: usize = 64;
const INPUT: &str = "input ";

/// What a task is granted of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Rows with this digest: all rows of the partition, or those of the days inside the cut.
    Rows(Fingerprint),
    /// Computed, and there are no rows.
    Empty,
    /// Nothing was ever planned inside the window.
    Absent,
    /// Its task failed and there is no earlier result.
    Withheld,
}

impl State {
    fn label(self) -> String {
        match self {
            Self::Rows(hash) => hash.short(),
            Self::Empty => "empty".to_owned(),
            Self::Absent => "absent".to_owned(),
            Self::Withheld => "withheld".to_owned(),
        }
    }
}

/// Returns what a cell means to a reader that is granted the days of `cut` (or all of it).
pub fn state_of(cell: &Cell, cut: Option<DayRange>) -> State {
    let Some(cut) = cut.filter(|_| cell.rows > 0 && !cell.days.is_empty()) else {
        // A cell without day digests is hashed whole: its reader may run once too often, never too rarely.
        return match cell.rows {
            0 => State::Empty,
            _ => State::Rows(cell.rows_hash),
        };
    };
    if cut.start >= cut.end {
        return State::Empty;
    }
    let mut builder = FingerprintBuilder::new("days");
    let mut days = cell.days.range(cut.start..cut.end).peekable();
    if days.peek().is_none() {
        return State::Empty;
    }
    for (day, digest) in days {
        builder.push("day", day.days().to_le_bytes());
        builder.push("rows", digest.as_bytes());
    }
    State::Rows(builder.finish())
}

/// Returns the digest of one member of a window.
pub(crate) fn member_digest(table: &TableId, partition: &str, state: State) -> Fingerprint {
    let builder = FingerprintBuilder::new("member")
        .field("table", table.as_str())
        .field("partition", partition);
    match state {
        State::Rows(hash) => builder.field("rows", hash.as_bytes()).finish(),
        other => builder.field("state", other.label()).finish(),
    }
}

/// Returns the digest of a window from those of its members, in their order.
pub(crate) fn window_digest(members: impl IntoIterator<Item = Fingerprint>) -> Fingerprint {
    let mut bytes = Vec::new();
    for member in members {
        bytes.extend_from_slice(member.as_bytes());
    }
    FingerprintBuilder::new("window")
        .field("members", bytes)
        .finish()
}

/// Returns the digest of a stage's row-affecting parts.
pub(crate) fn definition_digest(parts: &Parts) -> Fingerprint {
    let mut builder = FingerprintBuilder::new("definition");
    for (name, value) in parts {
        builder.push(name, value);
    }
    builder.finish()
}

/// Returns the fingerprint of a task; `token` is what a harvest's source says of its partition.
pub(crate) fn task_fingerprint<'a>(
    task: &TaskKey,
    partition: &str,
    definition: Fingerprint,
    token: Option<&str>,
    cut_short: Option<&str>,
    windows: impl IntoIterator<Item = (&'a TableId, Fingerprint)>,
) -> Fingerprint {
    let mut builder = FingerprintBuilder::new("task")
        .field("table", task.table.as_str())
        .field("partition", partition)
        .field("definition", definition.as_bytes());
    if let Some(token) = token {
        builder.push("token", token);
    }
    if let Some(days) = cut_short {
        builder.push("days", days);
    }
    for (input, digest) in windows {
        builder.push(input.as_str(), digest.as_bytes());
    }
    builder.finish()
}

/// Returns the fingerprint of one output of a task: the task's own for the main table, one derived from it for a
/// secondary table, so that a fingerprint names one cell.
pub fn output_fingerprint(task: Fingerprint, main: &TableId, output: &TableId) -> Fingerprint {
    if main == output {
        return task;
    }
    FingerprintBuilder::new("secondary")
        .field("task", task.as_bytes())
        .field("table", output.as_str())
        .finish()
}

/// Returns the name of the part that describes an input's window.
pub(crate) fn input_part_name(input: &TableId) -> String {
    format!("{INPUT}{input}")
}

/// Returns the text of an input's part: digest and number of members, then a line for each of the newest members.
pub(crate) fn input_part(digest: Fingerprint, members: &[(String, DayRange, State)]) -> String {
    let mut kept: Vec<&(String, DayRange, State)> = members.iter().collect();
    kept.sort_by(|a, b| b.1.start.cmp(&a.1.start).then_with(|| a.0.cmp(&b.0)));
    kept.truncate(MEMBERS_KEPT);
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    let mut text = format!("{digest} {}", members.len());
    for (name, _, state) in kept {
        text.push_str(&format!("\n{name}={}", state.label()));
    }
    text
}

/// One difference between two definitions of the same task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The part, such as `sql`, `param.z_window` or `input options.slices`.
    pub part: String,
    /// What it was and what it is, as far as that fits on a line.
    pub detail: String,
}

/// Returns the parts that differ, definition before inputs.
pub fn diff(old: &Parts, new: &Parts) -> Vec<Change> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_by_key(|name| (name.starts_with(INPUT), name.as_str()));
    names.dedup();
    let change = |name: &String| {
        let detail = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => return None,
            (Some(old), Some(new)) if name.starts_with(INPUT) => window_change(old, new),
            (Some(old), Some(new)) => value_change(old, new),
            (None, _) => "added".to_owned(),
            (_, None) => "removed".to_owned(),
        };
        Some(Change {
            part: name.clone(),
            detail,
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// Like [`diff`] for parts that hold no digests of inputs yet: only the definition and the names of inputs count.
pub(crate) fn definition_diff(old: &Parts, new: &Parts) -> Vec<Change> {
    let known_or_new = |change: &Change| {
        !change.part.starts_with(INPUT) || matches!(change.detail.as_str(), "added" | "removed")
    };
    diff(old, new).into_iter().filter(known_or_new).collect()
}

fn value_change(old: &str, new: &str) -> String {
    let short = |text: &str| text.len() <= 40 && !text.contains('\n');
    match short(old) && short(new) {
        true => format!("{old} -> {new}"),
        false => "changed".to_owned(),
    }
}

fn window_change(old: &str, new: &str) -> String {
    let (old_total, old) = members(old);
    let (new_total, new) = members(new);
    let mut changes = Vec::new();
    for (name, state) in &new {
        match old.get(name) {
            Some(before) if before == state => {}
            Some(before) => changes.push(format!("{name}: {before} -> {state}")),
            // Of a long window only the newest are kept by name, so an unknown older one need not be new.
            None if old_total <= MEMBERS_KEPT || new_total <= MEMBERS_KEPT => {
                changes.push(format!("{name}: new, {state}"));
            }
            None => changes.push(format!("{name}: {state}")),
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

fn members(part: &str) -> (usize, BTreeMap<&str, &str>) {
    let mut lines = part.lines();
    let head = lines.next().unwrap_or_default();
    let total = head
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    (
        total,
        lines.filter_map(|line| line.rsplit_once('=')).collect(),
    )
}
