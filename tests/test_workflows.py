"""What runs on GitHub: with few rights, of pinned code, for a limited time, and what there is."""

import re
from pathlib import PurePath

import pytest

from gammagpt import project

FOLDER = project.root() / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
PIN = re.compile(r"^\s*(?:- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+(\.\d+)*$")
# Who may do more than read the code, and why it must.
RIGHTS = {
    ("publish", "deploy"): {"pages": "write", "id-token": "write"},
    ("weekly", "report"): {"actions": "read", "issues": "write"},
}


@pytest.fixture(params=FILES, ids=[file.stem for file in FILES])
def workflow(request):
    return request.param.stem, project.read_yaml(request.param), request.param.read_text()


def steps(content) -> list[dict]:
    return [step for job in content["jobs"].values() for step in job["steps"]]


def commands(content) -> str:
    return "\n".join(step.get("run", "") for step in steps(content))


def test_there_are_workflows_for_tests_the_site_and_what_may_rot():
    assert {file.stem for file in FILES} >= {"tests", "publish", "weekly", "links"}


def test_a_workflow_reads_the_code_and_only_named_jobs_may_do_more(workflow):
    name, content, _ = workflow
    assert content["permissions"] in ({}, {"contents": "read"})
    more = {(name, job): given["permissions"] for job, given in content["jobs"].items()
            if "permissions" in given}
    assert more == {place: rights for place, rights in RIGHTS.items() if place[0] == name}


def test_every_action_is_pinned_to_a_commit_with_its_version_beside(workflow):
    _, content, text = workflow
    lines = [line for line in text.splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert [line for line in lines if not PIN.match(line)] == []
    assert len(lines) == sum("uses" in step for step in steps(content))


def test_one_action_has_one_version_in_all_workflows():
    pins = {}
    for action, commit in re.findall(r"uses: (\S+)@(\S+)", "".join(f.read_text() for f in FILES)):
        pins.setdefault(action, set()).add(commit)
    assert [action for action, commits in pins.items() if len(commits) > 1] == []


def test_no_job_runs_without_an_end(workflow):
    _, content, _ = workflow
    assert all(0 < job["timeout-minutes"] <= 60 for job in content["jobs"].values())


def test_a_checkout_leaves_no_token_behind(workflow):
    _, content, _ = workflow
    given = [s.get("with", {}) for s in steps(content) if "/checkout@" in s.get("uses", "")]
    assert all(options.get("persist-credentials") is False for options in given)


def test_no_secret_is_read_and_nothing_of_an_event_reaches_a_shell(workflow):
    """A title of an issue, say, could be a command."""
    _, content, text = workflow
    assert "secrets." not in text and "pull_request_target" not in text
    assert "${{" not in commands(content)


def test_commands_exist(workflow):
    """The targets of make, and the files and verbs of Python."""
    _, content, _ = workflow
    targets = re.findall(r"^([a-z]+):", (project.root() / "Makefile").read_text(), re.M)
    asked = re.findall(r"^\s*make (\w+)", commands(content), re.M)
    assert [name for name in asked if name not in targets] == []
    files = re.findall(r"python (\w+/\w+\.py)", commands(content))
    assert [name for name in files if not (project.root() / PurePath(name)).exists()] == []


def test_the_published_site_is_built_from_the_committed_records_and_tested_before():
    lines = commands(project.read_yaml(FOLDER / "publish.yml")).split("\n")
    assert lines.index("make test") < lines.index("make book BUDGET=0")


def test_dependabot_looks_after_packages_and_actions():
    content = project.read_yaml(FOLDER.parent / "dependabot.yml")
    assert {u["package-ecosystem"] for u in content["updates"]} == {"pip", "github-actions"}
