"""Malformed input of every kind, seeded: one clear line each, no traceback, no unknown name taken.

A fast part is a test; all of it, as the note reports it:  python tests/test_fuzz.py 1000
"""

import contextlib
import io
import json
import random
import string
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
import yaml
from helpers import made_up_record

from gammagpt import RunConfig, Store, UserError, parameters, project
from gammagpt.cli import main
from gammagpt.ledger.claims import load_ledger
from gammagpt.registry.studies import homes, studies

VALUES = (None, True, -1, 0, 3, 10**30, 0.5, -2.5, float("nan"), float("inf"), 1e-320, "", "x",
          "false", "[1, 2]", "[", "é\n", "\0", "-" * 300, [], [0.5], [[]], {}, {"a": 1}, "1e3",
          "~nobody-of-this-name/x", "../..", "a+b", "gamma 0.8")  # fmt: skip
VERBS = ("train", "audit", "sweep", "records", "data", "claims", "bench", "gpu", "doctor")


class Silent(Exception):
    """A name that means nothing was taken."""


def one_line(call) -> bool:
    """Whether a call was refused, by one line each problem; anything but UserError goes on."""
    try:
        call()
    except UserError as error:
        assert str(error).strip(), "a refusal without words"
        assert "Traceback" not in str(error)
        return True
    return False


def misspelt(name: str, rng, known) -> str:
    while name in known:
        place = rng.randrange(len(name) + 1)
        name = name[:place] + rng.choice(string.ascii_lowercase) + name[place + rng.randrange(2) :]
    return name


def of_a_run(rng, _) -> None:
    """A field of a configuration: another value, or another name."""
    mapping = RunConfig().to_dict()
    part = rng.choice([None, "model", "init", "optim", "data", "probes"])
    target = mapping[part] if part else mapping
    name = rng.choice(list(target))
    if rng.random() < 0.4:
        target[misspelt(name, rng, target)] = rng.choice(VALUES)
        if not one_line(lambda: RunConfig.from_dict(mapping)):
            raise Silent(mapping)
        return
    target[name] = rng.choice(VALUES)
    one_line(lambda: RunConfig.from_dict(mapping).init.label)


def of_papermill(rng, _) -> None:
    """A parameter of a notebook, as papermill passes it."""
    name, cell = rng.choice(list(project.tier_parameters("smoke").items()))
    key = rng.choice(list(cell))
    unknown = rng.random() < 0.4
    given = {misspelt(key, rng, cell) if unknown else key: rng.choice(VALUES)}
    source = "".join(f"{n} = {v!r}\n" for n, v in cell.items())
    told = "# Parameters\n" + "".join(f"{n} = {v!r}\n" for n, v in given.items())
    plain = all(isinstance(v, str | int | float | list | dict | None) for v in given.values())
    names = {"In": ["", source, told if plain else ""]} | cell | given

    def planned():
        chosen = vars(parameters(names))
        project.check_tier(chosen.pop("tier"))
        if name in homes().values():
            studies(name, "smoke", **chosen)

    refused = one_line(planned)
    if unknown and not refused and "nan" not in told and "inf" not in told:
        raise Silent(given)


def of_the_command_line(rng, folder) -> None:
    """A verb with an argument that means nothing, or a value that does not fit."""
    words = [rng.choice(VERBS)]
    flags = ["--gamma", "--text", "--set", "--store", "--tier", "--budget", "--workers", "--only",
             "--against", "--bundle", "--corpus", "--vocab-size"]  # fmt: skip
    unknown = rng.random() < 0.5
    flag = misspelt(rng.choice(flags), rng, flags) if unknown else rng.choice(flags)
    value = str(rng.choice(VALUES)).replace("\0", "")
    words += [flag, f"model.widht={value}" if flag == "--set" else value]
    if words[0] not in ("audit", "claims") or not unknown:
        words += ["--no-such-argument"]  # so that nothing is trained, whatever the rest says
    out = io.StringIO()
    with contextlib.redirect_stderr(out), contextlib.redirect_stdout(out):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code
    if code != 2:
        raise Silent(words)
    assert out.getvalue().startswith("error: ") and "Traceback" not in out.getvalue()


def of_the_ledger(rng, folder) -> None:
    """A file of claims, with an entry changed, renamed or gone, or with a torn text."""
    path = rng.choice(sorted((project.root() / "claims").glob("*.yml")))
    text = path.read_text(encoding="utf-8")
    if rng.random() < 0.4:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(["", ":", "[", "\t", "\0", "- ", "{"]) + text[at + 9 :]
        (folder / path.name).write_text(text)
        one_line(lambda: load_ledger(folder / path.name))
        return
    content = yaml.safe_load(text)
    claim = rng.choice(list(content["claims"].values()))
    name, unknown = rng.choice(list(claim)), rng.random() < 0.5
    if unknown:
        claim[misspelt(name, rng, {*claim, "block"})] = rng.choice(VALUES)
    else:
        claim[name] = rng.choice(VALUES)
    (folder / path.name).write_text(yaml.safe_dump(content, allow_unicode=True))
    if not one_line(lambda: load_ledger(folder / path.name)) and unknown:
        raise Silent(claim)


def of_a_record(rng, folder) -> None:
    """A record with bytes changed, cut or added: it is passed over, and no other is harmed."""
    store = Store(folder / f"{rng.random()}")
    data = {"fingerprint": "0"}
    good, bad = (RunConfig.from_dict({"seed": seed, "data": data}) for seed in (1, 2))
    for config in (good, bad):
        store.put(made_up_record(config, 5.0))
    content = bytearray(store.path(bad.key).read_bytes())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content))
        content[at : at + rng.randrange(9)] = rng.randbytes(rng.randrange(9))
    changed = bytes(content) != store.path(bad.key).read_bytes()
    store.path(bad.key).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [record.key for record in store] == [good.key] or not changed
        if changed and store.get(bad) is not None:
            raise Silent(content)


KINDS = (of_a_run, of_papermill, of_the_command_line, of_the_ledger, of_a_record)


def fuzz(kind, count: int, folder: Path, seed: int = 0) -> None:
    rng = random.Random(f"{kind.__name__} {seed}")
    for _ in range(count):
        kind(rng, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_malformed_input_is_refused_by_one_line_and_no_unknown_name_is_taken(kind, tmp_path):
    fuzz(kind, 40, tmp_path)


def report(count: int) -> dict:
    """{kind: [what went wrong]} of `count` inputs in all."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            rng, wrong = random.Random(f"{kind.__name__} 0"), []
            for _ in range(count // len(KINDS)):
                try:
                    kind(rng, Path(folder))
                except Exception as error:
                    wrong.append(f"{type(error).__name__}: {str(error)[:200]}")
            found[kind.__name__] = {"inputs": count // len(KINDS), "wrong": wrong}
    return found


if __name__ == "__main__":
    print(json.dumps(report(int(sys.argv[1])), indent=1))
