"""Long trainings: what a lead is worth, and what the chapter says of its verdicts."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, words_of

from gammagpt import InitConfig, RunConfig, frame, readings_lasting
from gammagpt.analysis import gains as gain_tables
from gammagpt.data import DataConfig

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
STARTS = {"gamma 0.5": InitConfig(gamma=0.5), "gamma 1": InitConfig(gamma=1.0)}
SLOPE, LEAD = -0.1, 0.05  # of ln loss on ln tokens; of ln loss, by which gamma 1 is ahead


def rows(lengths=(400, 3200), seeds=(40, 41, 42), resolved=True) -> pd.DataFrame:
    """A power law for both starts, one of them ahead by a factor; seeds differ in level."""
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
    found = readings_lasting.worth(rows())
    assert set(found.init) == {"gamma 1"} and len(found) == 2 * 3
    assert np.allclose(found.factor, math.exp(LEAD / -SLOPE))


def test_the_worth_in_words_has_an_interval_and_names_an_edge():
    said = readings.worth_in_words(rows())
    factor = f"{math.exp(LEAD / -SLOPE):.3f}"
    assert len(said) == 2 and all(f"*gamma 1*: {factor} [{factor}, {factor}]" in s for s in said)
    assert all("grid's edge" in line for line in readings.worth_in_words(rows(resolved=False)))


def test_a_forgiving_valley_has_many_rates_near_its_bottom():
    one = rows(lengths=(400,), seeds=(1005,)).assign(role="tuning")
    steep = np.where(one.setting.str.startswith("gamma 1"), 1, 9)
    runs = pd.concat([one.assign(learning_rate=rate, loss=4 + far * steep)
                      for rate, far in ((0.002, 0.09), (0.004, 0.0), (0.008, 0.05))])  # fmt: skip
    assert readings.forgiving_in_words(runs) == [
        "- *gamma 0.5, 400 steps*: 1 of 3, 0.004 alone.",
        "- *gamma 1, 400 steps*: 3 of 3, 0.002 to 0.008.",
    ]
    assert readings.forgiving_in_words(runs.iloc[:0]) == []


def test_one_length_tells_no_worth():
    assert readings.worth_in_words(rows(lengths=(400,))) == []
    assert readings.worth_in_words(rows().iloc[:0]) == []


def test_lengths_are_told_in_tokens_per_parameter_and_in_passes():
    configs = [replace(BASE, steps=steps) for steps in (3200, 400, 400)]
    table = readings_lasting.lengths(configs, weights=1000, text=BASE.tokens)
    assert list(table.steps) == [400, 3200]
    assert list(table["tokens per parameter"]) == [c / 1000 for c in table.tokens]
    assert table["passes of the text"].iloc[0] == pytest.approx(1)


def test_the_ends_name_the_longest_length_and_both_questions():
    said = gain_tables.ends(rows())
    assert said.startswith("After 6.6 million tokens: ") and said.count("gamma 0.5 ") == 2
    assert gain_tables.ends(rows().iloc[:0]) == ""


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
    }  # fmt: skip


@pytest.mark.parametrize(
    "given, words",
    [
        ({"there_tuned": "supported"}, "It lasts"),
        ({"there_tuned": "contradicted"}, "It turns round"),
        ({"there_tuned": "no gain"}, "It does not last"),
        ({}, "not decided**: so it is"),
        ({"there_tuned": "not run"}, "nobody has trained"),
        ({"there_tuned": "supported", "grows_tuned": "contradicted"}, "gain has shrunk"),
        ({"there_tuned": "supported", "grows_tuned": "supported"}, "gain has grown"),
        ({"there_tuned": "supported", "grows_tuned": "no gain"}, "has not grown by as much"),
        ({"there_tuned": "no gain", "there_common": "supported"}, "say the opposite"),
        ({"there_tuned": "supported", "there_common": "contradicted"}, "common rate hides it"),
    ],
)
def test_the_answer_follows_the_verdicts(given, words):
    assert words in readings.answer(verdicts(**given))


def test_the_figure_shows_both_lengths():
    words = words_of(lambda: figures_scaling.length(rows(), "laptop", "fig-lasting"))
    assert "training tokens (millions)" in words and "0.82" in words and "6.6" in words
