//! Who holds how much memory: entries against a budget.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Weights, mapped or copied.
    Weights,
    /// Keys and values.
    Kv,
    /// Buffers of a step.
    Scratch,
    /// Anything else.
    Other,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Weights => "weights",
            Class::Kv => "KV cache",
            Class::Scratch => "scratch",
            Class::Other => "other",
        })
    }
}

/// One holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who: a model's name.
    pub owner: String,
    /// On which device.
    pub device: &'static str,
    /// What for.
    pub class: Class,
    /// How much.
    pub bytes: usize,
    /// Whether the system may take it back at any time (a mapped file). Such memory does not
    /// count against the budget.
    pub reclaimable: bool,
}

/// A holding that the budget has no room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{owner} needs {bytes} bytes for {class} on {device}, but {used} of {budget} are taken; \
     use a shorter context or a smaller model, or unload another one"
)]
pub struct OverBudget {
    /// Who asked.
    pub owner: String,
    /// On which device.
    pub device: &'static str,
    /// What for.
    pub class: Class,
    /// How much was asked for.
    pub bytes: usize,
    /// What is taken.
    pub used: usize,
    /// What may be taken.
    pub budget: usize,
}

/// All holdings of a process. Clones are the same ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug)]
struct Book {
    budget: usize,
    next: u64,
    entries: Vec<(u64, Entry)>,
}

/// A holding; dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    key: u64,
    ledger: Ledger,
}

impl Ledger {
    /// A ledger that lets `budget` bytes be held, reclaimable ones aside.
    pub fn new(budget: usize) -> Ledger {
        Ledger { book: Arc::new(Mutex::new(Book { budget, next: 0, entries: Vec::new() })) }
    }

    /// Enters a holding.
    ///
    /// # Errors
    /// Where the budget has no room for it.
    pub fn reserve(&self, entry: Entry) -> Result<Lease, OverBudget> {
        let mut book = self.lock();
        let used = book.used();
        let fits = used.checked_add(entry.bytes).is_some_and(|sum| sum <= book.budget);
        if !entry.reclaimable && !fits {
            let Entry { owner, device, class, bytes, .. } = entry;
            return Err(OverBudget { owner, device, class, bytes, used, budget: book.budget });
        }
        let key = book.next;
        book.next += 1;
        book.entries.push((key, entry));
        Ok(Lease { key, ledger: self.clone() })
    }

    /// Bytes that count against the budget.
    pub fn used(&self) -> usize {
        self.lock().used()
    }

    /// Bytes that may be held.
    pub fn budget(&self) -> usize {
        self.lock().budget
    }

    /// Bytes of a class, reclaimable ones included.
    pub fn total(&self, class: Class) -> usize {
        let book = self.lock();
        book.entries.iter().filter(|(_, e)| e.class == class).map(|(_, e)| e.bytes).sum()
    }

    /// Every holding, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().map(|(_, entry)| entry.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Every change to the book is a single push or retain, which no panic leaves half done.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn used(&self) -> usize {
        self.entries.iter().filter(|(_, e)| !e.reclaimable).map(|(_, e)| e.bytes).sum()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ledger.lock().entries.retain(|(key, _)| *key != self.key);
    }
}
