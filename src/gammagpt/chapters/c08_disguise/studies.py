"""Is small initialization a learning rate in disguise? Two interventions."""

from ...gpt.config import InitConfig
from ...lab.settings import gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """relative: every matrix takes steps in proportion to its own size. parts: all is drawn with
    gamma `usual` but one of the `parts`, with gamma `small`. Raises UserError for bad values."""
    base, rest = gpt_on_text(p), (p.learning_rates, p.tuning_seeds, p.seeds)
    ways = {"": {}, ", relative steps": {"relative": True}}
    parts = [InitConfig(gamma=p.usual, parts=f"{name.strip()} {p.small:g}")
             for name in p.parts.split(",")]
    return {
        "disguise_relative": study(over_inits(base, gammas=p.gammas).over("optim", ways), *rest),
        "disguise_parts": study(over_inits(base, *parts, gammas=[p.usual, p.small]), *rest),
    }
