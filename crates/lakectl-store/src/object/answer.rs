//! What an object store's answers mean, and what to do about them.

use object_store::Error;

pub(super) const NETWORK: &str = "check the network and AWS_ENDPOINT_URL; nothing published was touched: run again, finished results are reused";
const KEYS: &str = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and what this key may do";
const REGION: &str = "set AWS_REGION to the region of the bucket";
const BUCKET: &str = "make the bucket, or check `--lake` and AWS_ENDPOINT_URL";
const BUSY: &str = "the store is busy; nothing published was touched: run again later, finished results are reused";

/// What went wrong, in words that can be told more than once.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) problem: String,
    pub(super) hint: &'static str,
}

impl Trouble {
    pub(super) fn broken_off() -> Self {
        Self {
            problem: "the request broke off".to_owned(),
            hint: NETWORK,
        }
    }
}

/// An object that is not there; a bucket that is not there is another thing.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. })
        && code(&deepest(error)).as_deref() != Some("NoSuchBucket")
}

/// An answer that no repetition changes.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::NotFound { .. }
    )
}

fn deepest(error: &Error) -> String {
    let mut at: &dyn std::error::Error = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

fn code(answer: &str) -> Option<String> {
    element(answer, "Code")
}

fn element(answer: &str, name: &str) -> Option<String> {
    let (_, rest) = answer.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

/// Says in a line what the store answered, and what to do.
pub(super) fn trouble(error: &Error) -> Trouble {
    let answer = deepest(error);
    let code = code(&answer);
    let hint = match (code.as_deref(), error) {
        (Some("NoSuchBucket"), _) => BUCKET,
        (Some("SlowDown" | "ServiceUnavailable" | "InternalError"), _) => BUSY,
        (Some("PermanentRedirect" | "AuthorizationHeaderMalformed"), _) => REGION,
        (_, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => KEYS,
        _ if answer.contains("region") => REGION,
        _ => NETWORK,
    };
    let problem = match (code, element(&answer, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => answer.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    Trouble { problem, hint }
}
