"""How small is too small? A GPT on text, and an Emb-MLP that has to reason and to remember."""

from ...lab.settings import emb_mlp, gpt_on_text, on_anchors, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """text: runs of chapter 2. sizes: the GPT at the common rate, with another width, number of
    layers or of steps. emb_mlp: gammas beyond those of chapter 3, on seeds of its own. Raises
    UserError for bad values."""
    base = gpt_on_text(p)
    text, plain = over_inits(base, gammas=p.gammas), over_inits(base, gammas=p.size_gammas)
    sizes = plain.over("model", width=p.other_widths) | plain.over("model", n_layer=p.other_layers)
    sizes |= plain.over(steps=p.other_steps)
    tasks = {"tasks": p.tasks, "held_out": p.held_out, "vocab_size": p.anchor_vocab_size}
    return {
        "critical_text": study(text, p.learning_rates, p.tuning_seeds, p.seeds),
        "critical_sizes": study(sizes, (), p.tuning_seeds, p.size_seeds, optional=True),
        "critical_emb_mlp": on_anchors(
            p, emb_mlp(p), tasks, gammas=p.emb_gammas, rates=p.emb_rates, rate=p.emb_rate,
            steps=p.emb_steps, batch_size=p.emb_batch_size, seeds=p.emb_seeds,
        ),
    }  # fmt: skip
