"""gammagpt: a minimal GPT and the experiments of an executable book on small initialization."""

from .data import DataConfig
from .experiments import verdicts
from .init import audit_init, gamma_init_, implied_gamma
from .lab.settings import parameters
from .model import GPT, GPTConfig
from .optim import OptimConfig
from .probes import ProbeConfig
from .project import UserError
from .rule import pick_gamma
from .runs import InitConfig, Record, RunConfig, Store
from .sweep import frame, load_records, sweep
from .train import train

__version__ = "0.1.0"
__all__ = [
    "GPT", "GPTConfig", "InitConfig", "OptimConfig", "DataConfig", "ProbeConfig", "RunConfig",
    "Record", "Store", "UserError", "audit_init", "frame", "gamma_init_", "implied_gamma",
    "load_records", "parameters", "pick_gamma", "sweep", "train", "verdicts",
]  # fmt: skip
