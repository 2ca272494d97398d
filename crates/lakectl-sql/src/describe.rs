//! What a session has, for people: its tables with their columns, its functions with their signatures.

use datafusion::logical_expr::Documentation;
use lakectl_core::{Cell, TableId, UtcTime};
use std::sync::Arc;

use crate::LakeSession;
use crate::functions::registry;

/// What a name in a query stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// A table of the lake.
    Table,
    /// The rows of several tables as one.
    View,
    /// What the lake knows of itself.
    System,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type in the engine's words.
    pub kind: String,
    /// Whether it may be null.
    pub nullable: bool,
}

/// One table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its name.
    pub id: TableId,
    /// What it is.
    pub kind: TableKind,
    /// Its columns.
    pub columns: Vec<ColumnInfo>,
    /// Partition columns, the period's last.
    pub keys: Vec<String>,
    /// Columns that tell rows apart.
    pub primary_key: Vec<String>,
    /// Members of a view.
    pub members: Vec<TableId>,
    /// Partitions that are published, empty ones included.
    pub partitions: usize,
    /// Rows; `None` for what is made when it is read.
    pub rows: Option<u64>,
    /// Bytes of the files.
    pub bytes: u64,
    /// First and last value of the time column.
    pub times: Option<(UtcTime, UtcTime)>,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionLine {
    /// Its name.
    pub name: String,
    /// Arguments and result.
    pub signature: String,
    /// What it computes.
    pub doc: String,
    /// Whether it is one of ours; the others are the engine's.
    pub ours: bool,
}

impl LakeSession {
    /// Describes one table or view.
    pub fn describe(&self, id: &TableId) -> Option<TableInfo> {
        let schema = self.tables.get(id)?.schema();
        let columns = schema.fields().iter().map(|field| ColumnInfo {
            name: field.name().clone(),
            kind: type_word(field.data_type()),
            nullable: field.is_nullable(),
        });
        let mut info = TableInfo {
            id: id.clone(),
            kind: TableKind::System,
            columns: columns.collect(),
            keys: Vec::new(),
            primary_key: Vec::new(),
            members: Vec::new(),
            partitions: 0,
            rows: None,
            bytes: 0,
            times: None,
        };
        if let Some(meta) = self.snapshot.tables.get(id) {
            info.kind = TableKind::Table;
            info.keys = meta.keys.clone();
            info.keys.extend(meta.grain.column().map(ToOwned::to_owned));
            info.primary_key = meta.primary_key.clone();
            self.add_cells(&mut info, id);
        } else if let Some(members) = self.unions.get(id) {
            info.kind = TableKind::View;
            let here = |member: &&TableId| self.snapshot.tables.contains_key(*member);
            info.members = members.iter().filter(here).cloned().collect();
            for member in &info.members.clone() {
                self.add_cells(&mut info, member);
            }
        }
        Some(info)
    }

    fn add_cells(&self, info: &mut TableInfo, table: &TableId) {
        let cells: Vec<&Arc<Cell>> = self.snapshot.partitions(table).map(|(_, c)| c).collect();
        info.partitions += cells.len();
        let rows: u64 = cells.iter().map(|cell| cell.rows).sum();
        info.rows = Some(info.rows.unwrap_or(0) + rows);
        let files = cells.iter().filter_map(|cell| cell.file.as_ref());
        info.bytes += files.map(|file| file.bytes).sum::<u64>();
        for (first, last) in cells.iter().filter_map(|cell| cell.times) {
            info.times = Some(match info.times {
                Some((start, end)) => (start.min(first), end.max(last)),
                None => (first, last),
            });
        }
    }

    /// Lists all functions by name, ours and the engine's.
    pub fn functions(&self) -> Vec<FunctionLine> {
        let ours = registry();
        let mut all: Vec<FunctionLine> = ours
            .iter()
            .map(|info| FunctionLine {
                name: info.name.to_owned(),
                signature: info.signature.to_owned(),
                doc: info.doc.to_owned(),
                ours: true,
            })
            .collect();
        let state = self.context().state();
        let mut add = |name: &str, documentation: Option<&Documentation>| {
            if all.iter().any(|known| known.name == name) {
                return;
            }
            let signature = documentation.map(|found| found.syntax_example.trim().to_owned());
            all.push(FunctionLine {
                name: name.to_owned(),
                signature: signature.unwrap_or_else(|| format!("{name}(...)")),
                doc: documentation
                    .map_or_else(String::new, |found| found.description.trim().to_owned()),
                ours: false,
            });
        };
        for function in state.scalar_functions().values() {
            add(function.name(), function.documentation());
        }
        for function in state.aggregate_functions().values() {
            add(function.name(), function.documentation());
        }
        for function in state.window_functions().values() {
            add(function.name(), function.documentation());
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

/// Types as the contracts write them, others as the engine does.
fn type_word(kind: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType;
    match kind {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp UTC".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Binary => "binary".to_owned(),
        other => other.to_string(),
    }
}
