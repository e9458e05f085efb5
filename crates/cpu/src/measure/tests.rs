//! Rates are positive on all vector units; how large they are is the machine's affair.

use super::*;

#[test]
fn every_rate_is_positive_on_all_vector_units() {
    let setup = Setup { threads: 2, repetitions: 1, bytes: 1 << 20 };
    let check = |peaks: Peaks| {
        assert_eq!(peaks.threads, 2);
        for rate in [peaks.read_gb_s, peaks.int8_gop_s, peaks.f32_gflop_s] {
            assert!(rate.is_finite() && rate > 0.0, "{peaks:?}");
        }
    };
    check(setup.run(Scalar));
    #[cfg(target_arch = "x86_64")]
    if let Some(s) = Avx512::detect() {
        check(setup.run(s));
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(s) = Avx2::detect() {
        check(setup.run(s));
    }
    #[cfg(target_arch = "aarch64")]
    {
        <Neon<true>>::detect().inspect(|s| check(setup.run(*s)));
        <Neon<false>>::detect().inspect(|s| check(setup.run(*s)));
    }
}

#[test]
fn all_numbers_are_added() {
    let x: Vec<[f32; 16]> = (0..64).map(|i| [(i % 4) as f32; 16]).collect();
    assert_eq!(sum(Scalar, &x), 16.0 * 16.0 * (1.0 + 2.0 + 3.0));
}
