"""A small initialization against the two usual ones, each tuned, where runs do not collapse."""

from ...gpt.config import InitConfig, RunConfig
from ...lab.recipe import at_expected_rates, sized
from ...lab.settings import Settings, gpt2, gpt_on_text, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy
from ...project import require


def studies(p) -> dict[str, LearningRateStudy]:
    """lower_loss_width, _depth: the initializations by size, at `tokens_per_parameter`; _tokens: at
    multiples of that. _bias: by width, with and without an output bias at the unigram law. _rates:
    the losses over the learning rate, at one size and each of two warm-ups. Raises UserError for
    bad values."""
    base, seeds = gpt_on_text(p, 400), (tuple(p.tuning_seeds), tuple(p.seeds))
    wide = _by(p, base, "width {}", [{"width": width} for width in p.widths])
    deep = _by(p, base, "layers {}", [{"n_layer": depth} for depth in p.depths])
    long = _by(p, base, "tokens x {:g}", [{"longer": times} for times in p.longer_factors])
    require({*p.bias_widths} <= {*p.widths}, "bias_widths", p.bias_widths, f"are among {p.widths}")
    plain = {f"{name}, width {width}" for width in p.bias_widths for name in _inits(p)}
    biased = Settings({n: c for n, c in wide.items() if n in plain}).over(
        "model", {"": {}, ", unigram bias": {"head_bias": "unigram"}})
    tuned = {"width": wide, "depth": deep, "tokens": long, "bias": biased}
    found = {f"lower_loss_{name}": TunedStudy(dict(settings), tuple(sorted(p.factors)), *seeds)
             for name, settings in tuned.items()}
    curves = over_inits(sized(p, base), *_inits(p).values()).over("optim", warmup=p.curve_warmups)
    return found | {"lower_loss_rates": LearningRateStudy(
        dict(curves), tuple(sorted(p.curve_rates)), tuple(p.curve_seeds), ())}


def _inits(p) -> dict[str, InitConfig]:
    inits = [*(InitConfig(gamma=gamma) for gamma in p.gammas), gpt2(p.gpt2_std)]
    return {init.label: init for init in inits}


def _by(p, base: RunConfig, words: str, sizes: list[dict]) -> Settings:
    """Every initialization at every size, as many tokens as its weights ask for."""
    return at_expected_rates({
        f"{name}, {words.format(*size.values())}": run
        for size in sizes
        for name, run in over_inits(sized(p, base, **size), *_inits(p).values()).items()
    })
