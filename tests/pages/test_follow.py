"""Another window hears of a change by a version, which only this site may ask for."""

from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.labels.events import LabelHistory
from pages.shared.follow import ROUTES
from tests.seed import clustered_pictures, coloured_pictures


def test_the_version_changes_with_each_action_and_is_refused_to_other_sites(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    address = f"/labels/{rows.dataset.id}/version"
    client = TestClient(Starlette(routes=ROUTES), base_url="http://127.0.0.1")
    assert client.get(address).text == "0"
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "red")
    assert client.get(address).text == str(history.version()) != "0"
    assert client.get(address).headers["cache-control"] == "no-store"
    assert client.get("/labels/unknown/version").text == "0"
    assert client.get(address, headers={"sec-fetch-site": "cross-site"}).status_code == 403
