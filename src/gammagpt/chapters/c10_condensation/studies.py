"""How weights develop: spectra along runs that do not collapse, with and without a unigram bias."""

from ...gpt.config import InitConfig
from ...lab.recipe import at_expected_rates, sized
from ...lab.settings import gpt2, gpt_on_text, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """condensation: each initialization at its own best learning rate, with and without an output
    bias at the unigram law; the tuning runs are chapter 2's. condensation_neurons: cosines between
    neurons, for looking at: one seed, at the expected rate. Raises UserError for bad values."""
    inits = [*(InitConfig(gamma=gamma) for gamma in p.gammas), gpt2(p.gpt2_std)]
    bias = {"": {}, ", unigram bias": {"head_bias": "unigram"}}
    base = sized(p, gpt_on_text(p, 400, spectra=p.spectra))
    settings = at_expected_rates(over_inits(base, *inits).over("model", bias))
    looked_at = at_expected_rates(over_inits(
        sized(p, gpt_on_text(p, 400, neurons=p.neurons)), gammas=p.gammas).over("model", bias))
    seeds = tuple(p.tuning_seeds), tuple(p.seeds)
    return {
        "condensation": TunedStudy(dict(settings), tuple(sorted(p.factors)), *seeds),
        "condensation_neurons": LearningRateStudy(dict(looked_at), (), (), seeds[1][:1]),
    }
