//! Text to the ids of a prompt.

use tokens::Vocab;

/// The ids of a prompt: a plain text, or a rendered template whose control tokens are spelled
/// out. BOS comes first where the model wants it, and only once if the template wrote it too; an
/// end that the vocabulary would append is left out, because the text is to go on.
pub fn prompt_ids(vocab: &Vocab, text: &str) -> Vec<u32> {
    let mut ids = vocab.encode(text, false, true);
    if let Some(bos) = vocab.bos().filter(|_| vocab.adds_bos())
        && ids.first() != Some(&bos)
    {
        ids.insert(0, bos);
    }
    ids
}
