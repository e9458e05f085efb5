//! Activation functions against their formulas in f64.

use super::gated_act;
use crate::simd::scalar::Scalar;
use ops::Act;

/// Near zero, where `e` to their power leaves f32, and far out.
fn inputs() -> Vec<f32> {
    let near = (-4000..=4000).map(|i| i as f32 * 0.025);
    let powers = (-20..=38).map(|i| 10.0f32.powi(i));
    let far = powers.chain([86.0, 87.0, 88.38, 88.5, 88.72, 88.73, 89.0, f32::MAX]);
    near.chain(far.flat_map(|x| [x, -x])).collect()
}

fn check(act: Act, wanted: impl Fn(f64) -> f64) {
    let x = inputs();
    let mut y = x.clone();
    gated_act(Scalar, act, &mut y, &vec![1.0; x.len()]);
    for (x, y) in x.into_iter().zip(y) {
        let wanted = wanted(f64::from(x));
        let off = (f64::from(y) - wanted).abs();
        // The power is up to 88, and rounded; results below 1e-35 may become zero, because `exp`
        // becomes infinite.
        assert!(off <= 2e-5 * wanted.abs() + 1e-35, "{act:?} of {x} is {y}, not {wanted}");
    }
}

#[test]
fn silu_is_right_far_out_too() {
    check(Act::Silu, |x| x / (1.0 + (-x).exp()));
}

#[test]
fn gelu_with_tanh_is_right_far_out_too() {
    let z = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    check(Act::GeluTanh, |x| x / (1.0 + (-2.0 * z(x)).exp()));
}
