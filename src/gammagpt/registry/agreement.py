"""Does mine agree? The effects of two sets of records, side by side, each claim with its intervals.

Two questions are easily confused. The plain interval of our effect says where the mean of *all*
seeds lies; another mean of a few seeds falls outside more often than it says. The prediction
interval says where that other mean lies, and is the one to judge a replication by.
"""

import html
import math
from pathlib import Path

from ..ledger.judge import Verdict
from ..ledger.welch import Welch
from ..project import UserError, results_folder

COLUMNS = (
    "claim", "title", "unit", "ours", "our_low", "our_high", "our_n", "our_verdict", "theirs",
    "their_low", "their_high", "their_n", "their_verdict", "in_interval", "prediction_low",
    "prediction_high", "inside",
)
ANSWERS = {True: "inside", False: "outside", None: "not comparable"}
HOW_TO = (
    "This page shows the records that come with the book. To compare records of your own, make "
    "them in another folder (<code>make book FRESH=1</code>, or <code>GAMMAGPT_RESULTS=my_results "
    "papermill ...</code>) and this cell says of each claim whether your effect lies where ours "
    "predict it. For all claims at once: <code>GAMMAGPT_RESULTS=my_results python -m gammagpt "
    "claims --against results/laptop</code> (tiers laptop and night share that folder)."
)


def agree(ours: list[Verdict], theirs: list[Verdict]):
    """A frame, a row for each claim of `ours`: both effects, and whether theirs lies in our range.

    in_interval: their effect is in our plain interval. inside: it is in the interval that predicts
    the mean of as many runs as they have (see `_predicted`). Both are None where either
    side has no effect, or ours no interval. Numbers have the sign that people read.
    """
    import pandas as pd

    known = {verdict.claim.id: verdict for verdict in theirs}
    rows = [_row(verdict, known.get(verdict.claim.id)) for verdict in ours]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("in_interval", "inside"), object))  # True, False or None


def against(folder, tier: str, claims=None):
    """`agree` of the records in `folder` (ours) with those of a tier (theirs); trains nothing.

    Of all claims, or of those that are given.

    Raises UserError if `folder` is none, or is the very folder of the tier's records.
    """
    from .studies import verdicts

    folder, own = Path(folder), results_folder(tier)
    if not folder.is_dir():
        raise UserError(f"--against: got {str(folder)!r}, allowed is a folder of records")
    if folder.resolve() == own.resolve():
        raise UserError(
            f"--against: got {str(folder)!r}, the folder that is compared with it; "
            "set GAMMAGPT_RESULTS to where your own records are"
        )
    return agree(verdicts(tier, folder, claims), verdicts(tier, claims=claims))


def in_words(table, tier: str) -> str:
    """A line for each claim that both sides have, and how many of these lie inside.

    Raises UserError if there is none.
    """
    compared = table[table.their_n > 0]
    lines = [
        f"{row.claim:24} {ANSWERS[row.inside]:15} the book {_number(row, 'our')}, yours "
        f"{_number(row, 'their')}, predicted {_span(row.prediction_low, row.prediction_high)}"
        for row in compared.itertuples()
    ]
    absent = len(table) - len(compared)
    noun = "claim lacks" if absent == 1 else "claims lack"
    if absent:
        lines.append(f"{absent} {noun} runs in {results_folder(tier)}; a tuned one needs its grid.")
    if not len(compared):
        raise UserError(lines[-1])
    return "\n".join([*lines, summary(table)])


def summary(table) -> str:
    """How many effects lie inside, and how many may be outside by chance alone."""
    asked = [answer for answer in table.inside if answer is not None]
    plain = sum(answer is True for answer in table.in_interval)
    if not asked:
        return "No effect is there on both sides, with an interval of ours, to be compared."
    return (
        f"{sum(asked)} of {len(asked)} effects lie where ours predict them, {plain} of them in our "
        "plain intervals too; of those that agree, one in twenty lies outside by chance."
    )


class Agreement:
    """"Does mine agree?" as a notebook's cell: a table, or how to get one.

    `verdicts` are those of the page; they are compared with what the committed records say of the
    same claims, unless these are what the page has read.
    """

    def __init__(self, verdicts, tier: str):
        self.verdicts, self.tier = list(verdicts), tier
        self.committed = results_folder(tier, committed=True)

    def table(self):
        """`agree` of the committed records with the page's verdicts."""
        from .studies import verdicts

        asked = [verdict.claim for verdict in self.verdicts]
        return agree(verdicts(self.tier, self.committed, asked), self.verdicts)

    def _repr_html_(self) -> str:
        if not self.committed.is_dir():
            return f"<p>The book comes with no records of tier {self.tier} to compare with.</p>"
        if self.committed.resolve() == results_folder(self.tier).resolve():
            return f"<p>{HOW_TO}</p>"
        table = self.table()
        return f"{_html_table(table)}<p>{summary(table)}</p>"


def _html_table(table) -> str:
    names = ("Claim", "Unit", "Ours, 95 % interval", "Yours", "Ours predict", "Yours is")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        f"<tr><td>{html.escape(row.title)}</td><td>{html.escape(row.unit)}</td>"
        f"<td>{_number(row, 'our')}</td><td>{_number(row, 'their')}</td>"
        f"<td>{_span(row.prediction_low, row.prediction_high)}</td>"
        f"<td>{ANSWERS[row.inside]}</td></tr>"
        for row in table.itertuples()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(ours: Verdict, theirs: Verdict | None) -> dict:
    predicted = _predicted(ours, theirs.n if theirs else 0)
    there = theirs.shown if theirs else (math.nan,) * 3
    row = {"claim": ours.claim.id, "title": ours.claim.title, "unit": ours.claim.unit}
    for side, verdict, numbers in (("our", ours, ours.shown), ("their", theirs, there)):
        row |= dict(zip((f"{side}s", f"{side}_low", f"{side}_high"), numbers, strict=True))
        row |= {f"{side}_n": verdict.n if verdict else 0,
                f"{side}_verdict": verdict.verdict if verdict else "not run"}
    row |= dict(zip(("prediction_low", "prediction_high"), predicted, strict=True))
    row["in_interval"] = _within(there[0], *ours.shown[1:])
    row["inside"] = _within(there[0], *predicted)
    return row


def _predicted(ours: Verdict, n: int) -> tuple[float, float]:
    """Where an effect of `n` other runs a side falls, given ours; nan where ours has no interval.

    Welch's interval, wider by sqrt(1 + m/n) with our m runs (for one side Hahn and Meeker,
    Statistical Intervals, 1991, section 4.7). It supposes normal runs of one spread on both sides,
    and other seeds than ours: the same seeds agree up to rounding and fall inside more often.
    """
    found = Welch.of(ours.sides()) if ours.compared and n else Welch(*[math.nan] * 3)
    wider = found._replace(error=found.error * math.sqrt(1 + ours.n / max(n, 1)))
    low, high = (end - found.effect for end in wider.interval(ours.claim.rule["confidence"]))
    return ours.shown[0] + low, ours.shown[0] + high


def _within(value: float, low: float, high: float) -> bool | None:
    return low <= value <= high if all(map(math.isfinite, (value, low, high))) else None


def _number(row, side: str) -> str:
    value = getattr(row, f"{side}s")
    if not math.isfinite(value):
        return "–"
    return f"{value:.3f} {_span(getattr(row, f'{side}_low'), getattr(row, f'{side}_high'))}".strip()


def _span(low: float, high: float) -> str:
    return f"[{low:.3f}, {high:.3f}]" if math.isfinite(low) else ""
