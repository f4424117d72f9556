"""Every action reaches the page once and in order, however many arrive together and however often they are resent."""

from __future__ import annotations

from components.actions import fresh_actions


def names(found) -> list[str]:
    return [action.action for action, _item in found]


def test_resent_actions_are_handed_out_once_and_in_order():
    memory: dict = {}
    first = {"t": 1.0, "action": "label", "key": "3", "id": 7, "position": 2}
    second = {"t": 2.0, "action": "undo", "key": "Ctrl+z", "id": None, "position": None}
    found = fresh_actions(memory, [second, first])
    assert names(found) == ["label", "undo"]
    assert (found[0][0].key, found[0][0].id, found[0][0].position) == ("3", 7, 2)
    assert fresh_actions(memory, [first, second]) == []
    assert names(fresh_actions(memory, [first, second, {"t": 3.0, "action": "reject"}])) == ["reject"]


def test_what_cannot_be_read_is_left_out():
    memory: dict = {}
    rubbish = [None, 3, "x", {}, {"t": 1}, {"action": "a"}, {"t": "later", "action": "a"}, {"t": 1, "action": 5}]
    assert fresh_actions(memory, rubbish) == []
    assert fresh_actions(memory, None) == []
    assert fresh_actions(memory, "label") == []
    odd = {"t": 4, "action": "label", "id": -3, "position": True}
    action = fresh_actions(memory, [odd])[0][0]
    assert (action.id, action.position) == (None, None)
