//! `lakectl override`: decide against the machine, and say why.

use anyhow::Result;
use lakectl_core::TaskKey;
use lakectl_pipeline::{Act, Override, PipelineError, Ruling};
use serde::Serialize;

use super::Done;
use crate::args::{OverrideCommand, TaskArgs};
use crate::context::{Context, now, who};
use crate::layout::table;
use crate::render;

#[derive(Serialize)]
struct ActJson {
    who: String,
    when: String,
    why: String,
}

#[derive(Serialize)]
struct OverrideJson<'a> {
    id: &'a str,
    #[serde(flatten)]
    ruling: &'a Ruling,
    made: ActJson,
    revoked: Option<ActJson>,
}

pub(crate) fn overrides(context: &Context, command: &OverrideCommand) -> Result<Done> {
    let lake = context.lake()?;
    let bench = &context.bench;
    let act = |why: &str| Act {
        who: who(),
        when: now(),
        why: why.to_owned(),
    };
    let made = match command {
        OverrideCommand::List => {
            list(context, &bench.overrides(&lake)?);
            return Ok(Done::Well);
        }
        OverrideCommand::ExcludeDocument { document, why } => {
            bench.exclude_document(&lake, document, act(why))?
        }
        OverrideCommand::AcceptCheck { check, task, why } => {
            bench.accept_check(&lake, check, &key(task)?, act(why))?
        }
        OverrideCommand::DropPartition { task, why } => {
            bench.drop_partition(&lake, &key(task)?, act(why))?
        }
        OverrideCommand::Revoke { id, why } => bench.revoke(&lake, id, act(why))?,
    };
    if context.json() {
        render::json(&json(&made));
    } else {
        let word = if made.revoked.is_some() {
            "revoked"
        } else {
            "made"
        };
        render::out(&format!(
            "{} {word}: {}\nthe next run acts on it: {} plan",
            made.id,
            made.ruling,
            context.command(true)
        ));
    }
    Ok(Done::Well)
}

fn key(task: &TaskArgs) -> Result<TaskKey, PipelineError> {
    Ok(TaskKey {
        table: task.table.parse()?,
        partition: task.partition.parse()?,
    })
}

fn json(one: &Override) -> OverrideJson<'_> {
    let act = |act: &Act| ActJson {
        who: act.who.clone(),
        when: act.when.to_string(),
        why: act.why.clone(),
    };
    OverrideJson {
        id: &one.id,
        ruling: &one.ruling,
        made: act(&one.made),
        revoked: one.revoked.as_ref().map(act),
    }
}

fn list(context: &Context, all: &[Override]) {
    if context.json() {
        render::json(&all.iter().map(json).collect::<Vec<_>>());
        return;
    }
    if all.is_empty() {
        render::out("there are no overrides");
        return;
    }
    let rows = all.iter().map(|one| {
        let act = one.revoked.as_ref().unwrap_or(&one.made);
        let state = if one.revoked.is_some() {
            "revoked"
        } else {
            "in force"
        };
        vec![
            one.id.clone(),
            state.to_owned(),
            one.ruling.to_string(),
            act.who.clone(),
            act.when
                .to_string()
                .get(..16)
                .unwrap_or_default()
                .to_owned(),
            act.why.clone(),
        ]
    });
    let headers = ["id", "", "override", "by", "on", "why"];
    render::out(&table(&headers, &[], rows.collect()));
}
