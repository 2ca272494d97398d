//! DuckDB's view of one version: a script of views over exactly its files.

use std::collections::BTreeSet;
use std::fmt::Write;

use lakectl_core::{CellFile, ColumnType, Contract, TableId};

use crate::Snapshot;

/// Returns the SQL script that gives DuckDB one schema for each schema of the lake and one view for each table.
/// `locate` says where a file is, as DuckDB is to find it.
///
/// Views name their files, so they stay what they are when the lake goes on. A table without rows has a typed view.
pub fn duckdb_views(snapshot: &Snapshot, locate: impl Fn(&CellFile) -> String) -> String {
    let version = snapshot.version;
    let mut sql = format!(
        "-- Version {version} of the lake, committed at {}: {} tables.\n\
         -- Made by `lakectl views`; run it in DuckDB (`duckdb -init views.sql`). The files are read where they are.\n\n\
         CREATE OR REPLACE MACRO lake_version() AS {version};\n\n",
        snapshot.time,
        snapshot.tables.len()
    );
    let schemas: BTreeSet<&str> = snapshot.tables.keys().map(TableId::schema).collect();
    for schema in schemas {
        line(
            &mut sql,
            &format!("CREATE SCHEMA IF NOT EXISTS {};", name(schema)),
        );
    }
    for (table, meta) in &snapshot.tables {
        let view = format!("{}.{}", name(table.schema()), name(table.name()));
        let files = snapshot
            .partitions(table)
            .filter_map(|(_, cell)| cell.file.as_ref());
        let files: Vec<String> = files.map(|file| text(&escaped(&locate(file)))).collect();
        line(&mut sql, "");
        line(&mut sql, &format!("CREATE OR REPLACE VIEW {view} AS"));
        line(&mut sql, &body(&meta.contract, &files));
        line(
            &mut sql,
            &format!("COMMENT ON VIEW {view} IS 'lake version {version}';"),
        );
    }
    sql
}

fn line(sql: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(sql, "{text}");
}

/// The query of a view. The row that is never there gives every column its type, and those that a file lacks a place.
fn body(columns: &Contract, files: &[String]) -> String {
    let names: Vec<String> = columns
        .columns()
        .iter()
        .map(|column| name(&column.name))
        .collect();
    let typed = columns.columns().iter().map(|column| {
        let kind = match column.kind {
            ColumnType::Utf8 => "VARCHAR",
            ColumnType::I64 => "BIGINT",
            ColumnType::F64 => "DOUBLE",
            ColumnType::Bool => "BOOLEAN",
            ColumnType::Ts => "TIMESTAMPTZ",
            ColumnType::Date => "DATE",
            ColumnType::Binary => "BLOB",
        };
        format!("NULL::{kind} AS {}", name(&column.name))
    });
    let typed = typed.collect::<Vec<_>>().join(", ");
    if files.is_empty() {
        return format!("SELECT {typed} WHERE false;");
    }
    format!(
        "SELECT {} FROM (\n  SELECT {typed} WHERE false\n  UNION ALL BY NAME\n  SELECT * FROM read_parquet([\n    {}\n  ], \
         hive_partitioning = false, union_by_name = true));",
        names.join(", "),
        files.join(",\n    ")
    )
}

/// A name as SQL quotes it.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text as SQL quotes it.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A path in which nothing is a pattern.
fn escaped(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '*' | '?' | '[' => plain.extend(['[', character, ']']),
            _ => plain.push(character),
        }
    }
    plain
}
