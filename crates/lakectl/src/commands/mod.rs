//! One file a verb.

mod doctor;
mod graph;
mod history;
mod init;
mod plan;
mod run;
mod show;
mod sql;
mod status;

use anyhow::Result;
use clap::CommandFactory;
use lakectl_pipeline::Selected;

use crate::args::{Cli, Command, Selection};
use crate::context::Context;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// All is well.
    Well,
    /// Some tasks failed or were blocked, or `--strict` found warnings.
    WithFailures,
    /// A signal stopped it.
    Interrupted,
}

/// Runs one command.
pub(crate) fn dispatch(cli: Cli) -> Result<Done> {
    match cli.command {
        Command::Init { folder } => init::init(&cli.global, &folder),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "lakectl", &mut text);
            crate::render::out(&String::from_utf8_lossy(&text));
            Ok(Done::Well)
        }
        command => {
            let context = Context::open(cli.global)?;
            match command {
                Command::Run(args) => run::run(&context, &args),
                Command::Plan(args) => plan::plan(&context, &args.selection, args.tasks),
                Command::Sql(args) => sql::sql(&context, &args),
                Command::Status => status::status(&context),
                Command::Stages { selector } => graph::stages(&context, selector.as_deref()),
                Command::Graph => graph::graph(&context),
                Command::Log { limit } => history::log(&context, limit),
                Command::Show { table } => show::show(&context, &table),
                Command::Doctor => doctor::doctor(&context),
                Command::Init { .. } | Command::Completions { .. } => Ok(Done::Well),
            }
        }
    }
}

/// Brings the flags of a selection into the pipeline's form.
pub(crate) fn selected(selection: &Selection) -> Selected {
    Selected {
        until: selection.until.clone(),
        select: selection.select.clone(),
        from: selection.from,
        to: selection.to,
        asset: selection.asset.clone(),
        force: selection.force.clone(),
        refresh: selection.refresh.clone(),
    }
}
