"""Final loss against gamma, and against fixed stds with and without residual scaling."""

from ...gpt.config import InitConfig
from ...lab.settings import gpt2, gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """gamma_scaling: a GPT on text, with every gamma and std. development: some of them again, with
    spectra and the losses of tokens, which the explorer shows. Raises UserError for bad values."""
    fixed = [init for std in p.fixed_stds for init in (InitConfig(None, std), gpt2(std))]
    base, measured = gpt_on_text(p), gpt_on_text(p, spectra=p.spectra, tokens=p.tokens)
    grid = p.learning_rates, p.tuning_seeds, p.seeds
    return {
        "gamma_scaling": study(over_inits(base, *fixed, gammas=p.gammas), *grid),
        "development": study(over_inits(measured, gammas=p.measured_gammas), *grid),
    }
