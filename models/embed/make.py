#!/usr/bin/python3
"""Creates embed/1/model.onnx: sentences to vectors, with a dynamic second dimension (the length in bytes).

A sentence and its copy with typing errors and lost words get similar vectors; other sentences get distant vectors
(contrastive training, InfoNCE). Requires Debian's python3-torch, python3-onnx and libopenblas0-pthread.
Run: /usr/bin/python3 models/embed/make.py
"""
import pathlib
import random
import sys

import onnx
import torch
from onnx import helper
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from stories import stories  # noqa: E402

WIDTH, OUT, STEPS, BATCH, SEED, TEMPERATURE = 64, 64, 700, 96, 5, 0.07
CANDIDATES, HELD_OUT_SEED = 1000, 20_000_000


class Encoder(nn.Module):
    """Bytes, two convolutions, masked mean, projection to the unit sphere. Byte 0 is padding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 32)
        self.first = nn.Conv1d(32, WIDTH, 5, padding=2)
        self.second = nn.Conv1d(WIDTH, 2 * WIDTH, 5, padding=4, dilation=2)
        self.project = nn.Linear(2 * WIDTH, OUT)

    def forward(self, input_ids):
        mask = (input_ids != 0).float()[:, None]
        x = self.embed(input_ids).transpose(1, 2) * mask
        x = F.relu(self.first(x)) * mask
        x = F.relu(self.second(x)) * mask
        pooled = x.sum(2) / mask.sum(2).clamp(min=1)
        out = self.project(pooled)
        return out / out.pow(2).sum(1, keepdim=True).sqrt().clamp(min=1e-6)


def sentences(first_seed, count):
    """Returns one sentence of at least five words from each story."""
    chosen = []
    seed = first_seed
    while len(chosen) < count:
        long = [s for s in stories(seed, 1)[0].split(". ") if len(s.split()) >= 5]
        if long:
            chosen.append(random.Random(seed).choice(long))
        seed += 1
    return chosen


def corrupt(text, chance):
    """Removes about one word in six; swaps, drops or doubles a letter in half of the other words."""
    words = [w for w in text.split() if chance.random() > 0.17] or text.split()
    for i, word in enumerate(words):
        if len(word) > 2 and chance.random() < 0.5:
            at = chance.randrange(len(word) - 1)
            words[i] = chance.choice([word[:at] + word[at + 1] + word[at] + word[at + 2:],
                                      word[:at] + word[at + 1:], word[:at] + word[at] + word[at:]])
    return " ".join(words)


def ids(texts):
    rows = [list(t.encode()) for t in texts]
    width = max(map(len, rows))
    return torch.tensor([r + [0] * (width - len(r)) for r in rows])


def recall(model, texts):
    """Returns the share of corrupted sentences whose nearest candidate is their original."""
    chance = random.Random(SEED)
    with torch.no_grad():
        original = model(ids(texts))
        copies = model(ids([corrupt(t, chance) for t in texts]))
    return ((copies @ original.T).argmax(1) == torch.arange(len(texts))).float().mean().item()


def export(model):
    path = str(HERE / "1/model.onnx")
    torch.onnx.export(model, torch.ones(2, 7, dtype=torch.long), path, opset_version=14,
                      input_names=["input_ids"], output_names=["embedding"],
                      dynamic_axes={"input_ids": {0: "batch", 1: "sequence"}, "embedding": {0: "batch"}})
    exported = onnx.load(path)
    helper.set_model_props(exported, {"sluice.task": "embedding"})
    onnx.save(exported, path)


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    texts, held_out = sentences(0, 20_000), list(dict.fromkeys(sentences(HELD_OUT_SEED, 3000)))[:CANDIDATES]
    held_out = [t for t in held_out if t not in set(texts)]
    model = Encoder()
    untrained = recall(model, held_out)
    chance = random.Random(SEED)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(STEPS):
        batch = list(dict.fromkeys(chance.sample(texts, BATCH)))
        a, b = model(ids(batch)), model(ids([corrupt(t, chance) for t in batch]))
        scores = a @ b.T / TEMPERATURE
        target = torch.arange(len(batch))
        loss = F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    model.eval()
    export(model)
    print(f"recall@1 among {len(held_out)} held-out sentences: {recall(model, held_out):.1%} "
          f"(untrained: {untrained:.1%}); {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
