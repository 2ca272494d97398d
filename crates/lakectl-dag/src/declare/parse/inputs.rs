//! Inputs of a stage and their windows.

use lakectl_core::{CoreError, Grain, TableId, parse_days};
use toml::Spanned;
use toml::de::DeValue;

use super::{Block, File};
use crate::declare::{DeclareError, Missing, StageInput};
use crate::{Window, nearest::hint};

const WINDOWS: [&str; 3] = ["self", "all", "all_before"];
const WINDOW_KEYS: [&str; 5] = ["window", "lookback", "until", "latest_before", "missing"];
const WINDOW_HINT: &str = "a window is \"self\", \"all\", \"all_before\", { lookback = \"90d\", until = \"start\" }, { lookback = \"some_days + 14d\" } with a parameter, or { latest_before = \"7d\" }";
/// The longest window.
const DAYS_MAX: i64 = 1_000_000;

pub(super) fn inputs(block: &Block<'_>, grain: Grain) -> Result<Vec<StageInput>, DeclareError> {
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
    let mut follows = Vec::new();
    let mut input = StageInput::new(table, window(&block, &mut follows)?);
    input.follows = follows;
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

/// Reads a length of time such as `90d`, `z_window_days` or `z_window_days + 14d`, and notes the parameters it follows.
fn days(
    block: &Block<'_>,
    key: &str,
    text: &str,
    follows: &mut Vec<String>,
) -> Result<i32, DeclareError> {
    let mut sum = 0_i64;
    for term in text.split('+').map(str::trim) {
        let is_name = term.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        sum += match is_name {
            false => i64::from(block.core(key, parse_days(term))?),
            true => {
                let known = block.file.lengths;
                follows.push(term.to_owned());
                *known.get(term).ok_or_else(|| {
                    let message = format!("`{term}` is no whole-number parameter of `[params]`");
                    block.error(key, message, hint(term, known.keys().map(String::as_str)))
                })?
            }
        };
        if !(-DAYS_MAX..=DAYS_MAX).contains(&sum) {
            break;
        }
    }
    match i32::try_from(sum) {
        Ok(days) if days > 0 && sum <= DAYS_MAX => Ok(days),
        _ => {
            let message = format!("`{text}` comes to {sum} days");
            let advice = format!("a window has from 1 to {DAYS_MAX} days");
            Err(block.error(key, message, advice))
        }
    }
}

fn window(block: &Block<'_>, follows: &mut Vec<String>) -> Result<Window, DeclareError> {
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
        (None, Some((text, _)), None) => {
            let days = days(block, "lookback", text, follows)?;
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
            max_age_days: days(block, "latest_before", age, follows)?,
        }),
        _ => Err(block.error("", "expected exactly one window", WINDOW_HINT.to_owned())),
    }
}
