//! Rows of tables: embeddings by id or position, and those that hashed n-grams choose.

use super::Run;
use crate::list::{Embed, Recall};
use crate::program::Key;
use crate::step::Input;

impl Run<'_> {
    pub(super) fn read_rows(&mut self, op: &Embed) {
        let dim = self.width(op.y);
        let (mut y, mut values) = (self.read(op.y), vec![0.0; dim]);
        for (row, y) in self.step.rows.iter().zip(y.chunks_mut(dim)) {
            let key = match (op.key, row.input, self.id(row)) {
                (Key::Position, ..) => row.position[0],
                (Key::Id, _, Some(id)) => id,
                (Key::Id, Input::Embedding(i), _) if !op.add => {
                    y.copy_from_slice(&self.step.embeddings[i as usize * dim..][..dim]);
                    continue;
                }
                _ => continue,
            };
            self.loaded.weights[op.table.0 as usize].decode_row(key as usize, &mut values);
            for (y, value) in y.iter_mut().zip(&values) {
                *y = value * op.scale + if op.add { *y } else { 0.0 };
            }
        }
        self.write(op.y, y);
    }

    pub(super) fn look_up(&mut self, op: &Recall) {
        let (mut y, width) = (self.read(op.y), self.width(op.y));
        let (history, table) = (op.hashing.history(), &self.loaded.weights[op.table.0 as usize]);
        let head = table.cols;
        let mut kept = Vec::new();
        for rows in self.step.runs() {
            let begins = self.step.rows[rows.start].position[0] == 0;
            // What the sequence's ids count as, those before the step first.
            let mut ids = match begins {
                true => vec![self.counts_as(op, op.hashing.pad); history],
                false => {
                    let state = self.state_before(&rows, op.state);
                    state.into_iter().map(|id| id as u32).collect()
                }
            };
            for row in rows {
                let id = self.id(&self.step.rows[row]).unwrap_or(op.hashing.pad);
                ids.push(self.counts_as(op, id));
                let chosen = op.hashing.rows(|back| ids[ids.len() - 1 - back]);
                for (chosen, y) in chosen.zip(y[row * width..][..width].chunks_mut(head)) {
                    table.decode_row(chosen, y);
                }
                let last = &ids[ids.len() - history..];
                kept.push((row, last.iter().map(|id| *id as f32).collect::<Vec<_>>()));
            }
        }
        for (row, ids) in kept {
            self.state_after(row, op.state, &ids);
        }
        self.write(op.y, y);
    }

    fn counts_as(&self, op: &Recall, id: u32) -> u32 {
        let Some(merged) = op.merged else { return id };
        let mut number = [0.0];
        self.loaded.weights[merged.0 as usize].decode_row(id as usize, &mut number);
        number[0] as u32
    }
}
