"""Measures `story` on documents and questions that the training did not contain."""
import collections
import math
import random

import torch
from torch.nn import functional as F

import conversations
from decoder import CONTEXT
from stories import ANIMALS, PEOPLE

QUESTIONS, REQUESTS, SEED = 100, 20, 99


def report(model, tokenizer, train_texts, held_out, prompt):
    text = "".join(train_texts)[:3_000_000]
    print(f"held-out documents: {bits_per_byte(model, tokenizer, held_out):.3f} bits per byte; "
          f"baselines: 1-gram {ngram_bits(text, held_out, 1):.3f}, 3-gram {ngram_bits(text, held_out, 3):.3f}")
    pick = random.Random(SEED)
    right = ended = 0
    for _ in range(QUESTIONS):
        question, answer = conversations.short_question(pick)
        question, answer = (conversations.expand(pick, t, {}) for t in (question, answer))
        said, finished = reply(model, tokenizer, prompt, [("user", question)])
        right += said == answer
        ended += finished
        if said != answer and right % 20 == 0:
            print(f"  {question} -> {said}")
    print(f"questions: {right} of {QUESTIONS} answers are right, {ended} end themselves")
    named = wanted = ended = 0
    for i in range(REQUESTS):
        name, animal = pick.choice(PEOPLE)[0], pick.choice(ANIMALS)
        said, finished = reply(model, tokenizer, prompt,
                               [("user", f"Tell me a story about {name} and a {animal}.")], seed=i)
        named += name in said
        wanted += animal in said
        ended += finished
    print(f"requests for a story about a person and an animal: {named} of {REQUESTS} name the person, {wanted} the "
          f"animal, {ended} end themselves")
    for turns in ([("user", "Hello!")], [("user", "Write a story about a fox.")], [("user", "What is your name?")],
                  [("user", "hi, my name is Anna"), ("assistant", "Nice to meet you, Anna! How can I help you?"),
                   ("user", "what is my name?")], [("user", "Who won the election?")]):
        print(f"--- {turns[-1][1]}\n{reply(model, tokenizer, prompt, turns)[0]}")


def bits_per_byte(model, tokenizer, texts):
    bits = count = 0
    with torch.no_grad():
        for text in texts:
            ids = torch.tensor([tokenizer.encode(text)])[:, :CONTEXT]
            bits += F.cross_entropy(model(ids[:, :-1])[0], ids[0, 1:], reduction="sum").item() / math.log(2)
            count += len(tokenizer.decode(ids[0].tolist()[1:]))
    return bits / count


def ngram_bits(train_text, texts, order):
    """Returns the baseline: counts of the last order-1 bytes, with add-0.01 smoothing."""
    counts, totals = collections.Counter(), collections.Counter()
    for i in range(len(train_text) - order):
        counts[train_text[i:i + order]] += 1
        totals[train_text[i:i + order - 1]] += 1
    bits = count = 0
    for text in texts:
        for i in range(len(text) - order + 1):
            p = (counts[text[i:i + order]] + 0.01) / (totals[text[i:i + order - 1]] + 0.01 * 256)
            bits -= math.log2(p)
            count += 1
    return bits / count


def reply(model, tokenizer, prompt, turns, seed=None, temperature=0.6, length=220):
    """Returns the model's answer, and whether it ended itself. Without a seed, each token is the most likely one."""
    generator = torch.Generator().manual_seed(seed) if seed is not None else None
    ids = tokenizer.encode(prompt(turns) + "<|im_start|>assistant\n")
    begin = len(ids)
    with torch.no_grad():
        while len(ids) < min(begin + length, CONTEXT):
            logits = model(torch.tensor([ids]))[0, -1]
            token = (logits / temperature).softmax(-1).multinomial(1, generator=generator).item() \
                if generator else logits.argmax().item()
            if token in (0, 2):
                return tokenizer.decode(ids[begin:]), True
            ids.append(token)
    return tokenizer.decode(ids[begin:]), False
