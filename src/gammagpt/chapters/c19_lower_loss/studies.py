"""A small initialization against the two usual ones, each tuned, where runs do not collapse."""

from dataclasses import replace

from ...gpt.config import InitConfig, RunConfig
from ...gpt.size import size_of
from ...lab.settings import Settings, gpt2, gpt_on_text, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy

# The best rate at width 64 and 400 steps with 30 % of warm-up, and its power of the width: read off
# the first edition's records by eye, only to know where a grid has to lie.
LARGE, SMALL, FIXED = (0.0148, 1.0), (0.0071, 1.2), (0.0085, 1.2)
SHORTER = 0.3  # the best rate falls with this power of the steps


def studies(p) -> dict[str, LearningRateStudy]:
    """lower_loss_width, _depth: the initializations by size, at `tokens_per_parameter`. _bias: by
    width, with and without an output bias at the unigram law. _rates: the losses over the learning
    rate, at one size and each of two warm-ups. Raises UserError for bad values."""
    base, seeds = gpt_on_text(p, 400), (tuple(p.tuning_seeds), tuple(p.seeds))
    wide = _by(p, base, "width {}", [{"width": width} for width in p.widths])
    deep = _by(p, base, "layers {}", [{"n_layer": depth} for depth in p.depths])
    plain = {f"{name}, width {width}" for width in p.bias_widths for name in _inits(p)}
    biased = Settings({n: c for n, c in wide.items() if n in plain}).over(
        "model", {"": {}, ", unigram bias": {"head_bias": "unigram"}})
    grid, tuned = tuple(sorted(p.factors)), {"width": wide, "depth": deep, "bias": biased}
    found = {f"lower_loss_{name}": TunedStudy(dict(settings), grid, *seeds)
             for name, settings in tuned.items()}
    curves = over_inits(_sized(p, base), *_inits(p).values()).over("optim", warmup=p.curve_warmups)
    return found | {"lower_loss_rates": LearningRateStudy(
        dict(curves), tuple(sorted(p.curve_rates)), tuple(p.curve_seeds), ())}


def _inits(p) -> dict[str, InitConfig]:
    inits = [*(InitConfig(gamma=gamma) for gamma in p.gammas), gpt2(p.gpt2_std)]
    return {init.label: init for init in inits}


def _by(p, base: RunConfig, words: str, sizes: list[dict]) -> Settings:
    """Every initialization at every size, as many tokens as its weights ask for."""
    found = Settings()
    for size in sizes:
        sized = _sized(p, base, **size)
        for name, init in _inits(p).items():
            run = replace(sized, init=init)
            rate = expected_rate(init, run.model.width, run.steps)
            run = replace(run, optim=replace(run.optim, learning_rate=rate))
            found[f"{name}, {words.format(*size.values())}"] = run
    return found


def _sized(p, base: RunConfig, **size) -> RunConfig:
    """The run at another size: the recipe's warm-up, and tokens in proportion to its weights."""
    model = replace(base.model, **size)
    tokens = p.tokens_per_parameter * size_of(model).weights
    steps = max(10, round(tokens / (p.batch_size * p.block_size)))
    return replace(base, model=model, steps=steps, optim=replace(base.optim, warmup=p.warmup))


def expected_rate(init: InitConfig, width: int, steps: int) -> float:
    """Where the best learning rate is expected; a grid of multiples of it has to bracket it."""
    large = init.gamma is not None and init.gamma < 0.75
    best, power = LARGE if large else FIXED if init.gamma is None else SMALL
    return float(f"{best * (64 / width) ** power * (400 / steps) ** SHORTER:.4g}")
