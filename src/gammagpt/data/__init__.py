"""Data: a seed in, token tensors out. `text` holds the corpora and the tokenizer."""

from .text import DataConfig, Text, load_text

__all__ = ["DataConfig", "Text", "load_text"]
