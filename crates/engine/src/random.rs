//! Randomness without state: a draw is a function of the seed, the position and its number, so
//! that neither batching nor repeating a step can change it.

/// Which draw of a position.
#[derive(Clone, Copy)]
pub(crate) enum Draw {
    /// The id.
    Id = 0,
    /// Whether top choices are excluded.
    Exclude = 1,
}

/// A number in [0, 1) with 53 random bits.
pub(crate) fn uniform(seed: u64, position: usize, draw: Draw) -> f64 {
    let bits = mix(mix(mix(seed) ^ position as u64) ^ draw as u64);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64 (Steele, Lea and Flood 2014): one step of its sequence from the state `x`.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
