"""What the chapter on restraints reads off models and runs. Pictures: figures_restraints.py.

Runs are rows of a frame (sweep.frame, with roles). A setting is a gamma and a variant, as in
"gamma 0.5, eps 1e-12, gate"; the variant of "gamma 0.5" alone is called USUAL.
"""

import math
from dataclasses import replace
from itertools import product

import pandas as pd
import torch

from .claims import paired_interval
from .engine import build_model
from .model import RMSNorm
from .optim import OptimConfig, learning_rate
from .readings_bias import ROLES
from .runs import InitConfig

USUAL = "as usual"
PAIR = ["role", "variant", "seed"]  # what the two sides of a gain have in common
NORMS = {"norm1": "attention", "norm2": "MLP", "norm": "head"}  # a norm -> what reads it


# ---- what can be known before any training -------------------------------------------------------


def first_norm(width: int, gamma: float, eps: float) -> float:
    """RMS after the first norm, s / sqrt(s^2 + eps) with s = width^-gamma; one if eps is small."""
    return 1 / math.sqrt(1 + eps * width ** (2 * gamma))


def biting_width(gamma: float, eps: float) -> float:
    """The width at which eps equals the mean square d^-2gamma: the first norm puts out .71."""
    return eps ** (-1 / (2 * gamma))


def stands_for(runs, gamma: float, usual: float) -> pd.DataFrame:
    """The runs with a column `stands_for`: the width at which the usual epsilon does as much.

    With this gamma, to the first norm: eps d^(2 gamma) is the same number for both.
    """
    times = (runs.norm_eps.astype(float) / usual) ** (1 / (2 * gamma))
    return runs.assign(stands_for=runs.width.astype(float) * times)


def renamed(runs, without: str) -> pd.DataFrame:
    """The same runs; their settings' names lack these words, which are common to all."""
    return runs.assign(setting=runs.setting.astype(str).str.replace(without, "", regex=False))


def norm_levels(base, widths, gammas, eps_values) -> pd.DataFrame:
    """RMS after every norm of models like that of the run `base`, just drawn.

    Columns: gamma, width, eps, norm (what reads it: "attention 1", ..., "head"), rms.
    """
    rows = []
    for gamma, width in product(gammas, widths):
        # a head number that divides every even width: it plays no part in the sizes
        heads = math.gcd(base.model.n_head, width // 2)
        shape = replace(base.model, width=width, n_head=heads, hidden=0)
        model = build_model(replace(base, model=shape, init=InitConfig(gamma=gamma)))
        for eps in eps_values:
            levels = after_norms(model, eps)
            rows += [(gamma, width, eps, name, rms) for name, rms in levels.items()]
    return pd.DataFrame(rows, columns=["gamma", "width", "eps", "norm", "rms"])


@torch.no_grad()
def after_norms(model, eps: float, tokens: int = 256) -> dict[str, float]:
    """RMS of what each norm puts out, at this eps, for about so many random tokens."""
    found, hooks, config = {}, [], model.config
    for name, norm in model.named_modules():
        if isinstance(norm, RMSNorm):
            norm.eps = eps
            hook = _note(found, _reader(name))
            hooks.append(norm.register_forward_hook(hook))
    shape = math.ceil(tokens / config.block_size), config.block_size
    generator = torch.Generator().manual_seed(0)
    model(torch.randint(config.vocab_size, shape, generator=generator))
    for hook in hooks:
        hook.remove()
    return found


def _note(found: dict, name: str):
    def hook(module, inputs, output):
        found[name] = output.double().square().mean().sqrt().item()

    return hook


def _reader(name: str) -> str:
    """'blocks.0.norm1' -> 'attention 1'."""
    *block, norm = name.split(".")
    return f"{NORMS[norm]} {int(block[-1]) + 1}" if block else NORMS[norm]


def left_by_decay(config) -> float:
    """The share of a weight that decay alone would leave at the end of a run."""
    optim, steps = config.optim, config.steps
    path = sum(learning_rate(optim, step, steps) for step in range(steps))
    return math.exp(-optim.weight_decay * path)


# ---- gains, and what changes them ----------------------------------------------------------------


def compared(runs) -> pd.DataFrame:
    """The compared runs, each once, with start ("gamma 0.5") and variant ("eps 1e-12, gate")."""
    runs = runs.reindex(columns=runs.columns.union(["role", "key", "setting"], sort=False))
    runs = runs[runs.role.isin(ROLES)].drop_duplicates(["role", "key"])
    parts = runs.setting.astype(str).str.partition(", ")
    if not len(runs):
        parts = pd.DataFrame(columns=range(3))
    return runs.assign(start=parts[0], variant=parts[2].replace("", USUAL))


def ends(runs) -> tuple[str, str] | None:
    """The starts with the smallest and the largest gamma; None if there is no such pair."""
    if not len(runs) or runs.gamma.min() == runs.gamma.max():
        return None
    return f"gamma {runs.gamma.min():g}", f"gamma {runs.gamma.max():g}"


def gains(runs) -> pd.DataFrame:
    """Loss of the smallest gamma minus that of the largest: role, variant, seed, gain (nats)."""
    runs = compared(runs)
    pair = ends(runs)
    if pair is None:
        return pd.DataFrame(columns=[*PAIR, "gain"])
    one, other = (runs.loc[runs.start == start, [*PAIR, "loss"]] for start in pair)
    return _less(one, other, PAIR, "loss", "gain")


def changes(runs, against: str = USUAL) -> pd.DataFrame:
    """By how much each variant's gain exceeds that of `against`: role, variant, seed, change."""
    found = gains(runs)
    is_other = found.variant == against
    return _less(found[~is_other], found[is_other], ["role", "seed"], "gain", "change")


def effects(runs) -> pd.DataFrame:
    """Loss of a variant minus that of the same gamma as usual: start, role, variant, seed, effect.

    Below zero the variant trains better. It tells which side of a gain has moved.
    """
    runs = compared(runs).reindex(columns=["start", *PAIR, "loss"])
    usual = runs.variant == USUAL
    return _less(runs[~usual], runs[usual], ["start", "role", "seed"], "loss", "effect")


def _less(one, other, keys: list, value: str, name: str) -> pd.DataFrame:
    """A value of `one` minus that of `other` where they share the keys, under a new name."""
    both = one.merge(other[[*keys, value]], on=keys, suffixes=("", "_other"))
    both[name] = both[value] - both.pop(f"{value}_other")
    return both.drop(columns=value)


def interval(values) -> str:
    """'+0.012 [-0.010, +0.034]', mean and 95 % interval; or why there is none."""
    mean, low, high = paired_interval(list(values), 0.95)
    if not math.isfinite(mean):
        return "(a run diverged)" if len(values) else "(no runs)"
    mean, low, high = (round(x, 3) + 0.0 for x in (mean, low, high))  # no -0.000
    return f"{mean:+.3f}" + ("" if math.isnan(low) else f" [{low:+.3f}, {high:+.3f}]")


def direction(values) -> int:
    """1 or -1 if the whole 95 % interval lies on that side of zero, else 0."""
    _, low, high = paired_interval(list(values), 0.95)
    return int(low > 0) - int(high < 0)


# ---- decay and warm-up ---------------------------------------------------------------------------

HABITS = {"weight_decay": "weight decay", "warmup": "warm-up (share of the steps)"}


def only(runs, habit: str) -> pd.DataFrame:
    """The compared runs in which no other habit than this one differs from what is usual."""
    runs, usual = compared(runs), OptimConfig()
    for other in HABITS.keys() - {habit}:
        runs = runs[runs[other] == getattr(usual, other)] if len(runs) else runs
    return runs


def habit_gains(runs, habit: str) -> pd.DataFrame:
    """Gains along one habit: role, variant, seed, gain, the habit's value, learning_rate."""
    runs = only(runs, habit)
    values = runs.reindex(columns=["variant", habit, "learning_rate"]).drop_duplicates()
    return gains(runs).merge(values, on="variant")


def habit_changes(runs, habit: str) -> dict[float, pd.Series]:
    """Learning rate -> the gain at the habit's least value minus that at its largest, by seed."""
    found = {}
    for rate, group in habit_gains(runs, habit).groupby("learning_rate"):
        values = group[habit]
        least, most = group[values == values.min()], group[values == values.max()]
        if values.nunique() > 1:
            found[rate] = _less(least, most, ["role", "seed"], "gain", "change").change
    return found


# ---- the reading ---------------------------------------------------------------------------------

FEW_SINKS = 0.05  # of the heads: below it there is next to nothing to release
CAUSES = {  # what a change of the gain is not all due to, if it stays under this control
    "gate, as many weights": "the weights that a gate adds",
    "gate, twice": "the halved branch at the start",
    "gate, not trained": "what the gate learns",
}


def bite(width: int, gamma: float, eps: float) -> str:
    """What eps does to the first norm at this width and gamma, in words."""
    level = first_norm(width, gamma, eps)
    degree = "next to nothing" if level > 0.95 else "a part" if level > 0.8 else "much"
    return (f"mean square {width ** (-2 * gamma):.1e}, RMS after the norm {level:.3f} instead of "
            f"1: eps takes {degree}. The two are equal at width "
            f"{biting_width(gamma, eps):,.0f}.")  # fmt: skip


def relaxed(verdict) -> str:
    """What relaxing a restraint does to the gain, as the verdict on it says, in words."""
    return _said(verdict, "lets the gain of small initialization grow",
                 "does not let the gain grow by as much as the rule asks",
                 "makes the gain smaller")  # fmt: skip


def takes(verdict) -> str:
    """What an epsilon that bites does to the gain; its claim says that the gain gets smaller."""
    return _said(verdict, "takes from the gain of small initialization",
                 "does not take from the gain by as much as the rule asks",
                 "makes the gain larger")  # fmt: skip


def helps(verdict) -> str:
    """What an aid does to the loss, as the verdict on it says, in words."""
    return _said(verdict, "helps", "does not help by as much as the rule asks", "harms")


def _said(verdict, yes: str, no: str, opposite: str) -> str:
    return {
        "supported": yes,
        "contradicted": opposite if verdict.high < 0 else no,
        "inconclusive": f"is not decided ({verdict.reason})",
        "not run": f"is not judged here ({verdict.reason})",
    }[verdict.verdict]


def sides(runs, role: str) -> list[str]:
    """A line for each variant: by how much it changes the loss of both ends, and their gain."""
    pair, changed, effect = ends(compared(runs)), changes(runs), effects(runs)
    lines = []
    for variant, group in changed[changed.role == role].groupby("variant", sort=False):
        mine = effect[(effect.role == role) & (effect.variant == variant)]
        moved = [f"the loss of {start} by {interval(mine[mine.start == start].effect)}"
                 for start in pair]  # fmt: skip
        lines.append(f"- *{variant}* changes {' and '.join(moved)}, so the gain by "
                     f"**{interval(group.change)}**.")  # fmt: skip
    return lines


def sink_reading(runs, role: str) -> str:
    """Whether there are sinks, whether a small start has more, and what the gate does to them."""
    runs = compared(runs)
    runs = runs[runs.role == role]
    pair = ends(runs)
    if "sink_rate" not in runs or not runs.sink_rate.notna().all():
        return "no sinks were measured, or not in all runs."
    if pair is None:
        return "there is no pair of gammas to compare."
    rates = {side: group.set_index("seed").sink_rate
             for side, group in runs.groupby(["variant", "start"])}  # fmt: skip
    told = ", ".join(f"{rates[USUAL, start].mean():.0%} with {start}" for start in pair
                     if (USUAL, start) in rates)  # fmt: skip
    words = f"the share of heads that are sinks is {told or 'not known'}. "
    usual = [rates[USUAL, start] for start in pair if (USUAL, start) in rates]
    if len(usual) < 2:
        return words
    if max(rate.mean() for rate in usual) < FEW_SINKS:
        return words + ("There is next to nothing to release: if the gate changes the gain here, "
                        "it does so by other means.")  # fmt: skip
    more = direction((usual[1] - usual[0]).dropna())
    words += {1: "The small start has more", -1: "The small start has fewer",
              0: "No difference is told apart from nothing"}[more]  # fmt: skip
    gated = rates.get(("gate", pair[1]))
    if gated is None or usual[1].mean() < FEW_SINKS:
        return f"{words}."
    return f"{words}; {_gated(gated, usual[1])}."


def _gated(gated, usual) -> str:
    few = "removes more than half" if gated.mean() < usual.mean() / 2 else "leaves at least half"
    return f"there the gate {few} of them, {gated.mean():.0%} of the heads"


def gate_reading(runs) -> str:
    """What the controls say of the gate's change of the gain, at the common rate."""
    changed = changes(runs)
    of = {name: group.change for name, group in changed.groupby("variant", sort=False)}
    if "gate" not in of:
        return "Without a pair of gammas, with and without a gate, there is nothing to control."
    sign, told = direction(of["gate"]), interval(of["gate"])
    if not sign:
        return (f"The gate changes the gain by {told} nats. That is not told apart from nothing, "
                "so there is no effect whose cause the controls could find.")  # fmt: skip
    head = f"The gate {'raises' if sign > 0 else 'lowers'} the gain, by {told} nats."
    return "\n".join([f"{head} Under the controls:", "", *(
        f"- *{name}*: {interval(of[name])}; {_control(sign, direction(of[name]), cause)}."
        for name, cause in CAUSES.items() if name in of
    )])  # fmt: skip


def _control(sign: int, found: int, cause: str) -> str:
    if found == sign:
        return f"the change stays, so it is not all due to {cause}"
    if found == -sign:
        return f"the change turns round, so {cause} made it"
    return f"no change is told apart from nothing, so it may be due to {cause}"


def habit_lines(runs) -> list[str]:
    """A line for each habit and learning rate: how the gain changes from its most to its least."""
    lines = []
    for habit, words in HABITS.items():
        values = sorted(only(runs, habit).reindex(columns=[habit])[habit].unique())
        for rate, change in habit_changes(runs, habit).items():
            lines.append(f"- {words} {values[0]:g} instead of {values[-1]:g}, at the rate "
                         f"{rate:g}: the gain changes by {interval(change)}.")  # fmt: skip
    return lines


def usual_gains(runs) -> str:
    """The gain with all habits as usual, at each learning rate: what tuning alone does to it."""
    found, usual = habit_gains(runs, "weight_decay"), OptimConfig()
    found = found[found.weight_decay == usual.weight_decay]
    return ", ".join(f"{interval(group.gain)} at {rate:g}"
                     for rate, group in found.groupby("learning_rate"))  # fmt: skip
