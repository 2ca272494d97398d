//! What the local door needs of an operating system: so little that a simulated disk can stand in for it.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use lakectl_core::UtcTime;

use super::TEMPORARY;

/// Flushes wait for the disk, not for the processor, and file systems join those that wait together.
const FLUSH_THREADS: usize = 8;

/// What a disk says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) bytes: u64,
    pub(crate) modified: UtcTime,
    pub(crate) is_folder: bool,
}

/// The operations of a file system, each of which may fail, and some of which a power loss may undo.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a folder and those above it.
    fn make_folders(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder in one that exists.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Writes a new unfinished file into a folder, flushed or not. Returns its path and the bytes it has now.
    fn write(&self, folder: &Path, bytes: &[u8], flush: bool) -> io::Result<(PathBuf, u64)>;
    /// Waits until the content of a file, or the entries of a folder, survive a power loss.
    fn flush(&self, path: &Path) -> io::Result<()>;
    /// Flushes several paths; the error names one that failed.
    fn flush_all(&self, paths: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
        paths.iter().try_for_each(|path| {
            let flushed = self.flush(path);
            flushed.map_err(|e| (path.clone(), e))
        })
    }
    /// Gives a file a second name, which must be new.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file another name, whatever had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name away.
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn look(&self, path: &Path) -> io::Result<Found>;
    /// The names in a folder, and whether each is a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>>;
}

/// The disk of this machine.
#[derive(Debug)]
pub(crate) struct Host;

impl Disk for Host {
    fn make_folders(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn write(&self, folder: &Path, bytes: &[u8], flush: bool) -> io::Result<(PathBuf, u64)> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        if flush {
            file.as_file().sync_all()?;
        }
        let found = file.as_file().metadata()?.len();
        let path = file.into_temp_path().keep().map_err(|e| e.error)?;
        Ok((path, found))
    }

    fn flush(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn flush_all(&self, paths: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
        let each = |paths: &[PathBuf]| {
            paths.iter().try_for_each(|path| {
                let flushed = self.flush(path);
                flushed.map_err(|e| (path.clone(), e))
            })
        };
        if paths.len() < 2 {
            return each(paths);
        }
        let share = paths.len().div_ceil(FLUSH_THREADS);
        std::thread::scope(|scope| {
            let parts = paths.chunks(share);
            let workers: Vec<_> = parts.map(|part| scope.spawn(move || each(part))).collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|e| std::panic::resume_unwind(e))
            })
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn look(&self, path: &Path) -> io::Result<Found> {
        let meta = fs::metadata(path)?;
        let since = meta.modified()?.duration_since(UNIX_EPOCH);
        let micros = since.map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
        Ok(Found {
            bytes: meta.len(),
            modified: UtcTime::from_micros(micros),
            is_folder: meta.is_dir(),
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let entries = fs::read_dir(path)?.map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, entry.file_type()?.is_dir()))
        });
        entries.collect()
    }
}
