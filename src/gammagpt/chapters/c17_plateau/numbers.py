"""Tables of chapter 17: what became of each intervention, and of each forecast."""

import pandas as pd

from ...analysis.frames import of_role
from ...analysis.plateau import RULES, collapse_index
from .interventions import EXPECTED
from .studies import STUDIES

RULE_NAMES = {
    "x": "x = lr d² / n_w", "x_vocabulary": "x √(V / 1,024)", "rate": "lr", "rate_width": "lr d",
    "rate_warmup": "lr / n_w", "power": "power law, fitted", "early": "training loss at a fifth",
}  # fmt: skip


def outcomes(frames: dict) -> pd.DataFrame:
    """The runs of the interventions that are compared, of all widths; `frames` are the studies'
    {name: frame}. Whether a run has collapsed is a column of theirs (lab/collapse.py).
    """
    compared = [of_role(runs, "common") for name, runs in frames.items() if name in STUDIES]
    return pd.concat(compared, ignore_index=True)


def shares(outcomes) -> pd.DataFrame:
    """A row a width and setting: runs, mean loss, share collapsed, what was expected, and why."""
    rows = []
    for (width, name), group in outcomes.groupby(["width", "setting"], sort=False):
        low, high, why = EXPECTED[name]
        share = group.collapsed.mean()
        rows.append({"width": width, "setting": name, "runs": len(group), "loss": group.loss.mean(),
                     "collapsed": share, "expected": f"{low:.0%} to {high:.0%}",
                     "as expected": "yes" if low <= share <= high else "no", "because": why})
    return pd.DataFrame(rows)


def marks(score: dict) -> pd.DataFrame:
    """A row a rule: its formula, constants that were fitted, and how good its forecasts were."""
    rules = score["rules"]
    if not len(rules):
        return rules
    fitted = {name: 2 + 2 * (name == "power") for name in RULES} | {"early": 3}
    return pd.DataFrame({
        "rule": rules.rule.map(RULE_NAMES), "constants": rules.rule.map(fitted),
        "runs": rules.runs, "right": rules.accuracy, "AUC": rules.auc, "Brier": rules.brier,
        "right, other vocabularies": rules.other_vocabulary_accuracy,
    })  # fmt: skip


def with_index(collapse) -> pd.DataFrame:
    """The runs of the forecasts with x, and how far each ends above the best of its ladder."""
    if not len(collapse):
        return collapse.reindex(columns=["group", "collapsed", "x", "above", "loss"])
    found = collapse.copy()
    numbers = [found[name].astype(float) for name in ("learning_rate", "width", "warmup_steps")]
    found["x"] = collapse_index(*numbers)
    best = found.groupby("group").loss.transform("min")
    found["above"] = found.loss - best
    return found


def boundaries(runs) -> pd.DataFrame:
    """A row a group of forecasts: runs, collapsed ones, the highest x without, the lowest with."""
    rows = []
    for name, group in runs.groupby("group", sort=False) if len(runs) else ():
        bad = group.collapsed.astype(bool)
        rows.append({"group": name, "runs": len(group), "collapsed": int(bad.sum()),
                     "highest x without": group.x[~bad].max(), "lowest x with": group.x[bad].min()})
    return pd.DataFrame(rows)
