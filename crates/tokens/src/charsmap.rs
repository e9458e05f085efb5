//! SentencePiece's precompiled character map: replacements for text, the longest match first.
//!
//! The bytes are a length, a double-array trie (darts-clone's packing of base, label and leaf into
//! 32 bits) and NUL-terminated replacements that the trie's values point into.

use crate::error::TokenError;

/// Replacements by prefix of the text.
#[derive(Debug)]
pub(crate) struct Charsmap {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl Charsmap {
    pub(crate) fn new(bytes: &[u8]) -> Result<Charsmap, TokenError> {
        let bad = |reason: &str| TokenError::invalid("precompiled_charsmap", reason);
        let (len, rest) =
            bytes.split_first_chunk::<4>().ok_or_else(|| bad("shorter than 4 bytes"))?;
        let len = u32::from_le_bytes(*len) as usize;
        if len > rest.len() || !len.is_multiple_of(4) {
            return Err(bad("its trie is longer than the map"));
        }
        let (trie, replacements) = rest.split_at(len);
        let unit = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let units = trie.chunks_exact(4).map(unit).collect();
        Ok(Charsmap { units, replacements: replacements.to_vec() })
    }

    /// The longest prefix of `text` that the map replaces: its length and the replacement.
    pub(crate) fn prefix(&self, text: &[u8]) -> Option<(usize, &str)> {
        let offset = |unit: u32| (unit >> 10) << ((unit & (1 << 9)) >> 6);
        let mut node = offset(*self.units.first()?);
        let mut found = None;
        for (at, &byte) in text.iter().enumerate().take_while(|(_, b)| **b != 0) {
            node ^= u32::from(byte);
            let Some(&unit) = self.units.get(node as usize) else { break };
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                break;
            }
            node ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let Some(value) = self.units.get(node as usize) else { break };
                found = Some((at + 1, (value & 0x7FFF_FFFF) as usize));
            }
        }
        let (len, start) = found?;
        let tail = self.replacements.get(start..)?;
        let end = tail.iter().position(|&b| b == 0)?;
        Some((len, std::str::from_utf8(&tail[..end]).ok()?))
    }
}
