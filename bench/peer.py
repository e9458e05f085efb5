"""llama.cpp through its C interface: what the scripts of this folder compare Russet with.

    peer.py MODEL.gguf TEST THREADS [--no-repack] [--kv-type TYPE]

makes ready for a test of compare.py, says so, then for each line read does the test once and prints
its tokens per second.
"""
import argparse
import ctypes
import random
import sys
import time

import llama_cpp as L
import numpy as np

from tests import Test

_quiet = L.llama_log_callback(lambda *_: None)
KV_TYPES = {"f32": L.GGML_TYPE_F32, "f16": L.GGML_TYPE_F16, "q8_0": L.GGML_TYPE_Q8_0,
            "q4_0": L.GGML_TYPE_Q4_0}
BATCH = 512
PAD = 256  # llama.cpp rounds the room of a sequence up to this


class Peer:
    """A model that llama.cpp has loaded; `exact` keeps its cache in f32."""

    def __init__(self, path, threads, repack=True, exact=False, kv="f16"):
        L.llama_log_set(_quiet, ctypes.c_void_p(0))
        L.llama_backend_init()
        params = L.llama_model_default_params()
        params.use_extra_bufts = repack
        self.model = L.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.threads, self.exact, self.kv, self.context = threads, exact, KV_TYPES[kv], None
        self.vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))
        self.random = random.Random(1)

    def open(self, length, batch=BATCH, sequences=1):
        """Room for some sequences of so many tokens each."""
        if self.context:
            L.llama_free(self.context)
        params = L.llama_context_default_params()
        params.n_ctx, params.n_seq_max = -(-length // PAD) * PAD * sequences, sequences
        params.n_batch = params.n_ubatch = batch
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = L.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.type_k = params.type_v = self.kv
        if self.exact:
            params.flash_attn_type = L.LLAMA_FLASH_ATTN_TYPE_DISABLED
            params.type_k = params.type_v = L.GGML_TYPE_F32
        params.no_perf = True
        self.context = L.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context")

    def feed(self, rows):
        """A step of rows of (token, position, sequence, whether it gives logits)."""
        batch = L.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, logits) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, logits
        if L.llama_decode(self.context, batch):
            raise SystemExit("llama_decode failed")
        L.llama_synchronize(self.context)
        L.llama_batch_free(batch)

    def prompts(self, first, count, sequences):
        """Random tokens of every sequence; logits of the last ones only."""
        rows = [(self.random.randrange(self.vocab), first + i, sequence, i + 1 == count)
                for sequence in range(sequences) for i in range(count)]
        for i in range(0, len(rows), BATCH):
            self.feed(rows[i:i + BATCH])

    def run(self, test):
        """A test once; what lies before its depth is there already."""
        self.prompts(test.depth, test.prompt, test.sequences)
        for i in range(test.generated):
            self.prompts(test.depth + test.prompt + i, 1, test.sequences)

    def prepare(self, test):
        """Fills the depth and warms up; gives what measures tokens per second once."""
        self.open(test.depth + test.prompt + test.generated, sequences=test.sequences)
        self.prompts(0, test.depth, test.sequences)

        def speed(test):
            for sequence in range(test.sequences):
                L.llama_memory_seq_rm(L.llama_get_memory(self.context), sequence, test.depth, -1)
            start = time.perf_counter()
            self.run(test)
            return test.tokens / (time.perf_counter() - start)

        speed(test._replace(generated=min(test.generated, 8)))
        return lambda: speed(test)

    def logits(self, tokens):
        """Logits after every token, (tokens, vocab)."""
        self.open(len(tokens), batch=len(tokens))
        self.feed([(token, i, 0, True) for i, token in enumerate(tokens)])
        shape = (len(tokens), self.vocab)
        return np.ctypeslib.as_array(L.llama_get_logits(self.context), shape).astype(np.float64)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("test", type=Test.parse)
    parser.add_argument("threads", type=int)
    parser.add_argument("--no-repack", action="store_true")
    parser.add_argument("--kv-type", default="f16", choices=KV_TYPES)
    options = parser.parse_args()
    peer = Peer(options.model, options.threads, not options.no_repack, kv=options.kv_type)
    speed = peer.prepare(options.test)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(speed(), flush=True)


if __name__ == "__main__":
    main()
