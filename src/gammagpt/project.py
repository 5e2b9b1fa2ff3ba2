"""Where the project's files are, what a tier says, and the one error that users meet."""

import ast
import json
import math
import os
import re
import tempfile
from functools import cache
from numbers import Integral
from pathlib import Path

TIERS = ("smoke", "laptop", "night", "gpu")
SAME_MACHINE = {"night": "laptop"}  # what a night of a laptop trains includes what two hours do
PAGES = "night"  # the tier that the published pages show: the values in the notebooks' own cells


VARIABLES = ("ROOT", "CACHE", "RESULTS", "BUILD", "BUDGET", "COMMIT", "REPOSITORY", "SITE",
             "TEST_CUDA")  # fmt: skip


class UserError(ValueError):
    """Bad input. Its text is one line that names the thing, the value and what is allowed."""


def require(ok: bool, name: str, value, allowed: str) -> None:
    """Raise UserError "name: got value, allowed ..." unless `ok`."""
    if not ok:
        raise UserError(f"{name}: got {value!r}, allowed {allowed}")


def require_least(least: int, part, names, prefix: str = "", most: float = math.inf) -> None:
    """`require` that fields of a configuration are at least so large, and at most `most`."""
    allowed = f"is {least} to {most}" if most < math.inf else f"is {least} or more"
    for name in names:
        value = getattr(part, name)
        require(least <= value <= most, f"{prefix}{name}", value, allowed)


def require_one_of(names, name: str, value) -> None:
    require(value in names, name, value, f"are {', '.join(names)}")


def setting(name: str) -> str:
    """$GAMMAGPT_<name>, or "". A variable of that prefix which means nothing is refused."""
    names = [n.removeprefix("GAMMAGPT_") for n in os.environ if n.startswith("GAMMAGPT_")]
    if unknown := [name for name in names if name not in VARIABLES]:
        allowed = ", ".join(VARIABLES)
        raise UserError(f"GAMMAGPT_{unknown[0]}: unknown, allowed are GAMMAGPT_ with {allowed}")
    return os.environ.get(f"GAMMAGPT_{name}", "")


def expanded(text) -> Path:
    """A path as people write it: ~ is a home, also where no shell has seen it."""
    text = str(text)
    require(text and "\0" not in text, "path", text, "is the name of a file or folder")
    try:
        found = Path(text).expanduser()
        found.exists()  # a name can be too long for it
    except (RuntimeError, OSError) as error:
        reason = getattr(error, "strerror", None) or "no such user"
        raise UserError(f"path: got {text[:200]!r}, which cannot be used ({reason})") from None
    return found


def writable(name: str, folder: Path) -> None:
    """Raise UserError unless a file can be written into a folder, which is made if it is not there:
    before hours of work, not after them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
    except OSError as error:
        raise UserError(f"{name}: {folder} cannot be written ({error.strerror})") from None


def writable_file(name: str, file: Path) -> None:
    """The same of one file, which may be there and is then replaced."""
    _require_file(name, file)
    writable(name, file.absolute().parent)


def _require_file(name: str, file: Path) -> None:
    require(not file.is_dir(), name, str(file), "is a file, this is a folder")


def write(name: str, file: Path, content: bytes) -> None:
    """Atomically: a reader sees the whole file, or what was there before.

    Raises UserError if it cannot be written, on a full disk too, and leaves nothing behind then.
    """
    _require_file(name, file)
    aside = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(aside, 0o644)  # mkstemp's files are private; these are to be shared
        os.replace(aside, file)
    except OSError as error:
        raise UserError(f"{name}: {file} cannot be written ({error.strerror})") from None
    finally:
        if aside:
            Path(aside).unlink(missing_ok=True)


def root() -> Path:
    """The checkout: $GAMMAGPT_ROOT, else the folder above `src/`, else the current folder."""
    if text := setting("ROOT"):
        found = expanded(text)
        require(found.is_absolute(), "GAMMAGPT_ROOT", text, "is a whole path, or ~/...")
        return found
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "claims").is_dir() else Path.cwd()


def folder(name: str, usual: str) -> Path:
    """The folder of $GAMMAGPT_<name>, or the usual one: in the checkout, wherever one stands."""
    found = root() / expanded(setting(name) or usual)
    require(not found.is_file(), f"GAMMAGPT_{name}", str(found), "is a folder, this is a file")
    return found


def cache_folder() -> Path:
    """Files that can be made again (tokens, the vendored MathJax): $GAMMAGPT_CACHE or `.cache`."""
    return folder("CACHE", ".cache")


def results_folder(tier: str, committed: bool = False) -> Path:
    """Run records of one tier: $GAMMAGPT_RESULTS/<tier>, or `results/<tier>` of the checkout.

    The latter in any case if `committed`. Tiers of one machine share a folder: no run is trained
    twice for them.
    """
    check_tier(tier)
    results = root() / "results" if committed else folder("RESULTS", "results")
    return results / SAME_MACHINE.get(tier, tier)


def seconds(name: str, text: str, least: float = 1e-9) -> float:
    """A span of time: "9m", "540s", "1.5h", or a number of seconds."""
    match = re.fullmatch(r"([0-9]+\.?[0-9]*)([smh]?)", text)
    found = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else -1
    if not least <= found < math.inf:
        raise UserError(f"{name}: got {text!r}, allowed is a time like 540s, 9m or 1.5h")
    return found


def training_budget() -> float:
    """Seconds that a page may train, of each study: $GAMMAGPT_BUDGET (0: nothing), else no end."""
    text = setting("BUDGET")
    return seconds("GAMMAGPT_BUDGET", text, least=0) if text else math.inf


def check_tier(tier: str) -> None:
    if tier not in TIERS:
        raise UserError(f"tier: got {tier!r}, allowed are {', '.join(TIERS)}")


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises UserError if it is missing, is not a mapping, or gives a name twice.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # in C: nine times faster
        def construct_mapping(self, node, deep=False):
            names = [key.value for key, _ in node.value]
            if twice := [name for name in names if names.count(name) > 1]:
                raise yaml.YAMLError(f"{twice[0]!r} is used twice")
            return super().construct_mapping(node, deep)

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError:
        raise UserError(f"{path.name}: no such file in {path.parent}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path.name}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path.name}: expected a mapping, got {type(content).__name__}")
    return content


def tier_parameters(tier: str) -> dict[str, dict]:
    """The parameters of each notebook at a tier: `{"01_gamma": {"steps": 200, ...}, ...}`.

    Their home is the notebook's cell tagged `parameters`, which is what tier PAGES has; a file
    tiers/*.yml says what differs, for all notebooks that know it (`defaults`), or for one. Raises
    UserError, a line a problem, for what a cell does not know, and for another type.
    """
    check_tier(tier)
    notebooks = root() / "notebooks"
    given = {} if tier == PAGES else read_yaml(notebooks / "tiers" / f"{tier}.yml")
    defaults, found = given.pop("defaults", None) or {}, {}
    paths = {file.stem: file for file in sorted(notebooks.glob("*.ipynb"))}
    problems = [f"{name}: named by tier {tier}, but there is no {name}.ipynb in {notebooks}"
                for name in given if name not in paths]  # fmt: skip
    for name, file in paths.items():
        try:
            found[name] = _at_tier(tier, file, defaults, given.get(name) or {})
        except UserError as error:
            problems.append(str(error))
    lost = set(defaults).difference(*found.values()) if not problems else ()
    problems += [f"defaults: unknown parameter {name!r} in tier {tier}" for name in sorted(lost)]
    if problems:
        raise UserError("\n".join(problems))
    return found


def _at_tier(tier: str, path: Path, defaults: dict, own) -> dict:
    """A notebook's parameters with what a tier changes."""
    cell, name = cell_parameters(path), path.stem
    if not isinstance(own, dict):
        raise UserError(f"{name}: tier {tier} gives {own!r}, expected a mapping of parameters")
    allowed = ", ".join(cell) or "none"
    problems = [f"{name}: unknown parameter {key!r}, allowed are {allowed}"
                for key in own if key not in cell]  # fmt: skip
    changes = {key: value for key, value in (defaults | own).items() if key in cell}
    problems += [f"{name}: {key}: got {value!r}, allowed is a value like {cell[key]!r}"
                 for key, value in changes.items() if not alike(value, cell[key])]  # fmt: skip
    if problems:
        raise UserError("\n".join(problems))
    return cell | ({"tier": tier} if "tier" in cell else {}) | changes


def alike(value, other) -> bool:
    """Whether a value has the type of another one; a whole number will do for a float."""
    return type(value) is type(other) or (type(value) is int and type(other) is float)


def cell_parameters(path: Path) -> dict:
    """Name -> value of a notebook's cell tagged `parameters`, in their order.

    Raises UserError if there is not one such cell, or it is more than plain values with names.
    """
    return dict(_cell_parameters(path, path.stat().st_mtime_ns))


@cache
def _cell_parameters(path: Path, modified: int) -> dict:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path.name}: not a notebook (not JSON)") from None
    sources = ["".join(cell["source"]) for cell in cells
               if "parameters" in cell["metadata"].get("tags", [])]  # fmt: skip
    if len(sources) != 1:
        raise UserError(f"{path.name}: needs one cell tagged 'parameters', found {len(sources)}")
    try:
        statements = assignments(sources[0]).items()
        return {name: ast.literal_eval(statement.value) for name, statement in statements}
    except SyntaxError as error:
        raise UserError(f"{path.name}: parameters cell is not Python ({error.msg})") from None
    except ValueError:
        raise UserError(f"{path.name}: parameters cell has more than plain values") from None


def assignments(source: str) -> dict[str, ast.Assign | ast.AnnAssign]:
    """The statements `name = value` of a cell, by name."""
    found = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
            target = getattr(statement, "targets", [getattr(statement, "target", None)])[0]
            if isinstance(target, ast.Name):
                found[target.id] = statement
    return found


def whole(name: str, value, least: float = 1, more: str = "") -> int:
    """A whole number, of Python or numpy; UserError for anything else. `more`: is allowed too."""
    number = isinstance(value, Integral) and not isinstance(value, bool) and value >= least
    bound = "" if least == -math.inf else f" from {least:g}"
    require(number, name, value, f"is a whole number{bound}{more}")
    return int(value)


def check_list(name: str, value, kind=float, empty: bool = False) -> list:
    """A notebook's list parameter; papermill's -p passes "[0.5, 0.8]" as text.

    Raises UserError if it is not a list of distinct numbers of this kind, or is empty.
    """
    allowed = f"a list of distinct numbers like {[0.5, 0.8] if kind is float else [0, 1, 2]}"
    try:
        items = json.loads(value) if isinstance(value, str) else list(value)
        result = [kind(x) for x in items]
        numbers = all(type(x) in (int, float) for x in items)
    except (ValueError, TypeError, OverflowError):
        raise UserError(f"{name}: got {value!r}, allowed is {allowed}") from None
    names = {f"{x:g}" if kind is float else x for x in result}  # as settings are named
    distinct = len(names) == len(result) and result == items
    if not numbers or not distinct or not (result or empty):
        raise UserError(f"{name}: got {value!r}, allowed is {allowed}")
    return result
