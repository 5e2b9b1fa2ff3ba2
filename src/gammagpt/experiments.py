"""Experiments: parameters -> the runs that answer a question, at the size of a tier."""

import inspect
from dataclasses import asdict, replace

from .claims import Verdict, judge, load_ledger
from .pages import effect
from .probes import ProbeConfig
from .project import PAGES, TIERS, UserError, check_list, results_folder, tier_parameters
from .runs import InitConfig, RunConfig, Store
from .study import LearningRateStudy


def gamma_scaling(
    gammas, fixed_stds, learning_rates, common_learning_rate, tuning_seeds, seeds,
    n_layer, n_head, width, block_size, vocab_size, corpus, steps, batch_size,
    precision,
) -> LearningRateStudy:  # fmt: skip
    """Chapter 2: final loss against gamma, and against fixed stds with and without scaling.

    Lists may also be given as text, as papermill's -p does. Raises UserError for bad values.
    """
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    inits = [InitConfig(gamma=g) for g in check_list("gammas", gammas)]
    for std in check_list("fixed_stds", fixed_stds, empty=True):
        inits += [InitConfig(None, std), InitConfig(None, std, residual_scaling=True)]
    return _study(_by_init(base, inits), learning_rates, tuning_seeds, seeds)


def disguise(
    gammas, usual, small, parts, learning_rates, common_learning_rate, tuning_seeds, seeds,
    n_layer, n_head, width, block_size, vocab_size, corpus, steps, batch_size, precision,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """Is small initialization a learning rate in disguise? Two interventions.

    relative: every matrix takes steps in proportion to its own size. parts: all is drawn with
    gamma `usual` but one of the `parts`, which is drawn with gamma `small`.
    """
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    plain = _by_init(base, [InitConfig(gamma=g) for g in check_list("gammas", gammas)])
    relative = {f"{name}, relative steps": _with(config, optim={"relative": True})
                for name, config in plain.items()}  # fmt: skip
    names = [name.strip() for name in parts.split(",")]
    ends = [InitConfig(gamma=usual), InitConfig(gamma=small)]
    one_part = [InitConfig(gamma=usual, parts=f"{name} {small:g}") for name in names]
    rest = learning_rates, tuning_seeds, seeds
    return {
        "disguise_relative": _study(plain | relative, *rest),
        "disguise_parts": _study(_by_init(base, ends + one_part), *rest),
    }


def restraints(
    gammas, norm_eps, decays, warmups, other_rate, fast_seeds, biting_eps, biting_learning_rates,
    biting_seeds, wide_width, wide_learning_rates, wide_rate, wide_tuning_seeds, wide_seeds, sinks,
    learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head, width, block_size,
    vocab_size, corpus, steps, batch_size, precision,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """What may hold small initialization back: the norm's epsilon, attention sinks, decay, warm-up.

    The first two at all four corners, tuned; what controls for the gate, and the last two, at the
    common rate (and decay and warm-up at one `other_rate` too). On seeds which the others do not
    have: fast, what helps where that rate is too fast; biting, epsilons so large that they bite at
    this width; wide, the usual epsilon and the relaxed one at a width where the usual one bites,
    with the longest warm-up and a common rate of its own, `wide_rate`.
    """
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    base = _with(base, probes={"sinks": sinks})
    plain = _by_init(base, [InitConfig(gamma=g) for g in check_list("gammas", gammas)])
    eps, gate = {"norm_eps": norm_eps}, {"gate": True}
    corners = {"": {}, f", eps {norm_eps:g}": eps, ", gate": gate,
               f", eps {norm_eps:g}, gate": eps | gate}  # fmt: skip
    fewer = {"hidden": base.model.hidden_size - round(width / 3)}  # a gate has width^2 weights
    controls = {", gate, as many weights": gate | fewer,
                ", gate, twice": gate | {"gate_scale": 2.0},
                ", gate, not trained": gate | {"gate_trained": False}}  # fmt: skip
    habits = {f", decay {d:g}": {"weight_decay": d} for d in check_list("decays", decays)}
    habits |= {f", warm-up {w:g}": {"warmup": w} for w in check_list("warmups", warmups)}
    fast = {f", rate {other_rate:g}": {"learning_rate": other_rate}}
    fast |= {f"{name}, rate {other_rate:g}": change | fast[f", rate {other_rate:g}"]
             for name, change in habits.items()}  # fmt: skip
    too_fast = {name: _with(config, optim={"learning_rate": other_rate})
                for name, config in _varied(plain, corners, "model").items()}  # fmt: skip
    longest = {f", warm-up {w:g}": {"warmup": w} for w in [max(check_list("warmups", warmups))]}
    slow_start = _varied({name: too_fast[name] for name in plain}, longest, "optim")
    large = {f", eps {e:g}": {"norm_eps": e} for e in check_list("biting_eps", biting_eps)}
    wide = {name: _with(config, model={"width": wide_width}, optim={"learning_rate": wide_rate})
            for name, config in _varied(plain, longest, "optim").items()}  # fmt: skip
    rest, anew = (tuning_seeds, seeds), (tuning_seeds, fast_seeds)
    return {
        "restraints": _study(_varied(plain, corners, "model"), learning_rates, *rest),
        "restraints_controls": _study(
            _varied(plain, {"": {}, ", gate": gate} | controls, "model"), (), *rest
        ),
        "restraints_habits": _study(_varied(plain, {"": {}} | habits | fast, "optim"), (), *rest),
        "restraints_fast": _study(too_fast | slow_start, (), *anew, optional=True),
        "restraints_biting": _study(
            _varied(plain, {"": {}} | large, "model"), biting_learning_rates, tuning_seeds,
            biting_seeds, optional=True,
        ),
        "restraints_wide": _study(
            _varied(wide, {"": {}, f", eps {norm_eps:g}": eps}, "model"), wide_learning_rates,
            wide_tuning_seeds, wide_seeds, optional=True,
        ),
    }


def development(
    gammas, reference_gamma, reference_rate, reference_seed, spectra, tokens, neurons,
    learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head, width, block_size,
    vocab_size, corpus, steps, batch_size, precision,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """How weights and predictions develop: spectra along the run, and the loss of every token.

    Tuning is that of `gamma_scaling`, run for run, if the sizes are the same. The cosines between
    neurons are for looking at: one seed, the common rate.
    """
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    base = _with(base, probes={"spectra": spectra, "tokens": tokens})
    inits = [InitConfig(gamma=g) for g in check_list("gammas", gammas)]
    reference = replace(base, init=InitConfig(gamma=reference_gamma), seed=reference_seed)
    made = _study(_by_init(base, inits), learning_rates, tuning_seeds, seeds)
    looked_at = _with(base, probes={"spectra": 0, "tokens": 0, "neurons": neurons})
    reference = _with(reference, optim={"learning_rate": reference_rate})
    first = check_list("seeds", seeds, int)[:1]
    return {
        "development": replace(made, reference=reference),
        "development_neurons": _study(_by_init(looked_at, inits), (), tuning_seeds, first),
    }


def critical(
    gammas, learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head, width,
    block_size, vocab_size, corpus, steps, batch_size, precision,
    size_gammas, other_widths, other_layers, other_steps, size_seeds,
    emb_gammas, emb_seeds, emb_rates, emb_rate, keys, tasks, held_out, anchors, anchor_vocab_size,
    activation, emb_width, emb_hidden, emb_steps, emb_batch_size,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """How small is too small? A GPT on text (the runs of `gamma_scaling`), and an Emb-MLP that has
    to reason and to remember, with gammas beyond those of `bias`, on seeds of its own.

    sizes: the GPT at the common rate, with another width, number of layers or of steps.
    """
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    plain = _by_init(base, [InitConfig(gamma=g) for g in check_list("size_gammas", size_gammas)])
    widths, layers, counts = (
        check_list(name, given, int)
        for name, given in {"other_widths": other_widths, "other_layers": other_layers,
                            "other_steps": other_steps}.items()
    )  # fmt: skip
    shapes = {f", width {w}": {"width": w} for w in widths}
    shapes |= {f", layers {n}": {"n_layer": n} for n in layers}
    sizes = _varied(plain, shapes, "model") | _of_lengths(plain, counts)
    data = {"kind": "anchors", "keys": keys, "tasks": tasks, "held_out": held_out,
            "anchors": anchors, "vocab_size": anchor_vocab_size, "length": anchors + 1,
            "samples": 0}  # fmt: skip
    emb_mlp = {"kind": "emb_mlp", "width": emb_width, "hidden": emb_hidden,
               "activation": activation}  # fmt: skip
    return {
        "critical_text": gamma_scaling(
            gammas, [], learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head,
            width, block_size, vocab_size, corpus, steps, batch_size, precision,
        ),
        "critical_sizes": _study(sizes, (), tuning_seeds, size_seeds, optional=True),
        "critical_emb_mlp": _anchor_study(
            emb_mlp, data, emb_gammas, emb_steps, emb_batch_size, emb_rates, emb_rate,
            tuning_seeds, emb_seeds, precision, 0,
        ),
    }  # fmt: skip


def scaling(
    gammas, between, fixed_stds, widths, lengths, norm_eps, relaxed_learning_rates, fresh_widths,
    fresh_learning_rates, fresh_tuning_seeds, fresh_seeds, long_warmup, depths,
    depth_learning_rates, depth_tuning_seeds, depth_seeds, learning_rates, common_learning_rate,
    tuning_seeds, seeds, n_layer, n_head, width, block_size, vocab_size, corpus, steps, batch_size,
    precision,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """Does the gain grow with the model, and with the text? And when both restraints are relaxed?

    relaxed: the norm's epsilon is `norm_eps` and attention has a gate, as in `restraints`; its
    rates are a list of their own, since all of `widths` are trained twice there. fresh: two widths
    once more, on more seeds, none of which the others have seen; freed: and relaxed; slow: and
    with a longer warm-up. depth: other numbers of layers, on seeds of their own; patient: and
    with the longer warm-up. The gammas `between` are trained at every width, as usual.
    """
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    plain = _by_init(base, [InitConfig(gamma=g) for g in check_list("gammas", gammas)])
    more = sorted({*check_list("gammas", gammas), *check_list("between", between, empty=True)})
    stds = check_list("fixed_stds", fixed_stds, empty=True)
    starts = [InitConfig(gamma=g) for g in more] + [InitConfig(None, std) for std in stds]
    wide, again = (
        {f", width {w}": {"width": w} for w in check_list(name, given, int)}
        for name, given in {"widths": widths, "fresh_widths": fresh_widths}.items()
    )
    relaxed, freed = (
        {f"{name}, relaxed": change | {"norm_eps": norm_eps, "gate": True}
         for name, change in sizes.items()} for sizes in (wide, again)
    )  # fmt: skip
    widest = dict([max(again.items(), key=lambda item: item[1]["width"])])
    usual = _varied(plain, again, "model")
    longer = {f", warm-up {long_warmup:g}": {"warmup": long_warmup}}
    slow = _varied(usual, longer, "optim")
    long = _of_lengths(plain, check_list("lengths", lengths, int))
    layers = {f", layers {n}": {"n_layer": n} for n in check_list("depths", depths, int)}
    deep = _varied(plain, layers, "model")
    of_depth = depth_learning_rates, depth_tuning_seeds, depth_seeds
    rest = tuning_seeds, seeds
    anew = fresh_learning_rates, fresh_tuning_seeds, fresh_seeds
    return {
        "scaling_width": _study(
            _varied(_by_init(base, starts), wide, "model"), learning_rates, *rest
        ),
        "scaling_relaxed": _study(
            _varied(plain, wide | relaxed, "model"), relaxed_learning_rates, *rest
        ),
        "scaling_length": _study(long, learning_rates, *rest),
        "scaling_fresh": _study(usual, *anew, optional=True),
        "scaling_freed": _study(_varied(plain, widest | freed, "model"), *anew, optional=True),
        "scaling_slow": _study(_varied(plain, widest, "model") | slow, *anew, optional=True),
        "scaling_depth": _study(deep, *of_depth, optional=True),
        "scaling_patient": _study(_varied(deep, longer, "optim"), *of_depth, optional=True),
    }


def lasting(
    usual, small, gpt2_std, lengths, learning_rates, common_learning_rate, tuning_seeds, seeds,
    n_layer, n_head, width, block_size, vocab_size, corpus, batch_size, precision,
) -> LearningRateStudy:  # fmt: skip
    """Does the gain last? Three starts, trained as briefly as elsewhere and many times as long."""
    counts = check_list("lengths", lengths, int)
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     min(counts), batch_size, precision)  # fmt: skip
    inits = [InitConfig(gamma=usual), InitConfig(gamma=small),
             InitConfig(None, gpt2_std, residual_scaling=True)]  # fmt: skip
    settings = _of_lengths(_by_init(base, inits), counts)
    return _study(settings, learning_rates, tuning_seeds, seeds, optional=True)


def rule(
    usual, small, gpt2_std, tiny_embedding, long_warmup, slow_tuning_seeds, slow_seeds,
    learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head, width, block_size,
    vocab_size, corpus, steps, batch_size, precision, ring_gammas, ring_seeds, ring_rates,
    ring_rate, keys, tasks, anchors, ring_vocab_size, activation, ring_width, ring_hidden,
    ring_steps, ring_batch_size,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """What a practitioner would do tomorrow: the gamma rule beside four other initializations, on
    seeds that no other chapter compares; and a task on which a small start is said to lose.

    slow: the usual initialization, the rule and GPT-2's, each with two warm-ups, on seeds that no
    other study has.
    """
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    inits = [
        InitConfig(gamma=usual),
        InitConfig(gamma=small),
        InitConfig(None, gpt2_std, residual_scaling=True),
        InitConfig(gamma=usual, parts=f"embedding {tiny_embedding:g}"),
        InitConfig(gamma=usual, depth_scaling=True),
    ]
    warmups = {"": {}, f", warm-up {long_warmup:g}": {"warmup": long_warmup}}
    data = {"kind": "anchors", "keys": keys, "tasks": tasks, "held_out": "", "anchors": anchors,
            "vocab_size": ring_vocab_size, "length": anchors + 1, "samples": 0}  # fmt: skip
    emb_mlp = {"kind": "emb_mlp", "width": ring_width, "hidden": ring_hidden,
               "activation": activation}  # fmt: skip
    return {
        "rule_text": _study(_by_init(base, inits), learning_rates, tuning_seeds, seeds),
        "rule_slow": _study(_varied(_by_init(base, inits[:3]), warmups, "optim"), learning_rates,
                            slow_tuning_seeds, slow_seeds, optional=True),
        "rule_ring": _anchor_study(emb_mlp, data, ring_gammas, ring_steps, ring_batch_size,
                                   ring_rates, ring_rate, tuning_seeds, ring_seeds, precision, 0),
    }  # fmt: skip


def bias(
    keys, tasks, held_out, anchors, vocab_size, tuning_seeds, seeds, precision, probes,
    emb_gammas, activation, emb_width, emb_hidden, emb_steps, emb_batch_size,
    emb_learning_rates, emb_common_rate,
    gpt_gammas, samples, length, n_layer, n_head, width, positions, steps, batch_size,
    learning_rates, common_rate,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """The second paper's tasks, learned by an Emb-MLP and by a Transformer.

    The Emb-MLP gets key and anchors only, and each sequence there is; the Transformer finds them
    among noise, `length` tokens in all. Raises UserError for bad values.
    """
    data = {"kind": "anchors", "keys": keys, "tasks": tasks, "held_out": held_out,
            "anchors": anchors, "vocab_size": vocab_size}  # fmt: skip
    rest = tuning_seeds, seeds, precision, probes
    emb_mlp = {"kind": "emb_mlp", "width": emb_width, "hidden": emb_hidden,
               "activation": activation}  # fmt: skip
    gpt = {"n_layer": n_layer, "n_head": n_head, "width": width, "positions": positions}
    short = data | {"length": anchors + 1, "samples": 0}
    long = data | {"length": length, "samples": samples}
    return {
        "bias_emb_mlp": _anchor_study(emb_mlp, short, emb_gammas, emb_steps, emb_batch_size,
                                      emb_learning_rates, emb_common_rate, *rest),
        "bias_gpt": _anchor_study(gpt, long, gpt_gammas, steps, batch_size, learning_rates,
                                  common_rate, *rest),
    }  # fmt: skip


def labels(
    keys, range_tasks, near_tasks, anchors, vocab_size, tuning_seeds, seeds, precision, probes,
    gammas, activation, emb_width, emb_hidden, emb_steps, emb_batch_size, emb_learning_rates,
    emb_common_rate,
) -> dict[str, LearningRateStudy]:  # fmt: skip
    """Memory alone, with laws that say more or less about the labels (arXiv 2502.04375, Fig. 8)."""
    emb_mlp = {"kind": "emb_mlp", "width": emb_width, "hidden": emb_hidden,
               "activation": activation}  # fmt: skip
    data = {"kind": "anchors", "keys": keys, "held_out": "", "anchors": anchors,
            "vocab_size": vocab_size, "length": anchors + 1, "samples": 0}  # fmt: skip
    rest = (gammas, emb_steps, emb_batch_size, emb_learning_rates, emb_common_rate, tuning_seeds,
            seeds, precision, probes)  # fmt: skip
    return {
        "labels_ranges": _anchor_study(emb_mlp, data | {"tasks": range_tasks}, *rest),
        "labels_near": _anchor_study(emb_mlp, data | {"tasks": near_tasks}, *rest),
    }


def language(
    gammas, learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head, width,
    block_size, vocab_size, corpus, steps, batch_size, precision, probes,
) -> LearningRateStudy:  # fmt: skip
    """A GPT on a mixture of texts, one that asks to reason and one that does not."""
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    base = _measured(base, losses=25, final_windows=256, geometry=probes)
    inits = [InitConfig(gamma=g) for g in check_list("gammas", gammas)]
    return _study(_by_init(base, inits), learning_rates, tuning_seeds, seeds)


def gains(
    gammas, learning_rates, common_learning_rate, tuning_seeds, seeds, n_layer, n_head, width,
    block_size, vocab_size, corpus, steps, batch_size, precision,
) -> LearningRateStudy:  # fmt: skip
    """A GPT on a mixture of texts that ask to reason, to remember, or for neither."""
    base = _text_run(n_layer, n_head, width, block_size, vocab_size, corpus, common_learning_rate,
                     steps, batch_size, precision)  # fmt: skip
    base = _measured(base, losses=13, windows=32, final_windows=256)
    inits = [InitConfig(gamma=g) for g in check_list("gammas", gammas)]
    return _study(_by_init(base, inits), learning_rates, tuning_seeds, seeds)


def _text_run(
    n_layer, n_head, width, block_size, vocab_size, corpus, learning_rate, steps, batch_size,
    precision,
) -> RunConfig:  # fmt: skip
    """A GPT on text; what a notebook's parameters say of its size."""
    model = {"n_layer": n_layer, "n_head": n_head, "width": width, "block_size": block_size}
    run = RunConfig.from_dict({
        "model": model | {"vocab_size": vocab_size},
        "optim": {"learning_rate": learning_rate},
        "data": {"corpus": corpus, "vocab_size": vocab_size},
        "steps": steps, "batch_size": batch_size, "precision": precision,
    })  # fmt: skip
    return _measured(run, **asdict(ProbeConfig())).pinned()


def _measured(run: RunConfig, **counts) -> RunConfig:
    """The run with these counts of its ProbeConfig, but none finer than the run is long.

    Only runs of tier smoke are so short; there, measuring would cost more than training.
    """
    most = {"losses": 2 + run.steps // 4, "windows": 2 * run.steps, "final_windows": 4 * run.steps}
    return _with(run, probes={n: min(count, most.get(n, count)) for n, count in counts.items()})


def _anchor_study(
    model, data, gammas, steps, batch_size, learning_rates, common_rate, tuning_seeds, seeds,
    precision, probes,
) -> LearningRateStudy:  # fmt: skip
    base = RunConfig.from_dict({
        "model": model | {"vocab_size": data["vocab_size"], "block_size": data["length"]},
        "optim": {"learning_rate": common_rate}, "data": data, "steps": steps,
        "batch_size": batch_size, "precision": precision,
    })  # fmt: skip
    base = _measured(base, losses=31, windows=200, final_windows=2000, geometry=probes)
    inits = [InitConfig(gamma=g) for g in check_list("gammas", gammas)]
    return _study(_by_init(base.pinned(), inits), learning_rates, tuning_seeds, seeds)


def _by_init(base: RunConfig, inits) -> dict[str, RunConfig]:
    return {init.label: replace(base, init=init) for init in inits}


def _of_lengths(settings, counts) -> dict[str, RunConfig]:
    """Every setting at each number of steps, which its name says."""
    return {
        f"{name}, {steps} steps": replace(config, steps=steps)
        for steps in counts
        for name, config in settings.items()
    }


def _varied(settings, variants: dict[str, dict], part: str) -> dict[str, RunConfig]:
    """Every setting with every variant of a part of its configuration, its name added."""
    return {
        name + words: _with(config, **{part: change})
        for words, change in variants.items()
        for name, config in settings.items()
    }


def _with(config: RunConfig, **parts) -> RunConfig:
    """The run with some fields of its parts changed: _with(config, optim={"warmup": 0.3})."""
    changed = {name: replace(getattr(config, name), **fields) for name, fields in parts.items()}
    return replace(config, **changed)


def _study(settings, learning_rates, tuning_seeds, seeds, optional=False) -> LearningRateStudy:
    """Without seeds an optional study is left to a larger tier: nothing is tuned either."""
    rates = tuple(sorted(check_list("learning_rates", learning_rates, empty=True)))
    chosen_on = tuple(check_list("tuning_seeds", tuning_seeds, int))
    compared = tuple(check_list("seeds", seeds, int, empty=optional))
    if not compared:
        rates = chosen_on = ()
    return LearningRateStudy(settings, rates, chosen_on, compared)


# Name -> what makes its study, and the notebook whose parameters in a tier say how large it is.
EXPERIMENTS = {
    "gamma_scaling": (gamma_scaling, "02_gamma_scaling"),
    "bias_emb_mlp": (bias, "03_bias"),
    "bias_gpt": (bias, "03_bias"),
    "labels_ranges": (labels, "06_labels"),
    "labels_near": (labels, "06_labels"),
    "language": (language, "07_language"),
    "disguise_relative": (disguise, "08_disguise"),
    "disguise_parts": (disguise, "08_disguise"),
    "restraints": (restraints, "09_restraints"),
    "restraints_controls": (restraints, "09_restraints"),
    "restraints_habits": (restraints, "09_restraints"),
    "restraints_fast": (restraints, "09_restraints"),
    "restraints_biting": (restraints, "09_restraints"),
    "restraints_wide": (restraints, "09_restraints"),
    "development": (development, "10_condensation"),
    "development_neurons": (development, "10_condensation"),
    "critical_text": (critical, "12_critical"),
    "critical_sizes": (critical, "12_critical"),
    "critical_emb_mlp": (critical, "12_critical"),
    "gains": (gains, "14_gains"),
    "scaling_width": (scaling, "13_scaling"),
    "scaling_relaxed": (scaling, "13_scaling"),
    "scaling_length": (scaling, "13_scaling"),
    "scaling_fresh": (scaling, "13_scaling"),
    "scaling_freed": (scaling, "13_scaling"),
    "scaling_slow": (scaling, "13_scaling"),
    "scaling_depth": (scaling, "13_scaling"),
    "scaling_patient": (scaling, "13_scaling"),
    "lasting": (lasting, "16_lasting"),
    "rule_text": (rule, "15_rule"),
    "rule_slow": (rule, "15_rule"),
    "rule_ring": (rule, "15_rule"),
}


def study(experiment: str, tier: str, **changed) -> LearningRateStudy:
    """An experiment at the size of a tier, with some of its parameters `changed`.

    Raises UserError for a name that is unknown.
    """
    if experiment not in EXPERIMENTS:
        allowed = ", ".join(EXPERIMENTS)
        raise UserError(f"experiment: got {experiment!r}, allowed are {allowed}")
    make, notebook = EXPERIMENTS[experiment]
    given = {k: v for k, v in tier_parameters(tier)[notebook].items() if k != "tier"} | changed
    if wrong := set(inspect.signature(make).parameters) ^ set(given):
        names = ", ".join(sorted(wrong))
        raise UserError(f"{tier}.yml: {notebook} lacks, or does not know, {names}")
    made = make(**given)
    return made[experiment] if isinstance(made, dict) else made


def verdicts(tier: str = PAGES, folder=None, claims=None) -> list[Verdict]:
    """The verdict of every claim of the ledger, from the records of a tier; trains nothing.

    The records may be in another `folder`, and the `claims` be fewer.
    """
    claims, store = claims or load_ledger(), Store(folder or results_folder(tier))
    names = {claim.experiment for claim in claims}
    frames = {name: study(name, tier).collect(store) for name in names}
    return [judge(claim, frames[claim.experiment], tier) for claim in claims]


def at_tiers(claims):
    """A frame for the end of a chapter: what each tier but smoke says of these claims.

    Columns: tier, claim, effect, verdict, runs or pairs, why. A tier without any run of them has
    one row. From the records of the book's own settings, whatever the page's parameters are.
    """
    import pandas as pd

    rows = []
    for tier in TIERS[1:]:
        found = verdicts(tier, claims=claims)
        if any(verdict.n for verdict in found):
            rows += [(tier, v.claim.title, effect(v), v.verdict, v.n, v.reason) for v in found]
        else:
            rows.append((tier, "all of them", "–", "not run", 0, "no records"))
    columns = ["tier", "claim", "effect", "verdict", "runs or pairs", "why"]
    return pd.DataFrame(rows, columns=columns)
