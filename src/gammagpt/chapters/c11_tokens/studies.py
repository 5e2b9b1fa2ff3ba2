"""Small initialization against the two usual ones, tuned; the loss of every token is kept."""

from dataclasses import replace

from ...gpt.config import InitConfig
from ...lab.recipe import at_expected_rates, sized
from ...lab.settings import Settings, changed, gpt2, gpt_on_text, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """tokens: the initializations by chapter 2's recipe, whose tuning runs these are, and the
    gammas once more with an output bias at the unigram law. A third initialization, `reference`,
    tells the classes of tokens apart. Raises UserError for bad values."""
    base = sized(p, gpt_on_text(p, 400, tokens=p.tokens))
    plain = at_expected_rates(over_inits(base, gpt2(p.gpt2_std), gammas=p.gammas))
    gammas = Settings({name: run for name, run in plain.items() if run.init.gamma is not None})
    biased = gammas.over("model", {", unigram bias": {"head_bias": "unigram"}})
    other = replace(base, init=InitConfig(gamma=p.reference_gamma), seed=p.reference_seed)
    reference = changed(changed(other, "optim", {"learning_rate": p.reference_rate}),
                        "probes", {"short": p.short})
    return {"tokens": TunedStudy(dict(plain | biased), tuple(sorted(p.factors)),
                                 tuple(p.tuning_seeds), tuple(p.seeds), reference)}
