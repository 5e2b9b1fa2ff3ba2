"""Published architectures, from the configurations in transformers: what gamma they begin with.

The configuration is the published one; the model is small where no std depends on it: 1,024 words,
2 experts, one block of each kind. It is built on the device meta, cut, and only then drawn, by its
own initialization. Needs the extra `hf`; without a network only what is on the disk is found.
"""

import torch
import torch.nn as nn

from ..project import UserError, require
from .audit import audit_init
from .parts import places
from .tensors import named_modules, weights_of

ENOUGH = {"vocab_size": 1024, "num_experts": 2, "n_routed_experts": 2, "num_local_experts": 2}
WANTED = "is a decoder: a model type like llama, a folder with a config.json, or a hub's name"


def config_of(name: str):
    """The configuration of a decoder: by its type, else from the disk, else from the hub.

    Raises UserError if transformers is missing, or knows no such model.
    """
    try:
        from transformers import CONFIG_MAPPING, AutoConfig, logging
    except ImportError:
        raise UserError("--hf: transformers is missing: pip install transformers") from None
    logging.set_verbosity_error()
    try:
        known = name in CONFIG_MAPPING
        found = CONFIG_MAPPING[name]() if known else AutoConfig.from_pretrained(name)
        return found.get_text_config(decoder=True)
    except (OSError, ValueError, KeyError):
        raise UserError(f"--hf: got {name!r}, allowed {WANTED}") from None


def build(name: str) -> nn.Module:
    """The model of `config_of(name)`, cut, with its own initialization; the same every time."""
    config = config_of(name)
    from transformers import AutoModelForCausalLM

    own = {field: getattr(config, field, None) for field in ENOUGH}
    small = {field: min(n, ENOUGH[field]) for field, n in own.items() if isinstance(n, int)}
    config.update(small | {"pad_token_id": None})  # padding may lie beyond the words that are left
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, ImportError):
        raise UserError(f"--hf: got {name!r}, allowed {WANTED}") from None
    _cut(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in model.to_empty(device="cpu").parameters():
            parameter.data.fill_(torch.nan)
        model.init_weights()
    floats = (weight for weight in weights_of(model) if weight.tensor.is_floating_point())
    lost = [weight.name for weight in floats if weight.tensor.isnan().any()]
    require(not lost, "--hf", name, f"is what draws all tensors; the constructor alone draws "
            f"{lost[:1]}: build it and call audit_init")
    return model


def _cut(model) -> None:
    """Keep one block of each kind: of the same tensors in the same shapes."""
    for _, module in list(named_modules(model)):
        for key, child in module._modules.items():
            if isinstance(child, nn.ModuleList) and len(child) > 1:
                kinds = {tuple((n, p.shape) for n, p in block.named_parameters()): block
                         for block in reversed(child)}
                module._modules[key] = nn.ModuleList(reversed(kinds.values()))


def audit_published(name: str):
    """audit_init's frame for `build(name)`, with the part of each tensor ('' if not known)."""
    model = build(name)
    table, weights = audit_init(model), [weight for weight in weights_of(model) if weight.d_in]
    try:
        parts = {name: place.part for name, place in places(weights, {}, False).items()}
    except UserError:
        parts = {}
    table.insert(1, "part", [parts.get(tensor) or "" for tensor in table.tensor])
    return table
