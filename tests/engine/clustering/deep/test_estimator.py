"""What every deep estimator does alike around its training: refuse what it cannot predict, save and load."""

from typing import get_args

import numpy as np
import pytest

from engine.clustering.registry import METHODS, find_method
from engine.core.errors import CheckpointError, InputError
from engine.evaluation.agreement import accuracy
from tests.engine.clustering.deep.common import groups

SHORT = {"n_clusters": 3, "min_steps": 3, "warm_start_steps": 60, "device": "cpu"}
TRAINED = ("temi", "four_term", "cludi", "cpp", "turtle")


def short(name):
    method = find_method(name)
    return method.build(method.settings_class(**SHORT))


@pytest.mark.parametrize("name", TRAINED)
def test_before_fit_it_says_so(name, tmp_path):
    with pytest.raises(InputError, match="not been trained"):
        short(name).predict(groups()[0])
    with pytest.raises(InputError, match="not been trained"):
        short(name).save(tmp_path / "model.pt")


@pytest.mark.parametrize("name", TRAINED)
def test_a_saved_model_labels_unseen_images_alike_and_refuses_other_columns(name, tmp_path):
    table, _ = groups(seed=1)
    unseen, _ = groups(60, seed=1)
    model = short(name).fit(table)
    model.save(tmp_path / "model.pt")
    again = type(model).load(tmp_path / "model.pt")
    for one, other in zip(model.predict_confidence(unseen), again.predict_confidence(unseen), strict=True):
        np.testing.assert_array_equal(one, other)
    for fitted in (model, again):
        with pytest.raises(InputError, match="5 columns, those of fit had 12"):
            fitted.predict(unseen[:, :5])
    with pytest.raises(CheckpointError, match="no file"):
        type(model).load(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match="does not hold"):
        type(short(TRAINED[TRAINED.index(name) - 1])).load(tmp_path / "model.pt")


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.starts_from_labels])
def test_it_starts_from_the_labels_of_a_run(name, tmp_path):
    """Rows that the run knows nothing of are left out; the numbers of its clusters may have gaps."""
    table, truth = groups(seed=2)
    known = np.where(np.arange(len(table)) % 10 == 0, -1, 5 * truth)
    method = find_method(name)
    settings = method.settings_class(**SHORT | {"warm_start": "run", "warm_start_steps": 150, "n_epochs": 1})
    with pytest.raises(InputError, match="needs the labels of a run"):
        method.build(settings).fit(table)
    model = method.build(settings).start_from(known).fit(table, checkpoints=tmp_path)
    assert accuracy(truth, model.labels_) > 0.9
    np.testing.assert_array_equal(model.start_labels_, np.where(known < 0, -1, truth))
    again = method.build(settings).start_from(known).fit(table, checkpoints=tmp_path)
    np.testing.assert_array_equal(again.labels_, model.labels_)


def test_only_methods_that_start_from_labels_offer_a_run():
    for method in METHODS.values():
        start = method.settings_class.model_fields.get("warm_start")
        assert method.starts_from_labels == (start is not None and "run" in get_args(start.annotation)), method.name
