"""The interventions on the plateau: one change each, and an expectation for each."""

import pytest

from gammagpt.analysis.plateau import collapse_index
from gammagpt.chapters.c17_plateau.interventions import BASE, EXPECTED, settings
from gammagpt.registry.studies import studies


def changed_fields(one, other) -> set[str]:
    one, other = one.to_dict(), other.to_dict()
    parts = {name for name, value in one.items() if isinstance(value, dict)}
    inner = {f"{p}.{f}" for p in parts for f in one[p] if one[p][f] != other[p][f]}
    return inner | {name for name in set(one) - parts if one[name] != other[name]}


def test_each_intervention_changes_one_thing_and_has_an_expectation():
    made = settings()
    assert set(made) == set(EXPECTED)
    for name, config in made.items():
        fields = changed_fields(made[BASE], config) - {"init.gamma"}
        longer = {"steps", "batch_size", "optim.warmup"}
        assert len(fields) == (name != BASE) or fields <= longer, name


@pytest.mark.parametrize("width", [64, 128])
def test_the_base_stands_at_the_edge_whatever_the_width(width):
    base = settings(width)[BASE]
    warmup = base.optim.warmup * base.steps
    assert collapse_index(base.optim.learning_rate, width, warmup) == pytest.approx(0.82)


def test_expectations_are_shares_with_a_reason():
    for low, high, why in EXPECTED.values():
        assert 0 <= low < high <= 1 and len(why) > 5


def test_every_setting_brings_a_reference_at_half_the_rate():
    study = studies("17_plateau", "laptop", seeds=[1, 2, 3], reference_seeds=[4])["plateau_64"]
    compared, references = study.at_common_rate(), study.tuning()
    assert len({run.key for run in compared + references}) == 4 * len(settings())
    assert {run.seed for run in references} == {4}
    [rate] = {run.optim.learning_rate for run in compared}
    assert {2 * run.optim.learning_rate for run in references} == {rate}
