"""Which tokens gain: a gain that is put into made-up losses of a real text is found again."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers import made_up_record

from gammagpt import Store
from gammagpt.analysis.tokens import shown
from gammagpt.chapters.c11_tokens import figures, numbers
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import judge
from gammagpt.plots import Picture
from gammagpt.probes.token_classes import CLASSES, classes, deciles
from gammagpt.registry.studies import studies, study

CLAIMS = {c.id: c for c in load_ledger() if c.notebook == "11_tokens"}
GAIN = {"trivial": 0.05, "constrained": 0.35, "rest": 0.2}  # of gamma 1 over gamma 0.5, in nats
MAKE = (figures.token_weights, figures.token_gains, figures.token_deciles, figures.thresholds)


def with_losses(config, losses, short=None):
    kept = {"whole": losses.tolist(), "short": (losses if short is None else short).tolist()}
    return made_up_record(config, float(losses.mean()),
                          probes=[{"step": config.steps, "tokens": kept}])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(study, store, frame, what is known of the tokens) of tier laptop with 32 windows."""
    study = studies("11_tokens", "laptop", tokens=32)["tokens"]
    store, random = Store(tmp_path_factory.mktemp("records")), np.random.default_rng(0)
    base = random.uniform(1, 6, 32 * study.base.model.block_size)
    third = with_losses(study.reference, base, base + random.uniform(-1, 1.5, base.size))
    store.put(third)
    gain = np.array([GAIN[name] for name in CLASSES])[classes(third)]
    for name, config in study.settings.items():
        for run in study.only([name]).tuning():
            off = abs(np.log2(run.optim.learning_rate / config.optim.learning_rate))
            store.put(made_up_record(run, 4 + off))
    best = study.best_rates(study.collect(store))
    for name in study.settings:
        for run in study.only([name]).at_best_rate(best):
            own = np.random.default_rng([run.seed, len(name)]).normal(0, 0.3, base.size)
            store.put(with_losses(run, base - gain * ("gamma 0.5" not in name) + own))
    return study, store, study.collect(store), numbers.tokens_of(third)


@pytest.fixture(scope="module")
def pairs(made):
    return numbers.pairs(made[2], "gamma 1")


# ---- the claims ----------------------------------------------------------------------------------


def test_the_gains_that_were_put_in_are_found_and_judged(made):
    effects = {name: judge(claim, made[2], "laptop") for name, claim in CLAIMS.items()}
    assert effects["tokens-constrained"].effect == pytest.approx(0.3, abs=0.03)
    assert effects["tokens-matched"].effect == pytest.approx(0.3, abs=0.04)
    assert effects["tokens-constrained-rest"].effect == pytest.approx(0.15, abs=0.03)
    for name in ("tokens-constrained", "tokens-matched", "tokens-constrained-bias"):
        assert effects[name].verdict == "better", name
    assert abs(effects["tokens-gpt2"].effect) < 0.03 and effects["tokens-gpt2"].n == 8


def test_a_gain_on_a_class_is_what_its_claim_is_judged_by(made, pairs):
    shown_ = numbers.by_threshold(pairs, made[3]).set_index(["recipe", "baseline", "kind"])
    row = shown_.loc["as usual", "gamma 0.5", "as on this page"]
    judged = judge(CLAIMS["tokens-constrained"], made[2], "laptop")
    assert (row.effect, row.low, row.high) == pytest.approx(judged.shown)


def test_gains_of_the_classes_add_up_to_that_of_all(made, pairs):
    table = numbers.by_class(pairs, made[3])
    masks = made[3].masks()
    assert len(table) == 3 * len(masks)
    for _, rows in table.groupby(["recipe", "baseline"]):
        gain = rows.set_index("kind").effect
        parts = sum(gain[kind] * masks[kind].mean() for kind in CLASSES)
        assert parts == pytest.approx(gain["all"])
    shares = numbers.weights(pairs[0], made[3])
    assert shares.sum().tolist() == pytest.approx([1, 1, 1])


def test_a_collapse_makes_every_gain_hollow(made):
    runs = made[2]
    one = (runs.role == "tuned") & (runs.setting == "gamma 1")
    found = numbers.by_class(numbers.pairs(runs.assign(collapsed=one), "gamma 1"), made[3])
    assert not found[found.recipe == "as usual"].resolved.any()
    assert found[found.recipe == "unigram bias"].resolved.all()


def test_the_third_model_is_neither_side_and_tuning_is_chapter_19s(made):
    study = made[0]
    others = studies("02_gamma_scaling", "night")
    known = {run.key for name in ("width", "bias") for run in others[f"lower_loss_{name}"].tuning()}
    tuning = studies("11_tokens", "night")["tokens"].tuning()
    assert {run.key for run in tuning} <= known
    compared = [run for run in study.at_common_rate() + study.tuning()]
    assert study.reference.init not in {run.init for run in compared}
    assert study.reference.seed not in {run.seed for run in compared}


# ---- by frequency, and by a loss -----------------------------------------------------------------


def test_within_a_tenth_only_tokens_that_are_as_frequent_are_compared(made, pairs):
    table = numbers.by_tenth(pairs[:1], made[3])
    row = table[(table.tenth == 4) & (table.kind == "rest")].iloc[0]
    mask = (deciles(made[0].reference) == 3) & (made[3].kinds == 2)
    one, other = (losses.mean(0)[mask].mean() for losses in pairs[0].losses)
    assert row.effect == pytest.approx(one - other)


def test_sorted_by_its_own_loss_a_setting_seems_to_gain_on_itself(made, pairs):
    """Noise alone tilts the line; sorted by the third model's, the same runs show none."""
    noisy = tuple(values + np.random.default_rng(1).normal(0, 1, values.shape)
                  for values in pairs[0].losses)
    table = numbers.by_loss(replace(pairs[0], losses=noisy), made[3])
    over_itself = table[table.of == "gamma 0.5 over itself"].groupby("by", sort=False)
    fair, own = (rows.gain.iloc[-1] - rows.gain.iloc[0] for _, rows in over_itself)
    assert own > 0.5 > abs(fair)
    assert all((np.diff(rows.base) > 0).all() for _, rows in over_itself)


# ---- the figures, and the passage ----------------------------------------------------------------


@pytest.mark.parametrize("make", MAKE)
def test_every_figure_says_its_numbers_and_stands_without_records(made, pairs, make):
    picture = make(pairs, made[3], "laptop")
    assert isinstance(picture, Picture) and "unigram bias" in picture.alt.lower()
    assert b"nan" not in picture.svg() and "nan" not in picture.alt
    assert "Nothing is shown" in make([], None, "laptop").alt


def test_a_line_a_loss_is_in_the_figure_of_the_trap(made, pairs):
    alt = figures.gain_by_loss(pairs[0], made[3], "laptop").alt.lower()
    assert "sorted by the loss of the third model" in alt and "gamma 0.5 over itself" in alt
    assert "Nothing is shown" in figures.gain_by_loss(None, None, "laptop").alt


class Spans(HTMLParser):
    """The elements and titles of all tokens, and all text of the passage."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append({"tag": tag} | dict(attributes))

    def handle_data(self, data):
        self.text += data


def test_the_passage_is_chosen_by_its_mean_gain(made, pairs):
    means = pairs[0].gains().reshape(32, -1).mean(1)
    away = abs(means - means.mean())
    assert away[numbers.chosen_window(pairs[0], made[3])] == away.min()


def test_a_passage_holds_the_whole_text_and_marks_who_is_better(made, pairs):
    known = made[3]
    body = Spans(figures.passage(pairs[0], known, "laptop", window=3).body)
    tokens = [known.inputs[3, 0], *known.targets[3]]
    assert body.text == "".join(shown(known.text, token) for token in tokens)
    gains = pairs[0].gains().reshape(32, -1)[3]
    marks = ["mark" if g > 0.1 else "u" if g < -0.1 else "span" for g in gains]
    outer = [token for token in body.found if "title" in token]
    assert [token["tag"] for token in outer] == marks
    kinds = [CLASSES[kind] for kind in known.kinds.reshape(32, -1)[3]]
    assert [token["title"].split(",")[0] for token in outer] == kinds
    inner = [token["tag"] for token in body.found if "title" not in token]
    assert inner.count("b") == kinds.count("constrained")
    assert inner.count("i") == kinds.count("trivial")


def test_a_passage_has_words_for_those_who_cannot_see_it_and_needs_no_colour(made, pairs):
    page = figures.passage(pairs[0], made[3], "laptop")._repr_html_()
    assert 'role="group" aria-label="Text of 64 tokens' in page and "Tier laptop; " in page
    assert "<u>Underlined: gamma 0.5 is better</u>" in page and "<style" not in page


def test_markup_in_the_text_is_text(made, pairs, monkeypatch):
    monkeypatch.setattr(figures, "shown", lambda text, token: "<em>&")
    assert "<em>" not in figures.passage(pairs[0], made[3], "laptop").body


def test_tokens_are_shown_as_people_can_read_them(text):
    assert shown(text, text.ranks[b"a"]) == "a" and shown(text, text.ranks[b"\n"]) == "↵\n"
    assert shown(text, text.ranks[b"\xe2"]) == "‹E2›"
    assert shown(text, len(text.ranks)) == "⟨end of document⟩"


def test_nothing_is_known_without_the_third_models_losses(made):
    study, store, runs, _ = made
    assert numbers.tokens_of(None) is None
    assert numbers.tokens_of(replace(store.get(study.reference), probes=[])) is None
    assert numbers.pairs(runs[:0], "gamma 1") == [] == numbers.pairs(runs, "gamma 7")
    assert numbers.pairs(runs[runs.role == "tuning"], "gamma 1") == []


def test_without_the_third_model_the_claims_are_not_run_and_nothing_fails(tmp_path):
    planned, store = study("tokens", "smoke"), Store(tmp_path)
    planned.run(store, workers=1)
    known = planned.collect(store)
    claim = next(c for c in load_ledger() if c.id == "tokens-constrained")
    assert (known.role == "tuned").any()
    store.path(planned.reference.key).unlink()
    assert judge(claim, planned.collect(store), "smoke").verdict == "not run"
