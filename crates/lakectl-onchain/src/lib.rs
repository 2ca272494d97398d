//! On-chain mathematics as pure functions: what lots of coins say about their holders, how the
//! families of on-chain evidence are fused into one market state, and how option prices and
//! on-chain pressure disagree.
//!
//! Missing evidence is `None` and comes back as a reason; it is never read as zero or as "false".
//! Nothing here reads a clock, a file or a network.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod divergence;
pub mod fusion;
pub mod lots;
