//! `lakectl sql`: questions to one version of the lake; one, a file of them, or a shell.

mod asker;
mod bounds;
mod complete;
mod editor;
mod meta;
mod shell;
mod sink;
mod stop;
mod target;
mod text;

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::path::Path;

use anyhow::{Context as _, Result};
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::{Place, VersionRef};
use lakectl_pipeline::query::{Literal, SessionOptions, parse_param};

use self::asker::Asker;
use self::editor::TerminalEditor;
use super::Done;
use crate::args::{Format, SqlArgs};
use crate::context::Context;

pub(crate) fn sql(context: &Context, args: &SqlArgs) -> Result<Done> {
    let at = args.at.as_deref().map(place).transpose()?;
    // What cannot be written must not be computed first.
    let format = match &args.output {
        Some(file) => format_of(file, context.global.format)?,
        None if context.global.format == Format::Parquet => {
            return Err(PipelineError::usage(
                "Parquet goes to a file",
                "add `--output rows.parquet`",
            )
            .into());
        }
        None => context.global.format,
    };
    let memory = bounds::memory(
        args.memory.as_deref(),
        context.bench.settings.sql.memory.as_deref(),
    )?;
    let timeout = args.timeout.as_deref().map(bounds::duration).transpose()?;
    let options = SessionOptions {
        memory_bytes: memory,
        threads: args.threads,
    };
    let lake = context.lake()?;
    let mut session = context.bench.session_within(lake.clone(), None, options)?;
    if let Some(at) = &at {
        let snapshot = lake.look(at).map_err(PipelineError::from)?;
        session = session.at(snapshot).map_err(PipelineError::from)?;
    }
    let mut asker = Asker::new(context, lake, session)?;
    asker.format = format;
    asker.limit = args.limit;
    asker.timeout = timeout;
    asker.params = params(&args.param)?;
    match (&args.query, &args.file) {
        (Some(query), _) => {
            asker.refuse_unused(query)?;
            one(asker, query, args.output.as_deref())
        }
        (None, Some(file)) => {
            one_result_only(args)?;
            asker.finish(|asker| asker.file(file))
        }
        (None, None) if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() => {
            one_result_only(args)?;
            let mut editor = TerminalEditor::new()?;
            asker.finish(|asker| shell::run(asker, &mut editor))
        }
        (None, None) => {
            one_result_only(args)?;
            asker.finish(|asker| asker.script("standard input", lines(std::io::stdin().lock())))
        }
    }
}

/// Asks the one question of the command line.
fn one(mut asker: Asker<'_>, query: &str, output: Option<&str>) -> Result<Done> {
    asker.once = output.map(ToOwned::to_owned);
    asker.finish(|asker| asker.ask(query, None))
}

/// A file holds the rows of one statement.
fn one_result_only(args: &SqlArgs) -> Result<(), PipelineError> {
    match &args.output {
        None => Ok(()),
        Some(file) => Err(PipelineError::usage(
            format!(
                "`--output {file}` takes the rows of one query, and there is none on the command line"
            ),
            "put `\\o FILE` on a line before the statement whose rows the file shall have",
        )),
    }
}

/// The lines of a script, without their ends.
fn lines(input: impl BufRead) -> impl Iterator<Item = Result<String>> {
    input
        .lines()
        .map(|line| line.context("cannot read the statements"))
}

fn params(texts: &[String]) -> Result<BTreeMap<String, Literal>, PipelineError> {
    let read = texts.iter().map(|text| parse_param(text));
    read.map(|param| param.map_err(PipelineError::from))
        .collect()
}

/// Reads a version: of the branch at hand, or, with `@`, of another one.
fn place(text: &str) -> Result<Place, PipelineError> {
    let place = match text.contains('@') {
        true => text.parse().ok(),
        false => text.parse().ok().map(|version| Place {
            branch: None,
            version: Some(version),
        }),
    };
    // Before the first commit there is nothing to ask.
    let place = place.filter(|place: &Place| place.version != Some(VersionRef::Number(0)));
    place.ok_or_else(|| {
        PipelineError::usage(
            format!("`{text}` is neither a version nor a time"),
            "write a number from `log`, a day such as 2026-01-05, a time such as 2026-01-05T09:21:45Z, or `dev@3` for another branch",
        )
    })
}

/// The format of a file: by its name, unless a flag says otherwise.
fn format_of(file: &str, flag: Format) -> Result<Format, PipelineError> {
    let ending = Path::new(file)
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match (flag, ending.to_ascii_lowercase().as_str()) {
        (Format::Csv | Format::Parquet | Format::Json, _) => Ok(flag),
        (_, "csv") => Ok(Format::Csv),
        (_, "json") => Ok(Format::Json),
        (_, "parquet") => Ok(Format::Parquet),
        _ => Err(PipelineError::usage(
            format!("`{file}` ends neither in .csv, .json nor .parquet"),
            "say the format, for example `--format csv`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_its_format() {
        assert_eq!(format_of("a/b.CSV", Format::Text).unwrap(), Format::Csv);
        assert_eq!(format_of("a/b.csv", Format::Json).unwrap(), Format::Json);
        assert!(format_of("a/b.xls", Format::Text).is_err());
        for good in ["7", "2026-01-05", "main@3", "dev@2026-01-05T09:21:45Z"] {
            assert!(place(good).is_ok(), "{good}");
        }
        for bad in ["0", "main@0", "seven", "2026-13-05", "dev@soon"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
