"""Distil: what the kept images are worth in a sentence, the images by class, and no button without two clusters."""

import json

import numpy as np
import pytest

from engine.distillation.settings import TITLES
from pages.distil.result import verdict
from tests.pages.conftest import facts
from tests.seed import clustered_pictures, coloured_pictures


def entry(mean):
    return {"mean": mean, "std": 0.01, "agreement": mean}


def results(own=0.62, simple=0.58):
    return {
        "images": {"distilled": 9, "train": 24},
        "compression": 24 / 9,
        "retention": own / 0.66,
        "chosen": "selmatch",
        "full": entry(0.66),
        "distilled": {"selmatch": entry(own)},
        "baselines": {"random": entry(0.4), "kmeans": entry(simple)},
        "measured_against": "true labels",
        "notes": ["A note."],
    }


@pytest.fixture
def distilled(workspace, tmp_path):
    """A run of three clusters with the files of a distillation, three images of each."""
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    folder = run.folder / "distillation"
    folder.mkdir()
    kept = np.concatenate([np.flatnonzero(run.assignments == cluster)[:3] for cluster in range(3)])
    np.savez(folder / "selmatch.npz", nearest_contents=run.contents[kept], labels=run.assignments[kept])
    (folder / "results.json").write_text(json.dumps(results()))
    return rows, run


def opened(app):
    app.run()
    app.switch_page("pages/distil/page.py").run()
    assert not app.exception and not app.error
    return app


def test_a_gain_is_told_beside_the_best_simple_choice_and_no_gain_as_what_it_is():
    assert "9 images train a classifier to 62%" in verdict(results())
    assert "For comparison, the best simple choice" in verdict(results()) and "58%" in verdict(results())
    assert "That is no gain" in verdict(results(own=0.55))
    unmeasured = results() | {"full": {}, "distilled": {"selmatch": {}}}
    assert "was not measured" in verdict(unmeasured)


def test_the_result_shows_its_figures_and_what_can_be_taken_along(distilled, app):
    opened(app)
    found = facts(app)
    assert found["images kept"] == "9" and found["of the accuracy kept"] == "94%"
    assert TITLES["selmatch"] in found.values()
    assert any(button.label == "Copy" and button.proto.type == "primary" for button in app.button)
    again = next(button for button in app.button if button.key == "distil_start")
    assert again.label.startswith("Distil again") and again.proto.type == "secondary"
    assert any("A note" in text.value for text in app.caption)


def test_fewer_than_two_classes_offer_no_button(distilled, app):
    _, run = distilled
    arrays = dict(run.predictions)
    np.savez(run.folder / "predictions.npz", **arrays | {"assignments": np.zeros(30, np.int32)})
    opened(app)
    assert not any(button.key == "distil_start" for button in app.button)
    assert any("fewer than two" in text.value for text in app.markdown)
