"""What several tests use: pseudo-prose, hand-made records and frames, and a look at refusals."""

import json
import math
import random
from xml.etree import ElementTree

import pandas as pd
import pytest

from gammagpt import Record, RunConfig, UserError
from gammagpt.gpt.config import SEMANTICS
from gammagpt.ledger.claims import Claim
from gammagpt.plots.style import INK


def prose(seed: int, size: int) -> str:
    """About `size` characters of sentences over a small vocabulary, in lines of one sentence."""
    rng = random.Random(seed)
    words = [line for line in _WORDS.split()]
    sentences, length = [], 0
    while length < size:
        chosen = rng.choices(words, weights=range(len(words), 0, -1), k=rng.randint(4, 12))
        sentences.append(" ".join(chosen).capitalize() + f" {rng.randint(1, 99)}.")
        length += len(sentences[-1]) + 1
    return "\n".join(sentences) + "\n"


def refusal(function, *arguments, **named) -> str:
    """The message of the UserError that a call must raise; always one line."""
    with pytest.raises(UserError) as error:
        function(*arguments, **named)
    assert str(error.value) and "\n" not in str(error.value)
    return str(error.value)


def strict_json(text: str):
    """JSON without the NaN and Infinity that Python alone would accept."""

    def fail(token):
        raise AssertionError(f"not strict JSON: {token}")

    return json.loads(text, parse_constant=fail)


def assert_same_final(record, other, rel: float) -> None:
    """The same scores up to rounding; what is None, as of a run on its plateau, in both."""
    assert record.final == {name: value if value is None else pytest.approx(value, rel=rel)
                            for name, value in other.final.items()}


def small_anchor_run(kind: str, *, data=None, model=None, **changes) -> RunConfig:
    """Two tasks on ten keys for an Emb-MLP ("emb_mlp") or a GPT: learned in about a second."""
    length = {"emb_mlp": 3, "gpt": 5}[kind]
    made = {"kind": "anchors", "keys": "21..30", "vocab_size": 61, "length": length,
            "tasks": "memory 1..4 random, reasoning 11..14 sum",
            "samples": 0 if kind == "emb_mlp" else 2000} | (data or {})
    shape = {"kind": kind, "vocab_size": made["vocab_size"], "block_size": made["length"]}
    shape |= {
        "emb_mlp": {"width": 32, "hidden": 48},
        "gpt": {"width": 16, "n_layer": 2, "n_head": 1, "positions": "learned"},
    }[kind] | (model or {})
    return RunConfig.from_dict({
        "model": shape, "data": made, "steps": 12, "batch_size": 32,
        "optim": {"learning_rate": 0.02}, "init": {"gamma": 0.8},
        "probes": {"losses": 4, "windows": 30, "final_windows": 60},
    } | changes)


def made_up_record(config, loss, *, rules=None, curve=None, probes=()) -> Record:
    """A record that nobody trained; a loss of None is that of a diverged run."""
    return Record(
        config=config,
        status="diverged" if loss is None else "ok",
        diverged_at=3 if loss is None else None,
        curves={"train": [[1, 5.5]], "validation": curve or [[0, 5.75], [2, 5.25]]},
        probes=list(probes),
        final={"validation_loss": loss},
        provenance={
            "commit": "0123456789ab", "source": "abc", "semantics": SEMANTICS, "device": "cpu",
            "torch": "2", "seconds": 1.5, "date": "2020-01-01T00:00:00Z", "rules": rules or {},
        },
    )


def made_up_study(planned, store, loss_of, finish=lambda name, record: record):
    """The frame of a tuned study that nobody trained; every best rate is the expected one.

    A setting ends at loss_of(name, seed); `finish(name, record)` completes what is compared.
    """
    for name, config in planned.settings.items():
        for run in planned.only([name]).tuning():
            off = abs(math.log2(run.optim.learning_rate / config.optim.learning_rate))
            store.put(made_up_record(run, loss_of(name, run.seed) + 0.02 * off))
    best = planned.best_rates(planned.collect(store))
    for name in planned.settings:
        for run in planned.only([name]).at_best_rate(best):
            store.put(finish(name, made_up_record(run, loss_of(name, run.seed))))
    return planned.collect(store)


def made_up_claim(**changes) -> Claim:
    """A claim like those of the ledger; `rule` and `comparison` entries may be given by name."""
    fields = dict(
        id="a-claim", title="A title", paper="key", place="abstract", statement="So it is.",
        notebook="notebook", experiment="practice", figure="fig-x", metric="loss",
        unit="nats per token", tiers=["laptop"], expected={"laptop": [0.1, 0.6]},
        comparison={"baseline": "gamma 0.5", "treatment": "gamma 0.8", "learning_rate": "tuned"},
        rule={"margin": 0.03, "confidence": 0.95, "min_runs": 3},
    )
    for name, value in changes.items():
        part = next((p for p in ("rule", "comparison") if name in fields[p]), None)
        fields |= {part: fields[part] | {name: value}} if part else {name: value}
    return Claim(**fields)


def made_up_runs(losses, *, role="tuned", claim=None, resolved=True) -> pd.DataFrame:
    """A frame of runs from {setting: losses by seed 0, 1, ...}, or {setting: {seed: loss}}."""
    rules = {claim.id: claim.rule_hash} if claim else {}
    rows = [
        {"setting": setting, "role": role, "seed": seed, "loss": loss, "resolved": resolved,
         "key": f"{setting}, {role}, {seed}", "rules": rules}
        for setting, values in losses.items()
        for seed, loss in (values.items() if isinstance(values, dict) else enumerate(values))
    ]
    return pd.DataFrame(rows)


def words_of(make) -> str:
    """The words in a figure, which must have ink for both grounds, an alt text and its origin."""
    picture = make()
    images = {ground: picture.svg(ground) for ground in INK}
    for ground, image in images.items():
        other = INK["dark" if ground == "light" else "light"]
        assert INK[ground].encode() in image and other.encode() not in image
    assert make().svg("dark") == images["dark"]  # the same bytes each time
    assert len(picture.alt) > 60 and picture.alt.endswith(".")
    origin = picture.source.words
    assert "Tier laptop; " in origin and "commit 01234567." in origin
    return " ".join(ElementTree.fromstring(images["light"]).itertext())


def under(picture) -> str:
    """All that stands below a figure: how to read it, and where its numbers come from."""
    return f"{picture.caption} {picture.source.words}"


_WORDS = """
the of and to in that a is was it for on with as his be by at from had not are but have this which
or were an their they one all we there been would her who has more no if so when can my what do said
them some into could other then its time people house state nation war peace law year public great
country power work money land ship river north south summer winter bread stone fire glass garden
"""
