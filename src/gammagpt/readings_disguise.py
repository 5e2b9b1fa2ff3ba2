"""What the chapter on learning rates reads off runs: scales, gains, evidence; and in words.

Runs are rows of a frame (sweep.frame, with roles). Valleys: valleys.py; pictures:
figures_disguise.py.
"""

import math

import numpy as np
import pandas as pd

from .valleys import LOST, Valleys, bottom, exponent, slope_of, tolerance, trend
from .words import ROLES, interval, listed, shown

WORTH = 0.01  # nats that a gain must exceed to matter: the margin of the ledger
RELATIVE = ", relative steps"
DECIDED = ("supported", "contradicted")
# Claim -> the side that it speaks for if supported; its words if supported, contradicted, neither.
WEIGHED = {
    "lower-loss-tuned": ("against", (
        "tuned, gamma 0.8 keeps a gain", "tuned, gamma 0.8 keeps no gain that matters",
        "whether gamma 0.8 keeps a gain when tuned")),
    "rule-usual-tuned": ("against", (
        "tuned, gamma 1 keeps a gain on fresh seeds",
        "tuned, gamma 1 keeps no gain that matters on fresh seeds",
        "whether gamma 1 keeps a gain when tuned, on fresh seeds")),
    "relative-common": ("for", (
        "relative steps shrink the gap at one rate",
        "relative steps do not shrink the gap at one rate by what the rule asks for",
        "whether relative steps shrink the gap at one rate")),
    "relative-gain-tuned": ("against", (
        "with relative steps, tuned, gamma 0.8 still ends lower",
        "with relative steps, tuned, gamma 0.8 gains nothing that matters",
        "whether gamma 0.8 gains with relative steps, tuned")),
}  # fmt: skip


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
}  # fmt: skip


def scaled(config, factors, windows: int = 16) -> pd.DataFrame:
    """A freshly drawn model in float64, with the matrices of one of GROUPS times a factor.

    Columns: matrices, factor, loss (nats per token, on validation text) and changed: the mean
    Kullback-Leibler divergence (nats) of its predictions from those at factor 1.
    """
    import torch

    from .data.text import load_text
    from .init import gamma_init_
    from .model import GPT, cross_entropy

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


def relative_steps(found: Valleys, rate: float) -> pd.DataFrame:
    """A step of AdamW, which is about the rate, over the size of the weights that it meets first.

    A row for each gamma, at a common rate and at its own best.
    """
    best = 2 ** found.of_mean(bottom)
    return pd.DataFrame({
        "gamma": found.gammas, "initial std": found.stds,
        "step / std at the common rate": rate / found.stds,
        "best rate": best, "step / std at the best rate": best / found.stds,
    })  # fmt: skip


def scale_in_words(table) -> str:
    """What `scaled` found: a scale that cancels, the largest that does not, and the head."""
    groups = table.groupby("matrices", sort=False)
    changed, moved = groups.changed.max(), groups.loss.max() - groups.loss.min()
    together = changed.pop(TOGETHER)
    head = changed.pop("head")
    return (
        f"{TOGETHER.capitalize()}, times one number, change predictions by {together:.1g} nats: "
        "their common scale cancels but for the epsilon of the norm. "
        f"Alone, no group but the head moves the loss by more than {moved.drop('head').max():.2f} "
        f"nats, nor changes predictions by more than {changed.max():.2f} "
        f"({changed.idxmax()}), over a range of factors of "
        f"{table.factor.max() / table.factor.min():g}. The head changes them by {head:.2f}: "
        "behind it there is no norm."
    )


# ---- gains ---------------------------------------------------------------------------------------


def gains(runs, role: str, baseline: str) -> pd.DataFrame:
    """Loss of the baseline less that of each other setting: a row a seed, a column a setting.

    Empty without the baseline; nan where a run diverged.
    """
    chosen = runs[runs.role == role] if len(runs) else runs
    if not len(chosen) or baseline not in set(chosen.setting):
        return pd.DataFrame()
    table = chosen.pivot_table(index="seed", columns="setting", values="loss", sort=False)
    table = table.where(np.isfinite(table))
    return table.rsub(table[baseline], axis=0).drop(columns=baseline)


def part_gains(runs, role: str, usual: float) -> pd.DataFrame:
    """Gains over gamma `usual` everywhere, by what is drawn smaller; seeds with a baseline.

    Columns: the parts alone, 'all' of them together, and 'sum' of the single gains (ours).
    """
    baseline = f"gamma {usual:g}"
    table = gains(runs, role, baseline)
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


# ---- in words ------------------------------------------------------------------------------------


def exchange_in_words(found: Valleys) -> str:
    """What the exponent is, and what that says of exact exchange and of none."""
    b = exponent(found)
    known = np.flatnonzero(np.isfinite(found.of_mean(bottom))) if len(found) else []
    if not math.isfinite(b[0]):
        return "**There is no exchange law to see here**: too few valleys have their bottom inside."
    rates, stds = 2 ** found.of_mean(bottom)[known], found.stds[known]
    words = (
        f"From gamma {found.gammas[known[0]]:g} to {found.gammas[known[-1]]:g} the standard "
        f"deviation falls {stds[0] / stds[-1]:.1f} times and the best rate "
        f"{rates[0] / rates[-1]:.1f} times. The exponent is **b = {shown(b, '', 2)}**: {_sort(b)}."
    )
    left_out = [f"gamma {g:g}" for i, g in enumerate(found.gammas) if i not in known]
    return words + _bend(found) + (f" Left out, not resolved: {listed(left_out)}."
                                   if left_out else "")  # fmt: skip


def _sort(b) -> str:
    """What an exponent says: exact exchange, none, or something between."""
    _, low, high = b
    if math.isnan(low):
        return "too few seeds or settings for an interval, so no more is said"
    if low > 0 and high < 1:
        return ("smaller weights want smaller rates, but by less than in proportion; "
                "the exchange is real and not exact")  # fmt: skip
    if low > 0:
        return ("exact exchange is not excluded" if low <= 1 else
                "the best rate moves by even more than the size of the weights")  # fmt: skip
    if high < 0:
        return "smaller weights want *larger* rates, against the idea of an exchange"
    return "no exchange at all is not excluded" + (", nor is an exact one" if high >= 1 else "")


def _bend(found: Valleys) -> str:
    """The exponent of the larger and of the smaller half of the stds."""
    x, y, half = np.log2(found.stds), found.of_mean(bottom), len(found) // 2
    large, small = slope_of(x[:half], y[:half]), slope_of(x[-half:], y[-half:])
    if half < 2 or not (math.isfinite(large) and math.isfinite(small)):
        return ""
    return (f" It need not be a straight line: among the larger half of the deviations b is "
            f"{large:.2f}, among the smaller half {small:.2f}.")  # fmt: skip


def tolerance_in_words(found: Valleys) -> str:
    """Whether small initialization is more, or less, sensitive to the rate."""
    if not len(found):
        return "No valley is known here."
    wide = found.of_mean(tolerance)
    known = np.flatnonzero(np.isfinite(wide))
    if len(known) < 2:
        return "The grid ends before the valleys do, so their widths cannot be compared."
    first, last = known[0], known[-1]
    slope = trend(found, tolerance, found.gammas)
    _, low, high = slope
    finding = ("**small initialization is more sensitive**: its valleys are narrower" if high < 0
               else "**small initialization is less sensitive**: its valleys are wider" if low > 0
               else "the widths show **no clear trend**")  # fmt: skip
    return (
        f"At most {LOST:g} nats are lost within {wide[first]:.1f} octaves at gamma "
        f"{found.gammas[first]:g} and within {wide[last]:.1f} at gamma {found.gammas[last]:g}. "
        f"The width changes by {shown(slope, '+', 2)} octaves for each unit of gamma; {finding}."
    )


def gains_in_words(runs, usual: str) -> list[str]:
    """A line for each role: the gains of the other gammas, plain and with relative steps."""
    lines = []
    for role, when in ROLES.items():
        for steps, suffix in {"plain steps": "", "relative steps": RELATIVE}.items():
            table = gains(runs, role, usual + suffix)
            chosen = [s for s in table if s.endswith(RELATIVE) == bool(suffix)]
            words = listed(f"{s.removesuffix(suffix)} {shown(interval(table[s]))}" for s in chosen)
            lines.append(f"- {steps}, {when}: {words or 'not run'}.")
    return lines


def shrinking_in_words(runs, usual: str) -> str:
    """How much of each gap at the common rate relative steps take away."""
    plain, relative = (gains(runs, "common", usual + suffix) for suffix in ("", RELATIVE))
    words, both = [], [s for s in plain if s + RELATIVE in relative]
    if not both:
        return "At the common rate relative steps have not been run."
    for setting in both:
        before, after = plain[setting].mean(skipna=False), relative[setting + RELATIVE].mean()
        if before > 0 and math.isfinite(after):
            words.append(f"{1 - after / before:.0%} of the gap of {setting}")
    if not words:
        return "There is no gap at the common rate of which relative steps could take a part."
    more = " More than 100% turns the gap round: then they do more than to even out the start."
    return f"At the common rate relative steps take away {listed(words)}.{more}"


def by_itself_in_words(runs, usual: str) -> str:
    """What relative steps change at the usual gamma, where they begin as plain steps do."""
    found = []
    for role, when in ROLES.items():
        table = gains(runs, role, usual)
        if usual + RELATIVE in table:
            found.append(f"{shown(interval(table[usual + RELATIVE]))} nats {when}")
    return (f"At {usual} itself relative steps gain {' and '.join(found)}." if found else
            f"Relative steps at {usual} have not been run.")  # fmt: skip


def luck_in_words(runs) -> str:
    """How far the seeds that chose a rate flatter it: the largest gap to the compared seeds."""
    columns = ["setting", "learning_rate", "role"]
    losses = runs.groupby(columns, sort=False).loss.mean().unstack("role") if len(runs) else runs
    if not {"tuning", "tuned"} <= set(losses):
        return "No tuned runs are there yet."
    gap = (losses.tuned - losses.tuning).replace([np.inf, -np.inf], np.nan).dropna()
    if not len(gap):
        return "No tuned runs are there yet."
    (setting, rate), most = gap.idxmax(), gap.max()
    return (
        f"From the seeds that chose a rate to the compared seeds the mean loss of a setting "
        f"changes by {gap.mean():+.3f} nats on average, and by {most:+.3f} at worst, {setting} at "
        f"{rate:g}. "
        "A tuned effect that is not larger than this may be the luck of tuning."
    )


def flags_in_words(verdicts, frames) -> str:
    """Why a verdict is flagged: runs that are older than its rule, or made under another one."""
    older, other = set(), set()
    for verdict in (v for v in verdicts if v.rule_changed):
        claim, runs = verdict.claim, frames[verdict.claim.experiment]
        chosen = runs[runs.setting.isin(claim.settings)
                      & (runs.role == claim.comparison["learning_rate"])]  # fmt: skip
        for run in chosen.itertuples():
            if run.rules.get(claim.id) != claim.rule_hash:
                (other if claim.id in run.rules else older).add(run.setting)
    reasons = {"older than the rule, which they therefore do not carry": older,
               "made under another rule than today's": other}  # fmt: skip
    words = [f"{why}: {'; '.join(sorted(names))}" for why, names in reasons.items() if names]
    return f"A flag beside a verdict stands for runs {'. And for runs '.join(words)}." * bool(words)


def parts_in_words(table, role: str) -> str:
    """Which part gains most, and whether the parts add up to all of them together."""
    single = [name for name in table if name not in ("all", "sum")]
    means = table[single].mean(skipna=False).dropna() if single else []
    if not len(means):
        return f"- {ROLES[role]}: not run."
    best = means.idxmax()
    words = f"- {ROLES[role]}: most gains {best} alone, {shown(interval(table[best]))}"
    if {"all", "sum"} <= set(table):
        more = interval(table["all"] - table["sum"])
        words += (f"; the single gains sum to {shown(interval(table['sum']))}, all together gain "
                  f"{shown(interval(table['all']))}: {_adds_up(more)}")  # fmt: skip
    return words + "."


def _adds_up(more) -> str:
    _, low, high = more
    if not math.isfinite(low):
        return "not every run is there, or ended well, so the sum is not judged"
    if low > 0:
        return f"**together they gain more than the sum**, by {shown(more)}"
    if high < 0:
        return f"**together they gain less than the sum**, by {shown(more)}: the gains overlap"
    return f"**the parts add up** within the interval of the difference, {shown(more)}"


def evidence(verdicts, runs, b, usual: str) -> dict[str, list[str]]:
    """What speaks for gamma as a clock, what against it, and what is not decided.

    `verdicts` {claim id: Verdict} of this chapter, of 2 and of 15; `b` is the `exponent`.
    """
    found = {"for": [], "against": [], "between": [], "undecided": []}
    for name, (side, words) in WEIGHED.items():
        verdict = verdicts.get(name)
        said = verdict.verdict if verdict else "not run"
        if said not in DECIDED:
            found["undecided"].append(f"{words[2]} ({said})")
            continue
        opposite = "against" if side == "for" else "for"
        value = shown((verdict.effect, verdict.low, verdict.high))
        found[side if said == DECIDED[0] else opposite].append(
            f"{words[DECIDED.index(said)]} ({value} nats)"
        )
    found[_side_of(b)].append(f"the exponent of the exchange law, {shown(b, '', 2)}")
    for setting, values in _left_over(runs, usual).items():
        found["against"].append(f"{setting}, tuned, gains {shown(values)} nats (seen, no claim)")
    return found


def _side_of(b) -> str:
    """A best rate that falls with the size of the weights speaks for the clock, which wants 1."""
    _, low, high = b
    if not math.isfinite(low) or low <= 0 <= high:
        return "undecided"
    return "against" if high < 0 else "between" if high < 1 else "for"


def _left_over(runs, usual: str) -> dict:
    """Resolved tuned gains beyond what matters, of the settings that no claim is about."""
    known, resolved = {}, runs[runs.resolved.astype(bool)] if len(runs) else runs
    for suffix in ("", RELATIVE):
        table = gains(resolved, "tuned", usual + suffix)
        for setting in table:
            values = interval(table[setting])
            claimed = setting.removesuffix(RELATIVE) == "gamma 0.8"
            if setting.endswith(RELATIVE) == bool(suffix) and not claimed and values[1] > WORTH:
                known[setting] = values
    return known


def story(found: dict[str, list[str]]) -> str:
    """The chapter's answer, from `evidence`."""
    sides = {"for": "For the clock", "against": "For more than a clock",
             "between": "Between the two, more than nothing and less than a clock asks",
             "undecided": "Not decided"}  # fmt: skip
    lines = [
        f"- {words}: {'; '.join(found[side])}." for side, words in sides.items() if found[side]
    ]
    pro, con = bool(found["for"]), bool(found["against"])
    answer = {
        (True, False): "**All that is decided sides with the clock**: at this size nothing here "
        "asks for a second story.",
        (False, True): "**All that is decided says that gamma is more than a learning rate.**",
        (True, True): "**Neither story is the whole one.** The learning rate explains a part of "
        "what small initialization does here, and something is left that it does not explain.",
        (False, False): "**Nothing is decided here**, for one story or for the other.",
    }[pro, con]
    return "\n".join([answer, "", *lines])
