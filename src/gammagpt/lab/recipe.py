"""The second edition's recipe: warm-up and tokens that keep runs off the collapse, and where each
initialization's best learning rate is expected."""

from dataclasses import replace

from ..gpt.config import InitConfig, RunConfig
from ..gpt.size import size_of
from ..project import require
from .settings import Settings

# The best rate at width 64 and 400 steps with 30 % of warm-up, and its power of the width: read off
# the first edition's records by eye, only to know where a grid has to lie.
# Std 0.02 began at (.0085, 1.2); its best rate at width 64 was the grid's largest: moved by that.
LARGE, SMALL, FIXED = (0.0148, 1.0), (0.0071, 1.2), (0.0116, 0.6)
MOST = 100_000  # tokens for each weight: more is a slip of the pen
SHORTER = 0.3  # the best rate falls with this power of the steps
WARMER = 0.54  # and that of a small initialization grows with this one of the steps of warm-up


def sized(p, base: RunConfig, longer: float = 1, **size) -> RunConfig:
    """The run at another size: the recipe's warm-up, and tokens in proportion to its weights, or
    `longer` times as many."""
    model, tokens = replace(base.model, **size), longer * p.tokens_per_parameter
    require(0 < tokens <= MOST, "tokens_per_parameter", tokens, f"is above 0, to {MOST}")
    steps = max(10, round(tokens * size_of(model).weights / (p.batch_size * p.block_size)))
    return replace(base, model=model, steps=steps, optim=replace(base.optim, warmup=p.warmup))


def expected_rate(run: RunConfig) -> float:
    """Where the best learning rate is expected; a grid of multiples of it has to bracket it."""
    init, large = run.init, is_large(run.init)
    best, power = LARGE if large else FIXED if init.gamma is None else SMALL
    share = max(run.optim.warmup, 1 / run.steps)  # no warm-up is one of a step
    # That of a large one is in proportion to its std; of a small one, the warm-up limits it.
    own = run.model.width ** (0.5 - init.gamma) if large else (share / 0.3) ** WARMER
    return best * (64 / run.model.width) ** power * (400 / run.steps) ** SHORTER * own


def is_large(init: InitConfig) -> bool:
    """Whether it is nearer to the papers' baseline, gamma 0.5, than to gamma 1."""
    return init.gamma is not None and init.gamma < 0.75


def at_expected_rates(settings: dict[str, RunConfig], times=lambda run: 1) -> Settings:
    """Each setting at the rate that is expected of it, or a multiple of that."""
    return Settings({
        name: replace(run, optim=replace(
            run.optim, learning_rate=float(f"{expected_rate(run) * times(run):.4g}")))
        for name, run in settings.items()
    })
