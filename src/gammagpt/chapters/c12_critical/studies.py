"""How small is too small? Each gamma tuned: a GPT on text, and an Emb-MLP that has to reason."""

import math

from ...lab.recipe import at_expected_rates, sized
from ...lab.settings import Settings, emb_mlp, gpt_on_text, on_anchors, over_inits
from ...lab.study import LearningRateStudy
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """critical_text: a GPT on text; two of its gammas are runs of chapter 2. critical_balance: an
    Emb-MLP on the tasks of chapter 3, three of whose gammas it has. Raises UserError for bad
    values."""
    text = at_expected_rates(over_inits(sized(p, gpt_on_text(p, 400)), gammas=p.gammas))
    tasks = {"tasks": p.tasks, "held_out": p.held_out, "vocab_size": p.anchor_vocab_size}
    emb = on_anchors(
        p, emb_mlp(p), tasks, gammas=p.emb_gammas, rates=(), rate=p.emb_expected_rate,
        steps=p.emb_steps, batch_size=p.emb_batch_size, seeds=p.emb_seeds,
    )
    emb = Settings(emb.settings).set("optim", warmup=p.warmup)
    return {
        "critical_text": TunedStudy(
            dict(text), tuple(sorted(p.factors)), tuple(p.tuning_seeds), tuple(p.seeds)),
        # Every seed draws a memory table of its own: no loss says that a run collapsed.
        "critical_balance": TunedStudy(
            dict(emb), tuple(sorted(p.emb_factors)), tuple(p.emb_tuning_seeds),
            tuple(p.emb_seeds), collapse=math.inf),
    }
