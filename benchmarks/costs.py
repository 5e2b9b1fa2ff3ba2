"""What each kind of run costs here: prints it, writes costs.json, from which tables are made.

    .venv/bin/python benchmarks/costs.py        # a quarter of an hour on an idle machine

A kind that was measured keeps its time; delete costs.json, or a line of it, to measure anew.
"""

import json

from times import ROOT, commit, machine

from gammagpt.registry.costs import kind, measure, needed

REPORT = ROOT / "benchmarks" / "costs.json"
TIERS = ("laptop", "night")


def main() -> None:
    report = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {"seconds": {}}
    runs = {run.key: run for tier in TIERS for run in sum(needed(tier).values(), [])}
    kinds: dict[str, list] = {}
    for run in runs.values():
        kinds.setdefault(kind(run), []).append(run)
    for name, runs in kinds.items():
        if name not in report["seconds"]:
            report["seconds"][name] = round(measure(runs), 2)
            report |= {"machine": machine(), "commit": commit()}
            REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"{report['seconds'][name]:8.2f} s  {name}", flush=True)


if __name__ == "__main__":
    main()
