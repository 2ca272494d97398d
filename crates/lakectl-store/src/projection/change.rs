//! What one commit did to the files of each table: all that a projection needs to know of the lake's log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, Contract, PartitionKey, TableId, UtcTime};

use crate::{Lake, Snapshot, StoreError};

/// A version of the lake.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) version: u64,
    /// When it was committed.
    pub(crate) time: UtcTime,
    /// The run that committed it.
    pub(crate) run: String,
}

/// One version of the lake as a change of the one before it.
#[derive(Debug)]
pub(crate) struct Step {
    /// The version that the change led to.
    pub(crate) origin: Origin,
    /// The tables whose files or columns changed.
    pub(crate) tables: BTreeMap<TableId, TableChange>,
}

/// What happened to one table. Cells without rows have no file and are left out.
#[derive(Debug, Default)]
pub(crate) struct TableChange {
    /// The columns, if the table is new or they changed.
    pub(crate) columns: Option<Contract>,
    /// Cells whose files are no longer part of the table.
    pub(crate) removed: Vec<Arc<Cell>>,
    /// Cells whose files now are.
    pub(crate) added: Vec<Arc<Cell>>,
}

impl TableChange {
    fn is_empty(&self) -> bool {
        self.columns.is_none() && self.removed.is_empty() && self.added.is_empty()
    }
}

/// What a commit touched in one table, before and after it.
#[derive(Default)]
struct Sides {
    columns: [Option<Contract>; 2],
    cells: [BTreeMap<PartitionKey, Arc<Cell>>; 2],
}

impl Sides {
    /// Notes the table as it is in `snapshot`: the touched partitions, or all of them.
    fn note(
        &mut self,
        side: usize,
        snapshot: &Snapshot,
        table: &TableId,
        touched: Option<&BTreeSet<PartitionKey>>,
    ) {
        let Some(meta) = snapshot.tables.get(table) else {
            return;
        };
        self.columns[side] = Some(meta.contract.clone());
        let cells = match touched {
            Some(touched) => touched
                .iter()
                .filter_map(|key| Some((key.clone(), Arc::clone(snapshot.cell(table, key)?))))
                .collect(),
            None => snapshot
                .partitions(table)
                .map(|(key, cell)| (key.clone(), Arc::clone(cell)))
                .collect(),
        };
        self.cells[side] = cells;
    }

    fn change(self) -> TableChange {
        let [old_columns, new_columns] = self.columns;
        let [mut before, after] = self.cells;
        let mut change = TableChange::default();
        for (key, new) in after {
            let old = before.remove(&key);
            let path = |cell: &Arc<Cell>| cell.file.as_ref().map(|file| file.path.clone());
            // Another computation of the same rows has the same file.
            if old.as_ref().and_then(path) != path(&new) {
                change.removed.extend(old);
                change.added.push(new);
            }
        }
        change.removed.extend(before.into_values());
        change.removed.retain(|cell| cell.file.is_some());
        change.added.retain(|cell| cell.file.is_some());
        change.removed.sort_by(|a, b| a.partition.cmp(&b.partition));
        change.columns = new_columns.filter(|new| old_columns.as_ref() != Some(new));
        change
    }
}

impl Lake {
    /// Takes `snapshot` to the next version and returns what that changed.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] as [`Lake::head`], also if there is no next version.
    pub(crate) fn step(&self, snapshot: &mut Snapshot) -> Result<Step, StoreError> {
        let (commit, id) = self.files().read_after(snapshot.version + 1, snapshot.id)?;
        let cells = commit.cells(self.door())?;
        let origin = Origin {
            version: commit.version,
            time: commit.time,
            run: commit.run().to_owned(),
        };
        let touched = commit.touched(&cells).into_iter().map(|(table, keys)| {
            // What was committed before the table had columns becomes part of it with them.
            let known = snapshot.tables.contains_key(&table);
            (table, known.then_some(keys))
        });
        let touched: Vec<_> = touched.collect();
        let mut sides: Vec<Sides> = touched.iter().map(|_| Sides::default()).collect();
        for ((table, keys), sides) in touched.iter().zip(&mut sides) {
            sides.note(0, snapshot, table, keys.as_ref());
        }
        commit.apply(id, cells, snapshot);
        for ((table, keys), sides) in touched.iter().zip(&mut sides) {
            sides.note(1, snapshot, table, keys.as_ref());
        }
        let tables = touched.into_iter().map(|(table, _)| table);
        let changes = tables.zip(sides.into_iter().map(Sides::change));
        Ok(Step {
            origin,
            tables: changes.filter(|(_, change)| !change.is_empty()).collect(),
        })
    }
}
