//! Any format with an integer form, unpacked block by block.

use crate::rounded::RoundedRow;
use crate::simd::Simd;
use blocks::{Ints, Kind, Row};

/// See [`super::dot4`].
#[inline(always)]
pub fn dot4<S: Simd>(
    s: S,
    kind: Kind,
    rows: [Row<'_>; 4],
    x: RoundedRow<'_>,
    ahead: &[u8],
) -> [f32; 4] {
    super::fetch(s, ahead, 0, ahead.len());
    let [a, b, c, d] = rows;
    [dot(s, kind, a, x), dot(s, kind, b, x), dot(s, kind, c, x), dot(s, kind, d, x)]
}

#[inline(always)]
fn dot<S: Simd>(s: S, kind: Kind, row: Row<'_>, x: RoundedRow<'_>) -> f32 {
    let Some(shape) = kind.int_shape() else { return f32::NAN };
    // Bytes are made signed by taking off 128; the rest of the offset goes through the sums.
    let rest = 128 - shape.off;
    let mut ints = Ints::ZERO;
    let mut acc = 0.0f32;
    for (b, &dx) in x.scales.iter().enumerate() {
        kind.ints(row, b, &mut ints);
        let q = &x.q[b * shape.n..][..shape.n];
        let sums = &x.sums[b * shape.n / 16..][..shape.n / 16];
        let dots = sixteens(s, &ints.q, q);
        let (mut products, mut minima) = (0, 0);
        for (i, (dot, sum)) in dots.iter().zip(sums).enumerate() {
            let (run, sum) = (16 * i / shape.sub, i32::from(*sum));
            let scale = if shape.scales { i32::from(ints.scale[run]) } else { 1 };
            products += scale * (dot + rest * sum);
            minima += i32::from(ints.min[run]) * sum;
        }
        acc = (ints.d * dx).mul_add(products as f32, acc);
        if shape.mins {
            acc = (-(ints.dmin * dx)).mul_add(minima as f32, acc);
        }
    }
    acc
}

/// The products of each sixteen of `q` with `w - 128`.
#[inline(always)]
fn sixteens<S: Simd>(s: S, w: &[u8; 256], q: &[i8]) -> [i32; 16] {
    let mut dots = [0; 16];
    for (i, q) in q.chunks(64).enumerate() {
        let mut padded = [0; 64];
        padded[..q.len()].copy_from_slice(q);
        let low = s.load_h(w[64 * i..][..32].try_into().expect("32 bytes"));
        let high = s.load_h(w[64 * i + 32..][..32].try_into().expect("32 bytes"));
        let flip = s.splat_h(0x80);
        let w = s.join(s.xor(low, flip), s.xor(high, flip));
        let quads = s.to_f(s.dot_ss(s.splat_i(0), w, s.load_s(&padded)));
        // Sums of four products are far below 2^24: exact as f32.
        let mut lanes = [0.0; 16];
        s.store(&mut lanes, quads);
        for (dot, quad) in dots[4 * i..].iter_mut().zip(lanes.chunks_exact(4)) {
            *dot = quad.iter().map(|lane| *lane as i32).sum();
        }
    }
    dots
}
