//! The outside: what the sources offer, and their documents as rows of raw tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use lakectl_core::{Fingerprint, FingerprintBuilder, PartitionKey, TableId, UtcTime};
use lakectl_dag::Listing;
use lakectl_market::Market;
use lakectl_sources::archive::FileStamp;
use lakectl_sources::{Document, Parsed, Replacement, SourceError, archive, parse};

use crate::assembly::BoundDataset;
use crate::memo::FileMemo;
use crate::{PipelineError, Settings};

/// Columns of every `raw.*` table: one row a document, verbatim. `sequence` counts the bodies that one request gave.
pub(crate) const RAW_CONTRACT: &str = "name utf8, sequence i64, document_id utf8, request utf8, media_type utf8, \
    document_time ts?, fetched_at ts?, body binary";

/// A document that a source offers.
#[derive(Clone, Debug)]
enum Offer {
    File(Box<archive::Listed>),
    Simulated(String),
}

impl Offer {
    /// Says why it cannot be read now.
    fn problem(&self) -> Option<String> {
        match self {
            Self::File(file) => {
                let problem = file.problem.as_ref()?;
                Some(format!("cannot read `{}`: {problem}", file.path.display()))
            }
            Self::Simulated(_) => None,
        }
    }
}

/// What every source offers, listed once: planning and harvesting then speak of the same documents.
pub struct Sources {
    market: Option<Market>,
    offers: BTreeMap<TableId, BTreeMap<PartitionKey, Vec<Offer>>>,
    listings: BTreeMap<TableId, Vec<Listing>>,
    /// Recorded files with the digests of their contents.
    files: Vec<(FileStamp, Fingerprint)>,
    /// What could not be looked into, by the raw table that lacks it.
    closed: Vec<(TableId, SourceError)>,
}

impl Sources {
    /// Lists all datasets.
    ///
    /// # Errors
    /// [`PipelineError`] if a source is not configured or its root cannot be read.
    pub fn list(
        settings: &Settings,
        datasets: &BTreeMap<TableId, BoundDataset>,
    ) -> Result<Self, PipelineError> {
        Self::list_with(settings, datasets, &FileMemo::default())
    }

    /// Like [`Sources::list`]; files that are remembered need not be read.
    pub(crate) fn list_with(
        settings: &Settings,
        datasets: &BTreeMap<TableId, BoundDataset>,
        memo: &FileMemo,
    ) -> Result<Self, PipelineError> {
        let market = settings
            .sources
            .get("demo")
            .and_then(|source| source.market.clone())
            .map(Market::new)
            .transpose()?;
        let mut sources = Self {
            market,
            offers: BTreeMap::new(),
            listings: BTreeMap::new(),
            files: Vec::new(),
            closed: Vec::new(),
        };
        for (raw, bound) in datasets {
            let offers = match bound.source.as_str() {
                "demo" => sources.simulated(bound)?,
                "archive" => sources.recorded(settings, bound, memo)?,
                other => {
                    return Err(PipelineError::config(
                        format!("sources.{other}"),
                        "there is no such source; sources are `demo` and `archive`",
                    ));
                }
            };
            sources.take(raw, offers);
        }
        Ok(sources)
    }

    /// Sources that were not looked at: raw tables then stay as published.
    pub fn unlisted() -> Self {
        Self {
            market: None,
            offers: BTreeMap::new(),
            listings: BTreeMap::new(),
            files: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Returns the recorded files with the digests of their contents.
    pub(crate) fn files(&self) -> &[(FileStamp, Fingerprint)] {
        &self.files
    }

    /// Returns the folders of sources that could not be looked into, with the raw tables that lack what they hold. What is
    /// published of it stays.
    pub fn closed(&self) -> &[(TableId, SourceError)] {
        &self.closed
    }

    /// Returns what planning needs to know of each raw table.
    pub fn listings(&self) -> &BTreeMap<TableId, Vec<Listing>> {
        &self.listings
    }

    fn take(&mut self, raw: &TableId, offers: Vec<(PartitionKey, String, bool, Offer)>) {
        let mut tokens: BTreeMap<PartitionKey, (FingerprintBuilder, bool, Option<String>)> =
            BTreeMap::new();
        let held = self.offers.entry(raw.clone()).or_default();
        for (partition, token, sealed, offer) in offers {
            let entry = tokens
                .entry(partition.clone())
                .or_insert_with(|| (FingerprintBuilder::new("token"), true, None));
            entry.0.push("document", &token);
            entry.1 &= sealed;
            entry.2 = entry.2.take().or_else(|| offer.problem());
            held.entry(partition).or_default().push(offer);
        }
        let listings = tokens
            .into_iter()
            .map(|(partition, (token, sealed, note))| Listing {
                partition,
                token: token.finish().to_string(),
                sealed,
                note,
            });
        self.listings.insert(raw.clone(), listings.collect());
    }

    fn recorded(
        &mut self,
        settings: &Settings,
        bound: &BoundDataset,
        memo: &FileMemo,
    ) -> Result<Vec<(PartitionKey, String, bool, Offer)>, PipelineError> {
        let root = settings
            .sources
            .get("archive")
            .and_then(|source| source.root.clone())
            .ok_or_else(|| {
                PipelineError::usage(
                    "the profile reads recorded files, but `sources.archive.root` is not set",
                    "add `--set sources.archive.root=<folder>`, or set it in configs/archive.toml",
                )
            })?;
        let listed = archive::list_with(&PathBuf::from(root), &bound.dataset, &|stamp| {
            memo.get(stamp)
        })?;
        let closed = listed.closed.into_iter();
        self.closed
            .extend(closed.map(|error| (bound.raw.clone(), error)));
        let listed = listed.files;
        let readable = listed.iter().filter(|file| file.problem.is_none());
        self.files
            .extend(readable.map(|file| (file.stamp.clone(), file.content)));
        Ok(listed
            .into_iter()
            .map(|file| {
                (
                    file.partition.clone(),
                    file.token.to_string(),
                    true,
                    Offer::File(Box::new(file)),
                )
            })
            .collect())
    }

    fn simulated(
        &self,
        bound: &BoundDataset,
    ) -> Result<Vec<(PartitionKey, String, bool, Offer)>, PipelineError> {
        let market = self.market.as_ref().ok_or_else(|| {
            PipelineError::config(
                "sources.demo.market",
                "the simulated market is not configured",
            )
        })?;
        let entries = market.list(&bound.dataset.name)?;
        Ok(entries
            .into_iter()
            .map(|entry| {
                let partition =
                    PartitionKey::default().with_period(bound.dataset.partition, entry.first);
                let token = format!("{} {}", entry.name, entry.token);
                // A page that will grow is told apart by its token; an earlier state of it is never wanted back.
                (partition, token, true, Offer::Simulated(entry.name))
            })
            .collect())
    }

    /// Tells whether the source gives the same documents again whenever it is asked, as a simulation does.
    pub(crate) fn can_repeat(&self, bound: &BoundDataset) -> bool {
        can_repeat(bound)
    }

    /// Fetches the documents of one partition.
    ///
    /// # Errors
    /// [`PipelineError`] if a document cannot be read.
    pub(crate) fn fetch(
        &self,
        bound: &BoundDataset,
        partition: &PartitionKey,
    ) -> Result<Vec<Document>, PipelineError> {
        let offers = self
            .offers
            .get(&bound.raw)
            .and_then(|offers| offers.get(partition));
        let mut documents = Vec::new();
        for offer in offers.into_iter().flatten() {
            documents.push(match offer {
                // A file that cannot be read holds up its partition: of what nobody has read, nothing can be kept.
                Offer::File(listed) => archive::fetch(listed)?,
                Offer::Simulated(name) => self.simulate(bound, name)?,
            });
        }
        Ok(documents)
    }

    fn simulate(&self, bound: &BoundDataset, name: &str) -> Result<Document, PipelineError> {
        let market = self.market.as_ref().ok_or_else(|| {
            PipelineError::config(
                "sources.demo.market",
                "the simulated market is not configured",
            )
        })?;
        let made = market.document(&bound.dataset.name, name)?;
        let recorded_at = Some(made.entry.recorded_at);
        Ok(Document::new(
            name,
            made.request,
            made.media_type,
            Bytes::from(made.body),
            recorded_at,
        ))
    }
}

/// Tells whether a dataset's source gives the same documents again whenever it is asked.
pub(crate) fn can_repeat(bound: &BoundDataset) -> bool {
    bound.source == "demo"
}

/// Joins fetched documents with those that are stored: raw tables only grow. The newest body of a name keeps its place;
/// another body under the same name gets the next sequence number.
///
/// # Errors
/// [`PipelineError::Arrow`] if the rows cannot be assembled.
pub(crate) fn merge(
    stored: Vec<StoredDocument>,
    fetched: Vec<Document>,
    schema: &SchemaRef,
) -> Result<RecordBatch, PipelineError> {
    let mut all = stored;
    for document in fetched {
        let newest = all
            .iter()
            .filter(|old| old.document.name == document.name)
            .max_by_key(|old| old.sequence);
        // A body that comes back after another one counts as a new arrival: it is what the source says now.
        match newest {
            Some(newest) if newest.document.id == document.id => {}
            newest => {
                let sequence = newest.map_or(0, |newest| newest.sequence + 1);
                all.push(StoredDocument { document, sequence });
            }
        }
    }
    rows(all, schema)
}

/// Joins what two runs have added to the same stored documents: the union of (name, body), in which a document that is
/// new to the other side gets the next sequence number of its name.
pub(crate) fn join(
    base: &[StoredDocument],
    ours: Vec<StoredDocument>,
    theirs: Vec<StoredDocument>,
) -> Vec<StoredDocument> {
    // Raw tables only grow, so what has a higher number than all of the base is new.
    let mut began: BTreeMap<&str, i64> = BTreeMap::new();
    for one in base {
        let newest = began.entry(&one.document.name).or_insert(-1);
        *newest = (*newest).max(one.sequence);
    }
    let is_new = |one: &StoredDocument| {
        let newest = began.get(one.document.name.as_str());
        one.sequence > newest.copied().unwrap_or(-1)
    };
    let mut next: BTreeMap<String, i64> = BTreeMap::new();
    let mut there = BTreeSet::new();
    for one in &theirs {
        let next = next.entry(one.document.name.clone()).or_default();
        *next = (*next).max(one.sequence + 1);
        if is_new(one) {
            there.insert((one.document.name.clone(), one.document.id));
        }
    }
    let mut added: Vec<StoredDocument> = ours
        .into_iter()
        .filter(|one| is_new(one) && !there.contains(&(one.document.name.clone(), one.document.id)))
        .collect();
    added.sort_by(|a, b| (&a.document.name, a.sequence).cmp(&(&b.document.name, b.sequence)));
    for one in &mut added {
        let next = next.entry(one.document.name.clone()).or_default();
        one.sequence = *next;
        *next += 1;
    }
    let mut all = theirs;
    all.extend(added);
    all
}

/// Tells whether compressing bodies is worth it: none is compressed already.
pub(crate) fn is_compressible<'a>(mut documents: impl Iterator<Item = &'a Document>) -> bool {
    let packed = ["zstd", "gzip", "zip", "parquet"];
    !documents.any(|document| packed.iter().any(|word| document.media_type.contains(word)))
}

/// The rows of documents, in the order of their names and numbers.
///
/// # Errors
/// [`PipelineError::Arrow`] if the rows cannot be assembled.
pub(crate) fn rows(
    mut all: Vec<StoredDocument>,
    schema: &SchemaRef,
) -> Result<RecordBatch, PipelineError> {
    all.sort_by(|a, b| (&a.document.name, a.sequence).cmp(&(&b.document.name, b.sequence)));
    let text = |f: fn(&Document) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            all.iter().map(|d| f(&d.document)),
        ))
    };
    let times = || -> ArrayRef {
        let micros = all
            .iter()
            .map(|d| d.document.document_time.map(UtcTime::micros));
        Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        text(|d| d.name.clone()),
        Arc::new(Int64Array::from_iter_values(all.iter().map(|d| d.sequence))),
        text(|d| d.id.to_string()),
        text(|d| d.request.clone()),
        text(|d| d.media_type.clone()),
        times(),
        // A recorded or simulated document was fetched when it says it was recorded; there is no other clock.
        times(),
        Arc::new(BinaryArray::from_iter_values(
            all.iter().map(|d| d.document.body.clone()),
        )),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Parses the documents that stand. Of a dataset that corrects, only the newest body of a name that gives rows counts, and
/// damaged ones after it are reported; of one that restates, every body is a statement of its own time. A document whose
/// declared time lies in another partition belongs there.
pub(crate) fn parse_standing(
    bound: &BoundDataset,
    stored: Vec<StoredDocument>,
    partition: &PartitionKey,
) -> Vec<(Document, Parsed)> {
    let dataset = &bound.dataset;
    let mut by_name: BTreeMap<String, Vec<StoredDocument>> = BTreeMap::new();
    for mut one in stored {
        let stored = one.document.document_time;
        one.document.document_time = declared_time(bound, &one.document.name, stored);
        let home =
            |time: UtcTime| PartitionKey::default().with_period(dataset.partition, time.day());
        let declared = one
            .document
            .document_time
            .filter(|_| dataset.document_time.is_some());
        if declared.is_none_or(|time| home(time) == *partition) {
            by_name
                .entry(one.document.name.clone())
                .or_default()
                .push(one);
        }
    }
    let mut standing = Vec::new();
    for bodies in by_name.into_values() {
        for StoredDocument { document, sequence } in bodies.into_iter().rev() {
            let parsed = parse(dataset, &document, sequence, bound.assumed_availability);
            let settled =
                dataset.replacement == Replacement::Correction && parsed.rows.num_rows() > 0;
            standing.push((document, parsed));
            if settled {
                break;
            }
        }
    }
    standing
}

/// Returns when a stored document was recorded, by the declaration: it may have changed since, the name has not.
pub(crate) fn declared_time(
    bound: &BoundDataset,
    name: &str,
    stored: Option<UtcTime>,
) -> Option<UtcTime> {
    match &bound.dataset.document_time {
        Some(rule) => rule.of(name),
        None => stored,
    }
}

/// A document with the number of its arrival under its name.
#[derive(Clone, Debug)]
pub(crate) struct StoredDocument {
    /// The document.
    pub(crate) document: Document,
    /// 0 for the first body of that name.
    pub(crate) sequence: i64,
}

/// Reads documents back from the rows of a raw table.
///
/// # Errors
/// [`PipelineError::Stage`] if the rows are not those of a raw table.
pub(crate) fn stored(batches: &[RecordBatch]) -> Result<Vec<StoredDocument>, PipelineError> {
    let mut documents = Vec::new();
    for batch in batches {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| PipelineError::stage(format!("a raw table without `{name}`")))
        };
        let [names, requests, media] = ["name", "request", "media_type"].map(&column);
        let (names, requests, media) = (
            names?.as_string::<i32>(),
            requests?.as_string::<i32>(),
            media?.as_string::<i32>(),
        );
        let sequences = column("sequence")?.as_primitive::<Int64Type>();
        let times = column("document_time")?.as_primitive::<TimestampMicrosecondType>();
        let bodies = column("body")?.as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let time = times
                .is_valid(row)
                .then(|| UtcTime::from_micros(times.value(row)));
            let body = Bytes::copy_from_slice(bodies.value(row));
            documents.push(StoredDocument {
                document: Document::new(
                    names.value(row),
                    requests.value(row),
                    media.value(row),
                    body,
                    time,
                ),
                sequence: sequences.value(row),
            });
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests;
