//! The on-chain, sentiment, divergence and market-state queries, run as their stages run: over granted windows only.
#![allow(clippy::unwrap_used)]

mod chain;
mod lab;

mod divergence;
mod features;
mod restatements;
mod states;
