//! Every implementation against `Scalar`, bit for bit, and `exp` against f64.

use super::scalar::Scalar;
use super::{Octet, Simd, exp};
use crate::plain::{Bf16, F16, F32, Plain};
use std::array::from_fn;

/// Values at which rounding, saturation, infinities or signs of zero decide.
const SPECIAL: [f32; 40] = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    126.5,
    127.0,
    127.4,
    127.5,
    128.5,
    -127.5,
    -128.0,
    -128.5,
    129.0,
    -1000.0,
    8_388_609.0,
    16_777_217.0,
    2_147_483_520.0,
    2_147_483_648.0,
    -2_147_483_648.0,
    1e20,
    -1e20,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-40,
    -1e-45,
    65504.0,
    65519.996,
    65520.0,
    6.1e-5,
    5.97e-8,
    2.98e-8,
    2.99e-8,
    -6.09e-5,
];

/// Steele and Vigna's SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Ordinary numbers, special ones and any bits at all.
    fn float(&mut self) -> f32 {
        let bits = self.bits();
        match bits % 4 {
            0 => SPECIAL[(bits >> 32) as usize % SPECIAL.len()],
            1 => f32::from_bits((bits >> 32) as u32),
            _ => ((bits >> 40) as f32 / 65536.0 - 128.0) * 1.1,
        }
    }

    fn floats(&mut self) -> [f32; 16] {
        from_fn(|_| self.float())
    }

    fn ints(&mut self) -> [i32; 16] {
        from_fn(|_| self.bits() as i32)
    }

    /// Any bytes, or only those with the largest products.
    fn bytes(&mut self) -> [u8; 64] {
        const EXTREME: [u8; 4] = [127, 128, 129, 255];
        let any = self.bits().is_multiple_of(2);
        from_fn(|_| {
            let bits = self.bits();
            if any { bits as u8 } else { EXTREME[bits as usize % 4] }
        })
    }
}

/// The bits of numbers; all that are no number are one, since their bits differ by processor.
fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

fn of<S: Simd>(s: S, x: S::F) -> Vec<u32> {
    let mut y = [0.0; 16];
    s.store(&mut y, x);
    bits(&y)
}

/// The lanes, each read back by itself as sixteen bits and sixteen bits.
fn of_i<S: Simd>(s: S, x: S::I) -> Vec<u32> {
    (0..16)
        .flat_map(|lane| {
            let one = from_fn(|i| i32::from(i == lane));
            let x = s.mul_add_i(s.splat_i(0), x, s.load_i(&one));
            let low = s.mul_add_i(s.splat_i(0), x, s.splat_i(1 << 16));
            [x, low].map(|x| s.q_store(s.sum4_i([x; 4]))[0].to_bits())
        })
        .collect()
}

/// The bytes, through products with one.
fn of_b<S: Simd>(s: S, x: S::B) -> Vec<u32> {
    let pick = |place| s.load_s(&from_fn(|i| i8::from(i % 4 == place)));
    (0..4).flat_map(|place| of_i(s, s.dot_ss(s.splat_i(0), x, pick(place)))).collect()
}

fn of_h<S: Simd>(s: S, x: S::H) -> Vec<u32> {
    of_b(s, s.join(x, s.splat_h(0x5a)))
}

type Results = Vec<(&'static str, Vec<u32>)>;

fn float_results<S: Simd>(s: S, x: &[[f32; 16]; 4], n: usize) -> Results {
    let [a, b, c, d] = x.map(|x| s.load(&x));
    let (mut part, mut halves, mut bytes) = ([7.0; 20], [0; 32], [0; 16]);
    s.store_n(&mut part[..n], a);
    s.store_f16(&mut halves, a);
    s.store_i8(&mut bytes, a);
    let halves = halves.as_chunks().0.iter().map(|half| {
        let half = u16::from_le_bytes(*half);
        u32::from(if half & 0x7fff > 0x7c00 { 0x7e00 } else { half })
    });
    let mut part_loaded = part;
    part_loaded[..16].copy_from_slice(&x[1]);
    let powers = s.load(&x[0].map(|x| if x.abs() < 127.0 { x.trunc() } else { 127.0 }));
    vec![
        ("splat", of(s, s.splat(x[0][0]))),
        ("load", of(s, a)),
        ("load_n", of(s, s.load_n(&part_loaded[..n]))),
        ("load_f32", of(s, s.load_f32(&from_fn(|i| x[0][i / 4].to_le_bytes()[i % 4])))),
        ("store_n", bits(&part)),
        ("store_f16", halves.collect()),
        ("store_i8", bytes.iter().map(|x| *x as u32).collect()),
        ("add", of(s, s.add(a, b))),
        ("sub", of(s, s.sub(a, b))),
        ("mul", of(s, s.mul(a, b))),
        ("div", of(s, s.div(a, b))),
        ("fma", of(s, s.fma(a, b, c))),
        ("max", of(s, s.max(a, b))),
        ("min", of(s, s.min(a, b))),
        ("abs", of(s, s.abs(a))),
        ("round", of(s, s.round(a))),
        ("pow2", of(s, s.pow2(powers))),
        ("keep_from", of(s, s.keep_from(a, b, c))),
        ("sum", bits(&[s.sum(a)])),
        ("largest", bits(&[s.largest(a)])),
        ("sum4", bits(&s.sum4([a, b, c, d]))),
        ("exp", of(s, exp(s, a))),
        (
            "add_products of f32",
            [products::<S, F32, 1>(s, x), products::<S, F32, 3>(s, x)].concat(),
        ),
        (
            "add_products of f16",
            [products::<S, F16, 2>(s, x), products::<S, F16, 3>(s, x)].concat(),
        ),
        ("add_products of bf16", products::<S, Bf16, 3>(s, x)),
        ("q_load", bits(&s.q_store(s.q_load([x[0][0], x[0][1], x[0][2], x[0][3]])))),
        ("q_scale", bits(&s.q_store(s.q_scale(s.q_load([x[0][0]; 4]), x[1][0])))),
        ("q_fma", {
            let [a, b, c, _] = x.map(|x| s.q_load([x[0], x[1], x[2], x[3]]));
            bits(&s.q_store(s.q_fma(a, b, c)))
        }),
    ]
}

fn int_results<S: Simd>(s: S, x: &[[i32; 16]; 4], bytes: &[u8; 64]) -> Results {
    let [a, b, c, d] = x.map(|x| s.load_i(&x));
    let (first, second) = s.sum4_blocks([a, b, c, d], &[7, -9, 300, 2000], 16);
    let words: [i16; 16] = from_fn(|i| x[0][i] as i16);
    let small: [i16; 16] = from_fn(|i| x[1][i] as i8 as i16);
    let eight: [u8; 8] = from_fn(|i| bytes[i]);
    // In any lanes: what counts is their sum.
    let sum_of = |x: S::I| bits(&s.q_store(s.sum4_i([x; 4])));
    let zero = s.splat_i(0);
    let thirty_two: &[u8; 32] = bytes.first_chunk().expect("64 bytes");
    let q: [[u8; 4]; 4] = from_fn(|i| x[0][i].to_le_bytes());
    vec![
        ("splat_i", of_i(s, s.splat_i(x[0][0]))),
        ("load_i", of_i(s, a)),
        ("mul_add_i", of_i(s, s.mul_add_i(a, b, c))),
        ("dot_i16", of_i(s, s.dot_i16(a, b, c))),
        ("dot_pairs", pairs::<S, 1, false>(s, x, bytes)),
        ("dot_pairs of four", pairs::<S, 4, false>(s, x, bytes)),
        ("dot_pairs of the same", pairs::<S, 4, true>(s, x, bytes)),
        ("to_f", of(s, s.to_f(a))),
        ("sum4_i", bits(&s.q_store(s.sum4_i([a, b, c, d])))),
        ("sum4_blocks", bits(&[s.q_store(first), s.q_store(second)].concat())),
        ("eights", {
            let (heads, mut scales) = (from_fn(|r| from_fn(|i| bytes[16 * r + i])), s.room());
            let heads: [[u8; 16]; 4] = heads;
            let minima = s.eights(heads.each_ref(), &small, &mut scales);
            let (w, x) = (s.load_b(&bytes.map(|b| b & 63)), s.load_s(&bytes.map(|b| b as i8)));
            let dots = (0..4).fold([zero; 4], |dots, j| s.dot_eights(dots, [w; 4], x, &scales, j));
            bits(&[s.q_store(minima), s.q_store(s.sum4_i(dots))].concat())
        }),
        ("scales_u8", sum_of(s.dot_sums(zero, s.sums(&words), s.scales_u8(eight)))),
        ("numbers", {
            let scales = s.scales_i8(&small.map(|x| x as i8));
            bits(&s.numbers(scales).map(f32::from))
        }),
        ("scales_i8", sum_of(s.dot_sums(a, s.sums(&words), s.scales_i8(&small.map(|x| x as i8))))),
        ("load_f16", of(s, s.load_f16(thirty_two))),
        ("load_bf16", of(s, s.load_bf16(thirty_two))),
        ("q_f16", bits(&s.q_store(s.q_f16(q.each_ref())))),
        ("q_halves", bits(s.q_halves(q.each_ref()).map(|half| s.q_store(half)).as_flattened())),
    ]
}

fn byte_results<S: Simd>(s: S, [w, u, x]: &[[u8; 64]; 3], acc: &[i32; 16], shift: u32) -> Results {
    let (any, above_least) = (x.map(|x| x as i8), x.map(|x| (x as i8).max(-127)));
    let acc = s.load_i(acc);
    let (h, g) = (s.load_h(&from_fn(|i| w[i])), s.load_h(&from_fn(|i| x[i])));
    let packed: [u8; 16] = from_fn(|i| w[i]);
    let small = s.load_b(&w.map(|w| w & 63));
    let eights = bytemuck::cast::<[u8; 64], [[u8; 8]; 8]>(*w).map(u64::from_le_bytes);
    let fours = bytemuck::cast::<[u8; 64], [[u8; 4]; 16]>(*x).map(u32::from_le_bytes);
    let sum_of = |x: S::I| bits(&s.q_store(s.sum4_i([x; 4])));
    let x_above_least = s.load_s(&above_least);
    vec![
        ("load_b", of_b(s, s.load_b(w))),
        ("load_s", of_b(s, s.load_s(&any))),
        ("splat_b", of_b(s, s.splat_b(&[any[0], any[1], any[2], any[3]]))),
        ("dot_us", of_i(s, s.dot_us(acc, s.load_b(u), s.load_s(&any)))),
        ("dot_ss", of_i(s, s.dot_ss(acc, s.load_b(w), s.load_s(&above_least)))),
        ("join", of_b(s, s.join(h, g))),
        ("splat_h", of_h(s, s.splat_h(w[0]))),
        ("and", of_h(s, s.and(h, g))),
        ("or", of_h(s, s.or(h, g))),
        ("shr", of_h(s, s.shr(h, shift))),
        ("shl", of_h(s, s.shl(h, shift))),
        ("eights_h", of_h(s, s.eights_h(from_fn(|i| eights[i])))),
        ("fours_h", of_h(s, s.fours_h(from_fn(|i| fours[i]), from_fn(|i| fours[4 + i])))),
        ("signed", of_h(s, s.signed(s.load_h(&from_fn(|i| w[i] & 0x7f)), fours[9]))),
        ("ninth_bits", s.ninth_bits(&packed, fours[10] as u16).map(u32::from).to_vec()),
        ("nibbles", of_b(s, s.nibbles(&packed, &from_fn(|i| x[i])))),
        ("flip", of_b(s, s.flip(s.load_b(w)))),
        ("load_i8", of(s, s.load_i8(&packed))),
        (
            "load_i4",
            [of(s, s.load_i4::<false>(&packed)), of(s, s.load_i4::<true>(&packed))].concat(),
        ),
        ("scaled_i4", {
            let scale = [w[0], w[1] & 0x7b];
            let low = of(s, s.scaled_i4::<false>(&packed, scale));
            [low, of(s, s.scaled_i4::<true>(&packed, scale))].concat()
        }),
        ("splat_f16", of(s, s.splat_f16([w[0], w[1] & 0x7b]))),
        ("dot4_blocks of 15", blocks::<S, 15>(s, [w, u, x, w], x_above_least)),
        ("dot4_blocks of 31", blocks::<S, 31>(s, [w, u, x, w], x_above_least)),
        ("dot4_blocks of 63", blocks::<S, 63>(s, [w, u, x, w], x_above_least)),
        ("dot4_blocks of 127", blocks::<S, 127>(s, [w, u, x, w], x_above_least)),
        ("look_up", of_b(s, s.look_up(&packed, s.load_b(&u.map(|u| u & 15))))),
        ("dot_runs of signed", {
            let (w, scales) = (s.load_b(w), s.scales_i8(&from_fn(|i| x[i] as i8)));
            let sums =
                |j| s.dot_runs::<true>([s.splat_i(0); 4], [w; 4], x_above_least, [scales; 4], j);
            (0..4).flat_map(|j| sum_of(sums(j)[3])).collect()
        }),
        ("dot_runs u8", {
            let scales = s.scales_u8(from_fn(|i| x[i] & 63));
            (0..4).flat_map(|j| sum_of(four_runs(s, small, s.load_s(&any), scales, j))).collect()
        }),
        ("dot_runs i8", {
            let scales = s.scales_i8(&from_fn(|i| x[i] as i8));
            (0..4).flat_map(|j| sum_of(four_runs(s, small, s.load_s(&any), scales, j))).collect()
        }),
    ]
}

/// What only moves bytes.
fn order_results<S: Simd>(s: S, w: &[u8; 64], x: &[u8; 64]) -> Results {
    let any = x.map(|x| x as i8);
    vec![
        ("sixteens", of_b(s, s.sixteens(&from_fn(|i| w[i]), &from_fn(|i| x[i])))),
        ("sixteens_s", of_b(s, s.sixteens_s(&any))),
        ("even_odd_s", of_b(s, s.even_odd_s(&any))),
        ("store_b", {
            let mut bytes = [0; 64];
            s.store_b(&mut bytes, s.load_b(x));
            bits(&bytes.map(f32::from))
        }),
        ("undo_sixteens", {
            let sixteens = s.sixteens(&from_fn(|i| w[i]), &from_fn(|i| w[32 + i]));
            [of_b(s, s.undo_sixteens(s.load_b(x))), of_b(s, s.undo_sixteens(sixteens))].concat()
        }),
        ("undo_even_odd", {
            let undone = s.undo_even_odd(s.even_odd_s(&any));
            [of_b(s, s.undo_even_odd(s.load_b(w))), of_b(s, undone)].concat()
        }),
        ("turn", {
            let square = from_fn(|i| from_fn(|j| f32::from(w[(5 * i + j) % 64]) + 0.5 * i as f32));
            let mut turned = [[0.0; 16]; 31];
            s.turn(&square, &mut turned, 2);
            bits(turned.as_flattened())
        }),
        ("to_octets", {
            let rows: [[u8; 64]; 16] =
                from_fn(|r| from_fn(|c| w[(r * 7 + c) % 64] ^ x[(c * 5 + r) % 64]));
            let mut octets = [[[0; 64]; 2]; 8];
            s.to_octets(rows.each_ref(), &mut octets);
            let bytes = octets.as_flattened().as_flattened();
            // Row and column of each byte, in the order of rows.
            let at = |i: usize| {
                let (row, column) = (i / 64, i % 64);
                (column / S::SIDE * 16 + row) * S::SIDE + column % S::SIDE
            };
            (0..1024).map(|i| u32::from(bytes[at(i)])).collect()
        }),
    ]
}

/// The sums of four rows with `T`, of two lanes each or, of numbers of two bytes, four.
fn products<S: Simd, P: Plain, const T: usize>(s: S, x: &[[f32; 16]; 4]) -> Vec<u32> {
    let mut sums = [[x[0], x[1], x[2], x[3]]; T];
    let numbers: [[[f32; 16]; 4]; 4] = from_fn(|r| from_fn(|k| x[(r + k) % 4]));
    let bytes = numbers.each_ref().map(|row| bytemuck::cast_slice(row.as_flattened()));
    let rows = bytes.map(|bytes: &[u8]| P::lanes(&bytes[..128]));
    let [a, _, c, d] = numbers.each_ref().map(|row| &row[..rows[0].len()]);
    s.add_products::<P, T>(&mut sums, rows, from_fn(|t| [d, a, c][t]));
    bits(sums.as_flattened().as_flattened())
}

/// What `T` accumulators become with numbers as large as sums of sixteen bytes.
fn pairs<S: Simd, const T: usize, const SAME: bool>(
    s: S,
    x: &[[i32; 16]; 4],
    bytes: &[u8; 64],
) -> Vec<u32> {
    let w = from_fn(|i| {
        let all = x[i % 4].map(|w| w.rotate_left(3 * i as u32));
        all.map(|w| if SAME { w << 16 | w & 0xffff } else { w })
    });
    let sum = |i: usize| i16::from(bytes[i % 64] as i8) * 16;
    let numbers: [[[i16; 2]; 8]; T] =
        from_fn(|t| from_fn(|i| [sum(16 * t + 2 * i), sum(16 * t + 2 * i + 1)]));
    let mut acc = from_fn(|t| s.load_i(&x[t % 4]));
    s.dot_pairs::<T, SAME>(&mut acc, &w, numbers.each_ref());
    acc.into_iter().flat_map(|acc| of_i(s, acc)).collect()
}

/// The sums of a row, of which four are the same.
fn four_runs<S: Simd>(s: S, w: S::B, x: S::B, scales: S::K, j: usize) -> S::I {
    s.dot_runs::<false>([s.splat_i(0); 4], [w; 4], x, [scales; 4], j)[3]
}

/// The products of two blocks of four rows of bytes up to `MAX`.
fn blocks<S: Simd, const MAX: u8>(s: S, w: [&[u8; 64]; 4], x: S::B) -> Vec<u32> {
    let w = w.map(|w| s.load_b(&w.map(|w| w & MAX)));
    let (first, second) = s.dot4_blocks::<MAX>(w, x, &[7, -9, 300, 2000], 16);
    bits(&[s.q_store(first), s.q_store(second)].concat())
}

fn assert_same<S: Simd>(got: Results, wanted: Results) {
    for (got, wanted) in got.into_iter().zip(wanted) {
        assert_eq!(got, wanted, "{} differs from Scalar", S::NAME);
    }
}

/// Every primitive gives what `Scalar` gives.
fn check<S: Simd>(s: S) {
    let mut random = Random(2);
    for round in 0..1500 {
        let floats = from_fn(|_| random.floats());
        let ints = from_fn(|_| random.ints());
        let (w, x) = (random.bytes(), random.bytes());
        let u = if S::FULL_U8 { w } else { w.map(|w| w & 0x7f) };
        let (n, shift) = (round % 20, (round % 16) as u32);
        assert_same::<S>(
            s.vectorize(|| float_results(s, &floats, n)),
            float_results(Scalar, &floats, n),
        );
        assert_same::<S>(s.vectorize(|| int_results(s, &ints, &w)), int_results(Scalar, &ints, &w));
        assert_same::<S>(s.vectorize(|| order_results(s, &w, &x)), order_results(Scalar, &w, &x));
        assert_same::<S>(
            s.vectorize(|| byte_results(s, &[w, u, x], &ints[0], shift)),
            byte_results(Scalar, &[w, u, x], &ints[0], shift),
        );
    }
}

/// All halves, and all numbers at or next to the middle between two, convert as Scalar has it.
fn check_halves<S: Simd>(s: S) {
    for first in (0..=u16::MAX).step_by(16) {
        let halves = from_fn(|i| (first + i as u16 / 2).to_le_bytes()[i % 2]);
        let wide = of(Scalar, Scalar.load_f16(&halves));
        assert_eq!(of(s, s.load_f16(&halves)), wide, "{} from {first:#x}", S::NAME);
        for add in [0, 0xfff, 0x1000, 0x1001] {
            let x = from_fn(|i| f32::from_bits(wide[i].wrapping_add(add)));
            if x.iter().any(|x: &f32| x.is_nan()) {
                continue;
            }
            let (mut got, mut wanted) = ([0; 32], [0; 32]);
            s.store_f16(&mut got, s.load(&x));
            Scalar.store_f16(&mut wanted, x);
            assert_eq!(got, wanted, "{} of {x:?}", S::NAME);
        }
    }
}

/// `exp` is within 2 ulp of e to the power of x from -86 to 88.72, 0 below and infinite above.
fn check_exp<S: Simd>(s: S) {
    let of = |x: [f32; 16]| {
        let mut y = [0.0; 16];
        s.vectorize(|| s.store(&mut y, exp(s, s.load(&x))));
        y
    };
    let steps = 400_000;
    for step in (0..=steps).step_by(16) {
        let x: [f32; 16] =
            from_fn(|i| (-86.0 + 175.0 * (step + i) as f32 / steps as f32).min(88.72));
        for (x, y) in x.into_iter().zip(of(x)) {
            let wanted = f64::from(x).exp();
            let nearest = wanted as f32;
            let ulp = f64::from(nearest) - f64::from(nearest.next_down());
            let off = (f64::from(y) - wanted).abs() / ulp;
            assert!(off <= 2.0, "{}: exp({x}) is {y}, {off} ulp off", S::NAME);
        }
    }
    let low = [-86.01, -88.0, -103.0, -1e4, f32::MIN, f32::NEG_INFINITY];
    assert_eq!(of(from_fn(|i| low[i % 6])), [0.0; 16], "{}", S::NAME);
    let high = [88.73, 89.0, 103.0, 1e4, f32::MAX, f32::INFINITY];
    assert_eq!(of(from_fn(|i| high[i % 6])), [f32::INFINITY; 16], "{}", S::NAME);
    assert_eq!(of([0.0; 16]), [1.0; 16], "{}", S::NAME);
}

/// Runs of weights as far from zero as `max` allows, at random and all of them, are multiplied
/// as integers are.
fn check_runs<S: Simd, const T: usize, const OCTETS: usize>(s: S) {
    check_runs_up_to::<S, T, OCTETS, 15>(s);
    check_runs_up_to::<S, T, OCTETS, 31>(s);
    check_runs_up_to::<S, T, OCTETS, 63>(s);
    check_runs_up_to::<S, T, OCTETS, 127>(s);
    check_runs_up_to::<S, T, OCTETS, 255>(s);
}

fn check_runs_up_to<S: Simd, const T: usize, const OCTETS: usize, const MAX: u8>(s: S) {
    let mut random = Random(3);
    let signed = MAX > 127 && !S::FULL_U8;
    for round in 0..40 {
        let weight = |extreme: bool, bits: u64| match (extreme, signed) {
            (true, true) => [128, 127][(bits % 2) as usize],
            (true, false) => MAX,
            (false, true) => bits as u8,
            (false, false) => (bits % (u64::from(MAX) + 1)) as u8,
        };
        let rows: [[u8; 64]; 16] = from_fn(|_| from_fn(|_| weight(round % 3 == 0, random.bits())));
        let less = if S::SIGNED && !signed { round as u8 } else { 0 };
        let counted = rows.map(|row| row.map(|w| w.wrapping_sub(less)));
        let mut octets: [Octet; 8] = [[[0; 64]; 2]; 8];
        s.vectorize(
            #[inline(always)]
            || s.to_octets(counted.each_ref(), &mut octets),
        );
        // Two runs, each with scales of its own.
        let q: &[[Octet; OCTETS]; 2] = octets.as_chunks().0.first_chunk().expect("two runs");
        let x: [[[[i8; 8]; OCTETS]; 2]; T] = from_fn(|_| {
            from_fn(|_| {
                from_fn(|_| {
                    from_fn(|_| match round {
                        0 => 127,
                        3 => -127,
                        _ => (random.bits() as i8).max(-127),
                    })
                })
            })
        });
        let scales: [[i16; 16]; 2] = from_fn(|_| from_fn(|_| random.bits() as i8 as i16));
        let lanes = scales.map(|scales| scales.map(S::run_scale));
        for scale in [None, Some(&lanes)] {
            let got = s.vectorize(
                #[inline(always)]
                || {
                    let mut acc = [s.splat_i(0); T];
                    s.dot_block::<T, 2, OCTETS, MAX>(&mut acc, q, scale, x.each_ref());
                    acc
                },
            );
            for t in 0..T {
                let wanted: [u32; 16] = from_fn(|row| {
                    let product = |c: usize| {
                        let w = rows[row][c];
                        let w = if signed { i32::from(w as i8) } else { i32::from(w) };
                        let (run, c) = (c / (8 * OCTETS), c % (8 * OCTETS));
                        let factor = scale.map_or(1, |_| i32::from(scales[run][row]));
                        factor * (w - i32::from(less)) * i32::from(x[t][run][c / 8][c % 8])
                    };
                    ((0..16 * OCTETS).map(product).sum::<i32>() as f32).to_bits()
                });
                assert_eq!(of(s, s.to_f(got[t])), wanted, "{} up to {MAX}", S::NAME);
            }
        }
    }
}

fn check_all<S: Simd>(s: Option<S>) {
    let Some(s) = s else {
        eprintln!("SKIPPED: this processor has no {}", S::NAME);
        return;
    };
    check(s);
    check_halves(s);
    check_exp(s);
    check_runs::<S, 1, 2>(s);
    check_runs::<S, 2, 4>(s);
    check_runs::<S, 4, 2>(s);
    check_runs::<S, 4, 4>(s);
}

#[test]
fn scalar_exp_is_accurate() {
    check_exp(Scalar);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn avx512_is_scalar() {
    check_all(super::avx512::Avx512::detect());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn avx2_is_scalar() {
    check_all(super::avx2::Avx2::detect());
}

#[test]
#[cfg(target_arch = "aarch64")]
fn neon_is_scalar() {
    check_all(<super::neon::Neon<false>>::detect());
    check_all(<super::neon::Neon<true>>::detect());
}

#[test]
fn scalar_does_what_the_trait_says() {
    let s = Scalar;
    check_runs::<_, 4, 4>(s);
    // Large and small numbers, so that any other order of adding gives another sum.
    let x: [f32; 16] = from_fn(|i| if i % 3 == 0 { 3e7 } else { 1.0 + i as f32 });
    let eight: Vec<f32> = (0..8).map(|i| x[i] + x[i + 8]).collect();
    let four: Vec<f32> = (0..4).map(|i| eight[i] + eight[i + 4]).collect();
    assert_eq!(s.sum(x), (four[0] + four[2]) + (four[1] + four[3]));
    assert_eq!(s.max([f32::NAN; 16], [1.0; 16]), [1.0; 16]);
    assert!(s.max([1.0; 16], [f32::NAN; 16])[0].is_nan());
    assert_eq!(s.min([f32::NAN; 16], [1.0; 16]), [1.0; 16]);
    assert_eq!(s.min([2.0; 16], [1.0; 16]), [1.0; 16]);
    assert_eq!(s.round([2.5; 16]), [2.0; 16]);
    assert_eq!(s.pow2([-126.0; 16]), [f32::MIN_POSITIVE; 16]);
    let ints = from_fn(|i| i as i32);
    let bytes: [u8; 64] = from_fn(|i| i as u8);
    let [a, b] = [from_fn(|i| bytes[i]), from_fn(|i| bytes[32 + i])];
    assert_eq!(s.sixteens(&a, &b)[..48], [0..16, 32..48, 16..32].map(Vec::from_iter).concat());
    assert_eq!(s.sixteens_s(&bytes.map(|b| b as i8)), s.sixteens(&a, &b));
    assert_eq!(s.even_odd_s(&bytes.map(|b| b as i8))[15..18], [30, 32, 34]);
    assert_eq!(s.even_odd_s(&bytes.map(|b| b as i8))[47..50], [31, 33, 35]);
    assert_eq!(s.nibbles(&[0xa5; 16], &[0x21; 16]), from_fn(|i| [5, 1, 10, 2][i / 16]));
    assert_eq!(s.scales_u8([1, 2, 3, 4, 5, 6, 7, 255])[12..], [7, 7, 255, 255]);
    let sums = s.sum4_blocks([ints; 4], &[1, 2, 3, 4], -10);
    assert_eq!((sums.0[3], sums.1[0]), (30.0 + 44.0, 70.0 + 76.0));
    let table = from_fn(|i| 100 + i as u8);
    assert_eq!(s.look_up(&table, [7; 64]), [107; 64]);
    let scales = [from_fn(|i| i as i16); 4];
    let (mut acc, w) = ([[5; 16]], [[2 << 16 | 3; 16]; 8]);
    s.dot_pairs::<1, false>(&mut acc, &w, [&[[10, 100]; 8]]);
    assert_eq!(acc, [[5 + 8 * (3 * 10 + 2 * 100); 16]]);
    let runs = s.dot_runs::<false>([[1; 16]; 4], [[2; 64]; 4], [3; 64], scales, 2);
    assert_eq!(runs[3][3..5], [1 + 24 * 8, 1 + 24 * 9]);
    let runs = s.dot_runs::<true>([[1; 16]; 4], [[-2i8 as u8; 64]; 4], [3; 64], scales, 2);
    assert_eq!(runs[3][3..5], [1 - 24 * 8, 1 - 24 * 9]);
    assert_eq!(s.shr([0x80, 0x01, 0, 0].repeat(8).try_into().expect("32 bytes"), 4)[0], 0x18);
    assert_eq!(s.dot_us([1; 16], [255; 64], [0x80; 64]), [1 - 4 * 255 * 128; 16]);
    assert_eq!(s.dot_ss([1; 16], [255; 64], [0x81; 64]), [1 + 4 * 127; 16]);
}
