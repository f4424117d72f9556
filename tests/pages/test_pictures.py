"""The picture routes serve catalog ids only: no path, no foreign site, no forged host."""

import io

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.testclient import TestClient

from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.images.tables import files_of
from pages.shared.pictures import ROUTES


@pytest.fixture
def served(workspace, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (640, 320), (200, 30, 40)).save(folder / "red.jpg")
    Image.new("RGB", (3000, 100), (20, 30, 240)).save(folder / "wide.png")
    (folder / "broken.jpg").write_text("no picture")
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    client = TestClient(Starlette(routes=ROUTES, middleware=[guard]), base_url="http://127.0.0.1")
    return client, {file.path: file.id for file in files_of(workspace, dataset.id)}


def test_a_link_to_the_first_page_by_its_name_leads_there_with_its_choice(served):
    client, _ = served
    answer = client.get("/images?data=one", follow_redirects=False)
    assert answer.is_redirect
    assert answer.headers["location"].endswith("/?data=one")


def test_a_known_id_is_served_small_and_large(served):
    client, ids = served
    small = client.get(f"/thumb/{ids[b'wide.png']}")
    large = client.get(f"/image/{ids[b'wide.png']}")
    assert (small.status_code, small.headers["content-type"]) == (200, "image/jpeg")
    assert max(Image.open(io.BytesIO(small.content)).size) == 256
    assert max(Image.open(io.BytesIO(large.content)).size) == 2048
    assert "immutable" in small.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/thumb/999999",
        "/thumb/99999999999999999999999",
        "/thumb/-1",
        "/thumb/../../etc/passwd",
        "/thumb/%2e%2e%2fapp.py",
        "/thumb/red.jpg",
        "/image/0",
        "/strip/..-..",
        "/strip/a",
        "/strip/1-2-3-4-5-6-7-8-9",
        "/strip/1e3",
        "/strip/%C2%B2",  # a digit to Python, and no number
        "/strip/%EF%BC%91",
        "/strip/%00",
    ],
)
def test_everything_else_is_not_found(served, path):
    client, _ = served
    assert client.get(path).status_code == 404


def test_a_broken_image_is_not_found_and_not_kept(served):
    client, ids = served
    answer = client.get(f"/thumb/{ids[b'broken.jpg']}")
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


def test_pictures_are_those_of_the_workspace_that_is_served_now(served, tmp_path, monkeypatch):
    client, ids = served
    assert client.get(f"/thumb/{ids[b'red.jpg']}").status_code == 200
    monkeypatch.setenv("KINDRED_WORKSPACE", str(tmp_path / "another"))
    assert client.get(f"/thumb/{ids[b'red.jpg']}").status_code == 404


def test_a_forged_host_is_refused(served):
    client, ids = served
    assert client.get(f"/thumb/{ids[b'red.jpg']}", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_not_read_pictures(served, site):
    client, ids = served
    for path in (f"/thumb/{ids[b'red.jpg']}", f"/image/{ids[b'red.jpg']}", f"/strip/{ids[b'red.jpg']}"):
        assert client.get(path, headers={"sec-fetch-site": site}).status_code == 403
    answer = client.get(f"/thumb/{ids[b'red.jpg']}", headers={"sec-fetch-site": "same-origin"})
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_strip_holds_one_cell_for_each_image(served):
    client, ids = served
    answer = client.get(f"/strip/{ids[b'red.jpg']}-{ids[b'broken.jpg']}-{ids[b'wide.png']}")
    assert Image.open(io.BytesIO(answer.content)).size == (3 * 96, 96)
