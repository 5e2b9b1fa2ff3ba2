"""Writes what pages and the README say of verdicts and records: computed, never typed.

    python book/generated.py    brings the README's tables and picture up to date, and the words
                                of the notebooks' links
"""

import ast
import json
import math
import re
from pathlib import Path

import architectures
import plain
from about import not_run
from chapters import span

from gammagpt import Store, verdicts
from gammagpt.bench.compare import MANY, ONE
from gammagpt.bench.nanogpt import NAME as PEER
from gammagpt.chapters.c02_gamma_scaling.figures import answer
from gammagpt.gpt.config import InitConfig, RunConfig
from gammagpt.ledger.claims import DECIDED
from gammagpt.ledger.judge import EDGE, Verdict, standing
from gammagpt.ledger.show import SIGNS, badge, count, effect
from gammagpt.ledger.statistics import holm
from gammagpt.project import PAGES, TIERS, results_folder, root
from gammagpt.registry.costs import measured, needed, price, seconds_of_chapters
from gammagpt.registry.studies import studies, study

COSTED = ("laptop", "night")  # tiers whose cost from nothing is told
OPPOSITE = {"better", "worse"}


def write_generated(staging: Path, tier: str) -> list[Verdict]:
    """Write the generated parts of the book's pages into `<staging>/book/_generated/`.

    Returns the verdicts that they speak of.
    """
    found = verdicts(tier)
    pages = {
        "totals.md": _totals(found),
        "answer.md": answer_picture(tier)._repr_html_() + "\n",
        "summary.md": _glance(found, "../notebooks/{notebook}.ipynb", _chip),
        "ledger.md": _ledger(found),
        "tier.md": _tier_words(tier),
        "costs.md": _costs(),
        "gammas.md": architectures.gammas_table(architectures.load()),
        "advice.md": architectures.advice_table(architectures.load()),
    }
    folder = staging / "book" / "_generated"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return found


def update_readme() -> None:
    """Bring the README's tables, and its picture in both schemes, up to date."""
    for path in (root() / "README.md", root() / "benchmarks" / "README.md"):
        path.write_text(readme_text(path.read_text(encoding="utf-8")), encoding="utf-8")
    picture = answer_picture(PAGES)
    for ground in ("light", "dark"):
        (root() / "book" / "static" / f"answer-{ground}.svg").write_bytes(picture.svg(ground))


def answer_picture(tier: str):
    """The figure of the landing page and of the README."""
    store = Store(results_folder(tier))
    asked = studies("02_gamma_scaling", tier)
    small = max(init.gamma for init in asked["lower_loss_width"].inits if init.gamma)
    frames = {name: planned.collect(store) for name, planned in asked.items()}
    return answer(frames, tier, f"gamma {small:g}")


def readme_text(text: str) -> str:
    """A README with its generated parts, between `<!-- name: ... -->` and `<!-- end -->`."""
    reports = sorted((root() / "benchmarks").glob("ladder*.json"))
    found = verdicts(PAGES)
    parts = {
        "claims": _readme_claims(found),
        "start": _quick_start(),
        "speed": _speed(reports),
        "targets": _targets(json.loads(reports[0].read_text(encoding="utf-8"))),
        "map": _map(),
    }
    for name, part in parts.items():
        pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m, part=part: m[1] + part + m[2], text, flags=re.DOTALL)
    return text


ROOMS = ("cli.py", "registry", "chapters", "analysis", "bench", "plots", "lab", "probes", "gpt",
         "data", "ledger", "project.py")


def _map() -> str:
    """The rooms of the package, each with the first line of what it says of itself."""
    folder = root() / "src" / "gammagpt"
    rows = ["| Room | Holds |", "|---|---|"]
    for room in ROOMS:
        path = folder / room if room.endswith(".py") else folder / room / "__init__.py"
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
        words = re.sub(rf"^{room}: ", "", text, flags=re.IGNORECASE).removesuffix(".")
        rows.append(f"| `{path.relative_to(folder).as_posix().removesuffix('__init__.py')}` "
                    f"| {words[0].lower()}{words[1:]} |")
    return "\n".join(rows) + "\n"


def _quick_start() -> str:
    """What to run on which machine: minutes measured by benchmarks/times.py, loss from a record."""
    times = json.loads((root() / "benchmarks" / "times.json").read_text(encoding="utf-8"))
    record = Store(results_folder(PAGES)).get(RunConfig(init=InitConfig(gamma=0.8)))
    loss = f"{record.final['validation_loss']:.2f} nats per token" if record else "no record"
    seconds = {what: times[what]["seconds"] for what in times if what != "machine"}
    rows = [
        ("make setup", "make setup", "everything, into `.venv`; once"),
        ("make smoke", "make smoke", "every notebook trains, tiny"),
        ("make book", "make book BUDGET=0", "the book, from the records"),
        ("make test", "make test", "all tests, in a browser too"),
        ("train", "python -m gammagpt train --gamma 0.8", loss),
    ]
    lines = [f"| `{c}` | {_minutes(seconds[w])} | {you_get} | `{times[w]['commit']}` |"
             for w, c, you_get in rows if w in times]
    for options, tier, what in (("TIER=laptop ", "laptop", "most claims again"),
                                ("", "night", "every run again")):
        minutes = _minutes(seconds["make book"] + _from_nothing(tier))
        lines.append(f"| `make book {options}FRESH=1` | {minutes} | {what} | computed |")
    cores = times["machine"]["cores"]
    head = [f"| Command | Minutes on {cores} cores | You get | Measured at |", "|---|---|---|---|"]
    return "\n".join(head + lines) + "\n"


def _costs() -> str:
    """A row a chapter: its runs and the minutes that they take from nothing, by tier."""
    report = measured()
    found = {tier: seconds_of_chapters(tier, report["seconds"]) for tier in COSTED}
    names = [f"{tier}: {what}" for tier in COSTED for what in ("runs", "minutes")]
    lines = ["| " + " | ".join(["Chapter", *names]) + " |", "|---" * (len(names) + 1) + "|"]
    chapters = sorted({name for of_tier in found.values() for name in of_tier})
    rows = {f"[](../notebooks/{name}.ipynb)": [found[tier].get(name, (0, 0.0)) for tier in COSTED]
            for name in chapters}
    rows["All"] = [tuple(map(sum, zip(*found[tier].values(), strict=True))) for tier in COSTED]
    for name, pairs in rows.items():
        cells = [text for runs, seconds in pairs for text in (f"{runs:,}", f"{seconds / 60:.0f}")]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    cores, at = report["machine"]["cores"], report["commit"]
    return "\n".join([*lines, "", f"Computed from the time of each kind of run on {cores} idle "
                                  f"cores, at commit `{at}`; another machine may take twice as "
                                  "long, or half.", "", _tiers_agree()])


def _tiers_agree() -> str:
    """How often two hours and a night come to the same verdict, by the committed records."""
    short, long = (
        {v.claim.id: v.verdict for v in verdicts(tier, results_folder(tier, committed=True))}
        for tier in COSTED
    )
    asked = [name for name, word in short.items() if word != "not run"]
    same = sum(short[name] == long[name] for name in asked)
    opposite = sum({short[name], long[name]} == OPPOSITE for name in asked)
    return (f"Of the {len(asked)} claims that {COSTED[0]} judges, {same} come out with the same "
            f"word at {COSTED[1]}, and {opposite} with the opposite one.\n")


def _from_nothing(tier: str) -> float:
    """Seconds of training all runs of a tier, by benchmarks/costs.json."""
    chapters = seconds_of_chapters(tier, measured()["seconds"])
    return sum(seconds for _, seconds in chapters.values())


def _speed(files: list[Path]) -> str:
    """A table for each report of `python -m gammagpt bench`, one file a machine."""
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return "\n".join(map(_speed_table, reports)) or "Not measured yet.\n"


def _targets(report: dict) -> str:
    """What the project set itself, what the report says of it, and why something is missed."""
    shapes, ceilings = report["shapes"], report["ceilings"]
    beside = {name: shape["ratios"].get(f"{ONE} / {PEER}") for name, shape in shapes.items()}
    slowest = min((r["median"], name) for name, r in beside.items() if r)
    many = {name: max(shape["ratios"][f"{way} / {ONE}"]["median"] for way in MANY
                      if f"{way} / {ONE}" in shape["ratios"])
            for name, shape in shapes.items()}
    bf16 = ceilings["bfloat16"] / ceilings["float32"]
    rows = [
        ("float32: nowhere slower than nanoGPT", f"{slowest[0]:.2f} x at {slowest[1]}, the least",
         "" if slowest[0] >= 1 else "missed"),
        ("bfloat16: 3 x nanoGPT at `laptop`'s depth, half of the ceiling at `wide`", "not asked",
         f"this CPU has no units for it: its products reach {bf16:.2f} of float32's speed"),
        ("toys: 24 runs 4 x faster than one after another",
         f"{many['toy']:.2f} x (`toy`), {many['Emb-MLP']:.2f} x (`Emb-MLP`)",
         "two cores are all there is, and matrix products set the pace: a stack has as many"),
        ("chapter 2 from nothing: 2 x faster than run by run", f"{many['laptop']:.2f} x",
         "the same; what is left is the machine's own ceiling"),
        ("GPU: stacks 10 to 30 x, GPT-2 124M at half of the ceiling", "not measured",
         "no GPU was at hand"),
    ]
    lines = [f"| {target} | {reached} | {why} |" for target, reached, why in rows]
    return "\n".join(["| Aim | Reached | Why not |", "|---|---|---|", *lines]) + "\n"


def _speed_table(report: dict) -> str:
    columns = ("Model", "One run, tokens/s", "Of the ceiling", f"Against {PEER}", "Many runs")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, shape in report["shapes"].items():
        if ONE in shape["ways"]:
            lines.append("| " + " | ".join(_speed_cells(name, shape)) + " |")
    here, ceilings = report["machine"], report["ceilings"]
    found = " and ".join(f"{speed:,.0f} GFLOP/s in {name}" for name, speed in ceilings.items())
    device = here["cpu"] if here["device"].startswith("cpu") else here["device"]
    quick = ", in short bursts (`--quick`)" if report["quick"] else ""
    words = f"Measured on {device}, {here['cores']} cores, torch {here['torch']}{quick}"
    return "\n".join([*lines, "", f"{words}. The fastest matrix products: {found}."]) + "\n"


def _speed_cells(name: str, shape: dict) -> list[str]:
    """One run beside the peer, and the best way to train many, beside one after another."""
    one, ratios = shape["ways"][ONE], shape["ratios"]
    many = [(ratios[f"{way} / {ONE}"], way) for way in MANY if f"{way} / {ONE}" in ratios]
    best, way = max(many, key=lambda pair: pair[0]["median"], default=(None, ""))
    beside_peer = ratios.get(f"{ONE} / {PEER}")
    return [
        f"{name}: {shape['shape']}",
        f"{one['tokens_per_second']['median']:,.0f} ({one['setting']})",
        f"{one['share_of_ceiling']:.0%}",
        _times(beside_peer) if beside_peer else "not measured",
        f"{_times(best)}, {way}" if best else "not measured",
    ]


def _times(ratio: dict) -> str:
    return f"{ratio['median']:.2f} x ({ratio['low']:.2f} to {ratio['high']:.2f})"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def _plain_badge(verdict: Verdict) -> str:
    return f"{SIGNS[verdict.verdict]} {verdict.verdict}"


def _tier_words(tier: str) -> str:
    """Which tier this copy shows, what it cost, and what the tiers above it say."""
    folder = results_folder(tier)  # which may have the runs of a larger tier as well
    own = {run.key for runs in needed(tier, folder).values() for run in runs}
    everything = list(Store(folder))
    records = [record for record in everything if record.key in own]
    hours = sum(record.provenance["seconds"] for record in records) / 3600
    above = TIERS[TIERS.index(tier) + 1 :]
    said = [f"{name}: {', '.join(sorted({v.verdict for v in verdicts(name)}))}" for name in above]
    rest = len(everything) - len(records)
    beside = f" {rest:,} more records lie beside them, of parameters tried before." if rest else ""
    return (
        f"This copy of the book shows the **{tier}** tier: {len(records):,} of its {len(own):,} "
        f"runs, made in {hours:.1f} hours of one core, much of it beside other work.{beside} "
        f"Tiers above it: {'; '.join(said) or 'none'}.\n"
    )


def _readme_claims(found) -> str:
    return _what_held(found, "notebooks/{}.ipynb", _plain_badge)


def _what_held(found, page: str, mark) -> str:
    """A row for each claim of the landing page's table: what was found, and the verdict."""
    landing = (root() / "book" / "intro.md").read_text(encoding="utf-8")
    named = " ".join(re.findall(r"<!-- answers: ([^>]*)-->", landing)).split()
    known = {verdict.claim.id: verdict for verdict in found}
    lines = ["| Claim | Effect, 95 % interval | Verdict |", "|---|---|---|"]
    found = [known[name] for name in named]
    for verdict in found:
        if verdict.verdict != "not run":
            link = f"[{verdict.claim.title}]({page.format(verdict.claim.notebook)})"
            lines.append(f"| {link} | {_found(verdict)} | {mark(verdict)} |")
    return "\n".join(lines) + "\n" + not_run(found, page)


def _glance(found, link: str, mark) -> str:
    """A row a chapter: its question, and how many of its claims came out in which way."""
    lines = ["| Chapter | Claims | Verdicts |", "|---|---|---|"]
    for notebook in dict.fromkeys(v.claim.notebook for v in found):
        own = [v.verdict for v in found if v.claim.notebook == notebook]
        marks = " ".join(mark(own.count(name), name) for name in SIGNS if name in own)
        title = f"[{_title(notebook)}]({link.format(notebook=notebook)})"
        lines.append(f"| {title} | {len(own)} | {marks} |")
    return "\n".join(lines) + "\n"


def _totals(found) -> str:
    """A row a paper, and one for what we ask of it: how many claims came out in which way."""
    lines = ["| Paper | Claims | What held here |", "|---|---|---|"]
    for paper in dict.fromkeys(v.claim.paper for v in found):
        for ours, words in ((False, f"{{cite:t}}`{paper}`"), (True, "our questions about it")):
            own = [v.verdict for v in found if (v.claim.paper, v.claim.ours) == (paper, ours)]
            marks = " ".join(_chip(own.count(name), name) for name in SIGNS if name in own)
            lines += [f"| {words} | {len(own)} | {marks} |"] if own else []
    return "\n".join(lines) + f"\n\n{_corrected_words(found)}\n"


def _corrected_words(found) -> str:
    """How many verdicts would stand if each paper were judged as a whole."""
    told = [f"{stand} of {count} that are {name}" for name, (count, stand)
            in standing(found).items() if name in DECIDED and count]
    return (f"With so many some verdicts are luck: corrected for all primary claims of a paper, "
            f"{' and '.join(told)} would stand ([how](ledger.md)).")


def _title(notebook: str) -> str:
    return plain.title(root() / "notebooks" / f"{notebook}.ipynb")


def _chip(count: int, name: str) -> str:
    css = name.replace(" ", "-")
    return f'<span class="verdict {css}">{SIGNS[name]} {count} {name}</span>'


def _summary(found, linked, answer) -> str:
    """A row a claim, `linked(claim)`, with its `answer(verdict)`."""
    rows = [f"| {linked(verdict.claim)} | {answer(verdict)} |" for verdict in found]
    return "\n".join(["| Claim | Answer |", "|---|---|", *rows]) + "\n"


def _ledger(found) -> str:
    """What held, in one table; then, folded by chapter, all questions and what is behind them."""
    corrected = holm(found)

    def answer(verdict) -> str:
        claim = verdict.claim
        p = f", p {corrected[claim.id]:.2g}" if claim.id in corrected else ""
        p = ", no spread" if verdict.low == verdict.high else p  # then neither p nor interval
        words = [f"{count(verdict)}{p}; [rule and records](claim-{claim.id})"]
        words += [claim.caveat] if claim.caveat else []
        told = f"{_found(verdict)}<br><small>{'<br>'.join(words)}</small>"
        return f"{badge(verdict)}{_edge(verdict)}<br>{told}"

    parts = ["## What held", _what_held(found, "../notebooks/{}.ipynb", badge)]
    parts += ["## All claims, by chapter"]
    for notebook in dict.fromkeys(v.claim.notebook for v in found):
        own = [v for v in found if v.claim.notebook == notebook]
        table = f"```{{div}} gg-ledger\n{_summary(own, _to_figure, answer)}```"
        head = f"Chapter {int(notebook[:2])}: {_title(notebook)} ({len(own)} claims)"
        inside = "\n\n".join([table, *map(_claim_section, own)])
        parts.append(f"::::{{dropdown}} {head}\n{inside}\n::::")
    return "\n\n".join(parts)


def _found(verdict: Verdict) -> str:
    """The effect with its unit, or why there is none."""
    known = math.isfinite(verdict.shown[0])
    return f"{effect(verdict)} {verdict.claim.unit}" if known else verdict.reason


def _to_figure(claim) -> str:
    """In HTML: MyST knows no anchor inside what a cell shows."""
    return f'<a href="../notebooks/{claim.notebook}.html#{claim.figure}">{claim.title}</a>'


def _edge(verdict: Verdict) -> str:
    """Why an effect whose interval lies on one side of the margin may still decide nothing."""
    return " <small>(rate at the grid's edge)</small>" if EDGE in verdict.reason else ""


def _claim_section(verdict: Verdict) -> str:
    claim = verdict.claim
    flag = f"**Flag: {verdict.flag}.**" if verdict.flag else ""
    judged = ", ".join(filter(claim.judged_at, TIERS))
    return f"""
:::{{dropdown}} {claim.title}
:name: claim-{claim.id}

{claim.statement}

{badge(verdict)} Effect {effect(verdict)} {claim.unit}, {count(verdict)}: {verdict.reason}. {flag}

From {{cite:t}}`{claim.paper}`, {claim.place}. {claim.caveat}

Rule
: {_rule(claim)} Judged at: {judged}. Rule hash `{claim.rule_hash}`.

Learning rates
: {_rates(verdict)}

Expected beforehand
: {_expectation(verdict)}

Again, alone
: `{claim.id}`: {_cost(claim, verdict.tier)} [How](rerun.md).

(records-{claim.id})=
{_record_table(verdict)}
:::
"""


def _rule(claim) -> str:
    """What is compared and what decides, as sentences."""
    sides, rule = claim.comparison, claim.rule
    what = f"`{claim.metric}` of {sides.get('setting')}"
    if claim.compares:
        more, less = ("treatment", "baseline") if claim.higher else ("baseline", "treatment")
        what = f"`{claim.metric}` of {sides[more]} minus that of {sides[less]}"
    if "against" in sides:
        first, second = sides["against"]
        what += f", less the same difference of {first} and {second}"
    counts = "collapse" in rule
    collapse = "" if counts else " Where a run that is compared has collapsed it is undecided."
    return (
        f"{what}, means of all runs; learning rate {sides['learning_rate']}. Equivalent if two "
        f"one-sided tests put it within ±{rule['margin']:g} {claim.unit}; else better if the whole "
        f"{rule['confidence']:.0%} interval (Welch) lies above 0, worse if below, with at least "
        f"{rule['min_runs']} runs a side.{collapse}"
    )


def _rates(verdict: Verdict) -> str:
    """The learning rate of each side: a tuned one stands nowhere else in the ledger."""
    keys = _first_keys(verdict)
    if not keys:
        return "None was used."
    store = Store(results_folder(verdict.tier))
    records = [json.loads(store.path(key).read_text(encoding="utf-8")) for key in keys]
    rates = [record["config"]["optim"]["learning_rate"] for record in records]
    names = zip(verdict.claim.settings, rates, strict=True)
    return "; ".join(f"{name} at {rate:g}" for name, rate in names) + "."


def _first_keys(verdict: Verdict) -> list[str]:
    """The key of one run of each side, in the order of the claim's settings."""
    return list({setting: key for setting, _, key, _ in reversed(verdict.compared)}.values())[::-1]


def _cost(claim, tier: str) -> str:
    """How many runs decide a claim, those that tune too, and how long they take."""
    asked, of_run = study(claim.experiment, tier), price()
    if set(claim.settings) <= set(asked.settings):  # a forecast's names are those of its frame
        asked = asked.only(claim.settings)
    runs = asked.compared()  # as many again, at the best rates, if there is a grid
    if claim.comparison["learning_rate"] == "tuned":
        runs += asked.tuning()
    return f"{len(runs)} runs, about {span(sum(map(of_run, runs)))} on two cores."


def _expectation(verdict: Verdict) -> str:
    """The range that was written down before the runs, and whether the effect lies in it."""
    expected = verdict.claim.expected_at(verdict.tier)
    if expected is None:
        return "Nothing was written down for this tier."
    low, high = expected
    low, high = (-high, -low) if verdict.claim.turned else (low, high)
    outcome = {True: "The effect lies in it.", False: "The effect lies outside it.", None: ""}
    words = outcome[verdict.to_dict()["as_expected"]]
    return f"{low:g} to {high:g} {verdict.claim.unit}. {words}"


def _record_table(verdict: Verdict) -> str:
    def link(key):
        return f'<a href="../records/{verdict.tier}/{key}.json"><code>{key}</code></a>'

    if not verdict.compared:
        return "There are no records for it at this tier.\n"
    rows = [f"| {setting} | {seed} | {link(key)} | {value:.4f} |"
            for setting, seed, key, value in verdict.compared]
    return "\n".join(["| Setting | Seed | Run | Value |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    update_readme()
    plain.update_notebooks()
