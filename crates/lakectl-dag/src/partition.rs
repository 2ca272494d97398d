//! Which partitions each table has, known before anything is computed.
//!
//! Derived tables take theirs from a declared coverage and the calendar; raw tables from what their source lists, and
//! normalised ones from their raw table. Partitions that are published already stay members of windows.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::{Day, DayRange, Grain, PartitionKey, TableId};

use crate::{BoundInput, Pipeline, PlanError, StageDecl, StageKind, World};

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
}

impl Entry {
    fn new(key: PartitionKey, planned: bool) -> Self {
        Self {
            text: key.to_string(),
            period: key.days().unwrap_or(DayRange::ALL),
            key,
            planned,
            listing: None,
            vanished: false,
        }
    }

    /// Returns the days of a partition that the calendar cuts short, as a part of fingerprints.
    pub(crate) fn cut_short(&self) -> Option<String> {
        let whole = self.key.days()?;
        (whole != self.period)
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
    /// The partitions, sorted by key.
    pub entries: Vec<Entry>,
    /// Key values -> entries sorted by their first day.
    groups: BTreeMap<Vec<String>, Vec<u32>>,
}

impl TablePartitions {
    fn new(
        table: TableId,
        keys: Vec<String>,
        timed: bool,
        entries: BTreeMap<PartitionKey, Entry>,
    ) -> Self {
        let entries: Vec<Entry> = entries.into_values().collect();
        let mut groups: BTreeMap<Vec<String>, Vec<u32>> = BTreeMap::new();
        for (i, entry) in entries.iter().enumerate() {
            let group = groups.entry(values_of(&keys, &entry.key)).or_default();
            group.push(i as u32);
        }
        for group in groups.values_mut() {
            group.sort_by_key(|i| entries[*i as usize].period.start);
        }
        Self {
            table,
            keys,
            timed,
            entries,
            groups,
        }
    }

    /// Returns the place of a partition in `entries`.
    pub fn find(&self, key: &PartitionKey) -> Option<usize> {
        self.entries
            .binary_search_by(|entry| entry.key.cmp(key))
            .ok()
    }

    /// Returns the numbered groups whose values of the shared keys equal those of the output partition.
    pub(crate) fn groups_of(&self, output: &Entry) -> Vec<(u32, &[u32])> {
        let wanted: Vec<Option<&str>> = self.keys.iter().map(|key| output.key.get(key)).collect();
        if wanted.iter().all(Option::is_some) {
            let values: Vec<String> = wanted.into_iter().flatten().map(str::to_owned).collect();
            let group = self.groups.get(&values);
            return group
                .map(|group| (0, group.as_slice()))
                .into_iter()
                .collect();
        }
        let fits = |values: &[String]| {
            let mut pairs = wanted.iter().zip(values);
            pairs.all(|(want, value)| want.is_none_or(|want| want == value))
        };
        (0..)
            .zip(&self.groups)
            .filter(|(_, (values, _))| fits(values))
            .map(|(number, (_, group))| (number, group.as_slice()))
            .collect()
    }
}

fn values_of(keys: &[String], partition: &PartitionKey) -> Vec<String> {
    keys.iter()
        .map(|key| partition.get(key).unwrap_or_default().to_owned())
        .collect()
}

/// What partition planning is given from outside.
pub(crate) struct Calendar<'a> {
    pub(crate) coverages: &'a BTreeMap<String, Coverage>,
    pub(crate) listings: &'a BTreeMap<TableId, Vec<Listing>>,
    /// The day after the last planned one.
    pub(crate) end: Day,
}

impl Calendar<'_> {
    /// Returns the partitions of every table, in the pipeline's order of tables.
    pub(crate) fn partitions(
        &self,
        pipeline: &Pipeline,
        world: &dyn World,
    ) -> Result<Vec<TablePartitions>, PlanError> {
        let mut all: Vec<TablePartitions> = Vec::new();
        for (index, stage) in pipeline.stages().iter().enumerate() {
            let mut planned = match stage.kind {
                StageKind::Harvest => self.listed(stage, world)?,
                StageKind::Normalize => match pipeline.inputs(index).first() {
                    Some(raw) if raw.tables.len() == 1 => parsed(&all[raw.tables[0]]),
                    _ => return Err(PlanError::NormalizeInput(stage.table.clone())),
                },
                StageKind::Sql | StageKind::Native(_) => self.covered(stage)?,
            };
            let raw = pipeline.inputs(index).first();
            let raw = raw.filter(|_| stage.kind == StageKind::Normalize);
            let dropped = |key: &PartitionKey| {
                let of_raw = |raw: &BoundInput| world.is_dropped(&raw.name, key);
                world.is_dropped(&stage.table, key) || raw.is_some_and(of_raw)
            };
            planned.retain(|key, _| !dropped(key));
            for table in stage.outputs() {
                let mut entries = planned.clone();
                for key in world.published_partitions(table) {
                    if self.keeps(stage, &key) && !dropped(&key) {
                        let published = || Entry::new(key.clone(), false);
                        entries.entry(key.clone()).or_insert_with(published);
                    }
                }
                let timed = stage.time_column.is_some() && *table == stage.table;
                all.push(TablePartitions::new(
                    table.clone(),
                    stage.keys.clone(),
                    timed,
                    entries,
                ));
            }
        }
        Ok(all)
    }

    fn listed(
        &self,
        stage: &StageDecl,
        world: &dyn World,
    ) -> Result<BTreeMap<PartitionKey, Entry>, PlanError> {
        let mut entries = BTreeMap::new();
        let Some(listings) = self.listings.get(&stage.table) else {
            return Ok(entries);
        };
        let mut named = BTreeSet::new();
        for listing in listings {
            if !fits(stage, &listing.partition) {
                return Err(PlanError::Listing {
                    table: stage.table.clone(),
                    partition: listing.partition.clone(),
                });
            }
            named.insert(&listing.partition);
            let mut entry = Entry::new(listing.partition.clone(), true);
            if stage.grain == Grain::None || entry.period.start < self.end {
                entry.listing = Some(listing.clone());
                entries.insert(listing.partition.clone(), entry);
            }
        }
        for key in world.published_partitions(&stage.table) {
            if fits(stage, &key) && !named.contains(&key) {
                let mut entry = Entry::new(key.clone(), false);
                entry.vanished = true;
                entries.insert(key, entry);
            }
        }
        Ok(entries)
    }

    fn covered(&self, stage: &StageDecl) -> Result<BTreeMap<PartitionKey, Entry>, PlanError> {
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
        let mut entries = BTreeMap::new();
        for group in groups {
            let base = PartitionKey::new(group).map_err(PlanError::Core)?;
            if stage.grain == Grain::None {
                entries.insert(base.clone(), Entry::new(base, true));
                continue;
            }
            for start in &starts {
                let key = base.clone().with_period(stage.grain, *start);
                let mut entry = Entry::new(key.clone(), true);
                entry.period = entry.period.clipped(&days);
                entries.insert(key, entry);
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
                nearest: crate::nearest(&name, self.coverages.keys().map(String::as_str))
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
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
fn parsed(raw: &TablePartitions) -> BTreeMap<PartitionKey, Entry> {
    let entry = |raw: &Entry| {
        let mut entry = Entry::new(raw.key.clone(), true);
        entry.vanished = raw.vanished;
        (raw.key.clone(), entry)
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
