"""Four settings that are said to hide what small initialization gains, each tuned by itself."""

from ...gpt.config import RunConfig
from ...lab.recipe import at_expected_rates, is_large, sized
from ...lab.settings import gpt_on_text, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy

GATED, BITTEN = 1.5, 0.5  # what a gate, and an epsilon that bites, do to the expected best rate:
BITES = 1e-4  # read off the first edition's records; so large an epsilon bites at width 64


def studies(p) -> dict[str, LearningRateStudy]:
    """restraints: the gammas with each value of the four settings, all tuned, by the recipe of
    chapter 19; attention sinks are counted in the compared runs. Raises UserError for bad values.
    """
    plain = over_inits(sized(p, gpt_on_text(p, 400, sinks=p.sinks)), gammas=p.gammas)
    settings = (
        plain | plain.over("model", norm_eps=p.epsilons)
        | plain.over("model", {", gate": {"gate": True}})
        | plain.over("optim", weight_decay=p.decays) | plain.over("optim", warmup=p.warmups)
    )
    return {"restraints": TunedStudy(
        at_expected_rates(settings, _times), tuple(sorted(p.factors)), tuple(p.tuning_seeds),
        tuple(p.seeds),
    )}


def _times(run: RunConfig) -> float:
    """How far a setting moves the best rate."""
    bitten = run.model.norm_eps > BITES and not is_large(run.init)
    return (GATED if run.model.gate else 1) * (BITTEN if bitten else 1)
