"""What each notebook asks of a machine: memory, disk and seconds, and that it needs no network.

    python benchmarks/needs.py            writes benchmarks/needs.json

What was measured keeps its numbers: delete the file, or a part of it, to measure anew.

Each notebook runs by itself, twice: at tier smoke, which trains from nothing, and as the page that
is published, from the records that are there (nothing is trained). Where the system lets us, both
run without any network but the machine's own. Memory is the most that the kernel and its processes
held together, shared pages counted once (PSS); a class on a hub needs that for each student.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from gammagpt.project import PAGES, root

WAYS = {PAGES: {"GAMMAGPT_BUDGET": "0"}, "smoke": {}}  # tier -> what its processes are told
ALONE = ["unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "-"]
EVERY = 0.2  # seconds between two looks


def main() -> None:
    alone = ALONE if _works([*ALONE, "true"]) else []
    path, names = root() / "benchmarks" / "needs.json", (root() / "notebooks").glob("*.ipynb")
    report = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "network": not alone}
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"notebooks": {}}
    found = {name.stem: earlier["notebooks"].get(name.stem, {}) for name in sorted(names)}
    report["notebooks"] = found
    for tier in WAYS:
        for name in [name for name in found if tier not in found[name]]:
            found[name][tier] = measure(name, tier, alone)
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            print(name, tier, found[name][tier], flush=True)


def measure(name: str, tier: str, alone: list[str]) -> dict:
    """Megabytes of memory, kilobytes that were written as records, and seconds, of one notebook."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"GAMMAGPT_BUILD": f"{folder}/build"} | WAYS[tier]
        if tier == "smoke":
            places["GAMMAGPT_RESULTS"] = f"{folder}/results"
        build = [sys.executable, str(root() / "book" / "build.py"), "--tier", tier, "--only-run"]
        start, most = time.perf_counter(), 0.0
        process = subprocess.Popen([*alone, *build, name], env=os.environ | places,
                                   stdout=subprocess.DEVNULL)
        while process.poll() is None:
            most = max(most, _held(process.pid))
            time.sleep(EVERY)
        if process.returncode:
            raise SystemExit(f"{name} failed at tier {tier}")
        records = list(Path(folder, "results").rglob("*.json"))
        return {"memory_mb": round(most / 1e6), "seconds": round(time.perf_counter() - start),
                "records_kb": round(sum(r.stat().st_size for r in records) / 1e3)}


def _held(pid: int) -> float:
    """Bytes that the kernels below a process hold, with all that they have started."""
    try:
        below = psutil.Process(pid).children(recursive=True)
        kernels = [p for p in below if any("ipykernel" in word for word in p.cmdline())]
        family = {p for kernel in kernels for p in [kernel, *kernel.children(recursive=True)]}
    except psutil.Error:
        return 0.0
    return sum(map(_share, family))


def _share(process) -> float:
    try:
        return process.memory_full_info().pss
    except psutil.Error:  # it has just ended
        return 0.0


def _works(command: list[str]) -> bool:
    there = shutil.which(command[0])
    return bool(there) and subprocess.run(command, capture_output=True).returncode == 0


if __name__ == "__main__":
    main()
