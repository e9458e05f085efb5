"""The text the guide learns from: questions and answers about Russet, generated from facts/.

A question template is a small grammar: (a|b) chooses, [a] may be left out, $NAME is a macro,
@does(X) and @def(X) are lists of ways to ask what X does or means, %PLACE% and its like are drawn
from WORLD. Templates are expanded at random, then roughened (synonyms, dropped words, typos,
casing, politeness), because people ask in more ways than a list can hold.
The stream is endless and repeats exactly for a seed. No training question equals a held-out one.
"""

import json
import random
import re
import tomllib
from pathlib import Path

import sizes

HERE = Path(__file__).parent

MACROS = {
    "ISIT": "is",
    "R": "(Russet|russet|Russet|russet|Russet|this program|this tool|this|it|the program)",
    "CMDTO": "(how do i|how can i|how to|how would i|which command do i use to|what do i type to|what's the command to|what is the command to|i want to|is there a command to|what should i run to|with which command do i|command to|is there a way to|what lets me|can i)",
    "WHICHCHAT": "(which (slash command|command|chat command)|what command|what slash command|the command that)",
    "WHICH": "(which (command|subcommand|russet command)|what command|what subcommand|the command that|is there a command that|which part of russet|what)",
    "CRUN": "(`russet run`|the run command|`run`|russet run|the `run` subcommand|the command run)",
    "CSHOW": "(`russet show`|the show command|`show`|russet show|the `show` subcommand|the command show)",
    "CEXPLAIN": "(`russet explain`|the explain command|`explain`|russet explain|the `explain` subcommand|the command explain)",
    "CBENCH": "(`russet bench`|the bench command|`bench`|russet bench|the `bench` subcommand|the command bench)",
    "CPPL": "(`russet perplexity`|the perplexity command|russet perplexity|the `perplexity` subcommand|the command perplexity)",
    "CVERIFY": "(`russet verify`|the verify command|`verify`|russet verify|the `verify` subcommand|the command verify)",
    "CTOK": "(`russet tokenize`|the tokenize command|`tokenize`|russet tokenize|the `tokenize` subcommand|the command tokenize)",
    "CRENDER": "(`russet render`|the render command|`render`|russet render|the `render` subcommand|the command render)",
    "CDOC": "(`russet doctor`|the doctor command|`doctor`|russet doctor|the `doctor` subcommand|the command doctor)",
    "CCOMP": "(`russet completions`|the completions command|`completions`|russet completions|the `completions` subcommand)",
}
FUNCTIONS = {
    "does": "(what does # do|what is # for|what's # for|explain #|describe #|tell me about #|when (do|would|should) i use #|why would i use #|what is the (purpose|use|point|job) of #|what can i do with #|how does # work|#|what happens when i (use|run|type) #|help with #|what do i get from #|how do i use #|what is #|# what does it do|i want to know about #|what will # (tell|give|show) me)",
    "def": "(what (is|are) #|what's #|define #|what does # mean|explain #|what do you mean by #|# meaning|what is meant by #|tell me about #|describe #|#|what exactly is #|meaning of #|i don't understand #|can you explain #|in simple words what is #|what does the term # mean|could you define #)",
}
WORLD = {
    "PLACE": "France|Germany|Italy|Japan|Brazil|Paris|London|Rome|Berlin|New York|China|Egypt|Spain|Canada|Australia|Mars|the moon|India|Tokyo|Africa|Switzerland|Peru|Texas|Norway|Kenya|Madrid|Russia|Poland|the sun|Greece|Vienna|Mexico|Iceland|California".split("|"),
    "PERSON": "Einstein|Napoleon|Shakespeare|Mozart|Cleopatra|Newton|Darwin|Gandhi|Caesar|Picasso|Goethe|Marie Curie|Beethoven|Lincoln|Turing|the president|Plato|Galileo|Bach|Columbus|Dante|Elvis|Alan Turing|Isaac Newton|the pope|Obama|Taylor Swift|Elon Musk|Ada Lovelace".split("|"),
    "THING": "cat|dog|apple|potato|pizza|car|house|tree|elephant|bicycle|cake|piano|flower|rocket|ocean|cheese|bread|guitar|river|sky|sun|mountain|soup|banana|ship|table|bird|horse|clock|window|football|star|volcano|love|summer|autumn|winter|whale|lion|garden|coffee|tea|phone|chair|book|train|school|doctor's office|planet|robot|dragon|snow".split("|"),
    "NUM": [str(n) for n in list(range(0, 21)) + [25, 36, 42, 50, 77, 81, 99, 100, 123, 144, 256, 365, 1000]],
}
OPENERS = ["please ", "hey, ", "hi, ", "hello, ", "so ", "ok, ", "quick question: ", "question: ", "can you tell me: ", "tell me, ", "excuse me, ", "sorry, ", "i'm new here, ", "one more thing: ", "i was wondering, ", "and ", "well, ", "could you tell me ", "i would like to know ", "do you know ", "please tell me ", "i'd like to ask: ", "just curious, ", "for my notes: ", "uh ", "now, ", "can you tell me ", "also, ", "in russet, ", "with russet, ", "say, "]
CLOSERS = [" please", " thanks", ", please", " exactly", " again", " in short", " with russet", " in russet", " in this version", " here", " then", " really", " actually", " today", " for me", ", in one sentence", " and why", " at all", " now", " by the way"]
SYSTEMS = ["You are a helpful assistant.", "You are the guide that comes with Russet.", "Answer briefly.", "You answer questions about Russet.", "Be short and clear.", "You are Russet's guide. Answer in one or two sentences.", "Help the user with Russet."]
DROPPABLE = {"a", "an", "the", "do", "does", "is", "i", "of", "to", "please", "my", "for", "in", "it", "this", "there", "any", "with", "can"}


def load_facts():
    """Every fact of facts/, in file order."""
    files = sorted((HERE / "facts").glob("*.toml"))
    return [fact for file in files for fact in tomllib.loads(file.read_text())["fact"]]


def load_heldout():
    return [json.loads(line) for line in (HERE / "heldout.jsonl").read_text().splitlines() if line]


def normalized(question):
    """A question without case, punctuation and spacing: what 'the same question' means here."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", question.lower()).split())


class Grammar:
    """Expands templates at random."""

    def __init__(self, rng):
        self.rng = rng

    def expand(self, template):
        """One wording of a template."""
        text = re.sub(r"\$([A-Z]+)", lambda m: MACROS[m.group(1)], template)
        while (call := re.search(r"@(\w+)\(", text)) is not None:
            argument, rest = split_group(text, call.end() - 1)
            choice = FUNCTIONS[call.group(1)].replace("#", argument)
            text = text[: call.start()] + choice + rest
        text = self.choose(text)
        text = re.sub(r"%([A-Z]{2,})%", lambda m: self.rng.choice(WORLD[m.group(1)]), text)
        return " ".join(text.split())

    def choose(self, text):
        """Replaces innermost groups until none is left."""
        while (group := re.search(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]", text)) is not None:
            if group.group(2) is not None:
                pick = group.group(2) if self.rng.random() < 0.5 else ""
            else:
                pick = group.group(1)
            pick = self.rng.choice(pick.split("|"))
            text = text[: group.start()] + pick + text[group.end() :]
        return text


def split_group(text, open_at):
    """The inside of the bracket that opens at `open_at`, in brackets, and what follows it."""
    depth = 0
    for at in range(open_at, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return text[open_at : at + 1], text[at + 1 :]
    raise ValueError(f"unclosed bracket in {text!r}")


class Roughen:
    """Makes a clean question look like one that a person typed."""

    def __init__(self, rng):
        self.rng = rng
        groups = tomllib.loads((HERE / "synonyms.toml").read_text())["groups"]
        self.synonyms = {}
        for group in groups:
            for word in group:
                self.synonyms.setdefault(word, []).extend(w for w in group if w != word)
        longest_first = sorted(self.synonyms, key=len, reverse=True)
        # Names of commands stand: `russet show` is not `russet display`.
        self.pattern = re.compile(
            r"`[^`]*`|russet \w+|\b(?:" + "|".join(map(re.escape, longest_first)) + r")\b", re.I
        )

    def __call__(self, text):
        rng = self.rng
        strength = rng.choice([0.0, 0.1, 0.25, 0.4])
        text = self.pattern.sub(lambda m: self.substitute(m.group(0), strength), text)
        words = text.split()
        if len(words) > 3 and rng.random() < 0.3:
            words = [w for w in words if not (w in DROPPABLE and rng.random() < 0.4)]
        # A number is what the question is about: it is never the word that goes missing.
        plain = [i for i, word in enumerate(words) if not re.search(r"\d", word)]
        if len(words) > 4 and plain and rng.random() < 0.12:
            del words[rng.choice(plain)]
        text = " ".join(words)
        if rng.random() < 0.2:
            text = rng.choice(OPENERS) + text
        if rng.random() < 0.12:
            text += rng.choice(CLOSERS)
        if rng.random() < 0.12:
            text = self.typo(text)
        if rng.random() < 0.35:
            text = text.replace("`", "")
        return self.finish(text)

    def substitute(self, word, strength):
        others = self.synonyms.get(word.lower())
        if others is None or self.rng.random() >= strength:
            return word
        return self.rng.choice(others)

    def typo(self, text):
        """Swaps, drops or doubles one letter of a longer word."""
        words = text.split(" ")
        long = [i for i, w in enumerate(words) if len(w) > 4 and w.isalpha()]
        if not long:
            return text
        i = self.rng.choice(long)
        word, at = words[i], self.rng.randrange(1, len(words[i]) - 1)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[i] = self.rng.choice([swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]])
        return " ".join(words)

    def finish(self, text):
        """Casing and the mark at the end."""
        style = self.rng.random()
        if style < 0.6:
            text = re.sub(r"\bi\b", "I", text)
            text = text[:1].upper() + text[1:]
        elif style < 0.9:
            text = text.lower()
        elif style < 0.92:
            text = text.upper()
        return text + self.rng.choice(["?", "?", "?", "", "", ".", " ?", "??", "!"])


class Corpus:
    """An endless, seeded stream of conversations."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.grammar = Grammar(self.rng)
        self.roughen = Roughen(self.rng)
        self.facts = load_facts()
        self.weights = [fact.get("weight", 1) for fact in self.facts]
        self.heldout = {normalized(item["question"]) for item in load_heldout()}

    def pair(self):
        """One question with its answer."""
        while True:
            if self.rng.random() < 0.3:
                question, answer = sizes.example(self.rng, self.grammar.expand)
            else:
                fact = self.rng.choices(self.facts, self.weights)[0]
                question = self.grammar.expand(self.rng.choice(fact["questions"]))
                answer = self.rng.choice(fact["answers"])
            question = self.roughen(question)
            if question.strip(" ?.!") and normalized(question) not in self.heldout:
                return question, answer

    def conversation(self):
        """Messages as (role, text): mostly one turn, sometimes several or with a system message."""
        rng, messages = self.rng, []
        if rng.random() < 0.15:
            messages.append(("system", rng.choice(SYSTEMS)))
        turns = [self.pair() for _ in range(rng.choices([1, 2, 3, 5, 10], [86, 7, 4, 2.5, 0.5])[0])]
        if rng.random() < 0.03:
            turns = sizes.follow_up(rng, self.grammar.expand)
        for question, answer in turns:
            messages += [("user", question), ("assistant", answer)]
        return messages


if __name__ == "__main__":
    stream = Corpus(seed=0)
    for _ in range(40):
        for role, text in stream.conversation():
            print(f"{role}: {text}")
        print()
