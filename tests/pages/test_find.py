"""The route behind the command palette: bounded answers, names as they are, nothing for other sites."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.core.catalog import open_catalog
from engine.images.datasets import add_folder
from engine.images.tables import find_images
from engine.labels.events import LabelHistory
from pages import find
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    return workspace, *clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))


@pytest.fixture
def client():
    with TestClient(Starlette(routes=find.ROUTES), base_url="http://127.0.0.1") as found:
        yield found


def titles(groups):
    return {group["title"]: [entry["title"] for entry in group["entries"]] for group in groups}


def test_clusters_labels_and_images_are_found_by_a_piece_of_their_names(clustered, client):
    workspace, rows, run = clustered
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.rename(state, 0, "Red 红 <b>")
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.label(state, state.rows(1)[:2], "a reddish one")

    def ask(text):
        return titles(client.get(f"/find/{rows.dataset.id}", params={"run": run.folder.name, "text": text}).json())

    assert ask("RED") == {"Clusters": ["Red 红 <b>"], "Images with the label": ["Red 红 <b>", "a reddish one"]}
    assert ask("红")["Clusters"] == ["Red 红 <b>"]
    assert ask("02")["Images"] == [*(f"{number:03d}.png" for number in range(20, 30)), "002.png"]
    assert len(ask(".png")["Images"]) == 20, "never all names"
    assert ask("nothing like it") == {}


def test_a_site_that_is_not_ours_and_a_set_that_is_not_there_get_nothing(clustered, client):
    _, rows, _ = clustered
    foreign = client.get(f"/find/{rows.dataset.id}?text=0", headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert client.get("/find/nowhere?text=0").status_code == 404


def test_names_that_begin_with_the_text_come_first_and_broken_files_do_not_come(workspace, tmp_path):
    dataset = add_folder(workspace, coloured_pictures(tmp_path / "pictures", 1))
    names = [b"b/xcat.png", b"cat/zebra.png", b"a/Cat 1.png", b"a/cat\xff.png"]
    with open_catalog(workspace.catalog, write=True) as db:
        for number, name in enumerate([*names, b"cat broken.png"]):
            failure = "It is broken." if number == len(names) else None
            db.execute(
                "INSERT INTO image (dataset, path, content, size, mtime_ns, failure) VALUES (?, ?, ?, 1, 0, ?)",
                (dataset.id, name, bytes([number]) * 16, failure),
            )
    found = [path for _, path in find_images(workspace, dataset.id, "CAT")]
    assert found == [b"a/cat\xff.png", b"a/Cat 1.png", b"b/xcat.png", b"cat/zebra.png"]
    assert [path for _, path in find_images(workspace, dataset.id, "cat", limit=1)][0].lower().startswith(b"a/cat")
    assert find_images(workspace, dataset.id, "") == []


def test_signs_of_a_pattern_are_letters_like_others(workspace, tmp_path):
    dataset = add_folder(workspace, coloured_pictures(tmp_path / "pictures", 1))
    names = [b"100%.png", b"100 per cent.png", b"a_b.png", b"axb.png", b"back\\slash.png", "Größe.png".encode()]
    with open_catalog(workspace.catalog, write=True) as db:
        for at, name in enumerate(names):
            values = (dataset.id, name, b"%016d" % at)
            db.execute("INSERT INTO image (dataset, path, content, size, mtime_ns) VALUES (?, ?, ?, 1, 1)", values)

    def named(text):
        return [path for _, path in find_images(workspace, dataset.id, text)]

    assert named("100%") == [b"100%.png"]
    assert named("A_B") == [b"a_b.png"]
    assert named("k\\s") == [b"back\\slash.png"]
    assert named("öSSe") == []
    assert named("größE") == ["Größe.png".encode()]
