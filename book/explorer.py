"""The numbers behind the explorer page, computed from a tier's records when the book is built.

Every panel is `{"model": ..., "last": steps of a run, "roles": {role: [entry, ...]}}`, an entry
for each gamma that there are records of; or None if there are none. An entry of a gamma at which
every run diverged has no numbers. Everything is rounded to what a picture can show.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from gammagpt import Store
from gammagpt.analysis.anchors import data_of
from gammagpt.analysis.spectra import EMBEDDING, kinds, over_runs, probed
from gammagpt.analysis.tokens import GAP, shown
from gammagpt.data.anchors import parse_tasks
from gammagpt.data.text import load_text
from gammagpt.lab.settings import emb_mlp, gpt_on_text, on_anchors, over_inits
from gammagpt.lab.settings import study as learning_rate_study
from gammagpt.lab.study import LearningRateStudy
from gammagpt.plots import COLOURS, provenance
from gammagpt.probes.token_classes import windows
from gammagpt.project import PAGES, read_yaml, results_folder, root

# The first edition's GPTs: a warm-up of a tenth of the steps, after which small ones can collapse.
GPTS = {
    "gammas": [0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2],
    "learning_rates": [0.001, 0.002, 0.004, 0.008, 0.016, 0.032], "common_learning_rate": 0.002,
    "tuning_seeds": [1000, 1001], "seeds": [0, 1, 2, 3],
    "n_layer": 2, "n_head": 2, "width": 64, "block_size": 64, "vocab_size": 1024, "corpus": "sotu",
    "steps": 400, "batch_size": 32, "precision": "float32",
}
EMB_MLPS = {
    "emb_gammas": [0.3, 0.4, 0.5, 0.65, 0.8, 1.0], "emb_common_rate": 0.008,
    "emb_learning_rates": [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256],
    "tuning_seeds": [1000, 1001], "seeds": [1, 2, 3, 4, 5], "anchors": 2, "keys": "21..60",
    "tasks": "memory 1..8 random, reasoning 11..18 sum", "held_out": "11+13, 13+11",
    "activation": "tanh", "emb_vocab_size": 101, "emb_width": 200, "emb_hidden": 400,
    "emb_steps": 1000, "emb_batch_size": 256, "precision": "float32",
}
FEWER = {"smoke": {"gammas": [0.5, 0.8, 1.2], "learning_rates": [0.004, 0.016, 0.064],
                   "emb_gammas": [0.3, 0.8], "emb_learning_rates": [0.016, 0.064],
                   "emb_common_rate": 0.064, "emb_vocab_size": 81},
         "laptop": {"gammas": [0.35, 0.5, 0.6, 0.8, 1.0, 1.2]}}
PASSAGES = 6
USUAL = 0.5  # the gamma that tokens are compared with
RATES = {"common": "one learning rate for all gammas", "tuned": "the rate tuned for this gamma"}


def write_explorer(staging: Path, tier: str) -> None:
    """Write the numbers as a script: from file:// a page may run one, but not fetch a file.

    And, for the page's text, where they come from.
    """
    numbers = explorer(tier)
    script = json.dumps(numbers, separators=(",", ":"), allow_nan=False)
    pages = {
        "static/explorer-data.js": f"window.GG_EXPLORER={script};\n",
        "_generated/explorer.md": f"The numbers are those of the records: {numbers['source']}\n",
    }
    for name, text in pages.items():
        path = staging / "book" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def train_runs(tier: str) -> None:
    """Train what is missing of the runs that no chapter has, as far as the budget allows."""
    for asked in (by_gamma(tier), development(tier), embeddings(tier)):
        asked.run(Store(results_folder(tier)))


def by_gamma(tier: str) -> LearningRateStudy:
    """A GPT on text with each gamma: what the first edition's chapter 2 trained."""
    p = parameters(tier, GPTS)
    settings = over_inits(gpt_on_text(p), gammas=p.gammas)
    settings = settings.set("optim", learning_rate=p.common_learning_rate)
    return learning_rate_study(settings, p.learning_rates, p.tuning_seeds, p.seeds)


def embeddings(tier: str) -> LearningRateStudy:
    """An Emb-MLP with each gamma, whose embeddings are looked at: the first edition's chapter 3."""
    p = parameters(tier, EMB_MLPS)
    return on_anchors(
        p, emb_mlp(p), {"tasks": p.tasks, "held_out": p.held_out, "vocab_size": p.emb_vocab_size},
        gammas=p.emb_gammas, rates=p.emb_learning_rates, rate=p.emb_common_rate, steps=p.emb_steps,
        batch_size=p.emb_batch_size, seeds=p.seeds, probes=5,
    )


def development(tier: str) -> LearningRateStudy:
    """Some of these runs once more, with spectra and the losses of tokens."""
    p = parameters(tier, GPTS)
    settings = over_inits(gpt_on_text(p, spectra=14, tokens=128), gammas=(0.5, 0.8, 1.0))
    settings = settings.set("optim", learning_rate=p.common_learning_rate)
    return learning_rate_study(settings, p.learning_rates, p.tuning_seeds, p.seeds)


def parameters(tier: str, own: dict) -> SimpleNamespace:
    """`own`, with what a tier changes in all notebooks that have such a parameter."""
    path = root() / "notebooks" / "tiers" / f"{tier}.yml"
    given = read_yaml(path)["defaults"] if tier != PAGES else {}
    changed = given | FEWER.get(tier, {})
    return SimpleNamespace(**{name: changed.get(name, value) for name, value in own.items()})


def explorer(tier: str) -> dict:
    """All panels of a tier, the gammas that any of them has, and where the numbers come from."""
    store = Store(results_folder(tier))
    along = development(tier)
    made = by_gamma(tier), along, embeddings(tier)
    frames = [asked.collect(store) for asked in made]
    panels = {
        "loss": panel(frames[0], losses),
        "ranks": panel(frames[1], ranks),
        "map": map_panel(frames[2]),
        "tokens": tokens_panel(frames[1], along.base),
    }
    entries = [e for p in panels.values() if p for own in p["roles"].values() for e in own]
    used = [runs[runs.role.isin(RATES)] for runs in frames if len(runs)]
    source = provenance(used, tier).words if used else f"Tier {tier}; none yet."
    return panels | {
        "source": source,
        "gammas": sorted({entry["gamma"] for entry in entries}),
        "rates": RATES,
        "colours": COLOURS,
    }


def panel(runs, numbers) -> dict | None:
    """Entries by role and gamma; `numbers(ended)` gives what one shows, of runs that ended well.

    Where it gives nothing, because the runs were not measured for it, there is no entry.
    """
    if not len(runs):
        return None
    roles = {}
    for role in RATES:
        mine = runs[(runs.role == role) & runs.gamma.notna()]
        entries = [_entry(group, numbers) for _, group in mine.groupby("gamma")]
        roles[role] = [entry for entry in entries if entry]
    if not any(roles.values()):
        return None
    return {"model": model_in_words(runs.iloc[0]), "last": int(runs.steps.iloc[0]), "roles": roles}


def losses(ended) -> dict:
    """Validation loss (nats per token) along training: the mean over seeds and their range."""
    curves = np.array([[loss for _, loss in curve] for curve in ended.curve])
    return {
        "steps": [step for step, _ in ended.curve.iloc[0]],
        "mean": rounded(curves.mean(0), 4),
        "low": rounded(curves.min(0), 4),
        "high": rounded(curves.max(0), 4),
    }


def ranks(ended) -> dict | None:
    """Stable ranks of the embedding, the head and the layers' matrices, mean over seeds; and the
    largest singular values of the embedding as shares of the first.
    """
    if not len(ended := probed(ended)):
        return None
    groups = {}
    for kind, names in kinds(ended).items():
        groups.setdefault(kind.split(":")[0].replace("mlp", "MLP"), []).extend(names)
    found = {group: over_runs(ended, "stable_rank", names) for group, names in groups.items()}
    values = np.array([
        [probe["tensors"][EMBEDDING]["singular_values"] for probe in probes if "tensors" in probe]
        for probes in ended.probes
    ])  # (seeds, steps, 8)
    return {
        "steps": next(iter(found.values()))[0].tolist(),
        "ranks": {group: rounded(means.mean(0), 2) for group, (_, means) in found.items()},
        "singular": rounded((values / values[..., :1]).mean(0), 3),
    }


def map_panel(runs) -> dict | None:
    """Embeddings on their principal plane along the run of the lowest seed, and who is who."""
    found = panel(runs, plane)
    if found:
        groups = {name: list(among) for name, among, _ in parse_tasks(data_of(runs))}
        anchors = [token for among in groups.values() for token in among]
        tokens = next(e for own in found["roles"].values() for e in own if e["runs"])["tokens"]
        found["groups"] = groups | {"keys": [t for t in tokens if t not in anchors]}
    return found


def plane(ended) -> dict | None:
    """One run's map at every probe. The signs of principal axes mean nothing: at the end numbers
    grow along each, and every earlier map is turned to resemble the next.
    """
    for run in ended.sort_values("seed").itertuples():
        if probes := [probe for probe in run.probes if "geometry" in probe]:
            break
    else:
        return None
    maps = [probe["geometry"]["pca"] for probe in probes]
    turned, target = [], np.array(maps[-1]["tokens"], float)[:, None]
    for found in reversed(maps):
        points = np.array(found["plane"])
        signs = np.sign(((target - target.mean(0)) * points).sum(0))
        target = points * np.where(signs == 0, 1, signs)
        turned.insert(0, rounded(target, 2))
    return {
        "seed": int(run.seed),
        "steps": [probe["step"] for probe in probes],
        "tokens": maps[-1]["tokens"],
        "planes": turned,
        "shares": [found["shares"][:2] for found in maps],
    }


def tokens_panel(runs, config) -> dict | None:
    """Passages of held-out text with the loss of every token, with a gamma and with the usual one.

    `config` is that of a run: its windows are those of all. The passages are those whose mean gain
    over all gammas is nearest to that of all windows.
    """
    known = measured(runs)
    usual = known[known.gamma == USUAL] if len(known) else known
    if not len(usual) or not known.gamma.nunique() > 1:
        return None
    inputs, targets = windows(config)
    gains = _token_losses(usual) - _token_losses(known[known.gamma != USUAL])
    means = gains.reshape(targets.shape).mean(1)
    chosen = np.abs(means - means.mean()).argsort(kind="stable")[:PASSAGES]
    found = panel(runs, lambda ended: token_losses(ended, usual, chosen, targets.shape))
    text = load_text(config.data)
    found["usual"], found["gap"], found["count"] = USUAL, GAP, means.size
    found["passages"] = [
        {"number": int(w), "pieces": [shown(text, t) for t in (inputs[w, 0], *targets[w])]}
        for w in chosen
    ]
    return found


def measured(runs) -> pd.DataFrame:
    """The compared runs that hold the losses of tokens."""
    if not len(runs):
        return runs
    known = runs.probes.map(lambda probes: bool(probes) and "tokens" in probes[-1])
    return runs[known & (runs.status == "ok") & runs.role.isin(RATES)]


def _token_losses(runs) -> np.ndarray:
    """(N,) nats, mean over runs."""
    return np.mean([probes[-1]["tokens"]["whole"] for probes in runs.probes], 0)


def token_losses(ended, usual, chosen, shape) -> dict | None:
    """Losses (nats) of the tokens of chosen windows, mean over the seeds that both sides have."""
    mine, theirs = (
        {run.seed: run.probes[-1]["tokens"]["whole"] for run in side.itertuples()}
        for side in (measured(ended), usual[usual.role == ended.role.iloc[0]])
    )
    if not (seeds := sorted(mine.keys() & theirs.keys())):
        return None
    pair = [np.mean([side[s] for s in seeds], 0).reshape(shape) for side in (mine, theirs)]
    return {
        "seeds": len(seeds),
        "gain": round(float((pair[1] - pair[0]).mean()), 4),  # on all windows
        "here": rounded(pair[0][chosen], 3),
        "usual": rounded(pair[1][chosen], 3),
    }


def model_in_words(run) -> str:
    """What was trained on what, for the title of a panel."""
    if "n_layer" not in run:
        return f"Emb-MLP (width {run.width:g}) on anchor functions"
    layers = f"{run.n_layer:g} layer{'s' if run.n_layer > 1 else ''}"
    return f"GPT ({layers}, width {run.width:g}) on text"


def rounded(values, digits: int) -> list:
    return np.round(values, digits).tolist()


def _entry(group: pd.DataFrame, numbers) -> dict | None:
    """What is known of the runs of one gamma and role, and its numbers."""
    ended, first = group[group.status == "ok"], group.iloc[0]
    about = {
        "gamma": float(first.gamma),
        "rate": float(first.learning_rate),
        "resolved": bool(first.resolved),  # False: the best rate is at the edge of the grid
        "runs": len(ended),
        "diverged": len(group) - len(ended),
    }
    if not len(ended):
        return about
    return about | found if (found := numbers(ended)) else None
