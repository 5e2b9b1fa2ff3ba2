"""The second paper's tasks, learned by an Emb-MLP and by a Transformer, each gamma tuned."""

import math
from dataclasses import replace

from ...gpt.config import RunConfig
from ...lab.settings import emb_mlp, on_anchors
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy

# What a gamma below 0.4 does to the best rate, read off the first edition's records.
LARGE = {"emb_mlp": 0.17, "gpt": 2.4}


def studies(p) -> dict[str, LearningRateStudy]:
    """The Emb-MLP gets key and anchors only, and each sequence there is; the Transformer finds
    them among noise, `length` tokens in all. Raises UserError for bad values."""
    tasks = {"tasks": p.tasks, "held_out": p.held_out, "vocab_size": p.vocab_size}
    noise = {"length": p.length, "samples": p.samples}
    gpt = {"n_layer": p.n_layer, "n_head": p.n_head, "width": p.width, "positions": p.positions}
    emb = on_anchors(
        p, emb_mlp(p), tasks, gammas=p.emb_gammas, rates=(), rate=p.emb_expected_rate,
        steps=p.emb_steps, batch_size=p.emb_batch_size, seeds=p.seeds,
    )
    transformer = on_anchors(
        p, gpt, tasks | noise, gammas=p.gpt_gammas, rates=(), rate=p.expected_rate,
        steps=p.steps, batch_size=p.batch_size, seeds=p.seeds,
    )
    return {"first_emb": _tuned(p, emb), "first_gpt": _tuned(p, transformer)}


def _tuned(p, plain: LearningRateStudy) -> TunedStudy:
    """Each setting around the rate that is expected of it. Every seed draws a memory table of its
    own, so losses of different seeds do not say whether a run collapsed."""
    settings = {name: _at_expected(run, p.warmup) for name, run in plain.settings.items()}
    return TunedStudy(settings, tuple(sorted(p.factors)), tuple(p.tuning_seeds), tuple(p.seeds),
                      collapse=math.inf)


def _at_expected(run: RunConfig, warmup: float) -> RunConfig:
    times = LARGE[run.model.kind] if run.init.gamma < 0.4 else 1
    rate = float(f"{times * run.optim.learning_rate:.4g}")
    return replace(run, optim=replace(run.optim, learning_rate=rate, warmup=warmup))
