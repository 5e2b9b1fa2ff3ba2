"""Tables of chapter 17: what became of each intervention, and of each forecast."""

import pandas as pd

from ...analysis.plateau import RULES, collapse_index
from ...lab.collapse import MARGIN
from .interventions import EXPECTED, runs, settings

RULE_NAMES = {
    "x": "x = lr d² / n_w", "x_vocabulary": "x √(V / 1,024)", "rate": "lr", "rate_width": "lr d",
    "rate_warmup": "lr / n_w", "power": "power law, fitted", "early": "training loss at a fifth",
}  # fmt: skip
COLUMNS = ["width", "setting", "seed", "loss", "reference", "collapsed", "embedding_stable_rank",
           "head_stable_rank", "unigram_until", "key", "status", "commit"]  # fmt: skip


def outcomes(store, widths, seeds, reference_seeds) -> pd.DataFrame:
    """A row a run that is there and is compared: COLUMNS.

    collapsed: it ends more than MARGIN (nats per token) above `reference`, the lowest loss that its
    setting reaches at its learning rate or at half of it; a diverged run has collapsed.
    """
    rows = []
    for width in widths:
        for name, config in settings(width).items():
            here = [store.get(run) for run in runs(width, seeds, reference_seeds, {name: config})]
            records = [record for record in here if record]
            if records:
                rows += _rows(name, config, records)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(name, config, records) -> list[dict]:
    losses = {record.key: record.final["validation_loss"] for record in records}
    reference = min((loss for loss in losses.values() if loss is not None), default=float("nan"))
    compared = [r for r in records
                if r.config.optim.learning_rate == config.optim.learning_rate]  # fmt: skip
    return [
        {"width": config.model.width, "setting": name, "seed": record.config.seed,
         "loss": losses[record.key], "reference": reference, "key": record.key,
         "collapsed": losses[record.key] is None or losses[record.key] > reference + MARGIN,
         "status": record.status, "commit": record.provenance["commit"]}
        | {field: record.final.get(field) for field in COLUMNS[6:9]}
        for record in compared
    ]  # fmt: skip


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
