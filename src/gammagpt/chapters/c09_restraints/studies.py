"""What may hold small initialization back: the norm's epsilon, attention sinks, decay, warm-up."""

from ...lab.settings import gpt_on_text, over_inits, study
from ...lab.study import LearningRateStudy


def studies(p) -> dict[str, LearningRateStudy]:
    """Epsilon and gate at all four corners, tuned; what controls for the gate, and decay and
    warm-up, at the common rate. On seeds that these do not have: what helps where a rate is too
    fast, epsilons that bite, and a wide model. Raises UserError for bad values."""
    plain = over_inits(gpt_on_text(p, sinks=p.sinks), gammas=p.gammas)
    seeds = p.tuning_seeds, p.seeds
    return {
        "restraints": study(plain.over("model", corners(p)), p.learning_rates, *seeds),
        "restraints_controls": study(plain.over("model", controls(p, plain)), (), *seeds),
        "restraints_habits": study(plain.over("optim", habits(p)), (), *seeds),
    } | on_other_seeds(p, plain)


def corners(p) -> dict:
    """The usual model, and with a smaller epsilon, a gate on attention, or both."""
    eps, gate, small = {"norm_eps": p.norm_eps}, {"gate": True}, f", eps {p.norm_eps:g}"
    return {"": {}, small: eps, ", gate": gate, f"{small}, gate": eps | gate}


def controls(p, plain) -> dict:
    """What a gate might do apart from gating: add weights, halve, or be trained."""
    model, gate = next(iter(plain.values())).model, {"gate": True}
    fewer = {"hidden": model.hidden_size - round(p.width / 3)}  # a gate has width^2 weights
    return {
        "": {}, ", gate": gate, ", gate, as many weights": gate | fewer,
        ", gate, twice": gate | {"gate_scale": 2.0},
        ", gate, not trained": gate | {"gate_trained": False},
    }


def habits(p) -> dict:
    """Weight decays and warm-ups, at the common rate and at another one."""
    every = {f", decay {d:g}": {"weight_decay": d} for d in p.decays}
    every |= {f", warm-up {w:g}": {"warmup": w} for w in p.warmups}
    other = {"learning_rate": p.other_rate}
    fast = {f"{name}, rate {p.other_rate:g}": fields | other
            for name, fields in {"": {}, **every}.items()}
    return {"": {}} | every | fast


def on_other_seeds(p, plain) -> dict[str, LearningRateStudy]:
    """fast: what helps where `other_rate` is too fast. biting: epsilons so large that they bite at
    this width. wide: the usual epsilon and the small one where the usual one bites, with the
    longest warm-up and a common rate of its own."""
    fast, long = plain.set("optim", learning_rate=p.other_rate), [max(p.warmups)]
    wide = plain.over("optim", warmup=long).set("optim", learning_rate=p.wide_rate)
    wide = wide.set("model", width=p.wide_width)
    eps = {name: fields for name, fields in corners(p).items() if "gate" not in fields}
    return {
        "restraints_fast": study(
            fast.over("model", corners(p)) | fast.over("optim", warmup=long), (), p.tuning_seeds,
            p.fast_seeds, optional=True,
        ),
        "restraints_biting": study(
            plain | plain.over("model", norm_eps=p.biting_eps), p.biting_learning_rates,
            p.tuning_seeds, p.biting_seeds, optional=True,
        ),
        "restraints_wide": study(
            wide.over("model", eps), p.wide_learning_rates, p.wide_tuning_seeds, p.wide_seeds,
            optional=True,
        ),
    }
