//! Rows of tables: embeddings by id or position, and those that hashed n-grams choose.
//!
//! A table is read where it lies: only the rows that a step asks for are touched.

use crate::run::Thread;
use crate::simd::Simd;
use crate::work::Work;
use ops::{Embed, Input, Key, Recall};

impl<S: Simd> Thread<'_, S> {
    /// Reads or adds a row of a table for each row.
    pub fn read_rows(&mut self, op: &Embed) {
        let (step, dim) = (self.work.step, self.work.width(op.y));
        while let Some(row) = self.claim(0, step.rows.len()) {
            let y = self.work.rows_mut(op.y, row..row + 1);
            let key = match (op.key, step.rows[row].input, self.work.id(row)) {
                (Key::Position, ..) => step.rows[row].position[0],
                (Key::Id, _, Some(id)) => id,
                (Key::Id, Input::Embedding(i), _) if !op.add => {
                    y.copy_from_slice(&step.embeddings[i as usize * dim..][..dim]);
                    continue;
                }
                _ => continue,
            };
            if op.add {
                let values = &mut self.own.row[..dim];
                self.work.weight(op.table).decode_row(key as usize, values);
                y.iter_mut().zip(values).for_each(|(y, value)| *y += *value * op.scale);
                continue;
            }
            self.work.weight(op.table).decode_row(key as usize, y);
            if op.scale != 1.0 {
                y.iter_mut().for_each(|y| *y *= op.scale);
            }
        }
    }

    /// Reads the rows of a table that each row's last ids are hashed to.
    pub fn look_up(&mut self, op: &Recall) {
        let work = self.work;
        let (table, history) = (work.weight(op.table), op.hashing.history());
        while let Some(row) = self.claim(0, work.step.rows.len()) {
            let y = work.rows_mut(op.y, row..row + 1);
            let chosen = op.hashing.rows(|back| counts_as(work, op, row, back));
            for (chosen, y) in chosen.zip(y.chunks_exact_mut(table.cols)) {
                table.decode_row(chosen, y);
            }
            // What a state keeps of the row's last ids, whoever claims the rows after it.
            let step_row = &work.step.rows[row];
            let writes = work.step.sequences[step_row.sequence as usize].states.writes;
            for write in writes.iter().filter(|write| write.after == step_row.position[0] + 1) {
                let kept = work.state_mut(write.slot, op.state, 0..history);
                for (back, kept) in (0..history).rev().zip(kept) {
                    // Ids are below 2^24.
                    *kept = counts_as(work, op, row, back) as f32;
                }
            }
        }
    }
}

/// What the id counts as that stands `back` positions before a row's own: a row of the step, else
/// what the sequence's state keeps, else the pad.
fn counts_as(work: &Work<'_>, op: &Recall, row: usize, back: usize) -> u32 {
    let rows = &work.step.rows;
    let (sequence, position) = (rows[row].sequence, rows[row].position[0] as usize);
    if back <= position {
        let near = row.checked_sub(back).filter(|row| rows[*row].sequence == sequence);
        if let Some(row) = near {
            return merged(work, op, work.id(row).unwrap_or(op.hashing.pad));
        }
        let first = rows[..row].iter().rev().take_while(|row| row.sequence == sequence).count();
        let read = work.step.sequences[sequence as usize].states.read;
        return work.state(read, op.state)[op.hashing.history() - (back - first)] as u32;
    }
    merged(work, op, op.hashing.pad)
}

/// What an id counts as.
fn merged(work: &Work<'_>, op: &Recall, id: u32) -> u32 {
    let Some(merged) = op.merged else { return id };
    let mut number = [0.0];
    work.weight(merged).decode_row(id as usize, &mut number);
    number[0] as u32
}
