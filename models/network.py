"""The guide's network in PyTorch: Qwen3's architecture, small, with tied embeddings."""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Shape:
    """Widths are multiples of 256, so that every block format fits the rows."""

    vocab: int = 2304
    dim: int = 256
    ffn: int = 768
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    context: int = 1024
    rope_theta: float = 10000.0
    norm_eps: float = 1e-6

    def as_dict(self):
        return asdict(self)


class Norm(nn.Module):
    """RMS norm."""

    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


def rotate(x, cos, sin):
    """Rotary positions, halves paired: x is (batch, head, position, head_dim)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def attend(q, k, v):
    """Causal attention written out: on a CPU and for short texts quicker than the fused form."""
    length = q.shape[2]
    score = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    later = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
    return F.softmax(score.masked_fill(later, float("-inf")), dim=-1).to(v.dtype) @ v


class Layer(nn.Module):
    """Attention with normalised q and k, then a gated feed-forward."""

    def __init__(self, s: Shape):
        super().__init__()
        self.s = s
        self.attn_norm = Norm(s.dim, s.norm_eps)
        self.attn_q = nn.Linear(s.dim, s.heads * s.head_dim, bias=False)
        self.attn_k = nn.Linear(s.dim, s.kv_heads * s.head_dim, bias=False)
        self.attn_v = nn.Linear(s.dim, s.kv_heads * s.head_dim, bias=False)
        self.attn_output = nn.Linear(s.heads * s.head_dim, s.dim, bias=False)
        self.attn_q_norm = Norm(s.head_dim, s.norm_eps)
        self.attn_k_norm = Norm(s.head_dim, s.norm_eps)
        self.ffn_norm = Norm(s.dim, s.norm_eps)
        self.ffn_gate = nn.Linear(s.dim, s.ffn, bias=False)
        self.ffn_up = nn.Linear(s.dim, s.ffn, bias=False)
        self.ffn_down = nn.Linear(s.ffn, s.dim, bias=False)

    def forward(self, x, cos, sin):
        s, (batch, length, _) = self.s, x.shape
        h = self.attn_norm(x)
        q = self.attn_q(h).view(batch, length, s.heads, s.head_dim)
        k = self.attn_k(h).view(batch, length, s.kv_heads, s.head_dim)
        v = self.attn_v(h).view(batch, length, s.kv_heads, s.head_dim).transpose(1, 2)
        q = rotate(self.attn_q_norm(q).transpose(1, 2), cos, sin)
        k = rotate(self.attn_k_norm(k).transpose(1, 2), cos, sin)
        group = s.heads // s.kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        h = attend(q, k, v)
        x = x + self.attn_output(h.transpose(1, 2).reshape(batch, length, -1))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Guide(nn.Module):
    """Token ids (batch, length) to hidden states; `head` turns those into logits."""

    def __init__(self, shape: Shape, dropout=0.0):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.dim)
        self.blk = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape.dim, shape.norm_eps)
        self.dropout = nn.Dropout(dropout)
        step = torch.arange(0, shape.head_dim, 2) / shape.head_dim
        angle = torch.arange(shape.context)[:, None] / shape.rope_theta**step
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                last = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(p, std=0.04 / (2 * shape.layers) ** (0.5 if last else 0))

    def forward(self, ids):
        x = self.dropout(self.token_embd(ids))
        cos, sin = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        for layer in self.blk:
            x = layer(x, cos, sin)
        return self.output_norm(x)

    def head(self, x):
        return F.linear(x, self.token_embd.weight)
