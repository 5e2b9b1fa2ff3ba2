"""Memory alone, with laws that say more or less about the labels (arXiv 2502.04375, Fig. 8)."""

from ...lab.settings import emb_mlp, on_anchors
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """An Emb-MLP on two sets of tasks. Raises UserError for bad values."""
    sets = {"labels_ranges": p.range_tasks, "labels_near": p.near_tasks}
    return {
        name: on_anchors(
            p, emb_mlp(p), {"tasks": tasks, "vocab_size": p.vocab_size}, gammas=p.gammas,
            rates=p.emb_learning_rates, rate=p.emb_common_rate, steps=p.emb_steps,
            batch_size=p.emb_batch_size, seeds=p.seeds, probes=p.probes,
        )
        for name, tasks in sets.items()
    }
