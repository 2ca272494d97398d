//! Reads stages from TOML. Every error names its line.

use std::ops::Range;

use lakectl_core::{ColumnType, CoreError, Grain, TableId, parse_days};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Audit, DeclareError, Missing, Origin, StageDecl, StageInput, StageKind};
use crate::{Window, nearest::hint};

mod checks;

const STAGE_KEYS: [&str; 18] = [
    "table",
    "kind",
    "native",
    "keys",
    "grain",
    "coverage",
    "primary_key",
    "time_column",
    "columns",
    "tags",
    "params",
    "version",
    "retries",
    "audit",
    "audit_reason",
    "description",
    "inputs",
    "check",
];
const KINDS: [&str; 4] = ["harvest", "normalize", "sql", "native"];
const GRAINS: [&str; 4] = ["none", "year", "month", "day"];
const WINDOWS: [&str; 3] = ["self", "all", "all_before"];
const WINDOW_KEYS: [&str; 5] = ["window", "lookback", "until", "latest_before", "missing"];
const WINDOW_HINT: &str = "a window is \"self\", \"all\", \"all_before\", { lookback = \"90d\", until = \"start\" } or { latest_before = \"7d\" }";

/// Reads the `[[stage]]` blocks of one file.
///
/// # Errors
/// [`DeclareError`] for the first thing that is not understood: its file, its line and, for a word, the nearest known one.
pub fn parse_stages(file_name: &str, text: &str) -> Result<Vec<StageDecl>, DeclareError> {
    let file = File {
        name: file_name,
        text,
    };
    let root = DeTable::parse(text).map_err(|error| {
        file.error(
            error.span().unwrap_or(0..0),
            error.message().to_owned(),
            None,
        )
    })?;
    let mut stages = Vec::new();
    for (key, value) in root.get_ref().iter() {
        let name = key.get_ref().as_ref();
        if name != "stage" {
            let message = format!("unknown section `{name}`");
            return Err(file.error(key.span(), message, hint(name, ["stage"])));
        }
        let blocks = value.get_ref().as_array().ok_or_else(|| {
            let message = "`stage` is not a list".to_owned();
            file.error(
                key.span(),
                message,
                Some("a stage begins with `[[stage]]`".to_owned()),
            )
        })?;
        for block in blocks.iter() {
            stages.push(stage(file, block)?);
        }
    }
    Ok(stages)
}

#[derive(Clone, Copy)]
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, span: &Range<usize>) -> Origin {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        Origin {
            file: self.name.to_owned(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        }
    }

    fn error(&self, span: Range<usize>, message: String, hint: Option<String>) -> DeclareError {
        DeclareError {
            origin: self.origin(&span),
            message,
            hint,
        }
    }
}

/// A TOML table with the place of each of its values.
struct Block<'a> {
    file: File<'a>,
    what: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

type Text<'a> = (&'a str, Range<usize>);

impl<'a> Block<'a> {
    fn new(
        file: File<'a>,
        what: String,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Result<Self, DeclareError> {
        let table = value.get_ref().as_table().ok_or_else(|| {
            file.error(
                value.span(),
                format!("{what} is not a table of keys and values"),
                None,
            )
        })?;
        Ok(Self {
            file,
            what,
            span: value.span(),
            table,
        })
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    fn error(
        &self,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) -> DeclareError {
        let span = self.get(key).map_or(self.span.clone(), Spanned::span);
        self.file.error(
            span,
            format!("{}: {}", self.what, message.into()),
            hint.into(),
        )
    }

    fn only(&self, known: &[&str]) -> Result<(), DeclareError> {
        let known_keys = known.iter().copied();
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let message = format!("{}: unknown key `{name}`", self.what);
                return Err(self.file.error(key.span(), message, hint(name, known_keys)));
            }
        }
        Ok(())
    }

    fn text(&self, key: &str) -> Result<Option<Text<'a>>, DeclareError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_str() {
            Some(text) => Ok(Some((text, value.span()))),
            None => Err(self.error(key, format!("`{key}` is not a text"), None)),
        }
    }

    fn needed(&self, key: &str) -> Result<&'a str, DeclareError> {
        match self.text(key)? {
            Some((text, _)) => Ok(text),
            None => Err(self.error(key, format!("`{key}` is missing"), None)),
        }
    }

    fn list(&self, key: &str) -> Result<Vec<String>, DeclareError> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let wrong = || self.error(key, format!("`{key}` is not a list of texts"), None);
        let items = value.get_ref().as_array().ok_or_else(wrong)?;
        items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(wrong))
            .collect()
    }

    fn number(&self, key: &str, least: u32, default: u32) -> Result<u32, DeclareError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|i| u32::from_str_radix(i.as_str(), i.radix()).ok());
        number.filter(|number| *number >= least).ok_or_else(|| {
            self.error(
                key,
                format!("`{key}` is not a whole number of at least {least}"),
                None,
            )
        })
    }

    fn core<T>(&self, key: &str, result: Result<T, CoreError>) -> Result<T, DeclareError> {
        result.map_err(|error| self.error(key, error.to_string(), None))
    }
}

fn stage<'a>(file: File<'a>, value: &'a Spanned<DeValue<'a>>) -> Result<StageDecl, DeclareError> {
    let mut block = Block::new(file, "stage".to_owned(), value)?;
    let named = block.table.get("table").and_then(|v| v.get_ref().as_str());
    if let Some(name) = named {
        block.what = format!("stage `{name}`");
    }
    block.only(&STAGE_KEYS)?;
    let table: TableId = block.core("table", block.needed("table")?.parse())?;
    let span = block.get("table").map_or(0..0, Spanned::span);
    let mut stage = StageDecl::new(table, kind(&block)?);
    stage.origin = file.origin(&span);
    stage.keys = block.list("keys")?;
    if let Some((word, _)) = block.text("grain")? {
        stage.grain = word.parse().map_err(|error: CoreError| {
            block.error("grain", error.to_string(), hint(word, GRAINS))
        })?;
    }
    stage.coverage = block.text("coverage")?.map(|(text, _)| text.to_owned());
    stage.primary_key = block.list("primary_key")?;
    stage.time_column = block.text("time_column")?.map(|(text, _)| text.to_owned());
    stage.contract = block.core("columns", block.needed("columns")?.parse())?;
    stage.tags = block.list("tags")?;
    stage.params = block.list("params")?;
    stage.version = block.number("version", 1, 1)?;
    stage.retries = block.number("retries", 0, 0)?;
    stage.audit = audit(&block)?;
    stage.description = block
        .text("description")?
        .map_or_else(String::new, |(text, _)| text.to_owned());
    stage.inputs = inputs(&block, stage.grain)?;
    check_columns(&block, &stage)?;
    check_partitions(&block, &stage)?;
    stage.checks = checks::checks(&block, &stage)?;
    Ok(stage)
}

fn kind(block: &Block<'_>) -> Result<StageKind, DeclareError> {
    let word = block.needed("kind")?;
    let kind = match word {
        "harvest" => StageKind::Harvest,
        "normalize" => StageKind::Normalize,
        "sql" => StageKind::Sql,
        "native" => StageKind::Native(block.needed("native")?.to_owned()),
        _ => {
            let message = format!("`{word}` is not a kind of stage");
            return Err(block.error("kind", message, hint(word, KINDS)));
        }
    };
    if word != "native" && block.get("native").is_some() {
        let message = format!("`native` names a function, but the kind is `{word}`");
        return Err(block.error("native", message, None));
    }
    Ok(kind)
}

fn audit(block: &Block<'_>) -> Result<Audit, DeclareError> {
    let reason = block.text("audit_reason")?.map(|(text, _)| text);
    match (block.text("audit")?.map(|(text, _)| text), reason) {
        (None, None) => Ok(Audit::Lookahead),
        (None, Some(_)) => Err(block.error(
            "audit_reason",
            "`audit_reason` stands without `audit = \"none\"`",
            None,
        )),
        (Some("none"), Some(reason)) if !reason.trim().is_empty() => Ok(Audit::None {
            reason: reason.to_owned(),
        }),
        (Some("none"), _) => {
            Err(block.error("audit", "`audit = \"none\"` needs an `audit_reason`", None))
        }
        (Some(word), _) => {
            let message = format!("`{word}` is not a kind of audit");
            Err(block.error("audit", message, hint(word, ["none"])))
        }
    }
}

fn inputs(block: &Block<'_>, grain: Grain) -> Result<Vec<StageInput>, DeclareError> {
    let Some(value) = block.get("inputs") else {
        return Ok(Vec::new());
    };
    let list = Block::new(block.file, format!("{}, inputs", block.what), value)?;
    let mut inputs = Vec::new();
    for (key, value) in list.table.iter() {
        let name = key.get_ref().as_ref();
        let wrong = |error: CoreError| {
            block
                .file
                .error(key.span(), format!("{}: {error}", block.what), None)
        };
        let table: TableId = name.parse().map_err(wrong)?;
        let what = format!("{}, input `{name}`", block.what);
        let input = input(block.file, &what, table, value)?;
        if grain == Grain::None && input.window.is_relative() {
            let message = format!(
                "{what}: `{}` counts from the partition's first day, but the stage has no grain",
                input.window
            );
            let advice = "use \"all\", or give the stage a grain".to_owned();
            return Err(block.file.error(value.span(), message, Some(advice)));
        }
        inputs.push(input);
    }
    inputs.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(inputs)
}

fn input<'a>(
    file: File<'a>,
    what: &str,
    table: TableId,
    value: &'a Spanned<DeValue<'a>>,
) -> Result<StageInput, DeclareError> {
    if let Some(word) = value.get_ref().as_str() {
        let window = named_window(word).ok_or_else(|| {
            let message = format!("{what}: `{word}` is not a window");
            let advice = hint(word, WINDOWS).unwrap_or_default();
            file.error(
                value.span(),
                message,
                Some(format!("{advice}; {WINDOW_HINT}")),
            )
        })?;
        return Ok(StageInput::new(table, window));
    }
    let block = Block::new(file, what.to_owned(), value)?;
    block.only(&WINDOW_KEYS)?;
    let mut input = StageInput::new(table, window(&block)?);
    match block.text("missing")?.map(|(text, _)| text) {
        None => {}
        Some("accept") => input.missing = Missing::Accept,
        Some("block") => input.missing = Missing::Block,
        Some(word) => {
            let message = format!("`{word}` is not a policy for missing rows");
            return Err(block.error("missing", message, hint(word, ["accept", "block"])));
        }
    }
    Ok(input)
}

fn named_window(word: &str) -> Option<Window> {
    match word {
        "self" => Some(Window::SelfPeriod),
        "all" => Some(Window::All),
        "all_before" => Some(Window::AllBefore),
        _ => None,
    }
}

fn window(block: &Block<'_>) -> Result<Window, DeclareError> {
    let named = block.text("window")?;
    let lookback = block.text("lookback")?;
    let latest = block.text("latest_before")?;
    let until = block.text("until")?.map(|(text, _)| text);
    if until.is_some() && lookback.is_none() {
        return Err(block.error("until", "`until` belongs to a `lookback`", None));
    }
    match (named, lookback, latest) {
        (Some((word, _)), None, None) => named_window(word).ok_or_else(|| {
            block.error(
                "window",
                format!("`{word}` is not a window"),
                hint(word, WINDOWS),
            )
        }),
        (None, Some((days, _)), None) => {
            let days = block.core("lookback", parse_days(days))?;
            let until_start = match until {
                None | Some("end") => false,
                Some("start") => true,
                Some(word) => {
                    let message = format!("`until` is `{word}`: expected `start` or `end`");
                    return Err(block.error("until", message, hint(word, ["start", "end"])));
                }
            };
            Ok(Window::Lookback { days, until_start })
        }
        (None, None, Some((age, _))) => Ok(Window::LatestBefore {
            max_age_days: block.core("latest_before", parse_days(age))?,
        }),
        _ => Err(block.error("", "expected exactly one window", WINDOW_HINT.to_owned())),
    }
}

fn check_columns(block: &Block<'_>, stage: &StageDecl) -> Result<(), DeclareError> {
    let names: Vec<&str> = stage
        .contract
        .columns()
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    let time = stage.time_column.as_slice();
    for (key, columns) in [
        ("keys", stage.keys.as_slice()),
        ("primary_key", stage.primary_key.as_slice()),
        ("time_column", time),
    ] {
        for column in columns {
            let Some(found) = stage.contract.get(column) else {
                let message = format!("`{column}` of `{key}` is not among the columns");
                return Err(block.error(key, message, hint(column, names.iter().copied())));
            };
            let right = match key {
                "keys" => found.kind == ColumnType::Utf8,
                "time_column" => matches!(found.kind, ColumnType::Ts | ColumnType::Date),
                _ => true,
            };
            if !right {
                let message = format!("`{found}` cannot be one of `{key}`");
                let advice = "keys are utf8, the time column is ts or date".to_owned();
                return Err(block.error(key, message, advice));
            }
        }
    }
    if stage.primary_key.is_empty() {
        return Err(block.error("primary_key", "`primary_key` is missing", None));
    }
    Ok(())
}

fn check_partitions(block: &Block<'_>, stage: &StageDecl) -> Result<(), DeclareError> {
    if stage.grain != Grain::None && stage.time_column.is_none() {
        return Err(block.error(
            "grain",
            "a grain needs a `time_column`",
            "the rows of a partition are those whose time column lies in its period".to_owned(),
        ));
    }
    for (i, key) in stage.keys.iter().enumerate() {
        if Grain::of_column(key).is_some() {
            let message = format!("`{key}` is the partition column of a grain, not a key");
            return Err(block.error("keys", message, "use `grain`".to_owned()));
        }
        if stage.keys[..i].contains(key) {
            return Err(block.error("keys", format!("`{key}` stands twice in `keys`"), None));
        }
    }
    let sourced = matches!(stage.kind, StageKind::Harvest | StageKind::Normalize);
    let partitioned = !stage.keys.is_empty() || stage.grain != Grain::None;
    if partitioned && !sourced && stage.coverage.is_none() {
        return Err(block.error(
            "coverage",
            "`coverage` is missing: which keys, and from which day?",
            "name a `[coverage.<name>]` block of the configuration".to_owned(),
        ));
    }
    Ok(())
}
