//! Unpacking of stored bodies.

use std::borrow::Cow;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::reject::{DocumentError, Reason};

/// No document of ours comes near this; beyond it something is wrong with the file.
const UNPACKED_BYTES_MAX: u64 = 1 << 31;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
}

impl Compression {
    /// Guesses from the end of a name.
    pub fn of_name(name: &str) -> Self {
        if name.ends_with(".zst") || name.ends_with(".zstd") {
            Self::Zstd
        } else if name.ends_with(".gz") {
            Self::Gzip
        } else {
            Self::None
        }
    }

    /// Unpacks a whole body; a cut or damaged one is an error, never a shorter body.
    pub(crate) fn unpack(self, body: &[u8]) -> Result<Cow<'_, [u8]>, DocumentError> {
        if body.is_empty() {
            return Err(DocumentError::new(Reason::EmptyDocument, "no bytes"));
        }
        match self {
            Self::None => Ok(Cow::Borrowed(body)),
            Self::Zstd => {
                let reader =
                    zstd::stream::read::Decoder::with_buffer(body).map_err(|e| damage(&e))?;
                read_all(reader, body.len()).map(Cow::Owned)
            }
            Self::Gzip => {
                read_all(flate2::bufread::MultiGzDecoder::new(body), body.len()).map(Cow::Owned)
            }
        }
    }
}

fn read_all(reader: impl Read, packed: usize) -> Result<Vec<u8>, DocumentError> {
    let mut out = Vec::with_capacity((packed.saturating_mul(6)).min(1 << 24));
    reader
        .take(UNPACKED_BYTES_MAX)
        .read_to_end(&mut out)
        .map_err(|e| damage(&e))?;
    if out.len() as u64 >= UNPACKED_BYTES_MAX {
        return Err(DocumentError::new(
            Reason::Damaged,
            "unpacks to 2 GiB or more",
        ));
    }
    Ok(out)
}

fn damage(error: &std::io::Error) -> DocumentError {
    let reason = match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Reason::Truncated,
        _ => Reason::Damaged,
    };
    DocumentError::new(reason, format!("cannot be unpacked: {error}"))
}
