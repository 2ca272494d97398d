//! Random numbers as sub-streams: the numbers for one purpose and one day never depend on those drawn elsewhere.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// Where a stream starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamKey {
    pub seed: u64,
    pub purpose: &'static str,
    pub sub: u64,
    pub day: i32,
}

/// One sub-stream of uniform and normal numbers.
pub(crate) struct Stream {
    source: ChaCha8Rng,
    spare: Option<f64>,
}

impl Stream {
    pub(crate) fn new(key: StreamKey) -> Self {
        let mut bytes = [0_u8; 32];
        let words = [
            key.seed,
            fnv(key.purpose.as_bytes()),
            key.sub,
            i64::from(key.day) as u64,
        ];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Self {
            source: ChaCha8Rng::from_seed(bytes),
            spare: None,
        }
    }

    /// A number strictly between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        unit(self.source.next_u64())
    }

    /// A standard normal number (Box-Muller, two at a time).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        let (sin, cos) = libm::sincos(core::f64::consts::TAU * self.uniform());
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// A chi-square number with six degrees of freedom: the sum of three exponentials, doubled.
    pub(crate) fn chi_square_6(&mut self) -> f64 {
        let product = self.uniform() * self.uniform() * self.uniform();
        -2.0 * libm::log(product)
    }
}

/// A number in (0, 1) from 64 random bits.
pub(crate) fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) * (1.0 / 9_007_199_254_740_992.0)
}

/// Scrambles 64 bits (the finaliser of SplitMix64): a stateless random number for a key.
pub(crate) const fn mix(bits: u64) -> u64 {
    let mut z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Scrambles several words into one.
pub(crate) fn mix_all(words: &[u64]) -> u64 {
    words.iter().fold(0, |hash, word| mix(hash ^ *word))
}

/// FNV-1a, to turn a name into a word.
pub(crate) const fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}
