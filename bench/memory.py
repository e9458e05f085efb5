#!/usr/bin/env python3
"""Memory while decoding and time to the first token.

    memory.py MODEL.gguf [--tokens 32]

Prints the largest resident size of `russet run` beside the file's size (the mapped file counts
as resident), and the time from start to the first token once the file is in the page cache.
"""
import argparse
import os
import resource
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--russet", default=os.path.join(HERE, "../target/release/russet"))
    o = parser.parse_args()
    command = [o.russet, "run", o.model, "--raw", "--temp", "0", "-n", str(o.tokens), "the"]
    first = []
    for _ in range(o.rounds):
        start = time.perf_counter()
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        run.stdout.read(1)
        first.append(time.perf_counter() - start)
        run.stdout.read()
        run.wait()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    size = os.path.getsize(o.model)
    print(f"file {size / 1e6:.0f} MB, resident {peak / 1e6:.0f} MB, "
          f"beyond the file {(peak - size) / 1e6:.0f} MB")
    print(f"start to first token: median {statistics.median(first) * 1000:.0f} ms of {o.rounds}")


if __name__ == "__main__":
    main()
