"""Tests of speed by name: pp512, tg64, tg64@4096 after so many tokens, tg32x8@128 of 8 sequences."""
import argparse
import re
from typing import NamedTuple


class Test(NamedTuple):
    name: str
    prompt: int
    generated: int
    depth: int
    sequences: int

    @staticmethod
    def parse(name):
        found = re.fullmatch(r"(pp|tg)(\d+)(?:x(\d+))?(?:@(\d+))?", name)
        if not found:
            raise argparse.ArgumentTypeError(f"`{name}` is no test; write pp512 or tg32x8@128")
        what, count, sequences, depth = found.groups()
        prompt, generated = (int(count), 0) if what == "pp" else (0, int(count))
        return Test(name, prompt, generated, int(depth or 0), int(sequences or 1))

    @staticmethod
    def parse_list(names):
        return [Test.parse(name) for name in names.split(",")]

    @property
    def tokens(self):
        """Tokens that are timed."""
        return (self.prompt + self.generated) * self.sequences
