//! Cells of one table as compact bytes, named by their digest: what large commits and checkpoints are made of.
//!
//! A table's cells, in the order of their partitions, are cut where the digest of a partition says so. The cuts do not
//! depend on what stands before them, so a changed partition changes one chunk, and every commit, checkpoint and branch
//! that holds the same cells names the same file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use lakectl_core::{Cell, CellFile, Day, Fingerprint, PartitionKey, Parts, TableId, UtcTime};
use serde::{Deserialize, Serialize};
use zstd::bulk::Decompressor;

use crate::StoreError;
use crate::object::Door;

const FOLDER: &str = "_chunks";
const MAGIC: &[u8; 4] = b"LKC1";
/// Cells of a chunk in the mean, a power of two, and at most.
const MEAN_CELLS: u16 = 1024;
const MOST_CELLS: usize = 4096;
/// A chunk of the most cells with a year of days each stays far below.
const MOST_BYTES: usize = 1 << 30;
const LEVEL: i32 = 3;
/// Threads that fetch and decode chunks.
const THREADS: usize = 8;

/// Names the chunks of each table, in the order of their partitions.
pub(crate) type Chunks = BTreeMap<TableId, Vec<ChunkRef>>;

/// A chunk and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkRef {
    /// Digest of the file: names and verifies it.
    pub(crate) hash: Fingerprint,
    /// Its first partition.
    pub(crate) first: PartitionKey,
    pub(crate) cells: u64,
    /// Rows of all its cells.
    pub(crate) rows: u64,
}

impl ChunkRef {
    pub(crate) fn path(&self) -> String {
        format!("{FOLDER}/{}.cells", self.hash)
    }
}

/// Writes cells of one table, given in the order of their partitions. The files are durable after the next flush.
pub(crate) fn write<'a>(
    door: &Door,
    cells: impl IntoIterator<Item = &'a Cell>,
) -> Result<Vec<ChunkRef>, StoreError> {
    let mut refs = Vec::new();
    let mut open: Vec<&Cell> = Vec::new();
    for cell in cells {
        if open.len() == MOST_CELLS || (!open.is_empty() && begins(&cell.partition)) {
            refs.push(write_one(door, &open)?);
            open.clear();
        }
        open.push(cell);
    }
    if !open.is_empty() {
        refs.push(write_one(door, &open)?);
    }
    Ok(refs)
}

/// Tells whether a chunk begins with this partition.
fn begins(partition: &PartitionKey) -> bool {
    let digest = Fingerprint::of(partition.to_string().as_bytes());
    let [low, high, ..] = *digest.as_bytes();
    u16::from_le_bytes([low, high]) % MEAN_CELLS == 0
}

fn write_one(door: &Door, cells: &[&Cell]) -> Result<ChunkRef, StoreError> {
    let failed = |table: &TableId, e| crate::parquet::rows_error("record", table, e);
    let bytes = encode(cells).map_err(|e| failed(&cells[0].table, e))?;
    let chunk = ChunkRef {
        hash: Fingerprint::of(&bytes),
        first: cells[0].partition.clone(),
        cells: cells.len() as u64,
        rows: cells.iter().map(|cell| cell.rows).sum(),
    };
    door.put_content_named(&chunk.path(), &bytes)?;
    Ok(chunk)
}

/// Reads chunks of several tables, several at a time; the cells come in the order of the references.
/// `repair` says what to do if one of them is damaged.
pub(crate) fn read(
    door: &Door,
    chunks: &Chunks,
    repair: &'static str,
) -> Result<Vec<Arc<Cell>>, StoreError> {
    let wanted: Vec<(&TableId, &ChunkRef)> = chunks
        .iter()
        .flat_map(|(table, refs)| refs.iter().map(move |chunk| (table, chunk)))
        .collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = wanted.len().div_ceil(cores.clamp(2, THREADS)).max(1);
    let read_all = |part: &[(&TableId, &ChunkRef)]| {
        let read = |(table, chunk): &(&TableId, &ChunkRef)| read_one(door, table, chunk, repair);
        let lists = part.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(lists.into_iter().flatten().collect::<Vec<Arc<Cell>>>())
    };
    if wanted.len() <= 1 {
        return read_all(&wanted);
    }
    let parts = thread::scope(|scope| {
        let read_all = &read_all;
        let workers = wanted
            .chunks(share)
            .map(|part| scope.spawn(move || read_all(part)));
        let workers: Vec<_> = workers.collect();
        let joined = workers.into_iter().map(|worker| {
            worker
                .join()
                .unwrap_or_else(|e| std::panic::resume_unwind(e))
        });
        joined.collect::<Result<Vec<_>, StoreError>>()
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Reads a chunk and says what is wrong with it.
pub(crate) fn check(
    door: &Door,
    table: &TableId,
    chunk: &ChunkRef,
    repair: &'static str,
) -> Result<(), StoreError> {
    read_one(door, table, chunk, repair).map(|_| ())
}

fn read_one(
    door: &Door,
    table: &TableId,
    chunk: &ChunkRef,
    repair: &'static str,
) -> Result<Vec<Arc<Cell>>, StoreError> {
    let path = chunk.path();
    let damaged = |problem: &str| StoreError::Damaged {
        path: door.full(&path),
        problem: problem.to_owned(),
        repair,
    };
    let verified = |bytes: &[u8]| {
        if Fingerprint::of(bytes) != chunk.hash {
            return Err(damaged(
                "its content does not match its name (cut off or altered)",
            ));
        }
        let cells = decode(table, bytes).ok_or_else(|| damaged("it is of another make"))?;
        match cells.len() as u64 == chunk.cells {
            true => Ok(cells),
            false => Err(damaged("it holds another number of cells than recorded")),
        }
    };
    let cells = door.get_verified(&path, |bytes| verified(&bytes))?;
    cells.ok_or_else(|| damaged("it is missing"))
}

/// Encodes cells of one table. What their fingerprints were made of is kept elsewhere.
fn encode(cells: &[&Cell]) -> Result<Vec<u8>, std::io::Error> {
    let mut runs: Vec<&str> = cells.iter().map(|cell| cell.run.as_str()).collect();
    runs.sort_unstable();
    runs.dedup();
    let mut out = Out(Vec::with_capacity(cells.len() * 192));
    out.text(cells.first().map_or("", |cell| cell.table.as_str()));
    out.number(runs.len() as u64);
    runs.iter().for_each(|run| out.text(run));
    out.number(cells.len() as u64);
    for cell in cells {
        out.text(&cell.partition.to_string());
        out.digest(&cell.fingerprint);
        out.digest(&cell.rows_hash);
        out.number(cell.rows);
        out.0
            .extend_from_slice(&cell.seconds.to_bits().to_le_bytes());
        out.number(runs.binary_search(&cell.run.as_str()).unwrap_or(0) as u64);
        out.days(&cell.days);
        out.times(cell.times);
        out.file(cell);
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(out.0.len() as u32).to_le_bytes());
    bytes.extend(zstd::bulk::compress(&out.0, LEVEL)?);
    Ok(bytes)
}

/// Reads what [`encode`] wrote for `table`; `None` if it is something else.
fn decode(table: &TableId, bytes: &[u8]) -> Option<Vec<Arc<Cell>>> {
    let (length, packed) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let plain = unpack(packed, length.min(MOST_BYTES))?;
    let mut from = In(&plain);
    if from.text()? != table.as_str() {
        return None;
    }
    let runs: Vec<&str> = (0..from.number()?)
        .map(|_| from.text())
        .collect::<Option<_>>()?;
    let count = usize::try_from(from.number()?).ok()?;
    let mut cells = Vec::with_capacity(count.min(MOST_CELLS));
    for _ in 0..count {
        cells.push(Arc::new(from.cell(table, &runs)?));
    }
    from.0.is_empty().then_some(cells)
}

/// A lake of a thousand tables has a thousand chunks, and setting up for one takes longer than one.
fn unpack(packed: &[u8], capacity: usize) -> Option<Vec<u8>> {
    thread_local! {
        static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    UNPACKER.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Some(Decompressor::new().ok()?);
        }
        kept.as_mut()?.decompress(packed, capacity).ok()
    })
}

/// The path of a file that has its usual name.
fn usual_path(table: &TableId, partition: &str, hash: Fingerprint) -> String {
    match partition {
        "all" => format!("data/{}/{}/{hash}.parquet", table.schema(), table.name()),
        _ => format!(
            "data/{}/{}/{partition}/{hash}.parquet",
            table.schema(),
            table.name()
        ),
    }
}

struct Out(Vec<u8>);

impl Out {
    /// Seven bits a byte, the lowest first; the high bit says that more follow.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn digest(&mut self, digest: &Fingerprint) {
        self.0.extend_from_slice(digest.as_bytes());
    }

    fn days(&mut self, days: &BTreeMap<Day, Fingerprint>) {
        self.number(days.len() as u64);
        for (day, digest) in days {
            self.signed(i64::from(day.days()));
            self.digest(digest);
        }
    }

    fn times(&mut self, times: Option<(UtcTime, UtcTime)>) {
        self.number(u64::from(times.is_some()));
        if let Some((first, last)) = times {
            self.signed(first.micros());
            self.signed(last.micros());
        }
    }

    fn file(&mut self, cell: &Cell) {
        let Some(file) = &cell.file else {
            return self.number(0);
        };
        let usual = usual_path(&cell.table, &cell.partition.to_string(), file.hash) == file.path;
        self.number(if usual { 1 } else { 2 });
        if !usual {
            self.text(&file.path);
        }
        self.digest(&file.hash);
        self.number(file.bytes);
    }
}

struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn digest(&mut self) -> Option<Fingerprint> {
        let bytes = self.take(32)?.try_into().ok()?;
        Some(Fingerprint::from_bytes(bytes))
    }

    fn cell(&mut self, table: &TableId, runs: &[&str]) -> Option<Cell> {
        let partition = self.text()?;
        Some(Cell {
            table: table.clone(),
            partition: partition.parse().ok()?,
            fingerprint: self.digest()?,
            parts: Parts::new(),
            rows_hash: self.digest()?,
            rows: self.number()?,
            seconds: f64::from_bits(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            run: (*runs.get(usize::try_from(self.number()?).ok()?)?).to_owned(),
            days: self.days()?,
            times: self.times()?,
            file: self.file(table, partition)?,
        })
    }

    fn days(&mut self) -> Option<BTreeMap<Day, Fingerprint>> {
        let count = self.number()?;
        let day = |from: &mut Self| {
            let day = i32::try_from(from.signed()?).ok()?;
            Some((Day::from_days(day), from.digest()?))
        };
        (0..count).map(|_| day(self)).collect()
    }

    fn times(&mut self) -> Option<Option<(UtcTime, UtcTime)>> {
        if self.number()? == 0 {
            return Some(None);
        }
        let (first, last) = (self.signed()?, self.signed()?);
        Some(Some((
            UtcTime::from_micros(first),
            UtcTime::from_micros(last),
        )))
    }

    fn file(&mut self, table: &TableId, partition: &str) -> Option<Option<CellFile>> {
        let kind = self.number()?;
        if kind == 0 {
            return Some(None);
        }
        let path = match kind {
            1 => None,
            _ => Some(self.text()?.to_owned()),
        };
        let hash = self.digest()?;
        let path = path.unwrap_or_else(|| usual_path(table, partition, hash));
        let bytes = self.number()?;
        Some(Some(CellFile { path, hash, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(n: u64) -> Cell {
        let hash = |what: &str| Fingerprint::of(format!("{what} {n}").as_bytes());
        let days = (0..n as i32 % 3).map(|d| (Day::from_days(d - 1), hash("day")));
        Cell {
            table: "a.b".parse().unwrap(),
            partition: format!("asset=A{n:05}/date=2026-01-0{}", n % 9 + 1)
                .parse()
                .unwrap(),
            fingerprint: hash("fingerprint"),
            parts: Parts::new(),
            rows_hash: hash("rows"),
            days: days.collect(),
            rows: n * 1_000_003,
            file: (!n.is_multiple_of(4)).then(|| CellFile {
                path: match n % 4 {
                    1 => format!("data/a/b/elsewhere-{n}.parquet"),
                    _ => usual_path(
                        &"a.b".parse().unwrap(),
                        &format!("asset=A{n:05}/date=2026-01-0{}", n % 9 + 1),
                        hash("file"),
                    ),
                },
                hash: hash("file"),
                bytes: n << 40,
            }),
            times: n.is_multiple_of(2).then(|| {
                let micros = n as i64 * 1_000_000_007;
                (UtcTime::from_micros(-micros), UtcTime::from_micros(micros))
            }),
            run: format!("run-{}", n % 5),
            seconds: n as f64 / 7.0,
        }
    }

    #[test]
    fn cells_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::new(folder.path().to_owned());
        let cells: Vec<Cell> = (0..10_000).map(cell).collect();
        let refs = write(&door, &cells).unwrap();
        assert!((5..20).contains(&refs.len()), "{} chunks", refs.len());
        let chunks = Chunks::from([("a.b".parse().unwrap(), refs)]);
        let back = read(&door, &chunks, "repair").unwrap();
        let back: Vec<Cell> = back.iter().map(|cell| (**cell).clone()).collect();
        assert_eq!(back, cells);
    }

    #[test]
    fn one_change_changes_one_chunk() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::new(folder.path().to_owned());
        let mut cells: Vec<Cell> = (0..10_000).map(cell).collect();
        let before = write(&door, &cells).unwrap();
        let inserted = cell(20_000);
        cells.insert(
            5_000,
            Cell {
                partition: "asset=A04999x/date=2026-01-01".parse().unwrap(),
                ..inserted
            },
        );
        let after = write(&door, &cells).unwrap();
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!((1..=2).contains(&new), "{new} of {} are new", after.len());
    }

    #[test]
    fn bytes_of_another_make_are_refused() {
        let bytes = encode(&[&cell(1), &cell(2)]).unwrap();
        let table: TableId = "a.b".parse().unwrap();
        assert_eq!(decode(&table, &bytes).unwrap().len(), 2);
        assert!(decode(&"a.c".parse().unwrap(), &bytes).is_none());
        for length in 0..bytes.len() {
            assert!(decode(&table, &bytes[..length]).is_none(), "{length} bytes");
        }
    }
}
