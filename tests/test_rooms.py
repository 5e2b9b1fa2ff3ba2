"""The house: which room of src/gammagpt may import from which, held against the imports."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

import gammagpt
from gammagpt import project

PACKAGE = project.root() / "src" / "gammagpt"
# Room -> the rooms, or modules of rooms, that it may import from; a later room only earlier ones.
MAY_IMPORT = {
    "project": "",
    "data": "project",
    "gpt": "data project",
    "probes": "gpt.model data project",
    "lab": "probes gpt data project",
    "ledger": "project",
    "plots": "ledger.estimate ledger.statistics lab.frame lab.measures project",
    "bench": "lab gpt project",
    "analysis": "plots lab probes gpt ledger data project",
    "chapters": "analysis bench plots lab probes gpt ledger data project",
    "registry": "chapters analysis plots lab probes gpt ledger data project",
    "cli": "registry chapters analysis bench lab gpt ledger data project",
}
EVERYTHING = {"", "__main__"}  # the public names, and `python -m gammagpt`


def name_of(path) -> str:
    """gpt.model of src/gammagpt/gpt/model.py; gpt of its __init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def imports(module: str) -> set[str]:
    """The modules of this package that a module imports, at its top or later."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            inside = node.level or (node.module or "").partition(".")[0] == "gammagpt"
            base = package[: len(package) - node.level + 1] if node.level else []
            tail = node.module.split(".")[0 if node.level else 1 :] if node.module else []
            for alias in node.names if inside else ():
                names = [part for part in [*base, *tail, alias.name] if part]
                whole, parent = ".".join(names), ".".join(names[:-1])
                found.add(whole if whole in MODULES else parent)
    return found - {module}


IMPORTS = {module: imports(module) for module in MODULES}


def test_every_file_is_in_a_room():
    assert {room_of(module) for module in MODULES} - EVERYTHING == set(MAY_IMPORT)


def test_the_table_leads_down_only():
    order = list(MAY_IMPORT)
    up = [(room, other) for room, others in MAY_IMPORT.items() for other in others.split()
          if order.index(room_of(other)) >= order.index(room)]
    assert up == []


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_those_that_it_may(room):
    allowed = MAY_IMPORT[room].split()
    wrong = {
        (module, other)
        for module, others in IMPORTS.items()
        for other in others
        if room_of(module) == room != room_of(other)
        and not {other, room_of(other)} & set(allowed)
    }
    assert wrong == set()


def test_no_chapter_imports_another():
    chapter = {module: module.split(".")[1] for module in MODULES if module.count(".") > 1
               and room_of(module) == "chapters"}
    wrong = [(module, other) for module in chapter for other in IMPORTS[module]
             if other in chapter and chapter[other] != chapter[module]]
    assert chapter and wrong == []


def test_no_module_imports_itself_through_others():
    graph = {module: {o for o in others if o} for module, others in IMPORTS.items() if module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("room", sorted(
    name for name, path in MODULES.items() if path.name == "__init__.py"
))
def test_a_room_says_in_its_first_line_what_it_holds(room):
    text = ast.get_docstring(ast.parse(MODULES[room].read_text(encoding="utf-8")))
    first = text.splitlines()[0]
    assert first[-1] in ".?" and len(first) <= 100


def test_the_ledger_and_the_command_line_start_without_torch():
    """They need none of it, and it takes longer to load than they take."""
    code = "import sys, gammagpt.cli, gammagpt.ledger.show; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


def test_every_public_name_is_where_the_package_looks_for_it():
    assert [name for name in gammagpt.__all__ if not hasattr(gammagpt, name)] == []
    assert set(gammagpt.__all__) <= set(dir(gammagpt)) and not hasattr(gammagpt, "another")
