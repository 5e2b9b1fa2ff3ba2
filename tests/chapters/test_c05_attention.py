"""Figures of attention, from made-up geometry: what they say, and where runs lack something."""

import pandas as pd
import pytest
from helpers import words_of
from probed import GAMMAS, OTHER_TASKS, rows

from gammagpt.chapters.c05_attention import figures
from gammagpt.project import tier_parameters

GPT = rows("gpt")
MAKERS = {"fig-average": figures.averaging, "fig-maps": figures.first_maps,
          "fig-value": figures.value_direction, "fig-key": figures.attention_from_last}


@pytest.mark.parametrize("tier", ["smoke", "laptop", "night", "gpu"])
def test_its_parameters_are_chapter_4s_since_it_reads_those_runs(tier):
    pages = tier_parameters(tier)
    assert pages["05_attention"] == pages["04_embeddings"]


@pytest.mark.parametrize("anchor", MAKERS)
def test_every_figure_is_drawn_in_both_inks_and_told(anchor):
    assert words_of(lambda: MAKERS[anchor](GPT, "laptop"))
    assert MAKERS[anchor](GPT, "laptop").anchor == anchor


@pytest.mark.parametrize("anchor", MAKERS)
def test_without_runs_a_figure_says_so(anchor):
    for runs in (pd.DataFrame(), GPT.assign(role="tuning"), rows("gpt", loss=None)):
        assert MAKERS[anchor](runs, "laptop").alt.startswith("Nothing is shown")


@pytest.mark.parametrize("tasks", OTHER_TASKS)
@pytest.mark.parametrize("anchor", MAKERS)
def test_other_tasks_than_the_books_are_drawn_as_far_as_they_can_be(anchor, tasks):
    alt = MAKERS[anchor](rows("gpt", tasks=OTHER_TASKS[tasks]), "laptop").alt
    assert "nan" not in alt.split() and alt.endswith(".")


def test_distances_are_those_of_the_start_of_early_and_of_the_end():
    alt = figures.averaging(GPT, "laptop").alt
    early = GPT.average_distance_early.mean()
    assert "At the start: 0.04 at gamma 0.3" in alt and f"early: {early:.2f} at gamma 0.3" in alt
    assert "At the end: gamma 0.3 0.44" in alt


def test_who_never_gets_early_has_no_early_map_and_no_early_mean():
    never = rows("gpt", left=8.0)
    assert "not known at gamma 0.5" in figures.averaging(never, "laptop").alt
    alt = figures.first_maps(never, "laptop").alt
    assert "Gamma 0.5 start: 0.00" in alt and "early" not in alt


def test_the_bars_are_of_the_settings_of_the_claims_and_say_what_the_key_gets():
    alt = figures.attention_from_last(GPT, "laptop").alt
    assert "0.40 in layer 2, reasoning" in alt and "0.10 in layer 1, memory" in alt
    assert "The key, reasoning: 0.40 at gamma 0.3" in alt.replace("the key", "The key")
    assert "gamma 0.8: 0.10 in layer 1" in alt and "gamma 0.3: 0.10 in layer 1" not in alt


def test_the_size_of_scores_stands_beside_the_formula():
    fresh = pd.DataFrame([{"gamma": g, "seed": s, "score_std": 2 * 16 ** (1 - 2 * g),
                           "formula": 16 ** (1 - 2 * g), "distance": 0.5}
                          for g in GAMMAS for s in (1, 2)])
    alt = figures.scores(fresh).alt
    assert "6.063 (by the formula 3.031) at gamma 0.3" in alt
