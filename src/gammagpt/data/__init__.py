"""Data: a seed in, token tensors out.

`text` holds the corpora and the tokenizer, `anchors` the anchor functions, `logic`, `stories`,
`arithmetic` and `facts` generated texts; `batches` feeds any of them to a run.
"""

from .anchors import AnchorConfig
from .batches import make_batches
from .text import DataConfig, Text, load_text

__all__ = ["AnchorConfig", "DataConfig", "Text", "load_text", "make_batches"]
