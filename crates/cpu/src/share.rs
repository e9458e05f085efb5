//! Memory that the threads of a team write side by side.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

/// A slice that several threads read and write in disjoint parts.
///
/// Which thread may touch what is settled by the program: operations of a stage write different
/// slots or different rows, every chunk of an operation is claimed by one thread, and a barrier
/// stands between stages.
pub struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `read` and `write`, whose callers promise that no two threads touch
// the same values at once.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: as above; the slice itself may move between threads.
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Shares a slice.
    pub fn new(slice: &'a mut [T]) -> Shared<'a, T> {
        Shared { start: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// All of it from `start` on.
    pub fn from(&self, start: usize) -> Shared<'a, T> {
        assert!(start <= self.len);
        // SAFETY: `start` is inside the slice.
        let at = unsafe { self.start.add(start) };
        Shared { start: at, len: self.len - start, owner: PhantomData }
    }

    /// A part of it, to be read.
    ///
    /// # Safety
    /// No thread writes the part while the result lives.
    #[inline(always)]
    pub unsafe fn read(&self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range is inside the slice, which outlives 'a; the caller rules out writers.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    /// A part of it, to be written.
    ///
    /// # Safety
    /// No other thread reads or writes the part while the result lives.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn write(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range is inside the slice, which outlives 'a; the caller rules out others.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
