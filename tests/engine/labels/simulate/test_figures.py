"""The figures of merit, counted by hand."""

from engine.labels.simulate.measure import Curve, Point


def test_right_labels_per_click_are_those_where_the_goal_is_reached():
    curve = Curve(100, [Point(2, 1, 9, 50, 50), Point(4, 2, 9, 95, 92), Point(20, 9, 9, 97, 95)])
    assert curve.right_per_click() == 92 / 4
    assert curve.right_per_click(recall=0.94) == 95 / 20


def test_where_the_goal_is_never_reached_it_is_the_farthest_point_that_is_precise_enough():
    curve = Curve(100, [Point(2, 1, 9, 50, 50), Point(4, 2, 9, 80, 60)])
    assert curve.right_per_click() == 25
    assert Curve(100, [Point(2, 1, 9, 50, 40)]).right_per_click() == 0
