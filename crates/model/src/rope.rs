//! Rotary position embedding: its scalings as data, and the frequencies they come to.
//!
//! Sources: Su et al. 2021 (RoPE); Peng et al. 2023 (YaRN, section 3); the scalings named as
//! transformers' `rope_type` names them.

/// Which two values of a head a rotation turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// `i` with `i + dims / 2`, as Hugging Face lays heads out.
    Halves,
    /// `2i` with `2i + 1`, as the original code does; GGUF's llama files are permuted to it.
    Interleaved,
}

/// A rotary embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// How many leading values of a head are rotated; even.
    pub dims: u32,
    /// Base of the frequencies.
    pub theta: f32,
    /// Which values turn together.
    pub pairing: Pairing,
    /// How frequencies change for contexts beyond the trained one.
    pub scaling: Scaling,
}

/// How frequencies change for contexts beyond the trained one.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// Every position is divided by `factor`.
    Linear {
        /// The stretch.
        factor: f32,
    },
    /// The base grows with the length once it exceeds `original`.
    Dynamic {
        /// The growth.
        factor: f32,
        /// The trained context.
        original: u32,
    },
    /// Low frequencies are stretched, high ones kept, those between blended.
    Llama3 {
        /// The stretch.
        factor: f32,
        /// Wavelengths above `original / low` are stretched in full.
        low: f32,
        /// Wavelengths below `original / high` are kept.
        high: f32,
        /// The trained context.
        original: u32,
    },
    /// Stretched by a ramp over the number of turns within the trained context.
    Yarn {
        /// The stretch.
        factor: f32,
        /// Turns above which a frequency is kept.
        beta_fast: f32,
        /// Turns below which a frequency is stretched in full.
        beta_slow: f32,
        /// The trained context.
        original: u32,
        /// Factor on the rotated values.
        attention: f32,
        /// Whether the ramp's ends are rounded to whole dimensions.
        truncate: bool,
    },
    /// Frequencies divided by one list up to `original` positions, by another beyond.
    LongRope {
        /// Divisors for sequences within `original`.
        short: Vec<f32>,
        /// Divisors for longer ones.
        long: Vec<f32>,
        /// The trained context.
        original: u32,
        /// Factor on the rotated values.
        attention: f32,
    },
    /// Frequencies divided by a list that the file carries.
    Divisors(Vec<f32>),
}

/// Frequencies for sequences of up to some length.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeTable {
    /// Radians per position, (dims / 2).
    pub frequencies: Vec<f32>,
    /// Factor on the rotated values.
    pub magnitude: f32,
}

impl Rope {
    /// The frequencies for a sequence of `length` positions. Only dynamic and long scalings
    /// depend on the length.
    pub fn table(&self, length: u32) -> RopeTable {
        let plain = |theta: f64| -> Vec<f64> {
            let dims = f64::from(self.dims);
            (0..self.dims / 2).map(|i| theta.powf(-2.0 * f64::from(i) / dims)).collect()
        };
        let theta = f64::from(self.theta);
        let (frequencies, magnitude) = match &self.scaling {
            Scaling::None => (plain(theta), 1.0),
            Scaling::Linear { factor } => {
                (plain(theta).into_iter().map(|f| f / f64::from(*factor)).collect(), 1.0)
            }
            Scaling::Dynamic { factor, original } => {
                (plain(dynamic_theta(self, *factor, *original, length)), 1.0)
            }
            Scaling::Llama3 { factor, low, high, original } => {
                let bend = |f| llama3(f, *factor, *low, *high, *original);
                (plain(theta).into_iter().map(bend).collect(), 1.0)
            }
            Scaling::Yarn { attention, .. } => (self.yarn(plain(theta)), *attention),
            Scaling::LongRope { short, long, original, attention } => {
                let divisors = if length > *original { long } else { short };
                (divide(plain(theta), divisors), *attention)
            }
            Scaling::Divisors(divisors) => (divide(plain(theta), divisors), 1.0),
        };
        let frequencies = frequencies.into_iter().map(|f| f as f32).collect();
        RopeTable { frequencies, magnitude }
    }

    /// Whether the frequencies depend on the sequence's length.
    pub fn depends_on_length(&self) -> bool {
        matches!(self.scaling, Scaling::Dynamic { .. } | Scaling::LongRope { .. })
    }

    fn yarn(&self, plain: Vec<f64>) -> Vec<f64> {
        let Scaling::Yarn { factor, beta_fast, beta_slow, original, truncate, .. } = self.scaling
        else {
            return plain;
        };
        let (dims, ln_theta) = (f64::from(self.dims), f64::from(self.theta).ln());
        // The dimension at which a frequency makes `turns` turns within the trained context.
        let at = |turns: f32| {
            let wavelength = f64::from(original) / (f64::from(turns) * std::f64::consts::TAU);
            dims * wavelength.ln() / (2.0 * ln_theta)
        };
        let (mut low, mut high) = (at(beta_fast), at(beta_slow));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(dims - 1.0));
        if low == high {
            high += 0.001;
        }
        let blend = |(i, f): (usize, f64)| {
            let stretched = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
            f / f64::from(factor) * stretched + f * (1.0 - stretched)
        };
        plain.into_iter().enumerate().map(blend).collect()
    }
}

fn dynamic_theta(rope: &Rope, factor: f32, original: u32, length: u32) -> f64 {
    let (factor, original) = (f64::from(factor), f64::from(original));
    let dims = f64::from(rope.dims);
    let length = f64::from(length).max(original);
    let growth = factor * length / original - (factor - 1.0);
    f64::from(rope.theta) * growth.powf(dims / (dims - 2.0))
}

fn llama3(frequency: f64, factor: f32, low: f32, high: f32, original: u32) -> f64 {
    let (factor, low, high) = (f64::from(factor), f64::from(low), f64::from(high));
    let wavelength = std::f64::consts::TAU / frequency;
    let turns = f64::from(original) / wavelength;
    if turns > high {
        frequency
    } else if turns < low {
        frequency / factor
    } else {
        let smooth = (turns - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

fn divide(plain: Vec<f64>, divisors: &[f32]) -> Vec<f64> {
    plain.into_iter().zip(divisors).map(|(f, d)| f / f64::from(*d)).collect()
}
