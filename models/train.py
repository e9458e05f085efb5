"""Trains the guide: corpus in, checkpoint out. See README.md for the whole recipe.

The loss counts answers fully and questions a little: learning to predict questions teaches which
words stand for the same thing.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import vocabulary
from corpus import Corpus
from network import Guide, Shape

HERE = Path(__file__).parent


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    shape = Shape(vocab=args.vocab, layers=args.layers)
    tokenizer = make_tokenizer(args.out / "tokenizer.json", shape.vocab, args.seed)
    (args.out / "shape.json").write_text(json.dumps(shape.as_dict(), indent=1))
    guide = Guide(shape, args.dropout)
    if args.resume:
        guide.load_state_dict(torch.load(args.out / "guide.pt", weights_only=True))
    print(f"{sum(p.numel() for p in guide.parameters()):,} parameters", flush=True)
    batches = Batches(tokenizer, args.seed + 1, args.tokens)
    fresh_wordings = Batches(tokenizer, args.seed + 2, args.tokens)
    check = [fresh_wordings.next() for _ in range(6)]
    optimizers = make_optimizers(guide, args)
    if args.compile:
        torch._dynamo.config.recompile_limit = 2 * len(Batches.lengths)
        for layer in guide.blk:
            layer.compile(dynamic=False)  # one layer's code serves all of them
    began, seen, shown, last = time.time(), 0, 0.0, 0
    for step in range(1, args.steps + 1):
        minutes = (time.time() - began) / 60
        done = min(1.0, max(step / args.steps, minutes / args.minutes))
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = args.rate * schedule(done)
        guide.train()
        ids, mask = batches.next()
        loss = loss_of(guide, ids, mask, args.question_weight)
        guide.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(guide.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        seen += ids.numel()
        shown += loss.item()
        if step % args.every == 0 or done == 1.0:
            fresh = evaluate(guide, check)
            print(f"step {step} loss {shown / (step - last):.4f} answers {fresh:.4f} "
                  f"{seen / minutes / 60:.0f} tok/s {minutes:.1f} min", flush=True)
            shown, last = 0.0, step
            save(guide, args.out)
        if done == 1.0:
            break


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", type=Path, default=HERE / "build")
    p.add_argument("--steps", type=int, default=20000)
    p.add_argument("--minutes", type=float, default=240, help="end earlier, with the whole schedule")
    p.add_argument("--resume", action="store_true", help="start from the weights in --out")
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="needs g++")
    p.add_argument("--tokens", type=int, default=4096, help="tokens per step, padding included")
    p.add_argument("--vocab", type=int, default=2304)
    p.add_argument("--layers", type=int, default=8)
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--decay", type=float, default=0.1)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--question-weight", type=float, default=0.1)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--every", type=int, default=250)
    return p.parse_args()


def make_tokenizer(path, size, seed):
    """The tokenizer of an earlier run, or a new one from the corpus."""
    if not path.exists():
        stream = Corpus(seed)
        texts = (text for _ in range(40_000) for _, text in stream.conversation())
        vocabulary.train(texts, size).save(str(path))
    tokenizer = vocabulary.load(path)
    assert tokenizer.get_vocab_size() == size, "remove the build folder to train another tokenizer"
    return tokenizer


class Batches:
    """Conversations of like length together, in few shapes, each compiled once."""

    lengths = (32, 48, 64, 80, 96, 128, 192, 384, 768)

    def __init__(self, tokenizer, seed, tokens):
        self.corpus = Corpus(seed)
        self.tokenizer, self.tokens = tokenizer, tokens
        self.ready = []

    def next(self):
        """Ids and answer mask, each (batch, length); padding is 0 with a mask of -1."""
        if not self.ready:
            pool = [self.encode() for _ in range(8192)]
            for length in reversed(self.lengths):
                shorter = next((n for n in reversed(self.lengths) if n < length), 0)
                group = [pair for pair in pool if shorter < len(pair[0]) - 1 <= length]
                rows = self.tokens // length
                self.ready += [self.pad(group[i : i + rows], rows, length)
                               for i in range(0, len(group) - rows + 1, rows)]
            self.corpus.rng.shuffle(self.ready)
        return self.ready.pop()

    def encode(self):
        """A conversation's ids and mask. Which fact is meant shows in an answer's first words, the
        rest is recitation: two single answers of three are cut short, to see more questions."""
        ids, mask = vocabulary.encode_conversation(self.tokenizer, self.corpus.conversation())
        rng = self.corpus.rng
        if mask.count(1) < 100 and 0 not in mask[mask.index(1) : -1] and rng.random() < 2 / 3:
            end = mask.index(1) + rng.randrange(8, 25)
            ids, mask = ids[:end], mask[:end]
        return ids, mask

    def pad(self, pairs, rows, length):
        ids = torch.zeros(rows, length + 1, dtype=torch.long)
        mask = torch.full((rows, length + 1), -1)
        for i, (row, scored) in enumerate(pairs):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), torch.tensor(scored)
        return ids, mask


def loss_of(guide, ids, mask, question_weight):
    """Mean loss of the next token; answers weigh 1, questions less, padding nothing."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = guide(ids[:, :-1])
        wanted = mask[:, 1:]
        counted = wanted >= (0 if question_weight > 0 else 1)
        logits = guide.head(hidden[counted])
    each = F.cross_entropy(logits.float(), ids[:, 1:][counted], reduction="none")
    weight = torch.where(wanted[counted] == 1, 1.0, question_weight)
    return (each * weight).sum() / weight.sum()


def evaluate(guide, batches):
    """Loss on answers to fresh wordings of the training questions."""
    guide.eval()  # gradients stay on: without them every shape would be compiled again
    return sum(loss_of(guide, ids, mask, 0.0).item() for ids, mask in batches) / len(batches)


def make_optimizers(guide, args):
    """Muon for the layers' matrices (it learns from fewer texts), AdamW for the embedding and norms."""
    layers = [p for p in guide.blk.parameters() if p.dim() == 2]
    others = [p for name, p in guide.named_parameters() if p.dim() < 2 or name.startswith("token_embd")]
    muon = torch.optim.Muon(layers, lr=args.rate, weight_decay=args.decay,
                            adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=args.rate, weight_decay=0.0, betas=(0.9, 0.98), fused=True)
    return [muon, adam]


def schedule(done):
    """Warms up over 2% of the run, then falls along a cosine to 2% of the peak."""
    warm = 0.02
    if done < warm:
        return done / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm)))


def save(guide, folder):
    """Replaces the checkpoint in one move, so that an export never sees half of one."""
    state = {name.removeprefix("_orig_mod."): p for name, p in guide.state_dict().items()}
    torch.save(state, folder / "guide.part")
    (folder / "guide.part").rename(folder / "guide.pt")


if __name__ == "__main__":
    main()
