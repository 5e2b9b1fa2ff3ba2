"""A GPT on a mixture of texts that ask to reason, to remember, or for neither."""

from ...lab.settings import gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """Losses and answers of each text. Raises UserError for bad values."""
    base = gpt_on_text(p, losses=13, windows=32, final_windows=256)
    settings = over_inits(base, gammas=p.gammas)
    return {"gains": study(settings, p.learning_rates, p.tuning_seeds, p.seeds)}
