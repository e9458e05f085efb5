//! A block as small integers: the one form in which every quantized format can be multiplied.

/// How a format's blocks look as integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntShape {
    /// Weights per block: 32 or 256. Activations are quantized in blocks of this length.
    pub n: usize,
    /// Weights per scale and minimum: 16, 32 or `n`.
    pub sub: usize,
    /// What is subtracted from each `q`.
    pub off: i32,
    /// The largest `q` there is, whatever a file holds.
    pub max: u8,
    /// Whether there are minimums; without them `dmin` is 0.
    pub mins: bool,
    /// Whether there are scales; without them the only one is 1.
    pub scales: bool,
}

/// One block as integers: weight `k` is, with `s = k / sub`,
/// `d * scale[s] * (q[k] - off) - dmin * min[s]`.
///
/// Evaluated from left to right in `f32` this is bit for bit what [`crate::Kind::decode`] gives.
#[derive(Clone, Debug)]
pub struct Ints {
    /// The first [`IntShape::n`] are the weights.
    pub q: [u8; 256],
    /// One per [`IntShape::sub`] weights; the rest of the array means nothing.
    pub scale: [i16; 16],
    /// One per [`IntShape::sub`] weights.
    pub min: [i16; 16],
    /// The scale of scales.
    pub d: f32,
    /// The scale of minimums.
    pub dmin: f32,
}

impl Ints {
    /// A block of zeros, to be unpacked into.
    pub const ZERO: Ints = Ints { q: [0; 256], scale: [0; 16], min: [0; 16], d: 0.0, dmin: 0.0 };

    /// The block's weights; `out` holds `shape.n` of them.
    #[inline(always)]
    pub fn weights(&self, shape: IntShape, out: &mut [f32]) {
        let subs = out.chunks_exact_mut(shape.sub).zip(self.q.chunks_exact(shape.sub));
        for (s, (out, q)) in subs.enumerate() {
            let scale = self.d * f32::from(self.scale[s]);
            let min = self.dmin * f32::from(self.min[s]);
            run(scale, shape.off, min, q, out);
        }
    }
}

/// Weights that share a scale and a minimum.
///
/// A function of its own, or else the compiler unrolls its loop and vectorizes the loop around it,
/// which gathers single bytes and takes twice as long.
#[inline(never)]
fn run(scale: f32, off: i32, min: f32, q: &[u8], out: &mut [f32]) {
    for (w, &q) in out.iter_mut().zip(q) {
        *w = scale * (i32::from(q) - off) as f32 - min;
    }
}
