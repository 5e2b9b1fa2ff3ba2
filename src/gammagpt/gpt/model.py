"""A minimal GPT: pre-norm RMSNorm, rotary positions, SwiGLU, an optional gate on attention.

No training, no files, and no initialization to speak of: `init.py` draws every weight.
Shapes in comments: B batch, T tokens, C width (d_model), H heads, D head size, F hidden width of
the MLP, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from ..data.fields import check_fields
from ..project import UserError, require, require_least, require_one_of, whole

POSITIONS = ("rotary", "learned")
HEAD_BIASES = ("none", "zero", "unigram")
LARGEST, DEEPEST = 2**18, 1024  # sizes and layers beyond any model there is: slips of the pen


@dataclass(frozen=True)
class GPTConfig:
    kind: str = "gpt"
    vocab_size: int = 1024
    block_size: int = 64  # longest context, in tokens
    n_layer: int = 2
    n_head: int = 2
    width: int = 64  # d_model
    hidden: int = 0  # width of the MLP; 0 means 8/3 of `width`, rounded up to a multiple of 8
    norm_eps: float = 1e-5  # RMSNorm's epsilon, compared with the mean square of its input
    gate: bool = False  # elementwise sigmoid gate on the attention output (arXiv 2505.06708)
    gate_scale: float = 1.0  # times the sigmoid, which is 1/2 while the gate's weights are small
    gate_trained: bool = True  # or it stays as it was drawn
    qk_norm: bool = False  # RMSNorm of each head's queries and keys (arXiv 2302.05442)
    head_bias: str = "none"  # or "zero", or "unigram": what an output bias starts at
    tied: bool = False  # the head shares the embedding: same d_in, so gamma means the same std
    positions: str = "rotary"  # or "learned": an embedding of the position, as in GPT-2
    rope_base: float = 10000.0

    def __post_init__(self):
        check_fields(self, "model.")
        sizes = ("vocab_size", "block_size", "n_head", "width")
        require_least(1, self, sizes, "model.", LARGEST)
        require_least(1, self, ("n_layer",), "model.", DEEPEST)
        require_least(0, self, ("hidden",), "model.", LARGEST)  # 0: automatic
        require_one_of(POSITIONS, "model.positions", self.positions)
        require_one_of(HEAD_BIASES, "model.head_bias", self.head_bias)
        paired = self.positions != "rotary" or self.head_size % 2 == 0  # which rotary ones turn
        for name, ok, allowed in (
            ("width", self.width % self.n_head == 0, f"are multiples of n_head = {self.n_head}"),
            ("width", paired, f"is an even head size for rotary positions, not {self.head_size}"),
            ("head_bias", not self.tied or self.head_bias == "none", "is none when tied"),
            ("norm_eps", self.norm_eps >= 0, "is 0 or more"),
            ("gate_scale", self.gate_scale > 0, "is above 0"),
            ("rope_base", self.rope_base > 0, "is above 0"),
        ):
            require(ok, f"model.{name}", getattr(self, name), allowed)

    @property
    def head_size(self) -> int:
        return self.width // self.n_head

    @property
    def hidden_size(self) -> int:
        return self.hidden or 8 * math.ceil(self.width * 8 / 3 / 8)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * gain (arXiv 1910.07467), always computed in float32.

    eps only matters next to mean(x^2): an embedding of std d^-gamma has mean square d^-2gamma.
    """

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def reset_parameters(self):
        self.weight.data.fill_(1)

    def forward(self, x):  # (..., C) -> (..., C)
        wide = x if x.dtype == torch.float64 else x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale).to(x.dtype) * self.weight


def rotary_table(config: GPTConfig) -> torch.Tensor:
    """cos and sin of the rotary angles (arXiv 2104.09864), shape (2, block_size, head_size)."""
    half = torch.arange(0, config.head_size, 2) / config.head_size
    angles = torch.outer(torch.arange(config.block_size), config.rope_base**-half)  # (T, D/2)
    angles = torch.cat((angles, angles), dim=-1)  # (T, D)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x, table):
    """Turn each pair (x_i, x_{i+D/2}) by its position's angle. x: (B, H, T, D)."""
    cos, sin = table[:, : x.size(-2)].to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def attention_weights(q, k):
    """Causal softmax(q k^T / sqrt(D)), in float32. q, k: (B, H, T, D); result (B, H, T, T)."""
    T, D = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / math.sqrt(D)  # (B, H, T, T)
    scores = scores if scores.dtype == torch.float64 else scores.float()
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1)


def written_out(q, k, v):
    """Causal attention in plain operations. q, k, v: (B, H, T, D).

    The same function as the library's kernel, which neither a compiler nor vmap can look into.
    """
    return attention_weights(q, k).to(v.dtype) @ v


def library_kernel(q, k, v):
    """The same, by the library's fused kernel: faster at long T, and when not compiled."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class Attention(nn.Module):
    """Causal self-attention and, if asked for, rotary positions and a sigmoid output gate."""

    attend = staticmethod(library_kernel)  # or written_out: the engine chooses

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.n_head, self.rotary = config.n_head, config.positions == "rotary"
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, config.width, bias=False)
        self.value = nn.Linear(config.width, config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        norms = [RMSNorm(config.head_size, config.norm_eps) for _ in "qk"] if config.qk_norm else []
        self.query_norm, self.key_norm = norms or (nn.Identity(), nn.Identity())
        self.gate = nn.Linear(config.width, config.width, bias=False) if config.gate else None
        self.gate_scale = config.gate_scale
        if config.gate:
            self.gate.weight.requires_grad_(config.gate_trained)

    def forward(self, x, table):  # (B, T, C) -> (B, T, C)
        B, T, C = x.shape

        def heads(y):  # (B, T, C) -> (B, H, T, D)
            return y.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))  # (B, H, T, D)
        q, k = self.query_norm(q), self.key_norm(k)
        if self.rotary:
            q, k = rotate(q, table), rotate(k, table)  # (B, H, T, D)
        y = self.attend(q, k, v)  # (B, H, T, D)
        y = y.transpose(1, 2).reshape(B, T, C)  # (B, T, C)
        if self.gate is not None:
            gate = self.gate_scale * torch.sigmoid(self.gate(x))  # (B, T, C), G1 in 2505.06708
            y = y * gate
        return self.out(y)


class MLP(nn.Module):
    """SwiGLU (arXiv 2002.05202): down(silu(gate(x)) * up(x))."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden_size, bias=False)
        self.up = nn.Linear(config.width, config.hidden_size, bias=False)
        self.down = nn.Linear(config.hidden_size, config.width, bias=False)

    def forward(self, x):  # (B, T, C) -> (B, T, C)
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, config: GPTConfig):
        super().__init__()
        self.norm1 = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config)
        self.norm2 = RMSNorm(config.width, config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x, table):  # (B, T, C) -> (B, T, C)
        x = x + self.attention(self.norm1(x), table)
        return x + self.mlp(self.norm2(x))


def run_block(block, x, table):
    """A function and no method, so that all blocks of one shape share one compiled program."""
    return block(x, table)


class GPT(nn.Module):
    """A decoder-only Transformer. Call it with token ids (B, T); get logits (B, T, V)."""

    run_block = staticmethod(run_block)  # or a compiled one: the engine chooses

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        learned = config.positions == "learned"
        self.positions = nn.Embedding(config.block_size, config.width) if learned else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = RMSNorm(config.width, config.norm_eps)
        biased = config.head_bias != "none"  # started by engine.build_model, which has the text
        self.head = nn.Linear(config.width, config.vocab_size, bias=biased)
        if config.tied:
            self.head.weight = self.embedding.weight  # tied before init: the tensor is drawn once
        self.register_buffer("rotary", rotary_table(config), persistent=False)

    def reset_parameters(self):  # of its own, for a model whose memory was empty (to_empty)
        self.rotary.copy_(rotary_table(self.config))

    def forward(self, tokens, last: bool = False):  # (B, T) -> (B, T, V), or (B, V)
        """Logits of the next token at every position, or at the `last` one only."""
        most, length = self.config.block_size, tokens.size(-1)
        if length > most:
            raise UserError(f"tokens: got {length}, allowed are at most block_size = {most}")
        x = self.embedding(tokens)  # (B, T, C)
        if self.positions is not None:
            x = x + self.positions.weight[:length]  # (B, T, C)
        for block in self.blocks:
            x = self.run_block(block, x, self.rotary)
        return self.head(self.norm(x[..., -1, :] if last else x))

    @torch.no_grad()
    def generate(self, tokens, count: int, temperature=1.0, top_k=None, generator=None):
        """Token ids (B, T), T at least 1, and `count` more, one after another: (B, T + count).

        Each is drawn from the shares of the next token, as seen from the last block_size tokens:
        of the logits over the `temperature` (0: the likeliest), of the `top_k` likeliest only.
        Nothing is cached: at these sizes it would not pay. Raises UserError for another number.
        """
        check_drawing(count, temperature, top_k)
        for _ in range(count):
            logits = self(tokens[:, -self.config.block_size :], last=True)  # (B, V)
            if top_k:
                least = logits.topk(min(top_k, logits.size(-1))).values[:, -1:]  # (B, 1)
                logits = logits.masked_fill(logits < least, -math.inf)
            if temperature:
                shares = (logits.double() / temperature).softmax(-1)
                following = torch.multinomial(shares, 1, generator=generator)  # (B, 1)
            else:
                following = logits.argmax(-1, keepdim=True)
            tokens = torch.cat((tokens, following), dim=1)
        return tokens

    def loss(self, tokens, targets):
        """Mean cross-entropy in nats. tokens (B, T); targets (B, T), or (B,) of the last token."""
        return cross_entropy(self(tokens, last=targets.ndim == 1), targets)


def check_drawing(count, temperature, top_k) -> None:
    """Raise UserError for numbers by which no text can be drawn."""
    whole("tokens", count, 0)
    if not 0 <= temperature < math.inf:
        raise UserError(f"temperature: got {temperature}, allowed is 0 (the likeliest) or more")
    whole("top_k", 1 if top_k is None else top_k, 1, ", or none")


def cross_entropy(logits, targets, reduction: str = "mean"):
    """In nats, in float32 or wider. logits (..., V), targets (...); a target of -100 is left out"""
    logits = logits.flatten(0, -2)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(logits, targets.flatten(), reduction=reduction)
