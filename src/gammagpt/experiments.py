"""Experiments: parameters -> the runs that answer a question -> one frame of their outcomes."""

import inspect
import math
import time
from dataclasses import dataclass, replace

from .claims import Verdict, judge, load_ledger
from .project import UserError, check_list, results_folder, tier_parameters
from .runs import InitConfig, RunConfig, Store
from .sweep import frame, sweep


@dataclass(frozen=True)
class LearningRateStudy:
    """Initializations compared twice: at one common learning rate, and each at its own best.

    The best rate of a setting is found on `tuning_seeds`, on the whole grid; the comparison is
    made on `seeds`, which are never the same. An optimum at the edge of the grid is no optimum:
    it is marked as not resolved.
    """

    base: RunConfig  # at the common learning rate
    inits: tuple[InitConfig, ...]
    learning_rates: tuple[float, ...]
    tuning_seeds: tuple[int, ...]
    seeds: tuple[int, ...]

    def __post_init__(self):
        both = set(self.seeds) & set(self.tuning_seeds)
        if both:
            raise UserError(f"seeds: {sorted(both)} are tuning seeds too; compare on others")

    def config(self, init: InitConfig, learning_rate: float, seed: int) -> RunConfig:
        optim = replace(self.base.optim, learning_rate=learning_rate)
        return replace(self.base, init=init, optim=optim, seed=seed)

    def tuning(self) -> list[RunConfig]:
        """Every setting at every learning rate, on the tuning seeds, without long probes."""
        grid = [
            self.config(init, rate, seed)
            for seed in self.tuning_seeds for init in self.inits for rate in self.learning_rates
        ]  # fmt: skip
        return [replace(c, probes=replace(c.probes, geometry=0)) for c in grid]

    def at_common_rate(self) -> list[RunConfig]:
        rate = self.base.optim.learning_rate
        return [self.config(init, rate, seed) for seed in self.seeds for init in self.inits]

    def at_best_rate(self, best) -> list[RunConfig]:
        """Every setting that has a best rate in `best` (see `best_rates`), at that rate."""
        rates = dict(zip(best.setting, best.learning_rate, strict=True))
        known = [init for init in self.inits if init.label in rates]
        return [self.config(i, rates[i.label], s) for s in self.seeds for i in known]

    def run(self, store: Store, *, budget: float = math.inf, **options):
        """Train what is missing, most valuable first, then return `collect(store)`.

        The comparison at the common rate needs no tuning, so it comes first; then the tuning,
        seed by seed. `options` are those of `sweep`; the budget (seconds) is for all together.
        """
        end = time.monotonic() + budget
        sweep(self.at_common_rate() + self.tuning(), store, budget=budget, **options)
        best = self.best_rates(self.collect(store))
        sweep(self.at_best_rate(best), store, budget=end - time.monotonic(), **options)
        return self.collect(store)

    def collect(self, store: Store):
        """A frame of the records that are there: a row a run and role; trains nothing.

        Roles: tuning, common, tuned. Columns: those of `sweep.frame`, role, rules (the hashes in
        force), curve (validation), resolved (False if the setting's best rate is at the edge).
        """
        import pandas as pd

        tuning = _outcomes(store, self.tuning(), "tuning")
        best = self.best_rates(tuning)
        parts = [
            tuning,
            _outcomes(store, self.at_common_rate(), "common"),
            _outcomes(store, self.at_best_rate(best), "tuned"),
        ]
        runs = pd.concat([part for part in parts if len(part)] or [tuning], ignore_index=True)
        edge = set(best[~best.resolved].setting) if len(best) else set()
        if len(runs):
            runs["resolved"] = ~((runs.role == "tuned") & runs.setting.isin(edge))
        return runs

    def best_rates(self, runs):
        """A frame: setting, learning_rate (the best by mean loss on the tuning seeds), resolved.

        Only settings whose whole grid is there. A rate at which a run diverged is never the best.
        """
        import pandas as pd

        rows = []
        tuning = runs[runs.role == "tuning"] if len(runs) else runs
        for setting, group in tuning.groupby("setting", sort=False) if len(tuning) else ():
            mean = group.groupby("learning_rate").loss.mean()
            whole = len(group) == len(self.tuning_seeds) * len(self.learning_rates)
            if whole and mean.min() < float("inf"):
                inner = mean.index.min() < mean.idxmin() < mean.index.max()
                rows.append((setting, mean.idxmin(), inner))
        return pd.DataFrame(rows, columns=["setting", "learning_rate", "resolved"])


def gamma_scaling(
    gammas, fixed_stds, learning_rates, common_learning_rate, tuning_seeds, seeds,
    n_layer, n_head, width, block_size, vocab_size, corpus, steps, batch_size,
    precision,
) -> LearningRateStudy:  # fmt: skip
    """Chapter 2: final loss against gamma, and against fixed stds with and without scaling.

    Lists may also be given as text, as papermill's -p does. Raises UserError for bad values.
    """
    inits = [InitConfig(gamma=g) for g in check_list("gammas", gammas)]
    for std in check_list("fixed_stds", fixed_stds, empty=True):
        inits += [InitConfig(None, std), InitConfig(None, std, residual_scaling=True)]
    model = {"n_layer": n_layer, "n_head": n_head, "width": width, "block_size": block_size}
    base = RunConfig.from_dict({
        "model": model | {"vocab_size": vocab_size},
        "optim": {"learning_rate": common_learning_rate},
        "data": {"corpus": corpus, "vocab_size": vocab_size},
        "steps": steps, "batch_size": batch_size, "precision": precision,
    })  # fmt: skip
    return LearningRateStudy(
        base.pinned(),
        tuple(inits),
        tuple(sorted(check_list("learning_rates", learning_rates))),
        tuple(check_list("tuning_seeds", tuning_seeds, int)),
        tuple(check_list("seeds", seeds, int)),
    )


def bias(
    keys, tasks, held_out, anchors, vocab_size, tuning_seeds, seeds, precision, probes,
    emb_gammas, activation, emb_width, emb_hidden, emb_steps, emb_batch_size,
    emb_learning_rates, emb_common_rate,
    gpt_gammas, samples, length, n_layer, n_head, width, positions, steps, batch_size,
    learning_rates, common_rate,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """The second paper's tasks, learned by an Emb-MLP and by a Transformer.

    The Emb-MLP gets key and anchors only, and each sequence there is; the Transformer finds them
    among noise, `length` tokens in all. Raises UserError for bad values.
    """
    data = {"kind": "anchors", "keys": keys, "tasks": tasks, "held_out": held_out,
            "anchors": anchors, "vocab_size": vocab_size}  # fmt: skip
    rest = tuning_seeds, seeds, precision, probes
    emb_mlp = {"kind": "emb_mlp", "width": emb_width, "hidden": emb_hidden,
               "activation": activation}  # fmt: skip
    gpt = {"n_layer": n_layer, "n_head": n_head, "width": width, "positions": positions}
    short = data | {"length": anchors + 1, "samples": 0}
    long = data | {"length": length, "samples": samples}
    return {
        "bias_emb_mlp": _anchor_study(emb_mlp, short, emb_gammas, emb_steps, emb_batch_size,
                                      emb_learning_rates, emb_common_rate, *rest),
        "bias_gpt": _anchor_study(gpt, long, gpt_gammas, steps, batch_size, learning_rates,
                                  common_rate, *rest),
    }  # fmt: skip


def labels(
    keys, range_tasks, near_tasks, anchors, vocab_size, tuning_seeds, seeds, precision, probes,
    gammas, activation, emb_width, emb_hidden, emb_steps, emb_batch_size, emb_learning_rates,
    emb_common_rate,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """Memory alone, with laws that say more or less about the labels (arXiv 2502.04375, Fig. 8)."""
    emb_mlp = {"kind": "emb_mlp", "width": emb_width, "hidden": emb_hidden,
               "activation": activation}  # fmt: skip
    data = {"kind": "anchors", "keys": keys, "held_out": "", "anchors": anchors,
            "vocab_size": vocab_size, "length": anchors + 1, "samples": 0}  # fmt: skip
    rest = (gammas, emb_steps, emb_batch_size, emb_learning_rates, emb_common_rate, tuning_seeds,
            seeds, precision, probes)  # fmt: skip
    return {
        "labels_ranges": _anchor_study(emb_mlp, data | {"tasks": range_tasks}, *rest),
        "labels_near": _anchor_study(emb_mlp, data | {"tasks": near_tasks}, *rest),
    }


def language(
    gammas, learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head, width,
    block_size, vocab_size, corpus, steps, batch_size, precision, probes,
) -> LearningRateStudy:
    """A GPT on a mixture of texts, one that asks to reason and one that does not."""
    model = {"n_layer": n_layer, "n_head": n_head, "width": width, "block_size": block_size}
    base = RunConfig.from_dict({
        "model": model | {"vocab_size": vocab_size},
        "optim": {"learning_rate": common_learning_rate},
        "data": {"corpus": corpus, "vocab_size": vocab_size},
        "steps": steps, "batch_size": batch_size, "precision": precision,
        "probes": {"losses": 25, "windows": 64, "final_windows": 256, "geometry": probes},
    })  # fmt: skip
    return _rate_study(base, gammas, learning_rates, tuning_seeds, seeds)


def _anchor_study(
    model, data, gammas, steps, batch_size, learning_rates, common_rate, tuning_seeds, seeds,
    precision, probes,
) -> LearningRateStudy:  # fmt: skip
    base = RunConfig.from_dict({
        "model": model | {"vocab_size": data["vocab_size"], "block_size": data["length"]},
        "optim": {"learning_rate": common_rate}, "data": data, "steps": steps,
        "batch_size": batch_size, "precision": precision,
        "probes": {"losses": 31, "windows": 200, "final_windows": 2000, "geometry": probes},
    })  # fmt: skip
    return _rate_study(base, gammas, learning_rates, tuning_seeds, seeds)


def _rate_study(base, gammas, learning_rates, tuning_seeds, seeds) -> LearningRateStudy:
    return LearningRateStudy(
        base.pinned(),
        tuple(InitConfig(gamma=g) for g in check_list("gammas", gammas)),
        tuple(sorted(check_list("learning_rates", learning_rates))),
        tuple(check_list("tuning_seeds", tuning_seeds, int)),
        tuple(check_list("seeds", seeds, int)),
    )


# Name -> what makes its study, and the notebook whose parameters in a tier say how large it is.
EXPERIMENTS = {
    "gamma_scaling": (gamma_scaling, "02_gamma_scaling"),
    "bias_emb_mlp": (bias, "03_bias"),
    "bias_gpt": (bias, "03_bias"),
    "labels_ranges": (labels, "06_labels"),
    "labels_near": (labels, "06_labels"),
    "language": (language, "07_language"),
}


def study(experiment: str, tier: str) -> LearningRateStudy:
    """An experiment at the size of a tier. Raises UserError for a name that is unknown."""
    if experiment not in EXPERIMENTS:
        allowed = ", ".join(EXPERIMENTS)
        raise UserError(f"experiment: got {experiment!r}, allowed are {allowed}")
    make, notebook = EXPERIMENTS[experiment]
    given = {k: v for k, v in tier_parameters(tier)[notebook].items() if k != "tier"}
    if wrong := set(inspect.signature(make).parameters) ^ set(given):
        names = ", ".join(sorted(wrong))
        raise UserError(f"{tier}.yml: {notebook} lacks, or does not know, {names}")
    made = make(**given)
    return made[experiment] if isinstance(made, dict) else made


def verdicts(tier: str = "laptop") -> list[Verdict]:
    """The verdict of every claim of the ledger, from the records of a tier; trains nothing."""
    claims, store = load_ledger(), Store(results_folder(tier))
    names = {claim.experiment for claim in claims}
    frames = {name: study(name, tier).collect(store) for name in names}
    return [judge(claim, frames[claim.experiment], tier) for claim in claims]


def _outcomes(store: Store, configs, role: str):
    records = [record for config in configs if (record := store.get(config)) is not None]
    outcomes = frame(records)
    outcomes["role"] = role
    return outcomes
