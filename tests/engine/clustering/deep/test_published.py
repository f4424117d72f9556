"""Published settings: every one is a paper's, valid for its method, and can be read back from a run or a search."""

from __future__ import annotations

import json

import pytest

from engine.clustering.deep.published import published, read_settings
from engine.clustering.registry import METHODS
from engine.core.errors import InputError

NAMED = [(method, name) for method in METHODS for name in published(method)]


@pytest.mark.parametrize(("method", "name"), NAMED)
def test_published_settings_train_as_they_stand(method, name):
    model = METHODS[method].settings_class
    settings = model.parse(read_settings(method, name))
    resolved = settings.trained(1_300_000, "cuda", side=96)
    assert settings.preset == resolved.preset == "paper"
    assert {key: value for key, value in resolved.model_dump().items() if key in settings.given()} == settings.given()
    assert resolved.model_dump().get("warm_start", "none") == "none"


def test_every_method_with_a_paper_of_its_own_has_some():
    assert {method for method, _ in NAMED} >= {"temi", "cludi", "cpp", "hadis"}
    assert read_settings("cpp", "imagenet")["eta"] == 0.12 and read_settings("temi", "cifar20")["beta"] == 0.55


def test_a_runs_and_a_searchs_file_are_settings_of_what_was_given(tmp_path):
    kept = tmp_path / "config.json"
    kept.write_text(json.dumps({"settings": {"beta": 0.6, "n_heads": 50}, "given": ["beta"]}))
    assert read_settings("temi", str(kept)) == {"beta": 0.6}
    with pytest.raises(InputError, match="no settings"):
        read_settings("temi", "cifar")
