"""How weights and predictions develop: spectra along the run, and the loss of every token."""

from dataclasses import replace

from ...gpt.config import InitConfig
from ...lab.settings import changed, gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """Tuning is that of chapter 2, run for run, if the sizes are the same. The cosines between
    neurons are for looking at: one seed, the common rate. Raises UserError for bad values."""
    base = gpt_on_text(p, spectra=p.spectra, tokens=p.tokens)
    other = replace(base, init=InitConfig(gamma=p.reference_gamma), seed=p.reference_seed)
    reference = changed(other, "optim", {"learning_rate": p.reference_rate})
    looked_at = over_inits(gpt_on_text(p, neurons=p.neurons), gammas=p.gammas)
    return {
        "development": study(
            over_inits(base, gammas=p.gammas), p.learning_rates, p.tuning_seeds, p.seeds,
            reference=reference,
        ),
        "development_neurons": study(looked_at, (), p.tuning_seeds, p.seeds[:1]),
    }
