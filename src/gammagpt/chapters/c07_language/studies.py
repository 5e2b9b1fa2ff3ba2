"""A GPT on a mixture of texts, one that asks to reason and one that does not."""

from ...lab.collapse import OF_MIXTURES
from ...lab.recipe import at_expected_rates, sized
from ...lab.settings import gpt_on_text, over_inits
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, TunedStudy]:
    """logic_and_stories: each gamma tuned, by the recipe of chapter 2; losses of each text along
    the run. Raises UserError for bad values."""
    base = sized(p, gpt_on_text(p, 400, losses=25, final_windows=256, geometry=p.probes))
    settings = at_expected_rates(over_inits(base, gammas=p.gammas))
    return {"logic_and_stories": TunedStudy(dict(settings), tuple(sorted(p.factors)),
                                            tuple(p.tuning_seeds), tuple(p.seeds),
                                            collapse=OF_MIXTURES)}
