//! The reference page of the command line is written from the grammar itself.
//!
//! `LAKE_BLESS=1 cargo test --release -p lakectl reference` writes it; without, the test checks it.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::args::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");

#[test]
fn reference_page_is_what_the_program_says() {
    let page = page();
    if std::env::var_os("LAKE_BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(PAGE).parent().unwrap()).unwrap();
        std::fs::write(PAGE, &page).unwrap();
    }
    let found = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        found == page,
        "docs/reference/cli.md is not up to date: LAKE_BLESS=1 cargo test --release -p lakectl reference"
    );
}

fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut page = String::from(
        "# Command line\n\n<!-- Written from the program by `LAKE_BLESS=1 cargo test --release -p lakectl reference`. -->\n\n",
    );
    writeln!(page, "{}\n", cli.get_about().unwrap()).unwrap();
    writeln!(
        page,
        "```text\n{}\n```\n",
        cli.get_after_long_help().unwrap()
    )
    .unwrap();
    page.push_str("## Options of every command\n\n");
    arguments(
        &mut page,
        cli.get_arguments().filter(|arg| arg.is_global_set()),
    );
    for command in cli
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        section(&mut page, command, "");
    }
    page
}

/// One command; those below it follow under their full names.
fn section(page: &mut String, command: &Command, above: &str) {
    let name = format!("{above}{}", command.get_name());
    writeln!(page, "\n## `{name}`\n\n{}.\n", command.get_about().unwrap()).unwrap();
    writeln!(
        page,
        "```text\n{}\n```\n",
        command
            .clone()
            .render_usage()
            .to_string()
            .trim_start_matches("Usage: ")
    )
    .unwrap();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && arg.get_id() != "help")
        .collect();
    if !own.is_empty() {
        arguments(page, own.into_iter());
        page.push('\n');
    }
    if let Some(more) = command.get_after_long_help() {
        writeln!(page, "```text\n{more}\n```").unwrap();
    }
    let below = command
        .get_subcommands()
        .filter(|below| below.get_name() != "help");
    for below in below {
        section(page, below, &format!("{name} "));
    }
}

fn arguments<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("| | |\n|---|---|\n");
    for argument in arguments {
        let values: Vec<&str> = argument
            .get_value_names()
            .unwrap_or_default()
            .iter()
            .map(|name| name.as_str())
            .collect();
        let takes = argument.get_action().takes_values() && !values.is_empty();
        let mut name = match (argument.get_short(), argument.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (None, Some(long)) => format!("--{long}"),
            (Some(short), None) => format!("-{short}"),
            (None, None) => String::new(),
        };
        if takes {
            let value = values.join(" ");
            name = if name.is_empty() {
                format!("<{value}>")
            } else {
                format!("{name} <{value}>")
            };
        }
        let mut text = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        if takes && !defaults.is_empty() {
            write!(text, "; default `{}`", defaults.join(" ")).unwrap();
        }
        if let Some(variable) = argument.get_env() {
            write!(text, "; environment `{}`", variable.to_string_lossy()).unwrap();
        }
        writeln!(
            page,
            "| `{}` | {} |",
            name.replace('|', "\\|"),
            text.replace('|', "\\|")
        )
        .unwrap();
    }
}
