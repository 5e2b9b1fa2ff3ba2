"""Heat maps of neurons: cosines that a run kept, in an order that brings groups together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import made_up_record
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import InitConfig, RunConfig, frame, train
from gammagpt.chapters.c10_condensation import neurons as neuron_maps
from gammagpt.data import DataConfig
from gammagpt.gpt.engine import build_model
from gammagpt.probes.geometry import NEURONS, neuron_cosines, upper_triangle
from gammagpt.probes.triangle import full_matrix

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64), steps=100)


def cosines(*directions) -> np.ndarray:
    rows = np.array(directions, dtype=float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


APART = cosines([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])
PAIRS = cosines([1, 0, 0.1, 0], [0, 1, 0, 0], [1, 0, 0, 0.1], [0, 1, 0.2, 0])  # 0 and 2, 1 and 3


def runs(*gammas, probes=((0, APART), (10, PAIRS), (100, APART))):
    kept = [{"step": step, "neurons": upper_triangle(torch.tensor(c))} for step, c in probes]
    made = [made_up_record(replace(BASE, init=InitConfig(g)), 5.0, probes=kept) for g in gammas]
    return frame(made).assign(role="common", resolved=True)


def test_a_run_keeps_the_cosines_of_its_first_neurons(tiny):
    config = replace(tiny, probes=replace(tiny.probes, neurons=4))
    kept = {p["step"]: full_matrix(p["neurons"]) for p in train(config).probes if "neurons" in p}
    assert min(kept) == 0 and max(kept) == config.steps and len(kept) == 4
    name, count = NEURONS
    rows = dict(build_model(config).named_parameters())[name].detach().double().numpy()[:count]
    np.testing.assert_allclose(kept[0], cosines(*rows), atol=6e-4)


def test_cosines_are_those_of_rows_whatever_their_length():
    weights = {NEURONS[0]: torch.tensor([[3.0, 0.0], [0.0, 0.1], [-2.0, 2.0]])}
    assert neuron_cosines(weights) == pytest.approx([0, -0.707, 0.707], abs=1e-3)


@given(st.permutations(range(4)))
def test_neurons_that_are_alike_stand_side_by_side(order):
    shuffled = PAIRS[np.ix_(order, order)]
    run = next(runs(0.8, probes=((0, APART), (9, shuffled))).itertuples())
    found = neuron_maps.maps(run)[9]
    assert found[0, 1] > 0.9 and found[2, 3] > 0.9 and abs(found[1, 2]) < 0.5


def test_the_order_is_one_along_a_run():
    found = neuron_maps.maps(next(runs(0.8).itertuples()))
    assert list(found) == [0, 10, 100]
    np.testing.assert_allclose(found[0], APART, atol=1e-3)
