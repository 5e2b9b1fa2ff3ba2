"""Heat maps: matrices of many values."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from .panels import Panel


@dataclass(frozen=True, kw_only=True)
class Matrix(Panel):
    """A square of many values: `values` (N, N); `blocks` {name: slice} are framed and named."""

    values: np.ndarray = None
    blocks: dict = None
    cmap: str = "RdBu_r"
    limits: tuple = (-1, 1)
    tell: Callable = None  # (values) -> words

    @property
    def empty(self) -> bool:
        return self.values is None

    def draw(self, axes, numbers: dict):
        low, high = self.limits
        image = axes.imshow(self.values, cmap=self.cmap, vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        for block in (self.blocks or {}).values():
            corner, side = (block.start - 0.5, block.start - 0.5), block.stop - block.start
            frame = {"fill": False, "linewidth": 1.2, "edgecolor": "black"}
            axes.add_patch(plt.Rectangle(corner, side, side, **frame))
        if self.blocks:
            middles = [(block.start + block.stop - 1) / 2 for block in self.blocks.values()]
            axes.set_xticks(middles, self.blocks, fontsize=9)
            axes.set_yticks(middles, self.blocks, fontsize=9, rotation=90, va="center")
            axes.tick_params(length=0)
        return image

    def describe(self) -> str:
        return self.tell(self.values) if self.tell else ""
