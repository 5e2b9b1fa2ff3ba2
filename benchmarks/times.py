"""How long whole commands take here, in a fresh clone: prints a table, writes times.json.

    .venv/bin/python benchmarks/times.py                 # all: 40 minutes, it installs and trains
    .venv/bin/python benchmarks/times.py "make test"     # the named ones; the others stay

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
REPORT = ROOT / "benchmarks" / "times.json"
REPEATS = 7

# {what: command}, in this order. No budget: runs that nobody has made yet would be trained.
COMMANDS = {
    "make book": "make book BUDGET=0",
    "make smoke": "make smoke",
    "make test": "make test",
    "train": ".venv/bin/python -m gammagpt train --gamma 0.8",
}
LIMITS = {"make book": 480, "make smoke": 180, "make test": 1200, "import gammagpt": 0.3}


def main(names: list[str]) -> None:
    known = [*COMMANDS, "imports"]
    if unknown := [name for name in names if name not in known]:
        print(f"times: got {unknown[0]!r}, allowed are {', '.join(known)}", file=sys.stderr)
        sys.exit(2)
    at = commit()
    with tempfile.TemporaryDirectory() as folder:
        seconds = take(names or known, Path(folder) / "gammagpt")
    earlier = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
    fresh = {what: {"seconds": round(s, 2), "commit": at} for what, s in seconds.items()}
    report = earlier | {"machine": machine()} | fresh
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    for what, value in seconds.items():
        limit = f"limit {LIMITS[what]:g} s" if what in LIMITS else ""
        print(f"{what:30} {value:9.2f} s  {limit}")


def take(names: list[str], clone: Path) -> dict[str, float]:
    """{what: seconds} in a clone that is made and installed first."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    seconds = {"make setup": measure("make setup", "make setup", clone)}
    seconds |= {name: measure(name, COMMANDS[name], clone) for name in names if name in COMMANDS}
    return seconds | (imports(clone / ".venv" / "bin" / "python") if "imports" in names else {})


def measure(what: str, command: str, clone: Path) -> float:
    """The seconds that a command takes in the clone. Stops everything if the command fails."""
    print(f"{what}: {command} ...", file=sys.stderr, flush=True)
    start = time.perf_counter()
    subprocess.run(command.split(), cwd=clone, env=bare(), check=True, stdout=sys.stderr)
    return time.perf_counter() - start


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
    system = f"{platform.system()} {platform.machine()}"
    return {"cores": os.cpu_count(), "system": system, "python": platform.python_version()}


def commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def bare() -> dict[str, str]:
    """The environment without what points into this checkout."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("GAMMAGPT_", "VIRTUAL_ENV"))}


if __name__ == "__main__":
    main(sys.argv[1:])
