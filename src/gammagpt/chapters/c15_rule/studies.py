"""What a practitioner would do tomorrow: gamma 1 in every matrix, beside what others do."""

from ...gpt.config import InitConfig
from ...lab.recipe import at_expected_rates, sized
from ...lab.settings import gpt2, gpt_on_text, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """practice: initializations that are in use or were proposed, each at its own best rate; gamma
    0.5, gamma 1 and std 0.02 are runs of chapter 2. Raises UserError for bad values."""
    of_usual = (
        InitConfig(gamma=p.usual, parts=f"embedding {p.small:g}"),
        InitConfig(gamma=p.usual, parts=f"embedding {p.tiny_embedding:g}"),
        InitConfig(gamma=p.usual, depth_scaling=True),
    )
    base = sized(p, gpt_on_text(p, 400))
    settings = at_expected_rates(
        over_inits(base, gpt2(p.gpt2_std), *of_usual, gammas=[p.usual, p.small]))
    return {"practice": TunedStudy(
        dict(settings), tuple(sorted(p.factors)), tuple(p.tuning_seeds), tuple(p.seeds))}
