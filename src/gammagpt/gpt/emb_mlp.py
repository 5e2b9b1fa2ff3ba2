"""The small model of the theory: embeddings that are added up, and two matrices.

Shapes in comments: B batch, L tokens of a sequence, C width (d_m), F hidden width (d_f),
V vocabulary.
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from ..data.fields import check_fields
from ..project import require_least, require_one_of
from .model import LARGEST

# The theory wants sigma(0) = 0 and sigma'(0) = 1, smooth: tanh is, the others are to compare.
ACTIVATIONS = {"tanh": torch.tanh, "relu": F.relu, "gelu": F.gelu, "linear": lambda x: x}


@dataclass(frozen=True)
class EmbMLPConfig:
    kind: str = "emb_mlp"
    vocab_size: int = 201
    block_size: int = 3  # longest sequence, in tokens; their order is lost in the sum
    width: int = 200  # d_m
    hidden: int = 400  # d_f
    activation: str = "tanh"

    def __post_init__(self):
        check_fields(self, "model.")
        sizes = ("vocab_size", "block_size", "width", "hidden")
        require_least(1, self, sizes, "model.", LARGEST)
        require_one_of(ACTIVATIONS, "model.activation", self.activation)


class EmbMLP(nn.Module):
    """sigma((sum of embeddings) W1) W2 (arXiv 2502.04375, Definition 1), without biases."""

    def __init__(self, config: EmbMLPConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.hidden = nn.Linear(config.width, config.hidden, bias=False)
        self.head = nn.Linear(config.hidden, config.vocab_size, bias=False)

    def forward(self, tokens, last: bool = True):  # (B, L) -> (B, V)
        """One prediction a sequence, so `last` must be true (see GPT.forward)."""
        total = self.embedding(tokens).sum(-2)  # (B, C)
        return self.head(ACTIVATIONS[self.config.activation](self.hidden(total)))
