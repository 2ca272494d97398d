//! The client of a bucket, from the standard variables.

use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};

use super::address::Bucket;
use super::remote::Remote;
use crate::StoreError;

/// The variables that grant access, in the order in which they are tried; all of a line are needed.
const CREDENTIALS: [&[&str]; 6] = [
    &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"],
    &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
    &[
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ],
    // An instance's role is asked for only when it is wanted: elsewhere the question would hang.
    &["AWS_METADATA_ENDPOINT"],
    &["AWS_SKIP_SIGNATURE"],
];

/// Time for one request, its answer included. A wave's files are a few megabytes at most.
const REQUEST: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
/// Between attempts that only we can make: those whose outcome has to be looked at first.
const PAUSE: Duration = Duration::from_millis(100);

/// Returns the door to a bucket. Nobody is asked yet.
pub(super) fn remote(bucket: &Bucket) -> Result<Remote, StoreError> {
    let refused = |problem: String, hint: &'static str| StoreError::Access {
        address: bucket.to_string(),
        problem,
        hint,
    };
    check_credentials(bucket).map_err(|problem| {
        refused(
            problem,
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for a temporary key); on a machine with a role, AWS_METADATA_ENDPOINT=http://169.254.169.254",
        )
    })?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(retries())
        .with_config(client(ClientConfigKey::Timeout), seconds(REQUEST))
        .with_config(client(ClientConfigKey::ConnectTimeout), seconds(CONNECT));
    for (name, value) in &bucket.variables {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
            && key != AmazonS3ConfigKey::Bucket
        {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|name| bucket.variables.get(*name));
    if let Some(endpoint) = endpoint.filter(|endpoint| endpoint.starts_with("http://")) {
        let allowed = bucket.variables.get("AWS_ALLOW_HTTP");
        if !allowed.is_some_and(|value| value == "true" || value == "1") && !is_loopback(endpoint) {
            return Err(refused(
                format!("the endpoint {endpoint} is not encrypted"),
                "use an https:// endpoint, or set AWS_ALLOW_HTTP=true if everyone on the way may read and change the data",
            ));
        }
        builder = builder.with_allow_http(true);
    }
    if let Some(endpoint) = endpoint.filter(|endpoint| is_loopback(endpoint)) {
        // A proxy of the environment is for other machines. An own one that serves nobody turns it off.
        builder = builder
            .with_proxy_url(endpoint)
            .with_proxy_excludes("localhost,127.0.0.0/8,::1");
    }
    let store = builder.build().map_err(|e| {
        refused(
            e.to_string(),
            "check the AWS_* variables: one of them has a value that cannot be used",
        )
    })?;
    let address = bucket.to_string();
    Remote::new(std::sync::Arc::new(store), &bucket.prefix, address, PAUSE)
}

fn client(key: ClientConfigKey) -> AmazonS3ConfigKey {
    AmazonS3ConfigKey::Client(key)
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

/// A busy store answers 503 for some seconds; what lasts longer is told rather than waited for.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 6,
        retry_timeout: Duration::from_secs(90),
    }
}

fn check_credentials(bucket: &Bucket) -> Result<(), String> {
    let set = |name: &&str| bucket.variables.contains_key(*name);
    if CREDENTIALS.iter().any(|names| names.iter().all(set)) {
        return Ok(());
    }
    let half = CREDENTIALS.iter().find(|names| names.iter().any(set));
    Err(
        match half.and_then(|names| names.iter().find(|name| !set(name))) {
            Some(missing) => format!("the credentials are not complete: {missing} is not set"),
            None => "there are no credentials for it".to_owned(),
        },
    )
}

fn is_loopback(endpoint: &str) -> bool {
    let rest = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
