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
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::commands::Done;

/// Usage and configuration errors.
const EXIT_USAGE: u8 = 1;
/// Finished with failed or blocked tasks.
const EXIT_FAILED: u8 = 2;
/// Stopped by a signal.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // Clap keeps only those after the command if there are some on both sides of it.
    cli.global.set = args::sets(std::env::args());
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
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Clap would exit with 2, which here means failed tasks.
fn usage(error: &clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    // A closed standard output is nobody's error.
    let _ = error.print();
    if asked {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_USAGE)
    }
}
