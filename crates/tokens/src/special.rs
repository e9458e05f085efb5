//! Which tokens end a generation.
//!
//! Files name one EOS, while chat models stop at several tokens; the rest is known by spelling. The
//! spellings and exceptions are those that llama.cpp collects, so that both stop at the same place.

use crate::tokens::{Kind, Tokens};

const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// After these a code model that fills in the middle has nothing more to say.
const FILL_ENDS: [&str; 11] = [
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// Parts of gpt-oss's channel format: they carry structure that is read from the text.
const CHANNELS: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// Collects the ends, `named` ones (EOS, EOT, EOM as the file says) first, and makes each of them a
/// control token. A spelling counts only where the file calls the token special or says nothing
/// about kinds: Qwen2 has `</s>` as an ordinary word.
pub(crate) fn ends(tokens: &mut Tokens, named: &[Option<u32>]) -> Vec<u32> {
    let silent = tokens.iter().all(|(_, token)| token.kind == Kind::Normal);
    let normal = |id: u32| tokens.get(id).is_some_and(|token| token.kind == Kind::Normal);
    let known = ENDS.iter().chain(&FILL_ENDS).filter_map(|text| tokens.id(text.as_bytes()));
    let known = known.filter(|&id| silent || !normal(id));
    let mut ends: Vec<u32> = Vec::new();
    for id in named.iter().flatten().copied().chain(known) {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    let eos = named.first().copied().flatten();
    let has = |text: &str| tokens.id(text.as_bytes()).is_some();
    // In gpt-oss and Solar Open `<|end|>` ends a message and not the turn; in Gemma 4 `</s>` is
    // text.
    let calls = has("<|call|>") || has("<|calls|>");
    let mut not_ends = Vec::new();
    if calls && (has("<|return|>") || has("<|flush|>")) {
        not_ends.push(("<|end|>", Kind::UserDefined));
    }
    if has("<|tool_response>") {
        not_ends.push(("</s>", Kind::Normal));
    }
    let not_ends: Vec<(u32, Kind)> = not_ends
        .into_iter()
        .filter_map(|(text, kind)| Some((tokens.id(text.as_bytes())?, kind)))
        .filter(|(id, _)| Some(*id) != eos)
        .collect();
    ends.iter().for_each(|&id| tokens.set_kind(id, Kind::Control));
    for (id, kind) in not_ends {
        ends.retain(|&end| end != id);
        tokens.set_kind(id, kind);
    }
    for text in CHANNELS {
        if let Some(id) = tokens.id(text.as_bytes()) {
            tokens.set_kind(id, Kind::UserDefined);
        }
    }
    ends
}
