//! Which partitions each table has, known before anything is computed.
//!
//! Derived tables take theirs from a declared coverage and the calendar; raw tables from what their source lists, and
//! normalised ones from their raw table. Partitions that are published already stay members of windows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, Day, DayRange, Grain, PartitionKey, TableId, TaskKey};

use crate::nearest::hint;
use crate::{Pipeline, PlanError, StageDecl, StageKind, World};

/// The values of partition keys and the first day of a family of tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The values of each partition key, such as `asset` -> BTC, ETH.
    pub keys: BTreeMap<String, Vec<String>>,
    /// The first day.
    pub start: Day,
}

/// One partition that a source offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The partition of the raw table.
    pub partition: PartitionKey,
    /// Changes when the source has something new there.
    pub token: String,
    /// Whether the source will not change it any more. An earlier fetch of an open partition is never restored.
    pub sealed: bool,
    /// A remark for the plan.
    pub note: Option<String>,
}

/// One partition of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The partition.
    pub key: PartitionKey,
    /// `key` as text.
    pub text: String,
    /// Its days; [`DayRange::ALL`] without a grain. The first and the last partition of a covered table end where the
    /// calendar does, so that no row is computed for a day that was not asked for.
    pub period: DayRange,
    /// Whether a task of this plan may make it. Otherwise it is only published, and stays as it is.
    pub planned: bool,
    /// What the source says, for raw tables.
    pub listing: Option<Listing>,
    /// Whether the source does not list it any more.
    pub vanished: bool,
    /// Its published result.
    pub published: Option<Arc<Cell>>,
    /// Whether the calendar cuts the period short.
    clipped: bool,
}

impl Entry {
    fn new(key: PartitionKey, planned: bool) -> Self {
        let period = key.days().unwrap_or(DayRange::ALL);
        Self::of_period(key, planned, period)
    }

    fn of_period(key: PartitionKey, planned: bool, period: DayRange) -> Self {
        Self {
            text: key.to_string(),
            key,
            period,
            planned,
            listing: None,
            vanished: false,
            published: None,
            clipped: false,
        }
    }

    /// Returns the days of a partition that the calendar cuts short, as a part of fingerprints.
    pub(crate) fn cut_short(&self) -> Option<String> {
        self.clipped
            .then(|| format!("{} to {}", self.period.start, self.period.end.plus(-1)))
    }
}

/// All partitions of one table, planned or published, sorted and indexed.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePartitions {
    /// The table.
    pub table: TableId,
    /// Partition columns besides time.
    pub keys: Vec<String>,
    /// Whether the table has a time column, so that a partition can be cut.
    pub timed: bool,
    /// The partitions, sorted by key: those with the same values stand together, in the order of their days.
    pub entries: Vec<Entry>,
    /// Groups of entries with the same key values, by the place of their first entry; one more ends the last group.
    starts: Vec<u32>,
    /// By entry: its group.
    group_of: Vec<u32>,
}

impl TablePartitions {
    fn new(table: TableId, keys: Vec<String>, timed: bool, entries: Vec<Entry>) -> Self {
        let mut starts: Vec<u32> = Vec::new();
        let mut group_of = Vec::with_capacity(entries.len());
        for (i, entry) in entries.iter().enumerate() {
            let same = |before: &Entry| values(&before.key, &keys).eq(values(&entry.key, &keys));
            if !i
                .checked_sub(1)
                .is_some_and(|before| same(&entries[before]))
            {
                starts.push(i as u32);
            }
            group_of.push(starts.len() as u32 - 1);
        }
        starts.push(entries.len() as u32);
        Self {
            table,
            keys,
            timed,
            entries,
            starts,
            group_of,
        }
    }

    /// Returns the place of a partition in `entries`.
    pub fn find(&self, key: &PartitionKey) -> Option<usize> {
        self.entries
            .binary_search_by(|entry| entry.key.cmp(key))
            .ok()
    }

    /// Returns the number of groups of entries with the same key values.
    pub(crate) fn groups(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns the group of an entry.
    pub(crate) fn group_of(&self, entry: usize) -> usize {
        self.group_of[entry] as usize
    }

    /// Returns the places of a group's entries, which follow one another in the order of their days.
    pub(crate) fn group(&self, group: u32) -> std::ops::Range<usize> {
        let group = group as usize;
        self.starts[group] as usize..self.starts[group + 1] as usize
    }

    /// Returns the groups whose values of the shared keys equal those of the first entry of `group` of `output`.
    pub(crate) fn groups_like(&self, output: &Self, group: usize) -> Vec<u32> {
        let output = &output.entries[output.starts[group] as usize].key;
        let wanted: Vec<Option<&str>> = self.keys.iter().map(|key| output.get(key)).collect();
        let first = |group: &u32| &self.entries[self.starts[*group as usize] as usize].key;
        if wanted.iter().all(Option::is_some) {
            let wanted = wanted.iter().flatten().copied();
            let starts = &self.starts[..self.groups()];
            let found = starts.binary_search_by(|start| {
                values(&self.entries[*start as usize].key, &self.keys).cmp(wanted.clone())
            });
            return found.into_iter().map(|group| group as u32).collect();
        }
        let fits = |group: &u32| {
            let mut pairs = wanted.iter().zip(values(first(group), &self.keys));
            pairs.all(|(want, value)| want.is_none_or(|want| want == value))
        };
        (0..self.groups() as u32).filter(fits).collect()
    }
}

/// The key values of a partition; they stand before the period.
fn values<'a>(partition: &'a PartitionKey, keys: &[String]) -> impl Iterator<Item = &'a str> {
    let pairs = partition.pairs().iter().take(keys.len());
    pairs.map(|(_, value)| value.as_str())
}

/// What partition planning is given from outside.
pub(crate) struct Calendar<'a> {
    pub(crate) coverages: &'a BTreeMap<String, Coverage>,
    pub(crate) listings: &'a BTreeMap<TableId, Vec<Listing>>,
    /// The day after the last planned one.
    pub(crate) end: Day,
}

/// The partitions of every table, in the pipeline's order of tables; none of tables that a plan does not reach.
pub(crate) struct Partitions {
    pub(crate) tables: Vec<TablePartitions>,
    /// Published partitions that the declarations have no place for any more.
    pub(crate) abandoned: Vec<TaskKey>,
}

impl Calendar<'_> {
    /// Returns the partitions of the tables of the `reach` of stages, which holds all that its stages read.
    pub(crate) fn partitions(
        &self,
        pipeline: &Pipeline,
        world: &dyn World,
        reach: &BTreeSet<usize>,
    ) -> Result<Partitions, PlanError> {
        let mut all = Partitions {
            tables: Vec::with_capacity(pipeline.tables().len()),
            abandoned: Vec::new(),
        };
        for (index, stage) in pipeline.stages().iter().enumerate() {
            let mut planned = match stage.kind {
                _ if !reach.contains(&index) => Vec::new(),
                StageKind::Harvest => self.listed(stage)?,
                StageKind::Normalize => match pipeline.inputs(index).first() {
                    Some(raw) if raw.tables.len() == 1 => parsed(&all.tables[raw.tables[0]]),
                    _ => return Err(PlanError::NormalizeInput(stage.table.clone())),
                },
                StageKind::Sql | StageKind::Native(_) => self.covered(stage)?,
            };
            planned.sort_by(|a, b| a.key.cmp(&b.key));
            planned.dedup_by(|a, b| a.key == b.key);
            let mut outputs = stage.outputs().peekable();
            while let Some(table) = outputs.next() {
                let published = match reach.contains(&index) {
                    true => world.published(table),
                    false => Vec::new(),
                };
                let own = match outputs.peek() {
                    Some(_) => planned.clone(),
                    None => std::mem::take(&mut planned),
                };
                let entries = self.joined(stage, table, own, published, &mut all.abandoned);
                let timed = stage.time_column.is_some() && *table == stage.table;
                let keys = stage.keys.clone();
                all.tables
                    .push(TablePartitions::new(table.clone(), keys, timed, entries));
            }
        }
        Ok(all)
    }

    /// Brings planned and published partitions together, both in the order of their keys.
    fn joined(
        &self,
        stage: &StageDecl,
        table: &TableId,
        mut planned: Vec<Entry>,
        published: Vec<(PartitionKey, Arc<Cell>)>,
        abandoned: &mut Vec<TaskKey>,
    ) -> Vec<Entry> {
        let listings = self.listings.get(&stage.table);
        let listings = listings.filter(|_| stage.kind == StageKind::Harvest);
        let named: Option<BTreeSet<&PartitionKey>> =
            listings.map(|listings| listings.iter().map(|l| &l.partition).collect());
        let mut others = Vec::new();
        let mut next = 0;
        for (key, cell) in published {
            while planned.get(next).is_some_and(|entry| entry.key < key) {
                next += 1;
            }
            match planned.get_mut(next) {
                Some(entry) if entry.key == key => entry.published = Some(cell),
                _ if self.keeps(stage, &key) => {
                    let mut entry = Entry::new(key, false);
                    entry.vanished = named
                        .as_ref()
                        .is_some_and(|named| !named.contains(&entry.key));
                    entry.published = Some(cell);
                    others.push(entry);
                }
                // A raw partition cannot be computed again: it stays, out of sight.
                _ if stage.kind == StageKind::Harvest => {}
                _ => abandoned.push(TaskKey {
                    table: table.clone(),
                    partition: key,
                }),
            }
        }
        if !others.is_empty() {
            planned.append(&mut others);
            planned.sort_by(|a, b| a.key.cmp(&b.key));
        }
        planned
    }

    fn listed(&self, stage: &StageDecl) -> Result<Vec<Entry>, PlanError> {
        let mut entries = Vec::new();
        for listing in self.listings.get(&stage.table).into_iter().flatten() {
            if !fits(stage, &listing.partition) {
                return Err(PlanError::Listing {
                    table: stage.table.clone(),
                    partition: listing.partition.clone(),
                });
            }
            let mut entry = Entry::new(listing.partition.clone(), true);
            if stage.grain == Grain::None || entry.period.start < self.end {
                entry.listing = Some(listing.clone());
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn covered(&self, stage: &StageDecl) -> Result<Vec<Entry>, PlanError> {
        let (keys, days) = match &stage.coverage {
            Some(_) => {
                let coverage = self.coverage(stage)?;
                (&coverage.keys, DayRange::new(coverage.start, self.end))
            }
            None => (&BTreeMap::new(), DayRange::new(self.end, self.end)),
        };
        let mut groups: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
        for key in &stage.keys {
            let values = keys.get(key).ok_or_else(|| PlanError::CoverageKey {
                table: stage.table.clone(),
                coverage: stage.coverage.clone().unwrap_or_default(),
                key: key.clone(),
            })?;
            groups = groups
                .into_iter()
                .flat_map(|group| {
                    values.iter().map(move |value| {
                        let mut group = group.clone();
                        group.push((key, value));
                        group
                    })
                })
                .collect();
        }
        let starts = stage.grain.periods(days);
        let mut entries = Vec::with_capacity(groups.len() * starts.len().max(1));
        for group in groups {
            let base = PartitionKey::new(group).map_err(PlanError::Core)?;
            if stage.grain == Grain::None {
                entries.push(Entry::new(base, true));
                continue;
            }
            for start in &starts {
                let key = base.clone().with_period(stage.grain, *start);
                let whole = DayRange::new(*start, stage.grain.next(*start));
                let mut entry = Entry::of_period(key, true, whole.clipped(&days));
                entry.clipped = entry.period != whole;
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn coverage(&self, stage: &StageDecl) -> Result<&Coverage, PlanError> {
        let name = stage.coverage.clone().unwrap_or_default();
        self.coverages
            .get(&name)
            .ok_or_else(|| PlanError::Coverage {
                table: stage.table.clone(),
                coverage: name.clone(),
                hint: hint(&name, self.coverages.keys().map(String::as_str)),
            })
    }

    /// Tells whether a published partition still belongs to the table as declared: one beyond the end date does, one
    /// of an asset that the coverage dropped does not.
    fn keeps(&self, stage: &StageDecl, key: &PartitionKey) -> bool {
        if !fits(stage, key) {
            return false;
        }
        match (&stage.kind, self.coverage(stage)) {
            (StageKind::Harvest | StageKind::Normalize, _) => true,
            (_, Err(_)) => stage.coverage.is_none(),
            (_, Ok(coverage)) => {
                let known = |column: &String| {
                    let values = coverage.keys.get(column);
                    values.is_some_and(|v| v.iter().any(|v| Some(v.as_str()) == key.get(column)))
                };
                let late = key.days().is_none_or(|days| days.end > coverage.start);
                late && stage.keys.iter().all(known)
            }
        }
    }
}

/// A normalising stage has a task for every raw partition there is, also for those whose source vanished.
fn parsed(raw: &TablePartitions) -> Vec<Entry> {
    let entry = |raw: &Entry| {
        let mut entry = Entry::of_period(raw.key.clone(), true, raw.period);
        entry.vanished = raw.vanished;
        entry
    };
    raw.entries.iter().map(entry).collect()
}

/// Tells whether a partition has the columns that the stage declares.
fn fits(stage: &StageDecl, key: &PartitionKey) -> bool {
    let expected = stage.keys.iter().map(String::as_str);
    let expected = expected.chain(stage.grain.column());
    let found = key.pairs().iter().map(|(column, _)| column.as_str());
    found.eq(expected) && (stage.grain == Grain::None || key.days().is_some())
}
