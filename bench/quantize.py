#!/usr/bin/env python3
"""Quantizes an F16 GGUF file with llama.cpp's own quantizer.

    quantize.py MODEL-F16.gguf TYPE [...]

Writes MODEL-TYPE.gguf beside it. Types that ask for an importance matrix get a uniform one: every
column counts the same.
"""
import argparse
import ctypes
import os

import gguf
import llama_cpp as L
import numpy as np

NEED_MATRIX = ("IQ1", "IQ2", "IQ3")


def uniform_matrix(path):
    """An entry of ones for each matrix of the file, and a last one without a name."""
    matrices = [t for t in gguf.GGUFReader(path).tensors if len(t.shape) > 1]
    entries = (L.llama_model_imatrix_data * (len(matrices) + 1))()
    kept = []
    for entry, tensor in zip(entries, matrices):
        # One value per column, for each expert where there are several.
        count = int(tensor.shape[0] * (tensor.shape[2] if len(tensor.shape) > 2 else 1))
        ones, name = np.ones(count, dtype=np.float32), tensor.name.encode()
        kept.append((ones, name))
        entry.name = name
        entry.data = ones.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = count
    return entries, kept


def quantize(source, target, kind):
    log = L.llama_log_callback(lambda *_: None)
    L.llama_log_set(log, ctypes.c_void_p(0))
    options = L.llama_model_quantize_default_params()
    number = getattr(L, "LLAMA_FTYPE_MOSTLY_" + kind, None)
    if number is None:
        raise SystemExit(f"llama.cpp has no type {kind}")
    options.ftype = number
    options.nthread = os.cpu_count()
    if kind.startswith(NEED_MATRIX):
        entries, kept = uniform_matrix(source)
        options.imatrix = entries
    code = L.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(options))
    if code:
        raise SystemExit(f"llama.cpp could not quantize {source} to {kind}: {code}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("types", nargs="+")
    options = parser.parse_args()
    for kind in options.types:
        target = options.model.replace("-F16.gguf", f"-{kind}.gguf")
        quantize(options.model, target, kind)
        print(f"{target}: {os.path.getsize(target) / 1e9:.2f} GB", flush=True)


if __name__ == "__main__":
    main()
