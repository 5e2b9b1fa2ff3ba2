"""Interventions at the edge of the collapse: which change takes it away?

All start from gamma 1 at x = lr d^2 / n_w = 0.82, where about half of the runs collapse, and change
one thing. What the account of the plateau expects of each is `EXPECTED`, written before the runs.
"""

from dataclasses import replace

from ...gpt.config import RunConfig

X = 0.82  # lr d^2 / n_w of the setting that is changed
WARMUP_STEPS, STEPS = 40, 400
BASE = "gamma 1"
# name -> (part of the configuration, fields that change); part None: of the run itself
CHANGES = {
    "zero bias": ("model", {"head_bias": "zero"}),
    "unigram bias": ("model", {"head_bias": "unigram"}),
    "warm-up 20 steps": ("optim", {"warmup": 0.05}),
    "warm-up 120 steps": ("optim", {"warmup": 0.3}),
    "clip 0.3": ("optim", {"clip": 0.3}),
    "no clipping": ("optim", {"clip": 0.0}),
    "beta2 0.99": ("optim", {"beta2": 0.99}),
    "Adam epsilon 1e-15": ("optim", {"eps": 1e-15}),
    "QK-norm": ("model", {"qk_norm": True}),
    "AdamH": ("optim", {"hidden_update": "adamh"}),
    "Muon": ("optim", {"hidden_update": "muon"}),
    "embedding 0.5": ("init", {"parts": "embedding 0.5"}),
    "head 0.5": ("init", {"parts": "head 0.5"}),
    "only the embedding small": ("init", {"gamma": 0.5, "parts": "embedding 1"}),
    "only the head small": ("init", {"gamma": 0.5, "parts": "head 1"}),
}
# name -> (steps, tokens a step in windows, warm-up in steps): the same tokens but for the first
LENGTHS = {
    "800 steps, warm-up 40": (800, 32, 40),
    "1,600 small steps, warm-up 160": (1600, 8, 160),
    "1,600 small steps, warm-up 40": (1600, 8, 40),
}
# Share of runs that collapse, lowest and highest that the account allows, and why.
EXPECTED = {
    BASE: (0.2, 0.9, "x = 0.82: as likely as not in the records of the first edition"),
    "zero bias": (0.2, 1.0, "the bias has to be learned while the weights learn it too"),
    "unigram bias": (0.0, 0.1, "nothing of the unigram law is left to learn"),
    "warm-up 20 steps": (0.8, 1.0, "x = 1.64"),
    "warm-up 120 steps": (0.0, 0.1, "x = 0.27"),
    "clip 0.3": (0.0, 0.7, "in three exploratory runs clipping helped some"),
    "no clipping": (0.2, 1.0, "Adam does not see the size of a gradient, only its change"),
    "beta2 0.99": (0.4, 1.0, "a longer memory of the large first gradients turns later"),
    "Adam epsilon 1e-15": (0.2, 0.9, "gradients here are far above either epsilon"),
    "QK-norm": (0.2, 1.0, "the shared direction is in embedding, head and MLP"),
    "AdamH": (0.0, 0.2, "relative steps are held: nothing can outgrow what is there"),
    "Muon": (0.0, 0.2, "a step has no direction in which it is larger than in others"),
    "embedding 0.5": (0.0, 0.3, "rows that are large are not turned into one direction"),
    "head 0.5": (0.2, 1.0, "the embedding still aligns"),
    "only the embedding small": (0.2, 1.0, "the embedding still aligns"),
    "only the head small": (0.0, 0.3, "rows that are large are not turned into one direction"),
    "800 steps, warm-up 40": (0.2, 0.9, "x = 0.82: how long the rest is does not matter"),
    "1,600 small steps, warm-up 160": (0.0, 0.1, "x = 0.2"),
    "1,600 small steps, warm-up 40": (0.2, 1.0, "x = 0.82"),
}


def settings(width: int = 64) -> dict[str, RunConfig]:
    """name -> its run: the base, and each change of it. The book's recipe at 2 layers, 2 heads."""
    base = RunConfig.from_dict({
        "model": {"width": width}, "init": {"gamma": 1.0}, "steps": STEPS,
        "optim": {"learning_rate": X * WARMUP_STEPS / width**2, "warmup": WARMUP_STEPS / STEPS},
    })  # fmt: skip
    made = {BASE: base}
    for name, (part, fields) in CHANGES.items():
        made[name] = replace(base, **{part: replace(getattr(base, part), **fields)})
    for name, (steps, batch_size, warmup_steps) in LENGTHS.items():
        optim = replace(base.optim, warmup=warmup_steps / steps)
        made[name] = replace(base, steps=steps, batch_size=batch_size, optim=optim)
    return made
