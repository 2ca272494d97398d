//! One response body or file, verbatim.

use bytes::Bytes;
use lakectl_core::{Fingerprint, FingerprintBuilder, UtcTime};

/// What a source gave for one request, untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Digest of request and body: the same answer to the same question is the same document.
    pub id: Fingerprint,
    /// A name for people: the file's path below the archive's root, or the last part of the request.
    pub name: String,
    /// The request that gave it, without secrets.
    pub request: String,
    /// The media type of `body` as stored.
    pub media_type: String,
    /// The bytes, still packed if they were.
    pub body: Bytes,
    /// When it was recorded or fetched; `None` if the declaration finds no time in its name.
    pub document_time: Option<UtcTime>,
}

impl Document {
    /// Builds a document; its id follows from `request` and `body`.
    pub fn new(
        name: impl Into<String>,
        request: impl Into<String>,
        media_type: impl Into<String>,
        body: Bytes,
        document_time: Option<UtcTime>,
    ) -> Self {
        let request = request.into();
        let id = FingerprintBuilder::new("document")
            .field("request", &request)
            .field("body", &body)
            .finish();
        Self {
            id,
            name: name.into(),
            request,
            media_type: media_type.into(),
            body,
            document_time,
        }
    }

    /// Returns the name without folders and without everything after its first dot.
    pub fn stem(&self) -> &str {
        let file = self.name.rsplit('/').next().unwrap_or(&self.name);
        file.split('.').next().unwrap_or(file)
    }

    /// Returns the value of a parameter of the request's query string.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let query = self.request.split_once('?')?.1;
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name && !value.is_empty()).then_some(value)
        })
    }

    /// Returns the value of an argument of a GraphQL request, `name:"value"`.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.request.split_once(&format!("{name}:\""))?;
        rest.split('"').next().filter(|value| !value.is_empty())
    }

    /// Returns the part of the request's path after `marker`, up to the query.
    pub(crate) fn path_after(&self, marker: &str) -> Option<&str> {
        let (_, rest) = self.request.split_once(marker)?;
        rest.split(['?', ' '])
            .next()
            .filter(|path| !path.is_empty())
    }
}
