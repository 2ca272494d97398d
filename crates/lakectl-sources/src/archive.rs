//! Recorded files below a root folder: what there is, with a token each, and the verbatim bytes.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use bytes::Bytes;
use glob::{MatchOptions, Pattern};
use lakectl_core::{Day, Fingerprint, FingerprintBuilder, PartitionKey, UtcTime};
use serde::{Deserialize, Serialize};

use crate::compression::Compression;
use crate::dataset::Dataset;
use crate::document::Document;
use crate::error::SourceError;

/// What a dataset has below the root.
#[derive(Debug, Default)]
pub struct Found {
    /// Its files in the order of their names.
    pub files: Vec<Listed>,
    /// Folders that could not be looked into: what they hold is not among the files.
    pub closed: Vec<SourceError>,
}

/// One file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Path below the root, with `/`.
    pub name: String,
    /// The partition it belongs to. A misnamed file is put into the dataset's first partition, so that its rejection
    /// is reported somewhere.
    pub partition: PartitionKey,
    /// Its document time; `None` if the declared pattern finds none in its name.
    pub document_time: Option<UtcTime>,
    /// Size in bytes.
    pub bytes: u64,
    /// Changes when, and only when, name or content change.
    pub token: Fingerprint,
    /// Where it is.
    pub path: PathBuf,
    /// What the file system says about it, to remember `content` by.
    pub stamp: FileStamp,
    /// Digest of the content.
    pub content: Fingerprint,
    /// Why it could not be read; `content` is then a digest of this text.
    pub problem: Option<String>,
}

/// What tells a changed file from an unchanged one without reading it. It is a memory aid and never part of a result.
///
/// Nobody can give a file's content another state and keep all of it: the time of the last change, unlike that of the last
/// modification, is set by the system alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileStamp {
    /// Where it is.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// Modification time in nanoseconds since 1970, 0 if unknown.
    pub modified_nanos: u64,
    /// Time of the last change of content, name or owner, in nanoseconds since 1970; 0 if unknown.
    pub changed_nanos: u64,
    /// The file system, 0 if unknown.
    pub device: u64,
    /// The file's number on its file system, 0 if unknown.
    pub inode: u64,
}

/// Lists a dataset's files in order of their names, reading each to make its token.
///
/// # Errors
/// [`SourceError::RootMissing`], [`SourceError::Read`] if the root cannot be looked into, or
/// [`SourceError::Declaration`] if the dataset has no glob. A single file that cannot be read is listed with its problem.
pub fn list(root: &Path, dataset: &Dataset) -> Result<Found, SourceError> {
    list_with(root, dataset, &|_| None)
}

/// Like [`list`], but takes the digest of a file's content from `remembered` when it knows the stamp.
///
/// # Errors
/// As [`list`].
pub fn list_with(
    root: &Path,
    dataset: &Dataset,
    remembered: &dyn Fn(&FileStamp) -> Option<Fingerprint>,
) -> Result<Found, SourceError> {
    if !root.is_dir() {
        return Err(SourceError::RootMissing {
            path: root.to_owned(),
        });
    }
    fs::read_dir(root).map_err(|source| unread(root, source))?;
    let (mut files, closed) = find(root, dataset)?;
    files.sort();
    files.dedup();
    let time_of = |name: &str| dataset.document_time.as_ref()?.of(name);
    let first = files.iter().filter_map(|(name, _)| time_of(name)).min();
    let fallback = first.map_or(Day::from_days(0), UtcTime::day);
    let listed = files.into_iter().map(|(name, path)| {
        let document_time = time_of(&name);
        let day = document_time.map_or(fallback, UtcTime::day);
        let partition = PartitionKey::default().with_period(dataset.partition, day);
        let (stamp, content) = examine(&path, remembered);
        let (content, problem) = match content {
            Ok(content) => (content, None),
            Err(problem) => (Fingerprint::of(problem.as_bytes()), Some(problem)),
        };
        let token = FingerprintBuilder::new("archive file")
            .field("name", &name)
            .field("bytes", stamp.bytes.to_le_bytes())
            .field("content", content.as_bytes())
            .finish();
        Listed {
            name,
            partition,
            document_time,
            bytes: stamp.bytes,
            token,
            path,
            stamp,
            content,
            problem,
        }
    });
    Ok(Found {
        files: listed.collect(),
        closed,
    })
}

fn unread(path: &Path, source: io::Error) -> SourceError {
    SourceError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Reads a listed file; the body is exactly the file's content.
///
/// # Errors
/// [`SourceError::Read`].
pub fn fetch(listed: &Listed) -> Result<Document, SourceError> {
    let body = fs::read(&listed.path).map_err(|source| unread(&listed.path, source))?;
    Ok(Document::new(
        &listed.name,
        format!("archive:{}", listed.name),
        media_type(&listed.name),
        Bytes::from(body),
        listed.document_time,
    ))
}

/// Path below the root, path.
type Paths = Vec<(String, PathBuf)>;

/// Every file that the dataset's pattern matches, and the folders that kept theirs to themselves.
fn find(root: &Path, dataset: &Dataset) -> Result<(Paths, Vec<SourceError>), SourceError> {
    let wrong = |key: &str, problem: String| SourceError::Declaration {
        source_name: dataset.source.clone(),
        dataset: dataset.name.clone(),
        key: key.to_owned(),
        problem,
    };
    let Some(pattern) = &dataset.glob else {
        return Err(wrong(
            "glob",
            "is required: which files below the root".to_owned(),
        ));
    };
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::new()
    };
    let exclude: Vec<Pattern> = dataset
        .exclude
        .iter()
        .map(|text| Pattern::new(text).map_err(|error| wrong("exclude", error.to_string())))
        .collect::<Result<_, _>>()?;
    let full = format!("{}/{pattern}", Pattern::escape(&root.to_string_lossy()));
    let paths =
        glob::glob_with(&full, options).map_err(|error| wrong("glob", error.to_string()))?;
    let mut files = Vec::new();
    let mut closed: Vec<SourceError> = barred(root, pattern).into_iter().collect();
    for path in paths {
        let path = match path {
            Ok(path) => path,
            Err(error) => {
                let path = error.path().to_owned();
                closed.push(unread(&path, error.into()));
                continue;
            }
        };
        if path.is_dir() {
            continue;
        }
        let below = path.strip_prefix(root).unwrap_or(&path);
        let name = below.to_string_lossy().replace('\\', "/");
        if !exclude
            .iter()
            .any(|pattern| pattern.matches_with(&name, options))
        {
            files.push((name, path));
        }
    }
    Ok((files, closed))
}

/// Says why the folders that a pattern names cannot be gone into: the search takes such a folder for one that is not there.
fn barred(root: &Path, pattern: &str) -> Option<SourceError> {
    let mut path = root.to_owned();
    let named = pattern.rsplit_once('/')?.0.split('/');
    for folder in named.take_while(|part| !part.contains(['*', '?', '['])) {
        path.push(folder);
        match fs::metadata(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(unread(&path, error)),
        }
    }
    None
}

fn examine(
    path: &Path,
    remembered: &dyn Fn(&FileStamp) -> Option<Fingerprint>,
) -> (FileStamp, Result<Fingerprint, String>) {
    let unknown = FileStamp {
        path: path.to_owned(),
        bytes: 0,
        modified_nanos: 0,
        changed_nanos: 0,
        device: 0,
        inode: 0,
    };
    let stamp = match fs::metadata(path) {
        Ok(meta) => stamp(path, &meta),
        Err(error) => return (unknown, Err(error.to_string())),
    };
    if let Some(content) = remembered(&stamp) {
        return (stamp, Ok(content));
    }
    let content = fs::read(path).map_err(|error| error.to_string());
    // Of a file that changed while it was read, the bytes are those of neither stamp.
    match fs::metadata(path) {
        Ok(meta) if self::stamp(path, &meta) == stamp => {}
        _ => {
            let bytes = stamp.bytes;
            let stamp = FileStamp { bytes, ..unknown };
            return (stamp, content.map(|bytes| Fingerprint::of(&bytes)));
        }
    }
    (stamp, content.map(|bytes| Fingerprint::of(&bytes)))
}

fn stamp(path: &Path, meta: &fs::Metadata) -> FileStamp {
    let modified = meta.modified().ok();
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let (changed_nanos, device, inode) = identity(meta);
    FileStamp {
        path: path.to_owned(),
        bytes: meta.len(),
        modified_nanos: since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0)),
        changed_nanos,
        device,
        inode,
    }
}

/// (time of the last change in nanoseconds, file system, number of the file)
#[cfg(unix)]
fn identity(meta: &fs::Metadata) -> (u64, u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let nanos = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
    (u64::try_from(nanos).unwrap_or(0), meta.dev(), meta.ino())
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> (u64, u64, u64) {
    (0, 0, 0)
}

/// The media type of the stored bytes, by the name's ending.
pub fn media_type(name: &str) -> &'static str {
    match Compression::of_name(name) {
        Compression::Zstd => return "application/zstd",
        Compression::Gzip => return "application/gzip",
        Compression::None => {}
    }
    match name.rsplit('.').next() {
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("parquet") => "application/vnd.apache.parquet",
        _ => "application/octet-stream",
    }
}
