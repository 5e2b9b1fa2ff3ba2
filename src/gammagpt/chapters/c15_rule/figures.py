"""Figures of chapter 15: the initializations beside each other, and what a wrong rate costs."""

from ...analysis.frames import of_role
from ...analysis.tuned import MARGIN, sound
from ...plots import EDGE, LOSS, NATS, SHADE, Estimates, Picture, compose, provenance
from .numbers import valleys


def rule(runs, tier: str, own: str) -> Picture:
    """Final loss of each initialization, tuned; on grey what is equivalent to `own`."""
    table = sound(runs)
    names = tuple(sorted(set(table.setting), key=lambda name: (name != own, name)))

    def band(axes):
        if own in names:
            mean = table.loss[table.setting == own].mean()
            axes.axvspan(mean - MARGIN, mean + MARGIN, **SHADE)

    panel = Estimates(table=table, x="setting", y="loss", upright=False, order=names, xlabel=LOSS,
                      head="Loss", also=band)
    return compose("fig-rule", "Final validation loss of each initialization, tuned", [[panel]],
                   caption=f"Each dot is a run; means with 95 % intervals. Grey: within {MARGIN:g} "
                   f"nats of {own}; {EDGE}, or a run collapsed.", legend=None,
                   source=provenance(table, tier), size=(7.2, 1.2 + 0.5 * max(1, len(names))))


def price(runs, tier: str) -> Picture:
    """How far each initialization ends above its best, by the factor that its rate is off."""
    panel = Estimates(table=valleys(runs), x="factor", y="above", hue="setting", line=True, log=2,
                      interval=False, zero=0, form=".3f", apart=False, label=f"rise ({NATS})",
                      xlabel="learning rate over the best one", only="ends",
                      place="{:g} times the best rate".format)
    return compose("fig-price", "What it costs to miss the best learning rate", [[panel]],
                   caption="Means and dots over the tuning seeds; each initialization from its own "
                   "best rate.", legend=2, source=provenance(of_role(runs, "tuning"), tier),
                   size=(7.2, 4.6))
