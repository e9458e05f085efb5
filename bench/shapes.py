#!/usr/bin/env python3
"""Whether Russet computes what transformers does, for every family in many shapes.

    shapes.py [FAMILY ...] [--out DIR]

Makes small random models with other widths of heads, one head of keys, odd numbers of layers, tied
and untied embeddings, biases, hybrids of other ratios, and runs `russet verify` on each.
"""
import argparse
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from families import COMMON, FAMILIES, HERE, PLAIN, YARN, convert, make, verify

# llama.cpp looks GELU up in a table of f16.
LLAMA_TOLERANCE = 1e-2
SMALL = {"vocab_size": 251, "hidden_size": 96, "intermediate_size": 160, "head_dim": 24}

# What every family is tried with.
SHAPES = {
    "one kv head, tied": {"num_attention_heads": 6, "num_key_value_heads": 1, "head_dim": 24,
                          "num_hidden_layers": 3, "tie_word_embeddings": True},
    "all kv heads": {"num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 40,
                     "num_hidden_layers": 5, "tie_word_embeddings": False},
    "one layer": {"hidden_size": 72, "num_attention_heads": 4, "num_key_value_heads": 2,
                  "head_dim": 16, "num_hidden_layers": 1, "tie_word_embeddings": False},
}
BIASES = {"biases": {"attention_bias": True}}
WINDOW = {"window of 7": {"sliding_window": 7, "num_hidden_layers": 5}}
EXPERTS = {"3 of 5 experts": {"num_local_experts": 5, "num_experts_per_tok": 3},
           "1 of 4 experts": {"num_local_experts": 4, "num_experts_per_tok": 1}}
SPARSE = {
    "3 of 5, every other layer": {"num_experts": 5, "num_experts_per_tok": 3,
                                  "norm_topk_prob": True, "decoder_sparse_step": 2},
    "no experts": {"num_experts": 0, "mlp_only_layers": [0, 1, 2]},
    "1 of 4, not normalized": {"num_experts": 4, "num_experts_per_tok": 1,
                               "norm_topk_prob": False, "mlp_only_layers": [1]},
}
YARNED = {"rope_parameters": dict(YARN, rope_theta=1e4, factor=4.0, mscale=0.8,
                                  mscale_all_dim=0.7)}
ODD = {"num_attention_heads": 6, "num_key_value_heads": 6, "kv_lora_rank": 24,
       "qk_nope_head_dim": 20, "qk_rope_head_dim": 12, "v_head_dim": 28}
LATENTS = {
    "no q-LoRA, all dense": dict(ODD, q_lora_rank=None, first_k_dense_replace=3),
    "q-LoRA, yarn": dict(ODD, **YARNED, q_lora_rank=40),
    "q-LoRA, biases": dict(ODD, q_lora_rank=40, attention_bias=True),
    "all sparse, 2 shared": dict(ODD, q_lora_rank=None, first_k_dense_replace=0,
                                 n_shared_experts=2, routed_scaling_factor=1.5),
}


def hybrid(pattern, **more):
    """Layers of a delta net and of attention in that order."""
    kinds = {"d": "linear_attention", "a": "full_attention"}
    return dict(more, num_hidden_layers=len(pattern), layer_types=[kinds[c] for c in pattern])


HYBRIDS = {
    "2:1": hybrid("ddaddad", linear_num_key_heads=1, linear_num_value_heads=6,
                  linear_key_head_dim=16, linear_value_head_dim=16),
    "3:1": hybrid("ddda", linear_num_key_heads=3, linear_num_value_heads=3,
                  linear_key_head_dim=24, linear_value_head_dim=40, linear_conv_kernel_dim=3),
    "1:1": hybrid("adada", linear_num_key_heads=2, linear_num_value_heads=6,
                  linear_key_head_dim=8, linear_value_head_dim=48),
}
MIXED = {"gated and shared, 3 of 5": {"num_experts": 5, "num_experts_per_tok": 3,
                                      "shared_expert_intermediate_size": 40}}

# What a family is tried with besides.
BESIDES = {
    "llama": dict(BIASES, **{"mlp biases": {"mlp_bias": True}}),
    "mistral": WINDOW,
    "qwen2": {"windows above": {"use_sliding_window": True, "sliding_window": 7,
                                "max_window_layers": 2, "num_hidden_layers": 5}},
    "qwen3": BIASES,
    "phi3": {"partial rotary": {"rope_parameters": dict(PLAIN, partial_rotary_factor=0.5)},
             "window of 7": {"sliding_window": 7}},
    "gemma2": WINDOW,
    "gemma3": WINDOW,
    "cohere": {"q and k normed": {"use_qk_norm": True}},
    "cohere2": WINDOW,
    "smollm3": {"every third unrotated": {"num_hidden_layers": 5, "no_rope_layers": None,
                                          "no_rope_layer_interval": 3}},
    "granite": BIASES,
    "mixtral": dict(EXPERTS, **WINDOW),
    "qwen2_moe": SPARSE,
    "qwen3_moe": SPARSE,
    "gpt_oss": dict(EXPERTS, **WINDOW, yarn={"rope_parameters": dict(
        YARN, rope_theta=1.5e5, truncate=False, mscale=None, mscale_all_dim=None)}),
    "deepseek_v2": dict(LATENTS, groups=dict(ODD, n_group=4, topk_group=2, num_experts_per_tok=3,
                                             topk_method="group_limited_greedy")),
    "deepseek_v3": dict(LATENTS, halves=dict(ODD, rope_interleave=False)),
    "qwen3_next": dict(HYBRIDS, **MIXED, **{"no experts": hybrid(
        "dda", num_experts=0, mlp_only_layers=[0, 1, 2])}),
    "qwen3_5": HYBRIDS,
    "qwen3_5_moe": dict(HYBRIDS, **MIXED),
    "minimax_m2": EXPERTS,
    "glm4_moe": {"no norms, biases": {"use_qk_norm": False, "attention_bias": True},
                 "2 dense, 2 shared": {"first_k_dense_replace": 2, "n_shared_experts": 2,
                                       "num_experts_per_tok": 3, "routed_scaling_factor": 1.5}},
    "llama4": {"dense and sparse by three": {"num_hidden_layers": 6, "moe_layers": None,
                                             "interleave_moe_layer_step": 3,
                                             "attention_chunk_size": 9}},
    "gemma4": {"wide shared": {"use_double_wide_mlp": True}},
    "gemma4_moe": {"keys are values": {"attention_k_eq_v": True,
                                       "num_global_key_value_heads": 1}},
}


def fitted(name, shape):
    """A family's configuration in a shape, with what must agree with that."""
    kind, config = FAMILIES[name]
    if name == "gpt2":
        names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer",
                 "num_attention_heads": "n_head"}
        sizes = dict(SMALL, **shape)
        own = {theirs: sizes[ours] for ours, theirs in names.items()}
        own["tie_word_embeddings"] = shape["tie_word_embeddings"]
        return kind, dict(config, vocab_size=251, **own)
    free = {key for key, value in config.items() if value is None} - {"sliding_window"}
    sizes = SMALL | shape
    config = config | {key: value for key, value in sizes.items() if key not in free}
    sizes = COMMON | config
    layers = sizes["num_hidden_layers"]
    if "layer_types" in config and len(config["layer_types"]) != layers:
        config["layer_types"] = (config["layer_types"] * layers)[-layers:]
        config["num_kv_shared_layers"] = 0
    if "vocab_size_per_layer_input" in config:
        config["vocab_size_per_layer_input"] = config["vocab_size"]
    if "linear_num_key_heads" in config and "layer_types" not in config:
        config |= hybrid("d" * (layers - 1) + "a")
    if "rotary_pct" in config:
        # llama.cpp's converter takes this to be the width of a head.
        config["head_dim"] = sizes["hidden_size"] // sizes["num_attention_heads"]
    if "query_pre_attn_scalar" in config:
        config["query_pre_attn_scalar"] = sizes["head_dim"]
    rope = config.get("rope_parameters", {})
    if "mrope_section" in rope:
        pairs = int(sizes["head_dim"] * rope["partial_rotary_factor"]) // 2
        sections = [pairs - 2 * (pairs // 3), pairs // 3, pairs // 3]
        config["rope_parameters"] = dict(rope, mrope_section=sections)
    if "kv_lora_rank" in config:
        config["num_key_value_heads"] = sizes["num_attention_heads"]
    if "rotary_dim" in config:
        config["rotary_dim"] = sizes["head_dim"] // 2
    return kind, config


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", choices=[[], *FAMILIES])
    parser.add_argument("--out", help="a folder in which the models are kept")
    parser.add_argument("--sources", help="llama.cpp's: its converter's GGUF files are tried too")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--russet", default=os.path.join(HERE, "../target/release/russet"))
    o = parser.parse_args()
    if o.sources:
        sys.path[:0] = [o.sources, os.path.join(o.sources, "gguf-py")]
    print(f"{'family':12} {'shape':28} safetensors" + "  GGUF" * bool(o.sources), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        rows = [(name, shape, config, os.path.join(o.out or temporary, f"{name}-{at}"))
                for name in o.families or FAMILIES
                for at, (shape, config) in enumerate([*SHAPES.items(),
                                                      *BESIDES.get(name, {}).items()])]
        sys.exit(not all([row(o, *each) for each in rows]))


def row(o, name, shape, config, folder):
    """Prints what becomes of a shape; whether Russet differs from nothing that there is."""
    os.makedirs(folder, exist_ok=True)
    words, complaints, gguf = [], [], os.path.join(folder, "F32.gguf")
    right = True
    for model in [folder] + [gguf] * bool(o.sources):
        try:
            if model == folder:
                ids, _ = make(*fitted(name, config), folder, count=70, greedy=24)
            else:
                convert(folder, model)
            holds, said = verify(o.russet, model, folder, o.threads)
            with_whom = ""
            if not holds and model == gguf:
                # The file may not say all, or llama.cpp leave out what it says.
                with_whom = " as llama.cpp"
                with ProcessPoolExecutor(1, get_context("spawn")) as other:
                    other.submit(llama, gguf, ids, os.path.join(folder, "llama")).result()
                theirs = os.path.join(folder, "llama")
                holds, said = verify(o.russet, gguf, theirs, o.threads, LLAMA_TOLERANCE)
            words.append(said.partition("difference ")[2].split(" ")[0] + with_whom)
            complaints += [] if holds else [said]
            right &= holds
        except (Exception, SystemExit) as error:
            words.append("none")
            complaints.append(repr(error))
    print(f"{name:12} {shape:28} {words[0]:11}", *words[1:], flush=True)
    print(*complaints, sep="\n", end="\n" * bool(complaints), flush=True)
    return right


def llama(gguf, ids, folder):
    """Writes down what llama.cpp makes of some ids."""
    import numpy as np
    from peer import Peer
    from safetensors.numpy import save_file
    os.makedirs(folder, exist_ok=True)
    logits = Peer(gguf, 1, exact=True).logits(ids).astype(np.float32)
    reference = {"input_ids": np.array(ids, dtype=np.int64), "logits": logits}
    save_file(reference, os.path.join(folder, "reference.safetensors"))


if __name__ == "__main__":
    main()
