//! What is kept is found again, and only for what it was measured on.

use super::cores::{Cores, by_capacity, cpus};
use super::*;

fn entry(isa: Isa, threads: usize, read_gb_s: f64) -> Entry {
    let peaks = Peaks { threads, read_gb_s, int8_gop_s: 2.0, f32_gflop_s: 1.0 };
    Entry::new(Key::new(isa, threads), peaks)
}

#[test]
fn the_newest_measurement_of_a_kind_is_kept_beside_the_others() {
    let dir = std::env::temp_dir().join(format!("russet-machine-{}", std::process::id()));
    let file = dir.join("deep/machine.json");
    assert!(Kept::read(&file).measured.is_empty());
    for (threads, rate) in [(1, 3.0), (2, 5.0), (1, 4.0)] {
        keep(&file, entry(Isa::Scalar, threads, rate)).unwrap();
    }
    let kept = Kept::read(&file).measured;
    let expected = [entry(Isa::Scalar, 2, 5.0), entry(Isa::Scalar, 1, 4.0)];
    assert_eq!(kept, expected);
    std::fs::write(&file, "{ not json").unwrap();
    assert!(Kept::read(&file).measured.is_empty());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn lists_of_processors_are_those_of_the_kernel() {
    assert_eq!(cpus("0-3,8\n"), [0, 1, 2, 3, 8]);
    assert_eq!(cpus("5"), [5]);
    assert!(cpus("").is_empty());
}

#[test]
fn cores_of_less_capacity_are_efficiency_cores() {
    assert_eq!(by_capacity(&[446, 446, 1024, 1024, 1024]), Some((3, 2)));
    assert_eq!(by_capacity(&[1024, 1024]), None);
    assert_eq!(by_capacity(&[]), None);
}

#[test]
fn threads_are_the_fast_cores_within_what_is_available() {
    let cores = |available, physical, performance| {
        Cores { available, physical, performance, efficiency: None }.threads()
    };
    assert_eq!(cores(16, Some(8), None), 8);
    assert_eq!(cores(10, Some(10), Some(4)), 4);
    assert_eq!(cores(2, Some(8), None), 2);
    assert_eq!(cores(3, None, None), 3);
    assert_eq!(cores(1, Some(0), None), 1);
}
