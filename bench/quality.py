#!/usr/bin/env python3
"""How far quantized models are from their f16 original, by Russet and by llama.cpp.

    quality.py F16.gguf QUANTIZED.gguf [...] [--tokens 2048] [--context 512]

Each engine compares with its own run of the f16 file over the same seeded tokens, in chunks of the
context. Prints the mean KL divergence of each and Russet's over llama.cpp's.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def log_softmax(rows):
    rows = rows - rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def llama(base, model, tokens, context, threads, repack):
    """Mean KL over the second half of each chunk, as perplexity tools score it."""
    sys.path.insert(0, HERE)
    from peer import Peer
    sums, count = 0.0, 0
    original, quantized = Peer(base, threads, repack), Peer(model, threads, repack)
    for start in range(0, len(tokens) - context + 1, context):
        chunk = tokens[start:start + context]
        half = slice(context // 2, context - 1)
        p, q = (log_softmax(peer.logits(chunk)[half]) for peer in (original, quantized))
        sums += (np.exp(p) * (p - q)).sum()
        count += p.shape[0]
    return sums / count


def russet(binary, base, model, tokens, context, threads):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as ids:
        json.dump(tokens, ids)
        ids.flush()
        command = [binary, "perplexity", model, "--ids", ids.name, "--kl", base, "-c", str(context),
                   "-t", str(threads), "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repack", action="store_true", help="let llama.cpp lay weights out anew")
    parser.add_argument("--russet", default=os.path.join(HERE, "../target/release/russet"))
    o = parser.parse_args()
    sys.path.insert(0, HERE)
    from peer import Peer
    draw = random.Random(7)
    vocab = Peer(o.base, o.threads).vocab
    tokens = [draw.randrange(vocab) for _ in range(o.tokens)]
    print(f"{'file':34} {'russet':>10} {'llama.cpp':>10} {'ratio':>6}")
    for model in o.models:
        ours = russet(o.russet, o.base, model, tokens, o.context, o.threads)["mean KL"]
        theirs = llama(o.base, model, tokens, o.context, o.threads, o.repack)
        name = os.path.basename(model)
        print(f"{name:34} {ours:10.6f} {theirs:10.6f} {ours / theirs:6.3f}", flush=True)


if __name__ == "__main__":
    main()
