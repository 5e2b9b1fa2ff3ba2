"""A GPT on a mixture of texts that ask to reason, to remember, or for neither."""

from ...lab.collapse import OF_MIXTURES
from ...lab.recipe import at_expected_rates, sized
from ...lab.settings import gpt2, gpt_on_text, over_inits
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, TunedStudy]:
    """mixture: each initialization tuned, by the recipe of chapter 2; losses and answers of each
    text. Raises UserError for bad values."""
    base = sized(p, gpt_on_text(p, 400, losses=25, windows=32, final_windows=256))
    settings = at_expected_rates(over_inits(base, gpt2(p.gpt2_std), gammas=p.gammas))
    return {"mixture": TunedStudy(dict(settings), tuple(sorted(p.factors)), tuple(p.tuning_seeds),
                                  tuple(p.seeds), collapse=OF_MIXTURES)}
