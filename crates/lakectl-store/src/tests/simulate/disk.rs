//! A disk that forgets: of what was not flushed, a power loss keeps whatever it likes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lakectl_core::UtcTime;

use super::script::{Draw, Go, Kind, Script, Wrong};
use crate::object::{Disk, Found, TEMPORARY, lock};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

type Names = BTreeMap<String, Node>;

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// What the last flush made safe.
    safe: Option<Vec<u8>>,
    /// A flush failed: the system dropped what was due, and says of later flushes that they went well.
    dropped: bool,
}

#[derive(Clone, Debug, Default)]
struct Folder {
    names: Names,
    safe: Names,
}

/// The content of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    files: Vec<File>,
    folders: BTreeMap<PathBuf, Folder>,
    written: u64,
}

/// One process's view of a disk that processes share.
#[derive(Clone, Debug)]
pub(super) struct SimDisk {
    pub(super) content: Arc<Mutex<Content>>,
    script: Script,
    writer: usize,
}

impl Content {
    /// An empty disk with one folder.
    pub(super) fn new(root: &Path) -> Self {
        let mut content = Self::default();
        for folder in root.ancestors() {
            content.folders.entry(folder.to_owned()).or_default();
            if let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) {
                let above = content.folders.entry(parent.to_owned()).or_default();
                let name = name.to_string_lossy().into_owned();
                above.names.insert(name.clone(), Node::Folder);
                above.safe.insert(name, Node::Folder);
            }
        }
        content
    }

    /// What is left when the power goes: all that was flushed, and of the rest what the seed draws.
    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let mut draw = Draw(seed);
        let mut left = self.clone();
        for file in &mut left.files {
            let unsafe_bytes = file.safe.as_ref() != Some(&file.bytes);
            if unsafe_bytes {
                file.bytes = match draw.below(4) {
                    0 => file.bytes.clone(),
                    1 => file.safe.clone().unwrap_or_default(),
                    2 => file.bytes[..draw.below(file.bytes.len() + 1)].to_vec(),
                    _ => vec![0; file.bytes.len()],
                };
            }
            file.safe = Some(file.bytes.clone());
            file.dropped = false;
        }
        for folder in left.folders.values_mut() {
            let every: Vec<String> = folder
                .names
                .keys()
                .chain(folder.safe.keys())
                .cloned()
                .collect();
            for name in every {
                let (now, safe) = (folder.names.get(&name), folder.safe.get(&name));
                if now != safe && draw.below(2) == 0 {
                    match safe.copied() {
                        Some(node) => folder.names.insert(name, node),
                        None => folder.names.remove(&name),
                    };
                }
            }
            folder.safe = folder.names.clone();
        }
        left
    }

    /// Every file by its path.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for (folder, content) in &self.folders {
            for (name, node) in &content.names {
                if matches!(node, Node::File(_)) && !name.starts_with(TEMPORARY) {
                    paths.push(folder.join(name));
                }
            }
        }
        paths
    }

    /// The bytes of a file, to be changed behind everyone's back.
    pub(super) fn bytes_mut(&mut self, path: &Path) -> &mut Vec<u8> {
        let Ok(Node::File(file)) = self.node(path) else {
            panic!("{} is no file", path.display());
        };
        &mut self.files[file].bytes
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        if path.parent().is_none() {
            return Ok(Node::Folder);
        }
        let folder = self.folder(parent(path))?;
        let node = folder.names.get(&name(path)).copied();
        node.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn folder(&self, path: &Path) -> io::Result<&Folder> {
        // A folder whose own entry a power loss took away is gone with all that is in it.
        let reachable = path
            .ancestors()
            .all(|at| match (at.parent(), at.file_name()) {
                (Some(above), Some(name)) => {
                    let above = self.folders.get(above);
                    let name = name.to_string_lossy();
                    above.is_some_and(|above| above.names.get(&*name) == Some(&Node::Folder))
                }
                _ => true,
            });
        let found = self.folders.get(path).filter(|_| reachable);
        found.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn folder_mut(&mut self, path: &Path) -> io::Result<&mut Folder> {
        self.folder(path)?;
        let found = self.folders.get_mut(path);
        found.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn make_folder(&mut self, path: &Path) -> io::Result<()> {
        let above = self.folder_mut(parent(path))?;
        if above.names.contains_key(&name(path)) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        above.names.insert(name(path), Node::Folder);
        self.folders.insert(path.to_owned(), Folder::default());
        Ok(())
    }

    fn write(&mut self, folder: &Path, bytes: &[u8], flush: bool) -> io::Result<PathBuf> {
        self.written += 1;
        let name = format!("{TEMPORARY}{}", self.written);
        let file = File {
            bytes: bytes.to_vec(),
            safe: flush.then(|| bytes.to_vec()),
            dropped: false,
        };
        let node = Node::File(self.files.len());
        self.folder_mut(folder)?.names.insert(name.clone(), node);
        self.files.push(file);
        Ok(folder.join(name))
    }

    fn flush(&mut self, path: &Path) -> io::Result<()> {
        match self.node(path)? {
            Node::File(file) => {
                let file = &mut self.files[file];
                if !file.dropped {
                    file.safe = Some(file.bytes.clone());
                }
            }
            Node::Folder => {
                let folder = self.folder_mut(path)?;
                folder.safe = folder.names.clone();
            }
        }
        Ok(())
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        let folder = self.folder_mut(parent(to))?;
        if folder.names.contains_key(&name(to)) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        folder.names.insert(name(to), node);
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        self.folder_mut(parent(to))?.names.insert(name(to), node);
        self.remove(from)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let removed = self.folder_mut(parent(path))?.names.remove(&name(path));
        removed
            .map(|_| ())
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.node(path)? {
            Node::File(file) => Ok(self.files[file].bytes.clone()),
            Node::Folder => Err(ErrorKind::IsADirectory.into()),
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

impl SimDisk {
    pub(super) fn new(content: Content, script: &Script, writer: usize) -> Self {
        Self {
            content: Arc::new(Mutex::new(content)),
            script: script.clone(),
            writer,
        }
    }

    /// The same disk for another process.
    pub(super) fn for_writer(&self, writer: usize) -> Self {
        Self {
            writer,
            ..self.clone()
        }
    }

    /// Takes a step that changes something.
    fn change<T>(&self, act: impl FnOnce(&mut Content) -> io::Result<T>) -> io::Result<T> {
        let go = self.script.step(self.writer, Kind::Change);
        match go {
            Go::Dead | Go::Wrong(Wrong::DieBefore) => return Err(dead()),
            Go::Wrong(Wrong::Error) => return Err(io::Error::from_raw_os_error(5)),
            Go::Wrong(Wrong::Full) => return Err(io::Error::from_raw_os_error(28)),
            _ => {}
        }
        let done = act(&mut lock(&self.content))?;
        match go {
            Go::Wrong(Wrong::DieAfter) => Err(dead()),
            Go::Wrong(Wrong::LostAnswer) => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(done),
        }
    }

    /// Takes a step that changes nothing.
    fn look_at<T>(&self, act: impl FnOnce(&Content) -> io::Result<T>) -> io::Result<T> {
        match self.script.step(self.writer, Kind::Look) {
            Go::Dead | Go::Wrong(Wrong::DieBefore | Wrong::DieAfter) => Err(dead()),
            Go::Wrong(Wrong::Error) => Err(io::Error::from_raw_os_error(5)),
            _ => act(&lock(&self.content)),
        }
    }
}

impl Disk for SimDisk {
    fn make_folders(&self, path: &Path) -> io::Result<()> {
        self.change(|content| {
            let missing: Vec<&Path> = path
                .ancestors()
                .take_while(|at| content.node(at).is_err())
                .collect();
            for folder in missing.into_iter().rev() {
                content.make_folder(folder)?;
            }
            match content.node(path)? {
                Node::Folder => Ok(()),
                Node::File(_) => Err(ErrorKind::AlreadyExists.into()),
            }
        })
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.change(|content| content.make_folder(path))
    }

    fn write(&self, folder: &Path, bytes: &[u8], flush: bool) -> io::Result<(PathBuf, u64)> {
        let go = self.script.step(self.writer, Kind::Write);
        let part = self.script.draw(bytes.len());
        let mut content = lock(&self.content);
        match go {
            Go::Dead | Go::Wrong(Wrong::DieBefore) => Err(dead()),
            Go::Wrong(Wrong::Error) => Err(io::Error::from_raw_os_error(5)),
            Go::Wrong(wrong @ (Wrong::Full | Wrong::Short | Wrong::DieAfter)) => {
                let path = content.write(folder, &bytes[..part], flush)?;
                match wrong {
                    Wrong::Short => Ok((path, part as u64)),
                    Wrong::Full => Err(io::Error::from_raw_os_error(28)),
                    _ => Err(dead()),
                }
            }
            go => {
                let path = content.write(folder, bytes, flush)?;
                match go {
                    Go::Wrong(Wrong::LostAnswer) => Err(io::Error::from_raw_os_error(5)),
                    _ => Ok((path, bytes.len() as u64)),
                }
            }
        }
    }

    fn flush(&self, path: &Path) -> io::Result<()> {
        let flushed = self.change(|content| content.flush(path));
        let mut content = lock(&self.content);
        if flushed.is_err()
            && let Ok(Node::File(file)) = content.node(path)
        {
            content.files[file].dropped = true;
        }
        flushed
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        // A server of files that lost its answer is asked again and finds the name taken, by us.
        let linked = self.change(|content| content.link(from, to));
        match linked {
            Err(e) if e.raw_os_error() == Some(5) && lock(&self.content).node(to).is_ok() => {
                Err(ErrorKind::AlreadyExists.into())
            }
            linked => linked,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|content| content.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|content| content.remove(path))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.script.step(self.writer, Kind::Read) {
            Go::Dead | Go::Wrong(Wrong::DieBefore | Wrong::DieAfter) => Err(dead()),
            Go::Wrong(Wrong::Error) => Err(io::Error::from_raw_os_error(5)),
            go => {
                let mut bytes = lock(&self.content).read(path)?;
                if let Go::Wrong(wrong @ (Wrong::Flip | Wrong::Cut)) = go {
                    self.script.spoil(wrong, &mut bytes);
                }
                Ok(bytes)
            }
        }
    }

    fn look(&self, path: &Path) -> io::Result<Found> {
        self.look_at(|content| {
            let node = content.node(path)?;
            Ok(Found {
                bytes: match node {
                    Node::File(file) => content.files[file].bytes.len() as u64,
                    Node::Folder => 0,
                },
                modified: UtcTime::from_micros(0),
                is_folder: node == Node::Folder,
            })
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        self.look_at(|content| {
            let names = content.folder(path)?.names.iter();
            let names = names.map(|(name, node)| (name.clone(), *node == Node::Folder));
            Ok(names.collect())
        })
    }
}
