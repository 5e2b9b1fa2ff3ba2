"""The page "Where does your model stand?": measured, up to date, and there without transformers."""

import subprocess
import sys

import architectures
import pytest
from helpers import refusal, strict_json

from gammagpt import advise, implied_gamma
from gammagpt.cli import main
from gammagpt.gpt.published import build, config_of

FOUND = architectures.load()


@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_an_architecture_measured_again_is_as_the_page_says(name):
    again = architectures.measure(name)
    assert again.keys() == FOUND[name].keys() and again["width"] == FOUND[name]["width"]
    for part, ends in FOUND[name]["parts"].items():
        for one, other in zip(again["parts"][part], ends, strict=True):
            assert one == pytest.approx(other, rel=1e-2)


def test_every_architecture_has_the_size_that_transformers_publishes():
    assert list(FOUND) == list(architectures.NAMES) and len(FOUND) >= 20
    for name, one in FOUND.items():
        config = config_of(name)
        assert (one["width"], one["layers"]) == (config.hidden_size, config.num_hidden_layers)
        std, gamma = one["parts"]["attention"][0]
        assert gamma == pytest.approx(implied_gamma(std, one["width"]), abs=0.2)
        if name not in ("gpt2", "opt", "gptj", "falcon", "deepseek_v3"):
            assert std == pytest.approx(config.initializer_range, rel=0.02), name


def test_the_tables_have_a_row_for_each_and_say_what_is_extrapolated():
    rows = architectures.gammas_table(FOUND).splitlines()
    assert len(rows) == len(FOUND) + 2
    assert rows[2].startswith("| `gpt2` | 768 | 0.004–\N{WORD JOINER}0.020 |")
    assert rows[2].endswith("| tied |") and " to " not in " ".join(rows)
    assert all(row.count("|") == 8 for row in rows)  # as many as the page is wide: none is cut off
    assert "nan" not in " ".join(rows)
    advice = architectures.advice_table(FOUND).splitlines()
    assert len(advice) == len(architectures.RATES) + 2
    told = advise(4096, 3e-4, 2000)
    [llama] = [row for row in advice if row.startswith("| `llama` ")]
    assert f"| {told.least_warmup_steps:,} | width, warm-up, depth |" in llama
    assert advice[0].count("extrapolated") == 2 and "| 3.0e-4, [2302.13971](" in llama


def test_the_tables_are_made_without_transformers():
    code = ("import sys; sys.modules['transformers'] = None\nimport architectures as a\n"
            "print(len(a.gammas_table(a.load())))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=architectures.FILE.parent)
    assert int(done.stdout or 0) > 500, done.stderr


# ---- python -m gammagpt audit --hf ---------------------------------------------------------------


def test_an_architecture_is_audited_by_its_name(capsys):
    assert main(["audit", "--hf", "gpt2", "--json"]) == 0
    rows = strict_json(capsys.readouterr().out)
    assert {row["part"] for row in rows} == {"embedding", "attention", "mlp"}
    [projection] = [row for row in rows if row["tensor"].endswith("mlp.c_proj.weight")]
    assert projection["d_in"] == 3072
    assert projection["std"] == pytest.approx(0.02 / 24**0.5, rel=0.01)


def test_a_folder_with_a_configuration_will_do(tmp_path):
    from transformers import AutoConfig

    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
             "num_attention_heads": 2, "num_key_value_heads": 2,
             "initializer_range": 0.3}
    AutoConfig.for_model("llama", **small).save_pretrained(tmp_path)
    weight = build(str(tmp_path)).model.layers[0].mlp.down_proj.weight
    assert weight.shape == (32, 48) and weight.std().item() == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("name, words", [
    ("no-such-model", "a model type like llama"), ("vit", "a decoder"),
    ("openai-gpt", "the constructor alone"), ("", "a model type like llama"),
])
def test_what_cannot_be_built_is_refused(name, words):
    assert words in refusal(build, name)


def test_without_transformers_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install transformers" in refusal(config_of, "llama")


def test_a_published_architecture_is_not_drawn_by_the_rule(capsys):
    assert main(["audit", "--hf", "gpt2", "--gamma", "0.8"]) == 2
    assert capsys.readouterr().err.startswith("error: --hf: got 'gpt2', allowed without --gamma")


def test_no_name_is_not_a_model_of_ours(capsys):
    assert main(["audit", "--hf", ""]) == 2
    assert capsys.readouterr().err.startswith("error: --hf: got ''")
