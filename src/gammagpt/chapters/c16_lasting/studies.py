"""Does the gain last? Three initializations, trained briefly and many times as long."""

from ...lab.settings import gpt2, gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """The usual initialization, a small one and GPT-2's at every length. Raises UserError for bad
    values."""
    base = gpt_on_text(p, steps=min(p.lengths))
    three = over_inits(base, gpt2(p.gpt2_std), gammas=[p.usual, p.small]).over(steps=p.lengths)
    rest = p.learning_rates, p.tuning_seeds, p.seeds
    return {"lasting": study(three, *rest, optional=True)}
