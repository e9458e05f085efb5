//! A step allocates nothing: not for a prompt, nor for a token, nor for a batch.
#![allow(unsafe_code)]

use crate::same_bits::{ALL, model, run};
use blocks::Kind;
use cpu::{Cpu, Isa};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what every thread of this program asks for.
struct Counting;

static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often memory was asked for so far.
pub fn allocations_so_far() -> usize {
    ASKED.load(Ordering::Relaxed)
}

/// Held for reading by the other tests, which allocate.
pub static ALONE: RwLock<()> = RwLock::new(());

#[test]
fn a_step_allocates_nothing() {
    let _alone = ALONE.write();
    for kind in [None, Some(Kind::Q8_0), Some(Kind::Q4_0), Some(Kind::F16)] {
        let model = model(kind);
        for (threads, chunk) in [(1, 1), (1, 7), (2, 1), (2, 100)] {
            // Whatever runs the tests may report an earlier one meanwhile: of ten attempts, one
            // must see nothing in all its steps.
            let backend = Cpu::new(Isa::best(), threads);
            let counts = (0..10).map(|_| run(&backend, &model, &ALL, chunk).allocations);
            assert_eq!(counts.min(), Some(0), "{kind:?}, {threads} threads, chunks of {chunk}");
        }
    }
}
