"""The grammar of figures: what a panel says is what its table holds, and it is drawn alike."""

import math

import numpy as np
import pandas as pd
import pytest

from gammagpt.ledger.estimate import Estimate, number
from gammagpt.plots import Bars, Curves, Estimates, Ways, compose
from gammagpt.plots.curves import highest, lowest


def seeds(value, name="gamma 1", x=32, count=3):
    return [(name, x, seed, value + 0.01 * (seed - 1)) for seed in range(count)]


def table(*groups):
    return pd.DataFrame([row for group in groups for row in group],
                        columns=["setting", "x", "seed", "y"])


TABLE = table(seeds(4.5, "gamma 0.5"), seeds(4.0), seeds(4.25, "gamma 0.5", 64), seeds(3.5, x=64))
PANELS = {
    "estimates": Estimates(table=TABLE, x="x", y="y", hue="setting", log=2, line=True, zero=4),
    "rows": Estimates(table=TABLE, x="setting", y="y", upright=False),
    "curves": Curves(table=TABLE),
    "ways": Ways(table=TABLE.assign(key=TABLE.setting + TABLE.seed.astype(str), role="common")),
    "bars": Bars(table=TABLE.pivot_table("y", "setting", "x").rename(columns=str)),
}


def test_an_estimate_is_students_interval_in_one_format():
    estimate = Estimate.of([0.10, 0.12, 0.14])
    half = 4.302652729749464 * 0.02 / math.sqrt(3)  # the quantile of t with two degrees of freedom
    assert estimate == pytest.approx((0.12, 0.12 - half, 0.12 + half))
    assert f"{estimate:+.2f}" == "+0.12 [+0.07, +0.17]" and estimate.sign == 1
    assert f"{Estimate(0.5)}" == "0.500" and f"{Estimate.of([1, math.inf])}" == "not known"
    assert number(-0.0001, "+.2f") == "+0.00" and number(-0.0001, ".2f") == "0.00"


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_is_drawn_the_same_each_time(name):
    def make():
        return compose("fig", "Losses", [PANELS[name]])

    assert make().svg("dark") == make().svg("dark") != make().svg("light")
    assert make().alt.startswith("Losses. ") and make().alt.endswith(".")


def test_estimates_say_the_means_and_intervals_of_their_table():
    words = PANELS["estimates"].describe()
    assert words.startswith("gamma 0.5 4.500 [4.475, 4.525] at x 32, 4.250")
    plain = Estimates(table=TABLE, x="x", y="y", hue="setting", interval=False)
    assert plain.describe() == ("gamma 0.5 4.500 at x 32, 4.250 at x 64; "
                                "gamma 1 4.000 at x 32, 3.500 at x 64")


def test_a_group_with_a_run_that_diverged_has_no_mean_and_an_edge_is_named():
    lost = TABLE.assign(y=TABLE.y.where(TABLE.index != 0, math.inf), resolved=TABLE.x == 32)
    words = Estimates(table=lost, x="x", y="y", hue="setting", form=".1f").describe()
    assert words.startswith("gamma 0.5 not known at x 32, 4.2") and "(edge)" in words


def test_curves_say_where_they_end_and_where_they_turn():
    steps = pd.DataFrame([("a", seed, x, y) for seed in (0, 1) for x, y in
                          ((0, 12.0), (4, 3.0), (20, 7.5))], columns=["setting", "seed", "x", "y"])
    assert Curves(table=steps).describe() == "a 7.50"
    words = Curves(table=steps, tell=lowest, form=".1f").describe()
    assert words == "a 12.0 at the start, lowest 3.0 at step 4, 7.5 at the end"
    assert "highest 12.0 at step 0" in Curves(table=steps, tell=highest, form=".1f").describe()


def test_a_run_that_ended_early_is_left_out_of_the_mean_of_its_curve():
    early = pd.DataFrame([("a", 0, 0, 5.0), ("a", 0, 1, 4.0), ("a", 1, 0, 9.0)],
                         columns=["setting", "seed", "x", "y"])
    assert Curves(table=early).describe() == "a 4.00"


def test_bars_say_what_has_no_bar():
    bars = Bars(table=pd.DataFrame({"half": [0.1, np.nan], "twice": [np.inf, 0.2]}, ["a", "b"]),
                missing="beyond the grid")
    assert bars.describe() == "a 0.10 and a divergence; b beyond the grid and 0.20"


def test_a_figure_of_empty_panels_says_that_nothing_is_shown():
    picture = compose("fig", "Losses", [Estimates(table=TABLE[:0], x="x", y="y")])
    assert picture.alt.startswith("Nothing is shown") and compose("fig", "", [[]]).svg()
