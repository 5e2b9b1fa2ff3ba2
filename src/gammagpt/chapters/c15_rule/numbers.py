"""Tables of chapter 15: what is drawn, and what it costs to miss the best learning rate."""

import numpy as np
import pandas as pd

from ...analysis.frames import of_role
from ...analysis.norms import after_norms
from ...gpt.audit import audit_init
from ...gpt.engine import build_model
from ...project import UserError

VALLEY = ["setting", "factor", "above", "seed", "key"]


def drawn(settings) -> pd.DataFrame:
    """The measured std of every matrix as it is drawn, a column a setting {name: RunConfig}.

    Raises UserError if one is not as its rule says. The last row: RMS after the first norm.
    """
    columns = {}
    for name, config in settings.items():
        model, init = build_model(config), vars(config.init)
        audit = audit_init(model, **init).set_index("tensor")
        if not audit.ok.all():
            raise UserError(f"{name}: {audit.index[~audit.ok][0]} is not drawn as its rule says")
        first = next(iter(after_norms(model, config.model.norm_eps).values()))
        columns[name] = pd.concat([audit["std"], pd.Series({"RMS after the first norm": first})])
    return pd.DataFrame(columns)


def valleys(runs) -> pd.DataFrame:
    """A row a tuning run: its rate as a factor of the setting's best one, and how far it ends above
    the mean there (nats per token; nan if it diverged)."""
    tuning, rows = of_role(runs, "tuning"), []
    best = of_role(runs, "tuned").groupby("setting").learning_rate.first() if len(runs) else {}
    for setting, group in tuning.groupby("setting", sort=False) if len(runs) else ():
        if setting in best:
            least = group.loss[group.learning_rate == best[setting]].mean()
            factor = (group.learning_rate / best[setting]).map(lambda value: float(f"{value:.2g}"))
            above = (group.loss - least).where(np.isfinite(group.loss))
            rows.append(group.assign(factor=factor, above=above))
    return pd.concat(rows)[VALLEY] if rows else pd.DataFrame(columns=VALLEY)


def factor_of_two(runs) -> pd.DataFrame:
    """Of each setting: what half and twice its best rate cost (nats), nan beyond its grid.

    Their mean is, of a parabola, the rise one octave from its lowest point, wherever that lies
    between two rates of the grid; so one setting can be compared with another.
    """
    means = valleys(runs).pivot_table(index="setting", columns="factor", values="above", sort=False)
    sides = {words: means.get(factor, pd.Series(np.nan, means.index))
             for words, factor in (("half the rate", 0.5), ("twice the rate", 2.0))}
    table = pd.DataFrame(sides)
    return table.assign(**{"mean of both": table.mean(axis=1, skipna=False)})
