//! Which vector units this processor has, and which of them to use.

#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
use crate::simd::{Simd, scalar::Scalar};
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};

/// A set of vector instructions that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with VNNI.
    Avx512,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// NEON with matrix products.
    NeonI8mm,
    /// NEON with dot products.
    Neon,
    /// No vector instructions of our own.
    Scalar,
}

impl Isa {
    const ALL: [Isa; 5] = [Isa::Avx512, Isa::Avx2, Isa::NeonI8mm, Isa::Neon, Isa::Scalar];

    /// Those that this processor has, the best first.
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The best that this processor has.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Scalar)
    }

    /// The one of that name (`avx512`, `avx2`, `neon-i8mm`, `neon`, `scalar`), if this processor
    /// has it.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::available().into_iter().find(|isa| isa.name().eq_ignore_ascii_case(name))
    }

    /// Its name, as [`Isa::from_name`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::NeonI8mm => "neon-i8mm",
            Isa::Neon => "neon",
            Isa::Scalar => "scalar",
        }
    }

    /// What it is, in words.
    pub fn description(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::NAME,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::NAME,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => <Neon<true>>::NAME,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => <Neon<false>>::NAME,
            _ => Scalar::NAME,
        }
    }

    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => <Neon<true>>::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => <Neon<false>>::detect().is_some(),
            Isa::Scalar => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
}

/// Features that matter to the kernels, and whether this processor has them.
pub fn features() -> Vec<(&'static str, bool)> {
    #[cfg(target_arch = "x86_64")]
    macro_rules! detect {
        ($($name:tt),*) => { vec![$(($name, is_x86_feature_detected!($name))),*] };
    }
    #[cfg(target_arch = "aarch64")]
    macro_rules! detect {
        ($($name:tt),*) => { vec![$(($name, std::arch::is_aarch64_feature_detected!($name))),*] };
    }
    #[cfg(target_arch = "x86_64")]
    let list = detect!("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512vnni");
    #[cfg(target_arch = "aarch64")]
    let list = detect!("neon", "dotprod", "i8mm", "fp16", "bf16", "sve");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let list = Vec::new();
    list
}
