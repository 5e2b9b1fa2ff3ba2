"""Which is learned first: each gamma around a rate of its own, verdicts from made-up curves."""

import math
from dataclasses import replace

import pytest
from helpers import made_up_record

from gammagpt import Store
from gammagpt.lab.order import chance_losses
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import judge
from gammagpt.project import UserError
from gammagpt.registry.studies import studies, study

CLAIMS = {c.id: c for c in load_ledger() if c.notebook == "03_bias"}
SHARES = (1.0, 0.8, 0.5, 0.2, 0.1)  # left of reasoning at five probes


def curves(config, lag: float) -> dict:
    """Reasoning falls along SHARES; memory and the unseen pairs lag behind it by so much."""
    chance = dict(chance_losses(config.data, config.seed))
    left = {"reasoning": SHARES, "memory": [1, *(min(1, x + lag) for x in SHARES[1:])],
            "unseen": [1, *(min(1, x + 1 - lag) for x in SHARES[1:])]}
    chance["unseen"] = chance["reasoning"]
    shares = {name: list(enumerate(values)) for name, values in left.items()}
    made = {name: [[step, share * chance[name]] for step, share in values]
            for name, values in shares.items()}
    return made | {"train": [[1, 5.5]], "validation": [[0, 5.75], [2, 5.25]]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Both studies; with gamma 0.8 memory lags further behind than with 0.5, and unseen less."""
    store, frames = Store(tmp_path_factory.mktemp("records")), {}
    for name in ("first_emb", "first_gpt"):
        planned = study(name, "laptop")

        def put(configs, settings):
            for config in configs:
                lag = {0.3: 0.1, 0.5: 0.3, 0.8: 0.6, 1.0: 0.6}[config.init.gamma]
                off = abs(math.log2(config.optim.learning_rate
                                    / settings[config.init.label].optim.learning_rate))
                record = made_up_record(config, 1 + 0.1 * off + 0.001 * (config.seed % 7))
                lag += 0.002 * (config.seed % 5)
                store.put(replace(record, curves=curves(config, lag)))

        put(planned.tuning(), planned.settings)
        put(planned.at_best_rate(planned.best_rates(planned.collect(store))), planned.settings)
        frames[name] = planned.collect(store)
    return frames


def test_each_gamma_is_tuned_around_a_rate_of_its_own():
    for name, planned in studies("03_bias", "night").items():
        rates = {n: c.optim.learning_rate for n, c in planned.settings.items()}
        assert rates["gamma 0.5"] == rates["gamma 0.8"] != rates["gamma 0.3"], name
        assert {c.optim.warmup for c in planned.tuning()} == {0.3}
        grid = {c.optim.learning_rate for c in planned.only(["gamma 0.5"]).tuning()}
        assert max(grid) / min(grid) == pytest.approx(8, rel=0.01)


def test_losses_of_other_seeds_never_make_a_collapse(runs):
    assert not any(frame.collapsed.any() for frame in runs.values())


def test_the_verdicts_follow_the_curves(runs):
    found = {name: judge(claim, runs[claim.experiment], "laptop") for name, claim in CLAIMS.items()}
    assert {name: v.verdict for name, v in found.items()} == dict.fromkeys(CLAIMS, "better")
    assert found["first-gpt-large"].effect > found["first-gpt"].effect > 0


def test_a_gamma_without_a_rate_is_refused():
    with pytest.raises(UserError, match="emb_gammas"):
        studies("03_bias", "smoke", emb_gammas=[0.5, 0.5])
