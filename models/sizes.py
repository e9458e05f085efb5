"""Computed facts: what a model weighs, and what fits in how much memory.

Numbers come from two formulas, so they cannot disagree with each other:
gigabytes = billions of parameters x bits per weight / 8, and a model fits comfortably when its
weights take at most 60% of memory and leave 4 GB (on small machines 60%) to everything else.
"""

import random

# Bits per weight of whole files, as llama.cpp's table for an 8B llama gives them.
BITS = {
    "Q2_K": 3.16, "Q3_K_M": 4.0, "Q4_0": 4.66, "Q4_K_M": 4.89, "Q5_K_M": 5.7, "Q6_K": 6.56,
    "Q8_0": 8.5, "F16": 16.0,
}
SPOKEN = {"4-bit": "Q4_K_M", "4 bit": "Q4_K_M", "5 bits": "Q5_K_M", "8-bit": "Q8_0", "8 bit": "Q8_0",
          "6-bit": "Q6_K", "16 bit": "F16", "fp16": "F16", "half precision": "F16", "four bits": "Q4_K_M",
          "q4": "Q4_K_M", "q8": "Q8_0", "q6": "Q6_K", "q5": "Q5_K_M", "bf16": "F16", "4 bits": "Q4_K_M",
          "8 bits": "Q8_0", "eight bits": "Q8_0", "16 bits": "F16", "q3": "Q3_K_M"}
BILLIONS = [0.6, 1, 1.5, 1.7, 2, 3, 4, 7, 8, 9, 12, 13, 14, 20, 22, 24, 27, 30, 32, 34, 70, 72, 120, 123, 235,
            405, 671]
COMMON = [3, 4, 7, 8, 13, 14, 32, 70]

# What to say about a whole machine. Every gigabyte below is checked by `check_machines`.
MACHINES = {
    4: "In 4 GB a 1B to 2B model at Q4_K_M fits (about 1 GB); a 3B model (1.8 GB) is tight.",
    6: "In 6 GB a 1B to 3B model at Q4_K_M fits (up to 1.8 GB); a 4B model (2.4 GB) is tight.",
    8: "In 8 GB a 3B or 4B model at Q4_K_M (about 2.4 GB) fits comfortably; a 7B or 8B model (4.3 to 4.9 GB) is tight.",
    12: "In 12 GB a 7B or 8B model at Q4_K_M (4.3 to 4.9 GB) fits comfortably; a 13B or 14B model (7.9 to 8.6 GB) is tight.",
    16: "In 16 GB a 7B or 8B model at Q4_K_M (about 5 GB) fits with room to spare; a 13B or 14B model at Q4_K_M (about 8.6 GB) is the largest that fits comfortably.",
    18: "In 18 GB a 7B or 8B model fits even at Q8_0 (8.5 GB); a 14B model at Q4_K_M (8.6 GB) fits too.",
    24: "In 24 GB a 14B model at Q4_K_M (8.6 GB) up to Q6_K (11 GB) fits comfortably; a 22B to 24B model at Q4_K_M (13 to 15 GB) is the upper end and tight.",
    32: "In 32 GB a 14B to 24B model at Q4_K_M (8.6 to 15 GB) fits comfortably; a 27B to 32B model at Q4_K_M (17 to 20 GB) is the upper end and tight.",
    36: "In 36 GB a 24B to 32B model at Q4_K_M (15 to 20 GB) fits; a 70B model (43 GB) does not.",
    48: "In 48 GB a 32B model at Q4_K_M (20 GB) up to Q6_K (26 GB) fits comfortably; a 70B model at Q4_K_M (43 GB) is too tight.",
    64: "In 64 GB a 32B model fits even at Q8_0 (34 GB); a 70B model at Q4_K_M (43 GB) fits but is tight.",
    96: "In 96 GB a 70B model at Q4_K_M (43 GB) or Q5_K_M (50 GB) fits comfortably; Q6_K (57 GB) is the upper end.",
    128: "In 128 GB a 70B model at Q8_0 (74 GB) or a 120B model at Q4_K_M (73 GB) fits comfortably.",
    192: "In 192 GB a 70B model at Q8_0 (74 GB) or a 123B model at Q6_K (101 GB) fits comfortably; a 235B model at Q4_K_M (144 GB) is tight.",
    256: "In 256 GB a 235B model at Q4_K_M (144 GB) fits comfortably; a 405B model at Q4_K_M (248 GB) does not.",
    512: "In 512 GB a 405B model at Q4_K_M (248 GB) fits comfortably; a 671B model at Q4_K_M (410 GB) is tight.",
}
WORDS = {4: "four", 6: "six", 8: "eight", 12: "twelve", 16: "sixteen", 18: "eighteen", 24: "twenty-four",
         32: "thirty-two", 48: "forty-eight", 64: "sixty-four", 96: "ninety-six"}

MACHINE_QUESTIONS = [
    "(what|which model|which models|what models|what size of model|how big a model|what llm|how large a model|how many parameters|which size) (fits|fit|can i run|will run|runs|can i use|works|can i load|goes|is possible) (in|on|with|into) %M",
    "(what|which model|how big a model) (fits|can i run|will fit) (in|on|with) a (mac|machine|laptop|computer|pc|macbook) with %M",
    "i have %M [of (ram|memory)] (what|which model|which models|what size) (can i run|fits|should i use|do you recommend|will run)",
    "my (machine|mac|laptop|computer|pc|macbook) has %M [of (ram|memory)] (what|which model) (can i run|fits|should i run|should i choose|runs)", "what is the (biggest|largest|best) model (for|in|on|with|i can run (in|on|with)) %M",
    "(is|are) %M enough [for a model]", "what can i do with %M [of (ram|memory)]", "recommend a model for %M", "with %M (what|which model) (fits|can i run)", "%M", "%M of (ram|memory)", "models for %M", "how (large|big) (can|may) a model be (in|with|on) %M",
    "what fits in %M", "what fits into %M", "which models run on %M", "i only have %M", "what do you suggest for a (mac|machine|laptop) with %M", "what about %M", "(biggest|largest|best) model for %M",
]
SIZE_QUESTIONS = [
    "how (big|large|heavy) is (a|an) %P model at %Q", "how much (memory|ram|space|disk space|disk) does (a|an) %P [model] (need|take|use|occupy|require) (at|in|with|as) %Q", "how many (gb|gigabytes) (is|does) (a|an) %P model (take |need |use |)(at|in|with) %Q",
    "size of (a|an) %P model at %Q", "%P %Q", "%P at %Q", "%P %Q size", "memory for %P %Q", "what does (a|an) %P %Q model weigh", "what is the size of (a|an) %P [model] (at|in|with) %Q", "how (big|large) is %P (in|at) %Q", "how many gigabytes for %P at %Q", "(gb|memory|ram) needed for (a|an) %P model (at|in|with) %Q",
]
PLAIN_SIZE_QUESTIONS = [
    "how (big|large|heavy) is (a|an) %P model", "how much (memory|ram|space|disk space) does (a|an) %P [model] (need|take|use|require|occupy|want)", "how many (gb|gigabytes) does (a|an) %P model (need|take|use)", "what does (a|an) %P model need", "how much (memory|ram) do i need for (a|an) %P [model]",
    "size of (a|an) %P model", "%P", "%P model", "memory for [a] %P", "can i run (a|an) %P model", "what (machine|hardware) (do i need|is needed) (for|to run) (a|an) %P [model]", "what do i need to run (a|an) %P [model]", "requirements (of|for) (a|an) %P model", "(gb|memory|ram) needed for (a|an) %P model", "what (does|would) it take to run (a|an) %P model",
]
FIT_QUESTIONS = [
    "(does|will|can|would) (a|an) %P [model] (fit|run|work) (in|on|with|into) %M", "can i (run|use|load) (a|an) %P [model] (on|in|with) %M", "is %M enough for (a|an) %P [model]", "(a|an) %P [model] (in|on) %M", "i have %M can i run (a|an) %P [model]", "%P on %M", "do (i need more than|) %M suffice for %P", "my (mac|laptop|machine) has %M does (a|an) %P [model] fit", "is (a|an) %P model too (big|large) for %M", "will %M do for (a|an) %P [model]", "would %P run on %M",
]
FIT_AT_QUESTIONS = [
    "(does|will|can) (a|an) %P [model] (at|in) %Q (fit|run) (in|on|with|into) %M", "can i (run|use|load) (a|an) %P [model] (at|in) %Q (on|in|with) %M", "is %M enough for (a|an) %P [model] (at|in) %Q", "%P %Q (in|on) %M", "does %P %Q fit in %M",
]
BITS_QUESTIONS = [
    "how many bits (per weight|per parameter|a weight|) (does %Q (use|have|take|need)|has %Q|is %Q)", "bits per weight of %Q", "bits per weight %Q", "%Q bits per weight", "what is the (bits per weight|bpw) of %Q", "how many bits is %Q", "(what is|what's|explain|tell me about|what does|define) %Q [mean]", "%Q", "how (exact|precise|big|good) is %Q",
]
BITS_NOTES = {
    "Q2_K": "the smallest K-quant, with a clear loss of quality", "Q3_K_M": "small, with a noticeable loss of quality",
    "Q4_0": "an older 4-bit format, simple and fast", "Q4_K_M": "the usual choice, with little loss of quality",
    "Q5_K_M": "a little better than Q4_K_M", "Q6_K": "nearly lossless", "Q8_0": "practically the original's quality",
    "F16": "half precision, not quantized",
}


def gigabytes(billions, quant="Q4_K_M"):
    """Decimal gigabytes of the weights."""
    return billions * BITS[quant] / 8


def written(size):
    """A size as the guide says it: one decimal under 10 GB, none above."""
    return f"{size:.1f} GB" if size < 9.95 else f"{size:.0f} GB"


def article(billions):
    return "An" if billions == 8 else "A"


def verdict(size, memory):
    """How weights of `size` GB sit in `memory` GB."""
    if size <= min(0.6 * memory, max(memory - 4, 0.4 * memory)):
        return "fits"
    return "tight" if size <= min(0.805 * memory, memory - 2) else "no"


def machine(memory):
    return MACHINES[memory]


def size(billions, quant):
    """The answer about one model at one quantization."""
    gb = written(gigabytes(billions, quant))
    return f"{article(billions)} {billions}B model at {quant} takes about {gb}: {billions} billion parameters x {BITS[quant]:g} bits / 8."


def plain_size(billions):
    """The answer about a model whose quantization was not named."""
    q4, q8, f16 = (written(gigabytes(billions, q)) for q in ("Q4_K_M", "Q8_0", "F16"))
    enough = next((m for m in MACHINES if verdict(gigabytes(billions), m) == "fits"), None)
    tail = f"A machine with {enough} GB of memory is comfortable at Q4_K_M." if enough else "That is more than one machine holds comfortably."
    return f"{article(billions)} {billions}B model takes about {q4} at Q4_K_M, {q8} at Q8_0 and {f16} at F16. {tail}"


def fit(billions, quant, memory):
    """Does it fit? Yes, tight, or no."""
    gb = gigabytes(billions, quant)
    what = f"{article(billions).lower()} {billions}B model at {quant} takes about {written(gb)}"
    match verdict(gb, memory):
        case "fits":
            return f"Yes, {what}, which fits comfortably in {memory} GB."
        case "tight":
            return f"It is tight: {what} of {memory} GB. Close other programs and keep the context short."
        case _:
            return f"No, {what}, too much for {memory} GB. Take a smaller model or fewer bits."


def bits(quant):
    return f"{quant} takes {BITS[quant]:g} bits per weight: {BITS_NOTES[quant]}."


def spoken_memory(rng, memory):
    forms = [f"{memory} GB", f"{memory}GB", f"{memory} gb", f"{memory}gb", f"{memory} gigabytes", f"{memory} gigs",
             f"{memory} GB of memory", f"{memory} GB of RAM", f"{memory} GB RAM", f"{memory}GB ram", f"{memory}G", f"{memory} gb memory"]
    if memory in WORDS:
        forms += [f"{WORDS[memory]} gigabytes", f"{WORDS[memory]} GB"]
    return rng.choice(forms)


def spoken_model(rng, billions):
    return rng.choice([f"{billions}B", f"{billions}b", f"{billions}B", f"{billions} billion", f"{billions} billion parameter", f"{billions}-billion-parameter", f"{billions} B"])


def spoken_quant(rng, quant):
    names = [quant, quant.lower(), quant.lower().replace("_", " ")] + [k for k, v in SPOKEN.items() if v == quant]
    return rng.choice(names)


def example(rng: random.Random, expand):
    """One question with its answer; `expand` turns a template into a wording."""
    kind = rng.choices(["machine", "size", "plain", "fit", "fit_at", "bits"], [7, 4, 4, 5, 2, 2])[0]
    memory = rng.choice(list(MACHINES))
    billions = rng.choice(BILLIONS + COMMON)
    quant = rng.choice(list(BITS) + ["Q4_K_M", "Q4_K_M", "Q8_0"])
    if kind == "fit_at":
        billions, quant = rng.choice(COMMON), rng.choice(["Q4_K_M", "Q8_0", "F16", "Q6_K"])
        memory = rng.choice([8, 16, 24, 32, 48, 64, 96, 128])
    templates, answer = {
        "machine": (MACHINE_QUESTIONS, machine(memory)),
        "size": (SIZE_QUESTIONS, size(billions, quant)),
        "plain": (PLAIN_SIZE_QUESTIONS, plain_size(billions)),
        "fit": (FIT_QUESTIONS, fit(billions, "Q4_K_M", memory)),
        "fit_at": (FIT_AT_QUESTIONS, fit(billions, quant, memory)),
        "bits": (BITS_QUESTIONS, bits(quant)),
    }[kind]
    text = expand(rng.choice(templates))
    text = text.replace("%M", spoken_memory(rng, memory)).replace("%P", spoken_model(rng, billions))
    return text.replace("%Q", spoken_quant(rng, quant)), answer


def follow_up(rng: random.Random, expand):
    """Two turns, the second of which only makes sense after the first."""
    first, second = rng.sample(list(MACHINES), 2)
    opening = expand(rng.choice(MACHINE_QUESTIONS)).replace("%M", spoken_memory(rng, first))
    more = expand("(and|and in|and with|what about|how about|and what about) %M").replace("%M", spoken_memory(rng, second))
    if rng.random() < 0.5:
        return [(opening, machine(first)), (more, machine(second))]
    billions = rng.choice(COMMON + [24, 27])
    before, after = rng.sample(["Q4_K_M", "Q8_0", "Q6_K", "F16", "Q5_K_M"], 2)
    opening = expand(rng.choice(SIZE_QUESTIONS)).replace("%P", spoken_model(rng, billions)).replace("%Q", spoken_quant(rng, before))
    more = expand("(and|and at|and in|what about|how about|and with) %Q").replace("%Q", spoken_quant(rng, after))
    return [(opening, size(billions, before)), (more, size(billions, after))]


def check_machines():
    """The hand-written answers about machines say what the formulas say."""
    for memory, tight in [(4, 3), (6, 4), (8, 7), (8, 8), (12, 14), (32, 32), (64, 70), (192, 235), (512, 671)]:
        assert verdict(gigabytes(tight), memory) == "tight", (memory, tight)
    for memory, fits in [(4, 2), (6, 3), (8, 4), (12, 8), (16, 14), (24, 14), (32, 24), (36, 32), (48, 32), (96, 70), (128, 120), (256, 235), (512, 405)]:
        assert verdict(gigabytes(fits), memory) == "fits", (memory, fits)
    for memory, quant, billions in [(18, "Q8_0", 8), (48, "Q6_K", 32), (64, "Q8_0", 32), (96, "Q6_K", 70), (128, "Q8_0", 70), (192, "Q6_K", 123)]:
        assert verdict(gigabytes(billions, quant), memory) == "fits", (memory, quant, billions)
    for memory, too_big in [(36, 70), (48, 70), (256, 405)]:
        assert verdict(gigabytes(too_big), memory) == "no", (memory, too_big)


check_machines()
