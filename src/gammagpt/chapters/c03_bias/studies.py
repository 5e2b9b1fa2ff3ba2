"""The second paper's tasks, learned by an Emb-MLP and by a Transformer, each gamma tuned."""

from ...lab.anchor_studies import tuned_emb_mlp, tuned_gpt
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, TunedStudy]:
    """first_emb, first_gpt. The Emb-MLP gets key and anchors only, and each sequence there is; the
    Transformer finds them among noise. Raises UserError for bad values."""
    tasks = {"tasks": p.tasks, "held_out": p.held_out, "vocab_size": p.vocab_size}
    return {"first_emb": tuned_emb_mlp(p, tasks, p.emb_gammas),
            "first_gpt": tuned_gpt(p, tasks, p.gpt_gammas)}
