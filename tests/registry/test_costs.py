"""What a tier costs from nothing: which runs, of which kind, and their seconds."""

from dataclasses import replace

import pytest

from gammagpt import RunConfig
from gammagpt.registry.costs import kind, measure, measured, needed, price, seconds_of_chapters


def test_runs_of_one_kind_differ_in_what_costs_nothing():
    plain = RunConfig()
    other = replace(plain, seed=7, optim=replace(plain.optim, learning_rate=0.1))
    assert kind(other) == kind(plain) == "gpt on sotu, 2 x width 64, 400 steps of 32 x 64"


@pytest.mark.parametrize(
    "part, change, word",
    [
        ("model", {"gate": True}, "gate"),
        ("model", {"width": 128}, "width 128"),
        ("optim", {"relative": True}, "relative steps"),
        ("probes", {"spectra": 5}, "spectra"),
        ("data", {"corpus": "logic+stories"}, "logic+stories"),
    ],
)
def test_a_kind_names_what_makes_a_run_dearer(part, change, word):
    plain = RunConfig()
    dearer = replace(plain, **{part: replace(getattr(plain, part), **change)})
    assert word in kind(dearer) and kind(dearer) != kind(plain)


@pytest.mark.parametrize("tier", ["smoke", "laptop", "night"])
def test_each_run_of_a_tier_is_needed_once(tier):
    keys = [run.key for runs in needed(tier).values() for run in runs]
    assert len(keys) == len(set(keys)) > 20


def test_nearly_all_that_the_laptop_trains_the_night_trains_too():
    """All but some tuned runs: fewer tuning seeds may choose another rate."""
    laptop, night = ({r.key for runs in needed(t).values() for r in runs}
                     for t in ("laptop", "night"))
    assert len(laptop - night) < 0.05 * len(laptop) and 1.5 * len(laptop) < len(night)


def test_seconds_add_up_by_chapter():
    runs = needed("smoke")
    seconds = {kind(run): 2.0 for of_chapter in runs.values() for run in of_chapter}
    found = seconds_of_chapters("smoke", seconds)
    assert found == {name: (len(own), 2.0 * len(own)) for name, own in runs.items()}


def test_every_run_of_the_tiers_on_two_cores_has_a_price():
    """That of its kind in benchmarks/costs.json, or of the kind that is most like it."""
    seconds = measured()["seconds"]
    runs = [run for tier in ("laptop", "night") for own in needed(tier).values() for run in own]
    assert any(kind(run) in seconds for run in runs) and min(seconds.values()) > 0
    assert all(0 < price()(run) < 3600 for run in {kind(run): run for run in runs}.values())


def test_the_price_of_a_kind_is_the_measured_one_and_of_others_it_is_scaled():
    seconds = measured()["seconds"]
    known = next(run for own in needed("night").values() for run in own if kind(run) in seconds)
    assert price()(known) == seconds[kind(known)]
    longer = replace(known, steps=known.steps + 100)
    model = kind(known).split(" steps of ")[0].rpartition(", ")[0]
    alike = [tokens(longer) * seconds[kind(run)] / tokens(run)
             for own in needed("night").values() for run in own
             if kind(run) in seconds and kind(run).startswith(model)]
    assert any(price()(longer) == pytest.approx(expected) for expected in alike)


def tokens(run) -> int:
    return run.steps * run.batch_size * run.model.block_size


def test_measuring_trains_a_few_and_keeps_no_record(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    fast = [replace(tiny, optim=replace(tiny.optim, learning_rate=rate)) for rate in (1e-3, 1e3)]
    assert measure(fast) > 0
    assert list(tmp_path.rglob("*.json")) == []
