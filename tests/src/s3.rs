//! An object store on loopback: it speaks S3, keeps its objects in memory, and misbehaves as it is told.
//!
//! Signatures are verified. A conditional put decides and writes under one lock, so of two writers one wins. Faults are
//! injected by [`S3Server::inject`]: answers that are errors, answers that never come though the object landed, bodies
//! that are cut off. No fault lasts: each is for a number of requests, and nothing hangs longer than [`HANG`].

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::StreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use lakectl_pipeline::lake::LakeAddress;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

mod store;

/// The one bucket.
pub const BUCKET: &str = "lakes";
/// The longest time for which a request hangs; clients of tests give up after one second.
pub const HANG: Duration = Duration::from_secs(4);
/// A server that is asked more often is caught in somebody's endless loop: it answers no more.
const REQUESTS_MAX: u64 = 300_000;
const KEY: &str = "test-key";
const SECRET: &str = "test-secret";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// A put of a name that must be new.
    Create,
    /// Any other put.
    Put,
    /// An object's bytes.
    Get,
    /// An object's size.
    Head,
    /// A page of names.
    List,
    /// Objects to be deleted.
    Delete,
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500, and nothing happened.
    Internal,
    /// 503 SlowDown, and nothing happened.
    SlowDown,
    /// 409: another conditional request is under way; nothing happened.
    Conflict,
    /// 412 though the name is free.
    Precondition,
    /// 403, and nothing happened.
    Denied,
    /// It is done, and the answer is 500.
    DoneButInternal,
    /// It is done, and the connection is cut before the answer.
    DoneButCut,
    /// It is done, and no answer comes.
    DoneButSilent,
    /// Nothing is done and no answer comes.
    Silent,
    /// The body ends in the middle, short of its announced length.
    CutBody,
    /// The body is cut in half, and its announced length too.
    ShortBody,
    /// One bit of the body is another.
    FlippedBody,
}

/// Which requests fail, and how.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What is asked.
    pub ask: Ask,
    /// Part of the object's name.
    pub name: &'static str,
    /// So many requests pass before.
    pub after: u64,
    /// So many fail.
    pub times: u64,
    /// How.
    pub fault: Fault,
}

impl Rule {
    /// The first `times` requests for objects with `name` in their names.
    pub fn first(times: u64, ask: Ask, name: &'static str, fault: Fault) -> Self {
        Self {
            ask,
            name,
            after: 0,
            times,
            fault,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, (Bytes, u64)>,
    /// Each with the number of requests it was held against.
    rules: Vec<(Rule, u64)>,
    asked: BTreeMap<Ask, u64>,
    clock: u64,
    ignore_conditions: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    requests: AtomicU64,
    failed: AtomicU64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server. It ends when it goes.
pub struct S3Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Default for S3Server {
    fn default() -> Self {
        Self::start()
    }
}

impl S3Server {
    /// Starts a server with an empty bucket on a free port of this machine.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        runtime.spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            runtime: Some(runtime),
        }
    }

    /// The variables with which a client gets in; it gives up waiting after one second.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let endpoint = format!("http://{}", self.address);
        [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_TIMEOUT", "1s"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The address of a lake under `prefix`.
    pub fn lake(&self, prefix: &str) -> LakeAddress {
        LakeAddress::parse_with(&format!("s3://{BUCKET}/{prefix}"), self.variables()).unwrap()
    }

    /// Makes requests fail.
    pub fn inject(&self, rule: Rule) {
        self.shared.state().rules.push((rule, 0));
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.state().rules.clear();
    }

    /// Makes the server overwrite where it should refuse, as stores do that do not know conditional puts.
    pub fn ignore_conditions(&self) {
        self.shared.state().ignore_conditions = true;
    }

    /// The objects by name.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        let state = self.shared.state();
        let objects = state.objects.iter();
        objects
            .map(|(name, (bytes, _))| (name.clone(), bytes.clone()))
            .collect()
    }

    /// Changes an object behind everyone's back, or removes it.
    pub fn replace(&self, name: &str, bytes: Option<Bytes>) {
        let mut state = self.shared.state();
        match bytes {
            Some(bytes) => state.objects.insert(name.to_owned(), (bytes, 0)),
            None => state.objects.remove(name),
        };
    }

    /// How often something was asked for.
    pub fn asked(&self, ask: Ask) -> u64 {
        self.shared.state().asked.get(&ask).copied().unwrap_or(0)
    }

    /// How many requests failed as they were told to.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        // Answers are small and many: none waits for the next one's packet.
        let _ = socket.set_nodelay(true);
        let cut = Arc::new(AtomicBool::new(false));
        let service = service(Arc::clone(&shared), Arc::clone(&cut));
        let line = TokioIo::new(Line { socket, cut });
        tokio::spawn(async move {
            let connection = Builder::new(TokioExecutor::new());
            // A client that goes away is no concern of the server.
            let _ = connection.serve_connection(line, service).await;
        });
    }
}

/// The service of one connection, which it can cut.
fn service(shared: Arc<Shared>, cut: Arc<AtomicBool>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(store::Memory { shared, cut });
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    builder.build()
}

/// A connection that breaks when it is cut.
struct Line {
    socket: TcpStream,
    cut: Arc<AtomicBool>,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        match self.cut.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// The server's clock: a second for each put, so that times are the same in every run.
fn time(clock: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + clock)
}

/// Reads a whole body.
async fn whole(body: Option<s3s::dto::StreamingBlob>) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    let Some(mut body) = body else {
        return Ok(Bytes::new());
    };
    while let Some(part) = body.next().await {
        bytes.extend_from_slice(&part.map_err(io::Error::other)?);
    }
    Ok(bytes.into())
}
