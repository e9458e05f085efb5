"""The guide's tokenizer: byte-level BPE trained on the corpus, and ChatML around messages."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END_OF_TEXT, START, END = range(3)

# What a chat program applies; `encode_conversation` writes the same text.
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def train(texts, size):
    """A tokenizer of `size` entries that llama.cpp's pre-tokenizer `gpt-2` reproduces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(path):
    return Tokenizer.from_file(str(path))


def merges(path):
    """Merges as GGUF writes them: two entries and a space."""
    listed = json.loads(Path(path).read_text())["model"]["merges"]
    return [m if isinstance(m, str) else " ".join(m) for m in listed]


def encode_conversation(tokenizer, messages):
    """Ids of a conversation, and for each id whether it belongs to an answer (1) or not (0)."""
    def plain(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    ids, mask = [], []
    for role, text in messages:
        opening = [START] + plain(f"{role}\n")
        body = plain(text) + [END]
        newline = plain("\n")
        ids += opening + body + newline
        mask += [0] * len(opening) + [int(role == "assistant")] * len(body) + [0] * len(newline)
    return ids, mask


def prompt(tokenizer, messages):
    """Ids of a conversation that waits for its answer."""
    ids, _ = encode_conversation(tokenizer, messages)
    return ids + [START] + tokenizer.encode("assistant\n", add_special_tokens=False).ids
