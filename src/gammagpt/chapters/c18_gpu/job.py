"""What a slice does, in which order, and by when: check, measure, train; all that ends is kept.

In `out` are at most three files: records.bundle, with all the grid's records that are known;
slice.json, with plan, checks, speeds and seconds; compiled.bin, torch's cache of what it compiled.
Each is written whole or not at all, the bundle after every run: a slice that is cut off, by
whatever, loses what is in flight. The next one goes on from there.
"""

import json
import time
from pathlib import Path

import torch

from ...gpt.config import RunConfig
from ...gpt.device import can_compile, describe, pick_device, policy
from ...gpt.engine import BLOCKS
from ...gpt.records import Record, provenance
from ...lab.bundle import add, pack, read_bundle
from ...lab.store import Store
from ...lab.training import train_stack
from ...project import UserError, results_folder, root, writable, write
from .checks import run_checks
from .clock import Clock
from .grid import flops, make_groups, parameters, runs_of, wanted
from .plan import plan_in_words
from .speed import measure, measurements

BUNDLE, REPORT, COMPILED = "records.bundle", "slice.json", "compiled.bin"
LARGEST = 16 * 2**20  # bytes of a file that comes back from a lent machine
CHECKS, SPEEDS = 40, 60  # seconds at most, and shares of the budget at most:
SHARES = (1 / 15, 1 / 10)
FOR_A_PEER = 30  # seconds more; it compiles all of its layers
PREDICTIONS = "predictions/gpu.yml"


class Known:
    """The records of the grid, in memory and in their store."""

    def __init__(self, store: Store):
        self.store = store
        self.records: dict[str, Record] = {record.key: record for record in store}

    def get(self, config: RunConfig) -> Record | None:
        return self.records.get(config.key)

    def put(self, record: Record) -> None:
        self.store.put(record)
        self.records[record.key] = record


class Slice:
    """One call of the command, with its plan, its clock and its three files."""

    def __init__(
        self, tier: str, budget: float, out: Path, earlier=None, peer=None, say=print, spent=0.0
    ):
        """`earlier`: a folder with what slices before have left. Raises UserError if unreadable."""
        self.device = pick_device()
        self.clock = Clock(budget, self.device, spent)
        self.budget, self.out, self.peer, self.say = budget, out, peer, say
        self.rehearsal, self.eager = tier == "smoke", False
        self.groups = make_groups(parameters(tier))
        self.known = Known(Store(results_folder(tier)))
        self.rules = {"gpu": predictions_hash()}
        self.report = {"machine": _machine(self.device), "budget": budget, "checks": {},
                       "speeds": {}, "runs": [], "failed": {}, "seconds": 0.0}
        out.mkdir(parents=True, exist_ok=True)
        for folder in dict.fromkeys(filter(None, (out, earlier))):
            self._take_over(folder)

    def run(self) -> dict:
        """All of it. Returns the report."""
        self.say(plan_in_words(self.groups, self.known))
        self._save()
        self.say(f"checks, on {self.report['machine']['device']}:")
        checks = min(CHECKS, SHARES[0] * self.budget)
        self.report["checks"] = run_checks(checks, self.say)
        self._save()
        self.say("speeds:")
        self._measure(min(SPEEDS, SHARES[1] * self.budget) + FOR_A_PEER * bool(self.peer))
        self._save()
        self._train()
        self._save_compiled()
        self._save()
        self.say(self._summary())
        return self.report

    def _measure(self, limit: float) -> None:
        items = measurements(self.groups, self.rehearsal, self.peer)
        known = self.report["speeds"]
        self.report["speeds"] = measure(items, known, limit, self.say)
        for item in items:
            if item.name.startswith("width") and item.name in self.report["speeds"]:
                shape = item.shape.model.width, item.shape.batch_size, False
                speed = self.report["speeds"][item.name]
                self.clock.speeds[shape] = speed["flops_per_second"]

    def _train(self) -> None:
        """The most valuable job that still fits, until none does."""
        first = True
        while job := self._next():
            group, runs = job
            began = time.monotonic()
            records = self._records(runs)
            seconds = time.monotonic() - began
            if records:
                self.clock.learn(runs, seconds)
            for record in records:
                self.known.put(record)
            self._note(group, runs, records, seconds)
            self._save()
            if first:  # most of what is to be compiled is; a slice may be cut off later
                self._save_compiled()
                first = False

    def _next(self):
        """(group, runs) to train together, or None."""
        for group, runs in wanted(self.groups, self.known):
            runs = [run for run in runs if run.key not in self.report["failed"]]
            for job in ([runs] if group.stacked else [[run] for run in runs]):
                if job and self.clock.allows(job):
                    return group, job
        return None

    def _records(self, runs: list[RunConfig]) -> list[Record]:
        """Of a job; if it fails compiled, all go on without; if it fails so too, it is left out."""
        for way in (BLOCKS, False) if self._compiles() and len(runs) == 1 else (False,):
            try:
                return train_stack(runs, compiled=way, rules=self.rules)
            except Exception as error:  # out of memory, or no compiler
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                self.say(f"  failed{', compiled' * bool(way)}: {reason}")
            self.eager |= bool(way)
        self.report["failed"] |= {run.key: reason for run in runs}
        return []

    def _compiles(self) -> bool:
        if self.eager or self.device.type != "cuda":  # a CPU would compile for too long
            return False
        return policy(self.device).compile and can_compile(self.device)

    def _note(self, group, runs, records, seconds: float) -> None:
        """What a job took, in the report and on the screen."""
        work = sum(map(flops, runs))
        entry = {"group": group.name, "keys": [run.key for run in runs], "flops": work,
                 "seconds": round(seconds, 2)}
        self.report["runs"].append(entry)
        losses = [record.final["validation_loss"] for record in records]
        words = ", ".join("diverged" if loss is None else f"{loss:.4f}" for loss in losses[:3])
        one = f"{group.name_of(runs[0])}, lr {runs[0].optim.learning_rate:g}, seed {runs[0].seed}"
        what = one if len(runs) == 1 else f"{len(runs)} runs as one stack"
        self.say(f"  {self.clock.spent:5.0f} s {group.name}, {what}: {words or 'no record'} "
                 f"({seconds:.1f} s, {work / seconds / 1e12:.3g} TFLOP/s)")

    # ---- files ---------------------------------------------------------------------------------

    def _take_over(self, folder: Path) -> None:
        """Records, speeds of the same card, and what was compiled, from an earlier slice."""
        for bundle in sorted(folder.glob("*.bundle")):
            add(read_bundle(bundle), self.known.store)
        self.known = Known(self.known.store)
        report = _read(folder / REPORT)
        if report.get("machine", {}).get("device") == self.report["machine"]["device"]:
            self.report["speeds"] = report.get("speeds", {})
            self.report["runs"] = report.get("runs", [])
        if (folder / COMPILED).exists() and self.device.type == "cuda":
            self._quietly(lambda: torch.compiler.load_cache_artifacts(
                (folder / COMPILED).read_bytes()))

    def _save(self) -> None:
        self.report["seconds"] = round(self.clock.spent, 1)
        keys = {run.key for group in self.groups for run in self._all(group)}
        pack([r for k, r in self.known.records.items() if k in keys], self.out / BUNDLE)
        report = json.dumps(self.report, indent=1, allow_nan=False)
        write("--out", self.out / REPORT, report.encode())

    def _all(self, group) -> list[RunConfig]:
        """Every run of a group whose rate is known."""
        return runs_of(group, self.groups, self.known)

    def _save_compiled(self) -> None:
        """torch's cache, if it has one and it fits."""
        if not self._compiles():
            return
        cache = self._quietly(torch.compiler.save_cache_artifacts)
        if cache and len(cache[0]) <= LARGEST:
            write("--out", self.out / COMPILED, cache[0])
        elif cache:
            self.say(f"  what was compiled is {len(cache[0]) / 2**20:.0f} MiB: not kept")

    def _quietly(self, function):
        """What it returns: the cache is a convenience, and no reason to end a slice."""
        try:
            return function()
        except Exception as error:
            self.say(f"  torch's cache: {type(error).__name__}: {str(error).splitlines()[:1]}")
            return None

    def _summary(self) -> str:
        left = sum(len(runs) for _, runs in wanted(self.groups, self.known))
        wrong = [n for n, c in self.report["checks"].items() if c and not c["right"]]
        words = f"{self.clock.spent:.0f} s of {self.budget:.0f}; {len(self.known.records)} records"
        words += f", at least {left} runs missing" if left else ", the grid is complete"
        return words + (f"; WRONG: {', '.join(wrong)}" if wrong else "")


def run_slice(
    tier: str, budget: float, out: str, earlier=None, peer=None, say=print, spent=0.0
) -> dict:
    """A slice of `budget` seconds, of which some are `spent`; see Slice. Returns its report.

    Raises UserError for folders that cannot be used.
    """
    if earlier and not Path(earlier).is_dir():
        raise UserError(f"--from: got {earlier!r}, allowed is a folder that an earlier slice left")
    writable("--out", folder := Path(out))
    return Slice(tier, budget, folder, Path(earlier) if earlier else None, peer, say, spent).run()


def predictions_hash() -> str:
    """Of the file with the predictions: every record carries it, so their order is on record."""
    import hashlib

    path = root() / PREDICTIONS
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.exists() else "none"


def _machine(device) -> dict:
    origin = provenance(describe(device), 0, None)
    return {name: origin[name] for name in ("device", "torch", "commit", "source", "date")}


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
