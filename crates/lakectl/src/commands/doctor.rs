//! `lakectl doctor`: is everything where it should be?

use anyhow::Result;
use lakectl_pipeline::{PipelineError, Sources};
use serde::Serialize;

use super::Done;
use crate::context::Context;
use crate::render;

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub(crate) fn doctor(context: &Context) -> Result<Done> {
    let findings = vec![project(context), stages(context), lake(context), sources(context), program()];
    let well = findings.iter().all(|finding| finding.ok);
    if context.json() {
        render::json(&serde_json::json!({ "ok": well, "findings": findings }));
    } else {
        let rows = findings.iter().map(|f| {
            vec![if f.ok { "ok" } else { "look" }.to_owned(), f.what.to_owned(), f.detail.clone()]
        });
        render::out(&render::table(&["", "", ""], &[], rows.collect()));
    }
    Ok(if well { Done::Well } else { Done::WithFailures })
}

fn project(context: &Context) -> Finding {
    let bench = &context.bench;
    let place = match bench.project.root() {
        Some(root) => root.display().to_string(),
        None => "the files shipped with the program (no project folder found here)".to_owned(),
    };
    let params: Vec<String> = bench.settings.params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    Finding {
        what: "configuration",
        ok: true,
        detail: format!("profile {} in {place}; params: {}", bench.settings.profile, params.join(", ")),
    }
}

fn stages(context: &Context) -> Finding {
    let pipeline = &context.bench.assembly.pipeline;
    Finding { what: "stages", ok: true, detail: format!("{} stages, no cycle, every input known", pipeline.stages().len()) }
}

fn lake(context: &Context) -> Finding {
    let found = || -> Result<String> {
        let Some(lake) = context.lake_if_any()? else {
            return Ok(format!("none yet in {}; `lakectl run` makes it", context.lake_root()?.display()));
        };
        let head = lake.head().map_err(PipelineError::from)?;
        let cells: usize = head.cells.values().map(std::collections::BTreeMap::len).sum();
        Ok(format!("{}, version {}, {cells} partitions; the log is complete and undamaged", lake.root().display(), head.version))
    };
    finding("lake", found())
}

fn sources(context: &Context) -> Finding {
    let bench = &context.bench;
    let listed = Sources::list(&bench.settings, &bench.assembly.datasets).map(|sources| {
        let partitions: usize = sources.listings().values().map(Vec::len).sum();
        let empty: Vec<&str> = sources.listings().iter().filter(|(_, l)| l.is_empty()).map(|(t, _)| t.as_str()).collect();
        let mut text = format!("{} datasets with {partitions} partitions", sources.listings().len());
        if !empty.is_empty() {
            text.push_str(&format!("; nothing found for {}", empty.join(", ")));
        }
        text
    });
    finding("sources", listed.map_err(anyhow::Error::from))
}

fn program() -> Finding {
    Finding {
        what: "program",
        ok: true,
        detail: format!(
            "lakectl {}; this program reads LAKE_* variables only, never LAKECTL_* (another product's)",
            env!("CARGO_PKG_VERSION")
        ),
    }
}

fn finding(what: &'static str, result: Result<String>) -> Finding {
    match result {
        Ok(detail) => Finding { what, ok: true, detail },
        Err(error) => Finding { what, ok: false, detail: format!("{error:#}") },
    }
}
