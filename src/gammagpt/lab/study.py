"""A study: settings, each trained at one common learning rate and at its own best, and a frame."""

import time
from dataclasses import dataclass, replace
from functools import cache

from ..gpt.config import InitConfig, RunConfig
from ..gpt.options import OptimConfig, ProbeConfig
from ..probes.token_classes import class_losses, classes, deciles
from ..project import UserError, require_one_of, training_budget
from .collapse import MARGIN, collapsed
from .frame import frame
from .store import Store
from .sweep import sweep


@dataclass(frozen=True)
class LearningRateStudy:
    """Settings compared twice: at one common learning rate, and each at its own best.

    The best rate of a setting is found on `tuning_seeds`, on the whole grid; the comparison is
    made on `seeds`, which are never the same. An optimum at the edge of the grid is no optimum:
    it is marked as not resolved. With an empty grid nothing is tuned.
    """

    settings: dict[str, RunConfig]  # name, as claims and figures say it -> a run at its common rate
    learning_rates: tuple[float, ...]
    tuning_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    reference: RunConfig | None = None  # never compared: it tells classes of tokens apart
    collapse: float = MARGIN  # nats above the best: lab/collapse.py; inf where each seed has a task

    def __post_init__(self):
        both = set(self.seeds) & set(self.tuning_seeds)
        if both:
            raise UserError(f"seeds: {sorted(both)} are tuning seeds too; compare on others")

    @property
    def base(self) -> RunConfig:
        """The run of the first setting."""
        return next(iter(self.settings.values()))

    @property
    def inits(self) -> tuple[InitConfig, ...]:
        return tuple(config.init for config in self.settings.values())

    def only(self, names) -> "LearningRateStudy":
        """The same study of some of its settings. Raises UserError for one that it has not."""
        for name in names:
            require_one_of([*self.settings], "setting", name)
        chosen = {name: config for name, config in self.settings.items() if name in names}
        return replace(self, settings=chosen)

    def tuning(self) -> list[RunConfig]:
        """Every setting at every learning rate, on the tuning seeds, without long probes."""
        return [config for _, config in self._tuning()]

    def at_common_rate(self) -> list[RunConfig]:
        return [config for _, config in self._at_common_rate()]

    def at_best_rate(self, best) -> list[RunConfig]:
        """Every setting that has a best rate in `best` (see `best_rates`), at that rate."""
        return [config for _, config in self._at_best_rate(best)]

    def compared(self) -> list[RunConfig]:
        """As many runs as one comparison takes, to tell its cost before it is tuned."""
        return [config for _, config in self._compared()]

    def run(
        self, store: Store, *, role: str | None = None, budget: float | None = None, **options
    ):
        """Train what is missing, most valuable first, then return `collect(store)`.

        The comparison at the common rate needs no tuning, so it comes first; then the tuning,
        seed by seed. With a `role` only what that takes: "common", "tuning", or "tuned" after the
        tuning. `options` are those of `sweep`; the budget (seconds; default: that of
        project.training_budget) is for all together. Raises UserError for another role.
        """
        asked = {None: ("common", "tuning"), "common": ("common",), "tuning": ("tuning",),
                 "tuned": ("tuning",)}
        if role not in asked:
            raise UserError(f"role: got {role!r}, allowed are common, tuning, tuned")
        budget = training_budget() if budget is None else budget
        end = time.monotonic() + budget
        runs = [self.reference] if self.reference else []
        runs += self.at_common_rate() if "common" in asked[role] else []
        runs += self.tuning() if "tuning" in asked[role] else []
        sweep(runs, store, budget=budget, **options)
        if role in (None, "tuned"):
            best = self.best_rates(self.collect(store))
            sweep(self.at_best_rate(best), store, budget=end - time.monotonic(), **options)
        return self.collect(store)

    def collect(self, store: Store):
        """A frame of the records that are there: a row a run and role; trains nothing.

        Roles: tuning, common, tuned. Columns: those of `lab.frame`, role, rules (the hashes in
        force), curve (validation), resolved (False if the setting's best rate is at the edge),
        collapsed (compared with all runs of its setting that are there: lab/collapse.py).
        """
        import pandas as pd

        tuning = _outcomes(store, self._tuning(), "tuning")
        best = self.best_rates(tuning)
        parts = [
            tuning,
            _outcomes(store, self._at_common_rate(), "common"),
            _outcomes(store, self._at_best_rate(best), "tuned"),
        ]
        runs = pd.concat([part for part in parts if len(part)] or [tuning], ignore_index=True)
        edge = set(best[~best.resolved].setting)
        runs["resolved"] = ~((runs.role == "tuned") & runs.setting.isin(edge))
        runs["collapsed"] = _collapsed(runs, self.collapse)
        return self._with_class_losses(runs, store) if self.reference else runs

    def _with_class_losses(self, runs, store: Store):
        """Columns of token_classes.class_losses, for the runs that have token losses."""
        import pandas as pd

        reference = store.get(self.reference)
        if reference is None or "tokens" not in (reference.probes or [{}])[-1]:
            return runs[runs.role == "tuning"]  # without it no token has a class to be compared in
        known = classes(reference), deciles(reference.config)
        rows = [class_losses(p[-1], *known) if p and "tokens" in p[-1] else {} for p in runs.probes]
        return runs.join(pd.DataFrame(rows, index=runs.index))

    def best_rates(self, runs):
        """A frame: setting, learning_rate (the best by mean loss on the tuning seeds), resolved.

        Only settings whose whole grid is there. A rate at which a run diverged is never the best.
        """
        import pandas as pd

        rows = []
        tuning = runs[runs.role == "tuning"]
        for setting, group in tuning.groupby("setting", sort=False):
            mean = group.groupby("learning_rate").loss.mean()
            whole = len(group) == len(self.tuning_seeds) * len(self.learning_rates)
            if whole and mean.min() < float("inf"):
                inner = mean.index.min() < mean.idxmin() < mean.index.max()
                rows.append((setting, mean.idxmin(), inner))
        best = pd.DataFrame(rows, columns=["setting", "learning_rate", "resolved"])
        return best.astype({"resolved": bool})

    def _tuning(self) -> list[tuple[str, RunConfig]]:
        off = dict.fromkeys(ProbeConfig.OPTIONAL, 0)
        quick = {name: replace(config, probes=replace(config.probes, **off))
                 for name, config in self.settings.items()}
        return [
            (name, _at(config, rate, seed))
            for seed in self.tuning_seeds
            for name, config in quick.items()
            for rate in self._grid(config)
        ]

    def _grid(self, config: RunConfig) -> tuple[float, ...]:
        """The learning rates that a setting is tuned over."""
        return self.learning_rates

    def _at_common_rate(self) -> list[tuple[str, RunConfig]]:
        return self._compared()

    def _compared(self) -> list[tuple[str, RunConfig]]:
        pairs = [(seed, *item) for seed in self.seeds for item in self.settings.items()]
        return [(n, _at(c, c.optim.learning_rate, seed)) for seed, n, c in pairs]

    def _at_best_rate(self, best) -> list[tuple[str, RunConfig]]:
        rates = dict(zip(best.setting, best.learning_rate, strict=True))
        known = [(name, config) for name, config in self.settings.items() if name in rates]
        return [(n, _at(c, rates[n], seed)) for seed in self.seeds for n, c in known]


def _collapsed(runs, margin: float):
    """Which runs of a frame have collapsed, each compared with all of its setting."""
    import pandas as pd

    parts = [pd.Series(collapsed(group.learning_rate, group.loss, margin), group.index)
             for _, group in runs.groupby("setting")]
    return pd.concat(parts or [pd.Series(dtype=bool)]).reindex(runs.index)


def _at(config: RunConfig, learning_rate: float, seed: int) -> RunConfig:
    return replace(config, optim=_at_rate(config.optim, learning_rate), seed=seed)


@cache
def _at_rate(optim: OptimConfig, learning_rate: float) -> OptimConfig:
    return replace(optim, learning_rate=learning_rate)


def _outcomes(store: Store, named, role: str):
    """A frame of the records of (setting, configuration)s that are there."""
    records = [(name, store.get(config)) for name, config in named]
    records = [(name, record) for name, record in records if record is not None]
    outcomes = frame([record for _, record in records])
    outcomes["role"] = role
    if records:
        outcomes["setting"] = [name for name, _ in records]
    return outcomes
