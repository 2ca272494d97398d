//! `lakectl doctor`: is everything where it should be?

use anyhow::{Result, bail};
use lakectl_pipeline::{PipelineError, Sources};
use serde::Serialize;

use super::Done;
use crate::args::{Format, Global};
use crate::context::Context;
use crate::layout::{self, table};
use crate::render;

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub(crate) fn doctor(global: Global) -> Result<Done> {
    let json = global.format == Format::Json;
    let mut findings = Vec::new();
    let mut settings = serde_json::Map::new();
    match Context::open(global) {
        Ok(context) => {
            findings.extend([
                project(&context),
                stages(&context),
                lake(&context),
                sources(&context),
            ]);
            let effective = &context.bench.settings.effective;
            settings.extend(
                effective
                    .iter()
                    .map(|(path, value)| (path.clone(), serde_json::json!(value))),
            );
        }
        Err(error) => findings.push(finding("configuration", Err(error))),
    }
    findings.push(versions());
    let well = findings.iter().all(|finding| finding.ok);
    if json {
        render::json(
            &serde_json::json!({ "ok": well, "findings": findings, "settings": settings }),
        );
    } else {
        render::out(&text(&findings, &settings));
    }
    Ok(if well { Done::Well } else { Done::Unwell })
}

fn text(findings: &[Finding], settings: &serde_json::Map<String, serde_json::Value>) -> String {
    let width = layout::width();
    let mut lines: Vec<String> = Vec::new();
    for found in findings {
        let mark = if found.ok { "ok    " } else { "wrong " };
        let indent = " ".repeat(23);
        let detail = layout::wrap(&found.detail, width.saturating_sub(indent.len()), &indent);
        lines.push(format!(" {mark} {:<13}  {detail}", found.what));
    }
    if !settings.is_empty() {
        let rows = settings
            .iter()
            .map(|(path, value)| vec![path.clone(), value.to_string()]);
        lines.push(format!(
            "\n{}\n{}",
            render::heading("settings"),
            table(&["--set", "now"], &[], rows.collect())
        ));
    }
    lines.join("\n")
}

fn project(context: &Context) -> Finding {
    let bench = &context.bench;
    let place = match bench.project.root() {
        Some(root) => format!("the project in {}", root.display()),
        None => "the files shipped with the program (no project folder here or above)".to_owned(),
    };
    Finding {
        what: "configuration",
        ok: true,
        detail: format!("profile {} of {place}", bench.settings.profile),
    }
}

fn stages(context: &Context) -> Finding {
    let stages = context.bench.assembly.pipeline.stages().len();
    let checked = context.bench.check_every_query().map(|()| {
        format!(
            "{stages} stages, no cycle, every input known, every query gives the declared columns"
        )
    });
    finding("stages", checked.map_err(anyhow::Error::from))
}

fn lake(context: &Context) -> Finding {
    let found = || -> Result<String> {
        let Some(lake) = context.lake_if_any()? else {
            return Ok(format!(
                "none yet in {}; `lakectl run` makes it",
                context.shown_address()?
            ));
        };
        let head = lake.head().map_err(PipelineError::from)?;
        lake.check_newest().map_err(PipelineError::from)?;
        let cells: usize = head.cells.values().map(|cells| cells.len()).sum();
        Ok(format!(
            "{}, version {}, {cells} partitions; the newest version can be read, `verify` looks at every file",
            lake.root().display(),
            head.version
        ))
    };
    finding("lake", found())
}

fn sources(context: &Context) -> Finding {
    let bench = &context.bench;
    let listed =
        Sources::list(&bench.settings, &bench.assembly.datasets).map_err(anyhow::Error::from);
    let listed = listed.and_then(|sources| {
        if let Some((raw, error)) = sources.closed().first() {
            let more = match sources.closed().len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more such"),
            };
            bail!("{raw}: {error}{more}");
        }
        let partitions: usize = sources.listings().values().map(Vec::len).sum();
        let empty: Vec<&str> = sources
            .listings()
            .iter()
            .filter(|(_, l)| l.is_empty())
            .map(|(t, _)| t.as_str())
            .collect();
        let mut text = format!(
            "{} datasets with {partitions} partitions",
            sources.listings().len()
        );
        if !empty.is_empty() {
            text.push_str(&format!("; nothing found for {}", empty.join(", ")));
        }
        Ok(text)
    });
    finding("sources", listed)
}

fn versions() -> Finding {
    Finding {
        what: "versions",
        ok: true,
        detail: format!(
            "lakectl {}, query engine {}, parsers {}; reads LAKE_* variables only, never LAKECTL_* (another product's)",
            env!("CARGO_PKG_VERSION"),
            lakectl_pipeline::query::ENGINE_VERSION,
            lakectl_pipeline::PARSER_VERSION,
        ),
    }
}

fn finding(what: &'static str, result: Result<String>) -> Finding {
    match result {
        Ok(detail) => Finding {
            what,
            ok: true,
            detail,
        },
        Err(error) => {
            let hint = error
                .downcast_ref::<PipelineError>()
                .and_then(PipelineError::hint);
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            Finding {
                what,
                ok: false,
                detail: format!("{error:#}{hint}"),
            }
        }
    }
}
