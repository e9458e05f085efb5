#!/usr/bin/env python3
"""Speed of Russet and llama.cpp on the same files, in turn.

    compare.py [MODEL.gguf ...] [--models NAME,... --formats FORMAT,...] [--tests pp512,tg64,...]

Without a file, models with the shapes of published ones and random weights are made (models.py).
Each round measures this machine, then Russet, then llama.cpp. Printed are medians with smallest and
largest, in tokens per second of all sequences together, their ratio, and the share that Russet
reaches of what `russet doctor` measured in the same round: of the bandwidth where tokens are
generated, of the arithmetic peak where prompts are read.
"""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

from tests import Test

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = {
    "qwen3-0.6b": ["Q4_K_M", "Q6_K", "Q8_0", "Q4_0", "MXFP4", "mlx4", "IQ4_XS", "Q5_K_M", "Q3_K_M",
                   "Q2_K", "F16"],
    "llama-3.2-1b": ["F16", "Q4_K_M"],
    "qwen3-4b": ["Q4_K_M"],
    "qwen3-30b-a3b-8l": ["Q4_K_M"],
}
BUSY = 2  # processes beside a crowded test


class Russet:
    """`russet bench`, started for every round."""

    def __init__(self, options, path, test):
        self.program, self.threads = options.russet, str(options.threads)
        self.command = [
            options.russet, "bench", path, "-p", str(test.prompt), "-n", str(test.generated),
            "-d", str(test.depth), "-npl", str(test.sequences), "-r", "1", "-t", self.threads,
            "--kv-type", options.kv_type, "-o", "json"]

    def machine(self):
        """Measures the machine anew; what is measured next is compared with that."""
        command = [self.program, "doctor", "--json", "-t", self.threads]
        run = subprocess.run(command, check=True, capture_output=True)
        return json.loads(run.stdout)["read_gb_s"]

    def round(self):
        run = subprocess.run(self.command, stdout=subprocess.PIPE)
        if run.returncode:
            raise SystemExit(f"{' '.join(self.command)} failed")
        return json.loads(run.stdout)[0]


class Llama:
    """llama.cpp in a process of its own, whose cache keeps what comes before the test."""

    def __init__(self, options, path, test):
        command = [sys.executable, os.path.join(HERE, "peer.py"), path, test.name,
                   str(options.threads), "--kv-type", options.kv_type]
        command += ["--no-repack"] if options.no_repack else []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.ready = self.process.stdout.readline().strip() == "ready"

    def round(self):
        """Tokens per second, or nothing where llama.cpp failed."""
        if not self.ready:
            return None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return float(line) if line else None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def crowd():
    """Other programs at work meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    time.sleep(0.5)
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def speeds(values):
    """Median, smallest and largest."""
    values = [value for value in values if value]
    if not values:
        return "-"
    return f"{statistics.median(values):.1f} ({min(values):.1f}..{max(values):.1f})"


def measure(options, path, test):
    """The cells of a row."""
    russet, read, rows, crowded, peer = Russet(options, path, test), [], [], [], []
    llama = Llama(options, path, test) if path.endswith(".gguf") and not options.alone else None
    for _ in range(options.rounds):
        read.append(russet.machine())
        rows.append(russet.round())
        if options.crowded:
            with crowd():
                crowded.append(russet.round()["avg_ts"])
        if llama:
            peer.append(llama.round())
    if llama:
        llama.close()
    ours = [row["avg_ts"] for row in rows]
    median = statistics.median(ours)
    answered = [speed for speed in peer if speed]
    share = "compute_share" if test.prompt else "bandwidth_share"
    cells = [speeds(ours), speeds(peer),
             f"{median / statistics.median(answered):.2f}" if answered else "-",
             f"{statistics.median(row[share] for row in rows):.0%}" +
             (" of peak" if test.prompt else ""),
             f"{statistics.median(read):.1f}"]
    if options.crowded:
        cells.append(f"{speeds(crowded)}, {statistics.median(crowded) / median:.0%}")
    return cells


def files(options):
    """The files to measure."""
    if options.files:
        return options.files
    from models import model
    names = options.models.split(",") if options.models else list(TABLE)
    chosen = options.formats.split(",") if options.formats else None
    # All are made before the first is measured.
    return [model(name, kind) for name in names for kind in chosen or TABLE[name]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help="models; without them, those of the table")
    parser.add_argument("--models", help=f"of these: {', '.join(TABLE)}")
    parser.add_argument("--formats", help="of the models made, as in Q4_K_M,mlx4")
    parser.add_argument("--tests", default="tg64,pp512", type=Test.parse_list,
                        help="as in pp512,tg64@4096,tg32x8@128: 8 sequences of 128 tokens")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--kv-type", default="f16")
    parser.add_argument("--crowded", action="store_true",
                        help=f"also Russet beside {BUSY} busy processes, and what it keeps")
    parser.add_argument("--alone", action="store_true", help="without llama.cpp")
    parser.add_argument("--no-repack", action="store_true",
                        help="llama.cpp uses the weights as the file has them")
    parser.add_argument("--russet", default=os.path.join(HERE, "../target/release/russet"))
    options = parser.parse_args()
    paths = files(options)
    head = ["model", "test", "Russet tok/s", "llama.cpp tok/s", "ratio", "share", "read GB/s"]
    head += ["crowded"] if options.crowded else []
    print("| " + " | ".join(head) + " |\n" + "| --- " * len(head) + "|", flush=True)
    for path in paths:
        name = os.path.basename(path.rstrip("/")).removesuffix(".gguf")
        for test in options.tests:
            print("| " + " | ".join([name, test.name, *measure(options, path, test)]) + " |",
                  flush=True)


if __name__ == "__main__":
    main()
