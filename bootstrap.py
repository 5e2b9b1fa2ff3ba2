"""Makes a hosted notebook (Colab, Kaggle) ready: installs what it lacks, changes nothing it has.

The first cell of every notebook clones the repository and runs this file. A host's torch fits its
GPU, and its numpy fits its torch, so pip is bound to every version that is there.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distributions
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAVY = ("torch", "numpy")  # what a host brings itself


def main() -> int:
    """Install the project without its dependencies, after those that are light and missing."""
    there = {_plain(d.name): d.version for d in distributions() if d.name}
    if lacking := [name for name in HEAVY if name not in there]:
        print(f"error: this machine has no {' and no '.join(lacking)}: use `make setup`")
        return 2
    missing = [text for text in needed() if _plain(text) not in there]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as kept:
        kept.write("".join(f"{name}=={version}\n" for name, version in there.items()))
        kept.flush()
        if missing:
            _pip("-c", kept.name, *missing)
    _pip("--no-deps", "-e", str(HERE))
    return 0


def needed() -> list[str]:
    """What a notebook imports, as pyproject.toml says it: the package, its data, and matplotlib."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    drawing = [text for text in extras["book"] if _plain(text) == "matplotlib"]
    return project["dependencies"] + extras["data"] + drawing


def _plain(requirement: str) -> str:
    """The name of a package, as pip compares names: "PyYAML>=6.0" is pyyaml."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def _pip(*arguments: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
