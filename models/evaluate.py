"""Asks the held-out questions and counts the answers that contain the stated fact.

Reads the shipped GGUF back (dequantized, so the score is that of the file), or asks a program:
`--command russet` runs `russet run MODEL QUESTION --temp 0` for each question, and
`--llama-cpp` asks llama-cpp-python, an independent reader of the file.
"""

import argparse
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=Path, default=HERE / "russet-guide.gguf")
    p.add_argument("--questions", type=Path, default=HERE / "heldout.jsonl")
    p.add_argument("--command", help="a russet binary to ask instead of PyTorch")
    p.add_argument("--llama-cpp", action="store_true")
    p.add_argument("--all", action="store_true", help="print the right answers too")
    p.add_argument("--answers", type=Path, help="write every answer to this file, to compare readers")
    args = p.parse_args()
    ask = asker(args)
    items = [json.loads(line) for line in args.questions.read_text().splitlines() if line]
    answers, right = [], 0
    for item in items:
        answer = ask(item["question"]).strip()
        answers.append(answer)
        good = any(fact.lower() in answer.lower() for fact in item["accept"])
        right += good
        if args.all or not good:
            print(f"{'right' if good else 'MISS '} {item['question']}\n      {answer}\n")
    if args.answers:
        args.answers.write_text("\n".join(answers) + "\n")
    print(f"{right} of {len(items)} answers contain the fact ({100 * right / len(items):.0f}%)")


def asker(args):
    """A function from question to answer."""
    if args.command:
        return lambda question: subprocess.run(
            [args.command, "run", str(args.model), question, "--temp", "0"],
            capture_output=True, text=True, check=True,
        ).stdout
    if args.llama_cpp:
        llm = plain_llama_cpp(args.model)

        def ask(question):
            messages = [{"role": "user", "content": question}]
            reply = llm.create_chat_completion(messages, temperature=0.0, max_tokens=200)
            return reply["choices"][0]["message"]["content"]

        return ask
    return TorchGuide(args.model).ask


def plain_llama_cpp(path):
    """llama.cpp without repacked weights: its plainest kernels are the ones to compare with."""
    import llama_cpp

    defaults = llama_cpp.llama_cpp.llama_model_default_params

    def without_repacking():
        params = defaults()
        params.use_extra_bufts = False
        return params

    llama_cpp.llama_cpp.llama_model_default_params = without_repacking
    return llama_cpp.Llama(str(path), n_ctx=1024, n_threads=2, verbose=False)


class TorchGuide:
    """The GGUF file, dequantized into the network it was trained as."""

    def __init__(self, path):
        import gguf
        import torch
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        import vocabulary
        from network import Guide, Shape

        self.torch, self.vocabulary = torch, vocabulary
        reader = gguf.GGUFReader(path)

        def field(name):
            return reader.get_field(name).contents()

        arch = field("general.architecture")
        shape = Shape(
            vocab=field(f"{arch}.vocab_size"), dim=field(f"{arch}.embedding_length"),
            ffn=field(f"{arch}.feed_forward_length"), layers=field(f"{arch}.block_count"),
            heads=field(f"{arch}.attention.head_count"), kv_heads=field(f"{arch}.attention.head_count_kv"),
            head_dim=field(f"{arch}.attention.key_length"), context=field(f"{arch}.context_length"),
            rope_theta=field(f"{arch}.rope.freq_base"), norm_eps=field(f"{arch}.attention.layer_norm_rms_epsilon"),
        )
        tokens = field("tokenizer.ggml.tokens")
        merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
        self.tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
        self.tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.tokenizer.decoder = decoders.ByteLevel()
        self.guide = Guide(shape).eval()
        self.guide.load_state_dict({
            t.name: torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy())
            for t in reader.tensors
        })

    def ask(self, question):
        return self.reply([("user", question)])

    def reply(self, messages, limit=200):
        """The greedy answer to a conversation."""
        ids = self.vocabulary.prompt(self.tokenizer, messages)
        start = len(ids)
        with self.torch.no_grad():
            while len(ids) < start + limit:
                hidden = self.guide(self.torch.tensor([ids]))[:, -1]
                best = int(self.guide.head(hidden).argmax())
                if best == self.vocabulary.END:
                    break
                ids.append(best)
        return self.tokenizer.decode(ids[start:])


if __name__ == "__main__":
    main()
