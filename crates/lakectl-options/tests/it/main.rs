//! Option kernels against numbers made elsewhere: oracle files and recorded chains.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod chains;
mod exposures;
mod fits;
mod fuzz;
mod models;
mod oracles;
mod properties;
mod quotes;
mod recorded;
