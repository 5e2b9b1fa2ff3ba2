"""Final loss against gamma, and against fixed stds with and without residual scaling."""

from ...gpt.config import InitConfig
from ...lab.settings import gpt2, gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """A GPT on text, with every gamma and std. Raises UserError for bad values."""
    fixed = [init for std in p.fixed_stds for init in (InitConfig(None, std), gpt2(std))]
    settings = over_inits(gpt_on_text(p), *fixed, gammas=p.gammas)
    return {"gamma_scaling": study(settings, p.learning_rates, p.tuning_seeds, p.seeds)}
