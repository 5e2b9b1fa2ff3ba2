"""Data: a seed in, token tensors out.

`corpora` finds documents, `tokenizer` and `text` make tokens of them; `logic`, `stories`,
`arithmetic` and `facts` generate texts, `anchors` the anchor functions, `backcopy` sequences on
which sinks form; `batches` feeds any of them to a run.
"""

from .anchors import AnchorConfig
from .backcopy import BackcopyConfig
from .text import DataConfig, Text, load_text

__all__ = ["AnchorConfig", "BackcopyConfig", "DataConfig", "Text", "load_text"]
