"""How weights and predictions develop: spectra along the run, and the loss of every token."""

from ...lab.settings import gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """Tuning is that of chapter 2, run for run, if the sizes are the same. The cosines between
    neurons are for looking at: one seed, the common rate. Raises UserError for bad values."""
    base = gpt_on_text(p, spectra=p.spectra, tokens=p.tokens)
    looked_at = over_inits(gpt_on_text(p, neurons=p.neurons), gammas=p.gammas)
    return {
        "development": study(
            over_inits(base, gammas=p.gammas), p.learning_rates, p.tuning_seeds, p.seeds),
        "development_neurons": study(looked_at, (), p.tuning_seeds, p.seeds[:1]),
    }
