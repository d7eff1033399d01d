"""Trains and applies a byte-level BPE tokenizer, and writes it as Hugging Face's tokenizer.json.

The text of the training is ASCII, so the pattern for words below splits it as GPT-2's pattern does. Any other text is
encoded by the worker, from tokenizer.json.
"""
import collections
import json
import re

WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def byte_characters():
    """Returns GPT-2's printable character of each byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


class Tokenizer:
    def __init__(self, special, merges):
        self.special, self.merges = special, merges
        self.characters = byte_characters()
        pieces = special + [self.characters[b] for b in range(256)] + [a + b for a, b in merges]
        self.ids = {piece: i for i, piece in enumerate(pieces)}
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        self.known = {}
        self.split = re.compile("(" + "|".join(map(re.escape, special)) + ")")

    @classmethod
    def train(cls, texts, special, vocabulary):
        """Joins the most frequent pair of pieces until the vocabulary is full or no pair occurs twice."""
        characters = byte_characters()
        counts = collections.Counter(w for text in texts for w in WORDS.findall(text))
        words = [([characters[b] for b in w.encode()], n) for w, n in sorted(counts.items())]
        merges = []
        while len(merges) < vocabulary - 256 - len(special):
            pairs = collections.Counter()
            for pieces, n in words:
                for pair in zip(pieces, pieces[1:]):
                    pairs[pair] += n
            if not pairs:
                break
            best = min(pairs, key=lambda p: (-pairs[p], p))
            if pairs[best] < 2:
                break
            merges.append(best)
            words = [(join(pieces, best), n) for pieces, n in words]
        return cls(special, merges)

    def encode(self, text):
        """Returns the tokens of a text. The names of special tokens in it become these tokens."""
        tokens = []
        for part in self.split.split(text):
            if part in self.special:
                tokens.append(self.ids[part])
            else:
                for word in WORDS.findall(part):
                    if word not in self.known:
                        self.known[word] = self.word(word)
                    tokens += self.known[word]
        return tokens

    def word(self, word):
        pieces = [self.characters[b] for b in word.encode()]
        while len(pieces) > 1:
            pair = min(zip(pieces, pieces[1:]), key=lambda p: self.ranks.get(p, len(self.ranks)))
            if pair not in self.ranks:
                break
            pieces = join(pieces, pair)
        return [self.ids[p] for p in pieces]

    def decode(self, tokens):
        pieces, bytes_of = list(self.ids), {c: b for b, c in self.characters.items()}
        return b"".join(pieces[t].encode() if pieces[t] in self.special else bytes(bytes_of[c] for c in pieces[t])
                        for t in tokens).decode(errors="replace")

    def save(self, path):
        """Writes tokenizer.json. Its first special token begins each text that is not a conversation."""
        first = self.special[0]
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        added = [{"id": self.ids[s], "content": s, "single_word": False, "lstrip": False, "rstrip": False,
                  "normalized": False, "special": True} for s in self.special]
        begin = {"SpecialToken": {"id": first, "type_id": 0}}
        document = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": level,
            "post_processor": {
                "type": "TemplateProcessing", "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {first: {"id": first, "ids": [self.ids[first]], "tokens": [first]}}},
            "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": self.ids,
                      "merges": [f"{a} {b}" for a, b in self.merges]}}
        path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


def join(pieces, pair):
    joined, i = [], 0
    while i < len(pieces):
        if i + 1 < len(pieces) and (pieces[i], pieces[i + 1]) == pair:
            joined.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            joined.append(pieces[i])
            i += 1
    return joined
