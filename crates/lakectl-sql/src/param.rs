//! Values of parameters as people write them.

use std::str::FromStr;

use lakectl_core::{Day, UtcTime};

use crate::{Literal, SqlError};

/// The types that `name:type=value` knows.
const TYPES: [&str; 6] = ["int", "float", "bool", "date", "timestamp", "text"];

/// Reads `name=value` or `name:type=value`. Without a type the value says it: a whole number, a number, `true` or
/// `false`, a date (`2026-01-05`), a time (`2026-01-05T09:21:45Z`), else text. A name of digits is `$1`, `$2`, ...
///
/// # Errors
/// [`SqlError::BadParam`] naming what is wrong.
pub fn parse_param(text: &str) -> Result<(String, Literal), SqlError> {
    let bad = |problem: String| SqlError::BadParam {
        text: text.to_owned(),
        problem,
    };
    let (left, value) = text
        .split_once('=')
        .ok_or_else(|| bad("there is no `=`".to_owned()))?;
    let (name, kind) = match left.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (left, None),
    };
    let name = name.strip_prefix('$').unwrap_or(name);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let number = name.bytes().all(|b| b.is_ascii_digit());
    let starts_well = number || !name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || !name.chars().all(word) || !starts_well {
        return Err(bad(format!(
            "`{name}` is neither a name of letters, digits and `_` nor a number"
        )));
    }
    let literal = match kind {
        None => infer(value),
        Some(kind) => typed(kind, value).map_err(bad)?,
    };
    Ok((name.to_owned(), literal))
}

fn infer(value: &str) -> Literal {
    let number = value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if let (true, Ok(whole)) = (number, value.parse()) {
        return Literal::Int(whole);
    }
    if let (true, Some(float)) = (number, finite(value)) {
        return Literal::Float(float);
    }
    match value {
        "true" => return Literal::Bool(true),
        "false" => return Literal::Bool(false),
        _ => {}
    }
    if let Ok(day) = Day::from_str(value) {
        return Literal::Day(day);
    }
    match UtcTime::from_str(value) {
        Ok(time) => Literal::Time(time),
        Err(_) => Literal::Text(value.to_owned()),
    }
}

fn finite(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

fn typed(kind: &str, value: &str) -> Result<Literal, String> {
    let read = match kind {
        "text" => Some(Literal::Text(value.to_owned())),
        "int" => value.parse().ok().map(Literal::Int),
        "float" => finite(value).map(Literal::Float),
        "bool" => value.parse().ok().map(Literal::Bool),
        "date" => value.parse().ok().map(Literal::Day),
        "timestamp" => value.parse().ok().map(Literal::Time),
        _ => {
            return Err(format!(
                "`{kind}` is no type; there are {}",
                TYPES.join(", ")
            ));
        }
    };
    read.ok_or_else(|| format!("`{value}` is no {kind}"))
}
