//! The numbers that numpy's `default_rng` draws from a seed: tables of n-grams were filled by
//! hashes with multipliers drawn so, and no file holds them.
//!
//! The seed is spread by `SeedSequence` (O'Neill 2015, Developing a seed_seq Alternative), the bits
//! are those of PCG64 (O'Neill 2014, PCG: A Family of Simple Fast Space-Efficient Statistically
//! Good Algorithms), and they are brought below a bound without bias (Lemire 2019, Fast Random
//! Integer Generation in an Interval).

/// `2 * n + 1` for `count` numbers `n` below `bound`, which must be above 2^32: smaller bounds are
/// drawn in another way.
pub fn odd(seed: u64, bound: u64, count: usize) -> Vec<i64> {
    let mut bits = Pcg64::new(seed);
    (0..count).map(|_| 2 * bits.below(bound) as i64 + 1).collect()
}

/// PCG XSL RR 128/64.
struct Pcg64 {
    state: u128,
    increment: u128,
}

impl Pcg64 {
    fn new(seed: u64) -> Pcg64 {
        let [a, b, c, d] = spread(seed);
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let mut bits = Pcg64 { state: 0, increment: wide(c, d) << 1 | 1 };
        bits.step();
        bits.state = bits.state.wrapping_add(wide(a, b));
        bits.step();
        bits
    }

    fn step(&mut self) {
        const FACTOR: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        self.state = self.state.wrapping_mul(FACTOR).wrapping_add(self.increment);
    }

    fn next(&mut self) -> u64 {
        self.step();
        ((self.state >> 64) as u64 ^ self.state as u64).rotate_right((self.state >> 122) as u32)
    }

    fn below(&mut self, bound: u64) -> u64 {
        // Of 2^64 numbers so many are too many to share out evenly.
        let surplus = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= surplus {
                return (product >> 64) as u64;
            }
        }
    }
}

/// A constant that changes with every use.
struct Salt {
    value: u32,
    factor: u32,
}

impl Salt {
    fn hash(&mut self, word: u32) -> u32 {
        let word = word ^ self.value;
        self.value = self.value.wrapping_mul(self.factor);
        fold(word.wrapping_mul(self.value))
    }
}

fn fold(word: u32) -> u32 {
    word ^ word >> 16
}

/// Four words of 64 bits from a seed.
fn spread(seed: u64) -> [u64; 4] {
    let mut salt = Salt { value: 0x43B0_D7E5, factor: 0x931E_8875 };
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(|word| salt.hash(word));
    for from in 0..4 {
        for to in (0..4).filter(|to| *to != from) {
            let hashed = salt.hash(pool[from]).wrapping_mul(0x4973_F715);
            pool[to] = fold(pool[to].wrapping_mul(0xCA01_F9DD).wrapping_sub(hashed));
        }
    }
    let mut salt = Salt { value: 0x8B51_F9DD, factor: 0x58F3_8DED };
    [0, 2, 0, 2].map(|i| {
        let [low, high] = [pool[i], pool[i + 1]].map(|word| u64::from(salt.hash(word)));
        high << 32 | low
    })
}

#[cfg(test)]
mod tests;
