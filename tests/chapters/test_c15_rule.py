"""The rule beside other initializations: what is drawn, and the price of a wrong rate."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from helpers import refusal

from gammagpt.chapters.c15_rule import figures, numbers
from gammagpt.gpt.config import InitConfig
from gammagpt.registry.studies import study

RATES = (0.5, 0.71, 1.0, 1.4, 2.0)


def runs_of(bottom: float, steep: float = 0.3) -> pd.DataFrame:
    """A setting's tuning, a parabola in log2 of the rate with its bottom so many octaves off the
    best rate of the grid; and its compared runs there."""
    rows = [{"setting": "gamma 1", "role": "tuning", "seed": seed, "key": f"{seed}{factor}",
             "learning_rate": 0.008 * factor,
             "loss": 4 + steep * (math.log2(factor) - bottom) ** 2}
            for seed in (300, 301) for factor in RATES]
    rows += [{"setting": "gamma 1", "role": "tuned", "seed": seed, "key": f"{seed}",
              "learning_rate": 0.008, "loss": 4.0} for seed in (310, 311)]
    return pd.DataFrame(rows).assign(collapsed=False, resolved=True)


@pytest.mark.parametrize("bottom", [-0.2, 0.0, 0.2])
def test_the_mean_of_both_sides_does_not_depend_on_where_the_grid_lies(bottom):
    row = numbers.factor_of_two(runs_of(bottom)).loc["gamma 1"]
    assert row["mean of both"] == pytest.approx(0.3)
    assert row["twice the rate"] == pytest.approx(0.3 * (1 - 2 * bottom))
    assert row["half the rate"] == pytest.approx(0.3 * (1 + 2 * bottom))


def test_beyond_the_grid_nothing_is_known_and_a_divergence_is_no_number():
    runs = runs_of(0.0)
    short = runs[~((runs.role == "tuning") & (runs.learning_rate > 0.012))]
    row = numbers.factor_of_two(short).loc["gamma 1"]
    assert math.isnan(row["twice the rate"]) and math.isnan(row["mean of both"])
    lost = runs.assign(loss=runs.loss.where(runs.learning_rate < 0.012, math.inf))
    assert numbers.valleys(lost).above.isna().sum() == 2  # both seeds at the largest rate


def test_without_runs_there_are_no_valleys_and_the_figures_say_so():
    none = runs_of(0.0)[:0]
    assert list(numbers.valleys(none).columns) == numbers.VALLEY
    assert "Nothing is shown" in figures.price(none, "night").alt
    assert "Nothing is shown" in figures.rule(none, "night", "gamma 1").alt


def test_every_initialization_of_the_page_is_drawn_as_its_rule_says():
    settings = study("practice", "smoke").settings
    table = numbers.drawn(settings)
    assert list(table) == list(settings) and len(settings) == 6
    width = next(iter(settings.values())).model.width
    assert table.loc["embedding.weight", "gamma 1"] == pytest.approx(1 / width, rel=0.1)
    tiny = table.loc["embedding.weight", "gamma 0.5, embedding 2.35"]
    assert tiny == pytest.approx(width**-2.35, rel=0.1)


def test_a_matrix_that_is_not_drawn_as_its_rule_says_is_refused(monkeypatch):
    run = study("practice", "smoke").settings["gamma 1"]
    other = replace(run, init=InitConfig(gamma=0.5))
    built = numbers.build_model
    monkeypatch.setattr(numbers, "build_model", lambda config: built(other))
    assert "is not drawn as its rule says" in refusal(numbers.drawn, {"gamma 1": run})
