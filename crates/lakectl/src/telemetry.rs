//! Spans of runs, plans, tasks and commits for an OpenTelemetry collector, in programs built with the cargo feature `otel`.
//!
//! Where they go is said by the standard variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318`; without an
//! endpoint nothing is sent. Spans are sent in batches beside the work and the last ones when the program ends.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::render;

/// Either of them names a collector.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
/// Names the program among others, unless the environment does.
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// A collector that does not answer must not hold up the end of a program for long.
const TIMEOUT: Duration = Duration::from_secs(5);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Returns a layer that hands our spans on; `None` if no collector is named or it cannot be spoken to.
pub(crate) fn layer<S>() -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let named = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !ENDPOINTS.into_iter().any(named) {
        return None;
    }
    match provider() {
        Ok(provider) => {
            let tracer = PROVIDER.get_or_init(|| provider).tracer("lakectl");
            let ours = Targets::new().with_target("lakectl", LevelFilter::INFO);
            let layer = tracing_opentelemetry::layer().with_tracer(tracer);
            Some(layer.with_filter(ours).boxed())
        }
        Err(error) => {
            render::note(&format!("no spans are sent: {error}"));
            None
        }
    }
}

/// Sends what is left.
pub(crate) fn finish() {
    if let Some(Err(error)) = PROVIDER.get().map(SdkTracerProvider::shutdown) {
        render::note(&format!("some spans were not sent: {error}"));
    }
}

fn provider() -> Result<SdkTracerProvider, HttpError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new()?)
        .build()?;
    let mut resource = Resource::builder();
    if std::env::var_os(SERVICE_NAME).is_none() {
        resource = resource.with_service_name("lakectl");
    }
    Ok(SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(exporter)
        .build())
}

/// The HTTP client that the object stores use, on a thread of its own: the exporter's has no runtime.
struct Client {
    runtime: Runtime,
    client: reqwest::Client,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    fn new() -> Result<Self, HttpError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { runtime, client })
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Sent<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move {
            let mut answer = client.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                *headers = std::mem::take(answer.headers_mut());
            }
            Ok(response.body(answer.bytes().await?)?)
        });
        Box::pin(async move { answer.await? })
    }
}
