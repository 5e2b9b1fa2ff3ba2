"""The training loop of gpt/, with every probe of the table at hand."""

from ..gpt import train as loop
from ..probes.table import PROBES


def train(config, **named):
    """Train one model and return its record, with all that its ProbeConfig asks for.

    Keywords and errors are those of gpt/train.py: device, compiled, rules, progress, group.
    """
    return train_stack([config], **named)[0]


def train_stack(configs, **named):
    """Train the members of a stack at once; see gpt/train.py."""
    return loop.train_stack(configs, probes=PROBES, **named)
