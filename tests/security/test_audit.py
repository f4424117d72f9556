"""`make check` tells holes, and tells that it could not look."""

from __future__ import annotations

import json

from tests.security.audit import told


def test_holes_are_told_with_what_mends_them(capsys):
    hole = {"id": "PYSEC-1", "fix_versions": ["2.0"]}
    packages = [{"name": "one", "version": "1.0", "vulns": [hole]}, {"name": "two", "version": "1.0", "vulns": []}]
    assert told(json.dumps({"dependencies": packages})) == 1
    assert "one 1.0: PYSEC-1; mended in 2.0" in capsys.readouterr().out
    hole["fix_versions"] = []  # nobody can do better yet
    assert told(json.dumps({"dependencies": packages})) == 0
    assert "no version yet" in capsys.readouterr().out
    assert told(json.dumps({"dependencies": packages[1:] + [{"name": "three", "skip_reason": "not there"}]})) == 0
    assert "1 packages checked for known holes, 0 found; 1 are not on the index." in capsys.readouterr().out


def test_without_a_network_it_says_that_nothing_was_checked(capsys):
    unknown = json.dumps({"dependencies": [{"name": "three", "skip_reason": "not there"}]})
    for answer in ("", "no json", "[]", "{}", unknown):
        assert told(answer) == 0
        assert "no package was checked" in capsys.readouterr().out
