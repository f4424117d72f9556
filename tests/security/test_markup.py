"""Names of files, folders, labels and runs are text: never HTML, never a command, and no file is ever unpickled."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.images.datasets import add_folder
from engine.labels.events import LabelHistory
from engine.runs.run import update_config
from pages.registry import SCREENS
from tests.pages.conftest import app  # noqa: F401 - a fixture
from tests.seed import clustered_pictures

PROJECT = Path(__file__).resolve().parents[2]
EVIL = '<img src=x onerror="alert(1)">&"\'$(touch ran)`touch ran`;touch ran'


def hostile_pictures(folder: Path) -> Path:
    """Write pictures in three colours whose names and folders are markup and commands."""
    rng = np.random.default_rng(0)
    for number in range(18):
        pixels = rng.integers(0, 40, (32, 32, 3), dtype=np.uint8)
        pixels[..., number % 3] += 200
        place = folder / f"<b onclick=alert({number % 2})>"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{EVIL.replace('/', '')}{number:02d}.png")
    return folder


@pytest.fixture
def hostile(workspace, tmp_path):
    """A workspace in which everything that a person or a disk can name is markup."""
    folder = hostile_pictures(tmp_path / f"<i>{EVIL.replace('/', '')}</i>".replace("/", "_"))
    rows, run = clustered_pictures(workspace, folder, with_map=True)
    history = LabelHistory(workspace, rows.dataset.id)
    for cluster in range(3):
        state = history.state(rows.contents, run.assignments, run=run.folder.name)
        history.rename(state, cluster, f"{EVIL} {cluster}")
    update_config(run, title=f"run {EVIL}", tags=[EVIL])
    add_folder(workspace, tmp_path / "other" if (tmp_path / "other").mkdir() is None else "", name=f"set {EVIL}")
    return workspace


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.path)
def test_no_name_is_markup_on_any_screen(hostile, app, screen, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    app.run()
    app.switch_page(screen.file).run()
    assert not app.exception
    bodies = [found.proto.body for part in (app.main, app.sidebar) for found in part.get("html")]
    assert bodies
    for body in bodies:
        for tag in re.findall(r"<[a-zA-Z][^>]*>", body):
            assert "onerror" not in tag and "onclick" not in tag, body
        assert "<i><img" not in body and "src=x" not in body.replace("&lt;img src=x", ""), body
    assert not [text for text in app.markdown if text.allow_html]
    assert not list(tmp_path.rglob("ran"))


FORBIDDEN = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "yaml.load",
    "joblib.load",
    "subprocess.getoutput",
    "torch.jit.load",
}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield (file, dotted name, call) of every call of the project."""
    for part in ("engine", "pages", "components"):
        for path in (PROJECT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield str(path.relative_to(PROJECT)), ast.unparse(node.func), node


def test_the_code_starts_no_shell_and_unpickles_nothing():
    wrong = []
    for file, name, call in calls():
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if name in FORBIDDEN or given.get("shell") == "True" or given.get("unsafe_allow_html") == "True":
            wrong.append(f"{file}: {name}")
        if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
            wrong.append(f"{file}: {name} without allow_pickle=False")
        if name == "torch.load" and given.get("weights_only") != "True":
            wrong.append(f"{file}: {name} without weights_only=True")
    assert wrong == []


def test_no_script_of_the_components_makes_markup_out_of_text():
    sources = [path for part in (PROJECT / "components").iterdir() for path in part.glob("**/*.ts*") if part.is_dir()]
    sources = [path for path in sources if "node_modules" not in path.parts]
    assert len(sources) > 20
    wrong = []
    for path in sources:
        code = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
        if re.search(
            r"\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|eval)\b", code
        ):
            wrong.append(str(path.relative_to(PROJECT)))
    assert wrong == []
