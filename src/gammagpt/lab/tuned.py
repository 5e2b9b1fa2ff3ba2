"""A study whose settings are tuned: a grid for each, and no collapsed run chosen."""

from ..gpt.config import RunConfig
from ..project import require
from .collapse import collapsed
from .study import LearningRateStudy


class TunedStudy(LearningRateStudy):
    """Settings compared at their own best learning rates only, those of LearningRateStudy.

    `learning_rates` are multiples of the rate that each setting comes with, where its best is
    expected. The median over the tuning seeds chooses; a rate at which a run collapsed is no
    candidate, and the best one must lie inside the grid.
    """

    def __post_init__(self):
        super().__post_init__()
        for config in self.settings.values():
            rates = self._grid(config)
            require(len({*rates}) == len(rates) and min(rates, default=1) > 0, "factors",
                    [*self.learning_rates], "are positive, each with a learning rate of its own, "
                    f"four digits long, around {config.optim.learning_rate:g}")

    def best_rates(self, runs):
        """A frame: setting, learning_rate, resolved; only of settings whose whole grid is there."""
        import pandas as pd

        rows = []
        tuning = runs[runs.role == "tuning"]
        for setting, group in tuning.groupby("setting", sort=False):
            grid = group.learning_rate
            bad = grid[collapsed(grid, group.loss, self.collapse)]
            middle = group[~grid.isin(bad)].groupby("learning_rate").loss.median()
            if len(group) == len(self.tuning_seeds) * len(self.learning_rates) and len(middle):
                best = middle.idxmin()
                rows.append((setting, best, grid.min() < best < grid.max()))
        best = pd.DataFrame(rows, columns=["setting", "learning_rate", "resolved"])
        return best.astype({"resolved": bool})

    def _grid(self, config: RunConfig) -> tuple[float, ...]:
        """Multiples of the expected best; of four digits, so that one rate has one name."""
        expected = config.optim.learning_rate
        return tuple(float(f"{expected * factor:.4g}") for factor in self.learning_rates)

    def _at_common_rate(self) -> list[tuple[str, RunConfig]]:
        return []


class OneRateStudy(LearningRateStudy):
    """Settings compared at the one learning rate that each comes with. On the tuning seeds each is
    trained at half of it: what a run that did not collapse reaches (lab/collapse.py)."""

    def _grid(self, config: RunConfig) -> tuple[float, ...]:
        return (config.optim.learning_rate / 2,)
