//! An object store that fails, over one in memory.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

use super::script::{Go, Kind, Script, Wrong};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The wrapper. It fails as its script says.
#[derive(Clone, Debug)]
pub(super) struct FailingStore {
    pub(super) inner: Arc<InMemory>,
    pub(super) script: Script,
}

impl fmt::Display for FailingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a failing store")
    }
}

fn injected(what: &str) -> Error {
    Error::Generic {
        store: "failing",
        source: what.into(),
    }
}

impl FailingStore {
    /// Takes a step; an error if the request does not get through.
    fn step(&self, kind: Kind) -> Result<Go> {
        match self.script.step(0, kind) {
            Go::Dead | Go::Wrong(Wrong::DieBefore) => Err(injected("the process is dead")),
            Go::Wrong(Wrong::Error) => Err(injected("error")),
            go => Ok(go),
        }
    }

    /// What reaches the caller of a request that was done.
    fn answer<T>(go: Go, done: Result<T>) -> Result<T> {
        match go {
            Go::Wrong(Wrong::LostAnswer) => Err(injected("the answer was lost")),
            Go::Wrong(Wrong::DieAfter) => Err(injected("the process is dead")),
            _ => done,
        }
    }

    async fn put(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let go = self.step(Kind::Write)?;
        if matches!(go, Go::Wrong(Wrong::Full | Wrong::Short)) {
            // A store has no short writes and does not fill up; but a conditional put may meet another one.
            return Err(match opts.mode {
                PutMode::Create => Error::AlreadyExists {
                    path: location.to_string(),
                    source: "409".into(),
                },
                _ => injected("503"),
            });
        }
        let done = self.inner.put_opts(location, payload, opts).await;
        Self::answer(go, done)
    }

    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let go = self.step(Kind::Read)?;
        let found = Self::answer(go, self.inner.get_opts(location, options).await)?;
        let Go::Wrong(wrong @ (Wrong::Flip | Wrong::Cut)) = go else {
            return Ok(found);
        };
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let attributes = found.attributes.clone();
        let mut bytes = found.bytes().await?.to_vec();
        self.script.spoil(wrong, &mut bytes);
        let part = futures::stream::iter([Ok(bytes.into())]);
        Ok(GetResult {
            payload: GetResultPayload::Stream(part.boxed()),
            meta,
            range,
            attributes,
        })
    }

    async fn folder(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let go = self.step(Kind::Look)?;
        Self::answer(go, self.inner.list_with_delimiter(prefix).await)
    }
}

/// Written out as crate `async_trait` would write it.
impl ObjectStore for FailingStore {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Answer<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.put(location, payload, opts).boxed()
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        _location: &'b Path,
        _opts: PutMultipartOptions,
    ) -> Answer<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        async { Err(injected("nobody sends parts")) }.boxed()
    }

    fn get_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: GetOptions,
    ) -> Answer<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.get(location, options).boxed()
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.step(Kind::Change) {
            Ok(_) => self.inner.delete_stream(locations),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.step(Kind::Look) {
            Ok(_) => self.inner.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Answer<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.folder(prefix).boxed()
    }

    fn copy_opts<'a, 'b, 'b2, 'c>(
        &'a self,
        _from: &'b Path,
        _to: &'b2 Path,
        _options: CopyOptions,
    ) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        'b2: 'c,
        Self: 'c,
    {
        async { Err(injected("nobody copies")) }.boxed()
    }
}
