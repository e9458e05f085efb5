//! What this machine can do at best: the roofs that kernels are compared with.
//!
//! Memory is read in order by all threads at once, each its own part; arithmetic runs on
//! registers alone. Nothing here knows a kernel.
#![allow(unsafe_code)]

use crate::features::Isa;
#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
use crate::simd::{Simd, scalar::Scalar};
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};
use crate::team::{SPINS, wait_until};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The best rates of some threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Threads at work.
    pub threads: usize,
    /// Memory read, in 10^9 bytes a second.
    pub read_gb_s: f64,
    /// Multiplications and additions of 8-bit integers, in 10^9 a second.
    pub int8_gop_s: f64,
    /// Multiplications and additions of f32, in 10^9 a second.
    pub f32_gflop_s: f64,
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// About two seconds.
    Quick,
    /// About four seconds, less disturbed by other programs.
    Full,
}

/// Measures what `threads` threads reach on the vector units `isa`, or without any where this
/// processor lacks them. Other programs at work lower the result.
pub fn measure(isa: Isa, threads: usize, effort: Effort) -> Peaks {
    let repetitions = match effort {
        Effort::Quick => 3,
        Effort::Full => 11,
    };
    let setup = Setup { threads: threads.max(1), repetitions, bytes: buffer_bytes() };
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if let Some(s) = Avx512::detect() => setup.run(s),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if let Some(s) = Avx2::detect() => setup.run(s),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonI8mm if let Some(s) = <Neon<true>>::detect() => setup.run(s),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon if let Some(s) = <Neon<false>>::detect() => setup.run(s),
        _ => setup.run(Scalar),
    }
}

/// Bytes to read: far more than caches hold, but a quarter of what is free at most.
fn buffer_bytes() -> usize {
    const MOST: usize = 1 << 30;
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.map_or(MOST, |kib| (kib * 1024 / 4).min(MOST))
}

struct Setup {
    threads: usize,
    repetitions: usize,
    bytes: usize,
}

impl Setup {
    fn run<S: Peak>(&self, s: S) -> Peaks {
        let rate = |ops_a_round: f64, run: fn(S, u64)| {
            let rounds = rounds_in_a_tenth_second(|rounds| run(s, rounds));
            let seconds = self.median_seconds(vec![(); self.threads], |()| run(s, rounds));
            self.threads as f64 * rounds as f64 * ops_a_round / seconds * 1e-9
        };
        Peaks {
            threads: self.threads,
            read_gb_s: self.read_gb_s(s),
            int8_gop_s: rate(S::INT8_OPS, S::int8),
            f32_gflop_s: rate(S::F32_OPS, S::f32),
        }
    }

    fn read_gb_s<S: Simd>(&self, s: S) -> f64 {
        const LINE: usize = 64;
        let part = self.bytes.div_ceil(LINE * self.threads).max(1);
        let mut buffer = vec![0f32; (part * self.threads + 1) * LINE / size_of::<f32>()];
        let aligned = buffer.as_ptr().align_offset(LINE);
        let lines = buffer[aligned..].as_chunks_mut::<16>().0;
        thread::scope(|scope| {
            // Written, since the system backs untouched memory with one page of zeros; and each
            // part by its own thread, so that the parts spread over the memory of all sockets.
            for part in lines.chunks_exact_mut(part) {
                scope.spawn(|| part.fill([1.0; 16]));
            }
        });
        let parts: Vec<_> = lines.chunks_exact(part).take(self.threads).collect();
        let seconds = self.median_seconds(parts, |part| {
            black_box(s.vectorize(|| sum(s, part)));
        });
        (LINE * part * self.threads) as f64 / seconds * 1e-9
    }

    /// How long it takes that every thread does its work once, from the first that starts to the
    /// last that ends: the median after a warm-up. Threads look at the clock themselves: one that
    /// only watched might wake up late.
    fn median_seconds<T: Copy + Send>(&self, work: Vec<T>, run: impl Fn(T) + Sync) -> f64 {
        let (all, run, times) = (work.len(), &run, self.repetitions + 1);
        let (ready, clock) = (&AtomicUsize::new(0), Instant::now());
        let timed = move |time: usize, work: T| {
            // Nobody sleeps until all are there: who wakes up may land on another's core.
            ready.fetch_add(1, Ordering::AcqRel);
            wait_until(SPINS, || ready.load(Ordering::Acquire) >= all * (time + 1));
            let start = clock.elapsed();
            run(work);
            (start, clock.elapsed())
        };
        let spans: Vec<Vec<_>> = thread::scope(|scope| {
            let start = |work| scope.spawn(move || (0..times).map(|i| timed(i, work)).collect());
            let threads: Vec<_> = work.into_iter().map(start).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let longest = |i: usize| {
            let start = spans.iter().map(|spans: &Vec<(Duration, Duration)>| spans[i].0).min();
            let end = spans.iter().map(|spans| spans[i].1).max();
            (end.unwrap_or_default() - start.unwrap_or_default()).as_secs_f64()
        };
        let mut seconds: Vec<f64> = (1..times).map(longest).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}

/// The sum of all numbers, in eight independent vectors.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[[f32; 16]]) -> f32 {
    let mut sums = [s.splat(0.0); 8];
    for x in x.as_chunks::<8>().0 {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = s.add(*sum, s.load(x));
        }
    }
    sums.into_iter().map(|sums| s.sum(sums)).sum()
}

fn rounds_in_a_tenth_second(run: impl Fn(u64)) -> u64 {
    let mut rounds = 1 << 10;
    loop {
        let start = Instant::now();
        run(rounds);
        let seconds = start.elapsed().as_secs_f64();
        if seconds > 0.01 {
            return (rounds as f64 * 0.1 / seconds) as u64 + 1;
        }
        rounds *= 2;
    }
}

/// Loops of independent multiplications and additions, enough of them to fill the vector units.
trait Peak: Simd {
    /// Operations in a round of [`Peak::int8`].
    const INT8_OPS: f64;
    /// Operations in a round of [`Peak::f32`].
    const F32_OPS: f64;
    /// Products of bytes, added up four at a time.
    fn int8(self, rounds: u64);
    /// Fused multiplications and additions.
    fn f32(self, rounds: u64);
}

/// Instructions for one accumulator: its number stands where the text is cut.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! lines {
    ([$($first:literal $(_ $rest:literal)*),+] $i:literal) => {
        concat!($($first, $($i, $rest,)* "\n"),+)
    };
}

/// Repeats instructions for twelve accumulators.
#[cfg(target_arch = "x86_64")]
macro_rules! repeat {
    ($rounds:expr, $body:tt) => { repeat!($rounds, $body, 0 1 2 3 4 5 6 7 8 9 10 11) };
    ($rounds:expr, $body:tt, $($i:literal)+) => {
        // SAFETY: changes only registers that are listed as lost; `self` proves that the processor
        // has the instructions.
        unsafe {
            std::arch::asm!(
                "vzeroall",
                "2:",
                $(lines!($body $i),)+
                "dec rcx",
                "jnz 2b",
                // Else all SSE instructions after it, of this thread and its children, are slow.
                "vzeroupper",
                inout("rcx") $rounds.max(1) => _,
                clobber_abi("sysv64"),
                options(nomem, nostack),
            );
        }
    };
}

/// Repeats instructions for twenty accumulators, beside those that functions have to keep.
#[cfg(target_arch = "aarch64")]
macro_rules! repeat {
    ($rounds:expr, $body:tt) => {
        repeat!($rounds, $body, 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 24 25 26 27)
    };
    ($rounds:expr, $body:tt, $($i:literal)+) => {
        // SAFETY: changes only registers that are listed as lost; `self` proves that the processor
        // has the instructions.
        unsafe {
            std::arch::asm!(
                ".arch_extension dotprod",
                ".arch_extension i8mm",
                "2:",
                $(lines!($body $i),)+
                "subs x9, x9, #1",
                "b.ne 2b",
                inout("x9") $rounds.max(1) => _,
                clobber_abi("C"),
                options(nomem, nostack),
            );
        }
    };
}

#[cfg(target_arch = "x86_64")]
impl Peak for Avx512 {
    const INT8_OPS: f64 = 12.0 * 128.0;
    const F32_OPS: f64 = 12.0 * 32.0;

    fn int8(self, rounds: u64) {
        repeat!(rounds, ["vpdpbusd zmm" _ ", zmm14, zmm15"]);
    }

    fn f32(self, rounds: u64) {
        repeat!(rounds, ["vfmadd231ps zmm" _ ", zmm14, zmm15"]);
    }
}

#[cfg(target_arch = "x86_64")]
impl Peak for Avx2 {
    const INT8_OPS: f64 = 12.0 * 64.0;
    const F32_OPS: f64 = 12.0 * 16.0;

    /// Products of weights of four bits are added in sixteen bits, eight of them; what widens
    /// their sums then is left out.
    fn int8(self, rounds: u64) {
        repeat!(
            rounds,
            ["vpmaddubsw ymm12, ymm14, ymm15", "vpaddw ymm" _ ", ymm" _ ", ymm12"]
        );
    }

    fn f32(self, rounds: u64) {
        repeat!(rounds, ["vfmadd231ps ymm" _ ", ymm14, ymm15"]);
    }
}

#[cfg(target_arch = "aarch64")]
impl<const MATRIX: bool> Peak for Neon<MATRIX> {
    const INT8_OPS: f64 = 20.0 * if MATRIX { 64.0 } else { 32.0 };
    const F32_OPS: f64 = 20.0 * 8.0;

    fn int8(self, rounds: u64) {
        if MATRIX {
            repeat!(rounds, ["smmla v" _ ".4s, v30.16b, v31.16b"]);
        } else {
            repeat!(rounds, ["sdot v" _ ".4s, v30.16b, v31.16b"]);
        }
    }

    fn f32(self, rounds: u64) {
        repeat!(rounds, ["fmla v" _ ".4s, v30.4s, v31.4s"]);
    }
}

impl Peak for Scalar {
    const INT8_OPS: f64 = 2.0 * 128.0;
    const F32_OPS: f64 = 2.0 * 32.0;

    fn int8(self, rounds: u64) {
        let mut sums = [self.splat_i(0); 2];
        for _ in 0..rounds {
            for sum in &mut sums {
                let factors = black_box(&[1; 64]);
                *sum = self.dot_us(*sum, self.load_b(factors), self.load_b(factors));
            }
        }
        black_box(sums);
    }

    fn f32(self, rounds: u64) {
        let mut sums = [self.splat(0.0); 2];
        for _ in 0..rounds {
            for sum in &mut sums {
                let factor = self.load(black_box(&[1.0; 16]));
                *sum = self.fma(factor, factor, *sum);
            }
        }
        black_box(sums);
    }
}

#[cfg(test)]
mod tests;
