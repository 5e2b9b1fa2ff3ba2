"""The grid: groups of runs in the order of their value, each tuned first and then compared.

How large it is stands in notebooks/tiers (18_gpu): tier gpu for a card, smoke for the rehearsal,
whose widths are a sixteenth. Learning rates are those around the best one that the laptop's runs
predict (predictions/gpu.yml): 1.49 s / sqrt(d) bounds large initializations, 2.44 n^(2/3) / d^2
small ones without the unigram bias, n being the steps of warm-up.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from ...data import DataConfig
from ...gpt.config import InitConfig, RunConfig
from ...gpt.options import GPTConfig, OptimConfig, ProbeConfig
from ...gpt.size import flops_per_token
from ...lab import settings
from ...lab.store import Store
from ...project import tier_parameters

NOTEBOOK = "18_gpu"  # whose parameters in a tier say how large the grid is
BIAS, EPS, GATE = {"head_bias": "unigram"}, {"norm_eps": 1e-12}, {"gate": True}
ALL = BIAS | EPS | GATE
MORE = 2  # rates that a grid may grow by, while its best one lies at its edge

USUAL, MIDDLE, SMALL = (InitConfig(gamma=g) for g in (0.5, 0.8, 1.0))
GPT2 = InitConfig(None, 0.02, residual_scaling=True)
INITS = {"gamma 0.5": USUAL, "std 0.02": GPT2, "gamma 0.8": MIDDLE, "gamma 1": SMALL}
CHANGES = {"": {}, ", bias": BIAS, ", eps 1e-12": EPS, ", gate": GATE, ", all three": ALL}


@dataclass(frozen=True)
class Group:
    """Settings that are tuned on one seed, each at its own rates, and compared on others."""

    name: str
    question: str
    settings: dict[str, RunConfig]  # at the first of its rates, with the tuning seed
    rates: dict[str, tuple[float, ...]]  # of each setting; one: it is not tuned
    seeds: tuple[int, ...]
    best_of: str = ""  # the group whose best rates these settings take
    stacked: bool = False  # its runs train together

    def tuning(self, name: str, rates=None) -> list[RunConfig]:
        """The runs that choose a setting's rate."""
        if len(self.rates[name]) == 1:
            return []
        return [at(self.settings[name], rate) for rate in rates or self.rates[name]]

    def grown(self, name: str, store: Store) -> tuple[float, ...]:
        """A setting's rates, and those beyond an edge at which the best one was found."""
        rates = self.rates[name]
        for _ in range(MORE):
            losses = self._losses(name, rates, store)
            if len(losses) < len(rates) or len(rates) < 3:  # two rates have nothing but edges
                break
            best = min(losses, key=losses.get)
            if min(rates) < best < max(rates):
                break
            rates = tuple(sorted({*rates, best / 2 if best == min(rates) else best * 2}))
        return rates

    def best(self, name: str, store: Store) -> float | None:
        """The rate with the lowest loss; None while a run that chooses it is missing."""
        rates = self.grown(name, store)
        if len(self.rates[name]) == 1:
            return rates[0]
        losses = self._losses(name, rates, store)
        return min(losses, key=losses.get) if len(losses) == len(rates) else None

    def compared(self, name: str, rate: float) -> list[RunConfig]:
        return [at(self.settings[name], rate, seed) for seed in self.seeds]

    def name_of(self, run: RunConfig) -> str:
        """The setting of one of the group's runs."""
        return next(name for name, config in self.settings.items()
                    if at(config, run.optim.learning_rate, run.seed) == run)

    def size(self) -> list[RunConfig]:
        """As many runs as it takes if no grid grows, each at some rate: to plan with."""
        runs = []
        for name, config in self.settings.items():
            runs += [*self.tuning(name), *self.compared(name, config.optim.learning_rate)]
        return runs

    def _losses(self, name: str, rates, store: Store) -> dict[float, float]:
        """{rate: loss} of the tuning runs that are there; a diverged one is worse than any."""
        records = {rate: store.get(at(self.settings[name], rate)) for rate in rates}
        losses = {rate: r.final["validation_loss"] for rate, r in records.items() if r}
        return {rate: float("inf") if loss is None else loss for rate, loss in losses.items()}


@lru_cache(maxsize=4096)  # asked for after every run; to make a configuration takes time
def at(config: RunConfig, rate: float, seed: int | None = None) -> RunConfig:
    optim = replace(config.optim, learning_rate=rate)
    return replace(config, optim=optim, seed=config.seed if seed is None else seed)


def wanted(groups: list[Group], store: Store) -> list[tuple[Group, list[RunConfig]]]:
    """The runs that are missing and known: (group, runs) of each group, the next stage of each.

    A setting's comparison is known when its tuning is done, so this is asked anew after every run.
    """
    named = {group.name: group for group in groups}
    return [(group, runs) for group in groups if (runs := _missing(group, named, store))]


def _missing(group: Group, named, store: Store) -> list[RunConfig]:
    """All tuning first, then seed by seed: a slice that is cut off leaves what is balanced."""
    tuning, compared = [], []
    for name in group.settings:
        rates = group.grown(name, store)
        tuning += [run for run in group.tuning(name, rates) if store.get(run) is None]
        source = named.get(group.best_of, group)
        rate = source.best(name, store) if name in source.settings else None
        if rate is None and group.best_of:
            rate = group.rates[name][0]  # as predicted: the other group was cut off
        if rate is not None:
            compared += [(i, run) for i, run in enumerate(group.compared(name, rate))]
    if tuning:
        return tuning
    return [run for _, run in sorted(compared, key=lambda pair: pair[0]) if store.get(run) is None]


def runs_of(group, groups, known) -> list[RunConfig]:
    """Every run of a group that is known by now: its tuning, and at the best rates that are."""
    named = {g.name: g for g in groups}
    source = named.get(group.best_of, group)
    runs = []
    for name in group.settings:
        runs += group.tuning(name, group.grown(name, known))
        rate = source.best(name, known)
        rates = {rate, group.rates[name][0]} if group.best_of else {rate}
        runs += [run for r in rates if r is not None for run in group.compared(name, r)]
    return runs


def flops(config: RunConfig) -> float:
    """Of training a run: its tokens, times those of forward and backward."""
    return config.tokens * flops_per_token(config.model)


def parameters(tier: str):
    """What a tier says of the grid's size, by name."""
    return settings.parameters(tier_parameters(tier)[NOTEBOOK])


def make_groups(p) -> list[Group]:
    """The groups of a page's parameters, most valuable first. Raises UserError for bad values."""

    def base(width: int, steps: int = p.steps, warmup: int = p.warmup_steps) -> RunConfig:
        model = GPTConfig(n_layer=p.n_layer, n_head=max(1, width // p.head_size), width=width,
                          block_size=p.block_size, vocab_size=p.vocab_size)
        probes = ProbeConfig(min(12, 2 + steps // 4), p.windows, 8 * p.windows, sinks=p.windows,
                             norms=p.windows)
        return RunConfig(model, USUAL, OptimConfig(warmup=warmup / steps),
                         DataConfig(p.corpus, p.vocab_size), probes, steps, p.batch_size,
                         p.tuning_seed, p.precision).pinned()

    def group(name: str, question: str, run: RunConfig, rates: dict, seeds=p.seeds, **more):
        """Of settings named by an initialization and a change: 'gamma 1, bias'."""
        rates = {setting: tuple(p.rate_factor * r for r in each) for setting, each in rates.items()}
        settings = {setting: at(_setting(run, setting), each[0]) for setting, each in rates.items()}
        return Group(name, question, settings, rates, tuple(seeds), **more)

    one = p.width  # the width of most runs
    scaled = {w: max(20, round(p.steps * w**2 / one**2)) for w in p.narrow_widths}
    narrow = [
        group(f"G4 width {w}", "The same at fewer weights, with as many tokens for each of them",
              base(w, scaled[w], max(1, scaled[w] * p.warmup_steps // p.steps)), NARROW[i % 2],
              stacked=True)
        for i, w in enumerate(sorted(p.narrow_widths))
    ]
    critical = {f"gamma {g:g}": (CRITICAL_RATE,) for g in CRITICAL_GAMMAS}
    return [
        group("G1 gain", "Does a small initialization gain where 0.02 is none, tuned, and with "
              "the unigram bias?", base(one), GAIN),
        group("G1 hindrances", "What do the norm's epsilon and sinks cost?", base(one),
              HINDRANCES),
        group("G2", "And at twice the width?", base(p.wide_width), WIDE, p.seeds[:1]),
        group("G3", "And after six times the training?", base(one, p.long_steps), LONG, p.seeds[:1],
              best_of="G1 gain"),
        group("G4 critical", "Is there a critical initialization at one rate?", base(one),
              critical, p.seeds[:1]),
        *narrow,
    ]


def _setting(run: RunConfig, name: str) -> RunConfig:
    """'gamma 1, bias' -> the run with that initialization and that change of its model."""
    init = name.partition(",")[0]
    change = CHANGES[name.removeprefix(init)]
    scale = INITS.get(init) or InitConfig(gamma=float(init.removeprefix("gamma ")))
    return replace(run, init=scale, model=replace(run.model, **change))


# Rates at width 512, with 300 steps of warm-up.
SLOW, FAST = (1.25e-4, 2.5e-4, 5e-4), (5e-4, 1e-3, 2e-3)
BETWEEN = (2.5e-4, 5e-4, 1e-3)
GAIN = {
    "gamma 0.5": FAST, "std 0.02": BETWEEN, "gamma 1": SLOW,
    "gamma 0.5, bias": FAST, "std 0.02, bias": BETWEEN, "gamma 1, bias": BETWEEN,
}
HINDRANCES = {
    "gamma 1, eps 1e-12": SLOW, "gamma 0.8": SLOW,
    "gamma 0.5, gate": FAST, "gamma 1, gate": SLOW,
}
WIDE = {  # at width 1,024
    "gamma 0.5": (5e-4, 1e-3), "std 0.02": (2.5e-4, 5e-4), "gamma 1": (6.25e-5, 1.25e-4),
    "gamma 1, eps 1e-12": (6.25e-5, 1.25e-4), "gamma 0.5, all three": (5e-4, 1e-3),
    "gamma 1, all three": (1.25e-4, 2.5e-4),
}
LONG = {"gamma 0.5, bias": (1e-3,), "std 0.02, bias": (5e-4,), "gamma 1, bias": (5e-4,)}
CRITICAL_RATE, CRITICAL_GAMMAS = 1e-3, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
NARROW = (  # at widths 128 and 256, with fewer steps of warm-up
    {"gamma 0.5": (4e-3, 8e-3, 1.6e-2), "std 0.02": (5e-4, 1e-3, 2e-3),
     "gamma 1": (5e-4, 1e-3, 2e-3)},
    {"gamma 0.5": (1e-3, 2e-3, 4e-3), "std 0.02": (5e-4, 1e-3, 2e-3),
     "gamma 1": (2.5e-4, 5e-4, 1e-3)},
)
