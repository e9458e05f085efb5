//! A team of threads that lives as long as its backend: it waits spinning, then parked, and runs
//! one job on all threads at a time.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread, yield_now};

/// How often a thread looks before it yields its core to others. With a core for each thread a
/// stage ends well within this; beside other programs a thread must not burn its slice.
pub const SPINS: u32 = 4_000;
/// How often a worker yields before it parks until the next job.
const YIELDS: u32 = 200;

type Job<'a> = &'a (dyn Fn(usize) + Sync);

/// The threads. The calling thread is number 0 and works too.
pub struct Team {
    shared: Arc<Common>,
    workers: Vec<JoinHandle<()>>,
}

struct Common {
    /// How often a thread looks before it yields.
    spins: u32,
    /// Counts jobs; a worker runs one when it sees the number grow.
    job_number: AtomicUsize,
    job: UnsafeCell<Option<Job<'static>>>,
    running: AtomicUsize,
    stop: AtomicBool,
    parked: Vec<AtomicBool>,
}

// SAFETY: `job` is written by the caller of `run` only while no worker runs, and published by the
// release store to `job_number`.
unsafe impl Sync for Common {}

impl Team {
    /// Starts a team of `threads`, at least one.
    pub fn new(threads: usize) -> Team {
        let threads = threads.max(1);
        let shared = Arc::new(Common {
            spins: spins(threads),
            job_number: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            running: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            parked: (0..threads).map(|_| AtomicBool::new(false)).collect(),
        });
        let start = |id: usize| {
            let shared = shared.clone();
            let name = format!("russet-{id}");
            std::thread::Builder::new().name(name).spawn(move || shared.work(id))
        };
        // A system that refuses a thread leaves a smaller team, which computes the same.
        let workers = (1..threads).map_while(|id| start(id).ok()).collect();
        Team { shared, workers }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// How often a thread of the team looks before it yields its core.
    pub fn spins(&self) -> u32 {
        self.shared.spins
    }

    /// Runs `job(thread)` on every thread and returns when all are done.
    pub fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        let common = &*self.shared;
        if self.workers.is_empty() {
            return job(0);
        }
        // SAFETY: the lifetime is extended only until `running` is back at zero, which is awaited
        // below before `job` goes out of scope, also when the job panics on this thread.
        let job_forever: Job<'static> = unsafe { std::mem::transmute(job) };
        // SAFETY: no worker runs now, so nobody else looks at the cell.
        unsafe { *common.job.get() = Some(job_forever) };
        common.running.store(self.workers.len(), Ordering::Relaxed);
        common.job_number.fetch_add(1, Ordering::SeqCst);
        for (worker, parked) in self.workers.iter().zip(&common.parked[1..]) {
            if parked.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        let finished = Finished(common);
        job(0);
        drop(finished);
    }
}

/// Waits for the workers when dropped.
struct Finished<'a>(&'a Common);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        wait_until(self.0.spins, || self.0.running.load(Ordering::Acquire) == 0);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.job_number.fetch_add(1, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            Thread::unpark(worker.thread());
            // A worker that panicked has nothing left to tell.
            let _ = worker.join();
        }
    }
}

impl Common {
    fn work(&self, id: usize) {
        let mut seen = 0;
        loop {
            self.await_job(id, seen);
            seen += 1;
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            // SAFETY: the caller wrote the job before it counted it, and writes no other before
            // `running` is zero again.
            let job = unsafe { *self.job.get() };
            let done = Done(self);
            if let Some(job) = job {
                job(id);
            }
            drop(done);
        }
    }

    fn await_job(&self, id: usize, seen: usize) {
        let new = || self.job_number.load(Ordering::SeqCst) != seen;
        for _ in 0..self.spins {
            if new() {
                return;
            }
            spin_loop();
        }
        for _ in 0..YIELDS {
            if new() {
                return;
            }
            yield_now();
        }
        // An exchange, because the look at the number must not come before it: emulators of Arm are
        // known to let a load pass a store, and then both sides would wait forever.
        self.parked[id].swap(true, Ordering::SeqCst);
        while !new() {
            std::thread::park();
        }
        self.parked[id].store(false, Ordering::SeqCst);
    }
}

/// Reports a worker done when dropped, also when its job panicked.
struct Done<'a>(&'a Common);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Release);
    }
}

/// How often a thread of a team looks before it yields: with fewer cores than threads at once,
/// because what it waits for may need the very core that it holds.
fn spins(threads: usize) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    if threads > cores { 1 } else { SPINS }
}

/// Looks `spins` times, then yields the core between looks, until `done`.
#[inline(always)]
pub fn wait_until(spins: u32, done: impl Fn() -> bool) {
    let mut looks = 0;
    while !done() {
        looks += 1;
        if looks < spins {
            spin_loop();
        } else {
            yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_runs_every_job_once() {
        for threads in 1..4 {
            let mut team = Team::new(threads);
            let counts: Vec<_> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for pause in [0, 1, 30] {
                std::thread::sleep(std::time::Duration::from_millis(pause));
                for _ in 0..100 {
                    team.run(&|id| {
                        counts[id].fetch_add(1, Ordering::Relaxed);
                    });
                }
            }
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 300));
        }
    }
}
