"""What every deep estimator does alike around its training: refuse what it cannot predict, save and load."""

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.core.errors import CheckpointError, InputError
from tests.engine.clustering.deep.common import groups

SHORT = {"n_clusters": 3, "min_steps": 3, "warm_start_steps": 60, "device": "cpu"}
METHODS = ("temi", "four_term", "cludi", "cpp")


def short(name):
    method = find_method(name)
    return method.build(method.settings_class(**SHORT))


@pytest.mark.parametrize("name", METHODS)
def test_before_fit_it_says_so(name, tmp_path):
    with pytest.raises(InputError, match="not been trained"):
        short(name).predict(groups()[0])
    with pytest.raises(InputError, match="not been trained"):
        short(name).save(tmp_path / "model.pt")


@pytest.mark.parametrize("name", METHODS)
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
        type(short(METHODS[METHODS.index(name) - 1])).load(tmp_path / "model.pt")
