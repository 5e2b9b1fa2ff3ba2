"""What finds the chapters' studies: by name and tier, and the verdicts that follow from them."""

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache

from .. import chapters
from ..lab.settings import parameters
from ..lab.store import Store
from ..lab.study import LearningRateStudy
from ..ledger.claims import load_ledger
from ..ledger.judge import Verdict, judge
from ..ledger.show import effect
from ..project import PAGES, TIERS, UserError, results_folder, root, tier_parameters


def study(experiment: str, tier: str, **changed) -> LearningRateStudy:
    """An experiment at the size of a tier, with some of its chapter's parameters `changed`.

    Raises UserError for a name that is unknown.
    """
    if experiment not in (known := homes()):
        raise UserError(f"experiment: got {experiment!r}, allowed are {', '.join(known)}")
    return studies(known[experiment], tier, **changed)[experiment]


def studies(notebook: str, tier: str, **changed) -> dict[str, LearningRateStudy]:
    """All studies of a chapter, by name, at the size of a tier, with some parameters `changed`.

    Raises UserError for a parameter that the notebook does not have, or a bad value.
    """
    given = tier_parameters(tier)[notebook]
    if unknown := [name for name in changed if name not in given]:
        allowed = ", ".join(given)
        raise UserError(f"{notebook}: unknown parameter {unknown[0]!r}, allowed are {allowed}")
    return _chapters()[notebook].studies(parameters(given | changed))


def homes() -> dict[str, str]:
    """Each study's notebook, whose parameters say how large it is: {"language": "07_language"}."""
    return _homes(root())


@cache
def _homes(checkout) -> dict[str, str]:
    notebooks = tier_parameters(PAGES)
    return {name: notebook for notebook in _chapters() if notebook in notebooks
            for name in studies(notebook, PAGES)}


@cache
def _chapters() -> dict:
    """Notebook -> the module chapters/cNN_name/studies.py of it, if it makes runs of its own."""
    names = [module.name for module in pkgutil.iter_modules(chapters.__path__)]
    modules = {}
    for name in names:
        if importlib.util.find_spec(f"{chapters.__name__}.{name}.studies"):
            module = importlib.import_module(f"{chapters.__name__}.{name}.studies")
            modules[name.removeprefix("c")] = module
    return modules


def verdicts(tier: str = PAGES, folder=None, claims=None) -> list[Verdict]:
    """The verdict of every claim of the ledger, from the records of a tier; trains nothing.

    The records may be in another `folder`, and the `claims` be fewer. Raises UserError for a claim
    whose metric none of the runs has that it is judged by.
    """
    claims, store = claims or load_ledger(), Store(folder or results_folder(tier))
    names = {claim.experiment for claim in claims}
    frames = {name: study(name, tier).collect(store) for name in names}
    for claim in claims:
        _check_metric(claim, frames[claim.experiment], tier)
    return [judge(claim, frames[claim.experiment], tier) for claim in claims]


def _check_metric(claim, runs, tier: str) -> None:
    """What is measured on some tiers only is asked for on those; a run that diverged has nothing.

    All else that is in no run is misspelt.
    """
    if claim.metric in runs or not claim.judged_at(tier) or not len(runs):
        return
    own = runs[(runs.role == claim.comparison["learning_rate"]) & runs.setting.isin(claim.settings)]
    if (own.status == "ok").any():
        like = get_close_matches(claim.metric, map(str, runs.columns)) or ["loss"]
        raise UserError(f"claim {claim.id}: metric: got {claim.metric!r}, which no run has; "
                        f"allowed are columns of the runs, like {', '.join(like)}")


def at_tiers(claims):
    """A frame for the end of a chapter, a row a claim: what each tier but smoke says of it.

    From the records of the book's own settings, whatever the page's parameters are.
    """
    import pandas as pd

    words = {tier: [f"{v.verdict}, {effect(v)}" if v.n else v.verdict
                    for v in verdicts(tier, claims=claims)] for tier in TIERS[1:]}
    return pd.DataFrame({"claim": [claim.title for claim in claims]} | words)
