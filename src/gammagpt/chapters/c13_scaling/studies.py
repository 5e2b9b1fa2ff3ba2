"""Does the gain grow with the model, and with the text? And with both restraints relaxed?"""

from ...gpt.config import InitConfig
from ...lab.settings import gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """width: the gammas (and those `between`, and fixed stds) at every width; relaxed: with a
    smaller epsilon and a gate too, on rates of its own, since all is trained twice there. length:
    more steps. Raises UserError for bad values."""
    base, seeds = gpt_on_text(p), (p.tuning_seeds, p.seeds)
    plain = over_inits(base, gammas=p.gammas)
    fixed = [InitConfig(None, std) for std in p.fixed_stds]
    every = over_inits(base, *fixed, gammas=sorted({*p.gammas, *p.between}))
    wide = plain.over("model", width=p.widths)
    return {
        "scaling_width": study(every.over("model", width=p.widths), p.learning_rates, *seeds),
        "scaling_relaxed": study(wide | relaxed(p, wide), p.relaxed_learning_rates, *seeds),
        "scaling_length": study(plain.over(steps=p.lengths), p.learning_rates, *seeds),
    } | on_other_seeds(p, plain)


def relaxed(p, settings):
    """Both restraints of chapter 9 taken away."""
    return settings.over("model", {", relaxed": {"norm_eps": p.norm_eps, "gate": True}})


def on_other_seeds(p, plain) -> dict[str, LearningRateStudy]:
    """fresh: some widths once more, on more seeds, none of which the others have seen; freed: and
    relaxed; slow: and with a longer warm-up. depth: other numbers of layers, on seeds of their
    own; patient: and with the longer warm-up."""
    fresh, deep = plain.over("model", width=p.fresh_widths), plain.over("model", n_layer=p.depths)
    widest = plain.over("model", width=[max(p.fresh_widths)])
    slow, slow_deep = (some.over("optim", warmup=[p.long_warmup]) for some in (fresh, deep))
    of_width = p.fresh_learning_rates, p.fresh_tuning_seeds, p.fresh_seeds
    of_depth = p.depth_learning_rates, p.depth_tuning_seeds, p.depth_seeds
    return {
        "scaling_fresh": study(fresh, *of_width, optional=True),
        "scaling_freed": study(widest | relaxed(p, fresh), *of_width, optional=True),
        "scaling_slow": study(widest | slow, *of_width, optional=True),
        "scaling_depth": study(deep, *of_depth, optional=True),
        "scaling_patient": study(slow_deep, *of_depth, optional=True),
    }
