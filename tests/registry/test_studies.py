"""Who is compared with whom: tuning seeds never are, and a best rate must be an inner one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_claim, made_up_record, refusal

from gammagpt import InitConfig, RunConfig, Store, verdicts
from gammagpt.data.corpora import FIVE
from gammagpt.data.text import PINNED
from gammagpt.lab.recipe import expected_rate
from gammagpt.lab.settings import gpt2, gpt_on_text, over_inits, parameters
from gammagpt.lab.settings import study as settings_study
from gammagpt.lab.study import LearningRateStudy
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import judge
from gammagpt.probes.token_classes import CLASSES, classes
from gammagpt.project import TIERS, check_list, root, tier_parameters
from gammagpt.registry.studies import at_tiers, homes, studies, study

RATES = (0.001, 0.002, 0.004, 0.008)
PARAMETERS = {
    "gammas": [0.5, 0.8], "learning_rates": list(RATES),
    "tuning_seeds": [1000, 1001], "seeds": [0, 1, 2],
    "n_layer": 1, "n_head": 2, "width": 16, "block_size": 16, "vocab_size": 512,
    "corpus": "sotu", "steps": 12, "batch_size": 8, "precision": "float32",
}


def planned(**changes) -> LearningRateStudy:
    p = parameters(PARAMETERS | changes)
    settings = over_inits(gpt_on_text(p), gammas=p.gammas)
    return settings_study(settings, p.learning_rates, p.tuning_seeds, p.seeds)


def bowl(best):
    """A loss that is least at one learning rate, different for each gamma: {gamma: rate}."""

    def loss(config):
        return 5 + abs(math.log2(config.optim.learning_rate / best[config.init.gamma]))

    return loss


def filled(folder, plan, loss, rules=None) -> Store:
    """A store with made-up records of all runs of a study; a loss of None is a diverged run."""
    store = Store(folder)
    for stage in (plan.tuning, plan.at_common_rate):
        for config in stage():
            store.put(made_up_record(config, loss(config), rules=rules))
    for config in plan.at_best_rate(plan.best_rates(plan.collect(store))):
        store.put(made_up_record(config, loss(config), rules=rules))
    return store


# ---- the plan ----------------------------------------------------------------------------------


def test_tuning_covers_the_whole_grid_on_its_own_seeds():
    plan = planned()
    runs = [(c.init.gamma, c.optim.learning_rate, c.seed) for c in plan.tuning()]
    assert sorted(runs) == [(g, r, s) for g in (0.5, 0.8) for r in RATES for s in (1000, 1001)]
    common = [(c.init.gamma, c.optim.learning_rate, c.seed) for c in plan.at_common_rate()]
    assert sorted(common) == [(g, 0.002, s) for g in (0.5, 0.8) for s in (0, 1, 2)]


def test_nothing_but_initialization_rate_and_seed_differs_between_runs():
    plan = planned()
    configs = plan.tuning() + plan.at_common_rate()
    same = [replace(c, init=plan.base.init, optim=plan.base.optim, seed=0) for c in configs]
    assert set(same) == {plan.base}
    rates = [replace(c.optim, learning_rate=1.0) for c in configs]
    assert set(rates) == {replace(plan.base.optim, learning_rate=1.0)}


def test_an_initialization_gives_a_setting_its_name():
    base = planned().base
    labels = list(over_inits(base, InitConfig(None, 0.02), gpt2(0.02), gammas=[0.5]))
    assert labels == ["gamma 0.5", "std 0.02", "std 0.02 with residual scaling"]
    assert refusal(InitConfig, None, -0.02).startswith("std: got -0.02")


def test_a_seed_for_tuning_may_not_be_compared():
    message = refusal(planned, seeds=[0, 1000], tuning_seeds=[1000])
    assert message.startswith("seeds: [1000]")


def test_lists_may_be_given_as_text():
    as_text = planned(
        gammas="[0.5, 0.8]", learning_rates="[0.008, 0.004, 0.002, 0.001]",
        tuning_seeds="[1000, 1001]", seeds="[0, 1, 2]",
    )
    assert as_text == planned()


BAD = [
    ("gammas", []), ("gammas", "[]"), ("gammas", "0.5"), ("gammas", "0.5, 0.8"), ("gammas", 0.5),
    ("gammas", [0.5, 0.5]), ("gammas", ["0.5"]), ("gammas", [True]), ("gammas", None),
    ("seeds", [0.5]), ("seeds", "[0, 0]"), ("tuning_seeds", []), ("learning_rates", ""),
]


@pytest.mark.parametrize("name, value", BAD)
def test_what_is_no_list_of_distinct_numbers_is_refused(name, value):
    message = refusal(planned, **{name: value})
    assert message.startswith(f"{name}: got {value!r}, allowed is a list of distinct numbers")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"gammas": [math.nan]}, "init.gamma: got nan"),
        ({"learning_rates": [-1.0, 0.1, 0.2]}, "optim.learning_rate: got -1.0"),
        ({"seeds": [-1]}, "seed: got -1"),
        ({"steps": "many"}, "steps: got 'many'"),
        ({"width": 17}, "model.width: got 17"),
        ({"corpus": "/nowhere"}, "corpus: got '/nowhere'"),
    ],
    ids=str,
)
def test_an_impossible_parameter_is_refused_before_any_training(change, words):
    def plan_all():
        plan = planned(**change)
        plan.tuning(), plan.at_common_rate()

    assert refusal(plan_all).startswith(words)


def test_an_unknown_experiment_or_parameter_is_refused():
    assert "alpha_scaling" in refusal(study, "alpha_scaling", "laptop")
    said = refusal(study, "lower_loss_width", "laptop", widht=32)
    assert said.startswith("02_gamma_scaling: unknown parameter 'widht', allowed are tier, gammas")


def test_every_chapter_has_a_room_and_imports_no_other_chapter():
    rooms = root() / "src" / "gammagpt" / "chapters"
    names = sorted(path.parent.name for path in rooms.glob("c*/__init__.py"))
    assert names == [f"c{path.stem}" for path in sorted((root() / "notebooks").glob("*.ipynb"))]
    for path in rooms.glob("c*/*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names if name != path.parent.name and name in text]
        assert "chapters" not in text and "from .." not in text.replace("from ...", "")


def test_every_claim_is_of_a_study_that_some_chapter_makes():
    assert {claim.experiment for claim in load_ledger()} <= set(homes())
    assert set(homes().values()) <= set(tier_parameters("night"))


def test_whole_numbers_in_text_are_floats_where_floats_are_meant():
    numbers = check_list("gammas", "[1, 0.5]")
    assert numbers == [1.0, 0.5] and all(type(number) is float for number in numbers)
    assert planned(gammas="[1, 0.5]").inits == (InitConfig(gamma=1.0), InitConfig(gamma=0.5))


# ---- what the records say ----------------------------------------------------------------------


def test_the_best_rate_is_that_of_the_least_mean_loss_on_the_tuning_seeds(tmp_path):
    plan = planned()
    store = filled(tmp_path, plan, bowl({0.5: 0.002, 0.8: 0.004}))
    best = plan.best_rates(plan.collect(store)).set_index("setting")
    assert dict(best.learning_rate) == {"gamma 0.5": 0.002, "gamma 0.8": 0.004}
    assert best.resolved.all()


def test_one_lucky_tuning_seed_does_not_decide(tmp_path):
    """At the rate 0.008 one seed is the best of all runs, and the other one the worst."""

    def loss(config):
        lucky = {1000: 4.0, 1001: 9.0}.get(config.seed, 5.0)
        usual = bowl({0.5: 0.002, 0.8: 0.002})(config)
        return lucky if config.optim.learning_rate == 0.008 else usual

    plan = planned()
    best = plan.best_rates(plan.collect(filled(tmp_path, plan, loss)))
    assert list(best.learning_rate) == [0.002, 0.002]


def test_every_run_has_its_role_and_tuning_seeds_are_never_compared(tmp_path):
    plan = planned()
    runs = plan.collect(filled(tmp_path, plan, bowl({0.5: 0.002, 0.8: 0.004})))
    seeds = {role: set(group.seed) for role, group in runs.groupby("role")}
    assert seeds == {"tuning": {1000, 1001}, "common": {0, 1, 2}, "tuned": {0, 1, 2}}
    assert len(runs) == 16 + 6 + 6
    tuned = runs[runs.role == "tuned"].groupby("setting").learning_rate.unique()
    assert {s: list(r) for s, r in tuned.items()} == {"gamma 0.5": [0.002], "gamma 0.8": [0.004]}


def test_a_best_rate_at_the_edge_is_unresolved_in_both_directions(tmp_path):
    plan = planned()
    runs = plan.collect(filled(tmp_path, plan, bowl({0.5: 0.001, 0.8: 0.008})))
    assert not plan.best_rates(runs).resolved.any()
    assert set(runs[~runs.resolved].role) == {"tuned"} and (~runs.resolved).sum() == 6


def test_only_the_setting_at_the_edge_is_unresolved(tmp_path):
    plan = planned()
    runs = plan.collect(filled(tmp_path, plan, bowl({0.5: 0.002, 0.8: 0.008})))
    assert set(runs[~runs.resolved].setting) == {"gamma 0.8"}


def test_a_rate_at_which_a_run_diverged_is_never_the_best(tmp_path):
    def loss(config):
        rate, seed = config.optim.learning_rate, config.seed
        return None if (rate, seed) == (0.004, 1001) else bowl({0.5: 0.004, 0.8: 0.004})(config)

    plan = planned()
    best = plan.best_rates(plan.collect(filled(tmp_path, plan, loss)))
    assert 0.004 not in set(best.learning_rate) and len(best) == 2


def test_a_setting_that_diverged_everywhere_has_no_best_rate(tmp_path):
    plan = planned()
    store = filled(tmp_path, plan, lambda config: None if config.init.gamma == 0.5 else 5.0)
    runs = plan.collect(store)
    assert list(plan.best_rates(runs).setting) == ["gamma 0.8"]
    assert set(runs[runs.role == "tuned"].setting) == {"gamma 0.8"}


def test_an_incomplete_tuning_gives_no_best_rate(tmp_path):
    plan = planned()
    store = filled(tmp_path, plan, bowl({0.5: 0.002, 0.8: 0.004}))
    store.path(plan.tuning()[0].key).unlink()  # of gamma 0.5
    runs = plan.collect(store)
    assert list(plan.best_rates(runs).setting) == ["gamma 0.8"]
    assert set(runs[runs.role == "tuned"].setting) == {"gamma 0.8"}


def test_nothing_there_is_an_empty_frame_and_nothing_is_trained(tmp_path):
    runs = planned().collect(Store(tmp_path / "empty"))
    assert len(runs) == 0 and not (tmp_path / "empty").exists()
    assert len(planned().best_rates(runs)) == 0


def test_a_run_at_the_best_rate_that_is_the_common_one_has_both_roles(tmp_path):
    plan = planned()
    runs = plan.collect(filled(tmp_path, plan, bowl({0.5: 0.002, 0.8: 0.004})))
    shared = runs[(runs.setting == "gamma 0.5") & (runs.seed == 0)]
    assert sorted(shared.role) == ["common", "tuned"] and shared.key.nunique() == 1


def test_runs_of_others_in_the_same_folder_change_nothing(tmp_path):
    plan, claim = planned(), made_up_claim(learning_rate="tuned")
    rules = {claim.id: claim.rule_hash}
    store = filled(tmp_path, plan, bowl({0.5: 0.002, 0.8: 0.004}), rules=rules)
    before, verdict = plan.collect(store), judge(claim, plan.collect(store), "laptop")
    for other in (
        replace(plan.at_common_rate()[0], seed=7),
        replace(plan.tuning()[0], steps=13),
        replace(plan.tuning()[0], optim=replace(plan.base.optim, learning_rate=0.016)),
        replace(plan.at_common_rate()[0], optim=replace(plan.base.optim, learning_rate=0.003)),
        RunConfig(),
    ):
        store.put(made_up_record(other, 0.1))
    after = plan.collect(store)
    assert list(after.key) == list(before.key) and list(after.loss) == list(before.loss)
    assert judge(claim, after, "laptop") == verdict


def test_running_trains_what_is_missing_and_then_the_best_rates(tmp_path, tiny):
    plan = LearningRateStudy(
        {f"gamma {g}": replace(tiny, steps=3, init=InitConfig(gamma=g)) for g in (0.5, 0.8)},
        learning_rates=(0.01, 0.02), tuning_seeds=(9,), seeds=(0, 1),
    )
    runs = plan.run(Store(tmp_path), workers=1, rules={"a": "b"})
    assert runs.role.value_counts().to_dict() == {"tuning": 4, "common": 4, "tuned": 4}
    assert runs.status.eq("ok").all() and all(rules == {"a": "b"} for rules in runs.rules)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = plan.run(Store(tmp_path), workers=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert list(again.loss) == list(runs.loss)


ASKED = {"common": {"common": 4}, "tuning": {"tuning": 4}, "tuned": {"tuning": 4, "tuned": 4}}


@pytest.mark.parametrize("role", ASKED)
def test_of_a_role_only_what_it_takes_is_trained(tmp_path, tiny, role):
    base = replace(tiny, steps=3, optim=replace(tiny.optim, learning_rate=0.03))  # not in the grid
    plan = LearningRateStudy(
        {f"gamma {g}": replace(base, init=InitConfig(gamma=g)) for g in (0.5, 0.8)},
        learning_rates=(0.01, 0.02), tuning_seeds=(9,), seeds=(0, 1),
    )
    runs = plan.run(Store(tmp_path), role=role, workers=1)
    assert runs.role.value_counts().to_dict() == ASKED[role]
    assert len(list(tmp_path.glob("*.json"))) == sum(ASKED[role].values())


def test_a_role_that_is_none_is_refused(tmp_path):
    assert "got 'best', allowed are common" in refusal(planned().run, Store(tmp_path), role="best")


# ---- a mixture of five texts -------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_reasoning_gains_are_asked_of_one_mixture_with_pinned_tokens(tier):
    plan = study("mixture", tier)
    assert {"gamma 0.5", "gamma 1"} <= set(plan.settings)  # those of the claims
    data = plan.base.data
    assert data.fingerprint == PINNED[FIVE, data.vocab_size] and data.corpus == FIVE
    assert plan.base.batch_size % len(FIVE.split("+")) == 0  # as many windows of each text


# ---- the second paper's experiments ------------------------------------------------------------

ANCHOR_STUDIES = ["first_emb", "first_gpt", "label_ranges", "label_near", "label_order"]


@pytest.mark.parametrize("tier", TIERS)
def test_both_models_learn_the_same_tasks_with_and_without_noise(tier):
    emb_mlp, gpt = (study(name, tier).base for name in ("first_emb", "first_gpt"))
    assert (emb_mlp.model.kind, gpt.model.kind, gpt.model.positions) == (
        "emb_mlp",
        "gpt",
        "learned",
    )
    assert (emb_mlp.data.length, emb_mlp.data.samples) == (emb_mlp.data.anchors + 1, 0)
    assert gpt.data.length > emb_mlp.data.length and gpt.data.samples > 0
    size = {"length": 3, "samples": 0}
    assert replace(gpt.data, **size, fingerprint="").pinned() == emb_mlp.data


@pytest.mark.parametrize("name", ANCHOR_STUDIES)
def test_an_experiment_on_anchors_is_pinned_and_tuned_without_long_probes(name):
    planned = study(name, "smoke")
    compared, tuning = planned.compared(), planned.tuning()
    assert {c.probes.geometry for c in tuning} == {0}
    assert all(c.data == c.data.pinned() and c.data.fingerprint for c in compared + tuning)
    assert len({c.key for c in compared + tuning}) == len(compared + tuning)


def test_memory_alone_has_neither_sums_nor_unseen_combinations():
    for name in ("label_ranges", "label_near"):
        data = study(name, "laptop").base.data
        assert data.held_out == "" and "sum" not in data.tasks


@pytest.mark.parametrize(
    "notebook, change, words",
    [
        ("03_bias", {"tasks": "memory 1..4 guess"}, "data.tasks: got 'memory 1..4 guess'"),
        ("03_bias", {"emb_gammas": "0.8"}, "emb_gammas: got '0.8', allowed is a list"),
        ("03_bias", {"seeds": [400]}, "seeds: [400] are tuning seeds too"),
        ("03_bias", {"activation": "sine"}, "model.activation: got 'sine'"),
        ("03_bias", {"length": 2}, "data.length: got 2, allowed is 3 to 4096"),
        ("06_labels", {"near_tasks": "near 1..40 near"}, "data.tasks: near shares tokens"),
        ("06_labels", {"emb_steps": 0}, "steps: got 0"),
    ],
)
def test_an_impossible_parameter_of_the_second_paper_is_refused(notebook, change, words):
    assert refusal(studies, notebook, "smoke", **change).startswith(words)


# ---- verdicts of a tier ------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_without_records_every_claim_is_not_run(tier, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    found = verdicts(tier)
    assert found and {verdict.verdict for verdict in found} == {"not run"}
    assert {verdict.tier for verdict in found} == {tier}


def test_verdicts_are_computed_from_the_records_of_their_tier(tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    plan = study("lower_loss_width", "laptop").only(["gamma 0.5, width 64", "gamma 1, width 64"])

    def loss(config):
        expected = expected_rate(config)
        far = abs(math.log2(config.optim.learning_rate / expected))
        return {0.5: 5.0, 1.0: 4.5}[config.init.gamma] + 0.02 * far + 1e-3 * (config.seed % 3)

    filled(tmp_path / "laptop", plan, loss)
    found = {verdict.claim.id: verdict for verdict in verdicts("laptop")}
    one = found.pop("lower-loss")
    assert {verdict.verdict for verdict in found.values()} == {"not run"}
    assert one.verdict == "better" and one.effect == pytest.approx(0.5, abs=0.01)
    assert one.rule_changed  # made under no rule at all


def test_the_table_of_tiers_has_a_row_a_claim_and_a_column_a_tier(tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    asked = [claim for claim in load_ledger() if claim.experiment == "lower_loss_width"]
    plan = study("lower_loss_width", "night")
    filled(tmp_path / "laptop", plan, lambda config: 4.0 + 1e-3 * (config.seed % 10))
    table = at_tiers(asked).set_index("claim")
    assert list(table.index) == [claim.title for claim in asked]
    assert list(table.columns) == ["laptop", "night", "gpu"]
    lacking = (table == "not run").sum()
    assert lacking.gpu == len(asked) > lacking.laptop > lacking.night == 0
    assert table.night.str.contains(r", [+-]0\.\d{3} \[").all()


def test_a_study_needs_seeds():
    assert refusal(planned, seeds=[]).startswith("seeds: ")


def test_an_unknown_tier_is_refused():
    said = "tier: got 'desktop', allowed are smoke, laptop, night, gpu"
    assert refusal(verdicts, "desktop") == said


# ---- the first paper's further experiments -----------------------------------------------------


def test_chapters_share_the_tuning_runs_of_chapter_2():
    """None trains twice: gamma 0.5, gamma 1 and std 0.02 at width 64 are tuned in chapter 2."""
    known = {run.key for name in ("lower_loss_width", "lower_loss_bias")
             for run in study(name, "laptop").tuning()}
    for name in ("condensation", "critical_text", "practice", "tokens"):
        shared = study(name, "laptop")
        plain = {"gamma 0.5", "gamma 1", "std 0.02 with residual scaling"} & set(shared.settings)
        assert len(plain) >= 2
        assert {run.key for run in shared.only(plain).tuning()} <= known


def test_what_is_not_tuned_has_no_tuned_runs(tmp_path):
    planned = study("condensation_neurons", "smoke")
    store = Store(tmp_path)
    for config in planned.at_common_rate():
        store.put(made_up_record(config, 4.0 + config.seed))
    runs = planned.collect(store)
    assert planned.tuning() == [] and set(runs.role) == {"common"}
    assert set(runs.setting) == set(planned.settings) and runs.resolved.all()


def test_the_run_that_tells_classes_of_tokens_apart_is_never_compared():
    for tier in TIERS:
        planned = study("tokens", tier)
        compared = planned.tuning() + planned.at_common_rate()
        assert planned.reference.key not in {config.key for config in compared}
        assert planned.reference.seed not in planned.seeds + planned.tuning_seeds


def test_classes_of_tokens_are_those_of_the_reference(tmp_path):
    planned = study("tokens", "smoke")
    runs = planned.run(Store(tmp_path), workers=1)
    compared = runs[runs.role != "tuning"]
    columns = [f"loss_{name}" for name in CLASSES]
    assert compared[columns].notna().any(axis=None) and runs[runs.role == "tuning"][
        columns
    ].isna().all(axis=None)
    counts = np.bincount(classes(Store(tmp_path).get(planned.reference)), minlength=len(CLASSES))
    means = np.nansum(compared[columns] * counts, axis=1) / counts.sum()
    whole = [np.mean(probes[-1]["tokens"]["whole"]) for probes in compared.probes]
    assert means == pytest.approx(whole)


def test_a_budget_of_nothing_trains_nothing_and_a_wrong_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_BUDGET", "0")
    lower, store = study("lower_loss_width", "smoke"), Store(tmp_path)
    config = lower.tuning()[0]
    store.put(made_up_record(config, 4.0))
    runs = lower.run(store)
    assert list(runs.key) == [config.key] and len(list(tmp_path.iterdir())) == 1
    for text in ("soon", "-1", "1d"):
        monkeypatch.setenv("GAMMAGPT_BUDGET", text)
        assert refusal(lower.run, store).startswith(f"GAMMAGPT_BUDGET: got {text!r}")
