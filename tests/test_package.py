"""The package as a person installs it: built, put into an environment of its own, and used from another folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest

import engine
from engine.core.workspace import PROGRAM, Workspace, default_root

_PARTS = ("app.py", "engine", "pages", "components", ".streamlit", "pyproject.toml", "requirements.txt")
_MORE = ("README.md", "LICENSE", ".gitignore")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that the checkout stays as it is."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*_PARTS, *_MORE):
        if (PROGRAM / name).is_dir():
            shutil.copytree(PROGRAM / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy2(PROGRAM / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", target]
    subprocess.run([*pip, source], check=True)
    [built] = target.glob("kindred-*.whl")
    return built


@pytest.fixture(scope="module")
def kindred(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment that sees this one's libraries; return the console command."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--quiet", "--no-deps", wheel],
        check=True,
    )
    asked = [scripts / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts / "kindred"


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose home is a new folder and that names no workspace."""
    kept = {key: value for key, value in os.environ.items() if key not in ("KINDRED_WORKSPACE", "PYTHONPATH")}
    return kept | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}


def test_the_wheel_holds_all_that_the_checkout_needs_to_run(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        path.relative_to(PROGRAM).as_posix()
        for part in ("engine", "pages", "components")
        for path in (PROGRAM / part).rglob("*")
        if path.suffix in (".py", ".js", ".css", ".json", ".txt", ".png") and "node_modules" not in path.parts
    }
    assert needed | {"app.py", ".streamlit/config.toml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "cache/", "library/", "benchmarks/"))]


def test_its_dependencies_are_those_of_requirements_txt(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
    written = [line.split("#")[0].strip() for line in (PROGRAM / "requirements.txt").read_text().splitlines()]
    assert text.count("\nRequires-Dist: ") == sum(bool(line) for line in written)


def test_there_is_one_version(kindred: Path, elsewhere: dict[str, str]) -> None:
    project = tomllib.loads((PROGRAM / "pyproject.toml").read_text())["project"]
    said = subprocess.run([kindred, "--version"], check=True, capture_output=True, text=True, env=elsewhere).stdout
    assert engine.__version__ == project["version"]
    assert said.split() == ["Kindred", project["version"]]


def test_a_command_clusters_and_keeps_its_work_in_the_persons_home(
    kindred: Path, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    centres = 5 * generator.normal(size=(4, 16))
    vectors = centres[np.arange(200) % 4] + generator.normal(size=(200, 16))
    np.savez(tmp_path / "vectors.npz", vectors=vectors.astype(np.float32))
    command = [kindred, "run", "--vectors", "vectors.npz", "--method", "kmeans", "--num-clusters", "4"]
    done = subprocess.run(
        [*command, "--results-dir", "out"], cwd=tmp_path, env=elsewhere, check=True, capture_output=True, text=True
    )
    assert (tmp_path / done.stdout.splitlines()[-1] / "labels.csv").is_file()
    assert (tmp_path / "Kindred" / "library" / "catalog.sqlite").is_file()
    environment = kindred.parents[1]
    assert not [path for path in environment.rglob("library") if path.is_dir()]


def test_kindred_alone_serves_the_app_and_says_where_the_work_is_kept(
    kindred: Path, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        env = elsewhere | {"STREAMLIT_SERVER_PORT": str(port)}
        server = subprocess.Popen([kindred], cwd=tmp_path, env=env, stdout=output, stderr=output)
    try:
        assert _health(port, server) == "ok"
        shown = log.read_text()
        assert str(tmp_path / "Kindred") in shown
        assert f"http://127.0.0.1:{port}" in shown  # the loopback address is in the project's own settings
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def test_a_checkout_keeps_its_work_in_itself_and_a_named_workspace_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_root() == PROGRAM
    monkeypatch.setenv("KINDRED_WORKSPACE", str(tmp_path / "named"))
    assert Workspace.open().root == (tmp_path / "named").resolve()
    assert Workspace.open(tmp_path / "given").root == (tmp_path / "given").resolve()


def _health(port: int, server: subprocess.Popen[bytes]) -> str:
    """Ask the running server whether it is well, until it answers."""
    for _ in range(120):
        if server.poll() is not None:
            raise AssertionError(f"The app ended with status {server.returncode}.")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            time.sleep(0.5)
    raise AssertionError("The app did not answer within a minute.")
