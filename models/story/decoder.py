"""The network of `story`: a decoder of Llama's form with grouped key/value heads and rotary positions."""
import math

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, LAYERS, HEADS, KV_HEADS, HEAD, HIDDEN, CONTEXT = 160, 4, 4, 2, 32, 448, 512
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
        scores = (q / math.sqrt(HEAD)) @ k.transpose(2, 3) + mask
        x = x + self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1))
        h = norm(x, self.norm2)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Decoder(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.Parameter(torch.ones(WIDTH))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.05)

    def forward(self, ids, documents=None):
        """Returns the logits. With the number of each token's document, a token attends only to its own document."""
        length = ids.shape[1]
        cos, sin = rope_tables(length)
        hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
        if documents is not None:
            hidden = (hidden | (documents[:, :, None] != documents[:, None, :]))[:, None]
        mask = torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return norm(x, self.norm) @ self.embed.weight.T

    @staticmethod
    def settings():
        """Returns the fields of config.json that describe the network."""
        return {"hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS,
                "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "hidden_act": "silu",
                "rms_norm_eps": EPSILON, "rope_theta": ROPE_BASE, "tie_word_embeddings": True, "torch_dtype": "float16"}
