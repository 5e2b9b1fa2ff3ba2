"""What a practitioner would do tomorrow: the gamma rule beside four other initializations."""

from ...gpt.config import InitConfig
from ...lab.settings import emb_mlp, gpt2, gpt_on_text, on_anchors, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """text: on seeds that no other chapter compares. slow: the usual initialization, the rule and
    GPT-2's, each with two warm-ups, on seeds that no other study has. ring: a task on which a
    small initialization is said to lose. Raises UserError for bad values."""
    base = gpt_on_text(p)
    three = over_inits(base, gpt2(p.gpt2_std), gammas=[p.usual, p.small])
    tiny = InitConfig(gamma=p.usual, parts=f"embedding {p.tiny_embedding:g}")
    five = three | over_inits(base, tiny, InitConfig(gamma=p.usual, depth_scaling=True))
    slow = three | three.over("optim", warmup=[p.long_warmup])
    return {
        "rule_text": study(five, p.learning_rates, p.tuning_seeds, p.seeds),
        "rule_slow": study(
            slow, p.learning_rates, p.slow_tuning_seeds, p.slow_seeds, optional=True
        ),
        "rule_ring": on_anchors(
            p, emb_mlp(p, "ring"), {"tasks": p.tasks, "vocab_size": p.ring_vocab_size},
            gammas=p.ring_gammas, rates=p.ring_rates, rate=p.ring_rate, steps=p.ring_steps,
            batch_size=p.ring_batch_size, seeds=p.ring_seeds,
        ),
    }
