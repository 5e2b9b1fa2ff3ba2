"""A Chromium for the tests of the site: the one that is there, else one that can be had.

`make test` runs this file first, so that a download happens once and in the open.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_GET_ONE = (
    "No Chromium for the tests of the site: install one (`apt-get install chromium`, or "
    "`.venv/bin/python -m playwright install --with-deps chromium`) or set $CHROMIUM to its path."
)
# Headless, as root in a container too, and silent: nothing of the browser's own asks the network.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class NoBrowser(RuntimeError):
    """Nothing found and nothing could be installed. Its text says how to get one."""


def find_or_install() -> str:
    """The path of a Chromium that starts. Raises NoBrowser with a line on how to get one."""
    for get in (on_this_machine, from_playwright, from_the_distribution):
        for path in get():
            if starts(path):
                return path
    raise NoBrowser(HOW_TO_GET_ONE)


def on_this_machine() -> list[str]:
    named = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else []
    return named + [path for name in NAMES if (path := shutil.which(name))]


def from_playwright() -> list[str]:
    """Playwright's own build, downloaded if it is not there yet. Needs the internet."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        run(sys.executable, "-m", "playwright", "install", "chromium")
    return [path]


def from_the_distribution() -> list[str]:
    """The distribution's package, where we may install one: only as root, only with apt-get."""
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    return on_this_machine()


def starts(path: str) -> bool:
    """Whether the program runs at all: a download can lack the libraries that it needs."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(*command: str) -> None:
    """Run an install step; if it fails, say so in a line: the next way to get one is tried."""
    print("No Chromium yet:", *command, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=600
        )
        trouble = result.stderr.strip().splitlines() if result.returncode else []
    except (OSError, subprocess.TimeoutExpired) as error:
        trouble = [str(error)]
    if trouble:
        print(f"  {trouble[0]}", flush=True)


if __name__ == "__main__":
    try:
        print("Browser for the tests:", find_or_install())
    except NoBrowser as error:
        sys.exit(str(error))
