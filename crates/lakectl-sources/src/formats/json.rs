//! JSON bodies: what is wrong with one, and the literals that Python writes and JSON does not know.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::reject::{DocumentError, Reason, cut};

/// Reads a whole body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DocumentError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let error = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.classify() == Category::Syntax
        && let Some(quoted) = quote_literals(body)
        && let Ok(value) = serde_json::from_slice(&quoted)
    {
        return Ok(value);
    }
    Err(explain(body, &error))
}

fn explain(body: &[u8], error: &serde_json::Error) -> DocumentError {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(first, Some(b'{' | b'[')) {
        return DocumentError::new(Reason::UnknownFormat, "not JSON");
    }
    match error.classify() {
        Category::Eof => DocumentError::new(Reason::Truncated, error.to_string()),
        Category::Data => match vendor_error(body) {
            Some(text) => DocumentError::new(Reason::VendorError, text),
            None => DocumentError::new(Reason::UnknownFormat, error.to_string()),
        },
        Category::Syntax | Category::Io => DocumentError::new(Reason::Damaged, error.to_string()),
    }
}

/// The message of a body that is an error object although its HTTP status was fine.
fn vendor_error(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let object = value.as_object()?;
    ["error", "errors", "message", "error_message"]
        .iter()
        .filter_map(|key| object.get(*key))
        .find(|value| !value.is_null())
        .map(|value| cut(&value.to_string()))
}

/// Puts bare `NaN`, `Infinity` and `-Infinity` into quotes; `None` if there are none.
fn quote_literals(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() + 16);
    let mut inside_text = false;
    let mut changed = false;
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        let literal = [b"-Infinity".as_slice(), b"Infinity", b"NaN"]
            .into_iter()
            .find(|literal| !inside_text && rest.starts_with(literal));
        if let Some(literal) = literal {
            out.push(b'"');
            out.extend_from_slice(literal);
            out.push(b'"');
            at += literal.len();
            changed = true;
            continue;
        }
        out.push(rest[0]);
        at += 1;
        match rest[0] {
            b'"' => inside_text = !inside_text,
            b'\\' if inside_text && at < body.len() => {
                out.push(body[at]);
                at += 1;
            }
            _ => {}
        }
    }
    changed.then_some(out)
}

/// The element of a list as text, for rejects.
pub(crate) fn list_text(values: &[crate::number::Scalar]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join(","))
}
