//! A lake in a bucket, over crate `object_store`.
//!
//! The store's calls are made on a small runtime of our own, so that callers may be threads of any kind, those of
//! another runtime included. Files named by their content are sent in the background, many at a time, and can be read
//! at once; what fails is sent again when the wave is to be durable, and only then given up.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use lakectl_core::UtcTime;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::runtime::Runtime;

use super::answer::{NETWORK, Trouble, is_absent, is_refusal, trouble};
use super::{Backend, Entry, Put, Stored, TEMPORARY, lock};
use crate::{Failpoint, StoreError};

/// Requests at the same time. Each waits for the network, hardly for the processor.
const REQUESTS: usize = 32;
/// A name that must be new is asked for so often before its fate counts as unknown.
const PUT_ATTEMPTS: u32 = 5;
/// An answer that broke off is asked for so often.
const GET_ATTEMPTS: u32 = 3;

static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("lakectl-store")
        .enable_all()
        .build()
});

/// What happened to a file that was given away to be sent.
#[derive(Debug)]
enum Upload {
    Running(Bytes),
    Failed(Bytes, Trouble),
}

#[derive(Debug)]
struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    root: PathBuf,
    pause: Duration,
    uploads: Mutex<BTreeMap<String, Upload>>,
    ended: Condvar,
}

/// The objects of a bucket whose names begin with a prefix.
#[derive(Debug)]
pub(crate) struct Remote {
    objects: Arc<Objects>,
    runtime: &'static Runtime,
}

impl Remote {
    /// The lake of `store` under `prefix`; `address` names it to people. Between attempts it waits for `pause`, longer
    /// each time.
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        address: String,
        pause: Duration,
    ) -> Result<Self, StoreError> {
        let root = PathBuf::from(address);
        let runtime = RUNTIME.as_ref().map_err(|e| {
            let source = io::Error::new(e.kind(), e.to_string());
            StoreError::io("start threads to reach", &root, source)
        })?;
        let objects = Arc::new(Objects {
            store,
            prefix: Path::from_iter(prefix.split('/').filter(|part| !part.is_empty())),
            root,
            pause,
            uploads: Mutex::default(),
            ended: Condvar::new(),
        });
        Ok(Self { objects, runtime })
    }

    /// Runs a request on our own threads and waits for it.
    fn wait<T: Send + 'static, F>(
        &self,
        request: impl FnOnce(Arc<Objects>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (tell, told) = mpsc::sync_channel(1);
        let request = request(Arc::clone(&self.objects));
        self.runtime.spawn(async move {
            // Nobody listens any more if the caller's thread was ended.
            let _ = tell.send(request.await);
        });
        told.recv().unwrap_or_else(|_| {
            let trouble = Trouble::broken_off();
            Err(self.objects.error("reach", "", trouble))
        })
    }

    fn send(&self, path: String, bytes: Bytes) {
        let objects = Arc::clone(&self.objects);
        let (target, body) = (path.clone(), bytes.clone());
        let put = self.runtime.spawn(async move {
            let sent = objects.overwrite(&target, body).await;
            sent.map_err(|error| trouble(&error))
        });
        let objects = Arc::clone(&self.objects);
        self.runtime.spawn(async move {
            let sent = put.await.unwrap_or_else(|_| Err(Trouble::broken_off()));
            let mut uploads = lock(&objects.uploads);
            match sent {
                Ok(()) => uploads.remove(&path),
                Err(trouble) => uploads.insert(path, Upload::Failed(bytes, trouble)),
            };
            objects.ended.notify_all();
        });
    }
}

impl Objects {
    fn location(&self, path: &str) -> Result<Path, StoreError> {
        let text = match (self.prefix.as_ref(), path) {
            (prefix, "") => prefix.to_owned(),
            ("", path) => path.to_owned(),
            (prefix, path) => format!("{prefix}/{path}"),
        };
        Path::parse(text).map_err(|e| {
            let hint =
                "names of tables and partitions have no such parts; this is a fault of the program";
            let problem = e.to_string();
            self.error("name", path, Trouble { problem, hint })
        })
    }

    fn error(&self, action: &'static str, path: &str, trouble: Trouble) -> StoreError {
        let path = match path {
            "" => self.root.clone(),
            path => self.root.join(path),
        };
        StoreError::Remote {
            action,
            path,
            problem: trouble.problem,
            hint: trouble.hint,
        }
    }

    fn failed(&self, action: &'static str, path: &str) -> impl Fn(Error) -> StoreError {
        move |error| self.error(action, path, trouble(&error))
    }

    async fn overwrite(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        let location = self.location(path).map_err(|e| Error::Generic {
            store: "lake",
            source: Box::new(e),
        })?;
        self.store.put(&location, PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// What was given away to be sent is there for its own readers.
    fn given_away(&self, path: &str) -> Option<Bytes> {
        match lock(&self.uploads).get(path) {
            Some(Upload::Running(bytes) | Upload::Failed(bytes, _)) => Some(bytes.clone()),
            None => None,
        }
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.given_away(path) {
            return Ok(Some(bytes.to_vec()));
        }
        let location = self.location(path)?;
        let mut attempt = 1;
        loop {
            let trouble = match self.fetch(&location).await {
                Ok((bytes, size)) if bytes.len() as u64 == size => return Ok(Some(bytes.into())),
                Ok((bytes, size)) => Trouble {
                    problem: format!("{} of {size} bytes arrived", bytes.len()),
                    hint: NETWORK,
                },
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => {
                    let trouble = trouble(&error);
                    // Refusals are final; an answer that broke off is worth another question.
                    if !matches!(error, Error::Generic { .. }) {
                        return Err(self.error("read", path, trouble));
                    }
                    trouble
                }
            };
            if attempt == GET_ATTEMPTS {
                return Err(self.error("read", path, trouble));
            }
            tokio::time::sleep(self.pause * attempt).await;
            attempt += 1;
        }
    }

    async fn fetch(&self, location: &Path) -> Result<(Bytes, u64), Error> {
        let answer = self.store.get(location).await?;
        let size = answer.meta.size;
        Ok((answer.bytes().await?, size))
    }

    async fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        if let Some(bytes) = self.given_away(path) {
            return Ok(Some(bytes.len() as u64));
        }
        match self.store.head(&self.location(path)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.error("look at", path, trouble(&error))),
        }
    }

    /// Whatever was answered, what is under the name decides: an answer can be lost after the object landed, and a
    /// conflict (409) says that somebody is at work, not that he got the name.
    async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Put, StoreError> {
        let location = self.location(path)?;
        let mut attempt = 1;
        loop {
            let put = self
                .store
                .put_opts(&location, bytes.clone().into(), PutMode::Create.into())
                .await;
            let error = match put {
                Ok(_) => return Ok(Put::Created),
                Err(error) => error,
            };
            if is_refusal(&error) {
                return Err(self.error("create", path, trouble(&error)));
            }
            match self.get(path).await? {
                Some(found) if found == bytes => return Ok(Put::Created),
                Some(_) => return Ok(Put::Existed),
                None if attempt == PUT_ATTEMPTS => {
                    return Err(self.error("create", path, trouble(&error)));
                }
                None => tokio::time::sleep(self.pause * attempt).await,
            }
            attempt += 1;
        }
    }

    /// Asks for a name that is taken until the answer is clear.
    async fn prove(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let location = self.location(path)?;
        let mut attempt = 1;
        loop {
            let again = PutMode::Create.into();
            let put = self.store.put_opts(&location, bytes.clone().into(), again);
            match put.await {
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => return Ok(()),
                Err(error) if is_refusal(&error) || attempt == PUT_ATTEMPTS => {
                    return Err(self.error("create", path, trouble(&error)));
                }
                Err(_) => tokio::time::sleep(self.pause * attempt).await,
                Ok(_) => return Err(unconditional(&self.root)),
            }
            attempt += 1;
        }
    }

    async fn list(&self, path: &str, wanted: Entry) -> Result<Vec<String>, StoreError> {
        let location = self.location(path)?;
        let folder = Some(&location).filter(|folder| !folder.as_ref().is_empty());
        let listed = self.store.list_with_delimiter(folder).await;
        let listed = listed.map_err(self.failed("list", path))?;
        let found: Vec<Path> = match wanted {
            Entry::File => listed.objects.into_iter().map(|o| o.location).collect(),
            Entry::Folder => listed.common_prefixes,
        };
        let names = found.iter().filter_map(|path| path.filename());
        let names = names.filter(|name| !name.starts_with(TEMPORARY));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn list_all(&self, prefix: &str) -> Result<Vec<Stored>, StoreError> {
        let location = self.location(prefix)?;
        let folder = Some(&location).filter(|folder| !folder.as_ref().is_empty());
        let listed = self.store.list(folder).try_collect::<Vec<ObjectMeta>>();
        let listed = listed.await.map_err(self.failed("list", prefix))?;
        let above = match self.prefix.as_ref() {
            "" => 0,
            prefix => prefix.len() + 1,
        };
        let stored = listed.into_iter().map(|meta| Stored {
            path: meta.location.as_ref()[above..].to_owned(),
            bytes: meta.size,
            modified: UtcTime::from_micros(meta.last_modified.timestamp_micros()),
        });
        let mut stored: Vec<Stored> = stored.collect();
        stored.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(stored)
    }

    async fn delete_all(&self, paths: Vec<String>) -> Result<(), StoreError> {
        let locations = paths.iter().map(|path| self.location(path));
        let locations = locations.collect::<Result<Vec<_>, _>>()?;
        let locations = futures::stream::iter(locations.into_iter().map(Ok)).boxed();
        let mut deleted = self.store.delete_stream(locations);
        while let Some(result) = deleted.next().await {
            match result {
                Err(error) if !is_absent(&error) => {
                    return Err(self.error("delete files of", "", trouble(&error)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn unconditional(root: &FilePath) -> StoreError {
    StoreError::Access {
        address: root.display().to_string(),
        problem: "it gave one name twice: it does not honour `If-None-Match: *`".to_owned(),
        hint: "use a store with conditional puts, or a newer version of it: without them two runs would overwrite each other's commits",
    }
}

/// Asks for each of `paths`, many at a time, and returns the answers in order.
async fn each<T, F: Future<Output = Result<T, StoreError>>>(
    paths: Vec<String>,
    ask: impl Fn(String) -> F,
) -> Result<Vec<T>, StoreError> {
    let answers = futures::stream::iter(paths).map(ask).buffered(REQUESTS);
    answers.try_collect().await
}

impl Backend for Remote {
    fn root(&self) -> &FilePath {
        &self.objects.root
    }

    fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        let (path, bytes) = (path.to_owned(), Bytes::copy_from_slice(bytes));
        let put = self.wait(|objects| async move { objects.put_new(&path, bytes).await })?;
        Failpoint::NameLinked.reached();
        Ok(put)
    }

    fn put_content_named(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let objects = &self.objects;
        let mut uploads = lock(&objects.uploads);
        let running = |upload: &Upload| matches!(upload, Upload::Running(_));
        while uploads.values().filter(|upload| running(upload)).count() >= REQUESTS {
            uploads = objects
                .ended
                .wait(uploads)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // A store that takes nothing is told to whoever computes for it, before the results fill the memory.
        for (path, upload) in uploads.iter() {
            if let Upload::Failed(_, trouble) = upload {
                return Err(objects.error("write", path, trouble.clone()));
            }
        }
        if !uploads.get(path).is_some_and(running) {
            let bytes = Bytes::copy_from_slice(bytes);
            uploads.insert(path.to_owned(), Upload::Running(bytes.clone()));
            self.send(path.to_owned(), bytes);
        }
        drop(uploads);
        Failpoint::FileWritten.reached();
        Ok(())
    }

    fn sync_pending(&self) -> Result<(), StoreError> {
        let objects = &self.objects;
        let mut uploads = lock(&objects.uploads);
        let due: Vec<String> = uploads.keys().cloned().collect();
        for path in &due {
            if let Some(Upload::Failed(bytes, _)) = uploads.get(path) {
                let bytes = bytes.clone();
                uploads.insert(path.clone(), Upload::Running(bytes.clone()));
                self.send(path.clone(), bytes);
            }
        }
        loop {
            let mut states = due.iter().filter_map(|path| uploads.get(path));
            if !states.any(|upload| matches!(upload, Upload::Running(_))) {
                break;
            }
            uploads = objects
                .ended
                .wait(uploads)
                .unwrap_or_else(PoisonError::into_inner);
        }
        due.iter().try_for_each(|path| match uploads.get(path) {
            Some(Upload::Failed(_, trouble)) => Err(objects.error("write", path, trouble.clone())),
            _ => Ok(()),
        })
    }

    fn get_all(&self, paths: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let paths = paths.to_vec();
        self.wait(|objects| async move {
            let get = |path: String| {
                let objects = Arc::clone(&objects);
                async move { objects.get(&path).await }
            };
            each(paths, get).await
        })
    }

    fn sizes(&self, paths: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let paths = paths.to_vec();
        self.wait(|objects| async move {
            let size = |path: String| {
                let objects = Arc::clone(&objects);
                async move { objects.size(&path).await }
            };
            each(paths, size).await
        })
    }

    fn list(&self, path: &str, wanted: Entry) -> Result<Vec<String>, StoreError> {
        let path = path.to_owned();
        self.wait(|objects| async move { objects.list(&path, wanted).await })
    }

    fn list_all(&self, prefix: &str) -> Result<Vec<Stored>, StoreError> {
        let prefix = prefix.to_owned();
        self.wait(|objects| async move { objects.list_all(&prefix).await })
    }

    fn delete_all(&self, paths: &[String]) -> Result<(), StoreError> {
        let paths = paths.to_vec();
        self.wait(|objects| async move { objects.delete_all(paths).await })
    }

    fn prove(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (path, bytes) = (path.to_owned(), Bytes::copy_from_slice(bytes));
        self.wait(|objects| async move { objects.prove(&path, bytes).await })
    }
}
