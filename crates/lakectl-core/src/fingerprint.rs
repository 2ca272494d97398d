//! Stable digests of content, code and parameters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// A BLAKE3 digest. It identifies content, so it survives a restart, a copy and a change of machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Wraps 32 digest bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the digest's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }

    /// Returns a 64-bit seed taken from the digest, for generators that must repeat.
    pub fn seed(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(first)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.short())
    }
}

impl FromStr for Fingerprint {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| CoreError::Fingerprint {
                found: text.to_owned(),
            })
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = CoreError;

    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(value: Fingerprint) -> Self {
        value.to_string()
    }
}

/// Builds a fingerprint from named fields. Each name and value is preceded by its length, so no two
/// different lists of fields can give the same bytes.
pub struct FingerprintBuilder {
    /// Bytes that are not hashed yet: most digests are of a few short fields, and hashing these at once is much quicker
    /// than setting up a hasher.
    waiting: Vec<u8>,
    hasher: Option<Box<blake3::Hasher>>,
}

/// So many bytes wait before they are hashed.
const WAITING_MAX: usize = 1 << 14;

impl FingerprintBuilder {
    /// Starts a digest; `domain` keeps digests of different things apart.
    pub fn new(domain: &str) -> Self {
        let builder = Self {
            waiting: Vec::with_capacity(256),
            hasher: None,
        };
        builder.field("domain", domain.as_bytes())
    }

    /// Adds one named field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds one named field in place.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        for bytes in [name.as_bytes(), value.as_ref()] {
            self.waiting
                .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            if self.waiting.len() + bytes.len() <= WAITING_MAX {
                self.waiting.extend_from_slice(bytes);
            } else {
                let hasher = self.hasher.get_or_insert_default();
                hasher.update(&self.waiting);
                hasher.update(bytes);
                self.waiting.clear();
            }
        }
    }

    /// Returns the digest.
    pub fn finish(&self) -> Fingerprint {
        let digest = match &self.hasher {
            None => blake3::hash(&self.waiting),
            Some(hasher) => hasher.clone().update(&self.waiting).finalize(),
        };
        Fingerprint(*digest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let a = FingerprintBuilder::new("t").field("ab", "c").finish();
        let b = FingerprintBuilder::new("t").field("a", "bc").finish();
        assert_ne!(a, b);
    }

    #[test]
    fn long_fields_are_hashed_like_short_ones() {
        for length in [0, 100, WAITING_MAX - 30, WAITING_MAX, 3 * WAITING_MAX] {
            let value = vec![7_u8; length];
            let mut plain = Vec::new();
            for bytes in [b"domain", b"t".as_slice(), b"a", &value, b"b", b"end"] {
                plain.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                plain.extend_from_slice(bytes);
            }
            let built = FingerprintBuilder::new("t")
                .field("a", &value)
                .field("b", "end");
            assert_eq!(built.finish(), Fingerprint::of(&plain), "{length}");
        }
    }

    #[test]
    fn text_form_round_trips_and_bad_text_is_refused() {
        let print = Fingerprint::of(b"x");
        assert_eq!(print.to_string().parse::<Fingerprint>().unwrap(), print);
        assert!("xyz".parse::<Fingerprint>().is_err());
    }
}
