//! The objects, and how requests for them go wrong.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use s3s::dto::{
    CommonPrefix, DeleteObjectsInput, DeleteObjectsOutput, ETag, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    PutObjectInput, PutObjectOutput, StreamingBlob,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::{Ask, BUCKET, Fault, HANG, REQUESTS_MAX, Shared, time, whole};

/// So few names are on a page that lists have several.
const PAGE: usize = 50;

type Answer<'a, T> = Pin<Box<dyn Future<Output = S3Result<S3Response<T>>> + Send + 'a>>;

/// The objects as one connection sees them.
pub(super) struct Memory {
    pub(super) shared: Arc<Shared>,
    pub(super) cut: Arc<AtomicBool>,
}

impl Memory {
    /// Counts a request, and returns how it is to fail.
    fn admit(&self, ask: Ask, bucket: &str, name: &str) -> S3Result<Option<Fault>> {
        if self.shared.requests.fetch_add(1, Ordering::Relaxed) > REQUESTS_MAX {
            return Err(s3_error!(AccessDenied, "more requests than any test needs"));
        }
        if bucket != BUCKET {
            return Err(s3_error!(NoSuchBucket, "there is no bucket `{bucket}`"));
        }
        let mut state = self.shared.state();
        *state.asked.entry(ask).or_default() += 1;
        let mut fault = None;
        for (rule, seen) in &mut state.rules {
            if rule.ask == ask && name.contains(rule.name) {
                *seen += 1;
                if fault.is_none() && (rule.after + 1..=rule.after + rule.times).contains(seen) {
                    fault = Some(rule.fault);
                }
            }
        }
        if fault.is_some() {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(fault)
    }

    /// Fails before anything is done.
    async fn before(&self, fault: Option<Fault>) -> S3Result<()> {
        Err(match fault {
            Some(Fault::Internal) => s3_error!(InternalError, "injected"),
            Some(Fault::SlowDown) => s3_error!(SlowDown, "injected"),
            Some(Fault::Conflict) => s3_error!(ConditionalRequestConflict, "injected"),
            Some(Fault::Precondition) => s3_error!(PreconditionFailed, "injected"),
            Some(Fault::Denied) => s3_error!(AccessDenied, "injected"),
            Some(Fault::Silent) => self.silence().await,
            _ => return Ok(()),
        })
    }

    /// Fails after everything is done.
    async fn after(&self, fault: Option<Fault>) -> S3Result<()> {
        Err(match fault {
            Some(Fault::DoneButInternal) => s3_error!(InternalError, "injected"),
            Some(Fault::DoneButSilent) => self.silence().await,
            Some(Fault::DoneButCut) => {
                self.cut.store(true, Ordering::Relaxed);
                s3_error!(InternalError, "never read")
            }
            _ => return Ok(()),
        })
    }

    async fn silence(&self) -> S3Error {
        tokio::time::sleep(HANG).await;
        self.cut.store(true, Ordering::Relaxed);
        s3_error!(InternalError, "never read")
    }

    async fn put(&self, input: PutObjectInput) -> S3Result<S3Response<PutObjectOutput>> {
        let create = input
            .if_none_match
            .is_some_and(|condition| condition.is_any());
        let ask = if create { Ask::Create } else { Ask::Put };
        let fault = self.admit(ask, &input.bucket, &input.key)?;
        self.before(fault).await?;
        let bytes = whole(input.body).await;
        let bytes = bytes.map_err(|e| s3_error!(IncompleteBody, "{e}"))?;
        let clock;
        {
            let mut state = self.shared.state();
            if create && !state.ignore_conditions && state.objects.contains_key(&input.key) {
                return Err(s3_error!(PreconditionFailed, "the name is taken"));
            }
            state.clock += 1;
            clock = state.clock;
            state.objects.insert(input.key, (bytes, clock));
        }
        self.after(fault).await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(clock.to_string())),
            ..PutObjectOutput::default()
        }))
    }

    async fn get(&self, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
        let fault = self.admit(Ask::Get, &input.bucket, &input.key)?;
        self.before(fault).await?;
        let (bytes, clock) = self.object(&input.key)?;
        self.after(fault).await?;
        let bytes = match fault {
            Some(Fault::ShortBody) => bytes.slice(..bytes.len() / 2),
            Some(Fault::FlippedBody) => flipped(&bytes),
            _ => bytes,
        };
        let length = bytes.len() as i64;
        let parts: Vec<io::Result<Bytes>> = match fault {
            Some(Fault::CutBody) => vec![
                Ok(bytes.slice(..bytes.len() / 2)),
                Err(io::ErrorKind::ConnectionReset.into()),
            ],
            _ => vec![Ok(bytes)],
        };
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(futures::stream::iter(parts))),
            content_length: Some(length),
            last_modified: Some(time(clock).into()),
            e_tag: Some(ETag::Strong(clock.to_string())),
            ..GetObjectOutput::default()
        }))
    }

    fn object(&self, key: &str) -> S3Result<(Bytes, u64)> {
        let found = self.shared.state().objects.get(key).cloned();
        found.ok_or_else(|| s3_error!(NoSuchKey, "there is no object of this name"))
    }

    async fn head(&self, input: HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
        let fault = self.admit(Ask::Head, &input.bucket, &input.key)?;
        self.before(fault).await?;
        let (bytes, clock) = self.object(&input.key)?;
        self.after(fault).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(bytes.len() as i64),
            last_modified: Some(time(clock).into()),
            e_tag: Some(ETag::Strong(clock.to_string())),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list(&self, input: ListObjectsV2Input) -> S3Result<S3Response<ListObjectsV2Output>> {
        let prefix = input.prefix.unwrap_or_default();
        let fault = self.admit(Ask::List, &input.bucket, &prefix)?;
        self.before(fault).await?;
        let after = input.continuation_token.or(input.start_after);
        let (mut contents, mut folders) = (Vec::new(), BTreeSet::new());
        let mut last = None;
        let mut more = false;
        for (name, (bytes, clock)) in &self.shared.state().objects {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let folder = match &input.delimiter {
                Some(delimiter) => rest
                    .find(delimiter.as_str())
                    .map(|end| format!("{prefix}{}", &rest[..end + delimiter.len()])),
                None => None,
            };
            let shown = folder.clone().unwrap_or_else(|| name.clone());
            if after.as_ref().is_some_and(|after| shown <= *after) || folders.contains(&shown) {
                continue;
            }
            if contents.len() + folders.len() == PAGE {
                more = true;
                break;
            }
            last = Some(shown);
            match folder {
                Some(folder) => {
                    folders.insert(folder);
                }
                None => contents.push(Object {
                    key: Some(name.clone()),
                    size: Some(bytes.len() as i64),
                    last_modified: Some(time(*clock).into()),
                    e_tag: Some(ETag::Strong(clock.to_string())),
                    ..Object::default()
                }),
            }
        }
        let folders = folders.into_iter().map(|prefix| CommonPrefix {
            prefix: Some(prefix),
        });
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(contents),
            common_prefixes: Some(folders.collect()),
            is_truncated: Some(more),
            next_continuation_token: last.filter(|_| more),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn delete(&self, input: DeleteObjectsInput) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let fault = self.admit(Ask::Delete, &input.bucket, "")?;
        self.before(fault).await?;
        for object in &input.delete.objects {
            self.shared.state().objects.remove(&object.key);
        }
        self.after(fault).await?;
        Ok(S3Response::new(DeleteObjectsOutput::default()))
    }
}

fn flipped(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

/// Written out as crate `async_trait` would write it.
impl S3 for Memory {
    fn put_object<'a, 'b>(&'a self, req: S3Request<PutObjectInput>) -> Answer<'b, PutObjectOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.put(req.input))
    }

    fn get_object<'a, 'b>(&'a self, req: S3Request<GetObjectInput>) -> Answer<'b, GetObjectOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.get(req.input))
    }

    fn head_object<'a, 'b>(
        &'a self,
        req: S3Request<HeadObjectInput>,
    ) -> Answer<'b, HeadObjectOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.head(req.input))
    }

    fn list_objects_v2<'a, 'b>(
        &'a self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Answer<'b, ListObjectsV2Output>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.list(req.input))
    }

    fn delete_objects<'a, 'b>(
        &'a self,
        req: S3Request<DeleteObjectsInput>,
    ) -> Answer<'b, DeleteObjectsOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.delete(req.input))
    }
}
