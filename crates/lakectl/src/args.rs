//! The grammar of the command line.

mod plot;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lakectl_core::{Day, UtcTime};

pub(crate) use self::plot::{Picture, PlotArgs};
use crate::help;

/// Batch pipeline for crypto options and on-chain research on a Parquet lakehouse.
#[derive(Debug, Parser)]
#[command(name = "lakectl", bin_name = "lakectl", version, max_term_width = 110)]
#[command(after_help = help::START, after_long_help = help::GENERAL)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The lake: a folder (default: `lake/<profile>` in the project, else in the working folder), or `s3://bucket/prefix`
    #[arg(long, global = true, value_name = "ADDRESS", env = "LAKE_ROOT")]
    pub(crate) lake: Option<String>,
    /// Settings to use: `configs/<profile>.toml` over `configs/base.toml`
    #[arg(long, global = true, value_name = "NAME", default_value = crate::context::DEFAULT_PROFILE, env = "LAKE_PROFILE")]
    pub(crate) profile: String,
    /// The branch of the lake to work on
    #[arg(long, global = true, value_name = "NAME", default_value = lakectl_pipeline::lake::MAIN, env = "LAKE_BRANCH")]
    pub(crate) branch: String,
    /// Override one setting, for example `params.stale_days=7` (repeatable; `doctor` lists the settings)
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// How to print results: every command has text and json, `sql` also csv and parquet, `graph` also dot, mermaid and svg
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, hide_possible_values = true)]
    pub(crate) format: Format,
    /// Say more on standard error (repeat for still more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print results and errors only
    #[arg(long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// When to colour: auto, always or never
    #[arg(hide_possible_values = true, long, global = true, value_enum, default_value_t = Color::Auto, env = "LAKE_COLOR")]
    pub(crate) color: Color,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Comma-separated values (`sql`).
    Csv,
    /// Parquet (`sql` with `--output`).
    Parquet,
    /// Graphviz (`graph`).
    Dot,
    /// Mermaid (`graph`).
    Mermaid,
    /// A picture (`graph`).
    Svg,
}

impl Format {
    /// Returns the word on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Dot => "dot",
            Self::Mermaid => "mermaid",
            Self::Svg => "svg",
        }
    }
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compute what is missing or stale, and publish it as one new version
    #[command(after_long_help = help::RUN)]
    Run(RunArgs),
    /// Say what `run` would do and why, without doing it
    #[command(after_long_help = help::PLAN)]
    Plan(PlanArgs),
    /// Ask the lake a question in SQL
    #[command(after_long_help = help::SQL)]
    Sql(SqlArgs),
    /// Freshness, failures and quarantine
    #[command(after_long_help = help::STATUS)]
    Status,
    /// List the stages
    #[command(after_long_help = help::STAGES)]
    Stages {
        /// Only these (a table, `schema.*`, `tag:x`, `+table`, `table+`)
        selector: Option<String>,
    },
    /// Draw the graph of stages (`--format text|dot|mermaid|svg|json`)
    #[command(after_long_help = help::GRAPH)]
    Graph,
    /// List the versions of the lake
    #[command(after_long_help = help::LOG)]
    Log {
        /// At most so many, newest first
        #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// Schema, partitions, rows and lineage of one table
    #[command(after_long_help = help::SHOW)]
    Show {
        /// The table
        table: String,
    },
    /// Check configuration, lake, sources and versions
    #[command(after_long_help = help::DOCTOR)]
    Doctor,
    /// Make a new project folder with the shipped declarations, queries and settings
    #[command(after_long_help = help::INIT)]
    Init {
        /// The folder; the working folder if it is left out
        #[arg(default_value = ".")]
        folder: String,
    },
    /// Print a completion script
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Begin, list, end and merge branches of the lake
    #[command(subcommand, after_long_help = help::BRANCH)]
    Branch(BranchCommand),
    /// Go back to an earlier version, by a new one
    #[command(after_long_help = help::ROLLBACK)]
    Rollback {
        /// The version: a number from `log`, or a time
        version: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Say what is different between two versions or branches
    #[command(after_long_help = help::DIFF)]
    Diff(DiffArgs),
    /// Bring the Delta logs for other engines up to date, and say which of their versions is which of the lake's
    #[command(after_long_help = help::PROJECT)]
    Project(ProjectArgs),
    /// Write a script of DuckDB views over one version of the lake
    #[command(after_long_help = help::VIEWS)]
    Views(ViewsArgs),
    /// Draw the option surface of one snapshot as SVG or PNG
    #[command(after_long_help = help::PLOT)]
    Plot(PlotArgs),
    /// What a column or a table is made of, or what is made of it
    #[command(after_long_help = help::LINEAGE)]
    Lineage(LineageArgs),
    /// Prove claims about the rows of the lake
    Audit {
        /// What to prove
        #[command(subcommand)]
        claim: AuditCommand,
    },
    /// Compute a long stretch of days chunk by chunk, each published as a version of its own
    #[command(after_long_help = help::BACKFILL)]
    Backfill(BackfillArgs),
    /// Leave a document out, accept a failed check, drop a partition: decisions of people, kept with their reason
    #[command(after_long_help = help::OVERRIDE)]
    Override {
        #[command(subcommand)]
        command: OverrideCommand,
    },
    /// Look at every file of the lake: is it there, and is it what was written
    #[command(after_long_help = help::VERIFY)]
    Verify {
        /// Read every data file, hash it and decode its rows, instead of asking for its size only
        #[arg(long)]
        deep: bool,
        /// Only the data files of this version
        #[arg(long, value_name = "VERSION|TIME")]
        at: Option<String>,
    },
    /// Compute or fetch again what is damaged or missing
    #[command(after_long_help = help::REPAIR)]
    Repair {
        /// Say what would be done, change nothing
        #[arg(long)]
        dry_run: bool,
        /// Tasks at the same time (default: two more than there are processors)
        #[arg(long, value_name = "N", env = "LAKE_JOBS")]
        jobs: Option<usize>,
    },
    /// Remove what no kept version, no branch and no recent result needs
    #[command(after_long_help = help::GC)]
    Gc(GcArgs),
    /// Copy a version, a branch or a whole lake to another place
    #[command(after_long_help = help::COPY)]
    Copy(CopyArgs),
}

/// Arguments of `gc`.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Say what would go and why, change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Keep at least so many of the newest versions of each branch (default: `retention.versions`)
    #[arg(long, value_name = "N")]
    pub(crate) keep_versions: Option<u64>,
    /// Keep all versions of so many days (default: `retention.days`)
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep_days: Option<u32>,
    /// Keep results that no version holds for so many days (default: `retention.cache_days`)
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep_cache_days: Option<u32>,
    /// List every file
    #[arg(long)]
    pub(crate) files: bool,
}

/// Arguments of `copy`.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The lake to copy
    pub(crate) from: String,
    /// Where to: a new or empty place, or an earlier copy
    pub(crate) to: String,
    /// Only this version, with the log up to it
    #[arg(long, value_name = "VERSION|TIME", conflicts_with = "all")]
    pub(crate) at: Option<String>,
    /// Every branch, every recorded result and the notes of runs
    #[arg(long)]
    pub(crate) all: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The first version: `12`, a time, `dev`, `dev@3`
    pub(crate) from: String,
    /// The second version (default: the newest of `--branch`)
    pub(crate) to: Option<String>,
    /// Only this table
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Examples of rows for each table
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) limit: usize,
}

/// What to do with branches.
#[derive(Debug, Subcommand)]
pub(crate) enum BranchCommand {
    /// Begin a branch at a version of another one; nothing is copied
    #[command(after_long_help = help::BRANCH_JSON)]
    Create {
        /// Its name: a small letter, then small letters, digits, `-`, `_` and `.`
        name: String,
        /// The version to begin with (default: the newest)
        #[arg(long, value_name = "VERSION|TIME")]
        at: Option<String>,
        /// The branch to begin at (default: that of `--branch`)
        #[arg(long, value_name = "BRANCH")]
        from: Option<String>,
        /// Why, for the log
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        why: String,
    },
    /// List the branches
    #[command(after_long_help = help::BRANCH_JSON)]
    List,
    /// End a branch
    #[command(after_long_help = help::BRANCH_DELETE)]
    Delete {
        /// Its name
        name: String,
        /// Why, for the log
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        why: String,
    },
    /// Bring what changed on a branch into another one, as one commit
    #[command(after_long_help = help::BRANCH_MERGE)]
    Merge {
        /// The branch that the changes come from
        name: String,
        /// The branch that they go into (default: that of `--branch`)
        #[arg(long, value_name = "BRANCH")]
        into: Option<String>,
        /// Say what would happen, write nothing
        #[arg(long)]
        dry_run: bool,
        /// Why, for the log
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        why: String,
    },
}

/// Arguments of `lineage`.
#[derive(Debug, Args)]
pub(crate) struct LineageArgs {
    /// `schema.table.column`, or a table
    pub(crate) name: String,
    /// Show what is made of it, not what it is made of
    #[arg(long)]
    pub(crate) down: bool,
    /// At most so many steps
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// Follow also what only decides which rows count: filters, join keys, group keys
    #[arg(long)]
    pub(crate) conditions: bool,
}

/// What to prove.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// No row depends on what became known after it
    #[command(after_long_help = help::LOOKAHEAD)]
    Lookahead(LookaheadArgs),
}

/// Arguments of `audit lookahead`.
#[derive(Debug, Args)]
pub(crate) struct LookaheadArgs {
    /// Only these stages (a table, `schema.*`, `tag:x`, `+table`, `table+`) and what they need (repeatable)
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) select: Vec<String>,
    /// Cut at this instant (repeatable); without one, instants are chosen
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Vec<UtcTime>,
    /// How many instants to choose
    #[arg(long, default_value_t = 3, value_name = "N", conflicts_with = "at")]
    pub(crate) samples: usize,
    /// What to choose them by: the same number, the same instants
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "at")]
    pub(crate) seed: u64,
    /// Compute everything again at every instant, also what the cut does not reach
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Folder for scratch files (default: the system's for temporary files)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scratch: Option<String>,
    /// Tasks at the same time (default: two more than there are processors)
    #[arg(long, value_name = "N", env = "LAKE_JOBS")]
    pub(crate) jobs: Option<usize>,
}

/// What to decide.
#[derive(Debug, Subcommand)]
pub(crate) enum OverrideCommand {
    /// Let a document count as if it had never come
    ExcludeDocument {
        /// Its name, or the first digits of its digest
        document: String,
        /// Why; kept for ever
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Publish a partition's rows although they fail a check: these rows only
    AcceptCheck {
        /// The check's name
        check: String,
        #[command(flatten)]
        task: TaskArgs,
        /// Why; kept for ever
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Take a partition out of its table; of a raw table the documents stay, and nobody reads them
    DropPartition {
        #[command(flatten)]
        task: TaskArgs,
        /// Why; kept for ever
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// List the overrides, revoked ones too
    List,
    /// Take an override back; what was before is found again
    Revoke {
        /// Its id, as `list` shows it
        id: String,
        /// Why; kept for ever
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

/// One partition of a table.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The table
    pub(crate) table: String,
    /// The partition, such as `asset=BTC/date=2026-02-05`; `all` for a table of one
    pub(crate) partition: String,
}

/// Which end of the stretch comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackfillOrder {
    /// The first day.
    Oldest,
    /// The last day.
    Newest,
}

/// Arguments of `backfill`.
#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// Stages to compute (a table, `schema.*`, `tag:x`, `+table`, `table+`), with what they need (repeatable)
    #[arg(long, value_name = "SELECTOR", required = true)]
    pub(crate) select: Vec<String>,
    /// First day
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Day,
    /// Last day
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Day,
    /// Only partitions of this asset
    #[arg(long, value_name = "ASSET")]
    pub(crate) asset: Option<String>,
    /// Tasks at the same time (default: two more than there are processors)
    #[arg(long, value_name = "N", env = "LAKE_JOBS")]
    pub(crate) jobs: Option<usize>,
    /// Where to begin: oldest or newest
    #[arg(long, value_enum, default_value_t = BackfillOrder::Oldest, hide_possible_values = true)]
    pub(crate) order: BackfillOrder,
    /// Days that are published together, at least; no partition is parted
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chunk: u32,
}

/// Which tasks.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Selection {
    /// Stop after this table, else schema, else tag; all that it needs is included
    #[arg(long, value_name = "NAME")]
    pub(crate) until: Option<String>,
    /// Only these stages (a table, `schema.*`, `tag:x`, `+table`, `table+`) and what they need (repeatable)
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) select: Vec<String>,
    /// First day of the selected partitions
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<Day>,
    /// Last day of the selected partitions, at most the calendar's (`--set calendar.end=DATE` moves that)
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<Day>,
    /// Only partitions of this asset
    #[arg(long, value_name = "ASSET")]
    pub(crate) asset: Option<String>,
    /// Compute these stages again and compare: other rows for the same fingerprint are an error (repeatable)
    #[arg(long, value_name = "STAGE")]
    pub(crate) force: Vec<String>,
    /// Fetch the documents of these raw tables again (repeatable)
    #[arg(long, value_name = "STAGE")]
    pub(crate) refresh: Vec<String>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Tasks at the same time (default: two more than there are processors)
    #[arg(long, value_name = "N", env = "LAKE_JOBS")]
    pub(crate) jobs: Option<usize>,
    /// Plan only: print what `plan` prints, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Exit with 2 also for warnings, and for rows or documents in quarantine
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write what happens to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<String>,
    /// Take up exactly what failed or was blocked and is still open, as `status` lists it
    #[arg(long, conflicts_with_all = ["until", "select", "from", "to", "asset", "force", "refresh", "dry_run"])]
    pub(crate) retry_failed: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// List every task, not only stages
    #[arg(long)]
    pub(crate) tasks: bool,
    /// Estimate for so many tasks at the same time (default: two more than there are processors)
    #[arg(long, value_name = "N", env = "LAKE_JOBS")]
    pub(crate) jobs: Option<usize>,
}

/// Arguments of `sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The query; without it a shell on a terminal, else the statements of standard input
    pub(crate) query: Option<String>,
    /// Run the statements of a file, up to the first that fails
    #[arg(short, long, value_name = "FILE", conflicts_with = "query")]
    pub(crate) file: Option<String>,
    /// Ask an earlier version: a number or a time; `dev@3` is one of another branch
    #[arg(long, value_name = "VERSION|TIME")]
    pub(crate) at: Option<String>,
    /// Write the rows to a file; its name says the format (.csv, .json, .parquet) unless `--format` does
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<String>,
    /// Print at most so many rows as text; the other formats have all
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) limit: usize,
    /// The value of `$name`, or of `$1`: `asset=BTC`, `1=2026-01-05`, `strike:float=60000` (repeatable; types: int, float, bool,
    /// date, timestamp, text)
    #[arg(long, value_name = "NAME[:TYPE]=VALUE")]
    pub(crate) param: Vec<String>,
    /// Memory of queries: 2GiB, or 50% of the machine's (default: the setting `sql.memory`); more goes to temporary files
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// Stop a query after so long: 500ms, 30s, 5m
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    /// Threads that a query computes on (default: one for each processor)
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
}

/// Arguments of `project`.
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    /// Only these tables, each with all its versions
    #[arg(value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    /// Make the Delta logs anew, of the named tables or of all, and remove what does not belong there
    #[arg(long)]
    pub(crate) rebuild: bool,
}

/// Arguments of `views`.
#[derive(Debug, Args)]
pub(crate) struct ViewsArgs {
    /// Write the script to a file, for example `views.sql`
    #[arg(long, visible_alias = "out", value_name = "FILE")]
    pub(crate) output: Option<String>,
    /// An earlier version: a number or a time
    #[arg(long, value_name = "VERSION|TIME")]
    pub(crate) at: Option<String>,
    /// Name files relative to the lake, for a DuckDB that is started there
    #[arg(long)]
    pub(crate) relative: bool,
}

/// Returns a word of the command line as clap may read it. A query that begins with a remark would be taken for an option;
/// no option has space in its name.
pub(crate) fn word(word: String) -> String {
    let named = word.split(|c: char| c == '=' || c.is_whitespace()).next();
    let spaced = named.is_some_and(|name| word[name.len()..].starts_with(char::is_whitespace));
    match word.starts_with("--") && spaced {
        true => format!(" {word}"),
        false => word,
    }
}

/// Returns the values of every `--set`, wherever it stands.
pub(crate) fn sets(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut sets = Vec::new();
    let mut words = words.take_while(|word| word != "--");
    while let Some(word) = words.next() {
        match word.strip_prefix("--set") {
            Some("") => sets.extend(words.next()),
            Some(value) => sets.extend(value.strip_prefix('=').map(str::to_owned)),
            None => {}
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_no_option() {
        for query in ["-- all\nSELECT 1", "--all\nSELECT 1", "--\tSELECT 1"] {
            assert_eq!(word(query.to_owned()), format!(" {query}"));
        }
        for other in ["--", "--limit", "--why=two words", "-v", "SELECT 1 -- one"] {
            assert_eq!(word(other.to_owned()), other);
        }
    }

    #[test]
    fn settings_stand_on_both_sides_of_a_command() {
        let words = [
            "lakectl",
            "--set",
            "a=1",
            "run",
            "--set=b=2",
            "--until",
            "x",
            "--set",
            "a=3",
            "--",
            "--set",
            "c=4",
        ];
        assert_eq!(
            sets(words.into_iter().map(str::to_owned)),
            ["a=1", "b=2", "a=3"]
        );
    }
}
