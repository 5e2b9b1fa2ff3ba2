"""The grammar of figures: a tidy table in, a Picture out, its alt text read off that table."""

from .bars import Bars
from .curves import Curves, Ways, points
from .dots import Dots
from .estimates import EDGE, Estimates
from .heat import Matrix
from .panels import Panel, compose
from .picture import Picture, Source, nothing, provenance
from .style import COLOURS, GAMMA, GREY, LOSS, NATS, SHADE, looks, style

__all__ = [
    "COLOURS", "EDGE", "GAMMA", "GREY", "LOSS", "NATS", "SHADE", "Bars", "Curves", "Dots",
    "Estimates", "Matrix", "Panel", "Picture", "Source", "Ways", "compose", "looks", "nothing",
    "points", "provenance", "style",
]
