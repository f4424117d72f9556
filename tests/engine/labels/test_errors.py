"""Label errors: planted ones are found, right ones stay, what a person confirmed is off the list until undone."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from engine.core.errors import InputError
from engine.core.ids import pack
from engine.geometry.neighbors import build_graph
from engine.images.datasets import add_vectors
from engine.labels import errors
from engine.labels.errors import LabelErrors, find_errors, judge_labels, neighbour_votes, open_errors, settled
from engine.labels.events import LabelHistory
from tests.engine.planted import planted


def spoiled(truth, share, seed, kinds):
    """Return labels of which a share is another one, and which these are."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(truth), round(share * len(truth)), replace=False)
    labels = truth.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, kinds, len(wrong))) % kinds
    return labels, np.isin(np.arange(len(truth)), wrong)


@pytest.fixture(scope="module")
def digits():
    vectors, truth = load_digits(return_X_y=True)
    return vectors.astype(np.float32), truth, build_graph(vectors, device="cpu")


@pytest.mark.parametrize("seed", [0, 1])
def test_of_five_percent_planted_errors_most_stand_first_on_digits(digits, seed):
    vectors, truth, graph = digits
    labels, wrong = spoiled(truth, 0.05, seed, 10)
    found = judge_labels(vectors, graph, labels)
    first = np.argsort(-found.lead, kind="stable")[: wrong.sum()]
    assert wrong[first].mean() >= 0.85  # .93 to .96 measured on ten seeds
    assert wrong[found.suspect].mean() >= 0.8 and found.suspect[wrong].mean() >= 0.8
    assert (found.proposed[first] == truth[first])[wrong[first]].mean() > 0.95


def test_labels_that_are_right_are_rarely_suspects(digits):
    vectors, truth, graph = digits
    assert judge_labels(vectors, graph, truth).suspect.mean() < 0.01


def test_partly_missing_labels_are_judged_among_those_that_there_are(digits):
    vectors, truth, graph = digits
    labels, wrong = spoiled(truth, 0.05, 0, 10)
    labels[np.random.default_rng(1).random(len(labels)) < 0.7] = -1
    wrong &= labels >= 0
    found = judge_labels(vectors, graph, labels)
    assert not found.suspect[labels < 0].any() and (found.proposed[labels < 0] == -1).all()
    first = np.argsort(-found.lead, kind="stable")[: wrong.sum()]
    assert wrong[first].mean() >= 0.6


def test_probabilities_are_those_of_a_classifier_that_did_not_see_the_image():
    vectors, codes = planted(60, noise=1.5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    model = errors._Discriminant(unit, codes.astype(np.int64), 3, 0)
    for number in range(errors.PARTS):
        seen, hidden = np.flatnonzero(model.part != number), np.flatnonzero(model.part == number)
        assert {*np.bincount(codes[hidden])} == {4}, "each class has its share in each part"
        x = unit[seen].astype(np.float64)
        means = np.array([x[codes[seen] == k].mean(axis=0) for k in range(3)])
        inside = x - means[codes[seen]]
        pooled = inside.T @ inside / len(x)
        d = len(pooled)
        pooled = (1 - errors.SHRINKAGE) * pooled + errors.SHRINKAGE * np.trace(pooled) / d * np.eye(d)
        reference = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Fixed(pooled))
        wanted = reference.fit(x, codes[seen]).predict_proba(unit[hidden].astype(np.float64))
        np.testing.assert_allclose(model.probabilities(hidden), wanted, atol=1e-6)


class Fixed:
    """Hands a covariance to sklearn's discriminant, which asks for one of each class and averages them."""

    def __init__(self, covariance):
        self.covariance_ = covariance

    def fit(self, rows):
        return self


def test_votes_are_shares_of_the_nearest_labelled_images():
    vectors, codes = planted(50, noise=1.0)
    codes = np.where(np.arange(50) % 4 == 0, -1, codes)
    graph = build_graph(vectors, k=30, device="cpu")
    rows = np.arange(50)
    found = neighbour_votes(graph, codes, rows, 3)
    for row in rows:
        near = [codes[other] for other in graph.indices[row] if codes[other] >= 0][: errors.VOTERS]
        np.testing.assert_allclose(found[row], [near.count(kind) / len(near) for kind in range(3)])


def test_the_order_of_images_and_label_numbers_changes_nothing():
    vectors, truth = planted(120, noise=0.5)
    labels, _ = spoiled(truth, 0.1, 3, 3)
    found = judge_labels(vectors, build_graph(vectors, device="cpu"), labels)
    renamed = judge_labels(vectors, build_graph(vectors, device="cpu"), np.array([7, 2, 4])[labels])
    np.testing.assert_allclose(renamed.lead, found.lead, atol=1e-6)
    assert np.array_equal(renamed.suspect, found.suspect)


@pytest.mark.parametrize("labels", [np.zeros(30, int), np.full(30, -1), np.arange(30)])
def test_one_label_none_or_only_rare_ones_are_refused_in_a_sentence(labels):
    vectors, _ = planted(30)
    with pytest.raises(InputError, match="needs two labels or more with 5 images each"):
        judge_labels(vectors, build_graph(vectors, device="cpu"), labels)


def test_rare_labels_are_left_out_and_counted():
    vectors, truth = planted(60)
    labels = truth.copy()
    labels[:3] = 9
    found = judge_labels(vectors, build_graph(vectors, device="cpu"), labels)
    assert (found.proposed[:3] == -1).all() and not (found.proposed == 9).any()


def test_images_that_are_all_alike_are_not_called_wrong():
    vectors = np.ones((40, 4), np.float32)
    found = judge_labels(vectors, build_graph(vectors, device="cpu"), np.arange(40) % 2)
    assert not found.suspect.any() and np.isfinite(found.lead).all()


@pytest.fixture
def labelled(workspace, tmp_path):
    vectors, truth = planted(90)
    np.savez(tmp_path / "v.npz", vectors=vectors, ids=np.array([f"{at:03d}" for at in range(90)]))
    dataset = add_vectors(workspace, tmp_path / "v.npz")
    contents = pack([bytes([at]) * 16 for at in range(1, 91)])
    history = LabelHistory(workspace, dataset.id)
    names = [f"c{code}" for code in truth]
    names[0], names[4] = "c1", "c2"  # both wrong
    history.label(history.state(contents, truth), np.arange(90), names)
    graph = build_graph(vectors, device="cpu")

    def look():
        state = history.state(contents, truth)
        return state, open_errors(state, found, history.effective()[0])

    found = find_errors(vectors, graph, history.state(contents, truth))
    return history, look, found


def test_correcting_and_confirming_take_a_suspect_off_the_list_and_undo_brings_it_back(labelled, tmp_path):
    history, look, found = labelled
    found.save(tmp_path / "errors.npz")
    assert LabelErrors.read(tmp_path / "errors.npz").names == found.names
    state, waiting = look()
    assert sorted(waiting.rows.tolist()) == [0, 4]
    assert [waiting.names[waiting.rows.tolist().index(row)] for row in (0, 4)] == ["c0", "c1"]
    assert found.judged == 90 and not found.unjudged

    at = np.flatnonzero(waiting.rows == 0)
    history.accept(state, waiting, at, looked_at=True)
    state, waiting = look()
    assert state.label_of(0) == "c0" and state.sources[0] == "by you" and waiting.rows.tolist() == [4]

    history.confirm(state, np.array([4]))
    state, waiting = look()
    assert state.label_of(4) == "c2" and not len(waiting), "what a person confirmed is right"

    history.undo()
    history.undo()
    state, waiting = look()
    assert sorted(waiting.rows.tolist()) == [0, 4] and state.label_of(0) == "c1"


def test_a_confirmed_image_that_got_another_label_since_is_not_settled(labelled):
    history, look, _ = labelled
    state, _ = look()
    history.confirm(state, np.array([4]))
    events = history.effective()[0]
    assert settled(events, state.contents[4:5], ["c2"]).all()
    assert not settled(events, state.contents[4:5], ["c0"]).any()


def test_accepting_all_at_once_leaves_what_a_person_labelled(labelled):
    history, look, _ = labelled
    state, waiting = look()
    with pytest.raises(InputError, match="None of these images"):
        history.accept(state, waiting, looked_at=False)
