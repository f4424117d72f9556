"""The pages docs/adding-*.md are followed to the letter on a copy of the project, and the new thing is there.

A page writes files ("Write `path`:"), changes registries ("At the end of `name` in `path`, add:", "In `path`, below the
line `line`, add:", "In `path`, replace the line `line` by:") and says what to run ("Run:"); a code block follows each.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parents[2]
_STEP = re.compile(
    r"^(?:Write `(?P<write>[^`]+)`|At the end of `(?P<tuple>\w+)` in `(?P<registry>[^`]+)`, add"
    r"|In `(?P<file>[^`]+)`, below the line `(?P<below>[^`]+)`, add"
    r"|In `(?P<place>[^`]+)`, replace the line `(?P<line>[^`]+)` by|(?P<run>Run)):\n\n```\w+\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Copy:
    """A copy of the project at `root`, in which a page is followed and its commands run."""

    root: Path

    def environment(self) -> dict[str, str]:
        """Return what a process of the copy sees: this environment's Python, a workspace of its own."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return os.environ | {"PATH": path, "KINDRED_WORKSPACE": str(self.root / "workspace")}

    def shell(self, script: str) -> str:
        """Run a shell script in the copy and return what it printed; its first failing command ends it."""
        done = subprocess.run(
            ["sh", "-ec", script], cwd=self.root, env=self.environment(), capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def ask(self, code: str) -> object:
        """Run `code` on the copy with its app at hand; return what it puts into `answer`."""
        answer = self.shell(f"python -c {shlex.quote(f'{_APP}{code}{chr(10)}print(json.dumps(answer))')}").splitlines()[
            -1
        ]
        found: object = json.loads(answer)
        return found


_APP = """
import json, logging
import streamlit as st
from streamlit.testing.v1 import AppTest
import engine.jobs.job
from engine.core.workspace import PROGRAM, Workspace
from pages.registry import SCREENS
engine.jobs.job.prepare_worker = lambda workspace: None
workspace = Workspace.open()
app = AppTest.from_file(str(PROGRAM / "app.py"), default_timeout=60)
def visit(path):
    app.run().switch_page(f"pages/{path}/page.py").run()
    assert not app.exception, app.exception
def seeded(folder):
    from pathlib import Path
    from tests.seed import clustered_pictures, coloured_pictures
    return clustered_pictures(workspace, coloured_pictures(Path(folder)))
"""


def follow(page: str, copy: Copy) -> None:
    """Carry out every step of a page on the copy, in the page's order."""
    done = 0
    for step in _STEP.finditer((PROJECT / "docs" / page).read_text(encoding="utf-8")):
        done += 1
        code = step["code"]
        if step["write"]:
            target = copy.root / step["write"]
            assert not target.exists(), f"{page}: {target.name} is there already"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(code, encoding="utf-8")
        elif step["tuple"]:
            append(copy.root / step["registry"], step["tuple"], code)
        elif step["file"]:
            change(copy.root / step["file"], step["below"], f"{step['below']}\n{code}")
        elif step["place"]:
            change(copy.root / step["place"], step["line"], code)
        else:
            copy.shell(code)
    blocks = (PROJECT / "docs" / page).read_text(encoding="utf-8").count("\n```") // 2
    assert done == blocks, f"{page}: {blocks} code blocks, {done} of them follow a step's words"


def append(path: Path, name: str, entry: str) -> None:
    """Put `entry` at the end of the tuple `name = (...)` of a module."""
    before, opening, after = path.read_text(encoding="utf-8").partition(f"\n{name} = (\n")
    entries, closing, rest = after.partition("\n)\n")
    assert opening and closing, f"{path.name} has no tuple {name}"
    path.write_text(f"{before}{opening}{entries}\n{entry.rstrip()}{closing}{rest}", encoding="utf-8")


def change(path: Path, line: str, replacement: str) -> None:
    """Put `replacement` in place of the one line that reads `line`."""
    text = path.read_text(encoding="utf-8")
    assert text.count(f"\n{line}\n") == 1, f"{path.name} does not hold the line {line!r} once"
    path.write_text(text.replace(f"\n{line}\n", f"\n{replacement.rstrip()}\n"), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    """Copy the code and its tests; the libraries are those of this environment."""
    root = tmp_path / "project"
    hidden = shutil.ignore_patterns("__pycache__", "node_modules", "*.map")
    for name in ("engine", "pages", "components", "tests", ".streamlit"):
        shutil.copytree(PROJECT / name, root / name, ignore=hidden)
    for name in ("app.py", "pyproject.toml"):
        shutil.copy2(PROJECT / name, root / name)
    yield Copy(root)
    checked(root)


def checked(root: Path) -> None:
    """What a page makes a person write passes the linter and the formatter, too."""
    for command in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", "engine", "pages"], cwd=root, check=True)


def vectors(path: Path) -> None:
    generator = np.random.default_rng(0)
    centres = 5 * generator.normal(size=(12, 16))
    found = centres[np.arange(360) % 12] + generator.normal(size=(360, 16))
    np.savez(path, vectors=found.astype(np.float32))


def runs(root: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in root.glob("OUT/*/config.json")]


def test_a_method_reaches_command_line_page_sweep_and_contract(copy: Copy) -> None:
    vectors(copy.root / "VECTORS.npz")
    follow("adding-a-method.md", copy)
    assert [config["method"] for config in runs(copy.root)] == ["farthest_first"]
    board = "\n".join(path.read_text() for path in (copy.root / "OUT").glob("*.json"))
    assert "farthest_first" in board
    shown = copy.ask(
        "seeded('pictures')\nvisit('cluster')\n"
        "app.button_group(key='cluster_more').set_value('method').run()\n"
        "app.button_group(key='method').set_value('farthest_first').run()\n"
        "assert not app.exception and not app.error\n"
        "answer = [item.value for item in app.markdown]"
    )
    assert any("Farthest first" in str(text) for text in list(shown))  # type: ignore[call-overload]


def test_an_encoder_reaches_command_line_page_and_contract(copy: Copy) -> None:
    follow("adding-an-encoder.md", copy)
    [config] = runs(copy.root)
    assert "colour_grid" in json.dumps(config)
    shown = copy.ask(
        "seeded('pictures')\nvisit('embed')\n"
        "assert not app.exception and not app.error\n"
        "answer = [item.value for item in (*app.markdown, *app.caption)]"
    )
    assert any("tells sunsets from forests" in str(text) for text in list(shown))  # type: ignore[call-overload]


def test_a_data_set_reaches_command_line_and_page(copy: Copy) -> None:
    generator = np.random.default_rng(0)
    row, column = np.indices((32, 32))
    masks = np.stack([row < 16, column < 16, row < column])  # what is bright in each class
    signs = {"names": np.array(["round", "square", "octagon"])}
    for split, number in (("train", 60), ("test", 30)):
        classes = np.arange(number) % 3
        pixels = generator.integers(0, 60, (number, 32, 32, 3), dtype=np.uint8)
        pixels[masks[classes]] += 180
        signs |= {f"{split}_images": pixels, f"{split}_classes": classes}
    (copy.root / "DATA").mkdir()
    np.savez(copy.root / "DATA" / "street_signs.npz", **signs)
    follow("adding-a-dataset.md", copy)
    [results] = [json.loads(path.read_text()) for path in copy.root.glob("OUT/*/results.json")]
    assert results["train"]["n_clusters"] == 3
    assert results["train"]["accuracy"] == results["test"]["accuracy"] == 1
    shown = copy.ask(
        "app.run()\n"
        "next(button for button in app.button if button.label == 'Another data set').click().run()\n"
        "answer = [str(item.options) for item in app.selectbox]"
    )
    assert any("Street signs" in str(options) for options in list(shown))  # type: ignore[call-overload]


def test_a_screen_is_in_the_sidebar_and_draws(copy: Copy) -> None:
    follow("adding-a-page.md", copy)
    table = copy.ask(
        "seeded('pictures')\nvisit('sizes')\n"
        "images = int(app.dataframe[0].value['images'].sum())\n"
        "answer = [app.title[0].value, [screen.path for screen in SCREENS], images]"
    )
    assert table == ["Sizes", [*_order("sizes", "explore")], 30]


def _order(new: str, after: str) -> list[str]:
    from pages.registry import SCREENS

    paths = [screen.path for screen in SCREENS]
    return [*paths[: paths.index(after) + 1], new, *paths[paths.index(after) + 1 :]]


def test_an_export_reaches_command_line_page_and_contract(copy: Copy) -> None:
    follow("adding-an-export.md", copy)
    folder, options = copy.ask(  # type: ignore[misc]
        "from engine.labels.events import LabelHistory\n"
        "rows, run = seeded('pictures')\n"
        "history = LabelHistory(workspace, rows.dataset.id)\n"
        "history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, 'red')\n"
        "from components.tiles import face\n"
        "offered, tiles = [], face.tiles\n"
        "def listening(key, items, **options):\n"
        "    offered.extend(item.title for item in items)\n"
        "    return tiles(key, items, **options)\n"
        "face.tiles = listening\n"
        "visit('export')\nanswer = [str(run.folder), offered]"
    )
    assert "Image list" in options
    copy.shell(f"python -m engine export {shlex.quote(folder)} --format image_list --output LISTS")
    lines = (copy.root / "LISTS" / "all.txt").read_text().splitlines()
    classes = (copy.root / "LISTS" / "classes.csv").read_text().splitlines()
    assert classes[0].startswith("number,label") and classes[1].startswith("0,red,") and len(classes) == 2
    assert lines and all((copy.root / "LISTS" / line.removesuffix(" 0")).is_file() for line in lines)
