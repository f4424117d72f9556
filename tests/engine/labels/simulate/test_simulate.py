"""A simulated labelling: clicks counted by hand on a toy set, errors, missing truth, contradictions, the events."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.geometry.neighbors import build_graph
from engine.labels.around import parts_of
from engine.labels.events import LabelHistory
from engine.labels.simulate.costs import CLICKS
from engine.labels.simulate.measure import Curve, Point, typed_names
from engine.labels.simulate.person import Person, commonest
from engine.labels.simulate.policy import Guided
from engine.labels.simulate.ways import BY_CLUSTER, GUIDED, ONE_BY_ONE, SimulateSettings, contradictions, simulate
from engine.labels.state import BY_YOU, CLUSTER_NAME
from tests.engine.labels.conftest import add_dataset, make_contents
from tests.engine.labels.simulate.conftest import groups

NAMES = ("cat", "dog", "owl")


def truth_of(of, names=NAMES):
    return [names[one] for one in of]


def told(events):
    """What events say, without when and where they were made."""
    return [(event.kind, {**event.detail, "before": 0}, event.blob) for event in events]


def test_pure_clusters_cost_their_names_and_nothing_else(desk_of):
    vectors, of = groups((30, 20, 10))
    desk, judge = desk_of(vectors, of, truth_of(of))
    Guided(desk, Person(truth_of(of))).run()
    # By hand: open the largest cluster (1), name it (2); each next one follows by itself (2 + 2).
    assert [(p.clicks, p.labelled, p.right) for p in judge.curve.points[:3]] == [(3, 30, 30), (5, 50, 50), (7, 60, 60)]
    assert desk.count.by_kind == Counter({"name": 6, "go": 1})
    assert desk.count.letters == 9
    assert [event.kind for event in desk.history.events()] == ["rename"] * 3
    assert judge.curve.right_per_click() == 60 / 7
    assert judge.curve.clicks_to() == 7


def test_a_mixed_cluster_costs_a_tick_for_each_odd_image(desk_of):
    vectors, of = groups((20, 4))
    desk, judge = desk_of(vectors, np.zeros(24), truth_of(of))
    guided = Guided(desk, Person(truth_of(of)))
    guided._glance(0)
    guided._validate(0)
    # By hand: open (1), name it "cat" (2), tick four dogs (4), press the digit of "dog" (1), Ctrl+A and Confirm (2).
    assert desk.count.clicks == 1 + 2 + 4 + 1 + 2
    state = desk.state
    assert state.labels == truth_of(of)
    assert (state.source == BY_YOU).all()
    assert judge.curve.points[-1].right == 24


def test_the_events_are_those_that_the_workbench_writes(desk_of, workspace):
    vectors, of = groups((12, 8, 4))
    truth = truth_of(of)
    base = np.array([0] * 12 + [1] * 12)
    desk, _ = desk_of(vectors, base, truth)
    desk.name(0, "cat")
    desk.split(1, 2)
    parts = [one.id for one in desk.state.clusters if one.name is None]
    desk.name(parts[0], "dog")
    desk.press("tick", 2)
    desk.label(np.array([0, 3]), "owl")
    desk.aside(np.array([5]))
    mine = told(desk.history.events())

    history = LabelHistory(workspace, "photos")
    add_dataset(workspace)

    def state():
        return history.state(desk.contents, desk.base, run="simulated")

    history.rename(state(), 0, "cat")
    history.split(state(), state().rows(1), parts_of(vectors, state().rows(1), 2))
    history.rename(state(), parts[0], "dog")
    history.label(state(), np.array([0, 3]), "owl")
    history.reject(state(), np.array([5]))
    assert told(history.events()) == mine
    assert desk.state.same(state())


def test_one_by_one_costs_a_click_for_each_image():
    vectors, of = groups((30, 20, 10))
    found = run(vectors, of, truth_of(of))
    one = next(each for each in found if each.way == ONE_BY_ONE)
    assert one.count.clicks == 60
    assert one.curve.right_per_click() == 1.0
    assert one.curve.clicks_to() == 54 or one.curve.clicks_to() == 55
    clusters = next(each for each in found if each.way == BY_CLUSTER)
    assert clusters.count.clicks == 6
    assert clusters.state.labels == truth_of(of)
    assert {int(one) for one in np.unique(clusters.state.source)} == {CLUSTER_NAME}


def run(vectors, of, truth, *, base=None, **settings):
    contents = make_contents(len(vectors))
    graph = build_graph(vectors, k=8)
    base = np.asarray(of if base is None else base, np.int32)
    return simulate(contents, vectors, graph, base, truth, settings=SimulateSettings(**settings))


def test_the_same_seed_gives_the_same_events_and_another_one_others():
    vectors, of = groups((60, 40, 30), spread=0.35)
    base = np.arange(130) % 4
    first, again = (run(vectors, of, truth_of(of), base=base, error_rate=0.1, baselines=False) for _ in range(2))
    assert told(first[0].events) == told(again[0].events)
    assert first[0].curve.points == again[0].curve.points
    other = run(vectors, of, truth_of(of), base=base, error_rate=0.1, seeds=2, baselines=False)[1]
    assert told(other.events) != told(first[0].events)


def test_one_class_is_named_once():
    vectors, of = groups((40,))
    found = run(vectors, of, ["cat"] * 40, error_rate=0.05)[0]
    assert found.way == GUIDED
    assert found.count.by_kind == {"go": 1, "all": 1, "confirm": 1, "name": 2}  # looked at before, then named
    assert found.state.labels == ["cat"] * 40


def test_where_the_truth_is_missing_nobody_is_counted_and_nobody_ticks():
    vectors, of = groups((30, 20, 10))
    truth = [None if at % 3 == 0 else name for at, name in enumerate(truth_of(of))]
    found = run(vectors, of, truth)
    for one in found:
        assert one.curve.total == 40
        assert one.curve.points[-1].labelled <= 40
        assert one.curve.points[-1].right == 40
    guided = found[0]
    assert guided.count.by_kind["tick"] == 0
    one_by_one = next(each for each in found if each.way == ONE_BY_ONE)
    assert one_by_one.count.clicks == 40


def test_a_cluster_of_which_nothing_is_known_is_left_alone():
    vectors, of = groups((30, 20))
    found = run(vectors, of, [None] * 30 + ["dog"] * 20, baselines=False)[0]
    assert found.state.codes[30:].min() >= 0
    assert found.curve.points[-1].right == 20


def test_errors_come_at_their_rate_and_are_other_classes():
    truth = ["cat"] * 20_000 + ["dog"] * 10_000 + ["owl"] * 10_000
    person = Person(truth, error_rate=0.05, random_state=1)
    rows = np.arange(len(truth))
    seen = person.look(rows)
    wrong = seen != Person(truth).look(rows)
    assert 0.045 < wrong.mean() < 0.055
    among = np.bincount(seen[:20_000][wrong[:20_000]], minlength=3)
    assert among[0] == 0 and abs(among[1] - among[2]) < 0.2 * among.sum()
    assert (person.look(rows) != seen).any()  # a second look is a fresh one


def test_a_person_who_contradicts_himself_is_found_and_conflicts_are_listed(desk_of):
    vectors, of = groups((20, 4))
    desk, _ = desk_of(vectors, np.zeros(24), truth_of(of))
    guided = Guided(desk, Person(truth_of(of)))
    guided._glance(0)
    guided._validate(0)
    assert contradictions(desk.history.events(), desk.contents) == 0
    assert [one.sentence for one in desk.state.conflicts] == ["4 images labelled dog lie in the cluster cat."]
    desk.label(np.array([0, 1, 22]), "dog")  # two of them were confirmed as cats
    desk.label(np.array([0]), "cat")
    assert contradictions(desk.history.events(), desk.contents) == 2


def test_a_person_who_errs_often_leaves_conflicts_in_the_report():
    vectors, of = groups((60, 40, 30), spread=0.5)
    found = run(vectors, of, truth_of(of), error_rate=0.3, baselines=False)[0]
    assert found.conflicts == [one.sentence for one in found.state.conflicts]
    assert found.curve.points[-1].precision < 1


def test_a_policy_learns_only_from_answers(desk_of):
    """The person is the only one who knows the truth: with a person who says "cat" to all, all are cats."""
    vectors, of = groups((30, 20, 10))
    desk, _ = desk_of(vectors, of, truth_of(of))
    Guided(desk, Person(["cat"] * 60)).run()
    assert set(desk.state.labels) == {"cat"}


def test_names_that_no_field_takes_are_typed_shorter_and_stay_different():
    truth = ["x" * 10_000, "x" * 9_999, "שלום/עולם", "🐈\u200d⬛", "a\tb\x00", " a b ", None, "\x07"]
    typed = typed_names(truth)
    assert typed[6] is None
    known = [name for name in typed if name is not None]
    assert len(set(known)) == len(known) and max(map(len, known)) <= 200
    assert typed[2] == "שלום/עולם"
    vectors, of = groups((30,) * 8)
    found = run(vectors, of, [truth[one] for one in of])
    assert found[0].curve.points[-1].right == 30 * 7


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_an_error_rate_out_of_range_is_refused(rate):
    with pytest.raises(InputError, match="between 0 and 1"):
        Person(["cat"], error_rate=rate)


def test_without_any_truth_nobody_can_be_simulated():
    with pytest.raises(InputError, match="No image has a class"):
        Person([None, None])


def test_figures_of_merit_by_hand():
    curve = Curve(
        100, [Point(2, 1, 9, 50, 50), Point(4, 2, 9, 95, 92), Point(9, 3, 9, 97, 92), Point(20, 9, 9, 97, 95)]
    )
    assert curve.best() == Point(20, 9, 9, 97, 95)
    assert curve.clicks_to() == 4
    assert curve.clicks_to(0.94) == 20
    assert curve.clicks_to(0.99) is None
    assert curve.at(8) == Point(4, 2, 9, 95, 92)
    assert curve.at(1) is None
    assert Curve(10).right_per_click() == 0.0


def test_the_commonest_answer():
    assert commonest(np.array([2, 1, 2, -1])) == 2
    assert commonest(np.array([-1, -1])) == -1
    assert set(CLICKS.values()) <= {1, 2, 3, 4}
