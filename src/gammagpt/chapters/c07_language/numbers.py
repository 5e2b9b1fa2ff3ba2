"""What the language chapter reads off runs on a mixture of two texts, in numbers.

Runs are rows of a frame (lab.frame, with roles) on a mixture such as "logic+stories". Its first
text is the one that is said to be ahead. Pictures: figures.py.
"""

import re

import numpy as np
import pandas as pd

from ...analysis import levels
from ...analysis.frames import text_of
from ...data.corpora import corpora
from ...lab.measures import unigrams
from ...plots import points
from ...project import UserError

MEASURES = {"delta": "delta L", "delta_normalised": "difference of shares"}


def pair(runs_or_corpus) -> tuple[str, str]:
    """The two texts of a mixture, the one that is said to be ahead first.

    Raises UserError for any other corpus: what is asked here is a comparison of two.
    """
    corpus = runs_or_corpus if isinstance(runs_or_corpus, str) else runs_or_corpus.corpus.iloc[0]
    names = corpora(corpus)
    if len(names) != 2:
        raise UserError(f"corpus: got {corpus!r}, allowed are two texts joined by +")
    return names[0], names[1]


def along(run) -> pd.DataFrame:
    """What a run (a row of a frame) went through, a row a measurement.

    Columns: step, tokens (millions), loss (mean of both texts), a share left for each text by its
    name (at most 1), and both measures of the lead.
    """
    one, other = pair(run.corpus)
    (steps, first), (_, second) = (np.array(run.curves[name]).T for name in (one, other))
    chance = unigrams(text_of(run))
    shares = first / chance[one], second / chance[other]
    return pd.DataFrame({
        "step": steps, "tokens": steps * run.batch_size * run.block_size / 1e6,
        "loss": (first + second) / 2, one: np.minimum(1, shares[0]),
        other: np.minimum(1, shares[1]), "delta": (second - first) / first,
        "delta_normalised": shares[1] - shares[0],
    })


def over_runs(runs, column: str) -> pd.DataFrame:
    """What `along` calls so, of runs that ended well, as a tidy table: x is tokens (millions)."""

    def way(run):
        table = along(run)
        return table.tokens, table[column]

    return points(runs[runs.status == "ok"], way)


def at_equal_loss(runs) -> pd.DataFrame:
    """The compared runs, both measures not taken at the end but at one mean loss of both texts."""
    return levels.at_equal_loss(runs, along, {name: name for name in MEASURES})


def chain_scores(runs) -> pd.DataFrame:
    """setting, gamma, seed, depth, score ('accuracy', 'exact') and value of every run's chains."""
    rows = []
    for column in runs:
        if match := re.fullmatch(r"chain_(\d+)_(accuracy|exact)", str(column)):
            part = runs[["setting", "gamma", "seed"]].assign(value=runs[column])
            rows.append(part.assign(depth=int(match[1]), score=match[2]))
    empty = pd.DataFrame(columns=["setting", "gamma", "seed", "value", "depth", "score"])
    scores = pd.concat(rows).dropna(subset=["value"]) if rows else empty
    return scores.sort_values(["score", "depth"], kind="stable")
