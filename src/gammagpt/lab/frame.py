"""Records as a pandas frame, a row a run."""

import math

from ..gpt.config import RunConfig
from ..gpt.records import Record
from ..project import results_folder
from .measures import measures
from .store import Store


def load_records(tier: str = "laptop") -> list[Record]:
    """All records of a tier, in the order of their keys. Damaged ones are named and set aside."""
    return list(Store(results_folder(tier)))


def frame(records):
    """A pandas frame, a row a run: every field of its configuration, what came out, its origin.

    Added columns: setting, status, loss (final validation loss, nats per token), curve, curves,
    probes, seconds, commit, rules (hashes in force), tokens (trained on), key, and the measures
    that this kind of run has (measures.py).

    The final loss of a diverged run is infinite: worse than any other, and never hidden. Without
    records the frame has no rows, and the columns that every run has.
    """
    import pandas as pd

    rows = [_row(record) for record in records]
    return pd.DataFrame(rows, columns=None if rows else list(_flat(RunConfig()) | OUTCOMES))


def _flat(config: RunConfig) -> dict:
    flat = {}
    for name, value in config.to_dict().items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def _loss(record: Record) -> float:
    loss = record.final["validation_loss"]
    return math.inf if loss is None else loss


OUTCOMES = {  # columns of a frame that are not fields of a configuration
    "setting": lambda record: record.config.init.label,
    "status": lambda record: record.status,
    "loss": _loss,
    "curve": lambda record: record.curves["validation"],
    "curves": lambda record: record.curves,
    "probes": lambda record: record.probes,
    "seconds": lambda record: record.provenance["seconds"],
    "commit": lambda record: record.provenance["commit"],
    "rules": lambda record: record.provenance["rules"],
    "tokens": lambda record: record.config.tokens,
    "key": lambda record: record.key,
}


def _row(record: Record) -> dict:
    outcomes = {name: outcome(record) for name, outcome in OUTCOMES.items()}
    return _flat(record.config) | outcomes | measures(record)
