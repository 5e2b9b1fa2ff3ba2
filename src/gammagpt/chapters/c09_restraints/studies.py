"""Four settings that are said to hide what small initialization gains, each tuned by itself."""

from ...gpt.config import RunConfig
from ...lab.recipe import at_expected_rates, is_large, sized
from ...lab.settings import Settings, gpt_on_backcopy, gpt_on_text, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy

GATED, BITTEN = 1.5, 0.5  # what a gate, and an epsilon that bites, do to the expected best rate:
BITES = 1e-4  # read off the first edition's records; so large an epsilon bites at width 64
COPYING = 0.5  # what Bigram-Backcopy does to that of gamma 0.5, by a pilot on seeds of its own


def studies(p) -> dict[str, LearningRateStudy]:
    """restraints: the gammas with each value of the four settings, all tuned, by the recipe of
    chapter 2; attention sinks are counted in the compared runs. sinks: the gammas with a gate and
    without, at some depths, where sinks form. Raises UserError for bad values.
    """
    plain = over_inits(sized(p, gpt_on_text(p, 400, sinks=p.sinks)), gammas=p.gammas)
    settings = (
        plain | plain.over("model", norm_eps=p.epsilons) | _gated(plain)
        | plain.over("optim", weight_decay=p.decays) | plain.over("optim", warmup=p.warmups)
    )
    copying = over_inits(gpt_on_backcopy(p, sinks=p.sinks), gammas=p.gammas)
    deep = Settings(copying | _gated(copying)).over("model", n_layer=p.copy_layers)
    return {"restraints": _tuned(p, at_expected_rates(settings, _times)),
            "sinks": _tuned(p, at_expected_rates(deep, _times_copying))}


def _gated(settings: Settings) -> Settings:
    return settings.over("model", {", gate": {"gate": True}})


def _tuned(p, settings: Settings) -> TunedStudy:
    return TunedStudy(dict(settings), tuple(sorted(p.factors)), tuple(p.tuning_seeds),
                      tuple(p.seeds))


def _times(run: RunConfig) -> float:
    """How far a setting moves the best rate."""
    bitten = run.model.norm_eps > BITES and not is_large(run.init)
    return (GATED if run.model.gate else 1) * (BITTEN if bitten else 1)


def _times_copying(run: RunConfig) -> float:
    return COPYING if is_large(run.init) else 1
