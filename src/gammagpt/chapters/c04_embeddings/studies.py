"""The second paper's tasks, learned by an Emb-MLP and by a Transformer."""

from ...lab.settings import emb_mlp, on_anchors
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """The Emb-MLP gets key and anchors only, and each sequence there is; the Transformer finds
    them among noise, `length` tokens in all. Raises UserError for bad values."""
    tasks = {"tasks": p.tasks, "held_out": p.held_out, "vocab_size": p.vocab_size}
    gpt = {"n_layer": p.n_layer, "n_head": p.n_head, "width": p.width, "positions": p.positions}
    return {
        "bias_emb_mlp": on_anchors(
            p, emb_mlp(p), tasks, gammas=p.emb_gammas, rates=p.emb_learning_rates,
            rate=p.emb_common_rate, steps=p.emb_steps, batch_size=p.emb_batch_size,
            seeds=p.seeds, probes=p.probes,
        ),
        "bias_gpt": on_anchors(
            p, gpt, tasks | {"length": p.length, "samples": p.samples}, gammas=p.gpt_gammas,
            rates=p.learning_rates, rate=p.common_rate, steps=p.steps, batch_size=p.batch_size,
            seeds=p.seeds, probes=p.probes,
        ),
    }
