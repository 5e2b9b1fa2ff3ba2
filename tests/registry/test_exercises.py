"""Exercises: right is right, wrong gets a hint that gives nothing away, and none is orphaned."""

import ast
import inspect
import math
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import runner

from gammagpt import UserError, project
from gammagpt.analysis import label_losses
from gammagpt.chapters.c10_condensation import figures
from gammagpt.data.anchors import AnchorConfig
from gammagpt.gpt.model import RMSNorm
from gammagpt.ledger.exercise_kinds import Choice, Function, Number, Several
from gammagpt.registry.exercises import Feedback, all_exercises, check, find

NAMES = list(all_exercises())
NOTEBOOKS = sorted((project.root() / "notebooks").glob("*.ipynb"))
RATES = [0.001, 0.002, 0.004, 0.008, 0.016]
WIDTH = 64
CALL = r'check\("([^"]+)"'


def cells(path) -> list:
    return [c for c in nbformat.read(path, as_version=4).cells if runner.tagged(c, "exercise")]


CELLS = {
    re.search(CALL, cell.source)[1]: cell.source
    for path in NOTEBOOKS for cell in cells(path)
}


@pytest.fixture(scope="module")
def page() -> dict:
    """What pages pass on: made-up runs whose best rate falls by half of the gamma's."""
    rows = []
    for gamma in (0.5, 1.0):
        best = math.log2(0.008) - 0.5 * (gamma - 0.5) * math.log2(WIDTH)
        for rate in RATES:
            loss = 4 + 0.1 * (math.log2(rate) - best) ** 2
            rows += [(f"gamma {gamma:g}, warm-up 0.3", rate, loss) for _ in range(2)]
    return {"curves": pd.DataFrame(rows, columns=["setting", "learning_rate", "loss"])}


def needed(exercise, page) -> dict:
    return {name: page[name] for name in exercise.needs}


# ---- every exercise ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_answer_is_right(name, page):
    given = needed(find(name), page)
    assert check(name, find(name).answer(**given), **given) == Feedback(name, "right")


@pytest.mark.parametrize("name", NAMES)
def test_plausible_mistakes_are_wrong_and_their_hints_keep_the_answer(name, page):
    exercise = find(name)
    given = needed(exercise, page)
    right = exercise.answer(**given)
    wrong = exercise.mistakes(**given) + [(answer, "") for answer in others(exercise, right)]
    assert len(wrong) > 1
    for answer, hint in wrong:
        found = check(name, answer, **given)
        assert found.state == "wrong" and len(found.hint) > 10
        assert hint in found.hint and not reveals(found.hint, right)


def others(exercise, right) -> list:
    """Wrong answers that the exercise has no hint of its own for."""
    if isinstance(exercise, Number):
        return [right * 1.3 + 0.1, right / 1.3 - 0.1]
    if isinstance(exercise, Several):
        return [set(), right | {99}, set(list(right)[1:])]
    if isinstance(exercise, Choice):
        return ["something else"]
    return [lambda *a, **k: None, lambda *a, **k: 1 / 0, 12]


def reveals(hint: str, right) -> bool:
    """Whether a hint holds the answer; of a choice, an offer of all options does not count."""
    if isinstance(right, str):
        return right in hint and not hint.startswith("Choose one of")
    if isinstance(right, float | int):
        numbers = map(float, re.findall(r"(?<![\w.^])-?\d+\.?\d*", hint))
        return any(math.isclose(number, right, rel_tol=0.02) for number in numbers)
    return isinstance(right, set) and str(right) in hint


@pytest.mark.parametrize("name", NAMES)
def test_the_placeholder_is_not_answered_yet(name):
    assert check(name, ...).state == "not answered yet"
    if isinstance(find(name), Function):
        assert check(name, lambda *given: ...).state == "not answered yet"


@pytest.mark.parametrize("name", NAMES)
def test_nonsense_is_wrong_and_no_error(name, page):
    given = needed(find(name), page)
    for nonsense in (None, "nonsense", math.nan, [[1]]):
        assert check(name, nonsense, **given).state == "wrong"


@pytest.mark.parametrize("name", [n for n in NAMES if isinstance(find(n), Number)])
def test_a_number_that_is_nearly_right_is_said_to_be_close(name, page):
    """Unless it is somebody's mistake, which then says more."""
    given = needed(find(name), page)
    near = find(name).answer(**given) * (1 + 2 * find(name).tolerance)
    hint = check(name, near, **given).hint
    assert hint.startswith("It is close") or hint in [h for _, h in find(name).mistakes(**given)]


@pytest.mark.parametrize("name", NAMES)
def test_the_key_is_the_answer_as_text_where_there_is_one_without_a_page(name):
    exercise, key = find(name), find(name).key()
    if exercise.needs or callable(exercise.answer()):
        assert key is None
    else:
        given = key if isinstance(exercise, Choice) else ast.literal_eval(key)
        assert check(name, given).state == "right" and "(" not in key


# ---- single ones, held against what they are about ---------------------------------------------


def test_the_width_of_exercise_3_does_halve_what_a_norm_puts_out():
    import torch

    width = round(find("01.3").answer())
    rows = torch.randn(200, width, generator=torch.Generator().manual_seed(0)) / width
    out = RMSNorm(width, eps=1e-6)(rows).square().mean().sqrt().item()
    assert out == pytest.approx(0.5, rel=0.01)


def test_a_rounded_answer_is_no_wrong_method():
    assert "close" in check("01.2", 0.0022).hint
    assert "per cent" in check("06.1", 25).hint
    assert "held out" in check("14.1", 0.74).hint  # close, but a mistake that has a name


def test_the_price_of_being_blind_is_that_of_a_table_with_hardly_two_equal_labels():
    """There a few labels do coincide, so it is a little less."""
    data = AnchorConfig(keys="61..1060", tasks="memory 1..8 random", held_out="", anchors=3,
                        vocab_size=1200)
    drawn = label_losses.blind_losses(data, seed=0)["memory"]
    assert 0.99 < drawn / find("03.2").answer() < 1


def test_a_cosine_is_three_deviations_above_chance_from_the_width_of_the_solution_on():
    text = "\n".join(c.source for c in nbformat.read(NOTEBOOKS[4], as_version=4).cells)
    width = int(re.search(r"a width of (\d+) or more", text)[1])

    def above(d):
        mean = find("05.4").answer()(d)
        return (0.3 - mean) / math.sqrt(1 / d - mean**2)

    assert above(width) > 3 > above(width - 2)


def test_the_picture_of_an_update_halves_the_rank_where_the_exercise_says():
    gammas = (0.5, 0.8, 1.0)
    alt = figures.one_update(WIDTH, gammas, 0.002).alt
    read = [float(part.split(" ")[0].strip(",.")) for part in alt.split(" at ")[1:]]
    right = [find("10.1").answer()(WIDTH**-g, WIDTH) for g in gammas]
    assert read == pytest.approx(right, rel=0.1)


@pytest.mark.parametrize("at", [0.03, 0.05, 0.5])
def test_where_a_rank_is_halved_does_not_depend_on_the_grid(at):
    """A rank that falls along a line in the logarithm of the move, seen at a few moves."""
    for count in (4, 9):
        moves = np.geomspace(0.01, 1, count)
        ranks = 10 - 5 * np.log(moves / 0.01) / math.log(at / 0.01)
        assert figures._halved(moves, ranks) == pytest.approx(at)
    assert figures._halved(moves, [10.0] * 8 + [5.1]) == math.inf


def test_laws_of_many_forms_are_right_and_a_law_that_tells_something_is_not():
    assert check("06.5", lambda x, y, z, n: (x - y + z + 1) % n).state == "right"
    assert check("06.5", lambda x, y, z, n: (x + y) % n).state == "wrong"


def test_scores_grow_with_the_width_as_exercise_says():
    """Two normed inputs, projected by matrices of std width^-gamma, as in attention."""
    rng, widths, gamma, sizes = np.random.default_rng(0), (64, 1024), 0.7, []
    for d in widths:
        x, y = rng.standard_normal((2, 64, d))
        query, key = rng.standard_normal((2, d, d)) * d**-gamma
        sizes.append(np.std((x @ query) @ (y @ key).T / math.sqrt(d)))
    grown = math.log(sizes[1] / sizes[0]) / math.log(widths[1] / widths[0])
    assert find("05.1").right(gamma) == pytest.approx(grown, abs=0.05)


def test_a_difference_of_differences_is_as_noisy_as_exercise_says():
    rng, s, runs = np.random.default_rng(0), 0.05, 6
    means = rng.normal(0, s, (50_000, 4, runs)).mean(axis=2)
    change = means @ [1, -1, -1, 1]
    assert find("09.4").right(s, runs) == pytest.approx(change.std(), rel=0.02)


def test_the_regression_is_what_two_made_up_runs_show():
    rng, spread, luck = np.random.default_rng(0), 1.0, 0.7
    own = rng.normal(0, spread, 400_000)
    first, second = (own + rng.normal(0, luck, len(own)) for _ in range(2))
    there = abs(first - 1.5) < 0.05
    seeming = (first - second)[there].mean()
    assert find("11.3").right(1.5, spread, luck) == pytest.approx(seeming, abs=0.02)


# ---- what check says ---------------------------------------------------------------------------


def test_an_unknown_exercise_is_refused_with_the_names_that_there_are():
    with pytest.raises(UserError, match="exercise: got '99.9', allowed are 01.1, 01.2"):
        check("99.9", 1)


def test_an_exercise_without_its_page_says_how_to_call_it():
    with pytest.raises(UserError, match=r'allowed is check\("02.1", answer, curves=curves\)'):
        check("02.1", {0.1})


def test_runs_that_do_not_tell_are_no_wrong_answer(page):
    half = page["curves"][page["curves"].setting != "gamma 1, warm-up 0.3"]
    assert check("02.1", {0.1}, curves=half).state == "not asked"


def test_feedback_is_one_clear_line():
    assert repr(check("01.2", ...)) == "… Exercise 01.2: not answered yet."
    assert repr(check("01.2", 2048**-0.8)) == "✓ Exercise 01.2: right."
    wrong = repr(check("01.2", 2048**-1.6))
    assert wrong.startswith("✗ Exercise 01.2: wrong. That is the variance") and "\n" not in wrong


def test_a_wrong_function_is_told_where(page):
    hint = check("09.2", lambda width, eps: 1.5 * width).hint
    assert re.match(r"For width = \d+, eps = [\d.e-]+ it is too (large|small)", hint)


def test_readers_may_name_the_arguments_of_their_functions():
    assert check("09.2", lambda d, epsilon: d * math.sqrt(epsilon / 1e-5)).state == "right"


# ---- notebooks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_chapter_has_three_exercises_to_check_and_solutions(path):
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)
    tasks = text.partition("## Exercises")[2].partition("<summary>Solutions</summary>")
    asked, solved = (re.findall(r"^\d\. ", tasks[side], re.M) for side in (0, 2))
    assert asked == solved
    assert len(cells(path)) >= 3


def test_cells_and_exercises_belong_together():
    """No cell without an exercise, no exercise without a cell, each in its own chapter."""
    assert sorted(CELLS) == sorted(NAMES)
    for path in NOTEBOOKS:
        calls = [name for cell in cells(path) for name in re.findall(CALL, cell.source)]
        assert {name[:2] for name in calls} <= {path.stem[:2]}


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_not_answered_yet_and_asks_for_what_the_exercise_tries(name, page):
    exercise, scope = find(name), {**page, "check": check}
    *_, call = CELLS[name].strip().splitlines()
    exec(CELLS[name].removesuffix(call), scope)
    assert eval(call, scope).state == "not answered yet"
    answer = scope[re.search(r", (\w+)", call)[1]]
    if isinstance(exercise, Function):
        assert list(inspect.signature(answer).parameters) == list(exercise.tries()[0])
    if isinstance(exercise, Choice):
        assert all(f'"{option}"' in CELLS[name] for option in exercise.options)
