//! The list of tokens: how each is spelled, which bytes it stands for, and what kind it is.

use std::collections::HashMap;

/// What a token is for; the names are those of SentencePiece and GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    /// The number that `tokenizer.ggml.token_type` and SentencePiece write.
    pub(crate) fn from_number(n: i64) -> Kind {
        match n {
            2 => Kind::Unknown,
            3 => Kind::Control,
            4 => Kind::UserDefined,
            5 => Kind::Unused,
            6 => Kind::Byte,
            _ => Kind::Normal,
        }
    }
}

/// One entry as a file states it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub text: Vec<u8>,
    pub kind: Kind,
    pub score: f32,
    pub flags: Flags,
}

impl Token {
    pub(crate) fn new(text: impl Into<Vec<u8>>, kind: Kind) -> Token {
        Token { text: text.into(), kind, score: 0.0, flags: Flags::default() }
    }
}

/// How a special token takes the text around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Whitespace before it belongs to it.
    pub lstrip: bool,
    /// Whitespace after it belongs to it.
    pub rstrip: bool,
    /// It is found only between characters that are no part of a word.
    pub single_word: bool,
}

/// How the spelling of a normal token relates to the bytes it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// GPT-2's printable alphabet, one character for each byte.
    ByteLevel,
    /// UTF-8, with U+2581 for a space.
    Spaces,
    /// UTF-8 as it is.
    Plain,
    /// BERT's: `##` continues a word. Its pieces are stored as [`Spelling::Spaces`] would be.
    WordPiece,
}

/// U+2581, which SentencePiece writes for a space.
pub(crate) const SPACE: &str = "\u{2581}";

/// Tokens by id, by spelling and by the bytes that a model sees.
#[derive(Debug)]
pub(crate) struct Tokens {
    list: Vec<Token>,
    pieces: Vec<Box<[u8]>>,
    by_text: HashMap<Box<[u8]>, u32>,
    by_piece: HashMap<Box<[u8]>, u32>,
    pub(crate) spelling: Spelling,
}

impl Tokens {
    pub(crate) fn new(list: Vec<Token>, spelling: Spelling) -> Tokens {
        let alphabet = alphabet();
        let mut pieces = Vec::with_capacity(list.len());
        let mut by_text = HashMap::with_capacity(list.len());
        let mut by_piece = HashMap::with_capacity(list.len());
        for (id, token) in list.iter().enumerate() {
            by_text.entry(token.text.clone().into_boxed_slice()).or_insert(id as u32);
            let matched = match (token.kind, spelling) {
                (Kind::Normal | Kind::Unused, Spelling::ByteLevel) => {
                    from_byte_level(&token.text, &alphabet)
                }
                (Kind::Normal | Kind::Unused, _) => Some(token.text.clone()),
                // SentencePiece may merge its way to a user-defined piece as well.
                (Kind::UserDefined, Spelling::Spaces) => Some(token.text.clone()),
                _ => None,
            };
            pieces.push(shown(token, matched.as_deref(), spelling).into_boxed_slice());
            if let Some(key) = matched.filter(|key| !key.is_empty()) {
                by_piece.entry(key.into_boxed_slice()).or_insert(id as u32);
            }
        }
        Tokens { list, pieces, by_text, by_piece, spelling }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Token)> {
        self.list.iter().enumerate().map(|(id, token)| (id as u32, token))
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Token> {
        self.list.get(id as usize)
    }

    pub(crate) fn set_kind(&mut self, id: u32, kind: Kind) {
        if let Some(token) = self.list.get_mut(id as usize) {
            token.kind = kind;
        }
    }

    pub(crate) fn flags_mut(&mut self, id: u32) -> Option<&mut Flags> {
        self.list.get_mut(id as usize).map(|token| &mut token.flags)
    }

    /// The bytes that a token stands for in text.
    pub(crate) fn piece(&self, id: u32) -> Option<&[u8]> {
        self.pieces.get(id as usize).map(|piece| &**piece)
    }

    /// The token spelled exactly so in the vocabulary.
    pub(crate) fn id(&self, text: &[u8]) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    /// The token that a model may produce for these bytes of normalized text.
    pub(crate) fn matching(&self, bytes: &[u8]) -> Option<u32> {
        self.by_piece.get(bytes).copied()
    }

    /// Everything that [`Tokens::matching`] finds.
    pub(crate) fn matchable(&self) -> impl Iterator<Item = (&[u8], u32)> {
        self.by_piece.iter().map(|(key, &id)| (&**key, id))
    }

    /// Ids of `<0x00>` to `<0xFF>`, if all are there.
    pub(crate) fn byte_tokens(&self) -> Option<Box<[u32; 256]>> {
        let mut ids = Box::new([0; 256]);
        for (byte, id) in ids.iter_mut().enumerate() {
            *id = self.id(format!("<0x{byte:02X}>").as_bytes())?;
        }
        Some(ids)
    }

    /// Whether a space can only begin a token, so that no token spans the border between a word
    /// and the space after it and each word can be tokenized alone.
    pub(crate) fn spaces_only_lead(&self) -> bool {
        self.spelling == Spelling::Spaces
            && self.matching(SPACE.as_bytes()).is_some()
            && self.by_piece.keys().all(|piece| {
                std::str::from_utf8(piece)
                    .is_ok_and(|text| !text.trim_start_matches(SPACE).contains(SPACE))
            })
    }
}

/// The bytes shown for a token; `matched` is what the model matches, if it matches it at all.
fn shown(token: &Token, matched: Option<&[u8]>, spelling: Spelling) -> Vec<u8> {
    if let Some(byte) = byte_of(&token.text).filter(|_| token.kind == Kind::Byte) {
        return vec![byte];
    }
    let literal = matches!(token.kind, Kind::Control | Kind::Unknown | Kind::UserDefined);
    match (spelling, matched) {
        (Spelling::Spaces, _) if !literal => unescape_spaces(&token.text),
        (Spelling::WordPiece, _) if !literal => match token.text.strip_prefix(b"##") {
            Some(rest) => rest.to_vec(),
            None => [b" ", &token.text[..]].concat(),
        },
        (Spelling::ByteLevel, Some(bytes)) => bytes.to_vec(),
        _ => token.text.clone(),
    }
}

/// The byte that `<0xHH>` names.
pub(crate) fn byte_of(text: &[u8]) -> Option<u8> {
    let hex = text.strip_prefix(b"<0x")?.strip_suffix(b">").filter(|hex| hex.len() == 2)?;
    u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

fn unescape_spaces(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&first) = rest.first() {
        match rest.strip_prefix(SPACE.as_bytes()) {
            Some(after) => (out.push(b' '), rest = after),
            None => (out.push(first), rest = &rest[1..]),
        };
    }
    out
}

/// The bytes a spelling in GPT-2's alphabet stands for, or `None` if a character is not in it.
pub(crate) fn from_byte_level(text: &[u8], alphabet: &HashMap<char, u8>) -> Option<Vec<u8>> {
    std::str::from_utf8(text).ok()?.chars().map(|c| alphabet.get(&c).copied()).collect()
}

/// GPT-2's alphabet: printable Latin-1 bytes are themselves, the other 68 follow from U+0100 on.
pub(crate) fn alphabet() -> HashMap<char, u8> {
    let printable = |b: u8| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100u32;
    let mut other = || {
        next += 1;
        char::from_u32(next - 1).unwrap_or_default()
    };
    (0..=255u8).map(|b| (if printable(b) { char::from(b) } else { other() }, b)).collect()
}
