"""Compares two ledgers, as `python -m gammagpt claims --json` prints them.

    python book/changes.py before.json now.json    exit code 1: a verdict is another
"""

import json
import sys
from pathlib import Path

from gammagpt.project import UserError


def main(arguments: list[str]) -> int:
    """Print the changes as Markdown. Returns 1 if a claim of before has another verdict, another
    rule or is gone, 0 if not, 2 for bad input."""
    try:
        if len(arguments) != 2:
            raise UserError(f"files: got {len(arguments)}, allowed are two: before and now")
        before, now = (load(Path(name)) for name in arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = changes(before, now)
    print("\n".join(found.values()) or "No verdict has changed.")
    return 1 if found.keys() & before.keys() else 0


def load(path: Path) -> dict[str, dict]:
    """`{id: entry}` of a file. Raises UserError if it is not what `claims --json` prints."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {entry["id"]: {n: entry[n] for n in ("verdict", "rule_hash")} for entry in entries}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path}: allowed is the output of `gammagpt claims --json`") from None


def changes(before: dict, now: dict) -> dict[str, str]:
    """`{id: a line}` for each claim that is new, is gone, or has another verdict or rule."""
    lines = {}
    for name in dict.fromkeys([*before, *now]):
        if name not in before:
            lines[name] = f"- `{name}` is new: {now[name]['verdict']}"
        elif name not in now:
            lines[name] = f"- `{name}` is gone; it was {before[name]['verdict']}"
        elif before[name] != now[name]:
            other = before[name]["rule_hash"] != now[name]["rule_hash"]
            verdicts = f"{before[name]['verdict']} -> {now[name]['verdict']}"
            lines[name] = f"- `{name}`: {verdicts}{', by another rule' if other else ''}"
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
