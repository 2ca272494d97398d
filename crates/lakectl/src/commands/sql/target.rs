//! Where rows go: the screen, a pipe, a pager, or a file that appears when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use crate::render;

/// Where rows go, and what is left to do when all are written.
pub(super) enum Target {
    /// Standard output.
    Out,
    /// The terminal, by a pager if there is more than it shows at once.
    Screen { lines: usize },
    /// A new file.
    File(NewFile),
}

impl Target {
    /// Opens the stream for the rows. `closed` is set when the reader at its other end went away.
    pub(super) fn stream(&self, closed: &Arc<AtomicBool>) -> Result<Box<dyn Write + Send>> {
        let inner: Box<dyn Write + Send> = match self {
            Self::Out => Box::new(render::stream()),
            Self::Screen { lines } => Box::new(Pager::new(*lines)),
            Self::File(file) => Box::new(BufWriter::new(file.handle()?)),
        };
        Ok(Box::new(Guarded {
            inner,
            closed: Arc::clone(closed),
        }))
    }

    /// Gives a file its name; the others have none.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Out | Self::Screen { .. } => Ok(()),
        }
    }
}

/// Notes when nobody reads any more.
struct Guarded {
    inner: Box<dyn Write + Send>,
    closed: Arc<AtomicBool>,
}

impl Guarded {
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() == ErrorKind::BrokenPipe
        {
            self.closed.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Guarded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.noted(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.noted(result)
    }
}

/// A file under a temporary name beside its own; without [`NewFile::finish`] it goes away.
pub(super) struct NewFile {
    name: PathBuf,
    made: Made,
}

enum Made {
    Temporary(NamedTempFile),
    /// What is no ordinary file (a pipe, a device) is written as it is.
    Direct(File),
}

impl NewFile {
    pub(super) fn create(name: &str) -> Result<Self> {
        let wrong = || format!("cannot write `{name}`");
        let path = PathBuf::from(name);
        // A link stays one: what it leads to is replaced.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let there = fs::metadata(&path).ok();
        if there.as_ref().is_some_and(|meta| !meta.is_file()) {
            let file = File::options()
                .write(true)
                .open(&path)
                .with_context(wrong)?;
            return Ok(Self {
                name: path,
                made: Made::Direct(file),
            });
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmp-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .with_context(wrong)?;
        if let Some(meta) = there {
            fs::set_permissions(temporary.path(), meta.permissions()).with_context(wrong)?;
        }
        Ok(Self {
            name: path,
            made: Made::Temporary(temporary),
        })
    }

    fn handle(&self) -> Result<File> {
        let file = match &self.made {
            Made::Temporary(file) => file.as_file(),
            Made::Direct(file) => file,
        };
        file.try_clone()
            .with_context(|| format!("cannot write `{}`", self.name.display()))
    }

    fn finish(self) -> Result<()> {
        let name = self.name;
        match self.made {
            Made::Direct(_) => Ok(()),
            Made::Temporary(file) => file
                .persist(&name)
                .map(|_| ())
                .map_err(|error| error.error)
                .with_context(|| format!("cannot write `{}`", name.display())),
        }
    }
}

/// Holds text back until it is longer than the screen, then gives it and all that follows to a pager.
struct Pager {
    lines_max: usize,
    lines: usize,
    held: Vec<u8>,
    child: Option<(Child, ChildStdin)>,
    /// There is no pager; text goes straight to the screen.
    plain: bool,
}

impl Pager {
    fn new(lines_max: usize) -> Self {
        Self {
            lines_max,
            lines: 0,
            held: Vec::new(),
            child: None,
            plain: false,
        }
    }

    fn start(&mut self) {
        let command = std::env::var("PAGER")
            .ok()
            .filter(|pager| !pager.trim().is_empty());
        let command = command.unwrap_or_else(|| "less -RFX".to_owned());
        let child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .spawn();
        let mut child = child.ok();
        let stdin = child.as_mut().and_then(|child| child.stdin.take());
        self.child = child.zip(stdin);
        self.plain = self.child.is_none();
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((_, stdin)) = &mut self.child {
            return stdin.write(bytes);
        }
        if self.plain {
            return render::stream().write(bytes);
        }
        self.held.extend_from_slice(bytes);
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        if self.lines >= self.lines_max {
            self.start();
            let held = std::mem::take(&mut self.held);
            self.write_all(&held)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.child {
            Some((_, stdin)) => stdin.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        match self.child.take() {
            Some((mut child, stdin)) => {
                drop(stdin);
                // The person reads on until they leave; how the pager ended says nothing about the rows.
                let _ = child.wait();
            }
            None => {
                let _ = render::stream().write_all(&self.held);
            }
        }
    }
}

/// Whether a pager will be found: the variable's, or `less`.
pub(super) fn has_pager() -> bool {
    std::env::var("PAGER").is_ok_and(|pager| !pager.trim().is_empty())
        || std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join("less").is_file())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let name = path.to_str().unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let closed = Arc::default();

        let target = Target::File(NewFile::create(name).unwrap());
        target.stream(&closed).unwrap().write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(target);
        assert_eq!(names(), 0, "what was not finished goes away");

        for text in ["one", "another"] {
            let target = Target::File(NewFile::create(name).unwrap());
            target
                .stream(&closed)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            target.finish().unwrap();
            assert_eq!(
                (fs::read_to_string(&path).unwrap().as_str(), names()),
                (text, 1)
            );
        }
        assert!(NewFile::create(&format!("{name}/below")).is_err());
        assert!(!closed.load(Ordering::Relaxed));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (
            folder.path().join("real.csv"),
            folder.path().join("link.csv"),
        );
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = NewFile::create(link.to_str().unwrap()).unwrap();
        file.handle().unwrap().write_all(b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let device = NewFile::create("/dev/null").unwrap();
        assert!(matches!(device.made, Made::Direct(_)));
        device.finish().unwrap();
    }
}
