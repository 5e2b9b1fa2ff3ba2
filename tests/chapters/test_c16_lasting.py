"""Long trainings: what a lead is worth, and what the chapter says of its verdicts."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.chapters.c16_lasting import numbers
from gammagpt.data import DataConfig

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
STARTS = {"gamma 0.5": InitConfig(gamma=0.5), "gamma 1": InitConfig(gamma=1.0)}
SLOPE, LEAD = -0.1, 0.05  # of ln loss on ln tokens; of ln loss, by which gamma 1 is ahead


def rows(lengths=(400, 3200), seeds=(40, 41, 42), resolved=True) -> pd.DataFrame:
    """A power law for both gammas, one of them ahead by a factor; seeds differ in level."""
    parts = []
    for role in ("common", "tuned"):
        for name, init in STARTS.items():
            for steps in lengths:
                configs = [replace(BASE, init=init, steps=steps, seed=seed) for seed in seeds]
                ahead = math.exp(-LEAD * (name == "gamma 1"))
                level = ahead * (steps / 400) ** SLOPE
                losses = [(5 + 0.1 * (seed % 4)) * level for seed in seeds]
                made = frame([made_up_record(*pair) for pair in zip(configs, losses, strict=True)])
                made["setting"], made["role"] = f"{name}, {steps} steps", role
                parts.append(made.assign(resolved=resolved))
    return pd.concat(parts, ignore_index=True)


def test_a_lead_is_worth_the_training_that_the_usual_start_would_need_for_it():
    found = numbers.worth(rows())
    assert set(found.init) == {"gamma 1"} and len(found) == 2 * 3
    assert np.allclose(found.factor, math.exp(LEAD / -SLOPE))


def test_lengths_are_told_in_tokens_per_parameter_and_in_passes():
    configs = [replace(BASE, steps=steps) for steps in (3200, 400, 400)]
    table = numbers.lengths(configs, weights=1000, text=BASE.tokens)
    assert list(table.steps) == [400, 3200]
    assert list(table["tokens per parameter"]) == [c / 1000 for c in table.tokens]
    assert table["passes of the text"].iloc[0] == pytest.approx(1)


def verdicts(**given) -> dict:
    """{claim id: verdict}; 'contradicted' has its interval below zero, 'no gain' just no margin."""
    names = ("there-common", "there-tuned", "grows-common", "grows-tuned")
    said = {name: given.get(name.replace("-", "_"), "inconclusive") for name in names}
    return {
        f"lasting-{name}": SimpleNamespace(
            verdict="contradicted" if word == "no gain" else word, reason="so it is",
            high=-0.1 if word == "contradicted" else 0.005,
        )
        for name, word in said.items()
    }
