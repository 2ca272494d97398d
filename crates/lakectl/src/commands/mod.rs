//! One file a verb.

mod audit;
mod backfill;
mod branch;
mod checks;
mod copy;
mod diff;
mod doctor;
mod gc;
mod graph;
mod history;
mod init;
mod lineage;
mod overrides;
mod plan;
mod plot;
mod project;
mod repair;
mod rollback;
mod run;
mod show;
mod sql;
mod status;
mod summary;
mod tally;
mod verify;
mod views;

use std::mem::ManuallyDrop;

use anyhow::Result;
use clap::CommandFactory;
use lakectl_pipeline::{PipelineError, Selected};

use crate::args::{AuditCommand, Cli, Command, Format, Selection};
use crate::context::Context;
use crate::render;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// All is well.
    Well,
    /// Some tasks failed or were blocked, or `--strict` found warnings.
    WithFailures,
    /// Something has to be set right first.
    Unwell,
    /// A signal stopped it.
    Interrupted,
}

/// Runs one command.
pub(crate) fn dispatch(cli: Cli) -> Result<Done> {
    check_format(&cli.command, cli.global.format)?;
    match cli.command {
        Command::Init { folder } => init::init(&cli.global, &folder),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "lakectl", &mut text);
            let text = String::from_utf8_lossy(&text);
            match cli.global.format {
                Format::Json => {
                    render::json(&serde_json::json!({ "shell": shell.to_string(), "script": text }))
                }
                _ => render::out(&text),
            }
            Ok(Done::Well)
        }
        Command::Doctor => doctor::doctor(cli.global),
        Command::Copy(args) => copy::copy(&cli.global, &args),
        command => {
            // The process ends with its command: to take thousands of declarations apart would only hold that up.
            let context = ManuallyDrop::new(Context::open(cli.global)?);
            match command {
                Command::Run(args) => run::run(&context, &args),
                Command::Plan(args) => plan::plan(&context, &args.selection, args.tasks, args.jobs),
                Command::Sql(args) => sql::sql(&context, &args),
                Command::Status => status::status(&context),
                Command::Stages { selector } => graph::stages(&context, selector.as_deref()),
                Command::Graph => graph::graph(&context),
                Command::Log { limit } => history::log(&context, limit),
                Command::Show { table } => show::show(&context, &table),
                Command::Diff(args) => diff::show(&context, &args),
                Command::Branch(command) => branch::branch(&context, &command),
                Command::Rollback { version, why } => rollback::rollback(&context, &version, &why),
                Command::Project(args) => project::project(&context, &args),
                Command::Views(args) => views::views(&context, &args),
                Command::Plot(args) => plot::plot(&context, &args),
                Command::Lineage(args) => lineage::lineage(&context, &args),
                Command::Audit {
                    claim: AuditCommand::Lookahead(args),
                } => audit::lookahead(&context, &args),
                Command::Backfill(args) => backfill::backfill(&context, &args),
                Command::Override { command } => overrides::overrides(&context, &command),
                Command::Verify { deep, at } => verify::verify(&context, deep, at.as_deref()),
                Command::Repair { dry_run, jobs } => repair::repair(&context, dry_run, jobs),
                Command::Gc(args) => gc::gc(&context, &args),
                Command::Init { .. }
                | Command::Completions { .. }
                | Command::Doctor
                | Command::Copy(_) => Ok(Done::Well),
            }
        }
    }
}

/// Refuses a format that the command does not have, before it does anything.
fn check_format(command: &Command, format: Format) -> Result<()> {
    let (name, more): (&str, &[Format]) = match command {
        Command::Sql(_) => ("sql", &[Format::Csv, Format::Parquet]),
        Command::Graph => ("graph", &[Format::Dot, Format::Mermaid, Format::Svg]),
        Command::Run(_) => ("run", &[]),
        Command::Plan(_) => ("plan", &[]),
        Command::Status => ("status", &[]),
        Command::Stages { .. } => ("stages", &[]),
        Command::Log { .. } => ("log", &[]),
        Command::Show { .. } => ("show", &[]),
        Command::Doctor => ("doctor", &[]),
        Command::Init { .. } => ("init", &[]),
        Command::Completions { .. } => ("completions", &[]),
        Command::Branch(_) => ("branch", &[]),
        Command::Diff(_) => ("diff", &[]),
        Command::Rollback { .. } => ("rollback", &[]),
        Command::Project(_) => ("project", &[]),
        Command::Views(_) => ("views", &[]),
        Command::Plot(_) => ("plot", &[]),
        Command::Lineage(_) => ("lineage", &[Format::Dot, Format::Mermaid]),
        Command::Audit { .. } => ("audit", &[]),
        Command::Backfill(_) => ("backfill", &[]),
        Command::Override { .. } => ("override", &[]),
        Command::Verify { .. } => ("verify", &[]),
        Command::Repair { .. } => ("repair", &[]),
        Command::Gc(_) => ("gc", &[]),
        Command::Copy(_) => ("copy", &[]),
    };
    if matches!(format, Format::Text | Format::Json) || more.contains(&format) {
        return Ok(());
    }
    let words: Vec<&str> = [Format::Text, Format::Json]
        .iter()
        .chain(more)
        .map(|format| format.word())
        .collect();
    let message = format!("`{name}` has no format `{}`", format.word());
    Err(PipelineError::usage(message, format!("it has {}", words.join(", "))).into())
}

/// Brings the flags of a selection into the pipeline's form.
pub(crate) fn selected(selection: &Selection) -> Result<Selected> {
    if let (Some(from), Some(to)) = (selection.from, selection.to)
        && from > to
    {
        let message = format!("`--from {from}` is after `--to {to}`, so no partition is selected");
        return Err(PipelineError::usage(message, "both days are included; swap them").into());
    }
    Ok(Selected {
        until: selection.until.clone(),
        select: selection.select.clone(),
        from: selection.from,
        to: selection.to,
        asset: selection.asset.clone(),
        tasks: None,
        force: selection.force.clone(),
        refresh: selection.refresh.clone(),
    })
}
