"""Scaling: gains, slopes and best rates along width and length, from made-up records."""

import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_claim, made_up_record, under, words_of

from gammagpt import InitConfig, RunConfig, figures_scaling, frame, readings_rule, readings_scaling
from gammagpt.analysis import along_size, along_size_figures
from gammagpt.claims import judge, load_ledger, paired_interval
from gammagpt.data import DataConfig
from gammagpt.init import implied_gamma
from gammagpt.plots.picture import Picture

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
STARTS = {"gamma 0.5": InitConfig(gamma=0.5), "gamma 1": InitConfig(gamma=1.0),
          "std 0.02": InitConfig(None, 0.02)}  # fmt: skip
WIDTHS, LENGTHS, RATES = (32, 64, 128), (200, 400, 800), (0.001, 0.002, 0.004, 0.008, 0.016)
QUESTIONS = {"common": ((0.002,), (0, 1, 2)), "tuned": ((0.004,), (0, 1, 2)),
         "tuning": (RATES, (1000,))}  # fmt: skip
SLOPES = {"gamma 0.5": -0.05, "gamma 1": -0.08, "std 0.02": -0.06}
GATE = {"gate": True, "norm_eps": 1e-12}
NOTHING = pd.DataFrame()


def best_rate(start, width) -> float:
    """0.004 at width 64; it falls as the standard deviation does."""
    fall = STARTS[start].gamma or 0.0
    return 0.004 * (width / 64) ** -fall


def law(start, relaxed, width, steps, role, rate, seed) -> float:
    """A power of width and of length, steeper for a small start, and by 0.01 more if relaxed.

    Seeds differ in level, and by a thousandth in slope. A tuning run pays for a wrong rate.
    """
    slope = SLOPES[start] - 0.01 * (relaxed and start == "gamma 1") + 0.001 * (seed % 3)
    loss = (5 + 0.1 * (seed % 3)) * (width / 32) ** slope * (steps / 400) ** slope
    return loss + 0.05 * math.log2(rate / best_rate(start, width)) ** 2 * (role == "tuning")


def rows(widths=WIDTHS, steps=(400,), starts=tuple(STARTS), relaxed=(False,), roles=QUESTIONS,
         seeds=None, loss=law, resolved=True) -> pd.DataFrame:  # fmt: skip
    """What a study collects; a loss of inf is a diverged run."""
    parts = []
    for role in roles:
        rates, role_seeds = QUESTIONS[role]
        records, names = [], []
        for width, start, gated, count in [(w, s, g, c) for g in relaxed for c in steps
                                           for w in widths for s in starts]:  # fmt: skip
            name = f", width {width}" * (len(widths) > 1 or len(steps) == 1)
            name += ", relaxed" * gated + f", {count} steps" * (len(steps) > 1)
            for rate in rates:
                for seed in seeds if seeds is not None and role != "tuning" else role_seeds:
                    value = loss(start, gated, width, count, role, rate, seed)
                    model = replace(BASE.model, width=width, **(GATE if gated else {}))
                    config = replace(
                        BASE, model=model, init=STARTS[start], steps=count, seed=seed,
                        optim=replace(BASE.optim, learning_rate=rate),
                    )  # fmt: skip
                    curve = [[0, 7.0], [count, value]] if math.isfinite(value) else [[0, 7.0]]
                    ended = value if math.isfinite(value) else None
                    records.append(made_up_record(config, ended, curve=curve))
                    names.append(start + name)
        parts.append(frame(records).assign(setting=names, role=role, resolved=resolved))
    return pd.concat(parts, ignore_index=True)


def of_width(**changes) -> pd.DataFrame:
    return rows(**changes)


def of_relaxed(**changes) -> pd.DataFrame:
    return rows(**{"starts": ("gamma 0.5", "gamma 1"), "relaxed": (False, True)} | changes)


def of_length(**changes) -> pd.DataFrame:
    return rows(**{"widths": (64,), "steps": LENGTHS, "starts": ("gamma 0.5", "gamma 1")} | changes)


def of_depth(**changes) -> pd.DataFrame:
    """The law of the width, for layers."""
    runs = rows(**{"starts": ("gamma 0.5", "gamma 1")} | changes)
    return runs.assign(n_layer=runs.width // 32, width=64)


def of_eps(**changes) -> pd.DataFrame:
    runs = rows(**{"starts": ("gamma 0.5", "gamma 1")} | changes)
    return runs.assign(stands_for=10.0 * runs.width, width=64)


def rates_of(runs, axis="width", relaxed=False) -> Picture:
    return figures_scaling.best_rates({"width, as usual": (runs, axis, relaxed)}, "laptop")


FRAMES = {"width": of_width, "fresh": lambda **changes: of_width(**{"widths": (32, 128)} | changes),
          "length": of_length, "relaxed": of_relaxed, "best_rates": of_width, "depth": of_depth,
          "biting": of_eps}
MAKE = {
    "width": lambda runs: scaling.width(runs, "laptop"),
    "fresh": lambda runs: scaling.fresh(runs, "laptop"),
    "length": lambda runs: scaling.length(runs, "laptop"),
    "relaxed": lambda runs: along_size_figures.relaxed(runs, "laptop"),
    "best_rates": rates_of,
    "depth": lambda runs: scaling.depth(runs, "laptop"),
    "biting": lambda runs: scaling.biting(runs, "laptop"),  # chapter 9's
}


@cache
def made(name: str) -> Picture:
    return MAKE[name](FRAMES[name]())


def is_drawn(picture) -> bool:
    """And no number that does not exist is told."""
    for mark in ";,.()[]":
        picture = replace(picture, alt=picture.alt.replace(mark, " "))
    assert not {"nan", "inf", "+inf", "-inf", "+nan"} & set(picture.alt.split()), picture.alt
    return ElementTree.fromstring(picture.svg()).tag.endswith("svg")


def diverging(start, seed, where=lambda width, steps: True):
    """The law, but for runs of one start and seed, which diverge."""

    def loss(*point):
        hit = point[0] == start and point[-1] == seed and where(*point[2:4])
        return math.inf if hit else law(*point)

    return loss


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures_scaling).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert {name for name in functions if name[0] != "_"} - {"nothing"} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_has_ink_for_both_grounds_words_and_provenance(name):
    words = words_of(lambda: MAKE[name](FRAMES[name]()))
    assert any(label in words for label in ("nats per token", "best peak learning rate"))


def test_the_anchors_are_those_that_the_ledger_names():
    asked = {claim.figure for claim in load_ledger() if claim.notebook == "13_scaling"}
    drawn = {made(name).anchor for name in MAKE}
    drawn |= {"fig-scaling-freed", "fig-scaling-slow", "fig-scaling-patient"}  # by other names
    assert asked == drawn - {"fig-scaling-rates", "fig-biting"}


def test_nothing_is_extrapolated_along_depth_or_epsilon():
    assert "extrapolat" in made("width").alt and "extrapolat" in made("width").caption
    for name, place in {"depth": "at 4 layers", "biting": "an epsilon as at width 1,280"}.items():
        assert "extrapolat" not in made(name).alt + made(name).caption
        assert place in made(name).alt


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_without_runs_says_so(name):
    assert MAKE[name](NOTHING).alt.startswith("Nothing is shown")
    lost = FRAMES[name](loss=lambda *point: math.inf)
    assert MAKE[name](lost).alt.startswith("Nothing is shown")


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize(
    "changes",
    [{"roles": ["common"]}, {"roles": ["tuned", "tuning"], "seeds": (1,)},
     {"starts": ("gamma 0.5",)}, {"starts": ("gamma 1", "std 0.02"), "resolved": False}],
    ids=str,
)  # fmt: skip
def test_a_figure_of_few_runs_is_drawn(name, changes):
    assert is_drawn(MAKE[name](FRAMES[name](**changes)))


@pytest.mark.parametrize("name", ["width", "relaxed", "best_rates"])
def test_a_figure_of_one_width_is_drawn(name):
    assert is_drawn(MAKE[name](FRAMES[name](widths=(64,))))


@pytest.mark.parametrize("name", ["width", "length", "relaxed"])
@pytest.mark.parametrize("start", ["gamma 0.5", "gamma 1"])
def test_a_diverged_run_is_counted_and_never_called_a_number(name, start):
    picture = MAKE[name](FRAMES[name](loss=diverging(start, 1)))
    assert is_drawn(picture)
    assert "diverged)" in under(picture) and "(a run diverged)" in picture.alt


def test_where_seeds_are_missing_or_only_a_fixed_std_is_there_a_figure_is_drawn():
    runs = of_width()
    assert is_drawn(scaling.width(runs[(runs.width < 128) | (runs.seed == 0)], "laptop"))
    assert is_drawn(scaling.width(of_width(starts=("std 0.02",)), "laptop"))


def test_without_relaxed_runs_there_is_no_change_to_show():
    assert along_size_figures.relaxed(of_width(), "laptop").alt.startswith("Nothing is shown")


def test_two_points_are_no_law_and_nothing_is_extrapolated():
    picture = made("fresh")
    assert "extrapolat" not in picture.alt + under(picture)
    assert "extrapolat" in made("width").alt and "extrapolat" in made("width").caption


def test_one_width_is_no_line_and_nothing_is_extrapolated():
    picture = scaling.width(of_width(widths=(64,)), "laptop")
    assert "xtrapolat" not in picture.alt + under(picture)
    assert "extrapolation" not in picture.svg().decode()
    assert "extrapolation" in made("width").svg().decode()
    assert "extrapolation to 2 times the largest" in made("width").caption


# ---- numbers, computed once more ---------------------------------------------------------------


def by_hand(runs, setting, role="common") -> np.ndarray:
    """Losses of a setting in order of the seeds, without the code under test."""
    chosen = runs[(runs.role == role) & (runs.setting == setting)]
    return chosen.sort_values("seed").loss.to_numpy()


def test_the_gains_in_the_alt_text_are_differences_of_the_runs():
    runs = of_width()
    for width in WIDTHS:
        gain = (by_hand(runs, f"gamma 0.5, width {width}")
                - by_hand(runs, f"gamma 1, width {width}"))  # fmt: skip
        mean, low, high = paired_interval(list(gain), 0.95)
        said = f"{mean + 0.0:+.3f} [{low + 0.0:+.3f}, {high + 0.0:+.3f}] at width {width}"
        assert said.replace("-0.000", "+0.000") in made("width").alt


@pytest.mark.parametrize("role", ["common", "tuned"])
@pytest.mark.parametrize("over", ["gamma 0.5", "std 0.02"])
def test_growth_is_what_the_ledger_judges(role, over):
    runs, sides = of_width(), [f"{over}, width 128", "gamma 1, width 128"]
    comparison = {"baseline": sides[0], "treatment": sides[1], "learning_rate": role,
                  "against": [side.replace("128", "32") for side in sides]}  # fmt: skip
    verdict = judge(made_up_claim(comparison=comparison), runs, "laptop")
    found = along_size.gains(runs, over=over)
    change = along_size.growth(found[(found.role == role) & (found.init == "gamma 1")])
    assert list(change) == pytest.approx([pair[-1] for pair in verdict.pairs])


@pytest.mark.parametrize("role", ["common", "tuned"])
def test_what_is_released_is_what_the_ledger_judges(role):
    runs, sides = of_relaxed(), ["gamma 0.5, width 128", "gamma 1, width 128"]
    comparison = {"baseline": f"{sides[0]}, relaxed", "treatment": f"{sides[1]}, relaxed",
                  "against": sides, "learning_rate": role}  # fmt: skip
    verdict = judge(made_up_claim(comparison=comparison), runs, "laptop")
    found = along_size.released(runs)
    mine = found[(found.role == role) & (found.x == 128)]
    assert mine.change.mean() == pytest.approx(verdict.effect) and verdict.effect > 0
    assert f"change {readings.interval(found[(found.role == role)].change[:3])}" in \
        made("relaxed").alt  # fmt: skip


def test_a_power_law_is_found_with_its_slopes_and_goes_on_beyond_its_points():
    found = along_size.lines(of_width())
    line = found["common", False, "gamma 1"]
    assert list(line.slopes) == pytest.approx([-0.08, -0.079, -0.078])
    losses = [law("gamma 1", False, 256, 400, "common", 0.002, seed) for seed in range(3)]
    assert line.at(256)[0] == pytest.approx(np.mean(losses))
    assert f"extrapolated {np.mean(losses):.3f} [" in made("width").alt
    table = readings_scaling.slopes(of_width()).set_index(["question", "setting"])
    row = table.loc["at one learning rate", "gamma 1"]
    assert row.slope.startswith("-0.079 [") and row.steeper == "+0.030 [+0.030, +0.030]"
    assert row.missed.startswith(("+0.000", "-0.000")) and row.points == 3


def test_a_floor_makes_a_line_miss_its_last_point():
    runs = of_width(loss=lambda *point: 3 + law(*point) ** 8 / 1e5)
    points = along_size.along(runs)
    mine = points[(points.role == "common") & (points.init == "gamma 1")]
    assert readings_scaling.missed(mine)[1] > 0
    assert "6 end higher than their line, 0 lower" in readings.missed_in_words(runs)
    assert readings_scaling.missed(mine[mine.width > 32]) is None
    assert "too few points" in readings.missed_in_words(of_width(widths=(64, 128)))


def test_no_line_goes_through_a_diverged_run():
    runs = of_width(loss=diverging("gamma 1", 1, lambda width, steps: width == 32))
    assert {start for _, _, start in along_size.lines(runs)} == {"gamma 0.5", "std 0.02"}
    points = along_size.along(runs)
    assert readings_scaling.missed(points[(points.role == "common") & (points.init == "gamma 1")]) is None
    assert "no more is said" in readings.growth_in_words(runs, "common")[0]


# ---- best rates --------------------------------------------------------------------------------


def test_best_rates_are_found_between_those_of_the_grid():
    best = along_size.best_rates(of_width())
    assert best.resolved.all() and len(best) == 9
    # the loss itself has no slope in the rate, so the parabola's vertex is exact
    assert list(best.best_lr) == pytest.approx([best_rate(s, w) for w in WIDTHS for s in STARTS])
    said = [f"{best_rate('gamma 1', width):.2g} at width {width}" for width in WIDTHS]
    assert f"gamma 1 {', '.join(said)}" in made("best_rates").alt


def test_the_slopes_of_best_rates_stand_beside_those_of_two_ideas():
    table = readings_scaling.rate_slopes(along_size.best_rates(of_width())).set_index("setting")
    for start, init in STARTS.items():
        row = table.loc[start]
        assert row.found == pytest.approx(-(init.gamma or 0), abs=1e-9)
        assert row["by entries"] - row["by spectrum"] == 0.5
        assert row.found == pytest.approx(row["by entries"], abs=1e-9) and row.points == 3


def test_the_two_ideas_of_a_relative_step_are_those_of_a_matrix():
    """Of a matrix of std d^-gamma, and a step whose entries are of one size and in step."""
    rng, sizes = np.random.default_rng(0), {}
    for d in (64, 512):
        matrix, step = rng.standard_normal((d, d)) * d**-0.7, np.ones((d, d))
        sizes[d] = (1 / matrix.std(), np.linalg.norm(step, 2) / np.linalg.norm(matrix, 2))
    grown = np.log(np.divide(sizes[512], sizes[64])) / math.log(8)
    best = pd.DataFrame({"init": "gamma 0.7", "relaxed": False, "gamma": 0.7, "x": [64, 512],
                         "best_lr": [0.01, 0.01], "resolved": True})  # fmt: skip
    row = readings_scaling.rate_slopes(best).iloc[0]  # the rate must fall as a relative step would grow
    assert -grown == pytest.approx([row["by entries"], row["by spectrum"]], abs=0.03)


def test_a_best_rate_at_the_grids_edge_is_not_resolved_nor_in_a_slope():
    runs = of_width(loss=lambda *point: 4 + 0.1 * (point[-2] if point[2] == 128 else law(*point)))
    best = figures_scaling.best_rates(runs)
    assert not best[best.x == 128].resolved.any() and best[best.x == 128].best_lr.eq(RATES[0]).all()
    assert (readings_scaling.rate_slopes(best).points == 2).all()
    assert "0.001 at width 128 (edge)" in rates_of(runs).alt
    assert "-1.0 at width 128 (grid's edge)" in along_size.missed_rates(best, 0.002)


def test_a_grid_that_is_not_whole_has_no_best_rate():
    runs = of_width(roles=["tuning"])
    runs = runs[(runs.learning_rate < 0.01) | (runs.setting != "gamma 1, width 64")]
    best = figures_scaling.best_rates(runs)
    assert len(best) == 8 and not len(best[(best.init == "gamma 1") & (best.x == 64)])


def test_the_common_rate_is_so_many_octaves_too_slow():
    said = along_size.missed_rates(along_size.best_rates(of_width()), 0.002)
    assert "*gamma 1*: +2.0 at width 32, +1.0 at width 64, +0.0 at width 128." in said


def test_panels_of_rates_may_be_of_several_axes():
    panels = {
        "width, relaxed": (of_relaxed(), "width", True),
        "length": (of_length(), "tokens", False),
        "none": (NOTHING, "width", False),
    }
    picture = figures_scaling.best_rates(panels, "laptop")
    assert is_drawn(picture) and "0.41 million tokens" in picture.alt and "none" not in picture.alt


# ---- words -------------------------------------------------------------------------------------


def test_growth_is_worded_whichever_way_it_came_out():
    up, none = readings.growth_in_words(of_width(), "common")
    assert "*gamma 1* over *gamma 0.5*: +0.000 [" in up and "it **grows**" in up
    down = readings.growth_in_words(of_width(), "common", over="gamma 1")
    assert all("it **shrinks**" in line for line in down) and "over *gamma 1*" in down[0]
    noisy = of_length(loss=lambda *point: law(*point) + 0.3 * (point[-1] - 1) * (point[3] == 800)
                      * (point[0] == "gamma 1"))  # fmt: skip
    said = readings.growth_in_words(noisy, "tuned", "tokens")
    assert "no change is told apart" in said[0] and "at 1.6 million tokens" in said[0]
    assert "the only one there" in readings.growth_in_words(of_width(widths=(64,)), "common")[0]
    assert "at the grid's edge" in readings.growth_in_words(of_width(resolved=False), "tuned")[0]
    assert readings.growth_in_words(NOTHING, "common") == []


def test_the_best_start_of_each_width_is_told_with_its_gamma():
    runs = of_width()
    runs["start_of"] = runs.setting.str.partition(", ")[0]
    (_, middle, widest) = readings.lowest_in_words(runs, "tuned")
    means = runs[(runs.role == "tuned") & (runs.width == 128)].groupby("start_of").loss.mean()
    assert widest.startswith(f"- at width 128 *{means.idxmin()}*")
    assert f"{means.min():.3f} nats" in widest
    assert middle.startswith("- at width 64")
    fixed = readings.lowest_in_words(of_width(starts=("std 0.02",)), "common")
    assert "which is gamma 0.81 there" in fixed[-1] and "which is gamma 1.13 there" in fixed[0]
    lost = of_width(loss=lambda *point: math.inf)
    assert readings.lowest_in_words(lost, "common") == []


def test_runs_that_do_not_end_together_are_told():
    def loss(*point):
        falls = point[0] == "gamma 1" and point[2] == 128 and point[-1] == 1
        return 5.5 if falls else 4.0 + 0.01 * (point[-1] % 3)

    runs = of_width(widths=(32, 128), starts=("gamma 0.5", "gamma 1"), roles=("common",), loss=loss)
    said = readings.groups_in_words(runs)
    seeds = runs.seed.nunique()
    assert f"*gamma 1* at width 128, at one learning rate: {seeds - 1} of {seeds} end" in said
    assert "the last ends at 5.50." in said and "Of 3 settings all runs end within" in said
    lost = of_width(roles=("common",), loss=diverging("gamma 1", 1))
    assert "the last ends nowhere: it diverged" in readings.groups_in_words(lost)
    assert readings.groups_in_words(NOTHING) == ""
    assert readings.lowest_in_words(NOTHING, "common") == []


def test_what_relaxing_releases_is_told_width_by_width():
    lines = readings.released_in_words(of_relaxed(), "common")
    assert len(lines) == 3 and lines[0].startswith("- at width 32 by +0.000 [")
    assert readings.released_in_words(of_relaxed(resolved=False), "tuned")[0].endswith("edge.")
    assert readings.released_in_words(NOTHING, "common") == []


def test_a_long_run_is_behind_where_a_short_one_ends():
    lines = readings_scaling.unfinished(of_length())
    curve = [7 + (law("gamma 1", False, 64, 800, "common", 0.002, s) - 7) / 4 for s in range(3)]
    ends = [law("gamma 1", False, 64, 200, "common", 0.002, s) for s in range(3)]
    assert f"differs by {readings.interval(np.subtract(curve, ends))}" in lines[1]
    assert "at step 200 the run of 800 steps" in lines[0]
    assert readings_scaling.unfinished(of_width()) == [] == readings_scaling.unfinished(NOTHING)


def test_what_can_be_known_before_any_training():
    table = readings_scaling.at_widths((64, 1024), (0.5, 1.0), (0.02,), 1e-5).set_index("width")
    assert table.loc[64, "std 0.02 is gamma"] == pytest.approx(implied_gamma(0.02, 64))
    assert table.loc[1024, "RMS, gamma 1"] == pytest.approx(1 / math.sqrt(1 + 1e-5 * 1024**2))
    assert table["RMS, std 0.02"].nunique() == 1  # a fixed std meets epsilon alike at every width
    assert table.loc[64, "RMS, std 0.02"] == pytest.approx(0.02 / math.hypot(0.02, 1e-5**0.5))


def test_empty_frames_give_empty_tables():
    assert not len(readings_scaling.slopes(NOTHING)) and not len(along_size.best_rates(NOTHING))
    assert not len(readings_scaling.rate_slopes(along_size.best_rates(NOTHING)))
    assert along_size.missed_rates(along_size.best_rates(NOTHING), 0.002) == ""
    assert "too few points" in readings.missed_in_words(NOTHING)


@pytest.mark.parametrize(
    ("tuned", "relaxed", "expected"),
    [
        (("supported", 0.3), ("supported", 0.3), ("is favourable", "raises the gain there")),
        (("contradicted", -0.1), ("contradicted", -0.1), ("is unfavourable", "lowers the gain")),
        (("contradicted", 0.005), ("contradicted", 0.005), ("does not grow", "does not raise it")),
        (("not run", math.nan), ("inconclusive", 0.1), ("not decided: why.", "not decided: why.")),
    ],
)
def test_the_answer_follows_the_verdicts(tuned, relaxed, expected):
    def verdict(name, high):
        return SimpleNamespace(verdict=name, high=high, reason="why")

    for common in ("supported", "contradicted"):
        said = readings.answer({"fresh-grows-common": verdict(common, 0.1),
                                "fresh-grows-tuned": verdict(*tuned),
                                "freed-restores-tuned": verdict(*relaxed),
                                "freed-restores-common": verdict(common, 0.1),
                                "freed-wide-tuned": verdict(*relaxed),
                                "slow-wide-tuned": verdict(*tuned),
                                "depth-there-tuned": verdict(*relaxed),
                                "patient-there-tuned": verdict(*tuned)})  # fmt: skip
        assert all(words in said for words in expected)
        assert ("At one learning rate relaxing" in said) == (common == "supported")
        for what, (found, _) in (("both relaxed", relaxed), ("a longer warm-up", tuned),
                                 ("eight layers and a longer warm-up", tuned)):  # fmt: skip
            told = readings.AHEAD.get(found)
            assert (f"With {what}, " in said) == (told is not None)
            assert told is None or f"With {what}, {told}." in said
        disagree = {common, tuned[0]} == {"supported", "contradicted"}
        assert ("The two questions disagree" in said) == disagree
