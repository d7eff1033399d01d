#!/usr/bin/python3
"""Creates story/1/model.onnx: a small byte-level decoder language model with a key/value cache.

Its inputs and outputs have the names of ONNX Runtime GenAI's model builder, and its attention is GroupQueryAttention
with rotary embedding inside, so that it is served in the same way as a large model. Bytes are tokens; byte 0 ends a
story. Requires Debian's python3-torch, python3-onnx and libopenblas0-pthread (20 times as fast as the default BLAS).
Run: /usr/bin/python3 models/story/make.py [steps]
"""
import collections
import math
import pathlib
import sys

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from stories import stories  # noqa: E402

VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, HIDDEN, CONTEXT = 256, 128, 4, 4, 2, 320, 512
HEAD = WIDTH // HEADS
BATCH, WINDOW, STEPS, SEED = 12, 256, 1300, 11
TRAIN_STORIES, HELD_OUT_SEED, HELD_OUT_STORIES = 60_000, 10_000_000, 300
EPSILON, ROPE_BASE = 1e-5, 10_000.0


def rope_tables(length):
    frequencies = ROPE_BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies[None]
    return torch.cos(angles), torch.sin(angles)


def rotate(x, cos, sin):
    """Applies half rotation (not interleaved), as GroupQueryAttention does; x is [batch, heads, length, head]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * weight


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.ones(WIDTH))
        self.q = nn.Linear(WIDTH, HEADS * HEAD, bias=False)
        self.k = nn.Linear(WIDTH, KV_HEADS * HEAD, bias=False)
        self.v = nn.Linear(WIDTH, KV_HEADS * HEAD, bias=False)
        self.o = nn.Linear(HEADS * HEAD, WIDTH, bias=False)
        self.gate = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        h = norm(x, self.norm1)
        q, k, v = (f(h).view(batch, length, -1, HEAD).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, dim=1) for t in (k, v))
        scores = q @ k.transpose(2, 3) / math.sqrt(HEAD) + mask
        x = x + self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1))
        h = norm(x, self.norm2)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.Parameter(torch.ones(WIDTH))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.05)

    def forward(self, ids):
        length = ids.shape[1]
        cos, sin = rope_tables(length)
        mask = torch.full((length, length), float("-inf")).triu(1)
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return norm(x, self.norm) @ self.embed.weight.T


def as_bytes(texts):
    return b"\0".join(t.encode() for t in texts) + b"\0"


def train(model, data, steps):
    random = torch.Generator().manual_seed(SEED)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        starts = torch.randint(len(data) - WINDOW - 1, (BATCH,), generator=random)
        chunk = torch.stack([data[s:s + WINDOW + 1] for s in starts])
        loss = F.cross_entropy(model(chunk[:, :-1]).flatten(0, 1), chunk[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: {loss.item() / math.log(2):.3f} bits per byte", flush=True)


def bits_per_byte(model, texts):
    """Returns the mean over held-out stories. Each is predicted from its first byte, after the end of another story."""
    bits = count = 0
    with torch.no_grad():
        for text in texts:
            ids = torch.tensor([list(b"\0" + text.encode() + b"\0")])[:, :CONTEXT]
            bits += F.cross_entropy(model(ids[:, :-1])[0], ids[0, 1:], reduction="sum").item() / math.log(2)
            count += ids.shape[1] - 1
    return bits / count


def ngram_bits(train_bytes, texts, order):
    """Returns the baseline: counts of the last order-1 bytes, with add-0.01 smoothing."""
    counts, totals = collections.Counter(), collections.Counter()
    for i in range(len(train_bytes) - order):
        counts[train_bytes[i:i + order]] += 1
        totals[train_bytes[i:i + order - 1]] += 1
    bits = count = 0
    for text in texts:
        data = b"\0" * (order - 1) + text.encode() + b"\0"
        for i in range(len(data) - order + 1):
            p = (counts[data[i:i + order]] + 0.01) / (totals[data[i:i + order - 1]] + 0.01 * VOCAB)
            bits -= math.log2(p)
            count += 1
    return bits / count


class Graph:
    """Collects the nodes and weights of the ONNX graph."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op, inputs, outputs, domain="", **attributes):
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs[0]

    def norm(self, x, weight, name):
        square = self.node("Mul", [x, x], f"{name}.square")
        mean = self.node("ReduceMean", [square], f"{name}.mean", axes=[-1], keepdims=1)
        root = self.node("Sqrt", [self.node("Add", [mean, "epsilon"], f"{name}.eps")], f"{name}.root")
        scaled = self.node("Div", [x, root], f"{name}.scaled")
        return self.node("Mul", [scaled, self.weight(f"{name}.weight", weight.detach().numpy())], name)

    def linear(self, x, module, name):
        return self.node("MatMul", [x, self.weight(f"{name}.weight", module.weight.detach().numpy().T)], name)


def add_layer(g, x, layer, i):
    p = f"layers.{i}"
    h = g.norm(x, layer.norm1, f"{p}.norm1")
    q, k, v = (g.linear(h, f, f"{p}.{n}") for n, f in (("q", layer.q), ("k", layer.k), ("v", layer.v)))
    past = [f"past_key_values.{i}.key", f"past_key_values.{i}.value"]
    present = [f"present.{i}.key", f"present.{i}.value"]
    attended = g.node("GroupQueryAttention",
                      [q, k, v, *past, "seqlens_k", "total_length", "cos_cache", "sin_cache"],
                      [f"{p}.attention", *present], domain="com.microsoft", num_heads=HEADS, kv_num_heads=KV_HEADS,
                      do_rotary=1, rotary_interleaved=0)
    x = g.node("Add", [x, g.linear(attended, layer.o, f"{p}.o")], f"{p}.x1")
    h = g.norm(x, layer.norm2, f"{p}.norm2")
    gate, up = g.linear(h, layer.gate, f"{p}.gate"), g.linear(h, layer.up, f"{p}.up")
    silu = g.node("Mul", [gate, g.node("Sigmoid", [gate], f"{p}.sigmoid")], f"{p}.silu")
    down = g.linear(g.node("Mul", [silu, up], f"{p}.gated"), layer.down, f"{p}.down")
    return g.node("Add", [x, down], f"{p}.x2")


def export(model):
    g = Graph()
    g.weight("epsilon", np.array(EPSILON, np.float32))
    g.weight("one", np.array([1], np.int64))
    cos, sin = rope_tables(2 * CONTEXT)
    g.weight("cos_cache", cos.numpy())
    g.weight("sin_cache", sin.numpy())
    # As in the model builder: the number of tokens of each row minus one, and the width of the mask.
    lengths = g.node("ReduceSum", ["attention_mask", "one"], "lengths", keepdims=0)
    less = g.node("Sub", [lengths, "one"], "lengths_less_one")
    g.node("Cast", [less], "seqlens_k", to=TensorProto.INT32)
    shape = g.node("Shape", ["attention_mask"], "mask_shape")
    g.weight("axis_one", np.array(1, np.int64))
    total = g.node("Gather", [shape, "axis_one"], "mask_width", axis=0)
    g.node("Cast", [total], "total_length", to=TensorProto.INT32)

    table = g.weight("embed.weight", model.embed.weight.detach().numpy())
    x = g.node("Gather", [table, "input_ids"], "embedded")
    for i, layer in enumerate(model.layers):
        x = add_layer(g, x, layer, i)
    x = g.norm(x, model.norm, "final_norm")
    head = g.node("Transpose", [table], "head", perm=[1, 0])
    g.node("MatMul", [x, head], "logits")

    def tensor(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    past = ["batch_size", KV_HEADS, "past_sequence_length", HEAD]
    present = ["batch_size", KV_HEADS, "total_sequence_length", HEAD]
    inputs = [tensor("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
              tensor("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])]
    outputs = [tensor("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", VOCAB])]
    for i in range(LAYERS):
        inputs += [tensor(f"past_key_values.{i}.{n}", TensorProto.FLOAT, past) for n in ("key", "value")]
        outputs += [tensor(f"present.{i}.{n}", TensorProto.FLOAT, present) for n in ("key", "value")]
    graph = helper.make_graph(g.nodes, "story", inputs, outputs, g.weights)
    onnx_model = helper.make_model(graph, producer_name="sluice", ir_version=8, opset_imports=[
        helper.make_opsetid("", 14), helper.make_opsetid("com.microsoft", 1)])
    helper.set_model_props(onnx_model, {"sluice.task": "text-generation", "sluice.vocab": "bytes",
                                        "sluice.eos": "0", "sluice.context": str(CONTEXT)})
    onnx.save(onnx_model, str(HERE / "1/model.onnx"))


def sample(model, prompt, seed, temperature, length=280):
    random = torch.Generator().manual_seed(seed)
    ids = [0, *prompt.encode()]
    with torch.no_grad():
        while len(ids) < length:
            p = (model(torch.tensor([ids]))[0, -1] / temperature).softmax(-1)
            ids.append(torch.multinomial(p, 1, generator=random).item())
            if ids[-1] == 0:
                break
    return bytes(ids[1:]).strip(b"\0").decode(errors="replace")


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    texts = as_bytes(stories(0, TRAIN_STORIES))
    held_out = stories(HELD_OUT_SEED, HELD_OUT_STORIES)
    model = Decoder()
    print(f"{len(texts):,} bytes, {sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, torch.tensor(list(texts)), int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
    model.eval()
    export(model)
    print(f"held-out stories: {bits_per_byte(model, held_out):.3f} bits per byte; "
          f"baselines: 1-gram {ngram_bits(texts[:2_000_000], held_out, 1):.3f}, "
          f"3-gram {ngram_bits(texts[:2_000_000], held_out, 3):.3f}")
    for seed, temperature in ((1, 0.5), (2, 0.8), (3, 1.0)):
        print(f"--- seed {seed}, temperature {temperature}\n{sample(model, 'Once upon a time', seed, temperature)}")
    ids = [0, *held_out[0].encode()[:60]]
    with torch.no_grad():
        np.save("/tmp/story-logits.npy", model(torch.tensor([ids]))[0].numpy())


if __name__ == "__main__":
    main()
