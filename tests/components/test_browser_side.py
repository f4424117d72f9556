"""Browser and Python speak one language: the types are one declaration, and every action asked for is known."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from components.actions import DEFAULT_KEYS
from components.gallery.face import DEFAULT_BUTTONS
from components.workbench.protocol import typescript
from pages.shared.selected import _RARER

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ROOT / "components"
# An action's name stands after one of these in a source: act("merge"), send("open"), { action: "color" }.
ASKED = re.compile(r"""(?:\bact\(|\btell\(|\.send\(|\baction: )"([a-z_]+)\"""")
# Where an action is asked for, and the pages that show it.
SOURCES = {
    "gallery/src": ("explore", "label", "review"),
    "map/src": ("explore",),
    "name_field/src": ("label",),
    "workbench/src/bar": ("explore", "label", "review"),
    "workbench/src/groups": ("explore", "label", "review"),
    "workbench/src/inspector": ("label",),
    "workbench/src/filters": ("explore",),
    "workbench/src/workbench": ("label",),  # "choose", and the keys of the inspector
}
OFFERED = {
    "open_group": ("explore", "label"),
    "merge_groups": ("explore", "label"),
    "show_all": ("explore",),
    "picture": ("explore",),
}


def words_of(path: str) -> set[str]:
    """The names of actions in a page: keys of its dictionaries, and what an action is compared or matched with."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            found |= {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            found.add(node.value.value)
        elif isinstance(node, ast.Compare) and ast.unparse(node.left) == "action.action":
            found |= {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    return found


def keys_of(path: str) -> set[str]:
    """The actions that a page gives its keys, as its `_KEYS` names them; its script runs when it is imported."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    given = next(node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_KEYS")
    words = {node.value for node in ast.walk(given) if isinstance(node, ast.Constant)}
    return {word for word in words if len(word) > 1}


def known_by(page: str) -> set[str]:
    """The actions that a page carries out."""
    own = {"explore": "pages/explore/doing.py", "label": "pages/label/doing.py", "review": "pages/label/queue.py"}
    return words_of(own[page]) | words_of("pages/shared/selected.py")


def asked_for() -> dict[tuple[str, str], str]:
    """The actions that the sources of the browser name, each with the page it is asked for on, and where it stands."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(COMPONENTS.glob("*/src/*")):
        name = path.relative_to(COMPONENTS).as_posix()
        if ".test." in name or path.suffix not in (".ts", ".tsx"):
            continue
        pages = next(
            (pages for start, pages in SOURCES.items() if name.startswith(start)), ("explore", "label", "review")
        )
        for action in ASKED.findall(path.read_text(encoding="utf-8")):
            for page in OFFERED.get(action, pages):
                found[action, page] = name
    return found


def test_the_types_of_the_browser_are_those_of_python():
    written = (COMPONENTS / "workbench" / "src" / "protocol.ts").read_text(encoding="utf-8")
    assert written == typescript(), "run `python -m components.workbench.protocol`"


def test_every_action_that_the_browser_names_is_known_by_the_pages_that_show_it():
    asked = asked_for()
    assert len({action for action, _ in asked}) > 20  # the sources are read at all
    unknown = {(action, page): name for (action, page), name in asked.items() if action not in known_by(page)}
    assert unknown == {}


@pytest.mark.parametrize(
    ("page", "named"),
    [
        ("explore", {*DEFAULT_KEYS.values(), *DEFAULT_BUTTONS} - {"merge"}),  # nothing is proposed to merge there
        ("label", keys_of("pages/label/page.py")),
        ("review", keys_of("pages/label/queue.py") | {"accept"}),
        *((page, set(_RARER)) for page in ("explore", "label", "review")),
    ],
)
def test_every_key_and_button_that_a_page_names_is_known_by_it(page, named):
    assert named <= known_by(page)


def test_the_browsers_own_tests():
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    if not (COMPONENTS / "node_modules" / "vitest").is_dir():
        pytest.skip("components/node_modules is not there: `npm ci` in components/ makes it")
    done = subprocess.run([npm, "test"], cwd=COMPONENTS, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
