//! Reads stages from TOML. Every error names its line.

use std::collections::BTreeMap;
use std::ops::Range;

use lakectl_core::{ColumnType, CoreError, Grain, TableId};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Audit, DeclareError, Origin, StageDecl, StageKind};
use crate::nearest::hint;

mod inputs;

const STAGE_KEYS: [&str; 17] = [
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
];
const KINDS: [&str; 4] = ["harvest", "normalize", "sql", "native"];
const GRAINS: [&str; 4] = ["none", "year", "month", "day"];
/// Reads the `[[stage]]` blocks of one file, whose windows follow no parameters.
///
/// # Errors
/// [`DeclareError`] for the first thing that is not understood: its file, its line and, for a word, the nearest known one.
pub fn parse_stages(file_name: &str, text: &str) -> Result<Vec<StageDecl>, DeclareError> {
    parse_stages_with(file_name, text, &BTreeMap::new())
}

/// Like [`parse_stages`], with the values of the whole-number parameters that the length of a window may follow.
///
/// # Errors
/// As [`parse_stages`].
pub fn parse_stages_with(
    file_name: &str,
    text: &str,
    lengths: &BTreeMap<String, i64>,
) -> Result<Vec<StageDecl>, DeclareError> {
    let file = File {
        name: file_name,
        text,
        lengths,
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
    /// Whole-number parameters.
    lengths: &'a BTreeMap<String, i64>,
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
    stage.inputs = inputs::inputs(&block, stage.grain)?;
    check_columns(&block, &stage)?;
    check_partitions(&block, &stage)?;
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
    let twice = |(i, column): (usize, &String)| {
        let again = stage.primary_key[..i].contains(column);
        again.then(|| format!("`{column}` stands twice in `primary_key`"))
    };
    if let Some(message) = stage.primary_key.iter().enumerate().find_map(twice) {
        return Err(block.error("primary_key", message, None));
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
