"""Writes the trained guide as GGUF: Q8_0 matrices, f32 norms, tokenizer, template and card data."""

import argparse
import json
from pathlib import Path

import gguf
import torch

import vocabulary

HERE = Path(__file__).parent
DESCRIPTION = "A tiny model that comes with Russet and answers questions about Russet only."


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", type=Path, default=HERE / "build")
    p.add_argument("--out", type=Path, default=HERE / "russet-guide.gguf")
    args = p.parse_args()
    shape = json.loads((args.build / "shape.json").read_text())
    weights = torch.load(args.build / "guide.pt", weights_only=True)
    part = args.out.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "qwen3")
    write_card(writer, sum(p.numel() for p in weights.values()))
    write_shape(writer, shape)
    write_tokenizer(writer, args.build / "tokenizer.json")
    for name, weight in weights.items():
        write_tensor(writer, name, weight.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(args.out)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


def write_card(writer, parameters):
    writer.add_name("Russet Guide")
    writer.add_type("model")
    writer.add_basename("russet-guide")
    writer.add_size_label(f"{parameters / 1e6:.0f}M")
    writer.add_author("The Russet project")
    writer.add_license("MIT OR Apache-2.0")
    writer.add_description(DESCRIPTION)
    writer.add_languages(["en"])
    # Facts are best told the same way each time: greedy.
    writer.add_sampling_temp(0.0)
    writer.add_sampling_penalty_repeat(1.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def write_shape(writer, shape):
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["dim"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["ffn"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_key_length(shape["head_dim"])
    writer.add_value_length(shape["head_dim"])
    writer.add_rope_freq_base(shape["rope_theta"])
    writer.add_layer_norm_rms_eps(shape["norm_eps"])
    writer.add_vocab_size(shape["vocab"])


def write_tokenizer(writer, path):
    entries = vocabulary.load(path).get_vocab()
    tokens = sorted(entries, key=entries.get)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if t in vocabulary.SPECIAL else normal for t in tokens])
    writer.add_token_merges(vocabulary.merges(path))
    writer.add_bos_token_id(vocabulary.END_OF_TEXT)
    writer.add_eos_token_id(vocabulary.END)
    writer.add_pad_token_id(vocabulary.END_OF_TEXT)
    writer.add_add_bos_token(False)
    writer.add_chat_template(vocabulary.TEMPLATE)


def write_tensor(writer, name, weight):
    """Matrices as Q8_0, norms as f32."""
    stem = name.removesuffix(".weight")
    kind = gguf.GGMLQuantizationType.Q8_0 if weight.ndim == 2 else gguf.GGMLQuantizationType.F32
    writer.add_tensor(f"{stem}.weight", gguf.quants.quantize(weight, kind), raw_dtype=kind)


if __name__ == "__main__":
    main()
