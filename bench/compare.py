#!/usr/bin/env python3
"""Decode and prompt speed of Russet and llama.cpp on the same files, in turn.

    compare.py MODEL.gguf [MODEL.gguf ...] [--rounds 5] [--threads N] [--prompt 512] [--tokens 64]

Prints, for each file and test, the medians in tokens per second, their ratio, the spread of each
(largest over smallest) and the share of this machine's memory bandwidth that Russet reached.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def russet(options, model, prompt, tokens):
    """One test by `russet bench`; (tokens per second, share of bandwidth)."""
    command = [options.russet, "bench", model, "-p", str(prompt), "-n", str(tokens), "-r", "1",
               "-t", str(options.threads), "-o", "json"]
    row = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[0]
    return row["avg_ts"], row.get("bandwidth_share")


def llama(options, model, prompt, tokens):
    """The same by llama.cpp, in a process of its own so that a crash costs one figure only."""
    code = (f"import sys; sys.path.insert(0, {HERE!r}); from peer import Peer; "
            f"p = Peer({model!r}, {options.threads}, {not options.no_repack}); "
            + (f"print(p.prompt_speed({prompt}))" if prompt else f"print(p.decode_speed({tokens}))"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return float(run.stdout) if run.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--no-repack", action="store_true",
                        help="llama.cpp uses the weights as the file has them")
    parser.add_argument("--russet", default=os.path.join(HERE, "../target/release/russet"))
    options = parser.parse_args()
    print(f"{'file':34} {'test':6} {'russet':>8} {'llama.cpp':>9} {'ratio':>6} "
          f"{'spread':>11} {'bandwidth':>9}")
    for model in options.models:
        for name, prompt, tokens in (("tg", 0, options.tokens), ("pp", options.prompt, 0)):
            ours, theirs, share = [], [], None
            for _ in range(options.rounds):
                speed, share = russet(options, model, prompt, tokens)
                ours.append(speed)
                theirs.append(llama(options, model, prompt, tokens))
            theirs = [speed for speed in theirs if speed]
            mine = statistics.median(ours)
            peer = statistics.median(theirs) if theirs else float("nan")
            spread = f"{max(ours) / min(ours):.2f}"
            spread += f" / {max(theirs) / min(theirs):.2f}" if theirs else " / -"
            share = f"{share:.0%}" if share and name == "tg" else "-"
            print(f"{os.path.basename(model):34} {name + str(prompt or tokens):6} {mine:8.1f} "
                  f"{peer:9.1f} {mine / peer:6.2f} {spread:>11} {share:>9}", flush=True)


if __name__ == "__main__":
    main()
