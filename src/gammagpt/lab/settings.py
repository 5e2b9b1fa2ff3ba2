"""Studies from parameters: a chapter says what is varied; names and runs follow from that.

`p` is a page's parameters, by name: see `parameters`.
"""

import ast
from contextlib import suppress
from dataclasses import asdict, replace
from types import NoneType, SimpleNamespace

from ..data import AnchorConfig
from ..gpt.config import InitConfig, RunConfig
from ..gpt.options import ProbeConfig
from ..project import UserError, alike, assignments, check_list, require
from .study import LearningRateStudy

LISTS = {  # what a list holds, by its name or the last word of it
    "gammas": float, "rates": float, "decays": float, "warmups": float,
    "epsilons": float, "seeds": int, "widths": int, "layers": int, "depths": int,
    "factors": float,
}
EMPTY = ("rates", "seeds")  # those that may be, by the last word
ABSENT = ("decays", "warmups")  # and by the whole name
WORDS = {"width": "width {}", "n_layer": "layers {}", "steps": "{} steps", "norm_eps": "eps {:g}",
         "warmup": "warm-up {:g}", "weight_decay": "decay {:g}"}

PAPERMILL = "# Parameters\n"  # how the cell begins that papermill adds


def parameters(names: dict) -> SimpleNamespace:
    """A page's parameters, by name: `p = gg.parameters(globals())`, below their cell.

    As in nanoGPT's configurator, they are the plain values under lowercase names. Raises UserError
    for a list that does not hold distinct numbers; papermill's -p passes lists as text. And for
    what papermill was given and no cell knows, or knows as another type: it takes "false" for true.
    """
    _check_given(names.get("In", ()))
    plain = bool | int | float | str | list | tuple | NoneType
    chosen = {name: value for name, value in names.items()
              if name.islower() and name[0] != "_" and isinstance(value, plain)}
    return SimpleNamespace(**{name: _value(name, value) for name, value in chosen.items()})


def _check_given(cells) -> None:
    """Hold papermill's cell of parameters to the notebook's own, of the cells that ran so far."""
    known, given = {}, {}
    for source in cells:
        (given if source.startswith(PAPERMILL) else known).update(_plain_values(source))
    for name, value in given.items() if known else ():
        if name not in known:
            raise UserError(f"{name}: unknown parameter, allowed are {', '.join(known)}")
        if not alike(value, known[name]) and not (
            isinstance(value, str) and isinstance(known[name], list)
        ):
            raise UserError(f"{name}: got {value!r}, allowed is a value like {known[name]!r}")


def _plain_values(source: str) -> dict:
    """Name -> value of what a cell sets to a plain value."""
    values = {}
    with suppress(SyntaxError):  # a cell may have a line for the shell
        for name, statement in assignments(source).items():
            with suppress(ValueError):
                values[name] = ast.literal_eval(statement.value)
    return values


def _value(name: str, value):
    last = name.split("_")[-1]
    kind = LISTS.get(name) or LISTS.get(last)
    empty = name in ABSENT or (last in EMPTY and not name.endswith("tuning_seeds"))
    return check_list(name, value, kind, empty) if kind else value


class Settings(dict):
    """{name: RunConfig}: what is compared, each at the common learning rate."""

    def over(self, part: str | None = None, variants=None, **field) -> "Settings":
        """Each setting at each value of a field, which its name then says.

        over("model", width=[32, 64]), over(steps=[200]); or of several fields at once, with the
        words for the name: over("model", {"": {}, ", gate": {"gate": True}}).
        """
        if variants is None:
            [(name, values)] = field.items()
            variants = {f", {WORDS[name].format(value)}": {name: value} for value in values}
        return Settings({
            name + words: changed(config, part, fields)
            for words, fields in variants.items()
            for name, config in self.items()
        })

    def set(self, part: str | None = None, **fields) -> "Settings":
        """Every setting with other values of these fields; the names stay."""
        return self.over(part, {"": fields})


def changed(config: RunConfig, part: str | None, fields: dict) -> RunConfig:
    """The run with other values of these fields, of itself or of a part (model, optim, ...)."""
    if part:
        fields = {part: replace(getattr(config, part), **fields)}
    return replace(config, **fields)


def over_inits(base: RunConfig, *inits: InitConfig, gammas=()) -> Settings:
    """The run with each initialization: the gammas first, then the others."""
    every = [*(InitConfig(gamma=gamma) for gamma in gammas), *inits]
    labels = [init.label for init in every]
    require(len({*labels}) == len(labels), "gammas", labels, "are initializations that differ")
    return Settings({init.label: replace(base, init=init) for init in every})


def gpt2(std: float) -> InitConfig:
    """GPT-2's initialization: this standard deviation, and less where the residual grows."""
    return InitConfig(None, std, residual_scaling=True)


def gpt_on_text(p, steps: int | None = None, **probes) -> RunConfig:
    """A GPT on text, of the page's sizes; `probes` are fields of ProbeConfig."""
    sizes = ("n_layer", "n_head", "width", "block_size", "vocab_size")
    run = RunConfig.from_dict({
        "model": {name: getattr(p, name) for name in sizes},
        "data": {"corpus": p.corpus, "vocab_size": p.vocab_size},
        "steps": steps or p.steps, "batch_size": p.batch_size, "precision": p.precision,
    })
    return _measured(_measured(run, **asdict(ProbeConfig())).pinned(), **probes)


def gpt_on_backcopy(p, **probes) -> RunConfig:
    """A GPT of the page's heads and width on Bigram-Backcopy, of the sizes that a page calls
    copy_...; `probes` are fields of ProbeConfig."""
    run = RunConfig.from_dict({
        "model": {"n_head": p.n_head, "width": p.width, "block_size": p.copy_length,
                  "vocab_size": p.copy_vocab_size},
        "optim": {"warmup": p.warmup},
        "data": {"kind": "backcopy", "vocab_size": p.copy_vocab_size, "triggers": p.triggers},
        "steps": p.copy_steps, "batch_size": p.copy_batch_size, "precision": p.precision,
    })
    return _measured(_measured(run, **asdict(ProbeConfig())).pinned(), **probes)


def emb_mlp(p, prefix: str = "emb") -> dict:
    """The shape of a page's Emb-MLP."""
    sizes = {name: getattr(p, f"{prefix}_{name}") for name in ("width", "hidden")}
    return {"kind": "emb_mlp", "activation": p.activation} | sizes


def on_anchors(
    p, model: dict, data: dict, *, gammas, rates, rate, steps, batch_size, seeds, probes=0
) -> LearningRateStudy:
    """A model on anchor functions, with each gamma; `data` is what the page does not say of it."""
    data = AnchorConfig(**{"keys": p.keys, "held_out": "", "anchors": p.anchors, "samples": 0,
                           "length": p.anchors + 1} | data)
    base = RunConfig.from_dict({
        "model": model | {"vocab_size": data.vocab_size, "block_size": data.length},
        "optim": {"learning_rate": rate}, "data": data,
        "steps": steps, "batch_size": batch_size, "precision": p.precision,
    })
    base = _measured(base, losses=31, windows=200, final_windows=2000, geometry=probes).pinned()
    return study(over_inits(base, gammas=gammas), rates, p.tuning_seeds, seeds)


def _measured(run: RunConfig, **counts) -> RunConfig:
    """The run with these counts of its ProbeConfig, but none finer than the run is long.

    Only runs of tier smoke are so short; there, measuring would cost more than training.
    """
    most = {"losses": 2 + run.steps // 4, "windows": 2 * run.steps, "final_windows": 4 * run.steps}
    fewer = {name: min(count, most.get(name, count)) for name, count in counts.items()}
    return changed(run, "probes", fewer)


def study(settings, rates, tuning_seeds, seeds) -> LearningRateStudy:
    """The settings, tuned and compared. Raises UserError without seeds."""
    if not seeds:
        raise UserError("seeds: got [], allowed is a list of distinct numbers like [0, 1, 2]")
    return LearningRateStudy(
        dict(settings), tuple(sorted(rates)), tuple(tuning_seeds), tuple(seeds))
