//! What a stage declares: its table, its partitions, its inputs with their windows, and its contract.

use std::fmt;

use lakectl_core::{Contract, Grain, Parts, TableId};
use thiserror::Error;

use crate::Window;

mod parse;

pub use parse::{parse_stages, parse_stages_with};

/// Who computes a stage's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageKind {
    /// Documents fetched from a source; the only kind that touches the outside.
    Harvest,
    /// One parser from raw documents to typed rows and rejects; its partitions are those of its input.
    Normalize,
    /// One query.
    Sql,
    /// A function of the program, by its name in the registry.
    Native(String),
}

impl StageKind {
    /// Returns the word used in declarations.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Harvest => "harvest",
            Self::Normalize => "normalize",
            Self::Sql => "sql",
            Self::Native(_) => "native",
        }
    }
}

/// What a task does when the task of an input failed and has no published rows either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Compute without those rows; the fingerprint says `withheld`.
    Accept,
    /// Do not compute.
    Block,
}

/// One input of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// A table, or a declared union of tables.
    pub table: TableId,
    /// Which of its rows a task is granted.
    pub window: Window,
    /// What happens without them.
    pub missing: Missing,
    /// Parameters that the window's length follows.
    pub follows: Vec<String>,
}

impl StageInput {
    /// Builds an input with the window's default policy: `self` blocks, the others accept.
    pub fn new(table: TableId, window: Window) -> Self {
        let missing = match window {
            Window::SelfPeriod => Missing::Block,
            _ => Missing::Accept,
        };
        Self {
            table,
            window,
            missing,
            follows: Vec::new(),
        }
    }
}

/// Whether a table has to pass the test that no row depends on later knowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audit {
    /// It has to.
    #[default]
    Lookahead,
    /// It looks at the whole sample on purpose.
    None {
        /// Why that is right.
        reason: String,
    },
}

/// Where a declaration stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file; empty for a stage built by the program.
    pub file: String,
    /// The line, counted from 1; 0 if the file is not a file but the name of a setting.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str("generated"),
            (setting, 0) => f.write_str(setting),
            (file, line) => write!(f, "{file}:{line}"),
        }
    }
}

/// One stage, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDecl {
    /// The table it makes.
    pub table: TableId,
    /// Secondary tables that the same task makes, with the same partitions.
    pub also: Vec<TableId>,
    /// Who computes the rows.
    pub kind: StageKind,
    /// Partition columns besides time.
    pub keys: Vec<String>,
    /// The length of one partition.
    pub grain: Grain,
    /// The coverage that gives the keys' values and the first day.
    pub coverage: Option<String>,
    /// The columns that name a row; rows are sorted by them.
    pub primary_key: Vec<String>,
    /// The column that places a row in time.
    pub time_column: Option<String>,
    /// The output's columns.
    pub contract: Contract,
    /// Words to select by.
    pub tags: Vec<String>,
    /// Parameters that a native stage uses.
    pub params: Vec<String>,
    /// Raised by hand when the rows change for a reason that the engine cannot see.
    pub version: u32,
    /// How often a transient failure is tried again.
    pub retries: u32,
    /// Whether the table is audited for look-ahead.
    pub audit: Audit,
    /// One sentence.
    pub description: String,
    /// What it reads, in the order of table names.
    pub inputs: Vec<StageInput>,
    /// Where it is declared.
    pub origin: Origin,
}

impl StageDecl {
    /// Builds a stage without partitions, inputs or columns; the rest is filled in by the caller.
    pub fn new(table: TableId, kind: StageKind) -> Self {
        Self {
            table,
            also: Vec::new(),
            kind,
            keys: Vec::new(),
            grain: Grain::None,
            coverage: None,
            primary_key: Vec::new(),
            time_column: None,
            contract: Contract::default(),
            tags: Vec::new(),
            params: Vec::new(),
            version: 1,
            retries: 0,
            audit: Audit::Lookahead,
            description: String::new(),
            inputs: Vec::new(),
            origin: Origin::default(),
        }
    }

    /// Returns the tables that a task of this stage makes, the main one first.
    pub fn outputs(&self) -> impl Iterator<Item = &TableId> {
        std::iter::once(&self.table).chain(&self.also)
    }

    /// Returns the declared parts that decide the rows; tags, retries, policies and descriptions do not.
    ///
    /// A harvest has only its version: what it fetched once stays valid when our side changes.
    pub fn definition(&self) -> Parts {
        let mut parts = Parts::from([
            ("kind".to_owned(), self.kind.word().to_owned()),
            ("version".to_owned(), self.version.to_string()),
        ]);
        if self.kind == StageKind::Harvest {
            return parts;
        }
        parts.insert("engine".to_owned(), crate::ENGINE_VERSION.to_string());
        parts.insert("contract".to_owned(), self.contract.to_string());
        parts.insert("primary_key".to_owned(), self.primary_key.join(", "));
        if let Some(column) = &self.time_column {
            parts.insert("time_column".to_owned(), column.clone());
        }
        if let StageKind::Native(name) = &self.kind {
            parts.insert("native".to_owned(), name.clone());
        }
        parts
    }
}

/// A declaration that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{origin}: {message}{}", hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default())]
pub struct DeclareError {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// What was perhaps meant.
    pub hint: Option<String>,
}
