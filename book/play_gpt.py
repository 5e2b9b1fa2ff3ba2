"""What the page on which a GPT trains has to know: its text, its tokens, and the law of collapse.

The text is the project's own, short stories of data/stories.py, in as few tokens as allow a
plateau: a byte-level BPE, of which the page keeps those that its text has.
"""

import base64
import json
import zlib
from pathlib import Path

import numpy as np

from gammagpt.analysis.plateau import RANGES, RULES
from gammagpt.data import DataConfig, load_text
from gammagpt.gpt.scores import UNIGRAM_GAP

DATA = DataConfig("stories", vocab_size=512)  # most of the 256 bytes are in no story
TOKENS = 100_000  # twice what 200 steps of 8 windows of 32 tokens read
MARGIN = 0.1  # nats: a run so far above what its setting reaches more slowly has collapsed
MULTIPLE = 4  # all sizes in the products of gpt.js are multiples of it


def write_play_gpt(staging: Path) -> None:
    """Write it as a script: from file:// a page may run one, but not fetch a file."""
    script = json.dumps(play_gpt(), separators=(",", ":"), allow_nan=False)
    path = staging / "book" / "static" / "play_gpt-data.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"window.GG_GPT={script};\n", encoding="utf-8")


def play_gpt() -> dict:
    """Tokens (packed), the text of each, their frequencies and entropy, and the rule for x."""
    tokens, pieces = text()
    shares = frequencies(tokens, len(pieces))
    logs, rule = np.log(shares), RULES["x"]
    return {
        "tokens": pack(tokens),
        "count": len(tokens),
        "pieces": pieces,
        "start": pieces.index("\n"),
        "logFrequencies": np.round(logs - logs.mean(), 4).tolist(),
        "entropy": round(float(-(shares * logs).sum()), 4),  # nats per token
        "rule": {"threshold": rule.threshold, "slope": rule.slope, "margin": MARGIN,
                 "gap": UNIGRAM_GAP},
        "ranges": RANGES,
    }


def text() -> tuple[np.ndarray, list[str]]:
    """Tokens (count,) of the first stories, and the text of each; a story ends with a new line.

    Tokens are numbered anew without those that do not occur, and filled up to a multiple of four.
    """
    whole = load_text(DATA)
    used, tokens = np.unique(whole.train[:TOKENS], return_inverse=True)
    end = len(whole.ranks)
    by_number = {number: piece.decode() for piece, number in whole.ranks.items() if number in used}
    pieces = [by_number.get(int(number), "\n") for number in used]
    assert int(used[-1]) == end  # the end of a text, the last of a vocabulary
    return tokens, pieces + [""] * (-len(pieces) % MULTIPLE)


def frequencies(tokens, count: int) -> np.ndarray:
    """(count,) shares of each token, counted once more than it occurs, as data/unigrams.py does."""
    counts = np.bincount(tokens, minlength=count) + 1.0
    return counts / counts.sum()


def pack(tokens) -> str:
    """Little-endian 16-bit numbers, deflated, in base64: what DecompressionStream takes."""
    return base64.b64encode(zlib.compress(tokens.astype("<u2").tobytes(), 9)).decode()
