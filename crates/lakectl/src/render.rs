//! The only place that prints: results to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Error;
use lakectl_pipeline::PipelineError;
use serde::Serialize;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::{Color, Global};

/// Whether results, and what goes to standard error, are coloured: each may go elsewhere.
static COLOR_OUT: AtomicBool = AtomicBool::new(false);
static COLOR_ERR: AtomicBool = AtomicBool::new(false);
static QUIET: AtomicBool = AtomicBool::new(false);

/// Sets up colour and logging.
pub(crate) fn start(global: &Global) {
    let wanted = |terminal: bool| match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    };
    let color = wanted(std::io::stderr().is_terminal());
    COLOR_OUT.store(wanted(std::io::stdout().is_terminal()), Ordering::Relaxed);
    COLOR_ERR.store(color, Ordering::Relaxed);
    QUIET.store(global.quiet, Ordering::Relaxed);
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "lakectl=debug,info",
        _ => "debug",
    };
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("LAKE_LOG").unwrap_or_else(|_| level.into());
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(color)
        .with_writer(std::io::stderr)
        .with_filter(filter);
    let listeners = tracing_subscriber::registry().with(log);
    #[cfg(feature = "otel")]
    let listeners = listeners.with(crate::telemetry::layer());
    // A second logger in one process would be a defect, but no reason to stop.
    let _ = listeners.try_init();
}

fn paint(on: &AtomicBool, code: &str, text: &str) -> String {
    if on.load(Ordering::Relaxed) {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Prints text to standard output; a closed pipe is nobody's error.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = stdout.write_all(b"\n");
    }
}

/// Standard output as a stream, for results that are printed while they come.
pub(crate) fn stream() -> impl Write + Send {
    std::io::stdout()
}

/// Prints one object as JSON.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => out(&text),
        Err(failure) => alarm(&format!("cannot write JSON: {failure}")),
    }
}

/// Prints a remark to standard error, unless only results and errors are wanted.
pub(crate) fn note(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        alarm(text);
    }
}

/// Prints what nobody may miss to standard error.
pub(crate) fn alarm(text: &str) {
    // A closed standard error is nobody's error.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints an error with its causes and what to do about it.
pub(crate) fn error(error: &Error) {
    let mut text = error.to_string();
    let mut hint = None;
    for cause in error.chain() {
        if let Some(known) = cause.downcast_ref::<PipelineError>() {
            hint = hint.or(known.hint());
        }
    }
    for cause in error.chain().skip(1) {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
    }
    alarm(&format!("{} {text}", paint(&COLOR_ERR, "31;1", "error:")));
    if let Some(hint) = hint.filter(|hint| !text.contains(hint.as_str())) {
        alarm(&format!("  {} {hint}", paint(&COLOR_ERR, "36", "hint:")));
    }
}

/// A heading in a summary.
pub(crate) fn heading(text: &str) -> String {
    paint(&COLOR_OUT, "1", text)
}

/// Something between headings and text: the heads of columns.
pub(crate) fn faint(text: &str) -> String {
    paint(&COLOR_OUT, "2", text)
}

/// Writes a count with thin groups: 1,234,567.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a number of bytes for people.
pub(crate) fn bytes(value: u64) -> String {
    let mut amount = value as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 1024.0 {
            return if unit == "B" {
                format!("{amount:.0} B")
            } else {
                format!("{amount:.1} {unit}")
            };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} TiB")
}
