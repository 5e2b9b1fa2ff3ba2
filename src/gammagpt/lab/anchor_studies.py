"""The second paper's models on anchor functions, each initialization tuned: for chapters 3 to 6."""

import math
from dataclasses import replace

from ..gpt.config import RunConfig
from .settings import emb_mlp, on_anchors
from .study import LearningRateStudy
from .tuned import TunedStudy

# What a gamma below 0.4 does to the best rate, read off the first edition's records.
LARGE = {"emb_mlp": 0.17, "gpt": 2.4}


def tuned_emb_mlp(p, data: dict, gammas, probes: int = 0) -> TunedStudy:
    """An Emb-MLP with each gamma; `data` is what the page does not say of the task."""
    return _tuned(p, on_anchors(
        p, emb_mlp(p), data, gammas=gammas, rates=(), rate=p.emb_expected_rate,
        steps=p.emb_steps, batch_size=p.emb_batch_size, seeds=p.seeds, probes=probes,
    ))


def tuned_gpt(p, data: dict, gammas, probes: int = 0) -> TunedStudy:
    """A Transformer likewise, that finds key and anchors among noise."""
    model = {"n_layer": p.n_layer, "n_head": p.n_head, "width": p.width, "positions": p.positions}
    return _tuned(p, on_anchors(
        p, model, data | {"length": p.length, "samples": p.samples}, gammas=gammas, rates=(),
        rate=p.expected_rate, steps=p.steps, batch_size=p.batch_size, seeds=p.seeds, probes=probes,
    ))


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
