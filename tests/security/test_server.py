"""The real server refuses what is not asked by its own page: other hosts, other sites, other places on the disk."""

from __future__ import annotations

import base64
import http.client
import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from engine.core.workspace import Workspace
from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.images.tables import files_of
from tests.browser.conftest import Served

APP = Path(__file__).resolve().parents[2] / "app.py"
SECRET = b"root of the secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A served app over a folder of pictures, two of which are links that lead out of it; (port, ids, workspace)."""
    place = tmp_path_factory.mktemp("security")
    (place / "secret.txt").write_bytes(SECRET)
    Image.new("RGB", (30, 30), (9, 9, 200)).save(place / "outside.png")
    photos = place / "photos"
    photos.mkdir()
    Image.new("RGB", (640, 320), (200, 30, 40)).save(photos / "red.jpg")
    os.symlink(place / "outside.png", photos / "link.png")
    os.symlink(place / "secret.txt", photos / "secret.jpg")
    os.symlink(place, photos / "up")
    workspace = Workspace.open(place / "workspace")
    dataset = add_folder(workspace, photos)
    scan(workspace, dataset.id)
    served = Served(tmp_path_factory.mktemp("servers"))
    url = served(APP, env={"KINDRED_WORKSPACE": str(workspace.root), "KINDRED_SAMPLES": "off"})
    yield int(url.rpartition(":")[2]), {row.path: row.id for row in files_of(workspace, dataset.id)}, workspace
    served.stop()


def ask(port, path, **headers):
    """Send one GET with exactly this path and these headers; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def shake_hands(port, **headers):
    """Open Streamlit's websocket by hand; return the status of the answer."""
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "streamlit",
    } | headers
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.sendall(f"GET /_stcore/stream HTTP/1.1\r\n{text}\r\n".encode())
        return int(connection.recv(4096).split(b" ")[1])


def test_it_listens_on_the_loopback_only(server):
    port, _, _ = server
    addresses = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, port), timeout=2)


PAGES = ["/", "/label", "/thumb/1", "/image/1", "/strip/1", "/mosaic/60x60/1", "/_stcore/health", "/labels/x/version"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", "[::1]x", ""]
)
def test_a_forged_host_and_a_rebound_name_are_refused(server, path, host):
    port, _, _ = server
    status, _, body = ask(port, path, Host=host)
    assert status in (400, 403), body[:200]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_names_are_answered(server, host):
    port, ids, _ = server
    status, headers, body = ask(port, f"/thumb/{ids[b'red.jpg']}", Host=f"{host}:{port}")
    assert (status, body[:2]) == (200, b"\xff\xd8")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", PAGES[2:6] + PAGES[7:] + ["/find/x?text=a", "/looks/run/x", "/take/a/b", "/sample/x"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_reads_nothing_through_the_persons_browser(server, path, site):
    port, _, _ = server
    status, _, _ = ask(port, path, Sec_Fetch_Site=site, Origin="http://evil.example")
    assert status == 403


def test_no_answer_lets_another_origin_read_it(server):
    port, ids, _ = server
    for path in (*PAGES, f"/thumb/{ids[b'red.jpg']}", "/_stcore/host-config"):
        _, headers, _ = ask(port, path, Origin="http://evil.example")
        allowed = {name.lower(): value for name, value in headers.items()}.get("access-control-allow-origin", "")
        assert allowed not in ("*", "http://evil.example"), path


def test_the_websocket_takes_its_own_page_and_no_other(server):
    port, _, _ = server
    assert shake_hands(port, Origin=f"http://127.0.0.1:{port}") == 101
    assert shake_hands(port, Origin=f"http://localhost:{port}") == 101
    for origin in ("http://evil.example", "http://127.0.0.1.evil.example", "https://localhost.evil", "null"):
        assert shake_hands(port, Origin=origin) in (400, 403), origin
    rebound = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}
    assert shake_hands(port, **rebound) in (400, 403)


TRAVERSALS = [
    "../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/%2e%2e/secret.txt",
    "%2e%2e%2f%2e%2e%2fsecret.txt",
    "..%5c..%5csecret.txt",
    "%252e%252e%252fsecret.txt",
    "....//....//secret.txt",
    "..;/secret.txt",
    "%00../secret.txt",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "1/../../secret.txt",
    "%EF%BC%91",
    "1%20",
    "+1",
    "0x1",
    "1.0",
    "-1",
    "99999999999999999999999",
]
PLACES = [
    "/thumb/",
    "/image/",
    "/strip/",
    "/mosaic/60x60/",
    "/looks/run/",
    "/looks/rank/",
    "/looks/candidate/",
    "/take/",
    "/sample/",
    "/labels/",
    "/find/",
    "/static/",
    "/app/static/",
    "/media/",
    "/component/",
    "/_stcore/",
    "/",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_address_leads_to_a_file(server, place):
    port, _, _ = server
    for tried in TRAVERSALS:
        for path in (f"{place}{tried}", f"{place}x/{tried}"):
            status, headers, body = ask(port, path)
            assert SECRET not in body and b"root:x:" not in body, path
            kind = headers.get("content-type", "")
            assert status >= 400 or kind.startswith(("text/html", "application/json")), (path, status, kind)


def test_a_link_that_leads_out_of_the_folder_is_no_image_of_it(server):
    port, ids, workspace = server
    assert not {b"secret.jpg", b"up/outside.png", b"up/secret.txt"} & {
        path for path, number in ids.items() if ask(port, f"/image/{number}")[0] == 200
    }
    assert SECRET not in workspace.catalog.read_bytes()
    for number in range(50):
        assert SECRET not in ask(port, f"/image/{number}")[2]


def test_a_picture_that_became_a_link_after_the_scan_is_not_followed_to_other_bytes(server):
    port, ids, workspace = server
    photos = workspace.root.parent / "photos"
    Image.new("RGB", (77, 77), (1, 200, 1)).save(photos / "later.png")
    dataset = add_folder(workspace, photos)
    scan(workspace, dataset.id)
    number = {row.path: row.id for row in files_of(workspace, dataset.id)}[b"later.png"]
    assert ask(port, f"/image/{number}")[0] == 200
    (photos / "later.png").unlink()
    os.symlink(workspace.root.parent / "outside.png", photos / "later.png")
    assert ask(port, f"/image/{number}")[0] == 404  # other bytes than those scanned


def test_no_secret_of_the_environment_reaches_logs_or_job_folders(tmp_path):
    """A job and the app are started with secrets in their environment: no file of the workspace holds one."""
    import subprocess
    import sys
    import time

    from engine.jobs import job as jobs

    secrets = {"HF_TOKEN": "hf_kindredsecret1", "AWS_SECRET_ACCESS_KEY": "kindredsecret2", "PASSWORD": "kindredsecret3"}
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (30, 30), (200, 30, 40)).save(photos / "red.png")
    workspace = Workspace.open(tmp_path / "workspace")
    dataset = add_folder(workspace, photos)
    good = jobs.create(workspace.jobs, "scan", "Reading", {"dataset": {"id": dataset.id}})
    bad = jobs.create(workspace.jobs, "embed", "Embed", {"dataset": {"id": dataset.id}, "encoder": "clip"})
    environment = os.environ | secrets | {"KINDRED_WORKSPACE": str(workspace.root), "HF_HOME": str(tmp_path / "hub")}
    for folder in (good, bad):
        with (folder / "log.txt").open("wb") as log:
            words = [sys.executable, "-m", "engine", "job", str(folder)]
            subprocess.run(words, env=environment, stdout=log, stderr=log, check=False, cwd=APP.parent, timeout=240)
    assert (jobs.status(good).state, jobs.status(bad).state) == ("done", "failed")
    servers = tmp_path / "servers"
    servers.mkdir()
    served = Served(servers)
    url = served(APP, env=secrets | {"KINDRED_WORKSPACE": str(workspace.root)})
    ask(int(url.rpartition(":")[2]), "/thumb/1")
    time.sleep(0.5)
    served.stop()
    for path in [*workspace.root.rglob("*"), *servers.rglob("*")]:
        if path.is_file():
            data = path.read_bytes()
            assert not [name for name, value in secrets.items() if value.encode() in data], path
