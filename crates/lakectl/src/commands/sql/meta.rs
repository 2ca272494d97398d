//! The commands of the shell that begin with a backslash.

use std::collections::BTreeSet;

use anyhow::Result;
use lakectl_core::TableId;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::nearest;
use lakectl_pipeline::query::{TableInfo, TableKind, parse_param};

use super::asker::Asker;
use super::{format_of, place};
use crate::args::Format;
use crate::commands::Done;
use crate::layout::{table, width, wrap};
use crate::render;

/// Name, argument, what it does.
pub(super) const COMMANDS: [(&str, &str, &str); 12] = [
    (
        "\\d",
        "[TABLE]",
        "list the tables; of one: columns, keys, partitions, rows",
    ),
    (
        "\\df",
        "[PATTERN]",
        "list functions (`*` stands for anything); of one: what it computes",
    ),
    ("\\at", "VERSION|TIME", "ask an earlier version"),
    ("\\refresh", "", "ask the newest version"),
    (
        "\\param",
        "[NAME=VALUE]",
        "set the parameter $NAME; list all",
    ),
    (
        "\\o",
        "FILE",
        "write the rows of the next statement to a .csv, .json or .parquet file",
    ),
    ("\\i", "FILE", "run the statements of a file"),
    (
        "\\timing",
        "",
        "say how long each statement took, or no longer",
    ),
    ("\\x", "", "one line a value, or one line a row again"),
    ("\\limit", "N", "show at most so many rows"),
    ("\\?", "", "this list"),
    ("\\q", "", "leave, as Ctrl-D does"),
];

/// What comes after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next line, unless the command ended badly.
    Go(Done),
    /// Nothing.
    Quit,
}

/// Runs one command.
pub(super) fn run(asker: &mut Asker<'_>, line: &str) -> Result<Next> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (command, argument) = match line.split_once(char::is_whitespace) {
        Some((command, argument)) => (command, Some(argument.trim())),
        None => (line, None),
    };
    match (command, argument) {
        ("\\q", None) => return Ok(Next::Quit),
        ("\\?", None) => render::out(&help()),
        ("\\d", None) => render::out(&tables(asker)),
        ("\\d", Some(name)) => render::out(&described(asker, name)?),
        ("\\df", pattern) => render::out(&functions(asker, pattern)?),
        ("\\at", Some(text)) => {
            let snapshot = asker
                .lake
                .look(&place(text)?)
                .map_err(PipelineError::from)?;
            open(asker, snapshot)?;
        }
        ("\\refresh", None) => {
            let snapshot = asker.lake.head().map_err(PipelineError::from)?;
            open(asker, snapshot)?;
        }
        ("\\param", None) => render::out(&params(asker)),
        ("\\param", Some(text)) => {
            let (name, value) = parse_param(text).map_err(PipelineError::from)?;
            asker.params.insert(name, value);
        }
        ("\\o", Some(file)) => {
            // A wrong name is told now, not after the query.
            format_of(file, Format::Text)?;
            asker.once = Some(file.to_owned());
        }
        ("\\i", Some(file)) => return asker.file(file).map(Next::Go),
        ("\\timing", None) => {
            asker.timing = !asker.timing;
            render::note(on_off("timing", asker.timing));
        }
        ("\\x", None) => {
            asker.expanded = !asker.expanded;
            render::note(on_off("one line a value", asker.expanded));
        }
        ("\\limit", Some(number)) => {
            asker.limit = number.parse().map_err(|_| {
                PipelineError::usage(
                    format!("`{number}` is no number of rows"),
                    "for example `\\limit 1000`",
                )
            })?;
        }
        (command, _) => return Err(wrong(command).into()),
    }
    Ok(Next::Go(Done::Well))
}

fn wrong(command: &str) -> PipelineError {
    let known = COMMANDS.iter().find(|(name, _, _)| *name == command);
    match known {
        Some((name, "", _)) => PipelineError::usage(
            format!("`{name}` takes no argument"),
            "`\\?` lists the commands",
        ),
        Some((name, argument, _)) => PipelineError::usage(
            format!("`{name}` needs its argument: `{name} {argument}`"),
            "`\\?` lists the commands",
        ),
        None => {
            let names = COMMANDS.iter().map(|(name, _, _)| *name);
            let close = nearest(command, names);
            let hint = match close.first() {
                Some(close) => format!("did you mean `{close}`? `\\?` lists the commands"),
                None => "`\\?` lists the commands".to_owned(),
            };
            PipelineError::usage(format!("there is no command `{command}`"), hint)
        }
    }
}

fn on_off(what: &str, on: bool) -> &'static str {
    match (what, on) {
        ("timing", true) => "timing is on",
        ("timing", false) => "timing is off",
        (_, true) => "one line a value",
        (_, false) => "one line a row",
    }
}

fn open(asker: &mut Asker<'_>, snapshot: lakectl_pipeline::lake::Snapshot) -> Result<()> {
    let (number, time) = (snapshot.version, snapshot.time);
    asker.session = asker.session.at(snapshot).map_err(PipelineError::from)?;
    render::note(&format!("version {number}, published {time}"));
    Ok(())
}

fn help() -> String {
    let rows = COMMANDS.iter().map(|(name, argument, what)| {
        vec![
            format!("{name} {argument}").trim_end().to_owned(),
            (*what).to_owned(),
        ]
    });
    let mut text = table(&["", ""], &[], rows.collect());
    text.push_str("\nA statement ends with `;` and may have many lines. Ctrl-C stops a query, or empties the line.");
    text
}

fn params(asker: &Asker<'_>) -> String {
    match asker.params.is_empty() {
        true => "(no parameter is set)".to_owned(),
        false => {
            let lines = asker
                .params
                .iter()
                .map(|(name, value)| format!("${name} = {value:?}"));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

/// Tables and unions that the configuration still declares; the lake keeps the others for as long as versions hold them.
fn declared(asker: &Asker<'_>) -> BTreeSet<TableId> {
    let pipeline = &asker.context.bench.assembly.pipeline;
    let tables = pipeline.tables().iter().map(|(table, _)| table);
    tables.chain(pipeline.unions().keys()).cloned().collect()
}

fn tables(asker: &Asker<'_>) -> String {
    let declared = declared(asker);
    let infos = asker
        .session
        .tables()
        .filter_map(|id| asker.session.describe(id));
    let rows = infos.map(|info| {
        let note = match info.kind {
            TableKind::View => format!("union of {} tables", info.members.len()),
            TableKind::System => "system".to_owned(),
            TableKind::Table if !declared.contains(&info.id) => "no longer declared".to_owned(),
            TableKind::Table => String::new(),
        };
        vec![
            info.id.to_string(),
            info.rows.map(render::count).unwrap_or_default(),
            match info.kind {
                TableKind::System => String::new(),
                _ => render::count(info.partitions as u64),
            },
            match info.bytes {
                0 => String::new(),
                bytes => render::bytes(bytes),
            },
            info.times
                .map(|(_, last)| last.to_string())
                .unwrap_or_default(),
            note,
        ]
    });
    let snapshot = asker.session.version();
    format!(
        "{}\n(version {}, published {})",
        table(
            &["table", "rows", "partitions", "size", "newest", ""],
            &[1, 2, 3],
            rows.collect()
        ),
        snapshot.version,
        snapshot.time
    )
}

fn described(asker: &Asker<'_>, name: &str) -> Result<String, PipelineError> {
    let info = find(asker, name)?;
    let columns = info.columns.iter().map(|column| {
        let key = info.primary_key.contains(&column.name);
        let partition = info.keys.contains(&column.name);
        let note = match (key, partition) {
            (true, true) => "key, partition",
            (true, false) => "key",
            (false, true) => "partition",
            (false, false) => "",
        };
        let null = if column.nullable { "may be null" } else { "" };
        vec![
            column.name.clone(),
            column.kind.clone(),
            note.to_owned(),
            null.to_owned(),
        ]
    });
    let mut text = format!(
        "{}\n{}",
        render::heading(info.id.as_str()),
        table(&["column", "type", "", ""], &[], columns.collect())
    );
    if let Some(rows) = info.rows {
        let keys = match info.keys.is_empty() {
            true => String::new(),
            false => format!(" by {}", info.keys.join(", ")),
        };
        text.push_str(&format!(
            "\n{} rows, {} in {} partitions{keys}",
            render::count(rows),
            render::bytes(info.bytes),
            render::count(info.partitions as u64),
        ));
    }
    if let Some((first, last)) = info.times {
        text.push_str(&format!("\nfrom {first} to {last}"));
    }
    if !info.members.is_empty() {
        let members: Vec<&str> = info.members.iter().map(TableId::as_str).collect();
        text.push('\n');
        text.push_str(&wrap(
            &format!("union of {}", members.join(", ")),
            width(),
            "  ",
        ));
    }
    if info.kind == TableKind::Table && !declared(asker).contains(&info.id) {
        text.push_str("\nno longer declared by the configuration: runs leave it as it is");
    }
    Ok(text)
}

fn find(asker: &Asker<'_>, name: &str) -> Result<TableInfo, PipelineError> {
    let session = &asker.session;
    let exact = name
        .parse::<TableId>()
        .ok()
        .and_then(|id| session.describe(&id));
    if let Some(info) = exact {
        return Ok(info);
    }
    let named: Vec<&TableId> = session.tables().filter(|id| id.name() == name).collect();
    if let [only] = named.as_slice()
        && let Some(info) = session.describe(only)
    {
        return Ok(info);
    }
    let mut close: Vec<&str> = named.iter().map(|id| id.as_str()).collect();
    if close.is_empty() {
        close = nearest(name, session.tables().map(TableId::as_str));
    }
    Err(PipelineError::usage(
        format!("there is no table `{name}` in this version"),
        match close.is_empty() {
            true => "`\\d` lists all tables".to_owned(),
            false => format!("did you mean `{}`?", close.join("`, `")),
        },
    ))
}

fn functions(asker: &Asker<'_>, pattern: Option<&str>) -> Result<String, PipelineError> {
    let all = asker.session.functions();
    let Some(pattern) = pattern else {
        let ours: Vec<_> = all.iter().filter(|function| function.ours).collect();
        let rows = ours.iter().map(|f| vec![f.signature.clone()]).collect();
        return Ok(format!(
            "{}\n({} of ours; `\\df NAME` says what one computes, `\\df *` lists {} of the engine too)",
            table(&[""], &[], rows),
            ours.len(),
            all.len() - ours.len()
        ));
    };
    let pattern = pattern.to_lowercase();
    let found: Vec<_> = all.iter().filter(|f| matches(&pattern, &f.name)).collect();
    match found.as_slice() {
        [] => {
            let close = nearest(&pattern, all.iter().map(|f| f.name.as_str()));
            Err(PipelineError::usage(
                format!("there is no function `{pattern}`"),
                match close.is_empty() {
                    true => "`*` stands for anything: `\\df *vol*`".to_owned(),
                    false => format!("did you mean `{}`?", close.join("`, `")),
                },
            ))
        }
        few if few.len() <= 3 => Ok(few
            .iter()
            .map(|f| {
                let (signature, doc) = (
                    render::heading(&f.signature),
                    wrap(&f.doc, width() - 2, "  "),
                );
                format!("{signature}\n  {doc}")
            })
            .collect::<Vec<_>>()
            .join("\n\n")),
        many => Ok(table(
            &["", ""],
            &[],
            many.iter()
                .map(|f| {
                    vec![
                        f.signature.clone(),
                        if f.ours { "ours" } else { "" }.to_owned(),
                    ]
                })
                .collect(),
        )),
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, fits) in [
            ("zscore", "zscore", true),
            ("zscore", "zscores", false),
            ("*vol*", "implied_vol_coin", true),
            ("svi_*", "svi_fit", true),
            ("*fit", "svi_fit", true),
            ("s*f*t", "svi_fit", true),
            ("s*x*t", "svi_fit", false),
            ("*", "anything", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn wrong_commands_say_what_is_right() {
        for (command, words) in [
            ("\\tming", "did you mean `\\timing`?"),
            ("\\at", "`\\at VERSION|TIME`"),
            ("\\q", "takes no argument"),
        ] {
            let error = wrong(command);
            let text = format!("{error} {}", error.hint().unwrap_or_default());
            assert!(text.contains(words), "{text}");
        }
    }
}
