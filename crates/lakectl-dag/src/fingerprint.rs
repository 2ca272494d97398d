//! What a task's result depends on, as one digest and as parts that people can compare.

use lakectl_core::{Cell, DayRange, Fingerprint, FingerprintBuilder, Parts, TableId, TaskKey};
use serde::Serialize;

use crate::StageDecl;
use crate::outline;

/// How many members of a window are kept by name beside the digest of all of them.
pub(crate) const MEMBERS_KEPT: usize = 64;
/// The longest part that is kept as it is; every cell repeats the parts of its stage.
const PART_BYTES_MAX: usize = 80;
/// Begins the name of the part of an input.
pub(crate) const INPUT: &str = "input ";
/// Begins the name of what is kept beside a part to explain a change of it. It is in no fingerprint.
pub(crate) const NOTE: &str = "note ";

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

/// What decides a stage's rows beside its inputs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    /// As kept with every cell: long parts by their digests, with notes that explain them.
    pub(crate) parts: Parts,
    /// The digest of the parts without the notes.
    pub(crate) digest: Fingerprint,
}

impl Definition {
    /// Joins the parts of a declaration with those that are `given` from outside; the latter win.
    pub(crate) fn of(stage: &StageDecl, given: Option<&Parts>) -> Self {
        let mut parts = stage.definition();
        for (name, value) in given.into_iter().flatten() {
            parts.insert(name.clone(), value.clone());
        }
        let long_contract = parts
            .get("contract")
            .is_some_and(|text| text.len() > PART_BYTES_MAX);
        for (name, value) in &mut parts {
            if value.len() > PART_BYTES_MAX && !name.starts_with(NOTE) {
                *value = Fingerprint::of(value.as_bytes()).to_string();
            }
        }
        let mut builder = FingerprintBuilder::new("definition");
        for (name, value) in parts.iter().filter(|(name, _)| !name.starts_with(NOTE)) {
            builder.push(name, value);
        }
        if long_contract {
            let columns = outline::of_columns(&stage.contract);
            parts.insert(format!("{NOTE}contract"), columns);
        }
        Self {
            digest: builder.finish(),
            parts,
        }
    }
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
