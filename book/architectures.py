"""The table of "Where does your model stand?": published architectures, measured once, committed.

    python book/architectures.py    measures all of them again (minutes; needs transformers)

The page is rendered from architectures.json, so that a reader needs neither transformers nor time.
"""

import json
import math
import sys

from gammagpt import advise
from gammagpt.gpt.parts import PARTS
from gammagpt.gpt.published import audit_published, config_of
from gammagpt.project import root

FILE = root() / "book" / "architectures.json"
NAMES = ("gpt2", "opt", "biogpt", "phi", "gpt_neo", "olmoe", "qwen2_moe", "qwen3_moe", "smollm3",
         "gemma2", "gemma3_text", "stablelm", "gpt_oss", "starcoder2", "phi3", "gptj", "llama",
         "olmo2", "olmo", "mistral", "qwen3", "gpt_neox", "deepseek_v3")
# Peak learning rate, steps of warm-up, and who says so, where the authors say it for this size.
RATES = {
    "gpt2": (6e-4, 2000, "[nanoGPT](https://github.com/karpathy/nanoGPT)"),
    "opt": (6e-4, 750, "[2205.01068](https://arxiv.org/abs/2205.01068)"),
    "gptj": (1.2e-4, 3000, "[GPT-J's code]"
             "(https://github.com/kingoflolz/mesh-transformer-jax)"),
    "gpt_neox": (0.97e-4, 1500, "[2204.06745](https://arxiv.org/abs/2204.06745)"),
    "llama": (3e-4, 2000, "[2302.13971](https://arxiv.org/abs/2302.13971)"),
    "olmo": (3e-4, 5000, "[2402.00838](https://arxiv.org/abs/2402.00838)"),
    "olmo2": (3e-4, 2000, "[2501.00656](https://arxiv.org/abs/2501.00656)"),
    "deepseek_v3": (2.2e-4, 2000, "[2412.19437](https://arxiv.org/abs/2412.19437)"),
}

WORDS = {"n_layer": "depth", "warmup_steps": "warm-up", "learning_rate": "rate"}


def measure(name: str) -> dict:
    """Width, layers, and the least and greatest [std, gamma] of each part, to four digits."""
    config, table = config_of(name), audit_published(name)
    parts = {}
    for part in PARTS:
        own = table[table.part == part].sort_values("gamma")
        ends = [own.iloc[0], own.iloc[-1]] if len(own) else []
        parts[part] = [[float(f"{row[key]:.4g}") for key in ("std", "gamma")] for row in ends]
    return {"width": config.hidden_size, "layers": config.num_hidden_layers, "parts": parts}


def load() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


def gammas_table(found: dict) -> str:
    """A row an architecture: the gamma that its own initialization is, part by part."""
    columns = ("Model", "Width", "Std", "Embedding", "Attention", "MLP", "Head")
    lines = [_row(columns), "|---" * len(columns) + "|"]
    for name, one in sorted(found.items(), key=lambda item: item[1]["width"]):
        ends = [pair for part in one["parts"].values() for pair in part]
        stds = _span([std for std, _ in ends], 3)
        gammas = [_span([g for _, g in one["parts"][part]], 2) or "tied" for part in PARTS]
        lines.append(_row((f"`{name}`", one["width"], stds, *gammas)))
    return "\n".join(lines) + "\n"


def advice_table(found: dict) -> str:
    """A row an architecture whose rate is published: what `advise` says, all of it extrapolated."""
    columns = ("Model", "Peak rate, from", "Warm-up steps", "Critical gamma, extrapolated",
               "Least warm-up, extrapolated", "Outside our runs in")
    lines = [_row(columns), "|---" * len(columns) + "|"]
    for name, (rate, steps, source) in RATES.items():
        one = found[name]
        told = advise(one["width"], rate, steps, n_layer=one["layers"])
        critical = "none" if told.critical_gamma is None else f"{told.critical_gamma:.2f}"
        outside = ", ".join(WORDS.get(one, one) for one in told.untested) or "nothing"
        peak = f"{rate:.1e}".replace("e-0", "e-")
        lines.append(_row((f"`{name}`", f"{peak}, {source}", f"{steps:,}", critical,
                           f"{told.least_warmup_steps:,}", outside)))
    return "\n".join(lines) + "\n"


def _span(values: list[float], digits: int) -> str:
    """'0.48', or '0.48–0.83', which no line breaks; '' for nothing."""
    ends = [f"{end:.{digits}f}" for end in (min(values), max(values))] if values else []
    return "–\N{WORD JOINER}".join(dict.fromkeys(ends))


def _row(cells) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    known = load() if FILE.exists() else {}
    for one in sys.argv[1:] or NAMES:
        known[one] = measure(one)
        assert all(math.isfinite(g) for part in known[one]["parts"].values() for _, g in part), one
        ordered = {name: known[name] for name in NAMES if name in known}
        FILE.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
        print(one, known[one], flush=True)
