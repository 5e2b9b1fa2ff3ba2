"""How long whole commands take here, from a fresh clone on: prints a table, writes times.json.

    .venv/bin/python benchmarks/times.py          # 40 minutes: it installs and trains

Times depend on the machine and on what else it does; compare ratios, and only within one run.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 7

# {what: command}, in this order: the first one finds nothing installed. No budget: runs that
# nobody has made yet would be trained on the way.
COMMANDS = {
    "make book": "make book BUDGET=0",
    "make book, once installed": "make book BUDGET=0",
    "make smoke": "make smoke",
    "make test": "make test",
    "train": ".venv/bin/python -m gammagpt train --gamma 0.8",
}
# What `make book FRESH=1` does some two hundred times, one run a core at a time.
RUNS = """
import sys, gammagpt as gg
if __name__ == "__main__":
    configs = [gg.RunConfig(seed=seed) for seed in range(int(sys.argv[1]))]
    gg.sweep(configs, gg.Store("records-of-" + sys.argv[1]))
"""
LIMITS = {"make book": 480, "make smoke": 180, "make test": 1200, "import gammagpt": 0.3}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "gammagpt"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        seconds = {what: measure(what, command, clone) for what, command in COMMANDS.items()}
        seconds |= runs(clone)
        seconds |= imports(clone / ".venv" / "bin" / "python")
    report = {"machine": machine(), **{what: round(s, 2) for what, s in seconds.items()}}
    (ROOT / "benchmarks" / "times.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["machine"]))
    for what, value in seconds.items():
        limit = f"limit {LIMITS[what]:g} s" if what in LIMITS else ""
        print(f"{what:30} {value:9.2f} s  {limit}")
    ratio = seconds["import torch, gammagpt"] / seconds["import torch"]
    print(f"importing gammagpt too takes {ratio:.2f} times as long as importing torch alone")


def measure(what: str, command: str, clone: Path) -> float:
    """The seconds that a command takes in the clone. Stops everything if the command fails."""
    print(f"{what}: {command} ...", file=sys.stderr, flush=True)
    start = time.perf_counter()
    subprocess.run(command.split(), cwd=clone, env=bare(), check=True, stdout=sys.stderr)
    return time.perf_counter() - start


def runs(clone: Path) -> dict[str, float]:
    """Four runs and eight: the difference is what a run costs once the processes have started."""
    (clone / "runs.py").write_text(RUNS)  # a file, because worker processes import it again
    four, eight = (measure(f"{n} runs", f".venv/bin/python runs.py {n}", clone) for n in (4, 8))
    return {"four runs": four, "eight runs": eight}


def imports(python: Path) -> dict[str, float]:
    """What `import gammagpt` costs on top of `import torch`: medians, the two taken in turns."""
    taken: dict[str, list[float]] = {"import torch": [], "import torch, gammagpt": []}
    for _ in range(REPEATS):
        for statement, seconds in taken.items():
            start = time.perf_counter()
            subprocess.run([python, "-c", statement], check=True, env=bare())
            seconds.append(time.perf_counter() - start)
    medians = {statement: statistics.median(seconds) for statement, seconds in taken.items()}
    added = medians["import torch, gammagpt"] - medians["import torch"]
    return {**medians, "import gammagpt": added}


def machine() -> dict:
    commit = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": subprocess.run(commit, capture_output=True, text=True).stdout.strip(),
    }


def bare() -> dict[str, str]:
    """The environment without what points into this checkout."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("GAMMAGPT_", "VIRTUAL_ENV"))}


if __name__ == "__main__":
    main()
