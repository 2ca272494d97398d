//! `lakectl`: parse the command line, call the pipeline, map the result to an exit code.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod commands;
mod context;
mod events;
mod help;
mod layout;
mod meter;
mod progress;
#[cfg(test)]
mod reference;
mod render;
mod signals;
#[cfg(feature = "otel")]
mod telemetry;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ClapError;
use lakectl_core::ErrorKind;
use lakectl_pipeline::PipelineError;

use crate::args::Cli;
use crate::commands::Done;

/// What was asked for is wrong: the command line, a setting, a declaration, a query, a lake that is not there.
const EXIT_USAGE: u8 = 1;
/// Finished with failed or blocked tasks, or stopped by the disk, the network, damage or another run.
const EXIT_FAILED: u8 = 2;
/// Stopped by a signal.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let mut cli = match Cli::try_parse_from(words()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // Clap keeps only those after the command if there are some on both sides of it.
    cli.global.set = args::sets(words());
    render::start(&cli.global);
    let done = commands::dispatch(cli);
    #[cfg(feature = "otel")]
    telemetry::finish();
    match done {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::WithFailures) => ExitCode::from(EXIT_FAILED),
        Ok(Done::Unwell) => ExitCode::from(EXIT_USAGE),
        Ok(Done::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            render::error(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

fn words() -> impl Iterator<Item = String> {
    std::env::args().map(args::word)
}

/// One rule for all commands: what was asked for has to be put right, or something came in between.
fn exit_code(error: &anyhow::Error) -> u8 {
    let known = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<PipelineError>());
    match known.map(PipelineError::kind) {
        None | Some(ErrorKind::Input) => EXIT_USAGE,
        Some(_) => EXIT_FAILED,
    }
}

/// Clap would exit with 2, which here means failed tasks.
fn usage(error: &clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ClapError::DisplayHelp | ClapError::DisplayVersion
    );
    // A closed standard output is nobody's error.
    let _ = error.print();
    if asked {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_USAGE)
    }
}
