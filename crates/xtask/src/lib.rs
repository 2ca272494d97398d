//! Chores of the project as code: checks that a compiler does not make, the generated reference pages, and the full set
//! of fault tests.
//!
//! The first two run as tests too, so `cargo test` is enough to know that they hold.
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::path::{Path, PathBuf};

pub mod faults;
pub mod pages;
pub mod tidy;

/// Returns the folder of the project that this program was built from.
pub fn project_root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_folder.ancestors().nth(2);
    root.unwrap_or(crate_folder).to_owned()
}
