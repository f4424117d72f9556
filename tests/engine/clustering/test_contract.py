"""What every method in the registry promises, whichever it is: scikit-learn's contract, order, seeds, refusals."""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from engine.clustering.registry import METHODS
from engine.clustering.sweep_scope import SweepScope
from engine.core.errors import InputError
from engine.core.settings import controls
from engine.core.vectors import unit

# Settings, where a method has them, with which it ends within a second on little data.
SMALL = {
    "n_clusters": 3,
    "n_epochs": 3,
    "min_steps": 60,
    "warm_start_steps": 40,
    "n_heads": 2,
    "hidden_dim": 32,
    "batch_size": 32,
    "min_cluster_size": 8,
    "reduce": "none",
    "image_size": 8,
    "projector_width": 32,
    "projection_dim": 16,
    "device": "cpu",
}
SIZES = (50, 40, 30)
named = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@cache
def planted(takes):
    """Return three groups of rows that every method can tell apart, as what it takes."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    if takes == "images":
        colours = np.array([[230, 40, 40], [40, 230, 40], [40, 40, 230]])
        noise = rng.integers(-25, 26, size=(len(truth), 8, 8, 3))
        return (colours[truth][:, None, None] + noise).clip(0, 255).astype(np.uint8)
    centers = unit(rng.standard_normal((len(SIZES), 16)))
    return (centers[truth] + 0.3 * rng.standard_normal((len(truth), 16)) / 4).astype(np.float32)


def small(method):
    fields = method.settings_class.model_fields
    return method.settings_class.parse({name: value for name, value in SMALL.items() if name in fields})


@cache
def fitted(method):
    return method.build(small(method)).fit(planted(method.takes))


@named
def test_settings_by_name_and_as_a_model_build_the_same_estimator(method):
    settings = small(method)
    by_name = method.estimator_class(**settings.model_dump())
    assert by_name.settings == method.estimator_class(settings).settings == settings
    assert method.estimator_class().settings == method.settings_class()
    assert method.estimator_class(settings, random_state=7).settings == settings.changed(random_state=7)
    with pytest.raises(InputError, match="no_such_setting"):
        method.estimator_class(no_such_setting=1)
    with pytest.raises(InputError, match="Settings, not int"):
        method.estimator_class(10)


@named
def test_clone_get_and_set_params_are_scikit_learns(method):
    estimator = fitted(method)
    twin = clone(estimator)
    assert type(twin) is type(estimator) and twin.get_params() == estimator.get_params()
    with pytest.raises(Exception, match="not fitted"):
        check_is_fitted(twin)
    check_is_fitted(estimator)
    assert twin.set_params(random_state=11) is twin and twin.get_params()["random_state"] == 11
    assert estimator.get_params()["random_state"] == 0
    with pytest.raises(InputError, match="no_such_setting"):
        twin.set_params(no_such_setting=1)
    for control in controls(method.settings_class):
        if control.maximum is not None:
            with pytest.raises(InputError, match=control.name):
                twin.set_params(**{control.name: control.maximum + 1})


@named
def test_its_representation_builds_it_again_and_names_only_what_differs(method):
    names = {method.estimator: method.estimator_class}
    assert repr(method.estimator_class()) == f"{method.estimator}()"
    estimator = method.build(small(method))
    assert eval(repr(estimator), names).settings == estimator.settings
    assert repr(method.estimator_class(random_state=5)) == f"{method.estimator}(random_state=5)"


@named
def test_it_is_the_last_step_of_a_pipeline(method):
    if method.takes == "images":
        pytest.skip("images are not scaled")
    x = planted(method.takes)
    pipeline = make_pipeline(StandardScaler(), method.build(small(method)))
    labels = clone(pipeline).fit_predict(x)
    own = method.build(small(method)).fit(StandardScaler().fit_transform(x))
    assert np.array_equal(labels, own.labels_) and own.n_features_in_ == x.shape[1]
    if method.predicts:
        assert np.array_equal(pipeline.fit(x).predict(x), own.predict(StandardScaler().fit_transform(x)))


@named
def test_labels_go_by_falling_size_and_confidences_are_shares(method):
    estimator, n = fitted(method), sum(SIZES)
    labels, confidence = estimator.labels_, estimator.confidence_
    assert labels.shape == confidence.shape == (n,)
    assert labels.dtype == np.int32 and confidence.dtype == np.float32
    assert labels.min() >= (-1 if method.noise else 0)
    counts = np.bincount(labels[labels >= 0])
    assert counts.all() and (np.diff(counts) <= 0).all()
    assert confidence.min() >= 0 and confidence.max() <= 1 and (confidence[labels < 0] == 0).all()
    assert all(len(column) == n for column in estimator.extra_.values())
    assert isinstance(estimator.resolved_, method.settings_class) and isinstance(estimator.notes_, list)
    if estimator.centers_ is not None:
        assert len(estimator.centers_) == len(counts)
        np.testing.assert_allclose(np.linalg.norm(estimator.centers_, axis=1), 1, atol=1e-4)


@named
def test_fit_changes_no_setting_and_a_seed_repeats(method):
    estimator = method.build(settings := small(method))
    assert estimator.fit(planted(method.takes)) is estimator
    assert estimator.settings is settings
    assert np.array_equal(estimator.labels_, fitted(method).labels_)


@named
def test_predict_agrees_with_the_labels_of_the_training_rows(method):
    if not method.predicts:
        pytest.skip("it does not predict")
    estimator, x = fitted(method), planted(method.takes)
    labels = estimator.predict(x)
    assert labels.dtype == np.int32 and (labels == estimator.labels_).mean() >= 0.9
    again, confidence = estimator.predict_confidence(x[:9])
    assert np.array_equal(again, labels[:9]) and confidence.dtype == np.float32
    assert confidence.min() >= 0 and confidence.max() <= 1
    with pytest.raises(InputError):
        method.build(small(method)).predict(x)


@named
def test_what_cannot_be_clustered_is_refused_in_a_sentence(method):
    x = planted(method.takes)
    bad = [x[:0], x.reshape(-1)]
    if method.takes != "images":
        bad.append(np.where(np.arange(len(x))[:, None] == 12, np.nan, x))
    for rows in bad:
        with pytest.raises(InputError):
            method.build(small(method)).fit(rows)
    if method.counts_clusters:
        with pytest.raises(InputError, match="9"):
            method.build(small(method).changed(n_clusters=9)).fit(x[:8])


@named
def test_the_settings_of_its_entry_are_its_own(method):
    fields = method.settings_class.model_fields
    assert {name for name in (method.image_size, method.train_on) if name} <= set(fields)
    assert set(method.cut_settings) <= set(fields)
    assert (method.image_size is not None) == (method.takes == "images")
    if method.sweeps:
        for mode in ("fast", "balanced", "comprehensive"):
            grid = method.sweep_grid(SweepScope(1000, mode, 200.0, 5, 200))
            assert grid and all(isinstance(settings, method.settings_class) for settings in grid)
            assert method.kind == "fast" or len(grid) == 1


@named
def test_a_kept_tree_is_cut_again_as_a_fresh_fit_would(method):
    if not method.cut_settings:
        with pytest.raises(InputError, match="without fitting again"):
            fitted(method).recut(random_state=1)
        pytest.skip("it keeps no tree")
    x = planted(method.takes)
    name = method.cut_settings[0]
    estimator = method.build(small(method)).fit(x)
    fresh = method.build(small(method).changed(**{name: 5})).fit(x)
    assert estimator.recut(**{name: 5}) is estimator
    assert np.array_equal(estimator.labels_, fresh.labels_) and estimator.resolved_ == fresh.resolved_
    np.testing.assert_allclose(estimator.confidence_, fresh.confidence_, atol=1e-6)
