"""Memory alone, with laws that say more or less about the labels (arXiv 2502.04375, Fig. 8)."""

from dataclasses import replace

from ...lab.anchor_studies import tuned_emb_mlp
from ...lab.tuned import TunedStudy


def studies(p) -> dict[str, TunedStudy]:
    """label_ranges, label_near: an Emb-MLP on two sets of tasks. label_order: the first once more,
    on other seeds. Raises UserError for bad values."""
    sets = {"label_ranges": p.range_tasks, "label_near": p.near_tasks}
    found = {
        name: tuned_emb_mlp(p, {"tasks": tasks, "vocab_size": p.vocab_size}, p.gammas, p.probes)
        for name, tasks in sets.items()
    }
    return found | {"label_order": replace(found["label_ranges"], seeds=tuple(p.order_seeds))}
