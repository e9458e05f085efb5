//! SentencePiece's `tokenizer.model`: a protocol buffer (`sentencepiece_model.proto`), read by hand
//! because only a dozen of its fields matter.

use crate::added::Added;
use crate::error::TokenError;
use crate::gguf::{scored, sentencepiece_normalizers};
use crate::normalize::Normalizer;
use crate::special;
use crate::split::Split;
use crate::tokens::{Kind, SPACE, Spelling, Token, Tokens};
use crate::unigram::Unigram;
use crate::vocab::{Model, Special, Vocab};

/// `TrainerSpec.ModelType`.
const UNIGRAM: u64 = 1;
const BPE: u64 = 2;

/// What the file says, with the defaults of the format.
struct Spec {
    pieces: Vec<Token>,
    model: u64,
    byte_fallback: bool,
    suffix_space: bool,
    unknown: u64,
    bos: Option<u64>,
    eos: Option<u64>,
    charsmap: Vec<u8>,
    prefix: bool,
    collapse: bool,
    escape: bool,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Vocab, TokenError> {
    let spec = Spec::parse(bytes)?;
    let mut tokens = Tokens::new(spec.pieces, Spelling::Spaces);
    let valid = |id: u64| u32::try_from(id).ok().filter(|&id| (id as usize) < tokens.len());
    let (bos, eos) = (spec.bos.and_then(valid), spec.eos.and_then(valid));
    let unknown = valid(spec.unknown);
    let map = Some(&spec.charsmap[..]).filter(|map| !map.is_empty());
    let mut normalizers =
        sentencepiece_normalizers(map, spec.collapse, spec.prefix && !spec.suffix_space)?;
    if spec.prefix && spec.suffix_space {
        normalizers.push(Normalizer::Append(SPACE.into()));
    }
    if !spec.escape {
        normalizers.pop();
    }
    let ends = special::ends(&mut tokens, &[eos]);
    let model = match spec.model {
        UNIGRAM => Model::Unigram(Unigram::new(&tokens, unknown, spec.byte_fallback)),
        BPE => Model::Bpe(scored(&tokens, unknown)),
        other => return Err(TokenError::Unsupported(format!("SentencePiece model type {other}"))),
    };
    // The library adds neither by itself; the models that ship such a file begin with BOS.
    let special = Special { bos, eos, ends, prefix: bos.into_iter().collect(), suffix: vec![] };
    Ok(Vocab {
        added: Added::new(&tokens)?,
        splits: tokens.spaces_only_lead().then(Split::before_space).into_iter().collect(),
        tokens,
        normalizers,
        model,
        special,
        strips_first_space: spec.prefix && !spec.suffix_space,
    })
}

impl Spec {
    fn parse(bytes: &[u8]) -> Result<Spec, TokenError> {
        let mut spec = Spec {
            pieces: Vec::new(),
            model: UNIGRAM,
            byte_fallback: false,
            suffix_space: false,
            unknown: 0,
            bos: Some(1),
            eos: Some(2),
            charsmap: Vec::new(),
            prefix: true,
            collapse: true,
            escape: true,
        };
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(piece)) => spec.pieces.push(parse_piece(piece)?),
                (2, Value::Bytes(trainer)) => spec.trainer(trainer)?,
                (3, Value::Bytes(normalizer)) => spec.normalizer(normalizer)?,
                _ => {}
            }
        }
        if spec.pieces.is_empty() {
            return Err(TokenError::Missing("pieces"));
        }
        Ok(spec)
    }

    fn trainer(&mut self, bytes: &[u8]) -> Result<(), TokenError> {
        for field in Fields(bytes) {
            match field? {
                (3, Value::Number(n)) => self.model = n,
                (24, Value::Number(n)) => self.suffix_space = n != 0,
                (35, Value::Number(n)) => self.byte_fallback = n != 0,
                (40, Value::Number(n)) => self.unknown = n,
                // A model without the token writes -1.
                (41, Value::Number(n)) => self.bos = Some(n),
                (42, Value::Number(n)) => self.eos = Some(n),
                _ => {}
            }
        }
        Ok(())
    }

    fn normalizer(&mut self, bytes: &[u8]) -> Result<(), TokenError> {
        for field in Fields(bytes) {
            match field? {
                (2, Value::Bytes(map)) => self.charsmap = map.to_vec(),
                (3, Value::Number(n)) => self.prefix = n != 0,
                (4, Value::Number(n)) => self.collapse = n != 0,
                (5, Value::Number(n)) => self.escape = n != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

fn parse_piece(bytes: &[u8]) -> Result<Token, TokenError> {
    let mut token = Token::new("", Kind::Normal);
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(text)) => token.text = text.to_vec(),
            (2, Value::Fixed32(bits)) => token.score = f32::from_bits(bits),
            (3, Value::Number(kind)) => token.kind = Kind::from_number(kind as i64),
            _ => {}
        }
    }
    Ok(token)
}

enum Value<'a> {
    Number(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of one protocol buffer message; groups and 64-bit numbers are passed over.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(head)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(len)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), TokenError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(
            field.ok_or_else(|| TokenError::invalid("tokenizer.model", "it is cut off or damaged")),
        )
    }
}
