"""The training loop of gpt/, with every probe of the table at hand."""

from functools import partial

from ..gpt import train as loop
from ..gpt.weights import Trained, load_model, save_model
from ..probes.table import PROBES
from ..project import UserError, cache_folder
from .progress import every_percent, progress_bar


def train(config, **named):
    """Train one model and return its record, with all that its ProbeConfig asks for.

    Keywords and errors are those of gpt/train.py: device, compiled, rules, progress, group.
    """
    return train_stack([config], **named)[0]


def train_stack(configs, **named):
    """Train the members of a stack at once; see gpt/train.py."""
    return loop.train_stack(configs, probes=PROBES, **named)


def trained(config) -> Trained:
    """The model of a run: from the cache, or trained now, with a bar, and kept there.

    Raises UserError for bad data and for a run that diverged.
    """
    config = config.pinned()
    path = cache_folder() / "weights" / f"{config.key}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with progress_bar([config]) as bar:
            progress = every_percent([config], bar.steps)
            record = train(config, progress=progress, keep=partial(save_model, path))
        if record.diverged_at is not None:
            raise UserError(
                f"sample: got a run that diverged at step {record.diverged_at}, allowed is one "
                "that has weights"
            )
    return load_model(path)
