"""gammagpt: a minimal GPT and the experiments of an executable book on small initialization."""

from .analysis.advice import pick_gamma
from .data import DataConfig
from .gpt.config import InitConfig, RunConfig
from .gpt.init import audit_init, gamma_init_, implied_gamma
from .gpt.model import GPT, GPTConfig
from .gpt.optim import OptimConfig
from .gpt.records import Record
from .gpt.scores import ProbeConfig
from .lab.frame import frame, load_records
from .lab.settings import parameters
from .lab.store import Store
from .lab.sweep import sweep
from .lab.training import train
from .project import UserError
from .registry.studies import verdicts

__version__ = "0.1.0"
__all__ = [
    "GPT", "GPTConfig", "InitConfig", "OptimConfig", "DataConfig", "ProbeConfig", "RunConfig",
    "Record", "Store", "UserError", "audit_init", "frame", "gamma_init_", "implied_gamma",
    "load_records", "parameters", "pick_gamma", "sweep", "train", "verdicts",
]  # fmt: skip
