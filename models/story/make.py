#!/usr/bin/python3
"""Creates the folder story/1: a small chat model with its tokenizer, in the form in which large models are published.

The files are those that ONNX Runtime GenAI's model builder and Hugging Face's tools write: model.onnx with
GroupQueryAttention, tokenizer.json, tokenizer_config.json with a chat template, config.json, generation_config.json.
Requires Debian's python3-torch, python3-onnx and libopenblas0-pthread (20 times as fast as the default BLAS).
Run: /usr/bin/python3 models/story/make.py [steps]
"""
import json
import math
import pathlib
import random
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from bpe import Tokenizer
from conversations import conversation
from decoder import CONTEXT, Decoder
from export import export
from stories import story
import quality

HERE = pathlib.Path(__file__).parent
END, BEGIN_TURN, END_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# In the FIRST steps, all tokens count. The rate falls after step FALL.
STEPS, FIRST, FALL, SEED, RATE, WARM_UP = 1180, 700, 1000, 11, 4e-3, 60
# Number and length of the windows of one step, in tokens.
SHORT, LONG = (16, 160), (9, 288)
# Every document is generated from its own seed. The held-out ones start at HELD_OUT.
TRAIN, HELD_OUT, HELD_OUT_DOCUMENTS = 120_000, 10_000_000, 400
VOCABULARY, TOKENIZER_DOCUMENTS = 1280, 20_000

TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
            "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def document(seed):
    """Returns a story, or a conversation as the chat template writes it."""
    pick = random.Random(seed)
    return END + story(pick) if pick.random() < 0.2 else prompt(conversation(pick))


def prompt(turns):
    return END + "".join(f"{BEGIN_TURN}{role}\n{text}{END_TURN}\n" for role, text in turns)


def train(model, documents, assistant, steps):
    """
    Trains on windows that begin where a document begins. In the first steps, all tokens count. After them, documents
    are separated, only what the model has to write counts, and the rate falls.
    """
    starts, length = [0], 0
    for tokens in documents:
        length += len(tokens)
        starts.append(length)
    data = torch.tensor([t for tokens in documents for t in tokens])
    starts = [s for s in starts if s + CONTEXT + 1 <= length]
    pick = random.Random(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.05)
    began = time.time()
    for step in range(steps):
        separate = step >= FIRST
        batch, window = LONG if separate else SHORT
        optimizer.param_groups[0]["lr"] = RATE * min(1, (step + 1) / WARM_UP, (steps - step) / (steps - FALL))
        chunk = torch.stack([data[s:s + window + 1] for s in pick.choices(starts, k=batch)])
        ids, targets = chunk[:, :-1], chunk[:, 1:]
        logits = model(ids, (ids == 0).cumsum(1) if separate else None)
        loss = F.cross_entropy(logits.flatten(0, 1), (written(chunk, assistant) if separate else targets).flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}: {loss.item() / math.log(2):.3f} bits per token, {time.time() - began:.0f} s",
                  flush=True)


def written(chunk, assistant):
    """Returns the targets of windows. Those that the model does not have to write are ignored: the turns of others."""
    targets = chunk[:, 1:].clone()
    for row, tokens in zip(targets, chunk.tolist()):
        own = True
        for i in range(len(tokens) - 1):
            if tokens[i] in (0, 1):
                own = tokens[i] == 0
            elif i and tokens[i - 1] == 1:
                own = tokens[i] == assistant
            if not own or tokens[i + 1] == 1:
                row[i] = -100
    return targets


def write_settings(folder, vocabulary):
    def write(name, value):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")

    write("config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "bos_token_id": 0,
                          "eos_token_id": 2, "max_position_embeddings": CONTEXT, "vocab_size": vocabulary,
                          **Decoder.settings()})
    write("generation_config.json", {"bos_token_id": 0, "eos_token_id": [2, 0], "do_sample": True, "temperature": 0.6,
                                     "top_p": 0.95})
    write("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END,
                                    "eos_token": END_TURN, "model_max_length": CONTEXT, "chat_template": TEMPLATE,
                                    "clean_up_tokenization_spaces": False})


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    folder = HERE / "1"
    folder.mkdir(exist_ok=True)
    texts = [document(seed) for seed in range(TRAIN)]
    tokenizer = Tokenizer.train([p for t in texts[:TOKENIZER_DOCUMENTS] for p in t.replace("<|", "\0<|").split("\0")],
                                [END, BEGIN_TURN, END_TURN], VOCABULARY)
    documents = [tokenizer.encode(t) for t in texts]
    model = Decoder(len(tokenizer.ids))
    print(f"{sum(map(len, texts)):,} characters, {sum(map(len, documents)):,} tokens, "
          f"{len(tokenizer.ids):,} tokens in the vocabulary, {sum(p.numel() for p in model.parameters()):,} parameters",
          flush=True)
    train(model, documents, tokenizer.ids["assistant"], int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
    model.eval()
    tokenizer.save(folder / "tokenizer.json")
    write_settings(folder, len(tokenizer.ids))
    export(model, folder / "model.onnx")
    quality.report(model, tokenizer, texts, [document(HELD_OUT + i) for i in range(HELD_OUT_DOCUMENTS)], prompt)


if __name__ == "__main__":
    main()
