"""Figures of tokens, from made-up losses on a real tokenizer: what they say and warn of."""

import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record

from gammagpt import InitConfig, frame
from gammagpt.analysis import tokens as analysis_tokens
from gammagpt.analysis.tokens import shown
from gammagpt.chapters.c11_tokens import figures, numbers
from gammagpt.chapters.c11_tokens.figures import Passage
from gammagpt.chapters.c11_tokens.numbers import binned, class_gains, compare, tokens_of
from gammagpt.ledger.estimate import QUESTIONS
from gammagpt.probes.token_losses import CLASSES, CONTEXT, TRIVIAL, class_losses, classes

WINDOWS = 24
GAIN = 0.25  # nats, of the small initialization on every token


def record(base, gamma, seed, gain=0.0, noise=0.1, rate=0.002):
    """Losses that all runs share, less a gain, with noise of the run's own."""
    size = WINDOWS * base.model.block_size
    shared, more = np.random.default_rng(0).uniform(0.5, 6, (2, size))
    own = np.random.default_rng([seed, int(100 * gamma)]).normal(0, noise, size)
    whole = (shared - gain + own).round(3)
    losses = {"whole": whole.tolist(), "short": (whole + more - 3).round(3).tolist()}
    config = replace(
        base, init=InitConfig(gamma=gamma), seed=seed,
        probes=replace(base.probes, tokens=WINDOWS, spectra=0),
        optim=replace(base.optim, learning_rate=rate),
    )
    return made_up_record(config, 5.0, probes=[{"step": 12, "tokens": losses}])


def rows(base, role, gammas=(0.5, 0.8), seeds=(0, 1, 2), gain=GAIN, **named) -> pd.DataFrame:
    made = [record(base, g, s, gain * (g > 0.5), **named) for g in gammas for s in seeds]
    return frame(made).assign(role=role, resolved=True)


def both(base, **named) -> pd.DataFrame:
    tuned = rows(base, "tuned", rate=0.004, **{**named, "gain": 0.0})
    return pd.concat([rows(base, "common", **named), tuned], ignore_index=True)


@pytest.fixture
def reference(tiny):
    return record(tiny, 0.65, 3000)


@pytest.fixture
def made(tiny, reference):
    return compare(both(tiny), reference)


MAKE = {
    "token_classes": figures.token_classes,
    "token_weights": figures.token_weights,
    "gain_by_loss": figures.gain_by_loss,
    "thresholds": figures.thresholds,
}


class Spans(HTMLParser):
    """The elements and titles of all tokens, and all text of the marked paragraphs."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append({"tag": tag} | dict(attributes))

    def handle_data(self, data):
        self.text += data


# ---- every figure ------------------------------------------------------------------------------


# ---- what is compared --------------------------------------------------------------------------


def test_nothing_can_be_compared_without_reference_records_or_a_second_setting(tiny, reference):
    runs = both(tiny)
    assert compare(runs, None) is None
    assert compare(runs, replace(reference, probes=[])) is None
    assert compare(runs.iloc[:0], reference) is None
    assert compare(rows(tiny, "common", gammas=(0.5,)), reference) is None
    assert compare(runs.assign(role="tuning"), reference) is None


def test_the_settings_are_those_of_the_claims_or_else_the_outermost(tiny, reference):
    many = compare(rows(tiny, "common", gammas=(0.3, 0.5, 0.8, 1.0)), reference)
    assert (many.usual, many.small) == ("gamma 0.5", "gamma 0.8")
    others = compare(rows(tiny, "common", gammas=(0.3, 0.6, 1.0)), reference)
    assert (others.usual, others.small) == ("gamma 0.3", "gamma 1")


def test_only_seeds_that_both_settings_have_are_compared(tiny, reference):
    runs = pd.concat([rows(tiny, "common", gammas=(0.5,), seeds=(0, 1, 2)),
                      rows(tiny, "common", gammas=(0.8,), seeds=(2, 1, 5))])
    made = compare(runs, reference)
    assert list(made.losses) == ["common"] and len(made.gains("common")) == 2
    assert made.gains("common").mean() == pytest.approx(GAIN, abs=0.02)


def test_a_document_ends_with_its_end_token(made):
    tokens = made.tokens
    ends = (tokens.targets == len(tokens.text.ranks)).ravel()
    after = np.diff(tokens.documents.reshape(tokens.targets.shape), axis=1)
    inside = ends.reshape(tokens.targets.shape)[:, :-1]
    assert (after == inside).all() and len(set(tokens.documents)) > 1
    assert tokens.documents[0] == 0 and (np.diff(tokens.documents) >= 0).all()


def test_the_classes_are_those_that_claims_are_about(made, reference):
    assert (made.tokens.classes == classes(reference)).all()
    assert (made.tokens.classes_at(TRIVIAL, CONTEXT) == made.tokens.classes).all()


# ---- gains -------------------------------------------------------------------------------------


def test_gains_are_differences_of_the_class_losses_of_the_frame(made, reference):
    found = classes(reference)
    first = made.runs[(made.runs.role == "common") & (made.runs.seed == 0)]
    usual, small = (class_losses(probes[-1], found) for probes in first.probes)
    gains = class_gains(made)
    mine = gains[(gains.role == "common") & (gains.seed == 0)].set_index("kind")
    for kind in CLASSES:
        expected = usual[f"loss_{kind}"] - small[f"loss_{kind}"]
        assert mine.gain[kind] == pytest.approx(expected)
        assert mine["share"][kind] == pytest.approx(expected / usual[f"loss_{kind}"])


def test_parts_add_up_to_the_gain_of_all(made):
    for _, mine in class_gains(made).groupby(["role", "seed"]):
        mine = mine.set_index("kind")
        assert mine.part.drop("all").sum() == pytest.approx(mine.gain["all"])


def test_the_weights_of_classes_add_up_to_one(made):
    table = numbers.weights(made.tokens)
    assert table.tokens.sum() == len(made.tokens.classes)
    assert table[["share", "loss"]].sum().tolist() == pytest.approx([1, 1])


def test_intervals_over_documents_hold_the_gain_that_was_put_in(made):
    many = np.arange(len(made.tokens.classes)) // 16  # a document a window
    made = replace(made, tokens=replace(made.tokens, documents=many))
    found = numbers.by_documents(made, "common")
    (low, high), (low_share, high_share) = found["all"]
    assert low < made.gains("common").mean() < high and high - low < 0.1
    assert low_share < GAIN / 3.25 < high_share


def test_one_document_has_no_interval_over_documents(made):
    tokens = replace(made.tokens, documents=0 * made.tokens.documents)
    assert numbers.by_documents(replace(made, tokens=tokens), "common") == {}


def test_the_main_difference_is_that_of_context_and_trivial(made):
    gains = class_gains(made).query("role == 'common'").pivot(
        index="seed", columns="kind", values="gain")
    mean, low, high = numbers.difference(made, "common", made.tokens.classes)
    assert mean == pytest.approx((gains.context - gains.trivial).mean()) and low < mean < high
    assert math.isnan(numbers.difference(made, "common", 0 * made.tokens.classes)[0])


def test_thresholds_make_classes_larger_and_smaller(made):
    found = numbers.variants(made.tokens)
    trivial = [(found[f"trivial below {limit:g} nats"] == 0).sum() for limit in (0.5, 2)]
    assert trivial[0] <= (found["as it is"] == 0).sum() <= trivial[1] and len(found) == 6
    merged = found["copied tokens are context"]
    assert not (merged == 1).any()
    assert (merged == 2).sum() == np.isin(found["as it is"], [1, 2]).sum()


# ---- regression to the mean --------------------------------------------------------------------


def test_bins_are_of_the_same_size_and_in_order():
    base = np.random.default_rng(0).uniform(0, 8, 800)
    middles, means = binned(base, np.stack([base, 2 * base]))
    assert (np.diff(middles) > 0).all() and means == pytest.approx(np.stack([middles, 2 * middles]))
    assert middles == pytest.approx(np.arange(0.5, 8), abs=0.4)


def test_binned_by_its_own_loss_a_setting_seems_to_gain_on_itself(tiny, reference):
    """Noise alone tilts the line; binned by the reference, the same runs show none."""
    runs = rows(tiny, "common", gain=0.0, noise=1.0)
    made = compare(runs, reference)
    own = numbers.by_own_loss(made)[figures.ITSELF][1].mean(0)
    fair = numbers.by_reference(made)["at one learning rate"][1].mean(0)
    assert own[-1] - own[0] > 0.5 > abs(fair[-1] - fair[0])


# ---- the passage -------------------------------------------------------------------------------


def test_the_passage_is_chosen_by_its_mean_gain(made):
    means = made.gains("common").mean(0).reshape(WINDOWS, -1).mean(1)
    away = abs(means - means.mean())
    assert away[numbers.chosen_window(made)] == away.min()


def test_a_passage_holds_the_whole_text_and_marks_who_is_better(made):
    found = figures.passage(made, "laptop", window=3)
    assert isinstance(found, Passage) and [*found.paragraphs] == [*QUESTIONS.values()]
    body = Spans(found.paragraphs["at one learning rate"])
    tokens = [made.tokens.inputs[3, 0], *made.tokens.targets[3]]
    assert body.text == "".join(shown(made.tokens.text, token) for token in tokens)
    gains = made.gains("common").mean(0).reshape(WINDOWS, -1)[3]
    marks = ["mark" if g > 0.1 else "u" if g < -0.1 else "span" for g in gains]
    assert [token["tag"] for token in body.found] == marks
    assert all(token["title"].split(":")[0] in CLASSES for token in body.found)


def test_a_passage_has_words_for_those_who_cannot_see_it_and_needs_no_colour(made):
    page = figures.passage(made, "laptop")._repr_html_()
    assert 'role="group" aria-label="Text of 16 tokens' in page and "Tier laptop; " in page
    assert "<u>Underlined: gamma 0.5 is better</u>" in page and "<style" not in page
    assert "nan" not in page and 'id="fig-passage"' in page


def test_tokens_are_shown_as_people_can_read_them(text):
    assert shown(text, text.ranks[b"a"]) == "a" and shown(text, text.ranks[b"\n"]) == "↵\n"
    assert shown(text, text.ranks[b"\xe2"]) == "‹E2›"
    assert shown(text, len(text.ranks)) == "⟨end of document⟩"


def test_markup_in_the_text_is_text(made, monkeypatch):
    monkeypatch.setattr(analysis_tokens, "shown", lambda text, token: "<b>&")
    assert "<b>" not in figures.passage(made, "laptop").paragraphs["at one learning rate"]


def test_tokens_of_a_reference_are_those_of_its_record(reference):
    found = tokens_of(reference)
    losses = reference.probes[-1]["tokens"]
    assert found.reference_losses.tolist() == losses["whole"]
    assert found.reference_gains == pytest.approx(np.subtract(losses["short"], losses["whole"]))
