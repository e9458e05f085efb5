//! The CPU backend passes every conformance case, on all vector units and teams of threads.

mod no_allocation;
mod same_bits;

use cpu::{Cpu, Isa};
use no_allocation::ALONE;
use ops::conformance::{self, Cut};

#[test]
fn every_case_agrees_with_the_reference() {
    let _not_alone = ALONE.read();
    for isa in Isa::available() {
        let backend = Cpu::new(isa, 2);
        let failures: Vec<_> = conformance::cases()
            .iter()
            .filter_map(|case| conformance::check(&backend, case).err())
            .collect();
        assert!(failures.is_empty(), "{isa:?}:\n{}", failures.join("\n"));
    }
}

#[test]
fn bits_are_the_same_on_all_vector_units_and_with_any_threads() {
    let _not_alone = ALONE.read();
    for case in conformance::cases() {
        let expected = conformance::run(&Cpu::new(Isa::Scalar, 1), &case, Cut::Whole).unwrap();
        for isa in Isa::available() {
            for threads in [1, 3] {
                let found = conformance::run(&Cpu::new(isa, threads), &case, Cut::Whole).unwrap();
                let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan();
                assert!(
                    expected.iter().zip(&found).all(same),
                    "{} on {isa:?} with {threads} threads",
                    case.name
                );
            }
        }
    }
}
