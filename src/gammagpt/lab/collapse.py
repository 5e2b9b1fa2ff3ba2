"""When a run has collapsed: it ends well above what its setting reaches at that rate or slower.

The rule was written before the runs of the second edition; chapter 17 says what is behind it.
"""

import numpy as np

MARGIN = 0.1  # nats; off the collapse the sd of a final loss is 0.02 to 0.03
OF_MIXTURES = 0.3  # likewise, on several texts at once: there a seed moves the loss by 0.05


def collapsed(rates, losses, margin: float = MARGIN) -> np.ndarray:
    """(runs,) bool: more than `margin` nats above the best run at that rate or a lower one.

    A loss is infinite where a run diverged, which has collapsed too.
    """
    rates, losses = np.asarray(rates), np.asarray(losses)
    return np.array([y == np.inf or y - losses[rates <= r].min() > margin
                     for r, y in zip(rates, losses, strict=True)], bool)
