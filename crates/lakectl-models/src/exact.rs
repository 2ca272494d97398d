//! Serde helpers that write floating point numbers as shortest decimal strings.
//!
//! The JSON reader's fast path may miss a number by its last bit; the standard library's parser does not, so
//! a model read back predicts the very same bits.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn read<E: Error>(text: &str) -> Result<f64, E> {
    text.parse()
        .map_err(|_| E::custom(format!("`{text}` is not a number")))
}

/// For one `f64`.
pub(crate) mod scalar {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
        format!("{x:?}").serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        read(&String::deserialize(d)?)
    }
}

/// For a `Vec<f64>`.
pub(crate) mod vector {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(xs: &[f64], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(xs.iter().map(|x| format!("{x:?}")))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f64>, D::Error> {
        Vec::<String>::deserialize(d)?
            .iter()
            .map(|t| read(t))
            .collect()
    }
}

/// For a `Vec<Vec<f64>>`.
pub(crate) mod matrix {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(rows: &[Vec<f64>], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(
            rows.iter()
                .map(|r| r.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>()),
        )
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Vec<f64>>, D::Error> {
        let rows = Vec::<Vec<String>>::deserialize(d)?;
        rows.iter()
            .map(|r| r.iter().map(|t| read(t)).collect())
            .collect()
    }
}
