"""One shape, trained in several ways that take turns, and what each makes of the machine.

A first look at every setting of a way (precision, compiled or not, size of the stack) chooses one;
those chosen are then timed anew, A B A B, so that no number is the best of many, and what else the
machine does strikes all alike.
"""

import statistics
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace

import torch

from ..gpt.size import flops_per_token
from .nanogpt import NAME
from .workers import Contestant, Failed, Setting, Shape

STACKS = {"cpu": (4, 8, 24), "cuda": (16, 64)}  # members that are tried, up to this width:
STACKED_UP_TO = 200

# The ways to train; each speed is that of all runs together.
ONE, STACK, RUNS, STACKS_EACH = "one run", "a stack", "a run on each core", "a stack on each core"
MANY = (STACK, RUNS, STACKS_EACH)
RATIOS = [*((w, ONE) for w in MANY), (STACK, RUNS), (STACKS_EACH, RUNS), (ONE, NAME)]


@dataclass(frozen=True)
class Effort:
    """How long to measure: the seconds of a burst, and how often all take turns."""

    seconds: float
    rounds: int


FULL, QUICK = Effort(2.0, 5), Effort(0.3, 3)


class Comparison:
    """One shape: a first look at every setting, and turns of the fastest one of each way."""

    def __init__(self, name: str, shape: Shape, report: dict, effort: Effort, peer: str | None):
        self.name, self.shape, self.effort, self.peer = name, shape, effort, peer
        self.machine, self.ceilings = report["machine"], report["ceilings"]
        self.looks: dict[str, dict[Setting, float]] = {}
        self.failed: dict[str, str] = {}
        self._on_cpu = self.machine["device"].startswith("cpu")

    def run(self) -> dict:
        """The part of the report on this shape."""
        settings = self.finalists()
        speeds = self.rounds(settings)
        return {
            "shape": str(self.shape),
            "commit": self.machine["commit"],
            "date": self.machine["date"],
            "ceilings": self.ceilings,
            "model": asdict(self.shape.model),
            "batch_size": self.shape.batch_size,
            "flops_per_token": flops_per_token(self.shape.model),
            "ways": {way: self._way(settings[way], found) for way, found in speeds.items()},
            "ratios": _ratios(speeds),
            "first looks, tokens/s": {
                way: {str(setting): round(speed) for setting, speed in found.items()}
                for way, found in self.looks.items()
            },
            "failed": self.failed,
        }

    def finalists(self) -> dict[str, Setting]:
        """The fastest setting found of each way; a way that failed is left out."""
        kinds, cores = self._kinds(), self.machine["cores"]
        one = self._look(ONE, kinds)
        stack = self._look_at_stacks(one) if one else None
        found = {ONE: one, STACK: stack}
        if self._on_cpu and cores > 1:
            found[RUNS] = one and replace(one, processes=cores)
            found[STACKS_EACH] = stack and replace(stack, processes=cores)
        if self.peer and self.shape.model.kind == "gpt":
            found[NAME] = self._look(NAME, [replace(kind, peer=self.peer) for kind in kinds])
        return {way: setting for way, setting in found.items() if setting}

    def _look_at_stacks(self, one: Setting) -> Setting | None:
        """In the precision of one run; compiled only at the best size, for that takes long."""
        if self.shape.model.width > STACKED_UP_TO:
            return None
        sizes = STACKS["cpu" if self._on_cpu else "cuda"]
        larger = [replace(one, compiled=False, members=m) for m in sizes]
        stack = self._look(STACK, larger, until_slower=True)
        if stack and self.machine["compiler"]:
            return self._look(STACK, [replace(stack, compiled=True)])
        return stack

    def _kinds(self) -> list[Setting]:
        """Every precision that is worth it here, compiled and not."""
        precisions = dict.fromkeys(("float32", self.machine["fast"]))
        compiled = (False, True) if self.machine["compiler"] else (False,)
        return [Setting(p, c) for p in precisions for c in compiled]

    def _look(self, way: str, settings, until_slower=False) -> Setting | None:
        """Time each setting shortly, one after another; the fastest one of this way so far.

        `until_slower`: past the best size of a stack, a larger one would only take longer to try.
        """
        speeds = self.looks.setdefault(way, {})
        for setting in settings:
            say(f"{self.name}: first look, {way}, {setting}")
            with self._noting(way, setting), closing(self._ready(setting)) as contestant:
                speeds[setting] = max(contestant.burst(self.effort.seconds) for _ in range(2))
            if until_slower and speeds.get(setting, 0) < max(speeds.values(), default=0):
                break
        return max(speeds, key=speeds.get, default=None)

    def rounds(self, settings: dict[str, Setting]) -> dict[str, list[float]]:
        """The speeds of each way, round by round; all are ready, and take turns."""
        ready, speeds = {}, {}
        with ExitStack() as stack:
            for way, setting in settings.items():
                say(f"{self.name}: making ready, {way}, {setting}")
                with self._noting(way, setting):
                    ready[way] = stack.enter_context(closing(self._ready(setting)))
            for number in range(self.effort.rounds):
                for way in ready:
                    say(f"{self.name}: round {number + 1} of {self.effort.rounds}, {way}")
                    with self._noting(way, settings[way]):
                        speeds.setdefault(way, []).append(ready[way].burst(self.effort.seconds))
        return {way: found for way, found in speeds.items() if len(found) == self.effort.rounds}

    def _way(self, setting: Setting, speeds: list[float]) -> dict:
        """A line of the report. The share is of our model's count, so the peer has none."""
        spread = _spread(speeds, 0)
        content = {"setting": str(setting), "tokens_per_second": spread}
        content |= {"members": setting.members, "processes": setting.processes}
        if not setting.peer:
            flops = spread["median"] * flops_per_token(self.shape.model)
            share = flops / self.ceilings[setting.precision] / 1e9
            content["share_of_ceiling"] = float(f"{share:.3g}")
        return content

    def _ready(self, setting: Setting) -> Contestant:
        return Contestant(setting, self.shape, torch.get_num_threads())

    @contextmanager
    def _noting(self, way: str, setting: Setting):
        """A setting that fails (too large for the memory, say) does not end the others."""
        try:
            yield
        except Failed as error:
            self.failed[f"{way}, {setting}"] = str(error)


def _ratios(speeds: dict[str, list[float]]) -> dict[str, dict]:
    """Speed over speed, of the same round each; of the pairs of which both were timed."""
    return {
        f"{a} / {b}": _spread([x / y for x, y in zip(speeds[a], speeds[b], strict=True)])
        for a, b in RATIOS
        if a in speeds and b in speeds
    }


def _spread(values: list[float], digits: int = 3) -> dict[str, float]:
    spread = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: round(value, digits) for name, value in spread.items()}


def say(text: str) -> None:
    """The one line of progress, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
