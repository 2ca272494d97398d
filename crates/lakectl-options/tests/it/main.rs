//! Option kernels against numbers made elsewhere: oracle files and recorded chains.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod exposures;
mod fits;
mod oracles;
mod recorded;
