//! Slots for recurrent states: which are free, who else uses one, and which keep snapshots.
//!
//! A running sequence holds the state of what it has computed, and every step under way writes a
//! slot of its own, so that a step that is given up spoils nothing. Snapshots are taken at
//! multiples of [`PAGE`] from the sequence's start only: at the last one that a repeated prompt
//! can go on from, and at the last one of all. A later request goes on from a snapshot or from the
//! start, and from nowhere between.

use crate::pages::Pool;
use ops::{PAGE, StateWrite};

/// A state to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Positions that it has seen.
    pub after: usize,
    pub slot: u32,
}

/// The snapshot within a sequence's prompt, and the last one beyond it.
pub(crate) type Snapshots = [Option<Snapshot>; 2];

/// What a running sequence holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The state of what it has computed; none at its start.
    pub computed: Option<u32>,
    /// The state of what steps under way compute, which they hold.
    pub submitted: Option<u32>,
    pub snapshots: Snapshots,
}

/// What a step under way holds for a sequence: the slots that it writes.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    read: u32,
    /// The snapshots that there are, then the state to go on from.
    writes: [StateWrite; 3],
    count: usize,
    snapshots: Snapshots,
}

impl Flight {
    /// As a step sees it.
    pub fn as_step(&self) -> ops::States<'_> {
        ops::States { read: self.read, writes: &self.writes[..self.count] }
    }

    /// The state to go on from.
    fn last(&self) -> Option<u32> {
        Some(self.writes[self.count.checked_sub(1)?].slot)
    }

    fn push(&mut self, snapshot: Snapshot) {
        let (after, slot) = (snapshot.after as u32, snapshot.slot);
        self.writes[self.count] = StateWrite { after, slot };
        self.count += 1;
    }
}

/// Slots that an engine needs for so many running and kept sequences, with so many steps under way
/// at a time.
pub(crate) fn slots(sequences: usize, kept: usize, flights: usize) -> usize {
    sequences * (1 + flights) + snapshots_max(sequences, kept)
}

fn snapshots_max(sequences: usize, kept: usize) -> usize {
    size_of::<Snapshots>() / size_of::<Option<Snapshot>>() * (sequences + kept)
}

/// The last boundary from which a sequence with the same prompt can go on: the last id of a prompt
/// is computed in any case.
fn boundary(prompt: usize) -> usize {
    prompt.saturating_sub(1) / PAGE * PAGE
}

/// The slots of an engine; none if its program keeps no state.
#[derive(Debug)]
pub(crate) struct States {
    pool: Pool,
    slots: usize,
    /// Snapshots held by sequences, running or kept; each is one user of its slot.
    snapshots: usize,
    snapshots_max: usize,
}

impl States {
    pub fn new(slots: usize, sequences: usize, kept: usize) -> States {
        let snapshots_max = snapshots_max(sequences, kept);
        States { pool: Pool::new(slots), slots, snapshots: 0, snapshots_max }
    }

    /// Whether the program keeps a state.
    pub fn needed(&self) -> bool {
        self.slots > 0
    }

    /// Slots that nobody uses.
    pub fn free(&self) -> usize {
        self.pool.free()
    }

    /// A slot to write. For every sequence that may run enough are set aside.
    pub fn take(&mut self) -> u32 {
        self.pool.take().expect("a slot is set aside for every step under way")
    }

    /// Leaves a slot.
    pub fn release(&mut self, slot: u32) {
        self.pool.release(slot);
    }

    /// What a sequence holds that goes on from `snapshot`, which stays where it is.
    pub fn go_on(&mut self, snapshot: Snapshot, prompt: usize) -> Held {
        self.pool.share(snapshot.slot);
        let state = Some(snapshot.slot);
        let mut held = Held { computed: state, submitted: state, ..Held::default() };
        if snapshot.after == boundary(prompt) && self.snapshots < self.snapshots_max {
            self.snapshots += 1;
            self.pool.share(snapshot.slot);
            held.snapshots[0] = Some(snapshot);
        }
        held
    }

    /// Gives up snapshots.
    pub fn drop_snapshots(&mut self, snapshots: Snapshots) {
        for snapshot in snapshots.into_iter().flatten() {
            self.snapshots -= 1;
            self.pool.release(snapshot.slot);
        }
    }

    /// Slots for a step that takes a sequence from position `from` to `to`. A snapshot that
    /// another replaces is given up now.
    pub fn plan(&mut self, held: &mut Held, prompt: usize, from: usize, to: usize) -> Flight {
        let mut flight = Flight { read: held.submitted.unwrap_or(0), ..Flight::default() };
        if !self.needed() {
            return flight;
        }
        let (in_prompt, last) = (boundary(prompt), to / PAGE * PAGE);
        for (i, after) in [in_prompt, last].into_iter().enumerate() {
            let replaces = i == 0 || after > in_prompt;
            if after <= from || after > to || !replaces {
                continue;
            }
            let old = held.snapshots[i].take();
            self.drop_snapshots([old, None]);
            if self.snapshots < self.snapshots_max {
                self.snapshots += 1;
                let snapshot = Snapshot { after, slot: self.take() };
                flight.snapshots[i] = Some(snapshot);
                flight.push(snapshot);
            }
        }
        flight.push(Snapshot { after: to, slot: self.take() });
        held.submitted = flight.last();
        flight
    }

    /// A step has computed what it was to; `newest` says that no later one is under way.
    pub fn settle(&mut self, held: &mut Held, flight: &Flight, newest: bool) {
        let Some(state) = flight.last() else { return };
        if let Some(old) = held.computed.replace(state) {
            self.release(old);
        }
        if newest {
            held.submitted = Some(state);
        }
        for (kept, new) in held.snapshots.iter_mut().zip(flight.snapshots) {
            *kept = new.or(*kept);
        }
    }

    /// A step was given up, or its sequence has ended.
    pub fn give_up(&mut self, flight: &Flight) {
        self.drop_snapshots(flight.snapshots);
        if let Some(state) = flight.last() {
            self.release(state);
        }
    }

    /// Everybody has left, also those who did not say so.
    pub fn reset(&mut self) {
        (self.pool, self.snapshots) = (Pool::new(self.slots), 0);
    }
}
