//! Pictures through their public face: what is on them, where it stands, what the files hold.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod files;
mod layout;
mod refusals;
mod shown;
