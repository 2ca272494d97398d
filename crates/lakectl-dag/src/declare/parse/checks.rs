//! Reads the `[[stage.check]]` blocks of a stage.

use lakectl_core::{Column, ColumnType, Grain, Severity, TableId, parse_days, parse_hours};
use toml::Spanned;
use toml::de::DeValue;

use super::Block;
use super::inputs::input;
use crate::declare::check::{CheckDecl, CheckRule, SqlText};
use crate::declare::{DeclareError, StageDecl, StageInput};
use crate::nearest::hint;
use crate::{Missing, Window};

const CHECK_KEYS: [&str; 11] = [
    "name",
    "severity",
    "description",
    "inputs",
    "unique",
    "not_null",
    "range",
    "rows",
    "freshness",
    "foreign_key",
    "sql",
];
const RULES: [&str; 7] = [
    "unique",
    "not_null",
    "range",
    "rows",
    "freshness",
    "foreign_key",
    "sql",
];
const SEVERITIES: [&str; 2] = ["warn", "block"];

/// Reads all checks of a stage whose columns are known already.
pub(super) fn checks(block: &Block<'_>, stage: &StageDecl) -> Result<Vec<CheckDecl>, DeclareError> {
    let Some(value) = block.get("check") else {
        return Ok(Vec::new());
    };
    let Some(blocks) = value.get_ref().as_array() else {
        let advice = "a check begins with `[[stage.check]]`".to_owned();
        return Err(block.error("check", "`check` is not a list", advice));
    };
    let mut checks: Vec<CheckDecl> = Vec::new();
    for value in blocks.iter() {
        let check = check(block, stage, value)?;
        if let Some(first) = checks.iter().find(|first| first.name == check.name) {
            let what = format!("{}: check `{}`", block.what, check.name);
            let message = format!("{what}: the name stands twice, first at {}", first.origin);
            return Err(block.file.error(value.span(), message, None));
        }
        checks.push(check);
    }
    Ok(checks)
}

fn check<'a>(
    of: &Block<'a>,
    stage: &StageDecl,
    value: &'a Spanned<DeValue<'a>>,
) -> Result<CheckDecl, DeclareError> {
    let mut block = Block::new(of.file, format!("{}, check", of.what), value)?;
    let name = block.needed("name")?;
    block.what = format!("{}, check `{name}`", of.what);
    block.only(&CHECK_KEYS)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        let advice = "a name is made of a-z, 0-9 and _".to_owned();
        return Err(block.error("name", format!("`{name}` is not a name"), advice));
    }
    let rule = rule(&block, stage)?;
    let severity = severity(&block, &rule)?;
    let mut check = CheckDecl::new(name, rule, severity);
    check.origin = block
        .file
        .origin(&block.get("name").map_or(0..0, Spanned::span));
    check.description = block
        .text("description")?
        .map_or_else(String::new, |(text, _)| text.to_owned());
    check.inputs = inputs(&block, stage, &check.rule)?;
    Ok(check)
}

fn severity(block: &Block<'_>, rule: &CheckRule) -> Result<Severity, DeclareError> {
    let clock = matches!(rule, CheckRule::Freshness { .. });
    match block.text("severity")?.map(|(text, _)| text) {
        None if clock => Ok(Severity::Warn),
        None => Ok(Severity::Block),
        Some("warn") => Ok(Severity::Warn),
        Some("block") if clock => Err(block.error(
            "severity",
            "freshness depends on the clock, so it can only warn",
            "leave `severity` out".to_owned(),
        )),
        Some("block") => Ok(Severity::Block),
        Some(word) => {
            let message = format!("`{word}` is not a severity");
            Err(block.error("severity", message, hint(word, SEVERITIES)))
        }
    }
}

fn rule(block: &Block<'_>, stage: &StageDecl) -> Result<CheckRule, DeclareError> {
    let given: Vec<&str> = RULES
        .into_iter()
        .filter(|rule| block.get(rule).is_some())
        .collect();
    let [word] = given.as_slice() else {
        let message = match given.len() {
            0 => "it asks nothing".to_owned(),
            _ => format!("it asks several things: {}", given.join(", ")),
        };
        let advice = format!("a check has one of {}", RULES.join(", "));
        return Err(block.error("", message, advice));
    };
    match *word {
        "unique" => columns(block, word, stage).map(CheckRule::Unique),
        "not_null" => columns(block, word, stage).map(CheckRule::NotNull),
        "range" => range(block, stage),
        "rows" => rows(block, stage),
        "foreign_key" => foreign_key(block, stage),
        "sql" => {
            let text = block.needed(word)?.trim();
            Ok(CheckRule::Sql(match text.ends_with(".sql") {
                true => SqlText::File(format!("sql/checks/{text}")),
                false => SqlText::Inline(text.to_owned()),
            }))
        }
        _ => {
            if stage.time_column.is_none() {
                let message = "`freshness` needs a stage with a `time_column`";
                return Err(block.error(word, message, None));
            }
            let hours = block.core(word, parse_hours(block.needed(word)?))?;
            Ok(CheckRule::Freshness { hours })
        }
    }
}

fn known<'s>(
    block: &Block<'_>,
    key: &str,
    name: &str,
    stage: &'s StageDecl,
) -> Result<&'s Column, DeclareError> {
    stage.contract.get(name).ok_or_else(|| {
        let names = stage.contract.columns().iter().map(|c| c.name.as_str());
        let message = format!("`{name}` of `{key}` is not among the columns");
        block.error(key, message, hint(name, names))
    })
}

fn columns(block: &Block<'_>, key: &str, stage: &StageDecl) -> Result<Vec<String>, DeclareError> {
    let names = block.list(key)?;
    if names.is_empty() {
        return Err(block.error(key, format!("`{key}` names no column"), None));
    }
    for name in &names {
        known(block, key, name, stage)?;
    }
    Ok(names)
}

fn inner<'a>(block: &Block<'a>, key: &str, keys: &[&str]) -> Result<Block<'a>, DeclareError> {
    let value = block
        .get(key)
        .ok_or_else(|| block.error(key, format!("`{key}` is missing"), None))?;
    let inner = Block::new(block.file, format!("{}, {key}", block.what), value)?;
    inner.only(keys)?;
    Ok(inner)
}

fn range(block: &Block<'_>, stage: &StageDecl) -> Result<CheckRule, DeclareError> {
    let block = inner(block, "range", &["column", "min", "max"])?;
    let name = block.needed("column")?;
    let column = known(&block, "column", name, stage)?;
    if !matches!(column.kind, ColumnType::F64 | ColumnType::I64) {
        let message = format!("`{column}` is not a number");
        return Err(block.error("column", message, None));
    }
    let (min, max) = band(&block)?;
    Ok(CheckRule::Range {
        column: name.to_owned(),
        min,
        max,
    })
}

fn rows(block: &Block<'_>, stage: &StageDecl) -> Result<CheckRule, DeclareError> {
    let block = inner(block, "rows", &["min", "max", "median"])?;
    let (min, max) = band(&block)?;
    if let Some((days, _)) = block.text("median")? {
        if stage.grain == Grain::None {
            let message = "a table without a grain has no partitions before this one";
            return Err(block.error("median", message, None));
        }
        let days = block.core("median", parse_days(days))?;
        return Ok(CheckRule::RowsOfMedian { days, min, max });
    }
    let whole = |key: &str, number: Option<f64>| match number {
        None => Ok(None),
        Some(number) if number >= 0.0 && number.fract() == 0.0 => Ok(Some(number as u64)),
        Some(_) => Err(block.error(
            key,
            format!("`{key}` is not a whole number of at least 0"),
            "shares of the median need `median = \"30d\"`".to_owned(),
        )),
    };
    Ok(CheckRule::Rows {
        min: whole("min", min)?,
        max: whole("max", max)?,
    })
}

fn band(block: &Block<'_>) -> Result<(Option<f64>, Option<f64>), DeclareError> {
    let (min, max) = (number(block, "min")?, number(block, "max")?);
    match (min, max) {
        (None, None) => Err(block.error("", "neither `min` nor `max` is given", None)),
        (Some(min), Some(max)) if min > max => {
            let message = format!("`min` is {min}, above `max`, which is {max}");
            Err(block.error("min", message, None))
        }
        band => Ok(band),
    }
}

fn number(block: &Block<'_>, key: &str) -> Result<Option<f64>, DeclareError> {
    let Some(value) = block.get(key) else {
        return Ok(None);
    };
    let value = value.get_ref();
    let whole = value
        .as_integer()
        .and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok())
        .map(|number| number as f64);
    let number = whole.or_else(|| value.as_float()?.as_str().parse().ok());
    match number.filter(|number: &f64| number.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(block.error(key, format!("`{key}` is not a number"), None)),
    }
}

fn foreign_key(block: &Block<'_>, stage: &StageDecl) -> Result<CheckRule, DeclareError> {
    let block = inner(block, "foreign_key", &["columns", "table", "references"])?;
    let columns = columns(&block, "columns", stage)?;
    let table: TableId = block.core("table", block.needed("table")?.parse())?;
    let references = match block.get("references") {
        Some(_) => block.list("references")?,
        None => columns.clone(),
    };
    if references.len() != columns.len() {
        let message = format!(
            "{} columns refer to {} columns",
            columns.len(),
            references.len()
        );
        return Err(block.error("references", message, None));
    }
    Ok(CheckRule::ForeignKey {
        columns,
        table,
        references,
    })
}

/// Reads the declared windows, and adds those that the rule itself needs.
fn inputs(
    block: &Block<'_>,
    stage: &StageDecl,
    rule: &CheckRule,
) -> Result<Vec<StageInput>, DeclareError> {
    let mut inputs: Vec<StageInput> = Vec::new();
    if let Some(value) = block.get("inputs") {
        if !matches!(rule, CheckRule::Sql(_) | CheckRule::ForeignKey { .. }) {
            let message = format!("`{}` reads no other table", rule.word());
            return Err(block.error("inputs", message, None));
        }
        let list = Block::new(block.file, format!("{}, inputs", block.what), value)?;
        for (key, value) in list.table.iter() {
            let name = key.get_ref().as_ref();
            let table: TableId = block.core("inputs", name.parse())?;
            let what = format!("{}, input `{name}`", block.what);
            let mut input = input(block.file, &what, table, value)?;
            // A check looks at what there is; what is held back elsewhere is no reason to hold this back.
            input.missing = Missing::Accept;
            if stage.grain == Grain::None && input.window.is_relative() {
                let message = format!(
                    "{what}: `{}` counts from the partition's first day, but the stage has no grain",
                    input.window
                );
                return Err(block.file.error(value.span(), message, None));
            }
            if input.table == stage.table && !ends_before(input.window) {
                let message = format!(
                    "{what}: `{}` holds the checked partition itself",
                    input.window
                );
                let advice = "its rows are there anyway; the partitions before it are { lookback = \"30d\", until = \"start\" }";
                return Err(block
                    .file
                    .error(value.span(), message, Some(advice.to_owned())));
            }
            inputs.push(input);
        }
    }
    let mut needs = |table: &TableId, window: Window| {
        if inputs.iter().all(|input| input.table != *table) {
            let mut input = StageInput::new(table.clone(), window);
            input.missing = Missing::Accept;
            inputs.push(input);
        }
    };
    match rule {
        CheckRule::ForeignKey { table, .. } => needs(table, Window::SelfPeriod),
        CheckRule::RowsOfMedian { days, .. } => needs(
            &stage.table,
            Window::Lookback {
                days: *days,
                until_start: true,
            },
        ),
        _ => {}
    }
    inputs.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(inputs)
}

/// Tells whether a window ends before the partition that it belongs to.
fn ends_before(window: Window) -> bool {
    match window {
        Window::Lookback { until_start, .. } => until_start,
        Window::AllBefore | Window::LatestBefore { .. } => true,
        Window::SelfPeriod | Window::All => false,
    }
}
