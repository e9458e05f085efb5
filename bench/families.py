#!/usr/bin/env python3
"""How far quantized models of every family are from their f32 form, by Russet and by llama.cpp.

    families.py LLAMA.CPP [FAMILY ...] [--tokens 4096] [--out DIR]

LLAMA.CPP is a folder of llama.cpp's sources, whose converter and quantizer make the files. Of each
family transformers makes a random model 256 wide. Its f32 GGUF file is first compared with
transformers' logits, by `russet verify` and by llama.cpp's KL divergence; then each engine compares
its Q4_K_M and Q8_0 with its own run of the f32 file, as quality.py does. Of experts, a few choices
that rounding turns weigh most: there the ratio settles with many tokens.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 128,
        "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 128}
PLAIN = {"rope_type": "default", "rope_theta": 1e6}
LATENT = {"head_dim": None, "num_key_value_heads": 4, "kv_lora_rank": 256, "q_lora_rank": 256,
          "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "n_routed_experts": 8,
          "moe_intermediate_size": 256, "num_experts_per_tok": 2, "n_shared_experts": 1,
          "first_k_dense_replace": 1}
DELTA = {"num_hidden_layers": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
         "linear_key_head_dim": 64, "linear_value_head_dim": 64}
EXPERTS = {"num_local_experts": 8, "num_experts_per_tok": 2}
SMALL = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 256}
SHARED = dict(SMALL, shared_expert_intermediate_size=256)
THIRD = {"rope_parameters": dict(PLAIN, partial_rotary_factor=0.5, mrope_interleaved=True,
                                 mrope_section=[8, 4, 4])}
SCALES = {"embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5,
          "logits_scaling": 2.0}
GEMMA4 = {"num_hidden_layers": 6, "sliding_window": 64, "final_logit_softcapping": 20.0,
          "global_head_dim": 128, "vocab_size_per_layer_input": 512,
          "layer_types": ["sliding_attention"] * 2 + ["full_attention"]
          + ["sliding_attention"] * 2 + ["full_attention"]}

LLAMA_ONLY = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
              "num_key_value_heads", "head_dim", "max_position_embeddings"]

# What a family's configuration has otherwise than COMMON, by its model type.
FAMILIES = {
    "llama": ("llama", {"rope_parameters": LLAMA3}),
    "mistral": ("mistral", {"sliding_window": None}),
    "ministral3": ("ministral3", {
        "rope_parameters": dict(YARN, rope_theta=1e6, llama_4_scaling_beta=0.1)}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {}),
    "phi3": ("phi3", {"head_dim": None}),
    "gemma2": ("gemma2", {"sliding_window": 64, "query_pre_attn_scalar": 64}),
    "gemma3": ("gemma3_text", {"sliding_window": 64, "query_pre_attn_scalar": 64,
                               "num_hidden_layers": 7}),
    "cohere": ("cohere", {"head_dim": None, "logit_scale": 1.0}),
    "cohere2": ("cohere2", {"sliding_window": 64, "num_hidden_layers": 4, "logit_scale": 1.0,
                            "rotary_pct": 1.0}),
    "gpt2": ("gpt2", dict(dict.fromkeys(LLAMA_ONLY), n_embd=256, n_layer=3, n_head=4,
                          n_positions=1024, n_ctx=1024)),
    "olmo2": ("olmo2", {"head_dim": None}),
    "smollm3": ("smollm3", {"num_hidden_layers": 4, "head_dim": None}),
    "granite": ("granite", dict(SCALES, head_dim=None)),
    "mixtral": ("mixtral", EXPERTS),
    "qwen2_moe": ("qwen2_moe", SHARED),
    "qwen3_moe": ("qwen3_moe", dict(SMALL, norm_topk_prob=True)),
    "gpt_oss": ("gpt_oss", dict(EXPERTS, sliding_window=64, num_hidden_layers=4,
                                rope_parameters=PLAIN)),
    "deepseek_v2": ("deepseek_v2", LATENT),
    "deepseek_v3": ("deepseek_v3", dict(LATENT, n_group=4, topk_group=2, scoring_func="sigmoid",
                                        rope_parameters=dict(YARN, rope_theta=1e4))),
    "qwen3_next": ("qwen3_next", dict(DELTA, **SHARED)),
    "qwen3_5": ("qwen3_5_text", dict(DELTA, **THIRD)),
    "qwen3_5_moe": ("qwen3_5_moe_text", dict(DELTA, **SHARED, **THIRD)),
    "minimax_m2": ("minimax_m2", dict(EXPERTS, rotary_dim=32, scoring_func="sigmoid")),
    "glm4_moe": ("glm4_moe", {"n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 1,
                              "topk_group": 1, "moe_intermediate_size": 256,
                              "use_qk_norm": True}),
    "llama4": ("llama4_text", dict(EXPERTS, num_hidden_layers=4, intermediate_size_mlp=512,
                                   num_experts_per_tok=1, interleave_moe_layer_step=2,
                                   rope_parameters=dict(PLAIN))),
    "gemma4": ("gemma4_text", dict(GEMMA4, hidden_size_per_layer_input=64,
                                   num_kv_shared_layers=3)),
    "gemma4_moe": ("gemma4_text", dict(GEMMA4, hidden_size_per_layer_input=0,
                                       num_kv_shared_layers=0, enable_moe_block=True,
                                       num_experts=8, top_k_experts=2,
                                       moe_intermediate_size=256)),
}
# Parts of the names of parameters that multiply.
GAINS = ("norm", ".ln_", "router.scale", "per_expert_scale")
COMMON = {"vocab_size": 512, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3,
          "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
          "max_position_embeddings": 1024, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def spread(model):
    """Random weights, large enough that attention is peaked and no bias, norm or router is idle."""
    import torch
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "A_log" in name or "dt_bias" in name:
                p.uniform_(-1, 1)
            elif any(part in name for part in GAINS):
                p.add_(torch.randn_like(p) * 0.2)
            else:
                p.normal_(0, 0.25 if p.dim() < 2 else 1.6 / p.shape[-1] ** 0.5)
        for name, b in model.named_buffers():
            if "e_score" in name:
                b.normal_(0, 0.3)


def make(kind, config, folder, count=192, greedy=0):
    """A model of that kind, and what transformers makes of some ids and adds to them."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging
    logging.disable_progress_bar()
    torch.manual_seed(1)
    config = {key: value for key, value in dict(COMMON, **config).items() if value is not None
              or key not in COMMON}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config))
    spread(model)
    # Rounded, then read back: tables beside the weights stay exact.
    model.to(torch.bfloat16).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.randint(3, config["vocab_size"], (1, count))
    with torch.no_grad():
        logits = model(ids).logits[0].float().contiguous()
    reference = {"input_ids": ids[0].contiguous(), "logits": logits}
    if greedy:
        more = model.generate(ids, max_new_tokens=greedy, do_sample=False, eos_token_id=None)
        reference["greedy"] = more[0, count:].contiguous()
    save_file(reference, os.path.join(folder, "reference.safetensors"))
    return ids[0].tolist(), logits.double().numpy()


def verify(russet, model, folder, threads, tolerance=2e-3):
    """Whether Russet's numbers are those of the folder's reference, and what it says."""
    command = [russet, "verify", model, "--reference", f"{folder}/reference.safetensors"]
    command += ["-t", str(threads), "--tolerance", str(tolerance)]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.returncode == 0, (run.stdout + run.stderr).strip()


def convert(folder, target):
    """llama.cpp's converter, without a vocabulary."""
    import logging
    import pathlib
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    logging.disable(logging.WARNING)
    folder = pathlib.Path(folder)
    config = ModelBase.load_hparams(folder, False)
    family = get_model_class(get_model_architecture(config, ModelType.TEXT))
    family.no_mtp = family.supports_mtp_export
    # Gemma's converters count the tokens here.
    vocabulary = {f"<{i}>": i for i in range(config["vocab_size"])}
    with open(folder / "tokenizer.json", "w") as file:
        json.dump({"model": {"vocab": vocabulary}, "added_tokens": []}, file)

    def no_vocabulary(self):
        self._set_vocab_none()
        if not any(key.endswith(".vocab_size") for key in self.gguf_writer.kv_data[0]):
            self.gguf_writer.add_vocab_size(config["vocab_size"])

    with torch.inference_mode():
        model = family(folder, gguf.LlamaFileType.ALL_F32, pathlib.Path(target))
        type(getattr(model, "impl", model)).set_vocab = no_vocabulary
        model.write()
    os.remove(folder / "tokenizer.json")


def one(name, o):
    """The row of a family."""
    # The converter needs its own version of gguf.
    sys.path[:0] = [HERE, o.sources, os.path.join(o.sources, "gguf-py")]
    import numpy as np
    from peer import Peer
    from quality import llama, log_softmax, russet
    from quantize import quantize
    folder = os.path.join(o.out, name)
    base = os.path.join(folder, "F32.gguf")
    os.makedirs(folder, exist_ok=True)
    ids, logits = make(*FAMILIES[name], folder)
    convert(folder, base)
    exact = Peer(base, o.threads, exact=True)
    p, q = log_softmax(logits), log_softmax(exact.logits(ids))
    row = f"{name:12} {(np.exp(p) * (p - q)).sum(axis=1).mean():9.1e}"
    for model in (folder, base):
        holds, said = verify(o.russet, model, folder, o.threads)
        row += f" {'ok' if holds else 'no':>5}"
        if not holds:
            print(said, file=sys.stderr)
    draw = random.Random(7)
    tokens = [draw.randrange(3, logits.shape[1]) for _ in range(o.tokens)]
    for kind in ("Q4_K_M", "Q8_0"):
        model = os.path.join(folder, f"{kind}.gguf")
        quantize(base, model, kind)
        theirs = llama(base, model, tokens, o.context, o.threads, False)
        ours = russet(o.russet, base, model, tokens, o.context, o.threads)["mean KL"]
        row += f" {ours:10.6f} {theirs:10.6f} {ours / theirs:6.3f}"
    print(row, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources")
    parser.add_argument("families", nargs="*", choices=[[], *FAMILIES])
    parser.add_argument("--out", help="a folder in which the models are kept")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--russet", default=os.path.join(HERE, "../target/release/russet"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.one:
        return one(o.families[0], o)
    print(f"{'':12} {'llama.cpp':>9} {'verify':>11} {'Q4_K_M':>10} {'':17} {'Q8_0':>10}\n"
          f"{'family':12} {'f32 KL':>9} {'files':>5} {'gguf':>5}"
          + f" {'russet':>10} {'llama.cpp':>10} {'ratio':>6}" * 2, flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in o.families or FAMILIES:
            # In a process of its own: llama.cpp ends the process on what it cannot run.
            command = [sys.executable, __file__, o.sources, name, "--one", "--out",
                       o.out or temporary, "--tokens", str(o.tokens), "--context", str(o.context),
                       "--threads", str(o.threads), "--russet", o.russet]
            run = subprocess.run(command, capture_output=True, text=True)
            lines = (run.stderr if run.returncode else "").strip().splitlines()
            print(run.stdout.rstrip() or f"{name:12} {lines[-1] if lines else run.returncode}",
                  flush=True)


if __name__ == "__main__":
    main()
