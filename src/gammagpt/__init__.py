"""gammagpt: a minimal GPT and the experiments of an executable book on small initialization."""

from importlib import import_module

__version__ = "0.1.0"
# Public name -> its module, which is imported when the name is first asked for: torch takes longer
# to load than the ledger, the exercises or --help need.
_HOMES = {
    "DataConfig": "data",
    "GPT": "gpt.model",
    "GPTConfig": "gpt.options",
    "InitConfig": "gpt.options",
    "OptimConfig": "gpt.options",
    "ProbeConfig": "gpt.options",
    "Record": "gpt.records",
    "RunConfig": "gpt.config",
    "Store": "lab.store",
    "UserError": "project",
    "advise": "analysis.plateau",
    "audit_figure": "analysis.audits",
    "audit_init": "gpt.audit",
    "frame": "lab.frame",
    "gamma_": "gpt.init",
    "gamma_init_": "gpt.init",
    "implied_gamma": "gpt.init",
    "load_model": "gpt.weights",
    "load_records": "lab.frame",
    "parameters": "lab.settings",
    "save_model": "gpt.weights",
    "sweep": "lab.sweep",
    "train": "lab.training",
    "verdicts": "registry.studies",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__():
    return sorted({*globals(), *_HOMES})
