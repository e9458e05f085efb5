#!/usr/bin/env python3
"""Models with the shapes of published ones and random weights, for measuring speed.

    models.py MODEL FORMAT [...]

FORMAT is F16, MXFP4, mlx4 (MLX's layout of 4 bits in groups of 64) or a type of llama.cpp's
quantizer. Files are kept in $RUSSET_BENCH_MODELS, or in russet/bench of the user's caches, and
made where they are not there yet.
"""
import argparse
import itertools
import json
import os
import struct

import gguf
import numpy as np

from quantize import quantize

QWEN3 = dict(arch="qwen3", head_dim=128, vocab=151936, rope=1e6, eps=1e-6)
SHAPES = {
    "qwen3-0.6b": QWEN3 | dict(layers=28, dim=1024, ffn=3072, heads=16, kv_heads=8),
    "llama-3.2-1b": dict(arch="llama", layers=16, dim=2048, ffn=8192, heads=32, kv_heads=8,
                         head_dim=64, vocab=128256, rope=5e5, eps=1e-5),
    "qwen3-4b": QWEN3 | dict(layers=36, dim=2560, ffn=9728, heads=32, kv_heads=8),
    # Eight of 48 layers.
    "qwen3-30b-a3b-8l": QWEN3 | dict(arch="qwen3moe", layers=8, dim=2048, ffn=768, heads=32,
                                     kv_heads=4, experts=128, active=8),
}
CONTEXT = 40960
GROUP = 64  # weights that share a scale in MLX's layout
MXFP4 = gguf.GGMLQuantizationType.MXFP4


def directory():
    """Where models are kept."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("RUSSET_BENCH_MODELS") or os.path.join(caches, "russet", "bench")


def model(name, kind):
    """The path of a model in a format; it is made where it is not there."""
    if name not in SHAPES:
        raise SystemExit(f"{name} is no model; there are {', '.join(SHAPES)}")
    path = os.path.join(directory(), f"{name}-{kind}" + ("" if kind == "mlx4" else ".gguf"))
    if os.path.exists(path):
        return path
    os.makedirs(directory(), exist_ok=True)
    print(f"making {path}", flush=True)
    part = path + ".part"
    if kind == "mlx4":
        write_mlx(name, part)
    elif kind in ("F16", "MXFP4"):
        write_gguf(name, part, kind)
    else:
        quantize(model(name, "F16"), part, kind)
    os.rename(part, path)
    return path


def tensors(shape):
    """Name in GGUF files, name in safetensors, and shape of every tensor."""
    dim, ffn, head_dim = shape["dim"], shape["ffn"], shape["head_dim"]
    q, kv = shape["heads"] * head_dim, shape["kv_heads"] * head_dim
    yield "token_embd", "model.embed_tokens", (shape["vocab"], dim)
    yield "output_norm", "model.norm", (dim,)
    for layer in range(shape["layers"]):
        here, there = f"blk.{layer}.", f"model.layers.{layer}."
        attention = [("q", q, dim), ("k", kv, dim), ("v", kv, dim)]
        yield here + "attn_norm", there + "input_layernorm", (dim,)
        for part, rows, cols in attention:
            yield f"{here}attn_{part}", f"{there}self_attn.{part}_proj", (rows, cols)
        yield here + "attn_output", there + "self_attn.o_proj", (dim, q)
        if shape["arch"] != "llama":
            for part in "qk":
                yield f"{here}attn_{part}_norm", f"{there}self_attn.{part}_norm", (head_dim,)
        yield here + "ffn_norm", there + "post_attention_layernorm", (dim,)
        experts, suffix = (), ""
        if "experts" in shape:
            experts, suffix = (shape["experts"],), "_exps"
            yield here + "ffn_gate_inp", there + "mlp.gate", (shape["experts"], dim)
        for part, rows, cols in (("gate", ffn, dim), ("up", ffn, dim), ("down", dim, ffn)):
            name = f"{here}ffn_{part}{suffix}"
            yield name, f"{there}mlp.{part}_proj", (*experts, rows, cols)


def values(name, shape, random):
    """Gains near one, weights near zero."""
    if len(shape) == 1:
        return 1 + 0.1 * random.standard_normal(shape, dtype=np.float32)
    router = name.endswith("ffn_gate_inp")
    out = np.empty(shape, np.float32 if router else np.float16)
    flat = out.reshape(-1)
    for part in (flat[i:i + (1 << 24)] for i in range(0, flat.size, 1 << 24)):
        part[:] = random.standard_normal(part.size, dtype=np.float32) * np.float32(0.02)
    return out


def tokens(size):
    """A byte-level BPE of so many ids: bytes, two to four letters, the end of a text."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ("".join(word) for length in (2, 3, 4)
             for word in itertools.product(letters, repeat=length))
    words = list(itertools.islice(words, size - 257))
    characters = [chr(byte) for byte in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    return characters + words + ["<|endoftext|>"], [f"{w[:-1]} {w[-1]}" for w in words]


def write_gguf(name, path, kind):
    shape = SHAPES[name]
    out = gguf.GGUFWriter(path, shape["arch"])
    out.add_name(name + "-synthetic")
    out.add_block_count(shape["layers"])
    out.add_context_length(CONTEXT)
    out.add_embedding_length(shape["dim"])
    out.add_feed_forward_length(shape["ffn"])
    out.add_head_count(shape["heads"])
    out.add_head_count_kv(shape["kv_heads"])
    out.add_key_length(shape["head_dim"])
    out.add_value_length(shape["head_dim"])
    out.add_rope_dimension_count(shape["head_dim"])
    out.add_rope_freq_base(shape["rope"])
    out.add_layer_norm_rms_eps(shape["eps"])
    if "experts" in shape:
        out.add_expert_count(shape["experts"])
        out.add_expert_used_count(shape["active"])
        out.add_expert_feed_forward_length(shape["ffn"])
    vocabulary, merges = tokens(shape["vocab"])
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("llama-bpe" if shape["arch"] == "llama" else "qwen2")
    out.add_token_list(vocabulary)
    out.add_token_types([gguf.TokenType.NORMAL] * (len(vocabulary) - 1) + [gguf.TokenType.CONTROL])
    out.add_token_merges(merges)
    out.add_eos_token_id(len(vocabulary) - 1)
    every = [(gguf_name, dims) for gguf_name, _, dims in tensors(shape)]
    if "experts" in shape:  # Its head is its own.
        every.append(("output", (shape["vocab"], shape["dim"])))
    random = np.random.Generator(np.random.SFC64(1))
    encoded = {}
    for tensor, dims in every:
        plain = np.float32 if len(dims) == 1 or tensor.endswith("ffn_gate_inp") else np.float16
        blocks = kind == "MXFP4" and plain is np.float16
        stored = gguf.quants.quant_shape_to_byte_shape(dims, MXFP4) if blocks else dims
        dtype = np.dtype(np.uint8 if blocks else plain)
        out.add_tensor_info(tensor + ".weight", stored, dtype,
                            int(np.prod(stored)) * dtype.itemsize, MXFP4 if blocks else None)
        encoded[tensor] = blocks
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_ti_data_to_file()
    for tensor, dims in every:
        data = values(tensor, dims, random)
        if encoded[tensor]:
            data = gguf.quants.quantize(data.astype(np.float32), MXFP4)
        out.write_tensor_data(data)
    out.close()


def affine(weights):
    """MLX's layout of 4 bits: eight weights in a word, scale and bias of each group."""
    groups = weights.astype(np.float32).reshape(weights.shape[0], -1, GROUP)
    low, high = groups.min(axis=2), groups.max(axis=2)
    scale = ((high - low) / 15).astype(np.float16)
    bias = low.astype(np.float16)
    codes = np.rint((groups - bias[..., None].astype(np.float32)) / scale[..., None])
    codes = codes.clip(0, 15).astype(np.uint32).reshape(weights.shape[0], -1, 8)
    words = (codes << np.arange(0, 32, 4, dtype=np.uint32)).sum(axis=2, dtype=np.uint32)
    return {"weight": words, "scales": scale, "biases": bias}


def write_mlx(name, path):
    shape = SHAPES[name]
    if "experts" in shape:
        raise SystemExit(f"{name} has experts; files in MLX's layout are made of dense models only")
    os.makedirs(path, exist_ok=True)
    config = dict(
        model_type=shape["arch"], hidden_size=shape["dim"], num_hidden_layers=shape["layers"],
        intermediate_size=shape["ffn"], num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"], head_dim=shape["head_dim"], hidden_act="silu",
        vocab_size=shape["vocab"], max_position_embeddings=CONTEXT, rms_norm_eps=shape["eps"],
        rope_theta=shape["rope"], tie_word_embeddings=True, torch_dtype="float16",
        quantization=dict(group_size=GROUP, bits=4))
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump(config, file)
    random = np.random.Generator(np.random.SFC64(1))
    header, data, end = {}, [], 0
    names = {"uint32": "U32", "float16": "F16", "float32": "F32"}
    for gguf_name, tensor, dims in tensors(shape):
        parts = values(gguf_name, dims, random)
        parts = affine(parts) if len(dims) > 1 else {"weight": parts.astype(np.float16)}
        for part, array in parts.items():
            header[f"{tensor}.{part}"] = dict(dtype=names[str(array.dtype)], shape=array.shape,
                                              data_offsets=[end, end + array.nbytes])
            data.append(array)
            end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in data:
            file.write(array.tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", choices=SHAPES)
    parser.add_argument("formats", nargs="+")
    options = parser.parse_args()
    for kind in options.formats:
        print(model(options.model, kind), flush=True)


if __name__ == "__main__":
    main()
