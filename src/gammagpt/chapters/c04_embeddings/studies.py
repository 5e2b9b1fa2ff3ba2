"""The runs of chapter 3 once more, looked at while they are trained."""

from ...lab.anchor_studies import tuned_emb_mlp, tuned_gpt
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, TunedStudy]:
    """probed_emb, probed_gpt: chapter 3's models and tuning; the runs that are compared are probed,
    and chapter 5 reads the same. Raises UserError for bad values."""
    tasks = {"tasks": p.tasks, "held_out": p.held_out, "vocab_size": p.vocab_size}
    return {"probed_emb": tuned_emb_mlp(p, tasks, p.emb_gammas, p.probes),
            "probed_gpt": tuned_gpt(p, tasks, p.gpt_gammas, p.probes)}
