"""A real Chromium and a way to serve Streamlit scripts to it; both are shared by every browser test."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HARNESS = Path(__file__).resolve().parent
# Software WebGL, so that the map is tested on machines without a graphics card too.
CHROMIUM_FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]


def chromium_path() -> str | None:
    """Return the Chromium to drive: KINDRED_CHROMIUM, then the system's, then Playwright's own; None without any."""
    named = os.environ.get("KINDRED_CHROMIUM")
    if named:
        return named
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@pytest.fixture(scope="session")
def chromium_launcher() -> Iterator[Callable[..., object]]:
    """Start further browsers with other flags: ``chromium_launcher(flags)``; each is closed at the end."""
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browsers = []

        def launch(flags: list[str] | None = None) -> object:
            browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS if flags is None else flags)
            browsers.append(browser)
            return browser

        yield launch
        for browser in browsers:
            browser.close()


@pytest.fixture(scope="session")
def chromium(chromium_launcher):
    """One headless Chromium with software WebGL for the whole session; make a page with ``chromium.new_page()``."""
    return chromium_launcher()


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """Streamlit servers of this test session, by script and environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[tuple[str, ...], tuple[subprocess.Popen[bytes], str]] = {}

    def __call__(self, script: str | Path, *, env: dict[str, str] | None = None, fresh: bool = False) -> str:
        """Serve a script and return its URL without a trailing slash.

        The same script and environment are served once per session; `fresh` starts another server, for one test.
        """
        path = Path(script) if Path(script).is_absolute() else HARNESS / script
        name = (str(path), *sorted(f"{key}={value}" for key, value in (env or {}).items()))
        if not fresh and name in self.running and self.running[name][0].poll() is None:
            return self.running[name][1]
        port = free_port()
        log = self.folder / f"{path.stem}-{port}.log"
        command = [sys.executable, "-m", "streamlit", "run", str(path), "--server.port", str(port)]
        command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            )
        self.running[(*name, str(port)) if fresh else name] = (process, f"http://127.0.0.1:{port}")
        self.wait(port, process, log)
        return f"http://127.0.0.1:{port}"

    def process(self, url: str) -> subprocess.Popen[bytes]:
        """Return the server at a URL."""
        return next(process for process, served in self.running.values() if served == url)

    @staticmethod
    def wait(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
        """Return once the server answers; raise with its log if it does not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")

    def stop(self, names: Iterable[tuple[str, ...]] | None = None) -> None:
        """End servers that were started here, those named or all."""
        ended = [self.running.pop(name)[0] for name in (list(self.running) if names is None else names)]
        for process in ended:
            process.terminate()
        for process in ended:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Iterator[Served]:
    """The servers of this session; what is not ended before is ended with it."""
    served = Served(tmp_path_factory.mktemp("servers"))
    yield served
    served.stop()


@pytest.fixture
def serve(servers) -> Iterator[Served]:
    """``serve("harness_gallery.py") -> url``: a Streamlit server on a free port; a fresh one ends with its test."""
    before = set(servers.running)
    yield servers
    servers.stop([name for name in servers.running if name not in before and name[-1].isdigit()])


class Visit:
    """Pages of one test: opens URLs in contexts of their own and remembers the errors of their scripts."""

    def __init__(self, browser: object) -> None:
        self.browser = browser
        self.contexts: list = []
        self.errors: list[str] = []

    def __call__(
        self, url: str, *, width: int = 1440, height: int = 900, scheme: str = "light", browser=None, script: str = ""
    ):
        """Open a URL in a fresh context and return the page; `script` runs in it before everything else."""
        context = (browser or self.browser).new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        if script:
            page.add_init_script(script)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(url)
        return page


@pytest.fixture
def visit(chromium) -> Iterator[Visit]:
    """``visit(url) -> page``; fails the test if a script of a page threw."""
    visits = Visit(chromium)
    yield visits
    for context in visits.contexts:
        context.close()
    assert visits.errors == []


def report(page, *conditions: str) -> dict:
    """Return what the harness's Python saw, once every condition (JavaScript over ``r``) holds.

    ``report(page, "r.count === 3")`` waits at most 30 seconds.
    """
    test = " && ".join(["document.querySelector('#report')", *(f"({c})" for c in conditions)])
    page.wait_for_function(
        f"() => {{ const e = document.querySelector('#report'); if (!e) return false;"
        f" let r; try {{ r = JSON.parse(e.textContent); }} catch {{ return false; }} return {test}; }}"
    )
    return json.loads(page.text_content("#report"))


def eventually(probe: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 30) -> Any:
    """Return the first value of `probe` for which `holds`; fail with the last value after that many seconds.

    For what no selector can wait for: pixels of a canvas, places on the screen, what is in the catalog.
    """
    end = time.monotonic() + seconds
    while not holds(value := probe()):
        assert time.monotonic() < end, f"still {value}"
        time.sleep(0.1)
    return value


def address(page: Any) -> str:
    """Return the address as the page has it now; `page.url` stands still while nothing waits for the page."""
    return str(page.evaluate("() => location.href"))


def settled(page: Any) -> None:
    """Wait until the app says that its script has run; a click is given half a second to reach the server."""
    page.wait_for_timeout(500)
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(timeout=120_000)
