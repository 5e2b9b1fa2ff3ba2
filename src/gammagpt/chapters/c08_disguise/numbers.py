"""Numbers of the chapter on learning rates: scales that cancel, relative steps, single parts.

Runs are rows of a frame (lab.frame, with roles). Best rates: analysis/learning_rates.py; pictures:
figures.py.
"""

import pandas as pd

from ...analysis.gains import over
from ...analysis.learning_rates import LossesByRate, best_lr
from ...ledger.estimate import QUESTIONS, Estimate

RELATIVE = ", relative steps"


# ---- what a scale changes before any training ----------------------------------------------------

TOGETHER = "all three that write into the stream"
GROUPS = {
    "query and key": ("attention.query", "attention.key"),
    "value": ("attention.value",),
    "MLP gate and up": ("mlp.gate", "mlp.up"),
    "MLP down": ("mlp.down",),
    "attention out": ("attention.out",),
    "embedding": ("embedding",),
    TOGETHER: ("embedding", "attention.out", "mlp.down"),
    "head": ("head",),
}


def scaled(config, factors, windows: int = 16) -> pd.DataFrame:
    """A freshly drawn model in float64, with the matrices of one of GROUPS times a factor.

    Columns: matrices, factor, loss (nats per token, on validation text) and changed: the mean
    Kullback-Leibler divergence (nats) of its predictions from those at factor 1.
    """
    import torch

    from ...data.text import load_text
    from ...gpt.init import gamma_init_
    from ...gpt.model import GPT, cross_entropy

    text = load_text(config.data, config.model.block_size)
    tokens, targets = text.validation_windows(windows, config.model.block_size)
    model = gamma_init_(GPT(config.model), config.init.gamma, seed=config.seed).double()
    start, rows = {name: w.clone() for name, w in model.state_dict().items()}, []
    with torch.no_grad():
        before = model(tokens).log_softmax(-1)
        for matrices, patterns in GROUPS.items():
            for factor in factors:
                for name, weight in model.named_parameters():
                    times = factor if any(pattern in name for pattern in patterns) else 1.0
                    weight.copy_(start[name] * times)
                after = model(tokens).log_softmax(-1)
                changed = (before.exp() * (before - after)).sum(-1).mean()
                loss = cross_entropy(after, targets)
                rows.append((matrices, factor, float(loss), max(0.0, float(changed))))
    return pd.DataFrame(rows, columns=["matrices", "factor", "loss", "changed"])


def relative_steps(found: LossesByRate, rate: float) -> pd.DataFrame:
    """A step of AdamW, which is about the rate, over the size of the weights that it meets first.

    A row for each gamma, at a common rate and at its own best.
    """
    best = 2 ** found.of_mean(best_lr)
    return pd.DataFrame({
        "gamma": found.gammas, "initial std": found.stds,
        "step / std at the common rate": rate / found.stds,
        "best rate": best, "step / std at the best rate": best / found.stds,
    })


# ---- gains ---------------------------------------------------------------------------------------


def gains_table(runs, usual: str) -> pd.DataFrame:
    """A row a question, kind of steps and gamma: its gain over the usual one, same steps."""
    rows = []
    for role, question in QUESTIONS.items():
        for steps, suffix in {"plain": "", "relative": RELATIVE}.items():
            table = over(runs, role, usual + suffix)
            rows += [(question, steps, name.removesuffix(suffix),
                      f"{Estimate.of(table[name]):+.3f}") for name in table
                     if name.endswith(RELATIVE) == bool(suffix)]
    return pd.DataFrame(rows, columns=["question", "steps", "setting", "gain"])


def part_gains(runs, role: str, usual: float) -> pd.DataFrame:
    """Gains over gamma `usual` everywhere, by what is drawn smaller; seeds with a baseline.

    Columns: the parts alone, 'all' of them together, and 'sum' of the single gains (ours).
    """
    baseline = f"gamma {usual:g}"
    table = over(runs, role, baseline)
    table = table.rename(columns=lambda setting: _part(setting, baseline))
    single = [name for name in table if name != "all"]
    together = [name for name in table if name == "all"]
    summed = {"sum": table[single].sum(axis=1, skipna=False)} if len(single) > 1 else {}
    return table[single + together].assign(**summed)


def _part(setting: str, baseline: str) -> str:
    return setting.removeprefix(f"{baseline}, ").split()[0] if "," in setting else "all"


def unresolved_parts(runs, usual: float) -> set[str]:
    """The names in `part_gains` whose tuned gain hangs on a best rate at the grid's edge."""
    baseline, tuned = f"gamma {usual:g}", runs[runs.role == "tuned"]
    edge = set(tuned[~tuned.resolved.astype(bool)].setting)
    chosen = tuned.setting.unique() if baseline in edge else edge
    names = {_part(setting, baseline) for setting in chosen if setting != baseline}
    return names | ({"sum"} if names - {"all"} else set())
