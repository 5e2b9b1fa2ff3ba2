"""The page of samples: its file is that of the code, and says what the models wrote."""

import json
from dataclasses import replace

import pytest
import samples

RUNS = json.loads(samples.FILE.read_text(encoding="utf-8"))


def test_the_file_is_of_the_runs_that_the_code_describes():
    configs = samples.configs()
    assert [(run["gamma"], run["key"]) for run in RUNS] == [
        (config.init.gamma, config.key) for config in configs
    ]
    assert replace(configs[0], init=configs[1].init) == configs[1]  # they differ in gamma alone
    assert all(tuple(p["step"] for p in run["along"]) == samples.AT for run in RUNS)
    assert all(len(p["text"]) > 20 for run in RUNS for p in run["along"])


@pytest.mark.parametrize("number", range(len(samples.GAMMAS)))
def test_the_first_text_is_made_again_and_training_changes_it(number):
    """The text of untrained weights comes out the same; one step further it is another loss."""
    first, then = samples.along(samples.configs()[number], at=(0, 1))
    kept = RUNS[number]["along"][0]
    assert first["text"] == kept["text"] and first["loss"] == pytest.approx(kept["loss"], abs=0.01)
    assert then["step"] == 1 and then["loss"] < first["loss"]


def test_the_page_has_each_text_with_its_loss_and_nothing_that_a_browser_would_read_as_code():
    point = {"step": 5, "loss": 2.345, "text": "Once\x10 <b>\n& so"}
    page = samples.samples([{"gamma": 0.5, "along": [point]}, {"gamma": 1.0, "along": [point]}])
    assert page.count("<dt>step 5</dt>") == 1 and page.count("2.35 nats") + page.count("2.34") == 2
    assert "γ = 0.5</strong>" in page and "γ = 1</strong>" in page
    assert "<q>Once· &lt;b&gt; &amp; so</q>" in page
