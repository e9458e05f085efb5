//! Pages of the KV cache: which are free and who else uses one.

use crate::states::States;

/// The pages of one cache group. A page may have several users; the last to leave frees it.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Vec<u32>,
    users: Vec<u32>,
}

impl Pool {
    pub fn new(pages: usize) -> Pool {
        Pool { free: (0..pages as u32).rev().collect(), users: vec![0; pages] }
    }

    /// A page of one's own, if one is free.
    pub fn take(&mut self) -> Option<u32> {
        let page = self.free.pop()?;
        self.users[page as usize] = 1;
        Some(page)
    }

    /// Joins the users of a page.
    pub fn share(&mut self, page: u32) {
        assert!(self.users[page as usize] > 0, "page {page} is free and cannot be shared");
        self.users[page as usize] += 1;
    }

    /// Leaves the users of a page.
    pub fn release(&mut self, page: u32) {
        let users = &mut self.users[page as usize];
        assert!(*users > 0, "page {page} is free already");
        *users -= 1;
        if *users == 0 {
            self.free.push(page);
        }
    }

    /// Whether writing to the page would be seen by others.
    pub fn is_shared(&self, page: u32) -> bool {
        self.users[page as usize] > 1
    }

    pub fn free(&self) -> usize {
        self.free.len()
    }
}

/// What the sequences of an engine share.
#[derive(Debug)]
pub(crate) struct Stock {
    /// The pages of each cache group.
    pub pools: Vec<Pool>,
    /// Recurrent states.
    pub states: States,
}

#[cfg(test)]
mod tests;
