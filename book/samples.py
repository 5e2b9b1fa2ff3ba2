"""What two initializations write along their training: trained once, kept in samples.json.

    python book/samples.py    trains both again (a minute on two cores) and writes samples.json

The page is made from that file; a test holds it against the code: the same run, the same first
texts. One seed, and chosen neither for its loss nor for its words: it is the first.
"""

import html
import json
from dataclasses import replace
from pathlib import Path

import torch

from gammagpt import InitConfig, RunConfig
from gammagpt.data.batches import make_batches
from gammagpt.data.text import load_text
from gammagpt.gpt.engine import make_engine
from gammagpt.gpt.weights import Trained

FILE = Path(__file__).with_name("samples.json")
GAMMAS = (0.5, 1.0)
AT = (0, 25, 50, 100, 200, 400)  # steps
PROMPT, COUNT, TEMPERATURE = "Once", 40, 0.7  # 40 tokens of each text, or up to its end
BASE = RunConfig.from_dict({
    "data": {"corpus": "stories", "vocab_size": 512}, "model": {"vocab_size": 512},
    "optim": {"learning_rate": 0.008, "warmup": 0.25}, "steps": 400,
})


def configs() -> list[RunConfig]:
    """The two runs: they differ in gamma alone."""
    return [replace(BASE, init=InitConfig(gamma=gamma)).pinned() for gamma in GAMMAS]


def along(config: RunConfig, at=AT):
    """Yields {step, loss, text} at some steps of a run: loss on validation text, in nats."""
    device, ranks = torch.device("cpu"), load_text(config.data).ranks
    batches = make_batches([config], device, slice(None))
    engine = make_engine([config], device, compiled=False)
    windows = batches.final["validation"]
    for step in range(max(at) + 1):
        if step in at:
            writer = Trained(engine.plain(0), config, ranks)
            text = writer.write(PROMPT, COUNT, TEMPERATURE)
            [found] = engine.scores(*windows)
            yield {"step": step, "loss": round(found["loss"], 3), "text": text}
        if step < max(at):
            engine.step(*batches.train(step), step)


def make_samples() -> None:
    torch.set_num_threads(1)  # the same sums in the same order, on every machine with two cores
    runs = [{"gamma": c.init.gamma, "key": c.key, "along": list(along(c))} for c in configs()]
    FILE.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


def write_samples(staging: Path) -> None:
    """Write what book/samples.md includes: for each step, what both wrote."""
    runs = json.loads(FILE.read_text(encoding="utf-8"))
    page = staging / "book" / "_generated" / "samples.md"
    page.write_text(samples(runs), encoding="utf-8")


def samples(runs: list[dict]) -> str:
    """A term a step, and a line a run."""
    lines = ['<dl class="gg-samples">']
    for points in zip(*(run["along"] for run in runs), strict=True):
        lines.append(f"<dt>step {points[0]['step']}</dt>")
        for run, point in zip(runs, points, strict=True):
            words = " ".join(point["text"].split())
            text = html.escape("".join(sign if sign.isprintable() else "·" for sign in words))
            lines.append(f"<dd><strong>γ = {run['gamma']:g}</strong>, {point['loss']:.2f} nats: "
                         f"<q>{text}</q></dd>")
    return "```{raw} html\n" + "\n".join([*lines, "</dl>"]) + "\n```\n"


if __name__ == "__main__":
    make_samples()
