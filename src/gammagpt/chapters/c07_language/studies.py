"""A GPT on a mixture of texts, one that asks to reason and one that does not."""

from ...lab.settings import gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """Losses of each text along the run. Raises UserError for bad values."""
    base = gpt_on_text(p, losses=25, final_windows=256, geometry=p.probes)
    settings = over_inits(base, gammas=p.gammas)
    return {"language": study(settings, p.learning_rates, p.tuning_seeds, p.seeds)}
