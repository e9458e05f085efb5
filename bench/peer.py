"""llama.cpp through its C interface: what the scripts of this folder compare Russet with."""
import ctypes
import random
import time

import llama_cpp as L
import numpy as np

_quiet = L.llama_log_callback(lambda *_: None)


class Peer:
    """A model that llama.cpp has loaded; `exact` keeps its cache in f32."""

    def __init__(self, path, threads, repack=True, exact=False):
        L.llama_log_set(_quiet, ctypes.c_void_p(0))
        L.llama_backend_init()
        params = L.llama_model_default_params()
        params.use_extra_bufts = repack
        self.model = L.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.threads, self.exact, self.context = threads, exact, None
        self.vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))
        self.random = random.Random(1)

    def open(self, length, batch=512):
        if self.context:
            L.llama_free(self.context)
        params = L.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = length, batch, batch
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = L.LLAMA_FLASH_ATTN_TYPE_ENABLED
        if self.exact:
            params.flash_attn_type = L.LLAMA_FLASH_ATTN_TYPE_DISABLED
            params.type_k = params.type_v = 0
        params.no_perf = True
        self.context = L.llama_init_from_model(self.model, params)

    def tokens(self, count):
        return [self.random.randrange(self.vocab) for _ in range(count)]

    def feed(self, tokens):
        """One step of one sequence; logits of the last token only."""
        ids = (L.llama_token * len(tokens))(*tokens)
        if L.llama_decode(self.context, L.llama_batch_get_one(ids, len(tokens))):
            raise SystemExit("llama_decode failed")
        L.llama_synchronize(self.context)

    def clear(self):
        L.llama_memory_clear(L.llama_get_memory(self.context), False)

    def prompt_speed(self, count):
        """Tokens per second of a prompt from an empty cache, after a warm-up."""
        self.open(count)
        self.feed(self.tokens(count))
        self.clear()
        tokens, start = self.tokens(count), time.perf_counter()
        self.feed(tokens)
        return count / (time.perf_counter() - start)

    def decode_speed(self, count):
        """Tokens per second one by one, after a warm-up."""
        self.open(count + 8)
        for token in self.tokens(8):
            self.feed([token])
        start = time.perf_counter()
        for token in self.tokens(count):
            self.feed([token])
        return count / (time.perf_counter() - start)

    def logits(self, tokens):
        """Logits after every token, (tokens, vocab)."""
        self.open(len(tokens), batch=len(tokens))
        batch = L.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, True
        if L.llama_decode(self.context, batch):
            raise SystemExit("llama_decode failed")
        L.llama_synchronize(self.context)
        shape = (len(tokens), self.vocab)
        rows = np.ctypeslib.as_array(L.llama_get_logits(self.context), shape).astype(np.float64)
        L.llama_batch_free(batch)
        return rows
