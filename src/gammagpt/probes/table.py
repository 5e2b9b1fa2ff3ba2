"""The table of probes: a field of ProbeConfig -> when it is due, and what is measured then.

"along" is due at log-spaced steps, as often as the ProbeConfig says; "end" after the last step. A
function gets the plain model and its RunConfig, and returns what a record can hold: numbers in
dicts and lists. To add a probe: a function here in probes/, its row, and a field in ProbeConfig.
"""

from .geometry import geometry, neuron_cosines
from .norm_outputs import norm_outputs
from .sinks import sinks
from .spectra import spectra
from .token_losses import token_losses

PROBES = {
    "spectra": ("along", lambda model, config: spectra(dict(model.named_parameters()))),
    "neurons": ("along", lambda model, config: neuron_cosines(dict(model.named_parameters()))),
    "geometry": ("along", geometry),
    "tokens": ("end", token_losses),
    "sinks": ("end", sinks),
    "norms": ("end", norm_outputs),
}
