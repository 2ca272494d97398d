//! Where a lake is, and what opens it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Where a lake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeAddress {
    /// A local folder.
    Folder(PathBuf),
    /// A part of a bucket of an object store that speaks S3.
    Bucket(Bucket),
}

/// A part of a bucket, with the variables that say how to reach it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket.
    pub name: String,
    /// What the names of all objects of the lake begin with, without slashes around it; may be empty.
    pub prefix: String,
    /// The `AWS_*` variables: region, endpoint, credentials.
    pub variables: BTreeMap<String, String>,
}

impl LakeAddress {
    /// Reads an address: `s3://bucket/prefix`, or a folder. The `AWS_*` variables of the environment go with a bucket.
    ///
    /// # Errors
    /// [`StoreError::Address`] for any other `scheme://`, and for a bucket without a name.
    pub fn parse(address: &str) -> Result<Self, StoreError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            (name.starts_with("AWS_") && !value.is_empty()).then_some((name, value))
        });
        Self::parse_with(address, variables.collect())
    }

    /// Reads an address as [`LakeAddress::parse`] does, with these variables instead of the environment's.
    ///
    /// # Errors
    /// As [`LakeAddress::parse`].
    pub fn parse_with(
        address: &str,
        variables: BTreeMap<String, String>,
    ) -> Result<Self, StoreError> {
        let wrong = |problem: &'static str| StoreError::Address {
            address: address.to_owned(),
            problem,
        };
        let Some((scheme, rest)) = address.split_once("://") else {
            return Ok(Self::Folder(PathBuf::from(address)));
        };
        if scheme != "s3" {
            return Err(wrong("lakes are in folders and in `s3://` buckets"));
        }
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(wrong("it names no bucket"));
        }
        let prefix = prefix.trim_matches('/');
        let odd =
            |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
        if !prefix.is_empty() && prefix.split('/').any(odd) {
            return Err(wrong("its prefix has an empty part, a `.` or a `..`"));
        }
        Ok(Self::Bucket(Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            variables,
        }))
    }

    /// Returns the folder, if the lake is in one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            Self::Bucket(_) => None,
        }
    }

    /// Returns the address as it holds in every working folder.
    ///
    /// # Errors
    /// [`StoreError::Io`] if there is no working folder.
    pub fn absolute(&self) -> Result<Self, StoreError> {
        match self {
            Self::Folder(path) => std::path::absolute(path)
                .map(Self::Folder)
                .map_err(|e| StoreError::io("find", path, e)),
            Self::Bucket(_) => Ok(self.clone()),
        }
    }
}

impl fmt::Display for LakeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

/// The variables hold secrets, so only their names are shown.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.keys().collect::<Vec<_>>();
        write!(f, "Bucket({self}, {names:?})")
    }
}

impl From<&Path> for LakeAddress {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&PathBuf> for LakeAddress {
    fn from(folder: &PathBuf) -> Self {
        Self::Folder(folder.clone())
    }
}

impl From<&LakeAddress> for LakeAddress {
    fn from(address: &LakeAddress) -> Self {
        address.clone()
    }
}
